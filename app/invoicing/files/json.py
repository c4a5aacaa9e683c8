"""Everything of an invoice, its explanations included, as JSON.

Decimals are texts, so that nobody reads them as floats; instants are ISO 8601 in UTC.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import Any

import orjson

from app.catalog.prices import Step
from app.invoicing.applied.parts import Applied
from app.invoicing.credit_note import Application, CreditNote, CreditNoteLine
from app.invoicing.explanation import to_json
from app.invoicing.invoice import Invoice, InvoiceLine, Settlement, Subscriber
from app.invoicing.pdf.document import Printing
from app.kernel.copies import fields_of, is_record
from app.kernel.period import Period
from app.kernel.quantity import plain

# Where files are kept and what documents look like is nobody else's business.
_OURS = frozenset({"pdf_key", "presentation"})


def json_of(
    invoice: Invoice,
    lines: Sequence[InvoiceLine],
    printing: Printing,
    settlements: Sequence[Settlement],
    *,
    applied: Applied,
    why: Step,
) -> bytes:
    """The same invoice gives the same bytes. `why` explains the amount due."""
    facts = {name: value for name, value in fields_of(invoice).items() if name not in _OURS}
    document = {
        **facts,
        "payment_status": invoice.payment_status,
        "seller": _party(printing.seller),
        "bill_to": _party(printing.bill_to),
        "discounts": [fields_of(each) for each in applied.discounts],
        "prepaid_applications": [fields_of(each) for each in applied.prepaid],
        "taxes": [fields_of(each) for each in applied.taxes],
        "lines": [
            {
                **fields_of(line),
                "total": line.total,
                "heading": printing.presentation.heading(line),
                "subscriber": _subscriber(invoice, line, printing),
            }
            for line in lines
        ],
        "settlements": [fields_of(entry) for entry in settlements],
        "explanation": to_json(why),
    }
    return orjson.dumps(_plain(document), option=orjson.OPT_INDENT_2) + b"\n"


def note_json_of(
    note: CreditNote,
    lines: Sequence[CreditNoteLine],
    applications: Sequence[Application],
    *,
    invoice_number: str,
) -> bytes:
    """Everything of a credit note, alike."""
    facts = {name: value for name, value in fields_of(note).items() if name not in _OURS}
    document = {
        **facts,
        "invoice_number": invoice_number,
        "total": note.total,
        "seller": _party(note.seller),
        "bill_to": _party(note.bill_to),
        "lines": [{**fields_of(line), "total": line.amounts.total} for line in lines],
        "applications": [fields_of(entry) for entry in applications],
    }
    return orjson.dumps(_plain(document), option=orjson.OPT_INDENT_2) + b"\n"


def _subscriber(invoice: Invoice, line: InvoiceLine, printing: Printing) -> Subscriber | None:
    """Whose subscription a line is of, be it that of who is billed; None where it is of none."""
    key = line.subscription_id or invoice.subscription_id
    if key is None:
        return None
    buyer = printing.bill_to
    own = Subscriber(invoice.customer_id, buyer.name, buyer.reference or "")
    return printing.presentation.subscribers.get(key, own)


def _party(party: Any) -> dict[str, Any]:
    return {name: value for name, value in asdict(party).items() if value is not None}


def _plain(value: Any) -> Any:
    match value:
        case Decimal():
            return plain(value)
        case Enum():
            return value.value
        case datetime():
            return value.isoformat().replace("+00:00", "Z")
        case Period():
            return {"start": _plain(value.start), "end": _plain(value.end)}
        case Mapping():
            return {str(key): _plain(part) for key, part in value.items()}
        case list() | tuple():
            return [_plain(part) for part in value]
        case None | bool() | int() | str():
            return value
    if is_record(value):
        return _plain(fields_of(value))
    raise TypeError(f"{value!r} has no place in an invoice's JSON")
