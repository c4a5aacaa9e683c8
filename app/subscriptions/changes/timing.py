"""When a change takes effect, and whether it may. Pure."""

from datetime import datetime

from app.kernel import checks
from app.subscriptions.change import ChangeMode, Timing
from app.subscriptions.changes.standing import period_end, running, unbilled
from app.subscriptions.errors import (
    EndsBefore,
    SubscriptionHasNotStarted,
    SubscriptionIsPaused,
)
from app.subscriptions.subscription import Subscription, SubscriptionStatus
from app.subscriptions.terms import within


def effective(subscription: Subscription, timing: Timing, *, at: datetime) -> datetime:
    """The instant at which a change that is asked for at `at` takes effect.

    With the period: the end that it has now, or the end of the trial. An instant that is billed
    cannot change any more, so what is asked for at it takes effect a microsecond later.
    Raises: Invalid, SubscriptionIsOver, SubscriptionIsDraft, SubscriptionHasNotStarted,
    SubscriptionIsPaused, PeriodHasNoEnd, EndsBefore.
    """
    status = running(subscription, at)
    found = _instant(subscription, timing, status, at=at)
    if subscription.ends_at is not None and found >= subscription.ends_at:
        raise EndsBefore(subscription.id, subscription.ends_at, _field(timing))
    return found


def check_timing(timing: Timing) -> None:
    """Raises: Invalid."""
    if (timing.at is not None) is not (timing.mode is ChangeMode.AT):
        raise checks.invalid("at", "goes with the mode AT, which needs it, and with no other")
    if timing.at is not None:
        within(timing.at, "at")


def _instant(
    subscription: Subscription, timing: Timing, status: SubscriptionStatus, *, at: datetime
) -> datetime:
    check_timing(timing)
    if timing.at is not None:
        return _named(subscription, within(timing.at, "at"), status, at=at)
    if timing.mode is ChangeMode.PERIOD_END:
        return period_end(subscription, max(at, subscription.starts_at), field="mode")
    if status is SubscriptionStatus.SCHEDULED:
        raise SubscriptionHasNotStarted(subscription.id, status.value, field="mode")
    if status is SubscriptionStatus.PAUSED:
        raise SubscriptionIsPaused(subscription.id, status.value, field="mode")
    return unbilled(subscription, at)


def _named(
    subscription: Subscription, named: datetime, status: SubscriptionStatus, *, at: datetime
) -> datetime:
    if named <= at:
        raise checks.invalid("at", f"{named.isoformat()} must lie after {at.isoformat()}")
    if named < subscription.starts_at:
        raise SubscriptionHasNotStarted(subscription.id, status.value, field="at")
    return named


def _field(timing: Timing) -> str:
    return "at" if timing.mode is ChangeMode.AT else "mode"
