"""Charges in several parts: usage billed as it comes in, and units that come and go."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.catalog.prices import RULES, Graduated, PerUnit, Tier
from app.catalog.prices.delta import Progress
from app.catalog.prices.explanation import evaluate, holds
from app.catalog.prices.prorated_graduated import Change, trace
from app.kernel.errors import Invalid
from tests.catalog.models import amounts, quantities, quantity_models, tier_lists

D = Decimal


@given(
    quantity_models,
    st.lists(quantities, min_size=1, max_size=6),
    st.decimals(0, 100, places=3),
    st.none() | amounts,
)
def test_parts_of_usage_cost_together_what_all_of_it_costs(model, parts, percent, maximum):
    billed, total = None, Fraction(0)
    for part in parts:
        step = Progress(model, billed, percent, maximum).trace(part)
        assert evaluate(step, RULES) == Fraction(step.result)
        assert holds(step, RULES)
        billed, total = (billed or D(0)) + part, total + Fraction(step.result)

    def cost(quantity):
        left = Fraction(model.amount(quantity)) * (100 - Fraction(percent)) / 100
        return left if maximum is None else min(left, Fraction(maximum))

    assert total == cost(billed)


def test_a_discount_of_more_than_everything_is_refused():
    with pytest.raises(Invalid) as refused:
        Progress(PerUnit(D(1)), D(0), D("100.1"))
    assert (refused.value.code, refused.value.field) == (
        "ABOVE_HUNDRED_PERCENT",
        "discountPercent",
    )


@given(tier_lists(), st.lists(st.decimals("0.001", 10**9, places=3), max_size=6))
def test_units_that_come_for_the_whole_period_cost_what_graduated_units_cost(tiers, units):
    step = trace(Graduated(tiers), [Change(each, each) for each in units])
    assert Fraction(step.result) == Graduated(tiers, "first_tier_flat").amount(sum(units, D(0)))
    assert holds(step, RULES)


@given(tier_lists(), st.decimals("0.001", 10**9, places=3), st.decimals(0, 1, places=3))
def test_units_that_come_and_go_at_once_leave_the_flats_of_the_tiers_they_reached(
    tiers, units, part
):
    prorated = units * part
    step = trace(Graduated(tiers), [Change(units, prorated), Change(-units, -prorated)])
    below = [D(0), *[tier.up_to for tier in tiers if tier.up_to is not None]]
    reached = [tier.flat_amount for tier, low in zip(tiers, below, strict=True) if units > low]
    assert Fraction(step.result) == sum(reached, D(0))
    assert evaluate(step, RULES) == Fraction(step.result)


def test_a_unit_is_charged_in_the_tier_it_is_in_for_the_part_of_the_period_it_is_there():
    tiers = (Tier(D(5), D(10), D(100)), Tier(None, D(5), D(50)))
    step = trace(Graduated(tiers), [Change(D(4), D("2.8")), Change(D(2), D(1))])
    assert [row.inputs["prorated_units"] for row in step.parts] == ["3.3", "0.5"]
    assert step.result == "185.5"
    more = trace(Graduated(tiers), [Change(D(4), D(0)), Change(D(-9), D(-90))])
    assert (more.result, more.parts[0].result) == ("0", "-800")
