from datetime import datetime

from app.infra.postgres import writing
from app.kernel import checks
from app.kernel.events import Event
from app.kernel.scope import Actor, Scope
from app.subscriptions.actions import pauses
from app.subscriptions.actions.following import followed
from app.subscriptions.actions.rows import locked, save, told
from app.subscriptions.changes.pausing import (
    PauseSubscription,
    ResumeSubscription,
    paused,
    resumed,
)
from app.subscriptions.events import (
    SubscriptionPaused,
    SubscriptionPauseScheduled,
    SubscriptionResumed,
    SubscriptionUpdated,
)
from app.subscriptions.pause import Pause, PauseSpan
from app.subscriptions.subscription import Subscription


async def pause(
    scope: Scope, subscription_id: str, command: PauseSubscription, *, by: Actor, at: datetime
) -> Subscription:
    """Stop serving and charging from now, from the period's end or from an instant on.

    What was billed in advance stays as it is; usage in the pause is not billed. A trial is not
    paused: name an instant after it. One pause at a time.
    Raises: Invalid, NotFound, SubscriptionIsOver, SubscriptionIsDraft, SubscriptionIsTrialing,
    SubscriptionHasNotStarted, PauseIsPending, PeriodHasNoEnd.
    """
    async with writing(scope) as connection:
        before = await locked(connection, scope, subscription_id)
        after, span = paused(before, command, at=at)
        await pauses.insert(scope, _row(subscription_id, span, command, at=at))
        after, moved = await followed(scope, after, by=by, at=at)
        events = [_event(after, span, at=at), *moved]
        return await save(scope, before, after, events, action="subscription.pause", by=by, at=at)


async def resume(
    scope: Scope, subscription_id: str, command: ResumeSubscription, *, by: Actor, at: datetime
) -> Subscription:
    """Serve and charge again, from now or from an instant to come on.

    A pause that kept boundaries cannot extend a period any more once one of them was billed.
    Raises: Invalid, NotFound, SubscriptionIsOver, SubscriptionIsDraft, SubscriptionIsNotPaused,
    AlreadyBilled.
    """
    async with writing(scope) as connection:
        before = await locked(connection, scope, subscription_id)
        after, span = resumed(before, command, at=at)
        await pauses.update(scope, span, at=at)
        after, moved = await followed(scope, after, by=by, at=at)
        facts = told(after) | {"occurred_at": at}
        event: Event = SubscriptionUpdated(**facts)
        if span.end_told:
            event = SubscriptionResumed(**facts, pause_id=span.id)
        events = [event, *moved]
        return await save(scope, before, after, events, action="subscription.resume", by=by, at=at)


def _row(
    subscription_id: str, span: PauseSpan, command: PauseSubscription, *, at: datetime
) -> Pause:
    return Pause(
        id=span.id,
        subscription_id=subscription_id,
        starts_at=span.starts_at,
        ends_at=span.ends_at,
        behaviour=span.behaviour,
        reason=checks.optional_text(command.reason, "reason", longest=500),
        canceled_at=None,
        created_at=at,
        updated_at=at,
    )


def _event(after: Subscription, span: PauseSpan, *, at: datetime) -> Event:
    facts = told(after) | {"occurred_at": at, "pause_id": span.id}
    if span.start_told:
        return SubscriptionPaused(**facts)
    return SubscriptionPauseScheduled(**facts, starts_at=span.starts_at)
