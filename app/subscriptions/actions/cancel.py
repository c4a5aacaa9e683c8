from datetime import datetime

from app.infra.postgres import writing
from app.kernel.events import Event
from app.kernel.scope import Actor, Scope
from app.subscriptions.actions.rows import locked, save, told
from app.subscriptions.changes.canceling import CancelSubscription, canceled, uncanceled
from app.subscriptions.events import (
    SubscriptionCanceled,
    SubscriptionCancellationScheduled,
    SubscriptionUncanceled,
)
from app.subscriptions.subscription import Subscription, SubscriptionStatus


async def cancel(
    scope: Scope,
    subscription_id: str,
    command: CancelSubscription | None = None,
    *,
    by: Actor,
    at: datetime,
) -> Subscription:
    """End the subscription now, with the period that holds `at`, or at an instant.

    What was used until the end falls due then and is billed by the billing run; a canceled
    trial bills nothing but usage that it was asked to bill. What has not started never does when
    canceled now. An end in the past lies after all that is billed. While a cancellation is to
    come only one for now is taken.
    Raises: Invalid, NotFound, SubscriptionIsOver, SubscriptionIsDraft, CancellationIsPending,
    PeriodHasNoEnd, AlreadyBilled.
    """
    async with writing(scope) as connection:
        before = await locked(connection, scope, subscription_id)
        after = canceled(before, command or CancelSubscription(), at=at)
        over = after.status is SubscriptionStatus.CANCELED
        kind = SubscriptionCanceled if over else SubscriptionCancellationScheduled
        events: list[Event] = [kind(**told(after), occurred_at=at)]
        return await save(scope, before, after, events, action="subscription.cancel", by=by, at=at)


async def uncancel(scope: Scope, subscription_id: str, *, by: Actor, at: datetime) -> Subscription:
    """Take a cancellation to come back: the subscription ends when it would have without it.

    Raises: NotFound, SubscriptionIsOver, SubscriptionIsDraft, NothingPending.
    """
    async with writing(scope) as connection:
        before = await locked(connection, scope, subscription_id)
        after = uncanceled(before, at=at)
        events: list[Event] = [SubscriptionUncanceled(**told(after), occurred_at=at)]
        return await save(
            scope, before, after, events, action="subscription.uncancel", by=by, at=at
        )
