"""What more usage costs, where the charge of the period is billed in several parts. Pure."""

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from app.catalog.prices import numbers
from app.catalog.prices.explanation import Rule, Step, number, step
from app.catalog.prices.models import QuantityModel
from app.kernel.errors import Invalid
from app.kernel.quantity import EXACT

RULES = {
    "delta": Rule(
        "the charge of all usage so far − the charge of what was billed before, if anything was",
        lambda _, parts: parts[0] - sum(parts[1:]),
    ),
    "cumulative": Rule(
        "charge × (100 − discount_percent) ÷ 100, at most the maximum",
        lambda i, parts: _reduced(
            parts[0],
            number(i, "discount_percent"),
            None if i["maximum"] is None else number(i, "maximum"),
        ),
    ),
}


@dataclass(frozen=True, slots=True)
class Progress:
    """The charge of a period, billed as usage comes in: `billed` units were billed before.

    None: nothing was, not even what a price asks for where nothing is used.
    The discount comes off the charge of all usage, which then is kept to the maximum; both
    therefore hold for the period however often it is billed.
    """

    model: QuantityModel
    billed: Decimal | None
    discount_percent: Decimal = Decimal(0)
    maximum: Decimal | None = None

    def __post_init__(self) -> None:
        numbers.amount(self.discount_percent, "discountPercent")
        numbers.optional_amount(self.maximum, "maximum")
        if self.discount_percent > 100:
            raise Invalid(
                f"discountPercent: {self.discount_percent} must not be above 100",
                field="discountPercent",
                code="ABOVE_HUNDRED_PERCENT",
            )

    def trace(self, quantity: Decimal) -> Step:
        """What `quantity` units more cost. Negative where usage, or the charge, falls."""
        after = self._until(EXACT.add(self.billed or Decimal(0), quantity))
        before = () if self.billed is None else (self._until(self.billed),)
        inputs = {"quantity": quantity, "quantity_before": self.billed}
        result = Fraction(after.result) - sum(Fraction(part.result) for part in before)
        return step("delta", inputs, result, (after, *before))

    def _until(self, quantity: Decimal) -> Step:
        charge = self.model.trace(max(quantity, Decimal(0)))
        inputs = {"discount_percent": self.discount_percent, "maximum": self.maximum}
        result = _reduced(
            Fraction(charge.result),
            Fraction(self.discount_percent),
            None if self.maximum is None else Fraction(self.maximum),
        )
        return step("cumulative", inputs, result, (charge,))


def _reduced(charge: Fraction, percent: Fraction, maximum: Fraction | None) -> Fraction:
    left = charge * (100 - percent) / 100
    return left if maximum is None else min(left, maximum)
