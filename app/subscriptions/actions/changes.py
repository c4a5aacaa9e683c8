from datetime import datetime

from app.infra.postgres import writing
from app.infra.rows import the
from app.kernel.copies import replace
from app.kernel.events import Event
from app.kernel.scope import Actor, Scope
from app.subscriptions import reads
from app.subscriptions.actions import pauses
from app.subscriptions.actions.cancel import uncancel
from app.subscriptions.actions.changing import take_back
from app.subscriptions.actions.following import followed
from app.subscriptions.actions.rows import locked, save, told
from app.subscriptions.changes.pausing import unfinished, with_span, without_span
from app.subscriptions.changes.pending import OF_ROWS, ChangeKind, pending
from app.subscriptions.changes.standing import running
from app.subscriptions.changes.trials import trial_as_planned
from app.subscriptions.errors import NothingPending
from app.subscriptions.events import SubscriptionUpdated
from app.subscriptions.subscription import Subscription


async def cancel_change(
    scope: Scope,
    subscription_id: str,
    kind: ChangeKind,
    change_id: str | None = None,
    *,
    by: Actor,
    at: datetime,
) -> Subscription:
    """Take back a change that is still to come, so that all is as if nobody had asked for it.

    Of several changes of quantity or plan it is the next, or the one that is named. A
    cancellation is taken back, a pause never begins, one under way or to come lasts until it is
    resumed, and a trial ends when it would have before that was changed.
    Raises: Invalid, NotFound, SubscriptionIsOver, SubscriptionIsDraft, NothingPending.
    """
    if change_id is not None:
        await _check_named(scope, subscription_id, kind, change_id)
    if kind is ChangeKind.CANCEL:
        return await uncancel(scope, subscription_id, by=by, at=at)
    if kind in OF_ROWS.values():
        return await _take_back(scope, subscription_id, kind, change_id, by=by, at=at)
    async with writing(scope) as connection:
        before = await locked(connection, scope, subscription_id)
        running(before, at)
        found = [c for c in pending(before, at) if c.kind is kind and c.cancelable]
        if not found:
            raise NothingPending(subscription_id, f"{kind.value} that can be taken back")
        after = await _without(scope, before, kind, at=at)
        after, moved = await followed(scope, after, by=by, at=at)
        events: list[Event] = [SubscriptionUpdated(**told(after), occurred_at=at), *moved]
        action = "subscription.cancel_change"
        return await save(scope, before, after, events, action=action, by=by, at=at)


async def _check_named(
    scope: Scope, subscription_id: str, kind: ChangeKind, change_id: str
) -> None:
    """Raises: NotFound, NothingPending where the change is another subscription's or kind."""
    await reads.get(scope, subscription_id)
    found = await reads.changes_by_ids(scope, [change_id])
    row = the(found, "subscription change", change_id, field="changeId")
    if row.subscription_id != subscription_id or OF_ROWS[row.kind.value] is not kind:
        raise NothingPending(subscription_id, f"such {kind.value}", field="changeId")


async def _take_back(
    scope: Scope,
    subscription_id: str,
    kind: ChangeKind,
    change_id: str | None,
    *,
    by: Actor,
    at: datetime,
) -> Subscription:
    async with writing(scope) as connection:
        before = await locked(connection, scope, subscription_id)
        coming = (await reads.scheduled_changes(scope, [subscription_id]))[subscription_id]
        found = [
            row for row in coming if OF_ROWS[row.kind.value] is kind and change_id in (None, row.id)
        ]
        if not found:
            field = "id" if change_id is None else "changeId"
            raise NothingPending(before.id, f"change of {kind.value}", field=field)
        await take_back(scope, found[0].id, by=by, at=at)
        return await reads.get(scope, subscription_id)


async def _without(
    scope: Scope, before: Subscription, kind: ChangeKind, *, at: datetime
) -> Subscription:
    if kind is ChangeKind.TRIAL_END:
        return trial_as_planned(before, at=at)
    span = unfinished(before, at)
    if span is None:
        raise NothingPending(before.id, kind.value)
    if kind is ChangeKind.PAUSE:
        await pauses.take_back(scope, span.id, at=at)
        return without_span(before, span.id)
    span = replace(span, ends_at=None)
    await pauses.update(scope, span, at=at)
    return with_span(before, span)
