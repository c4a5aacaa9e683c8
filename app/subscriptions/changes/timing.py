"""When a change takes effect, and whether it may. Pure."""

from collections.abc import Iterable
from datetime import datetime

from app.kernel import checks
from app.subscriptions.change import ChangeMode, SubscriptionChange, Timing
from app.subscriptions.changes.standing import period_end, running, unbilled
from app.subscriptions.errors import (
    EndsBefore,
    SubscriptionHasNotStarted,
    SubscriptionIsPaused,
)
from app.subscriptions.periods import cycle_at
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


def comes_at(subscription: Subscription, change: SubscriptionChange) -> datetime | None:
    """When a change to come takes effect, as the subscription is now.

    One that was asked for with the period's end follows that end, or the trial's, wherever
    pauses and trials have moved it since. None while a pause without an end keeps it from
    coming.
    """
    if change.mode is not ChangeMode.PERIOD_END:
        return change.effective_at
    asked = max(change.created_at, subscription.starts_at)
    if asked < subscription.charged_from:
        return subscription.charged_from
    return cycle_at(subscription, asked).end


def next_change(
    subscription: Subscription, changes: Iterable[SubscriptionChange]
) -> datetime | None:
    """When the first of the changes takes effect; None where none is known to."""
    found = (comes_at(subscription, change) for change in changes)
    return min((at for at in found if at is not None), default=None)


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
