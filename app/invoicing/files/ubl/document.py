"""What an electronic invoice says, in the terms of EN 16931. Pure.

Its sums hold by construction: totals are those of the lines (BR-CO-10 to BR-CO-16).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from functools import reduce
from zoneinfo import ZoneInfo

from app.invoicing.errors import EInvoiceUnsupported
from app.invoicing.invoice import Party
from app.kernel.currencies import minor_units
from app.kernel.period import Period
from app.kernel.quantity import EXACT, fraction_rounded, plain

_ZERO = Decimal(0)
_MOST_DECIMALS = 2
_HUNDRED = Fraction(100)
_LEAST_PERCENT = Fraction(1, 2)


@dataclass(frozen=True, slots=True)
class Days:
    """From its first to its last day."""

    first: date
    last: date


@dataclass(frozen=True, slots=True)
class Tax:
    """The one category of VAT of a document (UNTDID 5305) and why nothing is asked for.

    `percent` (19 is 19 %) is None for O, which has none. `included`: the amounts of lines hold
    the tax already.
    """

    code: str
    percent: Decimal | None
    reason: str | None = None
    reason_code: str | None = None
    included: bool = False


@dataclass(frozen=True, slots=True)
class Entry:
    """A line: `net` = `price` × `quantity` ÷ |`quantity`| − `allowance`, all without tax.

    `price` is that of the whole quantity and not below zero; a quantity below zero gives back.
    """

    id: str
    name: str
    properties: Mapping[str, str]
    quantity: Decimal
    price: Decimal
    allowance: Decimal
    reason: str
    net: Decimal
    tax: Decimal
    service: Days
    note: str | None  # the heading that it stands under
    object_id: str | None  # of the subscription


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """`preceding` is the invoice that a credit note is about, with the day it was issued.

    `prepaid` is what was paid before it was issued. `iban`: where a transfer goes, if one is
    asked for.
    """

    number: str
    issued: date
    due: date | None
    currency: str
    notes: Sequence[str]
    buyer_reference: str | None
    order: str | None
    seller: Party
    buyer: Party
    payment_terms: str | None
    tax: Tax
    lines: Sequence[Entry]
    prepaid: Decimal = _ZERO
    preceding: tuple[str, date] | None = None
    iban: str | None = None
    net: Decimal = field(init=False)
    tax_amount: Decimal = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "net", total(line.net for line in self.lines))
        object.__setattr__(self, "tax_amount", total(line.tax for line in self.lines))

    @property
    def gross(self) -> Decimal:
        return EXACT.add(self.net, self.tax_amount)

    @property
    def payable(self) -> Decimal:
        return EXACT.subtract(self.gross, self.prepaid)

    @property
    def period(self) -> Days:
        """From the first day of its lines to their last."""
        return Days(
            min(line.service.first for line in self.lines),
            max(line.service.last for line in self.lines),
        )


def checked(document: Document) -> Document:
    """The document, if the norm can tell it. Raises: EInvoiceUnsupported."""
    decimals = minor_units(document.currency)
    if decimals > _MOST_DECIMALS:
        raise EInvoiceUnsupported(
            f"amounts of {document.currency} have {decimals} decimals, and EN 16931 knows at "
            "most two",
            field="currency",
        )
    if not document.lines:
        raise EInvoiceUnsupported("it has no line, and EN 16931 wants one", field="lines")
    _check_tax(document)
    return document


def _check_tax(document: Document) -> None:
    """BR-CO-17 and its like: the tax is that of the base, give or take less than one unit. That of
    a rate which rounds to nothing is taken for nothing."""
    percent = Fraction(document.tax.percent or _ZERO)
    exact = abs(Fraction(document.net)) * percent / _HUNDRED
    expected = Fraction(fraction_rounded(exact, _MOST_DECIMALS))
    off = abs(abs(Fraction(document.tax_amount)) - expected)
    if off >= 1 or 0 < percent < _LEAST_PERCENT:
        raise EInvoiceUnsupported(
            f"a tax of {plain(document.tax_amount)} on {plain(document.net)} does not pass for "
            f"{plain(document.tax.percent or _ZERO)} %: EN 16931 wants a rate of at least half "
            "a percent, and its tax within one unit",
            field="taxes",
        )


def entry(
    *,
    position: int,
    name: str,
    properties: Mapping[str, str | None],
    quantity: Decimal,
    amounts: tuple[Decimal, Decimal, Decimal, Decimal],
    reason: str,
    service: Days,
    tax: Tax,
    decimals: int,
    note: str | None,
    object_id: str | None,
) -> Entry:
    """A line from its `amounts`: before discount, discount, tax, and tax that it holds already.

    A discount on what holds its tax holds some too, which comes off: without tax, the price is
    what it is without a discount.
    """
    amount, discount, taxed, held = amounts
    allowance = discount
    if tax.included:
        rate = Fraction(tax.percent or _ZERO)
        exact = Fraction(discount) * _HUNDRED / (_HUNDRED + rate)
        allowance = fraction_rounded(exact, decimals)
    net = EXACT.subtract(EXACT.subtract(amount, held), discount)
    price = EXACT.add(net, allowance)
    count = abs(quantity) or Decimal(1)
    return Entry(
        id=str(position),
        name=name,
        properties={key: value for key, value in properties.items() if value},
        quantity=-count if price < 0 else count,
        price=abs(price),
        allowance=allowance,
        reason=reason,
        net=net,
        tax=taxed,
        service=service,
        note=note,
        object_id=object_id,
    )


def days(period: Period, zone: ZoneInfo) -> Days:
    """The local days that a period covers: its last one is the day before its end."""
    first = day(period.start, zone)
    return Days(first, max(first, day(period.end - timedelta(microseconds=1), zone)))


def day(at: datetime, zone: ZoneInfo) -> date:
    return at.astimezone(zone).date()


def total(amounts: Iterable[Decimal]) -> Decimal:
    return reduce(EXACT.add, amounts, _ZERO)
