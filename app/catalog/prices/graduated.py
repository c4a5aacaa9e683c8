from collections.abc import Iterable
from decimal import Decimal
from fractions import Fraction
from typing import ClassVar, Literal

from msgspec import Struct

from app.catalog.prices import tiers
from app.catalog.prices.explanation import Rule, Step, step
from app.catalog.prices.tiers import Tier, ZeroUsage
from app.kernel.quantity import Number, plus

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

    def amount(self, quantity: Number) -> Number:
        """Unrounded. Raises: Invalid (a negative quantity)."""
        return self._amount(tiers.shares(self.tiers, quantity, self.zero_usage))

    def trace(self, quantity: Number) -> Step:
        shares = list(tiers.shares(self.tiers, quantity, self.zero_usage))
        rows = tuple(tiers.row(self.tiers, index, units) for index, units in shares)
        return step(self.kind, {"quantity": quantity}, self._amount(shares), rows)

    def _amount(self, shares: Iterable[tuple[int, Number]]) -> Number:
        total: Number = Decimal(0)
        for index, units in shares:
            total = plus(total, self.tiers[index].amount(units))
        return total
