"""Invoices under lock, always in the order of their ids."""

from collections.abc import Collection

import asyncpg

from app.invoicing.invoice import Invoice
from app.invoicing.records import invoice_of
from app.kernel.errors import NotFound
from app.kernel.scope import Scope

_LOCKED = (
    "SELECT * FROM invoices WHERE tenant_id = $1 AND environment_id = $2 AND id = ANY($3) "
    "ORDER BY id FOR UPDATE"
)


async def invoices(
    connection: asyncpg.Connection, scope: Scope, ids: Collection[str]
) -> list[Invoice]:
    """The invoices as they are now, held until the transaction ends; absent ids are absent."""
    rows = await connection.fetch(_LOCKED, scope.tenant_id, scope.environment_id, list(ids))
    return [invoice_of(row) for row in rows]


async def invoice(
    connection: asyncpg.Connection, scope: Scope, invoice_id: str, *, field: str = "id"
) -> Invoice:
    """Raises: NotFound, which names `field` as the input at fault."""
    found = await invoices(connection, scope, [invoice_id])
    if not found:
        raise NotFound("invoice", invoice_id, field=field)
    return found[0]
