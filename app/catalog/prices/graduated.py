from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from typing import ClassVar, Literal

from msgspec import Struct

from app.catalog.prices import numbers, tiers
from app.catalog.prices.explanation import Rule, Step, step
from app.catalog.prices.tiers import Tier, ZeroUsage
from app.kernel.quantity import EXACT

RULES = {
    "graduated": Rule("sum of the tiers entered", lambda _, parts: sum(parts, start=Fraction(0)))
}


class Graduated(Struct, frozen=True, tag_field="model", tag="graduated"):
    """Every unit is charged in the tier it falls in; each tier entered adds its flat amount.

    Nothing is charged for a quantity of 0, unless `zero_usage` says that the first tier's flat
    amount is.
    """

    kind: ClassVar[Literal["graduated"]] = "graduated"
    tiers: tuple[Tier, ...]
    zero_usage: ZeroUsage = "zero"

    def __post_init__(self) -> None:
        tiers.check(self.tiers, self.zero_usage)

    def amount(self, quantity: Decimal) -> Decimal:
        """Unrounded. Raises: Invalid (a negative quantity)."""
        total = Decimal(0)
        for index, units in self._shares(quantity):
            total = EXACT.add(total, self.tiers[index].amount(units))
        return total

    def trace(self, quantity: Decimal) -> Step:
        rows = tuple(tiers.row(self.tiers, index, units) for index, units in self._shares(quantity))
        return step(self.kind, {"quantity": quantity}, self.amount(quantity), rows)

    def _shares(self, quantity: Decimal) -> Iterator[tuple[int, Decimal]]:
        """The tiers entered, by position, with the units that fall in each; they sum up."""
        numbers.quantity(quantity)
        if quantity == 0 and self.zero_usage == "first_tier_flat":
            yield 0, Decimal(0)
        below = Decimal(0)
        for index, tier in enumerate(self.tiers):
            if quantity <= below:
                return
            top = quantity if tier.up_to is None else min(quantity, tier.up_to)
            yield index, EXACT.subtract(top, below)
            below = top if tier.up_to is None else tier.up_to
