"""A least amount for a period: what it comes to for a part of one, and what is missing. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from app.kernel.quantity import EXACT, fraction_rounded


@dataclass(frozen=True, slots=True)
class TrueUp:
    """`minimum` is the part of it that the period is held to; `amount` what is missing of that."""

    minimum: Decimal
    amount: Decimal


def true_up(minimum: Decimal, share: Fraction, charged: Sequence[Decimal], decimals: int) -> TrueUp:
    """What brings `charged` up to the minimum, and nothing where it is reached.

    `share` is the part of the full period that was served, 0 to 1. Both sides are rounded, to
    `decimals` places, before one is taken off the other: what is billed is what is printed.
    """
    if not 0 <= share <= 1:
        raise ValueError(f"a part of a period lies between 0 and 1, not at {share}")
    held_to = prorated(minimum, share, decimals)
    reached = Decimal(0)
    for amount in charged:
        reached = EXACT.add(reached, amount)
    return TrueUp(held_to, max(EXACT.subtract(held_to, reached), Decimal(0)))


def prorated(amount: Decimal, share: Fraction, decimals: int) -> Decimal:
    """The part of an amount for a part of its period, rounded once, halves away from zero."""
    return fraction_rounded(Fraction(amount) * share, decimals)
