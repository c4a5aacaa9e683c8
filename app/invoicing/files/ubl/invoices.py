"""An invoice as a document of EN 16931. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from zoneinfo import ZoneInfo

from app.invoicing.applied.parts import Applied, InvoiceDiscount
from app.invoicing.errors import EInvoiceUnsupported
from app.invoicing.files.ubl.document import Document, Entry, Tax, checked, day, days, entry
from app.invoicing.files.ubl.taxes import tax_of
from app.invoicing.files.ubl.writing import written
from app.invoicing.files.ubl.xml import clean
from app.invoicing.invoice import Invoice, InvoiceLine, InvoiceStatus, Presentation
from app.invoicing.pdf.document import Printing
from app.kernel.currencies import minor_units
from app.kernel.quantity import EXACT, plain

_SUBSCRIBER = "Subscription of"


def ubl_of(
    invoice: Invoice, lines: Sequence[InvoiceLine], printing: Printing, *, applied: Applied
) -> bytes:
    """The same invoice gives the same bytes. Raises: EInvoiceUnsupported."""
    if invoice.status is not InvoiceStatus.FINALIZED:
        raise EInvoiceUnsupported(
            f"it is {invoice.status}, and a UBL document is one that was issued and is in force",
            field="id",
        )
    if invoice.totals.total < 0:
        raise EInvoiceUnsupported(
            f"it comes to {plain(invoice.totals.total)} and asks for nothing, which EN 16931 "
            "takes for a debt; give back by a credit note instead",
            field="total",
        )
    return written(checked(_document(invoice, lines, printing, applied)))


def reasons_of(line_id: str, discounts: Sequence[InvoiceDiscount]) -> str:
    """The names of the coupons that a line's discount is of."""
    return ", ".join(each.description for each in discounts if line_id in each.shares)


def properties_of(line: InvoiceLine, look: Presentation) -> Mapping[str, str | None]:
    """What a line of usage stands for, and whose subscription it is of where somebody else pays."""
    other = look.subscribers.get(line.subscription_id or "")
    return line.group if other is None else {**line.group, _SUBSCRIBER: other.name}


def _document(
    invoice: Invoice, lines: Sequence[InvoiceLine], printing: Printing, applied: Applied
) -> Document:
    zone, totals = ZoneInfo(invoice.timezone), invoice.totals
    issued = invoice.issued_at or invoice.created_at
    tax = tax_of(applied.taxes, invoice.tax_notes)
    return Document(
        number=invoice.number or invoice.id,
        issued=day(issued, zone),
        due=None if invoice.due_at is None else day(invoice.due_at, zone),
        currency=invoice.currency,
        notes=[*invoice.tax_notes, *([invoice.memo] if invoice.memo else [])],
        buyer_reference=printing.bill_to.reference,
        order=invoice.purchase_order,
        seller=printing.seller,
        buyer=printing.bill_to,
        payment_terms=printing.presentation.payment_terms or None,
        tax=tax,
        lines=list(_entries(lines, tax, applied, zone, look=printing.presentation)),
        prepaid=EXACT.add(totals.prepaid, totals.credited),
        iban=_iban(invoice, printing),
    )


def _entries(
    lines: Sequence[InvoiceLine],
    tax: Tax,
    applied: Applied,
    zone: ZoneInfo,
    *,
    look: Presentation,
) -> Iterator[Entry]:
    for line in lines:
        yield entry(
            position=line.position,
            name=line.description,
            properties=properties_of(line, look),
            quantity=line.quantity,
            amounts=(line.amount, line.discount, line.tax, line.tax_included),
            reason=reasons_of(line.id, applied.discounts),
            service=days(line.service, zone),
            tax=tax,
            decimals=minor_units(line.currency),
            note=look.heading(line),
            object_id=line.subscription_id,
        )


def _iban(invoice: Invoice, printing: Printing) -> str | None:
    """Where a transfer goes, as on paper; None where nothing is asked for."""
    return clean(printing.seller.iban or "") or None if invoice.totals.amount_due else None
