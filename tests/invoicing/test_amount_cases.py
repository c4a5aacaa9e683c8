"""Known answers of the field, from their own test suites and documentation."""

import json
from decimal import Decimal
from pathlib import Path

import pytest

from tests.cases_adapters.invoice import ADAPTERS

CASES = json.loads((Path(__file__).parents[1] / "cases_data" / "invoice.json").read_text())
_TOLERANCE = {"discount_by_line": Decimal("0.0001")}


def as_numbers(value):
    """Amounts as decimals, so that 0.5 is 0.50."""
    if isinstance(value, dict):
        return {key: as_numbers(each) for key, each in value.items()}
    if isinstance(value, list):
        return [as_numbers(each) for each in value]
    return value if value is None else Decimal(value)


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_an_invoice_comes_to_what_the_field_says(case):
    found = ADAPTERS[case["area"].partition("/")[2]](case["input"])
    for key, wanted in as_numbers(case["expected"]).items():
        if key in _TOLERANCE:
            assert found[key].keys() == wanted.keys()
            for line, amount in wanted.items():
                assert abs(found[key][line] - amount) <= _TOLERANCE[key]
        else:
            assert found[key] == wanted, key
