"""Queries. Every one takes the scope first and finds nothing outside it."""

from collections import defaultdict
from collections.abc import Collection
from datetime import datetime

from msgspec import Struct

from app.infra import listing
from app.infra.listing import Column, Listing, Order, Page, PageRequest
from app.infra.postgres import fetch
from app.infra.rows import having, the
from app.invoicing.invoice import BillingReason, Invoice, InvoiceLine, LineKind, Settlement
from app.invoicing.records import invoice_of, line_of, settlement_of
from app.kernel.scope import Scope

# The same as `Invoice.payment_status`.
_PAYMENT_STATUS = (
    "(CASE WHEN status <> 'finalized' THEN NULL "
    "WHEN uncollectible_at IS NOT NULL THEN 'uncollectible' "
    "WHEN amount_remaining > 0 THEN 'open' WHEN paid_at IS NULL THEN 'settled' ELSE 'paid' END)"
)
_WAITING = (
    "id, customer_id, "
    "status = 'draft' AND NOT edited AND coalesce(finalize_at > created_at, false) AS waited"
)

LISTING = Listing(
    table="invoices",
    columns=(
        Column("id", "id", sortable=True),
        Column("number", "string", sortable=True, nullable=True),
        Column("customer_id", "id"),
        Column("subscription_id", "id", nullable=True),
        Column("consolidated_into_id", "id", nullable=True),
        Column("status", "enum"),
        Column("reason", "enum"),
        Column("currency", "string"),
        Column("subtotal", "decimal", sortable=True),
        Column("total", "decimal", sortable=True),
        Column("amount_due", "decimal", sortable=True),
        Column("amount_remaining", "decimal", sortable=True),
        Column("payment_status", "enum", sql=_PAYMENT_STATUS, nullable=True),
        Column("purchase_order", "string", nullable=True),
        Column("key", "string", sql="source_id", nullable=True),
        Column("period_start", "datetime", sortable=True),
        Column("period_end", "datetime", sortable=True),
        Column("issued_at", "datetime", sortable=True, nullable=True),
        Column("due_at", "datetime", sortable=True, nullable=True),
        Column("finalized_at", "datetime", sortable=True, nullable=True),
        Column("voided_at", "datetime", nullable=True),
        Column("paid_at", "datetime", nullable=True),
        Column("metadata", "json"),
        Column("created_at", "datetime", sortable=True),
        Column("updated_at", "datetime", sortable=True),
    ),
    default_order=(Order("created_at", descending=True),),
    searchable=("number", "purchase_order"),
)


async def page(scope: Scope, request: PageRequest) -> Page[Invoice]:
    return (await listing.page(scope, LISTING, request)).map(invoice_of)


async def by_ids(scope: Scope, ids: Collection[str]) -> dict[str, Invoice]:
    """The invoices with these ids; absent ids are absent from the result."""
    rows = await having(scope, "invoices", "id", ids)
    return {row["id"]: invoice_of(row) for row in rows}


class Waiting(Struct, frozen=True):
    """An invoice that is about to be issued, whose it is, and whether events may have come since
    it was drafted. What was edited stays as it is."""

    id: str
    customer_id: str
    waited: bool


async def waiting(scope: Scope, ids: Collection[str]) -> list[Waiting]:
    """The invoices with these ids, drafts or not; absent ids are absent from the result."""
    rows = await having(scope, "invoices", "id", ids, columns=_WAITING)
    return [Waiting(*row) for row in rows]


async def drafts_due(scope: Scope, customer_ids: Collection[str], at: datetime) -> list[Waiting]:
    """The drafts of customers whose wait for late events is over at `at`."""
    rows = await fetch(
        scope,
        f"SELECT {_WAITING} FROM invoices WHERE tenant_id = $1 "  # noqa: S608
        "AND environment_id = $2 AND customer_id = ANY($3) AND status = 'draft' "
        "AND finalize_at <= $4 ORDER BY id",
        scope.tenant_id,
        scope.environment_id,
        list(customer_ids),
        at,
    )
    return [Waiting(*row) for row in rows]


async def consolidated_into(scope: Scope, invoice_ids: Collection[str]) -> dict[str, list[Invoice]]:
    """What each invoice asks for in the place of, void ones included; one without is absent."""
    rows = await having(
        scope, "invoices", "consolidated_into_id", invoice_ids,
        also="ORDER BY subscription_id, period_end, id",
    )  # fmt: skip
    grouped: defaultdict[str, list[Invoice]] = defaultdict(list)
    for row in rows:
        grouped[row["consolidated_into_id"]].append(invoice_of(row))
    return dict(grouped)


async def customers_of(scope: Scope, ids: Collection[str]) -> dict[str, str]:
    """The ids of the customers that invoices belong to, by theirs; absent ids are absent."""
    rows = await having(scope, "invoices", "id", ids, columns="id, customer_id")
    return {row["id"]: row["customer_id"] for row in rows}


async def get(scope: Scope, invoice_id: str) -> Invoice:
    """Raises: NotFound."""
    return the(await by_ids(scope, [invoice_id]), "invoice", invoice_id)


async def lines_of_invoices(
    scope: Scope, invoice_ids: Collection[str]
) -> dict[str, list[InvoiceLine]]:
    """Each invoice's lines by position; an invoice without lines is absent."""
    rows = await having(
        scope, "invoice_lines", "invoice_id", invoice_ids, also="ORDER BY invoice_id, position"
    )
    grouped: defaultdict[str, list[InvoiceLine]] = defaultdict(list)
    for row in rows:
        grouped[row["invoice_id"]].append(line_of(row))
    return dict(grouped)


async def lines_of_thresholds(scope: Scope, subscription_ids: Collection[str]) -> list[InvoiceLine]:
    """The lines that billed usage of the subscriptions ahead of its period's end, in order."""
    rows = await fetch(
        scope,
        "SELECT l.* FROM invoice_lines l JOIN invoices i ON i.id = l.invoice_id "
        "WHERE l.tenant_id = $1 AND l.environment_id = $2 AND l.subscription_id = ANY($3) "
        "AND i.reason = $4 AND i.status <> 'void' AND l.kind = 'usage' "
        "ORDER BY l.service_end, l.id",
        scope.tenant_id,
        scope.environment_id,
        list(subscription_ids),
        BillingReason.THRESHOLD.value,
    )
    return [line_of(row) for row in rows]


async def fixed_lines_until_after(
    scope: Scope, subscription_id: str, line_item_ids: Collection[str], at: datetime
) -> list[tuple[Invoice, InvoiceLine]]:
    """The lines that bill fixed charges of these line items of a subscription for time after
    `at`, on drafts and on invoices in force, each with its invoice, by invoice and position."""
    rows = await fetch(
        scope,
        "SELECT l.* FROM invoice_lines l JOIN invoices i ON i.id = l.invoice_id "
        "WHERE l.tenant_id = $1 AND l.environment_id = $2 AND l.subscription_id = $3 "
        "AND l.subscription_line_item_id = ANY($4) AND l.kind = $5 AND l.service_end > $6 "
        "AND i.status IN ('draft', 'finalized') ORDER BY i.id, l.position",
        scope.tenant_id,
        scope.environment_id,
        subscription_id,
        list(line_item_ids),
        LineKind.FIXED.value,
        at,
    )
    lines = [line_of(row) for row in rows]
    invoices = await by_ids(scope, {line.invoice_id for line in lines})
    return [(invoices[line.invoice_id], line) for line in lines]


async def lines_by_ids(scope: Scope, ids: Collection[str]) -> dict[str, InvoiceLine]:
    """The lines with these ids; absent ids are absent from the result."""
    rows = await having(scope, "invoice_lines", "id", ids)
    return {row["id"]: line_of(row) for row in rows}


async def settlements_of_invoices(
    scope: Scope, invoice_ids: Collection[str]
) -> dict[str, list[Settlement]]:
    """Each invoice's account, the oldest entry first; an invoice without one is absent."""
    rows = await having(
        scope, "invoice_settlements", "invoice_id", invoice_ids, also="ORDER BY invoice_id, id"
    )
    grouped: defaultdict[str, list[Settlement]] = defaultdict(list)
    for row in rows:
        grouped[row["invoice_id"]].append(settlement_of(row))
    return dict(grouped)


async def pages_of_customers(
    scope: Scope, customer_ids: Collection[str], request: PageRequest
) -> dict[str, Page[Invoice]]:
    """The page of each customer's invoices; every customer is a key."""
    return await _pages_of(scope, "customer_id", customer_ids, request)


async def pages_of_subscriptions(
    scope: Scope, subscription_ids: Collection[str], request: PageRequest
) -> dict[str, Page[Invoice]]:
    """The page of each subscription's invoices; every subscription is a key."""
    return await _pages_of(scope, "subscription_id", subscription_ids, request)


async def _pages_of(
    scope: Scope, column: str, parents: Collection[str], request: PageRequest
) -> dict[str, Page[Invoice]]:
    found = await listing.pages_of(scope, LISTING, request, column=column, parents=parents)
    return {parent: rows.map(invoice_of) for parent, rows in found.items()}
