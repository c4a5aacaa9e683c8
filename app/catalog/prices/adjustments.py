"""What is done to a quantity before its price model, and to the amount after it. Pure.

In this order: the free units come off the quantity, the model prices what is left, and the
amount is kept between the minimum and the maximum.
"""

from decimal import Decimal
from fractions import Fraction

from msgspec import Struct

from app.catalog.prices import numbers
from app.catalog.prices.explanation import Rule, Step, number, step
from app.kernel.errors import Invalid


class Adjustments(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """None of them unless given. Amounts are in major units of the price's currency."""

    free_units: Decimal = Decimal(0)
    minimum: Decimal | None = None
    maximum: Decimal | None = None

    def __post_init__(self) -> None:
        numbers.amount(self.free_units, "freeUnits")
        for limit, name in ((self.minimum, "minimum"), (self.maximum, "maximum")):
            if limit is not None:
                numbers.amount(limit, name)
        if self.minimum is not None and self.maximum is not None and self.minimum > self.maximum:
            raise Invalid(
                f"minimum: {self.minimum} is above the maximum, {self.maximum}",
                field="minimum",
                code="MINIMUM_ABOVE_MAXIMUM",
            )

    def charged(self, quantity: Step) -> Step:
        """The trace of the quantity that is priced, from that of the one that was counted."""
        if self.free_units:
            quantity = _applied("free_units", {"free_units": self.free_units}, quantity)
        return quantity

    def limited(self, charge: Step) -> Step:
        """The charge, kept between the limits."""
        if self.minimum is not None:
            charge = _applied("minimum", {"minimum": self.minimum}, charge)
        if self.maximum is not None:
            charge = _applied("maximum", {"maximum": self.maximum}, charge)
        return charge


NO_ADJUSTMENTS = Adjustments()


def _applied(rule: str, inputs: dict[str, Decimal | str | None], part: Step) -> Step:
    """The rule on top of `part`; the same arithmetic makes the amount and evaluates the trace."""
    draft = step(rule, inputs, Fraction(0), (part,))
    return step(rule, inputs, RULES[rule].evaluate(draft.inputs, [Fraction(part.result)]), (part,))


RULES = {
    "free_units": Rule(
        "quantity − free_units, not below 0",
        lambda i, parts: max(parts[0] - number(i, "free_units"), Fraction(0)),
    ),
    "minimum": Rule("at least the minimum", lambda i, parts: max(parts[0], number(i, "minimum"))),
    "maximum": Rule("at most the maximum", lambda i, parts: min(parts[0], number(i, "maximum"))),
}
