import itertools
import json
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.catalog.prices import RULES as PRICE_RULES
from app.catalog.prices import Flat, Graduated, Tier
from app.catalog.prices.explanation import evaluate, holds
from app.kernel.period import Period
from app.kernel.quantity import fraction_rounded, plain
from app.subscriptions.periods import Service
from app.subscriptions.proration import RULES, prorated, share, trace
from tests.subscriptions.make import at

CASES = [
    case
    for case in json.loads(
        (Path(__file__).parents[1] / "cases_data" / "proration.json").read_text()
    )
    if case["input"]["kind"] == "partial_charge" and case["input"]["strategy"] == "seconds"
]
JANUARY = Period(at(2026, 1, 1), at(2026, 2, 1))
cuts = st.lists(
    st.timedeltas(timedelta(microseconds=1), timedelta(days=30)), unique=True, max_size=6
)


def period(case):
    return Period(datetime.fromisoformat(case["start"]), datetime.fromisoformat(case["end"]))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_the_known_answers_come_out(case):
    given_ = case["input"]
    service = Service(period(given_["service"]), period(given_["period"]))
    charge = Decimal(given_["amount"]) * Decimal(given_["quantity"])
    found = fraction_rounded(prorated(charge, service), given_["decimals"])
    assert found == Decimal(case["expected"]["amount"])


def test_the_known_answers_cover_what_they_should():
    assert len(CASES) == 8


@given(cuts, st.decimals(0, 10**9, places=4))
def test_the_parts_of_a_period_sum_to_the_whole(cuts, amount):
    edges = sorted([JANUARY.start, *(JANUARY.start + cut for cut in cuts), JANUARY.end])
    parts = [
        prorated(amount, Service(Period(start, end), JANUARY))
        for start, end in itertools.pairwise(edges)
    ]
    assert sum(parts, Fraction(0)) == amount


def test_a_whole_period_costs_the_whole_amount_and_its_trace_says_no_more():
    charge = Flat(Decimal(99)).trace(Decimal(1))
    whole = Service(JANUARY, JANUARY)
    assert share(whole) == 1
    assert trace(charge, whole) is charge


def test_a_day_on_which_the_clocks_change_counts_by_its_hours():
    march = Period(at(2026, 3, 1, 5), at(2026, 4, 1, 4))  # in New York
    day = Period(at(2026, 3, 8, 5), at(2026, 3, 9, 4))
    assert share(Service(day, march)) == Fraction(23, 31 * 24 - 1)


@given(cuts.filter(bool), st.decimals(0, 10**6, places=2))
def test_evaluating_the_trace_gives_the_share(cuts, quantity):
    tiers = (Tier(Decimal(10), Decimal("1.1")), Tier(None, Decimal("0.7"), Decimal(3)))
    model = Graduated(tiers)
    service = Service(Period(JANUARY.start, JANUARY.start + cuts[0]), JANUARY)
    tree = trace(model.trace(quantity), service)
    assert evaluate(tree, PRICE_RULES | RULES) == prorated(model.amount(quantity), service)
    assert holds(tree, PRICE_RULES | RULES)
    assert tree.inputs["full_seconds"] == plain(Decimal(31 * 24 * 3600))
