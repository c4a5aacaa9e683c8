"""What stands on a printed credit note, as text. Pure; see document.py."""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from zoneinfo import ZoneInfo

from app.invoicing.credit_note import (
    CreditNote,
    CreditNoteKind,
    CreditNoteLine,
    CreditNoteReason,
    CreditNoteStatus,
)
from app.invoicing.pdf.document import Document, Logo, Section, Total, dressed
from app.invoicing.pdf.formats import Formats
from app.invoicing.pdf.lines import Line, soft
from app.kernel.quantity import EXACT
from app.tenants.settings import Layout

_REASONS = {
    CreditNoteReason.DUPLICATE: "billed twice",
    CreditNoteReason.FRAUDULENT: "fraudulent",
    CreditNoteReason.ORDER_CHANGE: "change of order",
    CreditNoteReason.UNSATISFACTORY: "unsatisfactory",
    CreditNoteReason.SERVICE_ISSUE: "problem with the service",
    CreditNoteReason.BILLING_ERROR: "error in the bill",
    CreditNoteReason.SUBSCRIPTION_CHANGE: "change of subscription",
    CreditNoteReason.SUBSCRIPTION_CANCELLATION: "end of subscription",
}
_UNTITLED = "Given back"


def credit_note_document(
    note: CreditNote,
    lines: Sequence[CreditNoteLine],
    *,
    invoice_number: str,
    logo: Logo | None = None,
    layout: Layout | None = None,
    headings: Mapping[str, str] | None = None,
    subscriber: str | None = None,
) -> Document:
    """`layout` takes the place of the note's own. `headings` is what lines of the invoice stood
    under, by their ids; `subscriber` whose subscription it is of, other than who was billed."""
    look = note.presentation
    formats = Formats(look.locale, ZoneInfo(note.timezone))
    void = note.status is CreditNoteStatus.VOID
    return dressed(
        Document(
            title="Credit note",
            number=note.number,
            layout=layout or look.layout,
            language=formats.locale.language,
            footer=note.seller.name,
            stamp="Void" if void else "",
            logo=logo,
            seller=note.seller,
            bill_to=note.bill_to,
            facts=list(_facts(note, invoice_number, formats, subscriber)),
            headline_label="Credit",
            headline=formats.money(note.total, note.currency),
            headline_note=_use(note, formats),
            sections=_sections(note, lines, formats, headings or {}),
            totals=list(_totals(note, formats)),
            notes=list(_notes(note, formats)),
        )
    )


def _facts(
    note: CreditNote, invoice_number: str, formats: Formats, subscriber: str | None
) -> Iterator[tuple[str, str]]:
    yield "Credit note number", note.number
    yield "Date of issue", formats.day(note.issued_at)
    yield "For invoice", soft(invoice_number)
    if subscriber:
        yield "Subscription of", soft(subscriber)
    if reason := _REASONS.get(note.reason):
        yield "Reason", reason
    yield "Currency", note.currency


def _use(note: CreditNote, formats: Formats) -> str:
    """What becomes of it, as it was when it was issued."""
    if note.kind is CreditNoteKind.REFUND:
        return "to be paid back"
    kept = EXACT.subtract(note.total, note.adjusted)
    if not kept:
        return "taken off the invoice"
    if not note.adjusted:
        return "kept for your next invoices"
    return f"{formats.money(kept, note.currency)} of it kept for your next invoices"


def _sections(
    note: CreditNote,
    lines: Sequence[CreditNoteLine],
    formats: Formats,
    headings: Mapping[str, str],
) -> list[Section]:
    grouped: dict[str, list[CreditNoteLine]] = {}
    for line in lines:
        title = headings.get(line.invoice_line_id) or _UNTITLED
        grouped.setdefault(title, []).append(line)
    found, carried = [], Decimal(0)
    for title, chosen in grouped.items():
        printed, total = [], Decimal(0)
        for line in chosen:
            total = EXACT.add(total, line.amounts.amount)
            so_far = formats.money(EXACT.add(carried, total), note.currency)
            printed.append(_line(line, formats, carried=so_far))
        carried = EXACT.add(carried, total)
        found.append(Section(soft(title), printed, formats.money(total, note.currency)))
    return found


def _line(line: CreditNoteLine, formats: Formats, *, carried: str) -> Line:
    return Line(
        description=soft(line.description),
        note="",
        quantity="",
        unit_price="",
        amount=soft(formats.money(line.amounts.amount, line.currency)),
        carried=carried,
        details=[],
    )


def _totals(note: CreditNote, formats: Formats) -> Iterator[Total]:
    amounts, currency = note.amounts, note.currency

    def shown(amount: Decimal) -> str:
        return formats.money(amount, currency)

    yield Total("Subtotal", shown(amounts.amount))
    if amounts.discount:
        yield Total("Share of discounts", shown(-amounts.discount))
    if amounts.tax:
        yield Total("Tax", shown(amounts.tax))
    if amounts.tax_included:
        yield Total("of which included in the lines", shown(amounts.tax_included), minor=True)
    yield Total("Credit", formats.coded(note.total, currency), strong=True)


def _notes(note: CreditNote, formats: Formats) -> Iterator[str]:
    if note.memo:
        yield soft(note.memo)
    yield f"Days are those of {formats.zone.key}."
    if note.voided_at is not None:
        yield f"Voided on {formats.day(note.voided_at)}: {soft(note.void_reason or '')}"
