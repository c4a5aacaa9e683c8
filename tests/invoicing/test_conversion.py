"""Prices in units of one's own: rated in units, converted exactly, rounded once."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.catalog.prices import Adjustments, Conversion, Figures, Flat, Graduated, PerUnit, Tier
from app.invoicing import breakdown, explanation
from app.invoicing.rating import rate
from app.kernel.errors import Invalid
from app.kernel.period import Period
from app.kernel.quantity import fraction_rounded
from tests.invoicing import make
from tests.invoicing.make import FEB, JAN, JANUARY

HALF = Period(JAN, JAN + (FEB - JAN) / 2)
TIERS = Graduated(
    (Tier(Decimal(100), Decimal(3), Decimal(50)), Tier(None, Decimal("0.5"), Decimal(7)))
)


def credits(rate="0.01"):
    return Conversion("pun_1", "CRD", Decimal(rate))


def only(fact):
    [line] = rate(fact)
    return line, explanation.to_json(line.explanation)


def test_a_line_keeps_its_amount_in_units_and_the_rate():
    price = make.price(TIERS, conversion=credits("0.015"))
    line, stored = only(make.fact(price, Figures(Decimal(150))))
    # 100 × 3 + 50, and 50 × 0.5 + 7: 382 credits.
    assert line.amount == Decimal("5.73")
    assert breakdown.converted(stored) == breakdown.Converted("CRD", Decimal(382), Decimal("0.015"))
    assert explanation.evaluate(stored) == line.amount
    [step] = [part for part in line.explanation.parts if part.rule == "conversion"]
    assert (step.inputs, step.result) == ({"unit": "CRD", "rate": "0.015"}, "5.73")
    assert line.price["conversion"] == {"unit": "CRD", "rate": "0.015"}
    # What is printed below the line is in the currency, and adds up.
    rows = breakdown.rows(stored)
    assert [(row.unit_amount, row.flat_amount, row.amount) for row in rows] == [
        (Decimal("0.045"), Decimal("0.75"), Decimal("5.25")),
        (Decimal("0.0075"), Decimal("0.105"), Decimal("0.48")),
    ]


def test_a_price_in_the_currency_has_no_conversion():
    _, stored = only(make.fact(make.price(TIERS), Figures(Decimal(150))))
    assert breakdown.converted(stored) is None
    assert '"conversion"' not in str(stored)


def test_limits_are_in_units_too():
    limits = Adjustments(minimum=Decimal(1000), maximum=Decimal(2000))
    price = make.price(PerUnit(Decimal(1)), conversion=credits(), adjustments=limits)
    amounts = [only(make.fact(price, Figures(Decimal(n))))[0].amount for n in (1, 1500, 9000)]
    assert amounts == [Decimal("10.00"), Decimal("15.00"), Decimal("20.00")]


def test_a_share_of_a_period_is_converted_exactly_and_rounded_once():
    fee = make.price(Flat(Decimal(101)), charge=make.ChargeKind.FIXED, conversion=credits("0.011"))
    line, stored = only(make.fact(fee, quantity=Decimal(3), period=HALF, full=JANUARY))
    # 303 credits for half a month: 151.5 credits, which are 1.6665.
    assert line.amount == Decimal("1.67")
    assert breakdown.converted(stored).amount == Decimal("151.5")
    assert explanation.evaluate(stored) == line.amount


def test_what_is_printed_below_a_line_is_in_the_currency():
    limits = Adjustments(minimum=Decimal(1000))
    price = make.price(PerUnit(Decimal(1)), conversion=credits(), adjustments=limits)
    _, stored = only(make.fact(price, Figures(Decimal(5))))
    told = [(note.rule, note.result) for note in breakdown.notes(stored) if not note.of_quantity]
    assert told == [("minimum", Decimal(10)), ("conversion", Decimal(10))]
    [row] = breakdown.rows(stored)
    assert (row.unit_amount, row.amount) == (Decimal("0.01"), Decimal("0.05"))


@given(
    quantity=st.decimals(0, 10**9, places=3),
    unit=st.decimals(0, 10**4, places=6),
    worth=st.decimals("0.000000000000000001", 10**3, places=18),
)
def test_converting_and_rounding_is_rounding_once(quantity, unit, worth):
    price = make.price(PerUnit(unit), conversion=credits(worth))
    line, stored = only(make.fact(price, Figures(quantity)))
    exact = Fraction(unit) * Fraction(quantity) * Fraction(worth)
    assert line.amount == fraction_rounded(exact, 2)
    assert explanation.evaluate(stored) == line.amount


def test_groups_that_share_a_charge_add_up_in_the_currency():
    price = make.price(
        TIERS, conversion=credits("0.011"), group_by=("region",),
        adjustments=Adjustments(tiers_per="total"),
    )  # fmt: skip
    groups = [Figures(Decimal(n), group=(name,)) for n, name in ((50, "eu"), (100, "us"))]
    lines = list(rate(make.fact(price, *groups, whole=Figures(Decimal(150)))))
    # 382 credits are 4.202.
    assert sum(line.amount for line in lines) == Decimal("4.20")
    for line in lines:
        stored = explanation.to_json(line.explanation)
        assert explanation.evaluate(stored) == line.amount
        assert breakdown.converted(stored).unit == "CRD"


@pytest.mark.parametrize("worth", ["0", "-1", "NaN"])
def test_a_unit_is_worth_something(worth):
    with pytest.raises(Invalid) as caught:
        credits(worth)
    assert caught.value.field == "conversionRate"
