"""What a change would do: it is made by the code that makes it, and its transaction undone."""

from dataclasses import dataclass
from datetime import datetime

import asyncpg

from app.infra.clickhouse import ClickHouse
from app.invoicing import bills, credit_reads
from app.invoicing.actions.changing import take_effect
from app.invoicing.actions.finalizing import finalize_many
from app.invoicing.actions.previewing import by_next_bill, undone, unsaved
from app.invoicing.actions.reckoning import stored
from app.invoicing.actions.saving import save
from app.invoicing.bills import upcoming
from app.invoicing.credit_note import CreditNote, CreditNoteLine
from app.invoicing.drafts import Drafted, Moment, draft
from app.invoicing.reads import by_ids
from app.kernel.errors import Invalid, Unavailable
from app.kernel.scope import Actor, Scope
from app.subscriptions import actions as verbs
from app.subscriptions import reads as subscriptions
from app.subscriptions.actions import Billed, RequestChange, advance, changing
from app.subscriptions.billable import BillableSubscription
from app.subscriptions.change import Direction, SubscriptionChange
from app.subscriptions.changes.canceling import CancelSubscription
from app.subscriptions.changes.timing import comes_at
from app.subscriptions.phases import SetPhases

# Points on the way to a change that is far ahead.
_MOST = 500


@dataclass(frozen=True, slots=True)
class Note:
    """A credit note with its lines, saved or not."""

    note: CreditNote
    lines: tuple[CreditNoteLine, ...]


@dataclass(frozen=True, slots=True)
class ChangePreview:
    """What would come of a change at `effective_at`.

    `invoice` asks for the rest of the period, `notes` give back what is unused. `following` is
    the subscription's next invoice after that, with the usage of this moment; None where none
    follows. `direction` is None for a cancellation.
    """

    subscription_id: str
    effective_at: datetime
    direction: Direction | None
    invoice: Drafted | None
    notes: tuple[Note, ...]
    following: Drafted | None


async def preview_change(
    scope: Scope, wanted: RequestChange, clickhouse: ClickHouse, *, by: Actor, at: datetime
) -> ChangePreview:
    """A change of quantity or plan, as if everything until then had been billed.

    Raises: Invalid, NotFound, the refusals of changes, Unavailable.
    """
    async with undone(scope) as connection:
        asked = await changing.request(scope, wanted, waits=False, by=by, at=at)
        made = await _made(connection, scope, asked, by=by, at=at)
    return await _told(scope, made, clickhouse)


async def preview_phases(
    scope: Scope, wanted: SetPhases, clickhouse: ClickHouse, *, by: Actor, at: datetime
) -> ChangePreview:
    """The first of the phases, which are all asked for, as if everything until it had been billed.

    Raises: Invalid (REQUIRED where there is none), what `set_phases` raises, Unavailable.
    """
    if not wanted.phases:
        raise Invalid("phases: name a phase to look at", field="phases", code="REQUIRED")
    async with undone(scope) as connection:
        asked = await verbs.set_phases(scope, wanted, by=by, at=at)
        made = await _made(connection, scope, asked[0], by=by, at=at)
    return await _told(scope, made, clickhouse)


@dataclass(frozen=True, slots=True)
class _Made:
    """What came of a change that is undone by now."""

    change: SubscriptionChange
    invoice: Drafted | None
    notes: tuple[Note, ...]
    after: BillableSubscription
    at: datetime


async def _made(
    connection: asyncpg.Connection,
    scope: Scope,
    asked: SubscriptionChange,
    *,
    by: Actor,
    at: datetime,
) -> _Made:
    """Let a change take effect that was asked for, once all before it is billed."""
    then = max(asked.effective_at, at)
    await _forward(connection, scope, asked.subscription_id, asked.effective_at, by=by)
    done = await take_effect(connection, scope, asked, by=by, at=then)
    notes = await _notes(scope, done.credit_note_ids)
    found = await by_ids(scope, [] if done.invoice_id is None else [done.invoice_id])
    invoices = await stored(scope, list(found.values()))
    after = await by_next_bill(scope, done.subscription_id)
    return _Made(done, invoices[0] if invoices else None, notes, after, then)


async def _told(scope: Scope, made: _Made, clickhouse: ClickHouse) -> ChangePreview:
    return ChangePreview(
        subscription_id=made.change.subscription_id,
        effective_at=made.change.effective_at,
        direction=made.change.direction,
        invoice=made.invoice,
        notes=made.notes,
        following=await _following(scope, made.after, clickhouse, at=made.at),
    )


async def preview_cancel(
    scope: Scope,
    subscription_id: str,
    command: CancelSubscription,
    clickhouse: ClickHouse,
    *,
    by: Actor,
    at: datetime,
) -> ChangePreview:
    """A cancellation, and the invoice that follows it. Raises: as `cancel`, and Unavailable."""
    async with undone(scope):
        canceled = await verbs.cancel(scope, subscription_id, command, by=by, at=at)
        (after,) = await subscriptions.billable(scope, [subscription_id])
    return ChangePreview(
        subscription_id=subscription_id,
        effective_at=canceled.ends_at or at,
        direction=None,
        invoice=None,
        notes=(),
        following=await _following(scope, after, clickhouse, at=at),
    )


async def _forward(
    connection: asyncpg.Connection, scope: Scope, subscription_id: str, to: datetime, *, by: Actor
) -> None:
    """Bill what falls due before `to`, and make the changes that come first: without usage, of
    which nothing is given back."""
    coming = (await subscriptions.scheduled_changes(scope, [subscription_id]))[subscription_id]
    subscription = await subscriptions.get(scope, subscription_id)
    for change in coming:
        comes = comes_at(subscription, change)
        if comes is not None and comes < to:
            await _bill(connection, scope, subscription_id, change.effective_at, by=by)
            await take_effect(connection, scope, change, by=by, at=change.effective_at)
    await _bill(connection, scope, subscription_id, to, by=by)


async def _bill(
    connection: asyncpg.Connection, scope: Scope, subscription_id: str, to: datetime, *, by: Actor
) -> None:
    (subject,) = await subscriptions.billable(scope, [subscription_id])
    found = [each for each in bills.due(subject, to, limit=_MOST) if each.point.at < to]
    if not found:
        return
    cuts = tuple(each.cut for each in found if each.cut is not None)
    reached = Billed(subject.subscription, tuple(each.point for each in found), cuts)
    if not await advance(scope, [reached], at=to):
        raise Unavailable("billing", "the subscription was changed by someone else meanwhile")
    drafts = [draft(each, {}, Moment(to, None)) for each in found if each.needs_invoice]
    saved = await save(connection, scope, drafts, by=by, at=to)
    await finalize_many(scope, [each.invoice.id for each in saved], by=by, at=to)


async def _notes(scope: Scope, ids: tuple[str, ...]) -> tuple[Note, ...]:
    found = await credit_reads.by_ids(scope, ids)
    lines = await credit_reads.lines_of_notes(scope, ids)
    return tuple(Note(found[key], tuple(lines[key])) for key in ids)


async def _following(
    scope: Scope, subject: BillableSubscription, clickhouse: ClickHouse, *, at: datetime
) -> Drafted | None:
    bill = upcoming(subject)
    if bill is None:
        return None
    return await unsaved(scope, bill, clickhouse, moment=Moment(at, None))
