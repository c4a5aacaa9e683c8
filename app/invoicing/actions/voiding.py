"""Taking an invoice back: it stays as it is, number included, and asks for nothing any more."""

from datetime import datetime

import asyncpg

from app.infra import due, outbox
from app.infra.postgres import writing
from app.invoicing import correction_reads, credit_reads, reads
from app.invoicing.actions import credit_balances, locks
from app.invoicing.actions.consolidating import release
from app.invoicing.credit_note import CreditNoteStatus
from app.invoicing.errors import (
    InvoiceAlreadyVoid,
    InvoiceCorrected,
    InvoiceCredited,
    InvoiceIsConsolidated,
    InvoicePaidInPart,
)
from app.invoicing.events import InvoiceVoided
from app.invoicing.invoice import Invoice, InvoiceStatus, SettlementKind
from app.invoicing.records import update
from app.invoicing.work import FINALIZE, PRINT
from app.kernel import checks
from app.kernel.scope import Actor, Scope
from app.tenants import audit


async def void(scope: Scope, invoice_id: str, *, reason: str, by: Actor, at: datetime) -> Invoice:
    """Void a draft, an issued or a skipped invoice; its period may then be billed again.

    What credits paid of it is theirs again, and so are the periods of a consolidated one.
    Raises: Invalid (INVALID_REASON), NotFound, InvoiceAlreadyVoid, InvoicePaidInPart,
    InvoiceCredited, InvoiceCorrected, InvoiceIsConsolidated.
    """
    stated = checks.text(reason, "reason", longest=500)
    async with writing(scope) as connection:
        before = await locks.invoice(connection, scope, invoice_id)
        return await void_locked(connection, scope, before, stated, by=by, at=at)


async def void_locked(
    connection: asyncpg.Connection,
    scope: Scope,
    before: Invoice,
    reason: str,
    *,
    by: Actor,
    at: datetime,
) -> Invoice:
    """`void`, of an invoice that this transaction has locked, for a reason that is checked."""
    if before.status is InvoiceStatus.VOID:
        raise InvoiceAlreadyVoid(before.id)
    if before.status is InvoiceStatus.CONSOLIDATED:
        raise InvoiceIsConsolidated(before.id, before.consolidated_into_id or "")
    account = (await reads.settlements_of_invoices(scope, [before.id])).get(before.id, [])
    await _check_uncredited(scope, before)
    if await correction_reads.applied_elsewhere(scope, before.id):
        raise InvoiceCorrected(before.id)
    if sum(entry.amount for entry in account if entry.kind is SettlementKind.PAYMENT) > 0:
        raise InvoicePaidInPart(before.id)
    values = {
        "status": InvoiceStatus.VOID,
        "voided_at": at,
        "void_reason": reason,
        "amount_remaining": 0,
        # The stored PDF shows the invoice in force, so it no longer serves.
        "pdf_key": None,
        "updated_at": at,
    }
    await update(connection, "invoices", [{"id": before.id, **values}])
    await release(connection, scope, before, reason, by=by, at=at)
    await credit_balances.give_back(connection, scope, before.id, at=at)
    after = await locks.invoice(connection, scope, before.id)
    await due.cancel(scope, FINALIZE, [before.id])
    await due.cancel(scope, PRINT, [before.id])
    await audit.record(scope, by, "invoice.void", before.id, at=at, before=before, after=after)
    await outbox.put(scope, InvoiceVoided.of(after, at, number=after.number))
    return after


async def _check_uncredited(scope: Scope, invoice: Invoice) -> None:
    notes = (await credit_reads.of_invoices(scope, [invoice.id])).get(invoice.id, [])
    for note in notes:
        if note.status is not CreditNoteStatus.VOID:
            raise InvoiceCredited(invoice.id, note.number)
