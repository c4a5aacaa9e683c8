"""PDFs: made from an invoice and its lines, stored under a name cut from their content."""

import asyncio
import hashlib
from collections.abc import Collection
from datetime import datetime

from app.infra import due
from app.infra.crash import point
from app.infra.postgres import writing
from app.infra.s3 import Storage
from app.invoicing import reads
from app.invoicing.actions.materials import Materials, gather
from app.invoicing.invoice import Invoice, InvoiceStatus
from app.invoicing.pdf import document, render
from app.invoicing.work import PRINT
from app.kernel.errors import NotFound
from app.kernel.scope import Scope

_UPLOADS = 8
# In the order in which `locks` holds invoices.
_STORED = (
    "WITH held AS (SELECT id FROM invoices WHERE tenant_id = $1 AND environment_id = $2 "
    "AND id = ANY($4) AND status = 'finalized' ORDER BY id FOR UPDATE) "
    "UPDATE invoices SET pdf_key = row.key, updated_at = $3 "
    "FROM held JOIN unnest($4::text[], $5::text[]) AS row(id, key) USING (id) "
    "WHERE invoices.id = ANY($4) AND invoices.id = held.id"
)


async def print_many(
    scope: Scope, invoice_ids: Collection[str], storage: Storage, *, at: datetime
) -> list[str]:
    """Store the PDFs of issued invoices that have none; the ids of those that now have one.

    Raises: NotFound (a logo is gone), Unavailable, Unprintable.
    """
    found = (await reads.by_ids(scope, invoice_ids)).values()
    wanted = [invoice for invoice in found if invoice.status is InvoiceStatus.FINALIZED]
    missing = [invoice for invoice in wanted if invoice.pdf_key is None]
    materials = await gather(scope, missing, storage)
    slots = asyncio.Semaphore(_UPLOADS)

    async def stored(each: Materials) -> str:
        body = await printed(each)
        async with slots:
            return await store(scope, each.invoice.id, body, storage, kind="pdf")

    keys = await asyncio.gather(*(stored(each) for each in materials))
    point("invoicing.printed")
    async with writing(scope) as connection:
        ids = [invoice.id for invoice in missing]
        await connection.execute(
            _STORED, scope.tenant_id, scope.environment_id, at, ids, list(keys)
        )
        await due.cancel(scope, PRINT, list(invoice_ids))
    return ids


async def printed(materials: Materials) -> bytes:
    """The PDF. Raises: Unprintable."""
    return await render(document(materials.invoice, materials.lines, materials.printing))


async def stored_pdf(invoice: Invoice, storage: Storage) -> bytes | None:
    """The PDF as it was stored when the invoice was issued; None where there is none.

    One that is lost from the bucket can be made again, the same to the byte. Raises: Unavailable.
    """
    if invoice.status is not InvoiceStatus.FINALIZED or invoice.pdf_key is None:
        return None
    try:
        return await storage.get(invoice.pdf_key)
    except NotFound:
        return None


async def store(scope: Scope, of: str, body: bytes, storage: Storage, *, kind: str) -> str:
    """The key that the file of what has this id is stored under; it names the content."""
    digest = hashlib.sha256(body).hexdigest()
    folder = f"{scope.tenant_id}/{scope.environment_id}"
    key = f"{folder}/{_FOLDERS[of.partition('_')[0]]}/{of}/{digest}.{suffix(kind)}"
    await storage.put(key, body, MEDIA_TYPES[kind], once=True)
    return key


_FOLDERS = {"inv": "invoices", "crn": "credit_notes"}
MEDIA_TYPES = {
    "pdf": "application/pdf",
    "csv": "text/csv; charset=utf-8",
    "json": "application/json",
    "ubl": "application/xml",
}


def named(number: str) -> str:
    """What a file is called, without what its kind adds."""
    return number.replace("/", "-")


def suffix(kind: str) -> str:
    """What the name of a file of the kind ends with."""
    return "xml" if kind == "ubl" else kind
