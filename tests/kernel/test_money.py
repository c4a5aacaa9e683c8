from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.kernel.currencies import minor_units
from app.kernel.money import Money, allocate, total

cents = st.integers(-(10**12), 10**12)
weights = st.lists(st.decimals(0, 10**6, places=4), min_size=1, max_size=12)


@pytest.mark.parametrize(
    ("amount", "currency", "rounded"),
    [
        ("1.005", "USD", "1.01"),
        ("-1.005", "USD", "-1.01"),
        ("1.00499999999999999999999999999999999999", "USD", "1.00"),
        ("0.5", "JPY", "1"),
        ("2.5", "JPY", "3"),
        ("1.0005", "KWD", "1.001"),
    ],
)
def test_rounding_is_half_away_from_zero_at_the_minor_unit(amount, currency, rounded):
    assert Money(Decimal(amount), currency).rounded().amount == Decimal(rounded)


def test_currencies_do_not_mix():
    with pytest.raises(ValueError, match="cannot combine EUR with USD"):
        Money(Decimal(1), "USD") + Money(Decimal(1), "EUR")


@pytest.mark.parametrize("amount", ["NaN", "Infinity"])
def test_an_amount_is_finite(amount):
    with pytest.raises(ValueError, match="finite"):
        Money(Decimal(amount), "USD")


def test_an_unknown_currency_is_refused():
    with pytest.raises(ValueError, match="ISO 4217"):
        Money(Decimal(1), "usd")


def test_products_of_long_numbers_lose_no_digit():
    long = Decimal("1." + "1" * 37)
    assert len(Money(long, "USD").times(long).amount.as_tuple().digits) == 75


@given(cents, weights)
def test_the_parts_of_a_split_sum_to_the_whole(units, shares):
    whole = Money(Decimal(units).scaleb(-2), "USD")
    parts = allocate(whole, shares)
    assert total(parts, "USD") == whole or sum(p.amount for p in parts) == whole.amount
    assert all(part == part.rounded() for part in parts)


@given(st.integers(0, 10**9), weights.filter(any))
def test_no_part_is_a_minor_unit_away_from_its_share(units, shares):
    parts = allocate(Money(Decimal(units), "JPY"), shares)
    whole = sum(shares)
    for part, share in zip(parts, shares, strict=True):
        assert abs(part.amount * whole - units * share) < whole


def test_a_tie_goes_to_the_earlier_part():
    parts = allocate(Money(Decimal("0.01"), "USD"), [Decimal(1), Decimal(1)])
    assert [p.amount for p in parts] == [Decimal("0.01"), Decimal("0.00")]


@pytest.mark.parametrize(("amount", "shares"), [("1", []), ("1", ["-1"]), ("1.001", ["1"])])
def test_what_cannot_be_split_is_refused(amount, shares):
    with pytest.raises(ValueError, match=r"weights|minor units"):
        allocate(Money(Decimal(amount), "USD"), [Decimal(s) for s in shares])


def test_minor_units_follow_iso_4217():
    assert [minor_units(c) for c in ("USD", "JPY", "KWD", "CLF")] == [2, 0, 3, 4]
