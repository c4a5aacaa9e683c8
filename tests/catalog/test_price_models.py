"""Laws of the price models, and the known answers."""

import json
from decimal import Decimal
from fractions import Fraction

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.catalog.prices import (
    RULES,
    Flat,
    Graduated,
    GraduatedPercentage,
    Package,
    PerUnit,
    Step,
    Tier,
    Volume,
    from_json,
    to_json,
)
from app.catalog.prices.explanation import evaluate, holds
from app.kernel.errors import Invalid
from app.kernel.quantity import EXACT
from tests.catalog.models import (
    amounts,
    graduated,
    packages,
    percentage_tiers,
    quantities,
    tier_lists,
)
from tests.catalog.models import quantity_models as models


@given(models, quantities)
def test_evaluating_the_trace_gives_the_amount(model, quantity):
    trace = model.trace(quantity)
    assert evaluate(trace, RULES) == Fraction(model.amount(quantity))
    assert holds(trace, RULES)
    stored = msgspec.json.decode(msgspec.json.encode(trace), type=Step)
    assert stored == trace


@given(models, quantities)
def test_a_result_that_its_inputs_do_not_give_does_not_hold(model, quantity):
    trace = model.trace(quantity)
    forged = msgspec.structs.replace(trace, result=str(Fraction(trace.result) + 1))
    assert not holds(forged, RULES)
    if trace.parts:
        part = msgspec.structs.replace(trace.parts[0], result="-1")
        assert not holds(msgspec.structs.replace(trace, parts=(part, *trace.parts[1:])), RULES)


@given(models)
def test_a_model_survives_its_json(model):
    stored = to_json(model)
    assert from_json(json.dumps(stored)) == model
    assert all(isinstance(leaf, str | None) for leaf in leaves(stored))


def leaves(value):
    if isinstance(value, dict):
        return [leaf for item in value.values() for leaf in leaves(item)]
    if isinstance(value, list):
        return [leaf for item in value for leaf in leaves(item)]
    return [value]


def test_equal_decimals_are_stored_alike():
    assert to_json(PerUnit(Decimal("1.50"))) == to_json(PerUnit(Decimal("1.5")))
    assert to_json(PerUnit(Decimal("1E+3"))) == {"model": "per_unit", "unit_amount": "1000"}


@given(st.builds(PerUnit, amounts), quantities, quantities)
def test_unit_prices_are_additive(model, one, other):
    parts = Fraction(model.amount(one)) + Fraction(model.amount(other))
    assert Fraction(model.amount(EXACT.add(one, other))) == parts


@given(graduated, quantities, quantities)
def test_graduated_prices_never_fall(model, one, other):
    assert model.amount(min(one, other)) <= model.amount(max(one, other))


@given(graduated, quantities)
def test_the_tiers_share_out_the_whole_quantity(model, quantity):
    rows = model.trace(quantity).parts
    assert sum((Fraction(row.inputs["quantity"]) for row in rows), Fraction(0)) == quantity
    for row in rows:
        units, above = Fraction(row.inputs["quantity"]), Fraction(row.inputs["above"])
        assert units >= 0
        if row.inputs["up_to"] is not None:
            assert above + units <= Fraction(row.inputs["up_to"])


@given(tier_lists(), quantities)
def test_graduated_amounts_are_the_integral_of_the_step_function(tiers, quantity):
    """The oracle: the unit amount in force, over the quantity, plus the flats stepped over."""
    bounds = [Decimal(0), *[tier.up_to for tier in tiers if tier.up_to is not None]]
    total = Fraction(0)
    for index, tier in enumerate(tiers):
        low = bounds[index]
        high = bounds[index + 1] if index + 1 < len(bounds) else max(quantity, low)
        units = max(min(quantity, high) - low, Decimal(0))
        total += Fraction(units) * Fraction(tier.unit_amount)
        if quantity > low:
            total += Fraction(tier.flat_amount)
    assert Fraction(Graduated(tiers).amount(quantity)) == total


@given(percentage_tiers(), quantities)
def test_graduated_percentages_are_graduated_prices_of_hundredths(tiers, quantity):
    alike = tuple(Tier(t.up_to, t.rate_percent.scaleb(-2), t.flat_amount) for t in tiers)
    found = GraduatedPercentage(tiers).amount(quantity)
    assert Fraction(found) == Fraction(Graduated(alike).amount(quantity))


@given(tier_lists(flats=False), st.data())
def test_without_flats_graduated_prices_have_no_jumps(tiers, data):
    model, step = Graduated(tiers), Decimal("0.001")
    at = data.draw(st.sampled_from([t.up_to for t in tiers if t.up_to is not None] or [Decimal(7)]))
    steepest = max(tier.unit_amount for tier in tiers)
    rise = Fraction(steepest) * Fraction(step)
    below, there, above = (Fraction(model.amount(q)) for q in (at - step, at, at + step))
    assert there - below <= rise
    assert above - there <= rise


@given(tier_lists(), st.data())
def test_a_bound_belongs_to_the_tier_it_ends(tiers, data):
    index = data.draw(st.integers(0, len(tiers) - 1))
    bound = tiers[index].up_to
    if bound is None:
        return
    assert Volume(tiers).trace(bound).parts[0].inputs["tier"] == str(index + 1)
    just_above = bound + Decimal("0.000000001")
    assert Volume(tiers).trace(just_above).parts[0].inputs["tier"] == str(index + 2)


@given(tier_lists(), st.data())
def test_volume_prices_the_whole_quantity_in_one_tier(tiers, data):
    quantity = data.draw(quantities.filter(bool))
    holding = next(t for t in tiers if t.up_to is None or quantity <= t.up_to)
    expected = Fraction(quantity) * Fraction(holding.unit_amount) + Fraction(holding.flat_amount)
    assert Fraction(Volume(tiers).amount(quantity)) == expected


@given(packages, quantities)
def test_packages_rounded_up_never_undercharge_and_rounded_down_never_overcharge(model, quantity):
    paid = max(Fraction(quantity) - Fraction(model.free_units), Fraction(0))
    exact = paid / Fraction(model.size) * Fraction(model.package_amount)
    amount, package = Fraction(model.amount(quantity)), Fraction(model.package_amount)
    if model.rounding == "up":
        assert exact <= amount < exact + package or amount == exact
    else:
        assert exact - package < amount <= exact or amount == exact


@given(models)
def test_nothing_used_costs_nothing_but_the_first_flat_where_asked(model):
    expected = Decimal(0)
    if (
        isinstance(model, Graduated | Volume | GraduatedPercentage)
        and model.zero_usage == "first_tier_flat"
    ):
        expected = model.tiers[0].flat_amount
    assert model.amount(Decimal(0)) == expected


@given(models, quantities.filter(bool))
def test_a_negative_quantity_is_refused(model, quantity):
    for refuse in (model.amount, model.trace):
        with pytest.raises(Invalid) as refused:
            refuse(-quantity)
        assert (refused.value.code, refused.value.field) == ("NEGATIVE_QUANTITY", "quantity")


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity"])
def test_a_quantity_that_is_no_number_is_refused(text):
    with pytest.raises(Invalid) as refused:
        PerUnit(Decimal(1)).amount(Decimal(text))
    assert refused.value.code == "NOT_FINITE"


def one(up_to, unit="1", flat="0"):
    return Tier(None if up_to is None else Decimal(up_to), Decimal(unit), Decimal(flat))


@pytest.mark.parametrize(
    ("make", "field", "code"),
    [
        (lambda: Flat(Decimal(-1)), "flatAmount", "NEGATIVE_AMOUNT"),
        (lambda: PerUnit(Decimal("-0.01")), "unitAmount", "NEGATIVE_AMOUNT"),
        (lambda: PerUnit(Decimal("NaN")), "unitAmount", "NOT_FINITE"),
        (lambda: PerUnit(Decimal("Infinity")), "unitAmount", "NOT_FINITE"),
        (lambda: PerUnit(Decimal("1E+18")), "unitAmount", "TOO_MANY_DIGITS"),
        (lambda: PerUnit(Decimal("1E-19")), "unitAmount", "TOO_MANY_DIGITS"),
        (lambda: Package(Decimal(-1), Decimal(1)), "packageAmount", "NEGATIVE_AMOUNT"),
        (lambda: Package(Decimal(1), Decimal(0)), "size", "NOT_POSITIVE"),
        (lambda: Package(Decimal(1), Decimal(1), "nearest"), "rounding", "INVALID_ROUNDING"),
        (
            lambda: Package(Decimal(1), Decimal(1), "up", Decimal(-1)),
            "freeUnits",
            "NEGATIVE_AMOUNT",
        ),
        (lambda: Graduated(()), "tiers", "INVALID_TIERS"),
        (lambda: Graduated((one(None),) * 101), "tiers", "INVALID_TIERS"),
        (lambda: Graduated((one("5"),)), "tiers[0].upTo", "LAST_TIER_NOT_OPEN"),
        (lambda: Volume((one(None), one(None))), "tiers[0].upTo", "TIER_NOT_BOUNDED"),
        (lambda: Volume((one("0"), one(None))), "tiers[0].upTo", "TIERS_NOT_ASCENDING"),
        (
            lambda: Graduated((one("5"), one("5"), one(None))),
            "tiers[1].upTo",
            "TIERS_NOT_ASCENDING",
        ),
        (
            lambda: Graduated((one("5"), one(None, unit="-1"))),
            "tiers[1].unitAmount",
            "NEGATIVE_AMOUNT",
        ),
        (
            lambda: Graduated((one("5"), one(None, flat="-1"))),
            "tiers[1].flatAmount",
            "NEGATIVE_AMOUNT",
        ),
        (lambda: Graduated((one(None),), "always"), "zeroUsage", "INVALID_ZERO_USAGE"),
    ],
)
def test_a_model_that_cannot_be_priced_is_refused(make, field, code):
    with pytest.raises(Invalid) as refused:
        make()
    assert (refused.value.field, refused.value.code) == (field, code)
    assert refused.value.message.startswith(field)


def test_a_binary_float_is_a_bug():
    with pytest.raises(TypeError, match="is a Decimal"):
        PerUnit(0.1)


def test_the_refusal_of_a_stored_model_names_its_field_too():
    with pytest.raises(Invalid) as refused:
        from_json('{"model":"graduated","tiers":[{"up_to":"3","unit_amount":"1"}]}')
    assert refused.value.code == "LAST_TIER_NOT_OPEN"


def test_quantities_as_wide_as_they_are_stored_are_priced_exactly():
    widest = Decimal("9" * 38 + "." + "9" * 18)
    price = Decimal("9" * 18 + "." + "9" * 18)
    model = Graduated((Tier(Decimal(1), price, price), Tier(None, price, price)))
    expected = Fraction(widest) * Fraction(price) + 2 * Fraction(price)
    assert Fraction(model.amount(widest)) == expected
