"""A decimal amount of one currency. Arithmetic is exact; only `rounded` rounds."""

from collections.abc import Iterable
from decimal import Decimal
from fractions import Fraction
from typing import Self

from msgspec import Struct

from app.kernel.currencies import minor_units
from app.kernel.quantity import EXACT, round_half_away
from app.kernel.shares import proportional


class Money(Struct, frozen=True):
    """`amount` is in major units (dollars, not cents) and may carry any number of decimals."""

    amount: Decimal
    currency: str

    def __post_init__(self) -> None:
        minor_units(self.currency)
        if not self.amount.is_finite():
            raise ValueError(f"an amount is a finite number, not {self.amount}")

    @classmethod
    def zero(cls, currency: str) -> Self:
        return cls(Decimal(0), currency)

    def __add__(self, other: Self) -> Self:
        return type(self)(EXACT.add(self.amount, self._same(other)), self.currency)

    def __sub__(self, other: Self) -> Self:
        return type(self)(EXACT.subtract(self.amount, self._same(other)), self.currency)

    def __neg__(self) -> Self:
        return type(self)(EXACT.minus(self.amount), self.currency)

    def times(self, factor: Decimal) -> Self:
        return type(self)(EXACT.multiply(self.amount, factor), self.currency)

    def rounded(self) -> Self:
        """To the currency's minor unit (ISO 4217), halves away from zero."""
        return type(self)(round_half_away(self.amount, minor_units(self.currency)), self.currency)

    def _same(self, other: Self) -> Decimal:
        if self.currency != other.currency:
            raise ValueError(f"cannot combine {other.currency} with {self.currency}")
        return other.amount


def total(amounts: Iterable[Money], currency: str) -> Money:
    """The sum; zero of `currency` when there are none."""
    result = Money.zero(currency)
    for amount in amounts:
        result = result + amount
    return result


def allocate(amount: Money, weights: Iterable[Decimal]) -> list[Money]:
    """Split a rounded amount by `weights` into rounded parts that sum to it exactly.

    Largest remainder; a tie goes to the earlier part. All weights zero: everything goes to
    the first part. Raises ValueError for no weights, a negative weight, or an amount that is
    not a whole number of minor units.
    """
    shares = list(weights)
    if not shares or any(w < 0 for w in shares):
        raise ValueError("weights must be given, and none of them negative")
    digits = minor_units(amount.currency)
    units = EXACT.scaleb(amount.amount, digits)
    if units != units.to_integral_value():
        raise ValueError(f"{amount.amount} is not a whole number of minor units")
    sign, whole = (-1 if units < 0 else 1), abs(int(units))
    parts = proportional(whole, [Fraction(share) for share in shares])
    return [Money(EXACT.scaleb(Decimal(sign * p), -digits), amount.currency) for p in parts]
