"""Rating: exact until one rounding per line, explained, and the same in any order."""

from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.catalog.price import ChargeKind, InvoiceTiming
from app.catalog.prices import Adjustments, Figures, Flat, Graduated, Package, PerUnit, Tier, Volume
from app.invoicing import explanation
from app.invoicing.explanation import Unexplained
from app.invoicing.invoice import LineKind
from app.invoicing.rating import Counted, rate
from app.kernel.copies import replace
from app.kernel.period import Period
from tests.invoicing.make import FEB, JAN, JANUARY, fact, price

TIERS = (Tier(Decimal(1000), Decimal("1.25")), Tier(None, Decimal("0.75"), Decimal(100)))
MODELS = [
    Flat(Decimal("19.99")),
    PerUnit(Decimal("0.00045")),
    Package(Decimal(25), Decimal(10)),
    Graduated(TIERS),
    Graduated(TIERS, "first_tier_flat"),
    Volume(TIERS),
]
quantities = st.decimals(0, 10**9, places=6, allow_nan=False, allow_infinity=False)


def rated(sold, *counted, **fields):
    return list(rate(fact(sold, *counted, **fields)))


def test_usage_is_rated_by_its_price_and_rounded_once():
    (line,) = rated(price(PerUnit(Decimal("0.00045"))), Figures(Decimal("4123456.5"), 900))
    assert line.kind is LineKind.USAGE
    assert line.quantity == Decimal("4123456.5")
    assert line.amount == Decimal("1855.56")  # 1855.555425
    assert line.service == JANUARY


@pytest.mark.parametrize(
    ("currency", "exact", "rounded"),
    [("USD", "0.005", "0.01"), ("USD", "1.0049999", "1.00"), ("JPY", "0.5", "1"),
     ("KWD", "0.0005", "0.001"), ("KWD", "0.00049", "0.000")],
)  # fmt: skip
def test_halves_are_rounded_away_from_zero_at_the_minor_unit(currency, exact, rounded):
    (line,) = rated(price(PerUnit(Decimal(exact)), currency=currency), Figures(Decimal(1)))
    assert line.amount == Decimal(rounded)


def test_a_grouped_price_makes_a_line_per_group_each_through_its_own_tiers():
    sold = price(Graduated(TIERS), group_by=("origin",))
    lines = rated(
        sold, Figures(Decimal(2000), 3, ("LGA",)), Figures(Decimal(10), 1, ("EWR",)),
        Figures(Decimal(1), 1, (None,)), Figures(Decimal(2), 1, ("",)),
    )  # fmt: skip
    assert [(line.group, line.amount) for line in lines] == [
        ({"origin": None}, Decimal("1.25")),
        ({"origin": ""}, Decimal("2.50")),
        ({"origin": "EWR"}, Decimal("12.50")),
        ({"origin": "LGA"}, Decimal("2100.00")),
    ]


def test_a_grouped_price_without_usage_says_so_and_asks_for_nothing():
    least = Adjustments(minimum=Decimal(5))
    for sold in (price(group_by=("origin",)), price(group_by=("origin",), adjustments=least)):
        (line,) = rated(sold)
        assert (line.group, line.quantity, line.amount) == ({}, 0, 0)
        assert explanation.evaluate(explanation.to_json(line.explanation)) == 0


def test_several_dimensions_make_a_line_per_combination_of_their_values():
    sold = price(PerUnit(Decimal(1)), group_by=("region", "model"))
    lines = rated(sold, Figures(Decimal(2), 1, ("eu", "b")), Figures(Decimal(3), 1, ("eu", None)))
    assert [(line.group, line.amount) for line in lines] == [
        ({"region": "eu", "model": None}, Decimal(3)),
        ({"region": "eu", "model": "b"}, Decimal(2)),
    ]
    counted = lines[1].explanation.parts[1]
    assert (counted.inputs["group.region"], counted.inputs["group.model"]) == ("eu", "b")


@pytest.mark.parametrize(
    ("counted", "quantity", "amount"),
    [("0", "0", "4"), ("100", "0", "4"), ("150", "50", "5"), ("900", "800", "70")],
)
def test_free_units_come_off_before_the_model_and_limits_hold_after_it(counted, quantity, amount):
    terms = Adjustments(free_units=Decimal(100), minimum=Decimal(4), maximum=Decimal(70))
    (line,) = rated(price(PerUnit(Decimal("0.1")), adjustments=terms), Figures(Decimal(counted)))
    charge, priced = line.explanation.parts
    assert (line.amount, line.quantity) == (Decimal(amount), Decimal(counted))
    assert (priced.rule, priced.result) == ("free_units", quantity)
    assert [charge.rule, charge.parts[0].rule] == ["maximum", "minimum"]
    assert explanation.evaluate(explanation.to_json(line.explanation)) == line.amount


def test_the_limits_of_a_fixed_charge_hold_for_a_full_period():
    sold = price(
        Flat(Decimal(100)), charge=ChargeKind.FIXED, adjustments=Adjustments(maximum=Decimal(62))
    )
    (line,) = rated(sold, period=Period(JAN + timedelta(days=30), FEB))
    assert line.amount == Decimal(2)  # a thirty-first of 62


def test_usage_below_zero_is_charged_as_nothing_and_explained_as_it_was_counted():
    (line,) = rated(price(), Figures(Decimal(-3), 2))
    assert (line.quantity, line.amount) == (0, 0)
    counted = line.explanation.parts[1]
    assert (counted.rule, counted.result, counted.inputs["events"]) == ("counted", "-3", "2")


def test_a_fixed_charge_for_part_of_a_period_costs_its_share_by_the_second():
    sold = price(
        Flat(Decimal(100)), charge=ChargeKind.FIXED, timing=InvoiceTiming.ADVANCE, name="Fee"
    )
    (line,) = rated(sold, period=Period(JAN + timedelta(days=20), FEB))
    assert line.kind is LineKind.FIXED
    assert line.amount == Decimal("35.48")  # 11/31 of 100
    assert line.explanation.parts[0].result == "1100/31"


def test_a_fixed_charge_counts_what_is_held():
    sold = price(PerUnit(Decimal("12.5")), charge=ChargeKind.FIXED)
    (line,) = rated(sold, quantity=Decimal(7))
    assert (line.quantity, line.amount) == (7, Decimal("87.50"))


def test_the_price_is_kept_as_it_was():
    sold = price(Graduated(TIERS), group_by=("origin",), name="Departures")
    (line,) = rated(sold, Figures(Decimal(1), 1, ("EWR",)))
    assert line.price == {
        "id": sold.id,
        "plan_id": sold.plan_id,
        "lineage_id": sold.lineage_id,
        "display_name": "Departures",
        "charge": "usage",
        "billing": "recurring",
        "timing": "arrears",
        "currency": "USD",
        "conversion": None,
        "cadence": {"unit": "month", "count": 1},
        "model": {
            "model": "graduated",
            "tiers": [
                {"up_to": "1000", "unit_amount": "1.25", "flat_amount": "0"},
                {"up_to": None, "unit_amount": "0.75", "flat_amount": "100"},
            ],
            "zero_usage": "zero",
        },
        "adjustments": {},
        "feature_id": sold.feature_id,
        "meter_id": sold.meter_id,
        "group_by": ["origin"],
        "trial_days": 0,
        "content_hash": sold.content_hash,
    }


@settings(deadline=None)
@given(st.sampled_from(MODELS), quantities, st.sampled_from(["USD", "JPY", "KWD"]))
def test_the_explanation_of_usage_evaluates_to_the_amount(model, quantity, currency):
    (line,) = rated(price(model, currency=currency), Figures(quantity, 1))
    stored = explanation.to_json(line.explanation)
    assert explanation.evaluate(stored) == line.amount
    assert explanation.from_json(stored) == line.explanation


@settings(deadline=None)
@given(st.sampled_from(MODELS), st.integers(0, 1000), st.integers(0, 31 * 86_400 - 1))
def test_the_explanation_of_a_share_evaluates_to_the_amount(model, quantity, seconds):
    sold = price(model, charge=ChargeKind.FIXED)
    period = Period(JAN + timedelta(seconds=seconds), FEB)
    (line,) = rated(sold, quantity=Decimal(quantity), period=period)
    assert explanation.evaluate(explanation.to_json(line.explanation)) == line.amount


@settings(deadline=None)
@given(st.lists(st.integers(1, 31 * 86_400 - 1), max_size=8, unique=True), st.integers(0, 10**6))
def test_the_unrounded_shares_of_a_partition_sum_to_the_whole(cuts, cents):
    sold = price(Flat(Decimal(cents).scaleb(-2)), charge=ChargeKind.FIXED)
    edges = [JAN, *(JAN + timedelta(seconds=cut) for cut in sorted(cuts)), FEB]
    shares = [
        Fraction(rated(sold, period=Period(start, end))[0].explanation.parts[0].result)
        for start, end in pairwise(edges)
    ]
    assert sum(shares) == Fraction(cents, 100)


@pytest.mark.parametrize("path", [(), (0,), (0, 0), (1,)])
def test_an_explanation_that_was_tampered_with_is_refused(path):
    (line,) = rated(price(Graduated(TIERS)), Figures(Decimal(1500), 9))

    def tampered(tree, path):
        if not path:
            return replace_step(tree, result="7")
        parts = list(tree.parts)
        parts[path[0]] = tampered(parts[path[0]], path[1:])
        return replace_step(tree, parts=tuple(parts))

    def replace_step(tree, **fields):
        values = {"rule": tree.rule, "inputs": tree.inputs, "result": tree.result}
        return type(tree)(**{**values, "parts": tree.parts, **fields})

    with pytest.raises(Unexplained):
        explanation.evaluate(explanation.to_json(tampered(line.explanation, path)))


@pytest.mark.parametrize(
    "stored",
    [
        {},
        {"rule": "line", "inputs": {"decimals": "2"}, "result": "1", "parts": []},
        {"rule": "none of ours", "inputs": {}, "result": "1", "parts": []},
    ],
)
def test_what_is_no_explanation_is_refused(stored):
    with pytest.raises(Unexplained):
        explanation.evaluate(stored)


def test_every_step_of_a_line_has_a_rule_with_a_formula():
    for rule in explanation.RULES.values():
        assert rule.formula


def test_the_rates_of_a_fact_do_not_depend_on_the_order_of_its_groups():
    sold = price(group_by=("origin",))
    groups = [Figures(Decimal(n), n, (name,)) for n, name in enumerate(["c", "a", "b"], start=1)]
    one = fact(sold, *groups)
    other = replace(one, counted=Counted(tuple(reversed(groups))))
    assert [line.amount for line in rate(one)] == [line.amount for line in rate(other)]
