"""Invoices as files: to hand out at once, or to link to for a while."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from app.infra.s3 import Storage
from app.invoicing import credit_reads, explaining, reads
from app.invoicing.actions.materials import gather
from app.invoicing.actions.printing import (
    MEDIA_TYPES,
    named,
    print_many,
    printed,
    store,
    stored_pdf,
    suffix,
)
from app.invoicing.files.csv import csv_of
from app.invoicing.files.json import json_of
from app.invoicing.files.ubl import ubl_of
from app.invoicing.invoice import Invoice, InvoiceStatus
from app.kernel.scope import Scope
from app.tenants.settings import Layout


class FileKind(StrEnum):
    PDF = "pdf"
    CSV = "csv"
    JSON = "json"
    UBL = "ubl"


@dataclass(frozen=True, slots=True)
class File:
    name: str
    media_type: str
    body: bytes


async def download(
    scope: Scope,
    invoice_id: str,
    kind: FileKind,
    storage: Storage,
    *,
    layout: Layout | None = None,
) -> File:
    """A file of any invoice, drafts and void ones too; `layout` is how a PDF is laid out instead
    of as it was issued. A UBL is made of invoices in force. Raises: NotFound, Unavailable,
    Unprintable, EInvoiceUnsupported.
    """
    invoice = await reads.get(scope, invoice_id)
    body = await _body(scope, invoice, kind, storage, layout=layout)
    return File(_name(invoice, kind), MEDIA_TYPES[kind.value], body)


async def link(
    scope: Scope,
    invoice: Invoice,
    kind: FileKind,
    storage: Storage,
    *,
    at: datetime,
    layout: Layout | None = None,
) -> str | None:
    """A link to the file that anyone can open for a while; None unless the invoice is in force.

    Raises: NotFound, Unavailable, Unprintable, EInvoiceUnsupported.
    """
    if invoice.status is not InvoiceStatus.FINALIZED:
        return None
    if kind is FileKind.PDF and _as_issued(invoice, layout):
        key = await _pdf_key(scope, invoice, storage, at=at)
    else:
        body = await _body(scope, invoice, kind, storage, layout=layout)
        key = await store(scope, invoice.id, body, storage, kind=kind.value)
    if key is None:
        return None  # voided meanwhile
    return await storage.presign(key, filename=_name(invoice, kind))


def _name(invoice: Invoice, kind: FileKind) -> str:
    return f"{named(invoice.number or invoice.id)}.{suffix(kind.value)}"


async def _pdf_key(scope: Scope, invoice: Invoice, storage: Storage, *, at: datetime) -> str | None:
    """Costs no query for an invoice that is printed."""
    if invoice.pdf_key is None:
        await print_many(scope, [invoice.id], storage, at=at)
        invoice = await reads.get(scope, invoice.id)
    return invoice.pdf_key


def _as_issued(invoice: Invoice, layout: Layout | None) -> bool:
    look = invoice.presentation
    return layout is None or (look is not None and look.layout == layout)


async def _body(
    scope: Scope, invoice: Invoice, kind: FileKind, storage: Storage, *, layout: Layout | None
) -> bytes:
    if kind is FileKind.PDF and _as_issued(invoice, layout):
        known = await stored_pdf(invoice, storage)
        if known is not None:
            return known
    (materials,) = await gather(scope, [invoice], storage, layout=layout)
    match kind:
        case FileKind.PDF:
            return await printed(materials)
        case FileKind.CSV:
            return csv_of(invoice, materials.lines, materials.printing, applied=materials.applied)
        case FileKind.JSON:
            account = await reads.settlements_of_invoices(scope, [invoice.id])
            entries = await credit_reads.applications_to_invoices(scope, [invoice.id])
            why = explaining.of_invoice(invoice, materials.lines, entries.get(invoice.id, ()))
            return json_of(
                invoice,
                materials.lines,
                materials.printing,
                account.get(invoice.id, []),
                applied=materials.applied,
                why=why,
            )
        case FileKind.UBL:
            return ubl_of(invoice, materials.lines, materials.printing, applied=materials.applied)
