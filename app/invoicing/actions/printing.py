"""PDFs: made from an invoice and its lines, stored under a name cut from their content."""

import asyncio
import hashlib
from collections.abc import Collection, Sequence
from datetime import datetime

from app.customers import reads as customers
from app.infra import due
from app.infra.crash import point
from app.infra.postgres import writing
from app.infra.s3 import Storage
from app.invoicing import parties, reads
from app.invoicing.invoice import Invoice, InvoiceLine, InvoiceStatus, Party
from app.invoicing.pdf import document, render
from app.invoicing.work import PRINT
from app.kernel.errors import NotFound
from app.kernel.scope import Scope
from app.tenants.reads import environments, tenants

_UPLOADS = 8
_STORED = (
    "UPDATE invoices SET pdf_key = row.key, updated_at = $3 "
    "FROM unnest($4::text[], $5::text[]) AS row(id, key) WHERE invoices.tenant_id = $1 "
    "AND invoices.environment_id = $2 AND invoices.id = row.id AND invoices.status = 'finalized'"
)


async def print_many(
    scope: Scope, invoice_ids: Collection[str], storage: Storage, *, at: datetime
) -> list[str]:
    """Store the PDFs of issued invoices that have none; the ids of those that now have one.

    Raises: Unavailable, Unprintable.
    """
    found = (await reads.by_ids(scope, invoice_ids)).values()
    wanted = [invoice for invoice in found if invoice.status is InvoiceStatus.FINALIZED]
    missing = [invoice for invoice in wanted if invoice.pdf_key is None]
    lines = await reads.lines_of_invoices(scope, [invoice.id for invoice in missing])
    slots = asyncio.Semaphore(_UPLOADS)

    async def stored(invoice: Invoice) -> str:
        body = await _rendered(scope, invoice, lines.get(invoice.id, []))
        async with slots:
            return await _store(scope, invoice, body, storage)

    keys = await asyncio.gather(*(stored(invoice) for invoice in missing))
    point("invoicing.printed")
    async with writing(scope) as connection:
        ids = [invoice.id for invoice in missing]
        await connection.execute(
            _STORED, scope.tenant_id, scope.environment_id, at, ids, list(keys)
        )
        await due.cancel(scope, PRINT, list(invoice_ids))
    return ids


async def pdf(scope: Scope, invoice_id: str, storage: Storage) -> bytes:
    """The PDF of any invoice: the stored one of an issued invoice, else one made now.

    Raises: NotFound, Unavailable, Unprintable.
    """
    invoice = await reads.get(scope, invoice_id)
    if invoice.status is InvoiceStatus.FINALIZED and invoice.pdf_key is not None:
        try:
            return await storage.get(invoice.pdf_key)
        except NotFound:
            pass  # lost from the bucket: it can be made again, the same to the byte
    lines = await reads.lines_of_invoices(scope, [invoice_id])
    return await _rendered(scope, invoice, lines.get(invoice_id, []))


async def pdf_url(scope: Scope, invoice: Invoice, storage: Storage, *, at: datetime) -> str | None:
    """A link to the stored PDF, good for a while; None for an invoice that is not in force.

    Costs no query for an invoice that is printed. Raises: NotFound, Unavailable, Unprintable.
    """
    if invoice.status is not InvoiceStatus.FINALIZED:
        return None
    if invoice.pdf_key is None:
        await print_many(scope, [invoice.id], storage, at=at)
        invoice = await reads.get(scope, invoice.id)
    if invoice.pdf_key is None:
        return None  # voided meanwhile
    return await storage.presign(invoice.pdf_key, filename=f"{invoice.number}.pdf")


async def _rendered(scope: Scope, invoice: Invoice, lines: Sequence[InvoiceLine]) -> bytes:
    seller, bill_to = invoice.seller, invoice.bill_to
    if seller is None or bill_to is None:
        seller, bill_to = await _present(scope, invoice)
    return await render(document(invoice, lines, seller=seller, bill_to=bill_to))


async def _present(scope: Scope, invoice: Invoice) -> tuple[Party, Party]:
    """Who it would be from and to if it were issued now."""
    customer = await customers.get(scope, invoice.customer_id)
    settings = await environments.settings(scope)
    return parties.seller(await tenants.get(scope), settings), parties.buyer(customer)


async def _store(scope: Scope, invoice: Invoice, body: bytes, storage: Storage) -> str:
    digest = hashlib.sha256(body).hexdigest()
    folder = f"{scope.tenant_id}/{scope.environment_id}"
    key = f"{folder}/invoices/{invoice.id}/{digest}.pdf"
    await storage.put(key, body, "application/pdf", once=True)
    return key
