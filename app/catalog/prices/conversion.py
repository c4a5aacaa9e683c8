"""From a price unit to the currency that it is worth: the last step before a line's rounding that
concerns the price. Pure.

A model whose price is given in a unit asks for units; the conversion makes them currency,
exactly.
"""

from decimal import Decimal
from fractions import Fraction

from msgspec import Struct

from app.catalog.prices import numbers
from app.catalog.prices.explanation import Rule, Step, number, step
from app.kernel.quantity import plain

RULES = {
    "conversion": Rule("units × rate", lambda i, parts: parts[0] * number(i, "rate")),
}


class Conversion(Struct, frozen=True):
    """One unit is `rate` of the currency. As it was when the price was made."""

    unit_id: str
    unit: str
    rate: Decimal

    def __post_init__(self) -> None:
        numbers.positive(self.rate, "conversionRate")

    def terms(self) -> dict[str, str]:
        """What a subscriber must know of it."""
        return {"unit": self.unit, "rate": plain(self.rate)}


def converted(charge: Step, conversion: Conversion | None) -> Step:
    """The charge in the currency of the price; None: it is so already."""
    if conversion is None:
        return charge
    inputs: dict[str, Decimal | str | None] = {"unit": conversion.unit, "rate": conversion.rate}
    result = Fraction(charge.result) * Fraction(conversion.rate)
    return step("conversion", inputs, result, (charge,))
