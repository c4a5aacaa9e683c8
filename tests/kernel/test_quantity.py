from decimal import ROUND_HALF_UP, Decimal, Inexact
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.kernel.quantity import (
    EXACT,
    fraction_rounded,
    parse_decimal,
    plain,
    ratio_rounded,
    whole_steps,
)

numbers = st.decimals(-(10**12), 10**12, places=9)


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-inf", "", "1,5", "0x1", "one"])
def test_what_is_not_a_finite_decimal_is_refused(text):
    with pytest.raises(ValueError, match=r"decimal|finite"):
        parse_decimal(text)


def test_arithmetic_raises_instead_of_rounding():
    with pytest.raises(Inexact):
        EXACT.divide(Decimal(1), Decimal(3))


@given(numbers)
def test_plain_text_reads_back_as_the_same_number(value):
    assert Decimal(plain(value)) == value
    assert "E" not in plain(value)
    assert not plain(value).endswith(".")


@pytest.mark.parametrize(
    ("value", "text"), [("1.50", "1.5"), ("1E+3", "1000"), ("-0.00", "0"), ("100", "100")]
)
def test_plain_text_has_no_exponent_and_no_trailing_zeros(value, text):
    assert plain(Decimal(value)) == text


@given(numbers, numbers.filter(bool), st.integers(0, 6))
def test_a_quotient_is_rounded_once(a, b, digits):
    exact = Fraction(a) / Fraction(b)
    got = Fraction(ratio_rounded(a, b, digits))
    assert abs(got - exact) * 10**digits * 2 <= 1


@given(st.decimals(-(10**6), 10**6, places=5), st.integers(0, 4))
def test_rounding_a_fraction_is_rounding_the_decimal(value, digits):
    expected = value.quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP)
    assert fraction_rounded(Fraction(value), digits) == expected


@pytest.mark.parametrize(
    ("value", "size", "up", "steps"),
    [("10", "3", True, 4), ("10", "3", False, 3), ("9", "3", True, 3), ("0", "3", True, 0)],
)
def test_steps_are_whole(value, size, up, steps):
    assert whole_steps(Decimal(value), Decimal(size), up=up) == steps


@given(
    numbers.filter(lambda value: value >= 0), numbers.filter(lambda size: size > 0), st.booleans()
)
def test_steps_are_those_of_the_fractions(value, size, up):
    whole, rest = divmod(Fraction(value), Fraction(size))
    assert Fraction(whole_steps(value, size, up=up)) == whole + (1 if up and rest else 0)
