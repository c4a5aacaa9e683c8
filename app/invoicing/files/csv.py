"""One row for each line of an invoice, after RFC 4180: commas, CRLF, quotes where needed.

Spreadsheets run what looks like a formula. A text that begins like one gets an apostrophe in
front, which they hide; numbers are ours and stay as they are.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal

from app.invoicing.applied.parts import Applied
from app.invoicing.invoice import Invoice, InvoiceLine
from app.invoicing.pdf.document import Printing
from app.kernel.quantity import plain

_FORMULA = tuple("=+-@\t\r\n＝＋－＠")
_COLUMNS = (
    "invoice_number",
    "invoice_id",
    "status",
    "customer",
    "customer_id",
    "subscription_id",
    "subscriber",
    "subscriber_id",
    "position",
    "line_id",
    "kind",
    "section",
    "description",
    "group",
    "service_start",
    "service_end",
    "quantity",
    "amount",
    "discount",
    "prepaid",
    "tax",
    "tax_included",
    "total",
    "currency",
    "discounts",
    "taxes",
    "tax_notes",
    "price_id",
    "meter_id",
    "subscription_line_item_id",
)


def csv_of(
    invoice: Invoice, lines: Sequence[InvoiceLine], printing: Printing, *, applied: Applied
) -> bytes:
    """UTF-8; `customer` is the tenant's own name for whom it is billed to, `subscriber` that of
    whose subscription a line is of.

    `discounts` and `taxes` name what the line's shares are of: `VAT 19 %=3.42; Stamp=1`.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(_COLUMNS)
    for line in lines:
        row = {**_row(invoice, line, printing), **_shares(line.id, applied)}
        writer.writerow([_cell(row[name]) for name in _COLUMNS])
    return text.getvalue().encode()


def _row(invoice: Invoice, line: InvoiceLine, printing: Printing) -> Mapping[str, object]:
    look = printing.presentation
    subscription = line.subscription_id or invoice.subscription_id
    customer = printing.bill_to.reference
    other = look.subscribers.get(subscription or "")
    return {
        "invoice_number": invoice.number,
        "invoice_id": invoice.id,
        "status": invoice.status.value,
        "customer": customer,
        "customer_id": invoice.customer_id,
        "subscription_id": subscription,
        "subscriber": subscription and (other.reference if other else customer),
        "subscriber_id": subscription and (other.customer_id if other else invoice.customer_id),
        "position": Decimal(line.position),
        "line_id": line.id,
        "kind": line.kind.value,
        "section": look.heading(line),
        "description": line.description,
        "group": "; ".join(f"{name}={value or ''}" for name, value in line.group.items()),
        "service_start": line.service.start,
        "service_end": line.service.end,
        "quantity": line.quantity,
        "amount": line.amount,
        "discount": line.discount,
        "prepaid": line.prepaid,
        "tax": line.tax,
        "tax_included": line.tax_included,
        "total": line.total,
        "currency": line.currency,
        "tax_notes": " ".join(invoice.tax_notes),
        "price_id": line.price_id,
        "meter_id": line.meter_id,
        "subscription_line_item_id": line.subscription_line_item_id,
    }


def _shares(line_id: str, applied: Applied) -> Mapping[str, object]:
    """What fell on the line of each discount and each tax; one that is spared falls on none."""
    discounts = [(each.description, each.shares) for each in applied.discounts]
    taxes = [(f"{each.description}{_rate(each.percent)}", each.shares) for each in applied.taxes]
    return {
        name: "; ".join(
            f"{label}={plain(shares[line_id])}" for label, shares in told if line_id in shares
        )
        for name, told in (("discounts", discounts), ("taxes", taxes))
    }


def _rate(percent: Decimal | None) -> str:
    return "" if percent is None else f" {plain(percent)} %"


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    text = str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text
