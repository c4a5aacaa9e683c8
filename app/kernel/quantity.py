"""Exact decimals: the arithmetic of every quantity and amount.

Python's default context silently rounds to 28 digits; products of two stored numbers need
more. `EXACT` has room for them and raises instead of rounding.
"""

from collections.abc import Iterable
from decimal import (
    ROUND_HALF_UP,
    Context,
    Decimal,
    DecimalException,
    DivisionByZero,
    FloatOperation,
    Inexact,
    InvalidOperation,
    Overflow,
)
from fractions import Fraction
from functools import cache

EXACT = Context(
    prec=200, traps=[Inexact, InvalidOperation, DivisionByZero, Overflow, FloatOperation]
)
# Room for rounding: `quantize` and integer division may drop digits on purpose.
_ROUNDING = Context(prec=200, traps=[InvalidOperation, DivisionByZero, Overflow, FloatOperation])

_ONE = Decimal(1)

# What ClickHouse stores of a metered quantity: Decimal(76, 18).
QUANTITY_DECIMALS = 18
QUANTITY_INTEGER_DIGITS = 38


# A decimal, or a fraction where no decimal is exact.
Number = Decimal | Fraction


def plus(left: Number, right: Number) -> Number:
    if isinstance(left, Decimal) and isinstance(right, Decimal):
        return EXACT.add(left, right)
    return Fraction(left) + Fraction(right)


def added(amounts: Iterable[Decimal]) -> Decimal:
    """The exact sum."""
    total = Decimal(0)
    for amount in amounts:
        total = EXACT.add(total, amount)
    return total


def minus(left: Number, right: Number) -> Number:
    if isinstance(left, Decimal) and isinstance(right, Decimal):
        return EXACT.subtract(left, right)
    return Fraction(left) - Fraction(right)


def times(left: Number, right: Number) -> Number:
    if isinstance(left, Decimal) and isinstance(right, Decimal):
        return EXACT.multiply(left, right)
    return Fraction(left) * Fraction(right)


def exact_number(text: str) -> Number:
    """The number of a text such as `12.5` or `2/3`. Raises ValueError for anything else."""
    return Fraction(text) if "/" in text else parse_decimal(text)


def parse_decimal(text: str) -> Decimal:
    """The exact decimal a caller wrote. Raises ValueError for anything not a finite number."""
    try:
        value = EXACT.create_decimal(text)
    except (DecimalException, ValueError, TypeError) as error:
        raise ValueError(f"{text!r} is not a decimal number") from error
    if not value.is_finite():
        raise ValueError(f"{text!r} is not a finite number")
    return value


def round_half_away(value: Decimal, decimals: int) -> Decimal:
    """To `decimals` places (negative: tens, hundreds …), halves away from zero."""
    return value.quantize(_unit(decimals), ROUND_HALF_UP, context=_ROUNDING)


@cache
def _unit(decimals: int) -> Decimal:
    """One of the last place."""
    return Decimal(1).scaleb(-decimals)


def ratio_rounded(numerator: Decimal, denominator: Decimal, decimals: int) -> Decimal:
    """`numerator / denominator`, rounded once to `decimals` places, halves away from zero.

    The quotient is taken as a fraction, so that no digit is lost before the rounding.
    Raises ZeroDivisionError.
    """
    return fraction_rounded(Fraction(numerator) / Fraction(denominator), decimals)


def fraction_rounded(value: Fraction, decimals: int) -> Decimal:
    """A fraction to `decimals` places, halves away from zero."""
    scaled = abs(value) * Fraction(10) ** decimals
    whole = (2 * scaled.numerator + scaled.denominator) // (2 * scaled.denominator)
    return EXACT.scaleb(Decimal(whole if value >= 0 else -whole), -decimals)


def whole_steps(value: Number, size: Decimal, *, up: bool) -> Decimal:
    """How many steps of `size` there are in `value`, rounded up or down, exactly."""
    if isinstance(value, Decimal) and value >= 0:
        whole, rest = _ROUNDING.divmod(value, size)
        return EXACT.add(whole, _ONE) if up and rest else whole
    steps = Fraction(value) / Fraction(size)
    floor = steps.numerator // steps.denominator
    return Decimal(floor + 1 if up and steps != floor else floor)


def plain(value: Decimal) -> str:
    """Without exponent and without trailing zeros: `1.50` → "1.5", `1E+3` → "1000"."""
    if not value:
        return "0"
    text = str(value)
    if "E" in text:
        text = format(value, "f")  # ten times as slow
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return text


__all__ = [
    "EXACT",
    "QUANTITY_DECIMALS",
    "QUANTITY_INTEGER_DIGITS",
    "Number",
    "added",
    "exact_number",
    "fraction_rounded",
    "minus",
    "parse_decimal",
    "plain",
    "plus",
    "ratio_rounded",
    "round_half_away",
    "times",
    "whole_steps",
]
