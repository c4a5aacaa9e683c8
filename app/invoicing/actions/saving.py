"""Writing drafts: the invoice, its lines, its due work and its events, in one transaction."""

from collections.abc import Sequence
from datetime import datetime

import asyncpg

from app.infra import due, outbox
from app.invoicing.bills import Drafted
from app.invoicing.events import InvoiceDrafted, InvoiceEvent, InvoiceSkipped
from app.invoicing.invoice import Invoice, InvoiceStatus
from app.invoicing.records import (
    computed_values,
    insert,
    invoice_values,
    line_values,
    update,
)
from app.invoicing.work import FINALIZE
from app.kernel.scope import Actor, Scope
from app.tenants import audit

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
    fresh = await _unbilled(connection, scope, drafts)
    await add(connection, scope, fresh, by=by, at=at)
    return fresh


async def add(
    connection: asyncpg.Connection,
    scope: Scope,
    fresh: Sequence[Drafted],
    *,
    by: Actor,
    at: datetime,
) -> None:
    """Add drafts that are known to be new. Call inside `writing(scope)`."""
    await insert(connection, "invoices", [_empty(scope, drafted.invoice) for drafted in fresh])
    await insert(
        connection,
        "invoice_lines",
        [line_values(scope, line, d.invoice.created_at) for d in fresh for line in d.lines],
    )
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
    await audit.record_many(scope, by, [_noted(drafted.invoice) for drafted in fresh], at=at)
    await outbox.put_many(scope, [_told(drafted.invoice) for drafted in fresh])


async def rewrite(
    connection: asyncpg.Connection, scope: Scope, drafts: Sequence[Drafted], *, at: datetime
) -> None:
    """Give drafts that are there, and locked, the lines and amounts they have in `drafts`."""
    if not drafts:
        return
    await connection.execute(
        "DELETE FROM invoice_lines "
        "WHERE tenant_id = $1 AND environment_id = $2 AND invoice_id = ANY($3)",
        scope.tenant_id,
        scope.environment_id,
        [drafted.invoice.id for drafted in drafts],
    )
    await insert(
        connection,
        "invoice_lines",
        [line_values(scope, line, at) for drafted in drafts for line in drafted.lines],
    )
    await update(
        connection,
        "invoices",
        [{"id": d.invoice.id, **computed_values(d.invoice), "updated_at": at} for d in drafts],
    )


async def _unbilled(
    connection: asyncpg.Connection, scope: Scope, drafts: Sequence[Drafted]
) -> list[Drafted]:
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
