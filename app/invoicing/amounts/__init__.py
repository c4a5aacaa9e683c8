"""What happens to an invoice between its lines and the amount due. Pure.

`reckon` takes discounts, prepaid credits, taxes and credits in the order of the rules; see
pipeline.py. `steps` tells how each amount came about.
"""

from app.invoicing.amounts.discounts import Discount, DiscountTaken
from app.invoicing.amounts.pipeline import LineAmounts, Reckoned, Terms, reckon
from app.invoicing.amounts.prepaid import Balance, Drawn
from app.invoicing.amounts.rules import (
    CREDITS_AFTER_TAX,
    CREDITS_BEFORE_TAX,
    Rules,
    Spread,
    Stage,
    TaxRounding,
)
from app.invoicing.amounts.sheet import Line
from app.invoicing.amounts.taxes import Rate, TaxTaken
from app.invoicing.amounts.totals import Totals

__all__ = [
    "CREDITS_AFTER_TAX",
    "CREDITS_BEFORE_TAX",
    "Balance",
    "Discount",
    "DiscountTaken",
    "Drawn",
    "Line",
    "LineAmounts",
    "Rate",
    "Reckoned",
    "Rules",
    "Spread",
    "Stage",
    "TaxRounding",
    "TaxTaken",
    "Terms",
    "Totals",
    "reckon",
]
