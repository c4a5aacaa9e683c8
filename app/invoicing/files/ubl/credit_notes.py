"""A credit note as a document of EN 16931. Pure."""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from zoneinfo import ZoneInfo

from app.invoicing.applied.parts import Applied
from app.invoicing.credit_note import (
    CreditNote,
    CreditNoteKind,
    CreditNoteLine,
    CreditNoteStatus,
)
from app.invoicing.errors import EInvoiceUnsupported
from app.invoicing.files.ubl.document import Document, Entry, Tax, checked, day, days, entry
from app.invoicing.files.ubl.invoices import properties_of, reasons_of
from app.invoicing.files.ubl.taxes import tax_of
from app.invoicing.files.ubl.writing import written
from app.invoicing.invoice import Invoice, InvoiceLine, Presentation
from app.kernel.currencies import minor_units

_TERMS = {
    CreditNoteKind.ADJUSTMENT: "It comes off what remains to be paid of invoice {}.",
    CreditNoteKind.CREDIT: "It pays for invoices after invoice {}.",
    CreditNoteKind.REFUND: "It is paid back of what was paid for invoice {}.",
}


def note_ubl_of(
    note: CreditNote,
    lines: Sequence[CreditNoteLine],
    invoice: Invoice,
    invoice_lines: Sequence[InvoiceLine],
    *,
    applied: Applied,
) -> bytes:
    """`invoice` is the one that it gives back of, with its lines and what was applied to it.

    Raises: EInvoiceUnsupported.
    """
    if note.status is CreditNoteStatus.VOID:
        raise EInvoiceUnsupported("it is void, and a UBL document cannot say so", field="id")
    zone, tax = ZoneInfo(note.timezone), tax_of(applied.taxes, invoice.tax_notes)
    look = invoice.presentation or note.presentation
    number = invoice.number or invoice.id
    issued = invoice.issued_at or invoice.created_at
    document = Document(
        number=note.number,
        issued=day(note.issued_at, zone),
        due=None,
        currency=note.currency,
        notes=[*invoice.tax_notes, *([note.memo] if note.memo else [])],
        buyer_reference=note.bill_to.reference,
        order=invoice.purchase_order,
        seller=note.seller,
        buyer=note.bill_to,
        payment_terms=_TERMS[note.kind].format(number),
        tax=tax,
        lines=list(_entries(lines, invoice_lines, tax, applied, zone=zone, look=look)),
        preceding=(number, day(issued, ZoneInfo(invoice.timezone))),
    )
    return written(checked(document))


def _entries(
    lines: Sequence[CreditNoteLine],
    invoice_lines: Sequence[InvoiceLine],
    tax: Tax,
    applied: Applied,
    *,
    zone: ZoneInfo,
    look: Presentation,
) -> Iterator[Entry]:
    """Parts of lines, which are amounts and no quantities: one of each."""
    known = {line.id: line for line in invoice_lines}
    for line in lines:
        of, amounts = known[line.invoice_line_id], line.amounts
        yield entry(
            position=line.position,
            name=line.description,
            properties=properties_of(of, look),
            quantity=Decimal(1),
            amounts=(amounts.amount, amounts.discount, amounts.tax, amounts.tax_included),
            reason=reasons_of(of.id, applied.discounts),
            service=days(of.service, zone),
            tax=tax,
            decimals=minor_units(line.currency),
            note=look.heading(of),
            object_id=of.subscription_id,
        )
