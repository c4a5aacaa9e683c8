"""Every case with a known answer, and the program that runs them."""

import json
import subprocess
import sys
from collections import Counter

import pytest

from tests.cases import DATA, Outcome, adapters_of, judge

CASES = [
    case
    for path in sorted(DATA.glob("*.json"))
    if adapters_of(path.stem) is not None
    for case in json.loads(path.read_text())
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_the_known_answer_comes_out(case):
    outcome = Outcome()
    judge(case, adapters_of(case["area"].partition("/")[0]), outcome)
    assert outcome.failed == {}


def test_the_cases_are_all_there():
    files = Counter(case["area"].partition("/")[0] for case in CASES)
    assert files >= Counter(pricing=147, proration=48, periods=73)


def program(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "tests.cases", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        cwd=DATA.parents[1],
    )


def test_a_wrong_answer_is_named_and_fails_the_program(tmp_path):
    case = {
        "id": "pricing-1",
        "area": "pricing/per_unit",
        "input": {"model": "per_unit", "properties": {"unit_amount": "2"}, "quantity": "3"},
        "expected": {"amount": "6", "compare": "exact"},
    }
    wrong = case | {"id": "pricing-2", "expected": {"amount": "7", "compare": "exact"}}
    unknown = case | {"id": "pricing-3", "area": "pricing/barter"}
    silly = case | {
        "id": "pricing-4",
        "area": "pricing/limits",
        "input": {
            "properties": {"price": case["input"], "min_amount": "2", "max_amount": "1"},
        },
    }
    (tmp_path / "pricing.json").write_text(json.dumps([case, wrong, unknown, silly]))
    (tmp_path / "weather.json").write_text("[{}]")
    done = program(tmp_path)
    assert done.returncode == 1
    said = done.stdout.splitlines()
    assert "pricing/per_unit: 1 passed, 1 failed" in said
    assert "  FAILED pricing-2: expected {'amount': '7', 'compare': 'exact'}, got" in done.stdout
    assert "pricing/barter: 0 passed, 1 failed" in said
    assert "pricing/limits: 0 passed, 1 refused by decision" in said
    assert "  refused pricing-4: a minimum above the maximum" in done.stdout
    assert "weather: 1 cases, not covered yet" in said
    assert said[-1] == "1 passed, 1 refused by decision, 2 failed"


def test_a_directory_without_cases_is_a_wrong_call(tmp_path):
    assert program(tmp_path).returncode == 2
