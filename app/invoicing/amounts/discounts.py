"""Discounts: one after the other, each on what the ones before have left. Pure.

A percentage is rounded, halves away from zero; neither kind takes more than is left. What an
invoice-level discount takes is spread over its lines in proportion to what they have left; a
line-level one is taken off each of its lines on its own.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from app.invoicing.amounts.rules import Spread
from app.invoicing.amounts.sheet import Exact, Sheet, Whole, half_away, plus
from app.kernel import shares
from app.kernel.copies import replace


@dataclass(frozen=True, slots=True, kw_only=True)
class Discount:
    """Exactly one of `percent` (10 is 10 %) and `amount` (major units) is given.

    `lines` are the ids of those it may be taken off; None: all. `each`: off every one of them on
    its own. A discount in another currency than the invoice's is passed over.
    """

    id: str
    percent: Decimal | None = None
    amount: Decimal | None = None
    currency: str | None = None
    lines: frozenset[str] | None = None
    each: bool = False

    def __post_init__(self) -> None:
        value = self.amount if self.percent is None else self.percent
        if (self.percent is None) == (self.amount is None) or value is None or value < 0:
            raise ValueError(f"discount {self.id} needs a percentage or an amount, not negative")


@dataclass(frozen=True, slots=True)
class DiscountTaken:
    """What a discount did: per line in the sheet's order, in minor units.

    `left` is what each line that it covers had left before, 0 for the others; `exact` is what
    was taken of it and `shares` the same as printed, which sum to `amount`.
    """

    discount: Discount
    amount: int
    left: Exact
    exact: Exact
    shares: Whole


def take(sheet: Sheet, discounts: Sequence[Discount]) -> tuple[Sheet, list[DiscountTaken]]:
    """The sheet after the discounts, in their order. What takes nothing leaves no trace."""
    found = []
    for discount in discounts:
        if discount.currency not in (None, sheet.currency):
            continue
        taken = _taken(sheet, discount)
        if any(taken.exact):
            sheet = _after(sheet, taken)
            found.append(taken)
    return sheet, found


def _taken(sheet: Sheet, discount: Discount) -> DiscountTaken:
    exact = [Fraction(0)] * len(sheet.lines)
    left = [Fraction(0)] * len(sheet.lines)
    room = max(sum(sheet.left, Fraction(0)), Fraction(0))
    for group in _groups(sheet, discount):
        weights = [sheet.left[i] for i in group]
        taken = min(_off(sheet, discount, sum(weights, Fraction(0))), room)
        room -= taken
        for index, weight, share in zip(
            group, weights, _spread(sheet, taken, weights), strict=True
        ):
            left[index], exact[index] = weight, share
    amount = _whole(sheet, sum(exact, Fraction(0)))
    limits = [gross - off for gross, off in zip(sheet.gross, sheet.discount, strict=True)]
    printed = shares.rounded(exact, amount, [max(limit, 0) for limit in limits])
    return DiscountTaken(discount, amount, tuple(left), tuple(exact), tuple(printed))


def _groups(sheet: Sheet, discount: Discount) -> Iterator[list[int]]:
    """The lines that it is worked out on together. What is below zero takes no part."""
    covered = [index for index in sheet.indices(discount.lines) if sheet.left[index] > 0]
    if discount.each:
        yield from ([index] for index in covered)
    elif covered:
        yield covered


def _off(sheet: Sheet, discount: Discount, base: Fraction) -> Fraction:
    if discount.percent is not None:
        return min(Fraction(half_away(base * Fraction(discount.percent) / 100)), base)
    return min(sheet.minor(discount.amount or Decimal(0)), base)


def _spread(sheet: Sheet, taken: Fraction, weights: Sequence[Fraction]) -> list[Fraction]:
    if sheet.rules.spread is Spread.EXACT:
        together = sum(weights, Fraction(0))
        return [taken * weight / together for weight in weights]
    if taken.denominator != 1:
        raise ValueError(f"{taken} minor units cannot be spread in whole ones")
    return [Fraction(part) for part in shares.proportional(int(taken), weights)]


def _whole(sheet: Sheet, taken: Fraction) -> int:
    """What is printed of it: such that the sum of all so far is rounded, and never each alone."""
    gross = sum((sheet.minor(line.amount) for line in sheet.lines), Fraction(0))
    if sheet.rules.round_lines:
        gross = Fraction(sum(sheet.gross))
    before = gross - sum(sheet.left, Fraction(0))
    return half_away(before + taken) - sum(sheet.discount)


def _after(sheet: Sheet, taken: DiscountTaken) -> Sheet:
    return replace(
        sheet,
        left=tuple(left - off for left, off in zip(sheet.left, taken.exact, strict=True)),
        discount=plus(sheet.discount, taken.shares),
        due=sheet.due - taken.amount,
    )
