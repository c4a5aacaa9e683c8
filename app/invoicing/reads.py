"""Queries. Every one takes the scope first and finds nothing outside it."""

from collections import defaultdict
from collections.abc import Collection

from app.infra import listing
from app.infra.listing import Column, Listing, Order, Page, PageRequest
from app.infra.postgres import fetch
from app.invoicing.invoice import Invoice, InvoiceLine
from app.invoicing.records import invoice_of, line_of
from app.kernel.errors import NotFound
from app.kernel.scope import Scope

LISTING = Listing(
    table="invoices",
    columns=(
        Column("id", "id", sortable=True),
        Column("number", "string", sortable=True, nullable=True),
        Column("customer_id", "id"),
        Column("subscription_id", "id", nullable=True),
        Column("status", "enum"),
        Column("reason", "enum"),
        Column("currency", "string"),
        Column("subtotal", "decimal", sortable=True),
        Column("total", "decimal", sortable=True),
        Column("amount_due", "decimal", sortable=True),
        Column("period_start", "datetime", sortable=True),
        Column("period_end", "datetime", sortable=True),
        Column("issued_at", "datetime", sortable=True, nullable=True),
        Column("due_at", "datetime", sortable=True, nullable=True),
        Column("finalized_at", "datetime", sortable=True, nullable=True),
        Column("voided_at", "datetime", nullable=True),
        Column("metadata", "json"),
        Column("created_at", "datetime", sortable=True),
        Column("updated_at", "datetime", sortable=True),
    ),
    default_order=(Order("created_at", descending=True),),
    searchable=("number",),
)
_INVOICES = "SELECT * FROM invoices WHERE tenant_id = $1 AND environment_id = $2 AND "
_LINES = "SELECT * FROM invoice_lines WHERE tenant_id = $1 AND environment_id = $2 AND "


async def page(scope: Scope, request: PageRequest) -> Page[Invoice]:
    return (await listing.page(scope, LISTING, request)).map(invoice_of)


async def by_ids(scope: Scope, ids: Collection[str]) -> dict[str, Invoice]:
    """The invoices with these ids; absent ids are absent from the result."""
    rows = await fetch(
        scope, _INVOICES + "id = ANY($3)", scope.tenant_id, scope.environment_id, list(ids)
    )
    return {row["id"]: invoice_of(row) for row in rows}


async def get(scope: Scope, invoice_id: str) -> Invoice:
    """Raises: NotFound."""
    found = await by_ids(scope, [invoice_id])
    if invoice_id not in found:
        raise NotFound("invoice", invoice_id, field="id")
    return found[invoice_id]


async def lines_of_invoices(
    scope: Scope, invoice_ids: Collection[str]
) -> dict[str, list[InvoiceLine]]:
    """Each invoice's lines by position; an invoice without lines is absent."""
    rows = await fetch(
        scope,
        _LINES + "invoice_id = ANY($3) ORDER BY invoice_id, position",
        scope.tenant_id,
        scope.environment_id,
        list(invoice_ids),
    )
    grouped: defaultdict[str, list[InvoiceLine]] = defaultdict(list)
    for row in rows:
        grouped[row["invoice_id"]].append(line_of(row))
    return dict(grouped)


async def lines_by_ids(scope: Scope, ids: Collection[str]) -> dict[str, InvoiceLine]:
    """The lines with these ids; absent ids are absent from the result."""
    rows = await fetch(
        scope, _LINES + "id = ANY($3)", scope.tenant_id, scope.environment_id, list(ids)
    )
    return {row["id"]: line_of(row) for row in rows}


async def by_customers(
    scope: Scope, customer_ids: Collection[str], *, most: int
) -> dict[str, list[Invoice]]:
    """Each customer's `most` newest invoices, newest first; none is absent."""
    return await _newest(scope, "customer_id", customer_ids, most)


async def by_subscriptions(
    scope: Scope, subscription_ids: Collection[str], *, most: int
) -> dict[str, list[Invoice]]:
    """Each subscription's `most` newest invoices, newest first; none is absent."""
    return await _newest(scope, "subscription_id", subscription_ids, most)


async def _newest(
    scope: Scope, column: str, keys: Collection[str], most: int
) -> dict[str, list[Invoice]]:
    rows = await fetch(
        scope,
        # `column` is one of two names of ours.
        f"SELECT found.* FROM unnest($3::text[]) AS key, LATERAL ({_INVOICES} {column} = key "  # noqa: S608
        "ORDER BY period_start DESC, id DESC LIMIT $4) AS found",
        scope.tenant_id,
        scope.environment_id,
        list(keys),
        most,
    )
    grouped: defaultdict[str, list[Invoice]] = defaultdict(list)
    for row in rows:
        grouped[row[column]].append(invoice_of(row))
    return dict(grouped)
