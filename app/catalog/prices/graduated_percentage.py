from decimal import Decimal
from fractions import Fraction
from typing import ClassVar, Literal

from msgspec import Struct

from app.catalog.prices import numbers, tiers
from app.catalog.prices.explanation import Rule, Step, number, step
from app.catalog.prices.tiers import ZeroUsage
from app.kernel.quantity import Number, plus, times

RULES = {
    "percentage_tier": Rule(
        "quantity × rate_percent ÷ 100 + flat_amount",
        lambda i, _: (
            number(i, "quantity") * number(i, "rate_percent") / 100 + number(i, "flat_amount")
        ),
    ),
    "graduated_percentage": Rule(
        "sum of the tiers entered", lambda _, parts: sum(parts, start=Fraction(0))
    ),
}
_HUNDREDTH = Decimal("0.01")


class PercentageTier(Struct, frozen=True):
    """`up_to` is the last amount of the tier; None is without end."""

    up_to: Decimal | None
    rate_percent: Decimal = Decimal(0)
    flat_amount: Decimal = Decimal(0)

    def amount(self, quantity: Number) -> Number:
        """For the part of an amount that falls in this tier, its flat amount included."""
        return plus(times(times(self.rate_percent, _HUNDREDTH), quantity), self.flat_amount)


class GraduatedPercentage(Struct, frozen=True, tag_field="model", tag="graduated_percentage"):
    """A percentage of an amount, each part of it at the rate of the tier it falls in.

    Each tier entered adds its flat amount. `zero_usage` as for graduated prices.
    """

    kind: ClassVar[Literal["graduated_percentage"]] = "graduated_percentage"
    tiers: tuple[PercentageTier, ...]
    zero_usage: ZeroUsage = "zero"

    def __post_init__(self) -> None:
        for index, tier in enumerate(self.tiers):
            numbers.amount(tier.rate_percent, f"tiers[{index}].ratePercent")
            numbers.amount(tier.flat_amount, f"tiers[{index}].flatAmount")
        tiers.check_bounds(self.tiers)
        tiers.check_zero_usage(self.zero_usage)

    def amount(self, quantity: Number) -> Number:
        """Unrounded. Raises: Invalid (a negative quantity)."""
        total: Number = Decimal(0)
        for index, units in tiers.shares(self.tiers, quantity, self.zero_usage):
            total = plus(total, self.tiers[index].amount(units))
        return total

    def trace(self, quantity: Number) -> Step:
        shares = tiers.shares(self.tiers, quantity, self.zero_usage)
        rows = tuple(self._row(index, units) for index, units in shares)
        return step(self.kind, {"quantity": quantity}, self.amount(quantity), rows)

    def _row(self, index: int, units: Number) -> Step:
        tier = self.tiers[index]
        inputs = {
            **tiers.place(self.tiers, index),
            "quantity": units,
            "rate_percent": tier.rate_percent,
            "flat_amount": tier.flat_amount,
        }
        return step("percentage_tier", inputs, tier.amount(units))
