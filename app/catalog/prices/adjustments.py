"""What is done to a quantity before its price model, and to the amount after it. Pure.

In this order: the quantity is converted and rounded, the free units come off, the model prices
what is left, and the amount is kept between the minimum and the maximum.
"""

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Literal

from msgspec import Struct

from app.catalog.prices import numbers
from app.catalog.prices.explanation import Inputs, Rule, Step, number, text, written
from app.catalog.prices.rounding import rounded
from app.kernel.errors import Invalid
from app.kernel.quantity import Number

TransformRounding = Literal["none", "up", "down", "half_up"]
Bucket = Literal["hour", "day", "week", "month"]
TiersPer = Literal["group", "total"]
MOST_PRECISION = 18
_ROUNDINGS = ("none", "up", "down", "half_up")
_BUCKETS = ("hour", "day", "week", "month")


class Transform(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """The unit that is priced: the quantity times or over a factor, rounded to `precision`
    decimals; a negative one rounds to tens, hundreds and so on.

    Exactly one factor is given. `half_up` is half away from zero; `none` keeps every digit.
    """

    multiply_by: Decimal | None = None
    divide_by: Decimal | None = None
    round: TransformRounding = "none"
    precision: int = 0

    def __post_init__(self) -> None:
        if (self.multiply_by is None) == (self.divide_by is None):
            raise Invalid(
                "transform: give either multiplyBy or divideBy",
                field="transform",
                code="INVALID_TRANSFORM",
            )
        for factor, name in ((self.multiply_by, "multiplyBy"), (self.divide_by, "divideBy")):
            if factor is not None:
                numbers.positive(factor, f"transform.{name}")
        if self.round not in _ROUNDINGS:
            raise Invalid(
                f"transform.round: {self.round!r} is none of {', '.join(_ROUNDINGS)}",
                field="transform.round",
                code="INVALID_ROUNDING",
            )
        if abs(self.precision) > MOST_PRECISION:
            raise Invalid(
                f"transform.precision: {self.precision} must lie between "
                f"-{MOST_PRECISION} and {MOST_PRECISION}",
                field="transform.precision",
                code="INVALID_PRECISION",
            )

    def trace(self, quantity: Step) -> Step:
        return applied(
            "transform",
            {
                "multiply_by": self.multiply_by,
                "divide_by": self.divide_by,
                "round": self.round,
                "precision": Decimal(self.precision),
            },
            quantity,
        )


class Adjustments(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """None of them unless given. Amounts are in major units of the price's currency.

    With `bucket` every local hour, day, week or month of the period is priced on its own, its
    transform and free units included, and the amounts add up; the limits hold for the sum.
    Where usage is split into a line per group, each of them is priced on its own, limits
    included; with `tiers_per` `total` all of it is priced together, and the amount is shared
    out over the lines by their quantities.
    """

    transform: Transform | None = None
    free_units: Decimal = Decimal(0)
    bucket: Bucket | None = None
    minimum: Decimal | None = None
    maximum: Decimal | None = None
    tiers_per: TiersPer = "group"

    def __post_init__(self) -> None:
        numbers.amount(self.free_units, "freeUnits")
        numbers.optional_amount(self.minimum, "minimum")
        numbers.optional_amount(self.maximum, "maximum")
        if self.minimum is not None and self.maximum is not None and self.minimum > self.maximum:
            raise Invalid(
                f"minimum: {self.minimum} is above the maximum, {self.maximum}",
                field="minimum",
                code="MINIMUM_ABOVE_MAXIMUM",
            )
        if self.bucket is not None and self.bucket not in _BUCKETS:
            raise Invalid(
                f"bucket: {self.bucket!r} is none of {', '.join(_BUCKETS)}",
                field="bucket",
                code="INVALID_BUCKET",
            )
        if self.tiers_per not in ("group", "total"):
            raise Invalid(
                f"tiersPer: {self.tiers_per!r} is neither group nor total",
                field="tiersPer",
                code="INVALID_TIERS_PER",
            )

    @property
    def of_quantity(self) -> str | None:
        """One that says how a single quantity is priced, as callers spell it; None: none does."""
        if self.transform is not None:
            return "transform"
        if self.free_units:
            return "freeUnits"
        if self.bucket is not None:
            return "bucket"
        return "tiersPer" if self.tiers_per == "total" else None

    def charged(self, quantity: Step) -> Step:
        """The trace of the quantity that is priced, from that of the one that was counted."""
        if self.transform is not None:
            quantity = self.transform.trace(quantity)
        if self.free_units:
            quantity = applied("free_units", {"free_units": self.free_units}, quantity)
        return quantity

    def limited(self, charge: Step) -> Step:
        """The charge, kept between the limits."""
        if self.minimum is not None:
            charge = applied("minimum", {"minimum": self.minimum}, charge)
        if self.maximum is not None:
            charge = applied("maximum", {"maximum": self.maximum}, charge)
        return charge


NO_ADJUSTMENTS = Adjustments()


def applied(rule: str, inputs: dict[str, Number | str | None], part: Step) -> Step:
    """The rule on top of `part`; the same arithmetic makes the amount and evaluates the trace."""
    given = written(inputs)
    result = RULES[rule].evaluate(given, [Fraction(part.result)])
    return Step(rule, given, text(result), (part,))


def _transform(inputs: Inputs, parts: Sequence[Fraction]) -> Fraction:
    factor = inputs["multiply_by"]
    value = (
        parts[0] / number(inputs, "divide_by") if factor is None else parts[0] * Fraction(factor)
    )
    return rounded(value, str(inputs["round"]), int(number(inputs, "precision")))


RULES = {
    "transform": Rule(
        "quantity × multiply_by, or ÷ divide_by, rounded to `precision` places", _transform
    ),
    "free_units": Rule(
        "quantity − free_units, not below 0",
        lambda i, parts: max(parts[0] - number(i, "free_units"), Fraction(0)),
    ),
    "minimum": Rule("at least the minimum", lambda i, parts: max(parts[0], number(i, "minimum"))),
    "maximum": Rule("at most the maximum", lambda i, parts: min(parts[0], number(i, "maximum"))),
}
