"""What stands on a printed document, as text: the data of the templates. Pure.

The words are English; amounts, quantities and days are written as the locale writes them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from zoneinfo import ZoneInfo

from msgspec import Struct, structs

from app.invoicing.invoice import Invoice, InvoiceLine, InvoiceStatus, LineKind, Party, Presentation
from app.invoicing.pdf.formats import Formats
from app.invoicing.pdf.lines import Line, line_of, soft
from app.kernel.copies import replace
from app.kernel.period import Period
from app.kernel.quantity import EXACT
from app.tenants.settings import Layout

_SECTIONS = {
    LineKind.FIXED: "Fees",
    LineKind.USAGE: "Usage",
    LineKind.COMMITMENT: "Commitment",
    LineKind.TRUE_UP: "Commitment",
    LineKind.ADJUSTMENT: "Corrections",
    LineKind.MANUAL: "Other charges",
}
_FOOTER = 40
_STAMPS = {InvoiceStatus.DRAFT: "Draft", InvoiceStatus.VOID: "Void"}


class Section(Struct, frozen=True):
    title: str
    lines: list[Line]
    subtotal: str


class Total(Struct, frozen=True):
    """A row below the lines; `strong` ones stand out, `minor` ones explain the row above."""

    label: str
    amount: str
    strong: bool = False
    minor: bool = False


class Logo(Struct, frozen=True):
    """An image: its bytes one by one, and `png` or `jpg`."""

    data: list[int]
    format: str


class Document(Struct, frozen=True):
    """Everything that a template prints, in its order."""

    title: str
    number: str
    layout: Layout
    language: str  # of the locale, for hyphens and quotes
    footer: str  # on every page, at the left
    stamp: str  # printed across the head: Draft or Void; "" on a document in force
    logo: Logo | None
    seller: Party
    bill_to: Party
    facts: list[tuple[str, str]]
    headline_label: str
    headline: str
    headline_note: str
    sections: list[Section]
    totals: list[Total]
    notes: list[str]


@dataclass(frozen=True, slots=True)
class Taken:
    """A discount or a tax as it was applied: `label` says which, `amount` is in major units.

    `percent` (19 is 19 %) is None for a fixed amount. Of a tax `on` is what it was taken on, and
    `spared` why nothing is asked for.
    """

    label: str
    amount: Decimal
    percent: Decimal | None = None
    on: Decimal | None = None
    spared: str = ""


@dataclass(frozen=True, slots=True)
class Printing:
    """What is printed besides the invoice and its lines.

    The parties and the presentation are those of the invoice, or the present ones of a draft.
    `discounts` and `taxes` say what the invoice's own totals are made of; `legends` are
    sentences that the law wants.
    """

    seller: Party
    bill_to: Party
    presentation: Presentation
    logo: Logo | None = None
    discounts: Sequence[Taken] = ()
    taxes: Sequence[Taken] = ()
    legends: Sequence[str] = ()


def document(invoice: Invoice, lines: Sequence[InvoiceLine], printing: Printing) -> Document:
    formats = Formats(printing.presentation.locale, ZoneInfo(invoice.timezone))
    due = formats.day(invoice.due_at)
    return dressed(
        Document(
            title="Invoice",
            number=invoice.number or invoice.id,
            layout=printing.presentation.layout,
            language=formats.locale.language,
            stamp=_STAMPS.get(invoice.status, ""),
            logo=printing.logo,
            footer=printing.seller.name,
            seller=printing.seller,
            bill_to=printing.bill_to,
            facts=list(_facts(invoice, printing.presentation, formats)),
            headline_label="Amount due",
            headline=formats.money(invoice.totals.amount_due, invoice.currency),
            headline_note=f"due {due}" if due and invoice.number else "not issued",
            sections=sections(lines, formats, printing.presentation, invoice.period),
            totals=list(_totals(invoice, printing, formats)),
            notes=list(_notes(invoice, printing, formats)),
        )
    )


def dressed(document: Document) -> Document:
    """With names that fit their places, however long they are."""
    return structs.replace(
        document,
        footer=_cut(document.footer),
        seller=_soft_party(document.seller),
        bill_to=_soft_party(document.bill_to),
    )


def sections(
    lines: Sequence[InvoiceLine], formats: Formats, look: Presentation, period: Period
) -> list[Section]:
    """The lines under their headings: their own, or that of their line item, or of their kind,
    those of kinds first and the others in the order of the lines.

    `carried` of a line is the sum down to it, for the pages that follow. A compact line does not
    repeat `period`, which stands in the head.
    """
    told = period if look.layout == "compact" else None
    grouped: dict[str, list[InvoiceLine]] = {_SECTIONS[kind]: [] for kind in LineKind}
    for line in lines:
        grouped.setdefault(look.heading(line) or _SECTIONS[line.kind], []).append(line)
    found, carried = [], Decimal(0)
    for title, chosen in grouped.items():
        printed = []
        for line in chosen:
            carried = EXACT.add(carried, line.amount)
            printed.append(line_of(line, formats, carried=carried, layout=look.layout, told=told))
        if chosen:
            total = sum((line.amount for line in chosen), Decimal(0))
            found.append(Section(soft(title), printed, formats.money(total, chosen[0].currency)))
    return found


def _facts(invoice: Invoice, look: Presentation, formats: Formats) -> Iterator[tuple[str, str]]:
    yield "Invoice number", invoice.number or "assigned when issued"
    for label, at in (("Date of issue", invoice.issued_at), ("Date due", invoice.due_at)):
        if day := formats.day(at):
            yield label, day
    if look.subscriber is not None and set(invoice.owners) == set(look.subscribers):
        yield "Subscription of", soft(look.subscriber.name)
    if invoice.purchase_order:
        yield "Order number", soft(invoice.purchase_order)
    if invoice.period.length:
        yield "Billing period", formats.days(invoice.period)
    yield "Currency", invoice.currency


def _totals(invoice: Invoice, printing: Printing, formats: Formats) -> Iterator[Total]:
    totals, currency = invoice.totals, invoice.currency

    def shown(amount: Decimal) -> str:
        return formats.money(amount, currency)

    def parts(taken: Sequence[Taken], sign: int) -> Iterator[Total]:
        for each in taken:
            on = "" if each.on is None else f"on {shown(each.on)}"
            rate = "" if each.percent is None else formats.percent(each.percent)
            words = " ".join(filter(None, (soft(each.label), rate, on)))
            label = f"{words}, {each.spared}" if each.spared else words
            yield Total(label, shown(each.amount * sign), minor=True)

    yield Total("Subtotal", shown(totals.subtotal))
    if totals.discount:
        yield Total("Discounts", shown(-totals.discount))
        yield from parts(printing.discounts, -1)
    if totals.prepaid:
        yield Total("Prepaid credits", shown(-totals.prepaid))
    if totals.tax or printing.taxes:
        yield Total("Tax", shown(totals.tax))
        yield from parts(printing.taxes, 1)
    if totals.tax_included:
        yield Total("of which included in the lines", shown(totals.tax_included), minor=True)
    yield Total("Total", shown(totals.total))
    if totals.credited:
        yield Total("Credits", shown(-totals.credited))
    yield Total("Amount due", formats.coded(totals.amount_due, currency), strong=True)


def _notes(invoice: Invoice, printing: Printing, formats: Formats) -> Iterator[str]:
    if invoice.memo:
        yield soft(invoice.memo)
    yield from printing.legends
    if printing.presentation.payment_terms:
        yield soft(printing.presentation.payment_terms)
    if printing.seller.iban:
        yield f"Transfers go to {_in_fours(printing.seller.iban)}."
    yield f"Days are those of {formats.zone.key}."
    if invoice.voided_at is not None:
        yield f"Voided on {formats.day(invoice.voided_at)}: {soft(invoice.void_reason or '')}"


def _soft_party(party: Party) -> Party:
    return replace(
        party,
        name=soft(party.name),
        lines=tuple(soft(line) for line in party.lines),
        email=None if party.email is None else soft(party.email),
        reference=None if party.reference is None else soft(party.reference),
    )


def _cut(name: str) -> str:
    return name if len(name) <= _FOOTER else f"{name[: _FOOTER - 1]}…"


def _in_fours(iban: str) -> str:
    return " ".join(iban[at : at + 4] for at in range(0, len(iban), 4))
