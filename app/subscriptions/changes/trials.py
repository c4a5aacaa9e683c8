"""Trials that end sooner or later than planned. Pure."""

from datetime import datetime

from app.kernel import checks
from app.kernel.copies import replace
from app.subscriptions.buying import checked_trial
from app.subscriptions.changes.standing import is_caught_up, running
from app.subscriptions.errors import NothingPending, SubscriptionIsNotTrialing
from app.subscriptions.subscription import Subscription, SubscriptionStatus, Trial
from app.subscriptions.terms import within


def trial_ending(
    subscription: Subscription, ends_at: datetime | None, *, at: datetime
) -> Subscription:
    """The subscription with another end of its trial, now where `ends_at` is None.

    Raises: Invalid, SubscriptionIsOver, SubscriptionIsDraft, SubscriptionIsNotTrialing.
    """
    status = running(subscription, at)
    trial = subscription.trial
    unstarted = ends_at is None and subscription.starts_at >= at
    if trial is None or trial.ends_at <= at or unstarted:
        raise SubscriptionIsNotTrialing(subscription.id, status.value)
    end = at if ends_at is None else within(ends_at, "endsAt")
    if end < at:
        raise checks.invalid("endsAt", f"{end.isoformat()} must not lie in the past")
    planned = trial.ends_at if trial.planned_end is None else trial.planned_end
    now = end == at and is_caught_up(subscription, at)
    changed = replace(trial, ends_at=end, planned_end=planned, told=now)
    checked_trial(changed, subscription.starts_at, None, field="endsAt")
    after = _with_trial(subscription, changed)
    return replace(after, status=SubscriptionStatus.ACTIVE) if now else after


def trial_as_planned(subscription: Subscription, *, at: datetime) -> Subscription:
    """The subscription with the end of its trial from before that was changed.

    Raises: Invalid, NothingPending.
    """
    trial = subscription.trial
    if trial is None or trial.planned_end is None or min(trial.ends_at, trial.planned_end) <= at:
        raise NothingPending(subscription.id, "change of the trial's end")
    return _with_trial(subscription, replace(trial, ends_at=trial.planned_end, planned_end=None))


def _with_trial(subscription: Subscription, trial: Trial) -> Subscription:
    """The subscription charged from the end of this trial. Raises: Invalid."""
    _check(subscription, trial.ends_at)
    moved = replace(subscription, trial=trial)
    return moved if moved.anchor_given else replace(moved, anchor=trial.ends_at)


def _check(subscription: Subscription, end: datetime) -> None:
    cancellation = subscription.cancellation
    meant = subscription.ends_at if cancellation is None else cancellation.ended_at
    limits = [pause.starts_at for pause in subscription.pauses]
    if meant is not None:
        limits.append(meant)
    latest = min(limits, default=None)
    if latest is not None and end > latest:
        raise checks.invalid(
            "endsAt",
            f"{end.isoformat()} must not lie after {latest.isoformat()}, when the subscription "
            "is paused or ends",
        )
