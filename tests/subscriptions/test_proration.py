import itertools
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from app.catalog.prices import RULES as PRICE_RULES
from app.catalog.prices import Flat, Graduated, Tier
from app.catalog.prices.explanation import evaluate, holds
from app.kernel.period import Period
from app.kernel.quantity import fraction_rounded, plain
from app.subscriptions.periods import Service
from app.subscriptions.proration import (
    RULES,
    ProrationPolicy,
    changed,
    credit_cap,
    prorated,
    share,
    trace,
    unused,
)
from tests.subscriptions.make import at

UTC_ZONE = ZoneInfo("UTC")
JANUARY = Period(at(2026, 1, 1), at(2026, 2, 1))
cuts = st.lists(
    st.timedeltas(timedelta(microseconds=1), timedelta(days=30)), unique=True, max_size=6
)


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


NEW_YORK = ZoneInfo("America/New_York")
DAYS = ProrationPolicy("days", NEW_YORK)


@given(st.sets(st.integers(1, 30), max_size=6), st.decimals(0, 10**9, places=4))
def test_whole_days_of_a_period_sum_to_the_whole(days, amount):
    march = Period(at(2026, 3, 1, 5), at(2026, 4, 1, 4))  # in New York, with a day of 23 hours
    inner = [datetime(2026, 3, 1 + day, tzinfo=NEW_YORK).astimezone(UTC) for day in sorted(days)]
    edges = [march.start, *inner, march.end]
    parts = [
        prorated(amount, Service(Period(start, end), march), DAYS)
        for start, end in itertools.pairwise(edges)
    ]
    assert sum(parts, Fraction(0)) == amount
    whole = Service(march, march)
    assert share(whole, DAYS) == 1
    day = Service(Period(at(2026, 3, 8, 5), at(2026, 3, 9, 4)), march)
    tree = trace(Flat(amount).trace(Decimal(1)), day, DAYS)
    assert Fraction(tree.result) == Fraction(amount) / 31
    assert holds(tree, PRICE_RULES | RULES)
    assert (tree.inputs["served_days"], tree.inputs["timezone"]) == ("1", "America/New_York")


def test_the_day_of_a_cancellation_is_used_where_it_is_billed():
    noon = at(2026, 1, 11, 12)
    billed = ProrationPolicy("days", UTC_ZONE, cancel_day_billed=True)
    assert unused(JANUARY, noon, billed).period == Period(at(2026, 1, 12), JANUARY.end)
    assert unused(JANUARY, noon).period == Period(noon, JANUARY.end)
    assert share(unused(JANUARY, at(2026, 1, 31, 23), billed), billed) == 0
    early = unused(JANUARY, at(2025, 12, 1), billed)
    assert early.period == JANUARY


@given(
    st.decimals(0, 10**6, places=2), st.decimals(0, 10**6, places=2), st.integers(0, 31 * 86_400)
)
def test_a_change_nets_two_rounded_parts(old, new, second):
    rest = Service(Period(JANUARY.start + timedelta(seconds=second), JANUARY.end), JANUARY)
    change = changed((old, rest), (new, rest), decimals=2)
    part = share(rest)
    assert change.credit == fraction_rounded(Fraction(old) * part, 2)
    assert change.charge == fraction_rounded(Fraction(new) * part, 2)
    assert change.net == change.charge - change.credit
    assert changed((old, rest), (old, rest), decimals=2).net == 0


cents = st.decimals(0, 100, places=2)


@given(st.decimals(-100, 200, places=2), cents, cents)
def test_a_credit_is_never_more_than_what_is_left_of_what_was_paid(potential, paid, credited):
    found = credit_cap(potential, paid=paid, credited=credited)
    assert 0 <= found <= max(paid - credited, 0)
    assert found in (0, potential, paid - credited)
