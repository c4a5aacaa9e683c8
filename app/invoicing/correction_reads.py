"""Queries of corrections. Every one takes the scope first and finds nothing outside it."""

from collections import defaultdict
from collections.abc import Collection
from datetime import datetime

from app.infra import listing
from app.infra.listing import Column, Listing, Order, Page, PageRequest
from app.infra.postgres import fetch
from app.infra.rows import having, the
from app.invoicing.correction import Correction, CorrectionApplied
from app.invoicing.correction_records import applied_of, correction_of
from app.invoicing.invoice import InvoiceLine
from app.invoicing.records import line_of
from app.kernel.scope import Scope

LISTING = Listing(
    table="invoice_corrections",
    columns=(
        Column("id", "id", sortable=True),
        Column("customer_id", "id"),
        Column("subscription_id", "id"),
        Column("invoice_id", "id"),
        Column("invoice_line_id", "id", nullable=True),
        Column("meter_id", "id", nullable=True),
        Column("description", "string"),
        Column("policy", "enum"),
        Column("status", "enum"),
        Column("currency", "string"),
        Column("amount", "decimal", sortable=True),
        Column("service_start", "datetime", sortable=True),
        Column("service_end", "datetime", sortable=True),
        Column("as_of", "datetime", sortable=True),
        Column("created_at", "datetime", sortable=True),
        Column("updated_at", "datetime", sortable=True),
    ),
    default_order=(Order("created_at", descending=True),),
    searchable=("description",),
)
# An application counts while what it is on is in force, drafts included.
_APPLIED = (
    "SELECT a.* FROM correction_applications a LEFT JOIN invoices i ON i.id = a.invoice_id "
    "LEFT JOIN credit_notes n ON n.id = a.credit_note_id "
    "WHERE a.tenant_id = $1 AND a.environment_id = $2 "
    "AND coalesce(i.status, n.status) <> 'void'"
)
_PENDING = (
    "SELECT c.*, c.amount - coalesce(t.amount, 0) AS remaining "  # noqa: S608 - ours
    "FROM invoice_corrections c "
    "JOIN invoices o ON o.id = c.invoice_id AND o.status IN ('finalized', 'skipped') "
    f"LEFT JOIN LATERAL (SELECT sum(a.amount) AS amount FROM ({_APPLIED}) AS a "
    "WHERE a.correction_id = c.id "
    "AND (a.invoice_id IS NULL OR a.invoice_id <> ALL($4))) AS t ON true "
    "WHERE c.tenant_id = $1 AND c.environment_id = $2 AND c.subscription_id = ANY($3) "
    "AND c.status = 'open' AND c.amount <> coalesce(t.amount, 0) ORDER BY c.id"
)
_LOCK = (
    "SELECT id FROM invoice_corrections WHERE tenant_id = $1 AND environment_id = $2 "
    "AND subscription_id = ANY($3) AND status = 'open' ORDER BY id FOR UPDATE"
)
_WAITING = (
    "SELECT DISTINCT c.subscription_id FROM invoice_corrections c "  # noqa: S608 - ours
    "JOIN invoices o ON o.id = c.invoice_id AND o.status IN ('finalized', 'skipped') "
    "WHERE c.tenant_id = $1 AND c.environment_id = $2 AND c.status = 'open' "
    f"AND c.amount <> coalesce((SELECT sum(a.amount) FROM ({_APPLIED}) AS a "
    "WHERE a.correction_id = c.id), 0) ORDER BY 1"
)
# Usage that was billed, and may have to be corrected. What was billed ahead of the end of its
# period is in the invoice of that end.
_BILLED = (
    "SELECT l.* FROM subscriptions s JOIN invoice_lines l ON l.tenant_id = $1 "
    "AND l.environment_id = $2 AND l.subscription_id = s.id "
    "JOIN invoices i ON i.id = l.invoice_id "
    "WHERE s.tenant_id = $1 AND s.environment_id = $2 AND s.customer_id = ANY($3) "
    "AND i.status IN ('finalized', 'skipped') AND i.reason <> 'threshold' "
    "AND i.usage_watermark < $5 "
    "AND l.kind = 'usage' AND l.service_end > $4 ORDER BY l.invoice_id, l.position"
)
_UNSEEN = (
    "SELECT id, usage_watermark FROM invoices WHERE tenant_id = $1 AND environment_id = $2 "
    "AND status IN ('finalized', 'skipped') AND corrected_as_of IS NULL "
    "AND usage_watermark IS NOT NULL"
)


async def page(scope: Scope, request: PageRequest) -> Page[Correction]:
    return (await listing.page(scope, LISTING, request)).map(correction_of)


async def by_ids(scope: Scope, ids: Collection[str]) -> dict[str, Correction]:
    """The corrections with these ids; absent ids are absent from the result."""
    rows = await having(scope, "invoice_corrections", "id", ids)
    return {row["id"]: correction_of(row) for row in rows}


async def get(scope: Scope, correction_id: str) -> Correction:
    """Raises: NotFound."""
    return the(await by_ids(scope, [correction_id]), "invoice correction", correction_id)


async def customers_of(scope: Scope, ids: Collection[str]) -> dict[str, str]:
    """The ids of the customers that corrections are for, by theirs; absent ids are absent."""
    rows = await having(scope, "invoice_corrections", "id", ids, columns="id, customer_id")
    return {row["id"]: row["customer_id"] for row in rows}


async def of_invoices(scope: Scope, invoice_ids: Collection[str]) -> dict[str, list[Correction]]:
    """What was corrected of each invoice, the oldest first; one without is absent."""
    rows = await having(scope, "invoice_corrections", "invoice_id", invoice_ids, also="ORDER BY id")
    grouped: defaultdict[str, list[Correction]] = defaultdict(list)
    for row in rows:
        grouped[row["invoice_id"]].append(correction_of(row))
    return dict(grouped)


async def applied_to_invoices(
    scope: Scope, invoice_ids: Collection[str]
) -> dict[str, list[CorrectionApplied]]:
    """Each invoice's parts of corrections; an invoice without one is absent."""
    rows = await having(
        scope, "correction_applications", "invoice_id", invoice_ids, also="ORDER BY id"
    )
    grouped: defaultdict[str, list[CorrectionApplied]] = defaultdict(list)
    for row in rows:
        grouped[row["invoice_id"]].append(applied_of(row))
    return dict(grouped)


async def applications(
    scope: Scope, correction_ids: Collection[str]
) -> dict[str, list[CorrectionApplied]]:
    """Where each correction is billed, or was given back, and is in force; absent if nowhere."""
    rows = await fetch(
        scope,
        _APPLIED + " AND a.correction_id = ANY($3) ORDER BY a.id",
        scope.tenant_id,
        scope.environment_id,
        list(correction_ids),
    )
    grouped: defaultdict[str, list[CorrectionApplied]] = defaultdict(list)
    for row in rows:
        grouped[row["correction_id"]].append(applied_of(row))
    return dict(grouped)


async def pending(
    scope: Scope,
    subscription_ids: Collection[str],
    *,
    without: Collection[str] = (),
    lock: bool = False,
) -> list[Correction]:
    """The corrections of subscriptions that are to be billed, with what remains of each.

    What is on the invoices `without` counts as remaining. `lock`: nobody else bills them until
    the transaction ends.
    """
    named = scope.tenant_id, scope.environment_id, list(subscription_ids)
    # Locked apart, so that what was billed while this waited is seen.
    if lock and not await fetch(scope, _LOCK, *named):
        return []
    rows = await fetch(scope, _PENDING, *named, list(without))
    return [correction_of(row) for row in rows]


async def waiting_subscriptions(scope: Scope) -> list[str]:
    """The ids of the subscriptions that have corrections to be billed."""
    rows = await fetch(scope, _WAITING, scope.tenant_id, scope.environment_id)
    return [row["subscription_id"] for row in rows]


async def billed_usage(
    scope: Scope, customer_ids: Collection[str], *, after: datetime, as_of: datetime
) -> list[InvoiceLine]:
    """Usage lines of customers' subscriptions on invoices in force, whoever pays them and skipped
    ones included, of periods that end after an instant and were counted as of an earlier
    watermark."""
    rows = await fetch(
        scope, _BILLED, scope.tenant_id, scope.environment_id, list(customer_ids), after, as_of
    )
    return [line_of(row) for row in rows]


async def lines_asking(scope: Scope, correction: Correction) -> list[InvoiceLine]:
    """The lines of issued invoices that ask for what is corrected: the line itself, then those of
    corrections of it."""
    rows = await fetch(
        scope,
        "SELECT l.* FROM invoice_lines l JOIN invoices i ON i.id = l.invoice_id "
        "WHERE i.tenant_id = $1 AND i.environment_id = $2 AND i.status = 'finalized' "
        "AND l.amount > 0 AND (l.id = $3 OR l.correction_id IN (SELECT c.id "
        "FROM invoice_corrections c WHERE c.tenant_id = $1 AND c.environment_id = $2 "
        "AND c.invoice_id = $4 AND c.line_item_id = $5 AND c.line_key = $6)) "
        "ORDER BY l.id = $3 DESC, l.id",
        scope.tenant_id,
        scope.environment_id,
        correction.invoice_line_id,
        correction.invoice_id,
        correction.line_item_id,
        correction.line_key,
    )
    return [line_of(row) for row in rows]


async def unseen(scope: Scope) -> dict[str, datetime]:
    """The watermarks of the invoices whose usage nobody has looked at again yet, by their ids."""
    rows = await fetch(scope, _UNSEEN, scope.tenant_id, scope.environment_id)
    return {row["id"]: row["usage_watermark"] for row in rows}


async def mark(scope: Scope) -> datetime | None:
    """As of which watermark billed usage was looked at last; None: never."""
    rows = await fetch(
        scope,
        "SELECT watermark FROM correction_marks WHERE tenant_id = $1 AND environment_id = $2",
        scope.tenant_id,
        scope.environment_id,
    )
    return rows[0]["watermark"] if rows else None


async def applied_elsewhere(scope: Scope, invoice_id: str) -> bool:
    """Whether corrections of an invoice are billed on others in force, drafts included."""
    rows = await fetch(
        scope,
        "SELECT 1 FROM invoice_corrections c "  # noqa: S608 - ours
        f"JOIN ({_APPLIED}) AS a ON a.correction_id = c.id "
        "WHERE c.tenant_id = $1 AND c.environment_id = $2 AND c.invoice_id = $3 "
        "AND a.invoice_id <> $3 LIMIT 1",
        scope.tenant_id,
        scope.environment_id,
        invoice_id,
    )
    return bool(rows)
