"""From draft to issued: a number, a due date, and who it is from and to, for good."""

from collections.abc import Collection, Sequence
from datetime import datetime

import asyncpg
import orjson

from app.infra import due, outbox
from app.infra.crash import point
from app.infra.postgres import writing
from app.invoicing.actions import credit_balances, issuing, locks
from app.invoicing.actions.consolidating import fold
from app.invoicing.actions.reckoning import reckon_again
from app.invoicing.errors import InvoiceNotDraft
from app.invoicing.events import InvoiceSkipped
from app.invoicing.invoice import Invoice, InvoiceStatus, Party, Presentation
from app.invoicing.work import FINALIZE
from app.kernel.scope import Actor, Scope
from app.tenants import audit

# The ids are said twice here, so that the table is looked into by its key and not read in full.
_ISSUE = (
    "UPDATE invoices SET status = 'finalized', number = row.number, issued_at = $3, "
    "finalized_at = $3, due_at = row.due_at, seller = $4::jsonb, bill_to = row.bill_to::jsonb, "
    "presentation = row.presentation::jsonb, credited = row.credited, "
    "amount_due = row.amount_due, amount_remaining = row.amount_due, "
    "paid_at = row.paid_at, updated_at = $3 "
    "FROM unnest($5::text[], $6::text[], $7::timestamptz[], $8::text[], $9::text[], "
    "$10::timestamptz[], $11::numeric[], $12::numeric[]) AS row(id, number, due_at, bill_to, "
    "presentation, paid_at, credited, amount_due) "
    "WHERE invoices.tenant_id = $1 AND invoices.environment_id = $2 AND invoices.id = ANY($5) "
    "AND invoices.id = row.id"
)
_SKIP = (
    "UPDATE invoices SET status = 'skipped', updated_at = $3 "
    "WHERE tenant_id = $1 AND environment_id = $2 AND id = ANY($4)"
)


async def finalize(scope: Scope, invoice_id: str, *, by: Actor, at: datetime) -> Invoice:
    """Issue one draft now, whether or not its wait for late events is over.

    A draft that comes to nothing becomes skipped instead, unless the settings say otherwise.
    Raises: NotFound, InvoiceNotDraft, NumberTaken.
    """
    async with writing(scope) as connection:
        before = await locks.invoice(connection, scope, invoice_id)
        if before.status is not InvoiceStatus.DRAFT:
            raise InvoiceNotDraft(invoice_id, before.status)
        await finalize_many(scope, [invoice_id], by=by, at=at)
        return await locks.invoice(connection, scope, invoice_id)


async def finalize_many(
    scope: Scope,
    invoice_ids: Collection[str],
    *,
    by: Actor,
    at: datetime,
    consolidates: bool = False,
) -> list[Invoice]:
    """Issue the drafts among these invoices, numbered in the order of their periods.

    `consolidates`: those of one payer that ask for the same terms on the same day become one
    where the payer wants it.
    What is not a draft is left alone, so a second call changes nothing. Returns what was
    issued. Raises: NumberTaken.
    """
    issuer = await issuing.issuer(scope)
    async with writing(scope) as connection:
        found = await locks.invoices(connection, scope, invoice_ids)
        drafts = [invoice for invoice in found if invoice.status is InvoiceStatus.DRAFT]
        if consolidates:
            drafts = await fold(connection, scope, drafts, by=by, at=at)
        # What is in force at this moment, not when they were drafted.
        drafts = await reckon_again(connection, scope, drafts, by=by, at=at)
        empty = [draft for draft in drafts if not issuer.asks_for(draft)]
        if empty:
            await _skip(connection, scope, empty, by=by, at=at)
        asked = [draft for draft in drafts if issuer.asks_for(draft)]
        dressed = await issuing.dress(connection, scope, asked, issuer, at=at)
        await due.cancel(scope, FINALIZE, sorted({each.id for each in (*found, *drafts)}))
        await issuing.to_be_printed(scope, dressed.invoices)
        issued = await issuing.numbered(connection, scope, dressed, issuer)
        if issued:
            await _write(connection, scope, issued)
        await issuing.announce(scope, issued, by=by)
        await credit_balances.pay(connection, scope, dressed.taken)
        point("invoicing.finalized")
    point("invoicing.finalized_committed")
    return issued


async def _write(connection: asyncpg.Connection, scope: Scope, issued: Sequence[Invoice]) -> None:
    with issuing.numbers_free(issued):
        await connection.execute(
            _ISSUE,
            scope.tenant_id,
            scope.environment_id,
            issued[0].issued_at,
            _json(issued[0].seller),
            [invoice.id for invoice in issued],
            [invoice.number for invoice in issued],
            [invoice.due_at for invoice in issued],
            [_json(invoice.bill_to) for invoice in issued],
            [_json(invoice.presentation) for invoice in issued],
            [invoice.paid_at for invoice in issued],
            [invoice.totals.credited for invoice in issued],
            [invoice.totals.amount_due for invoice in issued],
        )


async def _skip(
    connection: asyncpg.Connection,
    scope: Scope,
    empty: Sequence[Invoice],
    *,
    by: Actor,
    at: datetime,
) -> None:
    ids = [invoice.id for invoice in empty]
    await connection.execute(_SKIP, scope.tenant_id, scope.environment_id, at, ids)
    facts = {"status": InvoiceStatus.SKIPPED}
    entries = [audit.Entry("invoice.skip", invoice_id, after=facts) for invoice_id in ids]
    await audit.record_many(scope, by, entries, at=at)
    await outbox.put_many(scope, [InvoiceSkipped.of(invoice, at) for invoice in empty])


def _json(value: Party | Presentation | None) -> str | None:
    return None if value is None else orjson.dumps(value).decode()
