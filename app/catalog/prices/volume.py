from decimal import Decimal
from fractions import Fraction
from typing import ClassVar, Literal

from msgspec import Struct

from app.catalog.prices import tiers
from app.catalog.prices.explanation import Rule, Step, step
from app.catalog.prices.tiers import Tier, ZeroUsage
from app.kernel.quantity import Number

RULES = {
    "volume": Rule(
        "the tier that holds the whole quantity", lambda _, parts: sum(parts, start=Fraction(0))
    )
}


class Volume(Struct, frozen=True, tag_field="model", tag="volume"):
    """The tier that holds the whole quantity prices all of it, and adds its flat amount.

    The total may fall where a cheaper tier begins. `zero_usage` as for graduated prices.
    """

    kind: ClassVar[Literal["volume"]] = "volume"
    tiers: tuple[Tier, ...]
    zero_usage: ZeroUsage = "zero"

    def __post_init__(self) -> None:
        tiers.check(self.tiers, self.zero_usage)

    def amount(self, quantity: Number) -> Number:
        """Unrounded. Raises: Invalid (a negative quantity)."""
        return self._amount(self._tier(quantity), quantity)

    def trace(self, quantity: Number) -> Step:
        index = self._tier(quantity)
        rows = () if index is None else (tiers.row(self.tiers, index, quantity),)
        return step(self.kind, {"quantity": quantity}, self._amount(index, quantity), rows)

    def _amount(self, index: int | None, quantity: Number) -> Number:
        return Decimal(0) if index is None else self.tiers[index].amount(quantity)

    def _tier(self, quantity: Number) -> int | None:
        """The position of the tier that holds the quantity; None where nothing is charged."""
        index = tiers.holding(self.tiers, quantity)
        return None if quantity == 0 and self.zero_usage == "zero" else index
