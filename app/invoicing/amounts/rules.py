"""The ways of the field that an environment chooses between. Pure.

What they mean for an invoice is in the modules that follow them.
"""

from dataclasses import dataclass
from enum import StrEnum


class Stage(StrEnum):
    """What is done to the lines of an invoice, one after the other."""

    DISCOUNTS = "discounts"
    PREPAID = "prepaid"
    TAX = "tax"
    CREDITS = "credits"


class Spread(StrEnum):
    """How a discount falls on the lines it is taken off."""

    MINOR_UNIT = "minor_unit"
    """By largest remainder, in whole minor units: what is taxed is what is printed."""
    EXACT = "exact"
    """In exact proportion: further discounts and taxes start from unrounded remainders. The
    shares that are printed are rounded so that they sum."""


class TaxRounding(StrEnum):
    PER_RATE = "per_rate"
    """Each rate on the invoice is rounded on its own; the tax is their sum."""
    PER_INVOICE = "per_invoice"
    """The tax is rounded once; the rates' amounts are rounded so that they sum to it."""


# Prepaid credits pay for what was used, and tax is due on it all the same.
CREDITS_BEFORE_TAX = (Stage.DISCOUNTS, Stage.PREPAID, Stage.TAX, Stage.CREDITS)
# Prepaid credits pay what is left of the whole invoice, its tax included.
CREDITS_AFTER_TAX = (Stage.DISCOUNTS, Stage.TAX, Stage.CREDITS, Stage.PREPAID)


@dataclass(frozen=True, slots=True)
class Rules:
    """`round_lines`: each line is rounded before anything else; otherwise only their sum is.

    `Spread.MINOR_UNIT` needs lines that are whole, so it goes with `round_lines`.
    """

    stages: tuple[Stage, ...] = CREDITS_BEFORE_TAX
    spread: Spread = Spread.MINOR_UNIT
    tax_rounding: TaxRounding = TaxRounding.PER_RATE
    round_lines: bool = True

    def __post_init__(self) -> None:
        if self.spread is Spread.MINOR_UNIT and not self.round_lines:
            raise ValueError("whole shares need rounded lines; spread exactly instead")
        if len(set(self.stages)) != len(self.stages):
            raise ValueError(f"a stage is there twice: {', '.join(self.stages)}")
