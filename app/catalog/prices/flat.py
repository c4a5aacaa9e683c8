from decimal import Decimal
from typing import ClassVar, Literal

from msgspec import Struct

from app.catalog.prices import numbers
from app.catalog.prices.explanation import Rule, Step, number, step
from app.kernel.quantity import Number, times

RULES = {
    "flat": Rule(
        "flat_amount × quantity", lambda i, _: number(i, "flat_amount") * number(i, "quantity")
    )
}


class Flat(Struct, frozen=True, tag_field="model", tag="flat"):
    """An amount per period, times the quantity that the subscription holds (usually 1)."""

    kind: ClassVar[Literal["flat"]] = "flat"
    flat_amount: Decimal

    def __post_init__(self) -> None:
        numbers.amount(self.flat_amount, "flatAmount")

    def amount(self, quantity: Number) -> Number:
        """Unrounded. Raises: Invalid (a negative quantity)."""
        return times(self.flat_amount, numbers.quantity(quantity))

    def trace(self, quantity: Number) -> Step:
        inputs = {"flat_amount": self.flat_amount, "quantity": quantity}
        return step(self.kind, inputs, self.amount(quantity))
