"""The figures of an invoice while its stages are taken, in minor units. Pure.

Two kinds of figures go side by side: exact ones, which arithmetic goes on with, and whole ones,
which are printed and sum. With `Spread.MINOR_UNIT` they are the same.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from app.invoicing.amounts.rules import Rules
from app.kernel import shares
from app.kernel.quantity import EXACT, fraction_rounded

Exact = tuple[Fraction, ...]
Whole = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Line:
    """One line before anything is taken off: `amount` in major units, exact or rounded."""

    id: str
    amount: Decimal
    kind: str = "usage"


@dataclass(frozen=True, slots=True)
class Sheet:
    """Per line, in the lines' order. `due` is what is still asked for, never below what is left.

    `left` is exact: the amount less discounts. `added` is the tax on top, whole.
    """

    lines: tuple[Line, ...]
    currency: str
    decimals: int
    rules: Rules
    gross: Whole
    left: Exact
    discount: Whole
    prepaid: Whole
    tax: Whole
    added: Whole
    due: int

    def indices(self, ids: Collection[str] | None) -> list[int]:
        """The places of the lines with these ids; None: of all."""
        return [i for i, line in enumerate(self.lines) if ids is None or line.id in ids]

    @property
    def payable(self) -> Whole:
        """What is still to be paid of each line, whole."""
        rows = zip(self.gross, self.discount, self.added, self.prepaid, strict=True)
        return tuple(gross - off + added - paid for gross, off, added, paid in rows)

    def major(self, minor: int) -> Decimal:
        return major(minor, self.decimals)

    def minor(self, amount: Decimal) -> Fraction:
        return Fraction(amount) * Fraction(10) ** self.decimals


def opened(lines: Sequence[Line], currency: str, decimals: int, rules: Rules) -> Sheet:
    """The sheet with nothing done yet. Lines that are not rounded are shown rounded to their sum.

    Raises ValueError for whole shares of lines that are not whole.
    """
    exact = [Fraction(line.amount) * 10**decimals for line in lines]
    if rules.round_lines:
        exact = [Fraction(half_away(amount)) for amount in exact]
    subtotal = half_away(sum(exact, Fraction(0)))
    nothing = (0,) * len(lines)
    return Sheet(
        lines=tuple(lines),
        currency=currency,
        decimals=decimals,
        rules=rules,
        gross=tuple(shares.rounded(exact, subtotal)),
        left=tuple(exact),
        discount=nothing,
        prepaid=nothing,
        tax=nothing,
        added=nothing,
        due=subtotal,
    )


def half_away(value: Fraction) -> int:
    """To a whole number, halves away from zero."""
    return int(fraction_rounded(value, 0))


def major(minor: int, decimals: int) -> Decimal:
    """Minor units as an amount in major ones."""
    return EXACT.scaleb(Decimal(minor), -decimals)


def plus(one: Sequence[int], other: Sequence[int]) -> Whole:
    return tuple(a + b for a, b in zip(one, other, strict=True))
