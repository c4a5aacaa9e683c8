"""What stands on the printed invoice, as text: the data of the template. Pure.

The words are English; amounts, quantities and dates are formatted by babel for `LOCALE`.
"""

from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal, localcontext
from zoneinfo import ZoneInfo

from babel.dates import format_date
from babel.numbers import format_currency, format_decimal, get_currency_symbol
from msgspec import Struct

from app.invoicing.breakdown import Row, rows
from app.invoicing.invoice import Invoice, InvoiceLine, InvoiceStatus, LineKind, Party
from app.kernel.currencies import minor_units
from app.kernel.period import Period
from app.kernel.quantity import EXACT

LOCALE = "en_US"
_SECTIONS = (
    (LineKind.FIXED, "Fees"),
    (LineKind.USAGE, "Usage"),
    (LineKind.MANUAL, "Other charges"),
)
_STAMPS = {InvoiceStatus.DRAFT: "Draft", InvoiceStatus.VOID: "Void"}


class Detail(Struct, frozen=True):
    """One row below a line: how a part of its amount came about."""

    label: str
    quantity: str
    unit_price: str
    amount: str


class Line(Struct, frozen=True):
    description: str
    note: str  # the service period, and what a grouped line stands for
    quantity: str
    unit_price: str
    amount: str
    details: list[Detail]


class Section(Struct, frozen=True):
    title: str
    lines: list[Line]
    subtotal: str


class Total(Struct, frozen=True):
    label: str
    amount: str
    strong: bool = False


class Document(Struct, frozen=True):
    """Everything that the template prints, in its order."""

    title: str
    number: str
    stamp: str  # printed across the head: DRAFT or VOID; "" on an invoice in force
    seller: Party
    bill_to: Party
    facts: list[tuple[str, str]]
    headline: str
    headline_note: str
    sections: list[Section]
    totals: list[Total]
    notes: list[str]


def document(
    invoice: Invoice, lines: Sequence[InvoiceLine], *, seller: Party, bill_to: Party
) -> Document:
    """`seller` and `bill_to` are those of the invoice, or the present ones of a draft."""
    zone = ZoneInfo(invoice.timezone)
    due = _day(invoice.due_at, zone)
    return Document(
        title="Invoice",
        number=invoice.number or invoice.id,
        stamp=_STAMPS.get(invoice.status, ""),
        seller=seller,
        bill_to=bill_to,
        facts=list(_facts(invoice, zone)),
        headline=money(invoice.totals.amount_due, invoice.currency),
        headline_note=f"due {due}" if due else "not issued",
        sections=list(_sections(invoice, lines, zone)),
        totals=list(_totals(invoice)),
        notes=list(_notes(invoice, zone)),
    )


def money(amount: Decimal, currency: str) -> str:
    """A rounded amount, with all decimals of the currency's minor unit."""
    return _currency(amount, currency, quantized=True)


def unit_money(amount: Decimal, currency: str) -> str:
    """A price per unit: all of its decimals, however small it is."""
    return _currency(amount, currency, quantized=False)


def number(value: Decimal) -> str:
    """A quantity: all of its decimals, thousands separated."""
    with localcontext(EXACT):
        shown = value.normalize()
        return str(format_decimal(shown, locale=LOCALE, decimal_quantization=False))


def _currency(amount: Decimal, currency: str, *, quantized: bool) -> str:
    # Python's own context would refuse long amounts, or round them.
    with localcontext(EXACT):
        return str(
            format_currency(
                amount,
                currency,
                _pattern(currency),
                LOCALE,
                currency_digits=False,
                decimal_quantization=quantized,
            )
        )


def _pattern(currency: str) -> str:
    # Left to itself babel prints several currencies (IQD, LBP …) without the decimals they have.
    decimals = minor_units(currency)
    apart = "\N{NO-BREAK SPACE}" if get_currency_symbol(currency, LOCALE).isalpha() else ""
    return f"¤{apart}#,##0" + ("." + "0" * decimals if decimals else "")


def _facts(invoice: Invoice, zone: ZoneInfo) -> Iterator[tuple[str, str]]:
    yield "Invoice number", invoice.number or "assigned when issued"
    for label, at in (("Date of issue", invoice.issued_at), ("Date due", invoice.due_at)):
        if day := _day(at, zone):
            yield label, day
    if invoice.purchase_order:
        yield "Order number", invoice.purchase_order
    yield "Billing period", days(invoice.period, zone)
    yield "Currency", invoice.currency


def _sections(invoice: Invoice, lines: Sequence[InvoiceLine], zone: ZoneInfo) -> Iterator[Section]:
    for kind, title in _SECTIONS:
        chosen = [line for line in lines if line.kind is kind]
        if chosen:
            yield Section(
                title=title,
                lines=[_line(line, zone) for line in chosen],
                subtotal=money(sum((line.amount for line in chosen), Decimal(0)), invoice.currency),
            )


def _shown(value: str | None) -> str:
    if value is None:
        return "(none)"
    return value or "(empty)"


def _line(line: InvoiceLine, zone: ZoneInfo) -> Line:
    found = rows(line.explanation)
    single = found[0] if len(found) == 1 and not found[0].flat_amount else None
    group = ", ".join(f"{name} {_shown(value)}" for name, value in line.group.items())
    share = next((row.share for row in found if row.share is not None), None)
    served = "" if share is None else f"{number(share)} % of a full period"
    return Line(
        description=line.description,
        note=" · ".join(part for part in (group, days(line.service, zone), served) if part),
        quantity=number(line.quantity),
        unit_price=_unit_price(single, line.currency) if single else "",
        amount=money(line.amount, line.currency),
        details=[] if single else [_detail(row, line.currency) for row in found],
    )


def _detail(row: Row, currency: str) -> Detail:
    return Detail(
        label=_label(row, currency),
        quantity=number(row.quantity),
        unit_price=_unit_price(row, currency),
        amount=unit_money(row.amount, currency),
    )


def _label(row: Row, currency: str) -> str:
    shown = _range(row)
    if not row.flat_amount:
        return shown
    return f"{shown} (with {unit_money(row.flat_amount, currency)} flat)"


def _range(row: Row) -> str:
    if row.above is None or (row.above == 0 and row.up_to is None):
        return "all"
    if row.up_to is None:
        return f"above {number(row.above)}"
    if row.above == 0:
        return f"up to {number(row.up_to)}"
    return f"above {number(row.above)}, up to {number(row.up_to)}"


def _unit_price(row: Row, currency: str) -> str:
    shown = unit_money(row.unit_amount, currency)
    return f"{shown} per {number(row.per)}" if row.per != 1 else shown


def _totals(invoice: Invoice) -> Iterator[Total]:
    totals, currency = invoice.totals, invoice.currency
    yield Total("Subtotal", money(totals.subtotal, currency))
    if totals.discount:
        yield Total("Discounts", money(-totals.discount, currency))
    if totals.prepaid:
        yield Total("Prepaid credits", money(-totals.prepaid, currency))
    if totals.tax:
        yield Total("Tax", money(totals.tax, currency))
    yield Total("Total", money(totals.total, currency))
    if totals.credited:
        yield Total("Credits", money(-totals.credited, currency))
    owed = money(totals.amount_due, currency)
    shown = owed if currency in owed else f"{owed} {currency}"
    yield Total("Amount due", shown, strong=True)


def _notes(invoice: Invoice, zone: ZoneInfo) -> Iterator[str]:
    if invoice.memo:
        yield invoice.memo
    yield f"Days are those of {zone.key}."
    if invoice.voided_at is not None:
        yield f"Voided on {_day(invoice.voided_at, zone)}: {invoice.void_reason}"


def days(period: Period, zone: ZoneInfo) -> str:
    """The local days that a period covers: its last one is the day before its end."""
    first = period.start.astimezone(zone).date()
    last = (period.end - timedelta(microseconds=1)).astimezone(zone).date()
    if last <= first:
        return _date(first)
    if (first.year, first.month) == (last.year, last.month):
        return f"{first.day} – {_date(last)}"
    return f"{_date(first)} – {_date(last)}"


def _day(at: datetime | None, zone: ZoneInfo) -> str:
    return "" if at is None else _date(at.astimezone(zone).date())


def _date(day: date) -> str:
    return str(format_date(day, format="d MMMM y", locale=LOCALE))
