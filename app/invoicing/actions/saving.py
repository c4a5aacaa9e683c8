"""Writing drafts: the invoice, its lines, its due work and its events, in one transaction."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import asyncpg

from app.infra import due, outbox
from app.invoicing.applied.rows import TABLES, rows_of
from app.invoicing.corrected import corrected
from app.invoicing.drafts import Drafted
from app.invoicing.events import InvoiceDrafted, InvoiceEvent, InvoiceSkipped
from app.invoicing.in_force import reckoned
from app.invoicing.invoice import Invoice, InvoiceStatus
from app.invoicing.records import (
    computed_values,
    insert,
    invoice_values,
    line_values,
    update,
)
from app.invoicing.work import CORRECT, FINALIZE
from app.kernel.scope import Actor, Scope
from app.tenants import audit
from app.tenants.reads import environments

_BILLED = (
    "SELECT i.subscription_id, i.period_start, i.period_end, i.reason FROM invoices i "
    "WHERE i.tenant_id = $1 AND i.environment_id = $2 AND i.subscription_id = ANY($3) "
    "AND i.period_start >= $4 AND i.status <> 'void'"
)


async def save(
    connection: asyncpg.Connection,
    scope: Scope,
    drafts: Sequence[Drafted],
    *,
    by: Actor,
    at: datetime,
) -> list[Drafted]:
    """Add the drafts. Call inside `writing(scope)`, with their subscriptions locked.

    A period that has an invoice already, of the same reason, gets no second one. Returns
    what was added.
    """
    fresh = await unbilled(connection, scope, drafts)
    return await add(connection, scope, fresh, by=by, at=at)


async def add(
    connection: asyncpg.Connection,
    scope: Scope,
    fresh: Sequence[Drafted],
    *,
    by: Actor,
    at: datetime,
) -> list[Drafted]:
    """Add drafts that are known to be new, reckoned; as added. Call inside `writing(scope)`."""
    fresh = await corrected(scope, fresh, lock=True)
    fresh = await reckoned(scope, fresh, at=at, lock=True)
    return await add_as_is(connection, scope, fresh, by=by, at=at)


async def add_as_is(
    connection: asyncpg.Connection,
    scope: Scope,
    fresh: Sequence[Drafted],
    *,
    by: Actor,
    at: datetime,
) -> list[Drafted]:
    """`add`, of what is reckoned, or will be before it is issued."""
    await insert(connection, "invoices", [_empty(scope, drafted.invoice) for drafted in fresh])
    await insert_parts(connection, scope, fresh, at=at)
    # Lines can only be added to a draft, so what is skipped becomes so after them.
    skipped = [d.invoice.id for d in fresh if d.invoice.status is InvoiceStatus.SKIPPED]
    if skipped:
        await connection.execute(
            "UPDATE invoices SET status = 'skipped' "
            "WHERE tenant_id = $1 AND environment_id = $2 AND id = ANY($3)",
            scope.tenant_id,
            scope.environment_id,
            skipped,
        )
    waiting = [
        due.Item(d.invoice.id, d.invoice.finalize_at, d.invoice.customer_id)
        for d in fresh
        if d.invoice.status is InvoiceStatus.DRAFT and d.invoice.finalize_at is not None
    ]
    await due.schedule_many(scope, FINALIZE, waiting)
    await announce(scope, fresh, by=by, at=at)
    return list(fresh)


async def announce(scope: Scope, drafts: Sequence[Drafted], *, by: Actor, at: datetime) -> None:
    """Note that the drafts are made, tell it, and see to it that their usage is looked at again."""
    await _look_again(scope, drafts, at=at)
    await audit.record_many(scope, by, [_noted(drafted.invoice) for drafted in drafts], at=at)
    await outbox.put_many(scope, [_told(drafted.invoice) for drafted in drafts])


async def rewrite(
    connection: asyncpg.Connection, scope: Scope, drafts: Sequence[Drafted], *, at: datetime
) -> list[Drafted]:
    """Give drafts that are there, and locked, the lines they have in `drafts`, reckoned anew;
    as written."""
    fresh = await corrected(scope, drafts, lock=True)
    fresh = await reckoned(scope, fresh, at=at, lock=True)
    await replace_parts(connection, scope, fresh, at=at)
    return fresh


async def replace_parts(
    connection: asyncpg.Connection, scope: Scope, drafts: Sequence[Drafted], *, at: datetime
) -> None:
    """Write drafts that are there, and reckoned, with everything that belongs to them."""
    if not drafts:
        return
    await clear_parts(connection, scope, [drafted.invoice.id for drafted in drafts])
    await insert_parts(connection, scope, drafts, at=at)
    await update(
        connection,
        "invoices",
        [{"id": d.invoice.id, **computed_values(d.invoice), "updated_at": at} for d in drafts],
    )


async def clear_parts(connection: asyncpg.Connection, scope: Scope, ids: Sequence[str]) -> None:
    """Take the lines of drafts away, and what was applied to them."""
    for table in ("invoice_lines", *TABLES):
        await connection.execute(
            f"DELETE FROM {table} "  # noqa: S608 - a name of ours
            "WHERE tenant_id = $1 AND environment_id = $2 AND invoice_id = ANY($3)",
            scope.tenant_id,
            scope.environment_id,
            ids,
        )


async def _look_again(scope: Scope, drafts: Sequence[Drafted], *, at: datetime) -> None:
    """See to it that what is billed of usage is looked at again, from time to time."""
    if any(drafted.invoice.usage_watermark is not None for drafted in drafts):
        interval = (await environments.settings(scope)).corrections.interval
        item = due.Item(scope.environment_id, at + interval, None)
        await due.schedule_new(scope, CORRECT, item)


async def insert_parts(
    connection: asyncpg.Connection, scope: Scope, drafts: Sequence[Drafted], *, at: datetime
) -> None:
    """Add the lines of drafts, and what was applied to them."""
    parts: defaultdict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for drafted in drafts:
        parts["invoice_lines"] += [line_values(scope, line, at) for line in drafted.lines]
        for table, row in rows_of(scope, drafted.invoice, drafted.applied, at):
            parts[table].append(row)
    for table, rows in parts.items():
        await insert(connection, table, rows)


async def unbilled(
    connection: asyncpg.Connection, scope: Scope, drafts: Sequence[Drafted]
) -> list[Drafted]:
    """The drafts whose periods have no invoice of their reason yet."""
    if not drafts:
        return []
    subscriptions = list({drafted.invoice.subscription_id for drafted in drafts})
    first = min(drafted.invoice.period.start for drafted in drafts)
    rows = await connection.fetch(
        _BILLED, scope.tenant_id, scope.environment_id, subscriptions, first
    )
    billed = {tuple(row) for row in rows}
    return [drafted for drafted in drafts if _identity(drafted.invoice) not in billed]


def _identity(invoice: Invoice) -> tuple[str | None, datetime, datetime, str]:
    period = invoice.period
    return invoice.subscription_id, period.start, period.end, invoice.reason.value


def _empty(scope: Scope, invoice: Invoice) -> dict[str, object]:
    return {**invoice_values(scope, invoice), "status": InvoiceStatus.DRAFT}


def _noted(invoice: Invoice) -> audit.Entry:
    verb = "skip" if invoice.status is InvoiceStatus.SKIPPED else "draft"
    facts = {
        "status": invoice.status,
        "reason": invoice.reason,
        "customer_id": invoice.customer_id,
        "subscription_id": invoice.subscription_id,
        "period_start": invoice.period.start,
        "period_end": invoice.period.end,
        "currency": invoice.currency,
        "total": invoice.totals.total,
    }
    return audit.Entry(f"invoice.{verb}", invoice.id, after=facts)


def _told(invoice: Invoice) -> InvoiceEvent:
    kind = InvoiceSkipped if invoice.status is InvoiceStatus.SKIPPED else InvoiceDrafted
    return kind.of(invoice, invoice.created_at)
