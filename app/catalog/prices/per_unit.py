from decimal import Decimal
from typing import ClassVar, Literal

from msgspec import Struct

from app.catalog.prices import numbers
from app.catalog.prices.explanation import Rule, Step, number, step
from app.kernel.quantity import Number, times

RULES = {
    "per_unit": Rule(
        "unit_amount × quantity", lambda i, _: number(i, "unit_amount") * number(i, "quantity")
    )
}


class PerUnit(Struct, frozen=True, tag_field="model", tag="per_unit"):
    """The same amount for every unit, fractions of a unit in proportion."""

    kind: ClassVar[Literal["per_unit"]] = "per_unit"
    unit_amount: Decimal

    def __post_init__(self) -> None:
        numbers.amount(self.unit_amount, "unitAmount")

    def amount(self, quantity: Number) -> Number:
        """Unrounded. Raises: Invalid (a negative quantity)."""
        return times(self.unit_amount, numbers.quantity(quantity))

    def trace(self, quantity: Number) -> Step:
        inputs = {"unit_amount": self.unit_amount, "quantity": quantity}
        return step(self.kind, inputs, self.amount(quantity))
