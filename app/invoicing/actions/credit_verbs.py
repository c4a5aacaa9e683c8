"""What else is done with credit notes: void, noted on, and told how their refund went."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import asyncpg

from app.infra import outbox
from app.infra.postgres import writing
from app.infra.rows import the
from app.invoicing import credit_reads
from app.invoicing.actions import credit_balances, locks
from app.invoicing.actions.settling import Settling, unsettle
from app.invoicing.credit_note import (
    Application,
    ApplicationKind,
    CreditNote,
    CreditNoteKind,
    CreditNoteStatus,
    RefundStatus,
)
from app.invoicing.credit_records import note_of
from app.invoicing.errors import CreditNoteAlreadyVoid, CreditNoteUsed, NotARefund
from app.invoicing.events import CreditNoteRefundSettled, CreditNoteUpdated, CreditNoteVoided
from app.invoicing.invoice import SettlementKind
from app.invoicing.records import update
from app.kernel import checks
from app.kernel.ids import new_id
from app.kernel.scope import Actor, Scope
from app.tenants import audit

_LOCKED = (
    "SELECT * FROM credit_notes WHERE tenant_id = $1 AND environment_id = $2 AND id = $3 FOR UPDATE"
)


async def void_credit_note(
    scope: Scope, credit_note_id: str, *, reason: str, by: Actor, at: datetime
) -> CreditNote:
    """Take back a credit note of which nothing was used; its lines can be credited again.

    What an adjustment took off its invoice remains to be paid again.
    Raises: Invalid (INVALID_REASON), NotFound, CreditNoteAlreadyVoid, CreditNoteUsed,
    InvoiceNotFinalized.
    """
    stated = checks.text(reason, "reason", longest=500)
    async with writing(scope) as connection:
        invoice_id = (await credit_reads.get(scope, credit_note_id)).invoice_id
        await locks.invoice(connection, scope, invoice_id)
        before = await _locked(connection, scope, credit_note_id)
        _check_unused(before)
        if before.adjusted:
            kind = SettlementKind.ADJUSTMENT_REVERSAL
            settling = Settling(invoice_id, kind, before.adjusted, before.id, stated)
            await unsettle(scope, connection, settling, at=at)
        values = {
            "status": CreditNoteStatus.VOID,
            "voided_at": at,
            "void_reason": stated,
            "balance": 0,
        }
        after = await _write(connection, scope, before, values, at=at)
        await audit.record(
            scope, by, "credit_note.void", before.id, at=at, before=before, after=after
        )
        await outbox.put(scope, CreditNoteVoided.of(after, at))
    return after


async def update_credit_note(
    scope: Scope, credit_note_id: str, patch: Mapping[str, Any], *, by: Actor, at: datetime
) -> CreditNote:
    """Take other notes on a credit note. Raises: Invalid, NotFound."""
    values = checks.checked(patch, {"metadata": lambda v: checks.metadata(v or {})})
    async with writing(scope) as connection:
        before = await _locked(connection, scope, credit_note_id)
        after = await _write(connection, scope, before, values, at=at)
        await audit.record(
            scope, by, "credit_note.update", before.id, at=at, before=before, after=after
        )
        await outbox.put(scope, CreditNoteUpdated.of(after, at))
    return after


async def settle_refund(
    scope: Scope,
    connection: asyncpg.Connection,
    credit_note_id: str,
    outcome: RefundStatus,
    *,
    by: Actor,
    at: datetime,
) -> CreditNote:
    """Note how paying back a refund went: the port's answer. Call inside `writing(scope)`.

    A refund that succeeded is no balance any more; one that failed stays owed, and may succeed
    later. Raises: NotFound, NotARefund (not a refund, void, or paid back already).
    """
    before = await _locked(connection, scope, credit_note_id)
    paid_back = before.refund_status is RefundStatus.SUCCEEDED
    if before.kind is not CreditNoteKind.REFUND or paid_back or _is_void(before):
        raise NotARefund(credit_note_id)
    if outcome is RefundStatus.SUCCEEDED:
        entry = Application(
            new_id("cra"), before.id, None, ApplicationKind.REFUND, before.balance,
            before.currency, at,
        )  # fmt: skip
        await credit_balances.pay(connection, scope, [entry])
    after = await _write(connection, scope, before, {"refund_status": outcome}, at=at)
    await audit.record(
        scope, by, "credit_note.refund", before.id, at=at, before=before, after=after
    )
    await outbox.put(scope, CreditNoteRefundSettled.of(after, at))
    return after


def _check_unused(note: CreditNote) -> None:
    if _is_void(note):
        raise CreditNoteAlreadyVoid(note.id)
    if note.balance + note.adjusted != note.total:
        raise CreditNoteUsed(note.id)


def _is_void(note: CreditNote) -> bool:
    return note.status is CreditNoteStatus.VOID


async def _locked(connection: asyncpg.Connection, scope: Scope, credit_note_id: str) -> CreditNote:
    rows = await connection.fetch(_LOCKED, scope.tenant_id, scope.environment_id, credit_note_id)
    found = {row["id"]: note_of(row) for row in rows}
    return the(found, "credit note", credit_note_id)


async def _write(
    connection: asyncpg.Connection,
    scope: Scope,
    note: CreditNote,
    values: Mapping[str, Any],
    *,
    at: datetime,
) -> CreditNote:
    await update(connection, "credit_notes", [{"id": note.id, **values, "updated_at": at}])
    return await _locked(connection, scope, note.id)
