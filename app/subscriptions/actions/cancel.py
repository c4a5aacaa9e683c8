from dataclasses import replace
from datetime import datetime

from app.infra import outbox
from app.infra.postgres import writing
from app.kernel.scope import Actor, Scope
from app.subscriptions.actions.rows import locked, schedule_billing, store, told
from app.subscriptions.errors import CancellationIsPending, SubscriptionIsOver
from app.subscriptions.events import SubscriptionCanceled, SubscriptionCancellationScheduled
from app.subscriptions.periods import at_period, containing
from app.subscriptions.subscription import (
    OVER,
    CancelMode,
    Subscription,
    SubscriptionStatus,
)
from app.tenants import audit


async def cancel(
    scope: Scope,
    subscription_id: str,
    mode: CancelMode = CancelMode.PERIOD_END,
    *,
    by: Actor,
    at: datetime,
) -> Subscription:
    """End the subscription now, or with the period that holds `at`.

    What was used until the end falls due then and is billed by the billing run. A subscription
    that has not started never does when canceled now, and ends after its first period
    otherwise. Raises: NotFound, SubscriptionIsOver, CancellationIsPending.
    """
    async with writing(scope) as connection:
        before = await locked(connection, scope, subscription_id)
        _check(before, mode, at=at)
        ended = _now(before, at=at) if mode is CancelMode.NOW else _with_period(before, at=at)
        after = replace(ended, cancel_requested_at=at, updated_at=at)
        await store(scope, after)
        await schedule_billing(scope, after)
        await audit.record(
            scope, by, "subscription.cancel", subscription_id, at=at, before=before, after=after
        )
        event = (
            SubscriptionCanceled if mode is CancelMode.NOW else SubscriptionCancellationScheduled
        )
        await outbox.put(scope, event(**told(after), occurred_at=at))
    return after


def _check(subscription: Subscription, mode: CancelMode, *, at: datetime) -> None:
    # Past its end it is over, even where billing has not come that far.
    ended = subscription.ends_at is not None and subscription.ends_at <= at
    if subscription.status in OVER or ended:
        status = subscription.status if subscription.status in OVER else SubscriptionStatus.ENDED
        raise SubscriptionIsOver(subscription.id, status.value)
    if subscription.cancel_requested_at is not None and mode is CancelMode.PERIOD_END:
        raise CancellationIsPending(subscription.id, "mode")


def _now(subscription: Subscription, *, at: datetime) -> Subscription:
    ends_at = max(at, subscription.starts_at)
    changed = replace(subscription, status=SubscriptionStatus.CANCELED, ends_at=ends_at)
    return at_period(changed, subscription.current_period.start)


def _with_period(subscription: Subscription, *, at: datetime) -> Subscription:
    service = containing(subscription, max(at, subscription.starts_at))
    if service is None:
        raise SubscriptionIsOver(subscription.id, subscription.status.value)
    return at_period(
        replace(subscription, ends_at=service.period.end), subscription.current_period.start
    )
