"""Where a subscription stands when it is changed. Pure."""

from datetime import datetime

from app.subscriptions.errors import PeriodHasNoEnd, SubscriptionIsDraft, SubscriptionIsOver
from app.subscriptions.periods import INSTANT, at_period, cycle_at
from app.subscriptions.subscription import OVER, Subscription, SubscriptionStatus


def running(subscription: Subscription, at: datetime) -> SubscriptionStatus:
    """The status at `at`, whether or not billing has come that far.

    Raises: SubscriptionIsDraft, SubscriptionIsOver.
    """
    status = subscription.status_at(at)
    if subscription.status in OVER:
        status = subscription.status
    if status in OVER:
        raise SubscriptionIsOver(subscription.id, status.value)
    if status is SubscriptionStatus.DRAFT:
        raise SubscriptionIsDraft(subscription.id, status.value)
    return status


def is_caught_up(subscription: Subscription, at: datetime) -> bool:
    """Whether its row says what it is at `at`.

    If not, billing will change the status when it gets there, and tell of it.
    """
    return subscription.status is subscription.status_at(at)


def unbilled(subscription: Subscription, at: datetime) -> datetime:
    """`at`, or the instant after where `at` itself is billed already, which nothing can change."""
    until = subscription.billed_until
    return at if until is None or at > until else until + INSTANT


def period_end(subscription: Subscription, at: datetime, *, field: str) -> datetime:
    """The end of the period that holds `at`, or of the trial. Raises: PeriodHasNoEnd."""
    if at < subscription.charged_from:
        return subscription.charged_from
    end = cycle_at(subscription, at).end
    if end is None:
        raise PeriodHasNoEnd(subscription.id, field)
    return end


def refreshed(subscription: Subscription) -> Subscription:
    """The subscription with the period that billing has reached, as it is now."""
    return at_period(subscription, subscription.billed_until or subscription.starts_at)
