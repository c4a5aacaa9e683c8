"""Deciding corrections that wait for somebody."""

from datetime import datetime

import asyncpg

from app.infra import due, outbox
from app.infra.postgres import writing
from app.infra.rows import the
from app.invoicing import correction_reads
from app.invoicing.actions.correcting import facts
from app.invoicing.actions.correction_notes import Look, settle_by_notes
from app.invoicing.correction import Correction, CorrectionPolicy, CorrectionStatus
from app.invoicing.correction_records import correction_of
from app.invoicing.errors import CorrectionDecided
from app.invoicing.events import CorrectionAccepted, CorrectionDismissed
from app.invoicing.records import update
from app.invoicing.work import CORRECT
from app.kernel import checks
from app.kernel.copies import replace
from app.kernel.scope import Actor, Scope
from app.subscriptions import reads as subscriptions
from app.tenants import audit

_LOCKED = (
    "SELECT * FROM invoice_corrections WHERE tenant_id = $1 AND environment_id = $2 AND id = $3 "
    "FOR UPDATE"
)


async def accept_correction(
    scope: Scope, correction_id: str, policy: CorrectionPolicy, *, by: Actor, at: datetime
) -> Correction:
    """Bill a correction that was to be reviewed: on the next invoice, or by a note at once.

    Raises: Invalid (INVALID_POLICY), NotFound, CorrectionDecided, NumberTaken.
    """
    if policy is CorrectionPolicy.REVIEW:
        raise checks.invalid("policy", "what is accepted is billed; it is not reviewed again")
    async with writing(scope) as connection:
        before = await _in_review(connection, scope, correction_id)
        after = replace(before, status=CorrectionStatus.OPEN, policy=policy)
        await _decide(connection, scope, before, after, by=by, at=at)
        await outbox.put(scope, CorrectionAccepted.of(after, at))
        if policy is CorrectionPolicy.CREDIT_OR_DEBIT_NOTE:
            subjects = await subscriptions.billable(scope, [after.subscription_id])
            presents = {after.customer_id: at}
            look = Look(after.as_of, at, by)
            await settle_by_notes(scope, connection, subjects, look, presents=presents)
    return await correction_reads.get(scope, correction_id)


async def dismiss_correction(
    scope: Scope, correction_id: str, *, reason: str, by: Actor, at: datetime
) -> Correction:
    """Leave a correction unbilled, for good: later ones start from what it came to.

    Raises: Invalid (INVALID_REASON), NotFound, CorrectionDecided.
    """
    stated = checks.text(reason, "reason", longest=500)
    async with writing(scope) as connection:
        before = await _in_review(connection, scope, correction_id)
        after = replace(before, status=CorrectionStatus.DISMISSED, reason=stated)
        await _decide(connection, scope, before, after, by=by, at=at)
        await outbox.put(scope, CorrectionDismissed.of(after, at))
    return await correction_reads.get(scope, correction_id)


async def look_again(scope: Scope, *, at: datetime) -> None:
    """Have what was billed looked at in the next run, without waiting for its time."""
    async with writing(scope):
        await due.hasten(scope, CORRECT, due.Item(scope.environment_id, at, None))


async def _in_review(
    connection: asyncpg.Connection, scope: Scope, correction_id: str
) -> Correction:
    rows = await connection.fetch(_LOCKED, scope.tenant_id, scope.environment_id, correction_id)
    found = {row["id"]: correction_of(row) for row in rows}
    correction = the(found, "invoice correction", correction_id)
    if correction.status is not CorrectionStatus.REVIEW:
        raise CorrectionDecided(correction.id, correction.status)
    return correction


async def _decide(
    connection: asyncpg.Connection,
    scope: Scope,
    before: Correction,
    after: Correction,
    *,
    by: Actor,
    at: datetime,
) -> None:
    values = {"status": after.status, "policy": after.policy, "reason": after.reason}
    row = {"id": before.id, **values, "decided_at": at, "updated_at": at}
    await update(connection, "invoice_corrections", [row])
    verb = "accept" if after.status is CorrectionStatus.OPEN else "dismiss"
    entry = audit.Entry(
        f"invoice_correction.{verb}", before.id, before=facts(before), after=facts(after)
    )
    await audit.record_many(scope, by, [entry], at=at)
