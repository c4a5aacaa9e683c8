from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from typing import ClassVar, Literal

from msgspec import Struct

from app.catalog.prices import numbers
from app.catalog.prices.explanation import Inputs, Rule, Step, number, step
from app.kernel.errors import Invalid
from app.kernel.quantity import EXACT, Number, minus, whole_steps

PackageRounding = Literal["up", "down"]


class Package(Struct, frozen=True, tag_field="model", tag="package"):
    """An amount per package of `size` units, after `free_units`.

    A package that was only begun counts in full with rounding `up`, and not at all with `down`.
    """

    kind: ClassVar[Literal["package"]] = "package"
    package_amount: Decimal
    size: Decimal
    rounding: PackageRounding = "up"
    free_units: Decimal = Decimal(0)

    def __post_init__(self) -> None:
        numbers.amount(self.package_amount, "packageAmount")
        numbers.positive(self.size, "size")
        numbers.amount(self.free_units, "freeUnits")
        if self.rounding not in ("up", "down"):
            raise Invalid(
                f"rounding: {self.rounding!r} is neither up nor down",
                field="rounding",
                code="INVALID_ROUNDING",
            )

    def packages(self, quantity: Number) -> Decimal:
        """How many packages are charged: a whole number. Raises: Invalid."""
        paid = minus(numbers.quantity(quantity), self.free_units)
        return whole_steps(max(paid, Decimal(0)), self.size, up=self.rounding == "up")

    def amount(self, quantity: Number) -> Decimal:
        """Unrounded. Raises: Invalid (a negative quantity)."""
        return self._amount(self.packages(quantity))

    def trace(self, quantity: Number) -> Step:
        packages = self.packages(quantity)
        inputs = {
            "quantity": quantity,
            "free_units": self.free_units,
            "size": self.size,
            "rounding": self.rounding,
            "packages": packages,
            "package_amount": self.package_amount,
        }
        return step(self.kind, inputs, self._amount(packages))

    def _amount(self, packages: Decimal) -> Decimal:
        return EXACT.multiply(packages, self.package_amount)


def _evaluate(inputs: Inputs, _parts: Sequence[Fraction]) -> Fraction:
    paid = max(number(inputs, "quantity") - number(inputs, "free_units"), Fraction(0))
    packages = paid / number(inputs, "size")
    whole = -(-packages // 1) if inputs["rounding"] == "up" else packages // 1
    return whole * number(inputs, "package_amount")


RULES = {
    "package": Rule(
        "packages × package_amount; packages = (quantity − free_units) ÷ size, rounded", _evaluate
    )
}
