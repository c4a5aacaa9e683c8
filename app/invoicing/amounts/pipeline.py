"""From the lines of an invoice to what is due. Pure, and the only way there.

Drafts, previews, recomputations and what is issued all come from `reckon`. Every amount that
comes out is a whole number of minor units, and the parts sum to the whole.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from app.invoicing.amounts import discounts, prepaid, taxes
from app.invoicing.amounts.discounts import Discount, DiscountTaken
from app.invoicing.amounts.prepaid import Balance, Drawn
from app.invoicing.amounts.rules import Rules, Stage
from app.invoicing.amounts.sheet import Line, Sheet, opened
from app.invoicing.amounts.taxes import Rate, TaxTaken
from app.invoicing.amounts.totals import Totals


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What is in force for the invoice, each in the order in which it comes."""

    discounts: Sequence[Discount] = ()
    prepaid: Sequence[Balance] = ()
    rates: Sequence[Rate] = ()
    credits: Sequence[Balance] = ()


@dataclass(frozen=True, slots=True)
class LineAmounts:
    """What became of one line, in major units; see `Totals`."""

    id: str
    amount: Decimal
    discount: Decimal
    prepaid: Decimal
    tax: Decimal
    tax_included: Decimal


@dataclass(frozen=True, slots=True)
class Reckoned:
    """`lines` in the order given; the records say how each total came about."""

    totals: Totals
    lines: tuple[LineAmounts, ...]
    discounts: tuple[DiscountTaken, ...]
    prepaid: tuple[Drawn, ...]
    taxes: tuple[TaxTaken, ...]
    credits: tuple[Drawn, ...]
    sheet: Sheet = field(repr=False)


@dataclass
class _Records:
    discounts: list[DiscountTaken] = field(default_factory=list)
    prepaid: list[Drawn] = field(default_factory=list)
    taxes: list[TaxTaken] = field(default_factory=list)
    credits: list[Drawn] = field(default_factory=list)


def reckon(
    lines: Sequence[Line], terms: Terms, *, currency: str, decimals: int, rules: Rules
) -> Reckoned:
    """Take the stages that the rules name, in their order.

    Raises ValueError where the rules want whole shares of something that is not whole.
    """
    sheet, records = opened(lines, currency, decimals, rules), _Records()
    for stage in rules.stages:
        match stage:
            case Stage.DISCOUNTS:
                sheet, records.discounts = discounts.take(sheet, terms.discounts)
            case Stage.PREPAID:
                sheet, records.prepaid = prepaid.draw(sheet, terms.prepaid)
            case Stage.TAX:
                sheet, records.taxes = taxes.levy(sheet, terms.rates)
            case Stage.CREDITS:
                sheet, records.credits = prepaid.credit(sheet, terms.credits)
    return Reckoned(
        totals=_totals(sheet, records),
        lines=tuple(_line(sheet, index) for index in range(len(sheet.lines))),
        discounts=tuple(records.discounts),
        prepaid=tuple(records.prepaid),
        taxes=tuple(records.taxes),
        credits=tuple(records.credits),
        sheet=sheet,
    )


def _totals(sheet: Sheet, records: _Records) -> Totals:
    return Totals.of(
        sheet.major(sum(sheet.gross)),
        discount=sheet.major(sum(sheet.discount)),
        prepaid=sheet.major(sum(sheet.prepaid)),
        tax=sheet.major(sum(sheet.tax)),
        tax_included=sheet.major(sum(sheet.tax) - sum(sheet.added)),
        credited=sheet.major(sum(each.amount for each in records.credits)),
    )


def _line(sheet: Sheet, index: int) -> LineAmounts:
    return LineAmounts(
        id=sheet.lines[index].id,
        amount=sheet.major(sheet.gross[index]),
        discount=sheet.major(sheet.discount[index]),
        prepaid=sheet.major(sheet.prepaid[index]),
        tax=sheet.major(sheet.tax[index]),
        tax_included=sheet.major(sheet.tax[index] - sheet.added[index]),
    )
