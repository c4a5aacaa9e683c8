from decimal import Decimal
from typing import ClassVar, Literal

from msgspec import Struct

from app.catalog.prices import numbers
from app.catalog.prices.explanation import Rule, Step, number, step
from app.kernel.quantity import Number, times

RULES = {
    "dynamic": Rule(
        "event_amounts × multiplier",
        lambda i, _: number(i, "event_amounts") * number(i, "multiplier"),
    )
}


class Dynamic(Struct, frozen=True, tag_field="model", tag="dynamic"):
    """The amounts that the events carry, in the price's currency, times a multiplier."""

    kind: ClassVar[Literal["dynamic"]] = "dynamic"
    multiplier: Decimal = Decimal(1)

    def __post_init__(self) -> None:
        numbers.amount(self.multiplier, "multiplier")

    def amount(self, quantity: Number) -> Number:
        """`quantity` is the sum of the amounts. Unrounded. Raises: Invalid (a negative one)."""
        return times(self.multiplier, numbers.quantity(quantity))

    def trace(self, quantity: Number) -> Step:
        inputs = {"event_amounts": quantity, "multiplier": self.multiplier}
        return step(self.kind, inputs, self.amount(quantity))
