"""Cancellations, and taking them back. Pure."""

from dataclasses import dataclass
from datetime import datetime

from app.kernel import checks
from app.kernel.copies import replace
from app.subscriptions.changes.standing import period_end, running, unbilled
from app.subscriptions.errors import (
    AlreadyBilled,
    CancellationIsPending,
    NothingPending,
    SubscriptionIsDraft,
)
from app.subscriptions.subscription import (
    Cancellation,
    CancelMode,
    CancelReason,
    Subscription,
    SubscriptionStatus,
)
from app.subscriptions.terms import within


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelSubscription:
    """`at` goes with the mode AT: an instant to come, or a past one that is not billed yet.

    `final_invoice` False: what the last period owes in arrears is not asked for.
    """

    mode: CancelMode = CancelMode.PERIOD_END
    at: datetime | None = None
    final_invoice: bool = True
    reason: CancelReason | None = None
    comment: str | None = None


def canceled(
    subscription: Subscription, command: CancelSubscription, *, at: datetime
) -> Subscription:
    """The subscription with its end; it is canceled at once where that is not still to come.

    Raises: Invalid, SubscriptionIsOver, SubscriptionIsDraft, CancellationIsPending,
    PeriodHasNoEnd, AlreadyBilled.
    """
    _check(subscription, command, at=at)
    end = _end(subscription, command, at=at)
    soonest = unbilled(subscription, max(at, subscription.starts_at))
    over = command.mode is not CancelMode.PERIOD_END and end <= soonest
    return replace(
        subscription,
        status=SubscriptionStatus.CANCELED if over else subscription.status,
        ends_at=end,
        cancellation=_cancellation(subscription, command, at=at),
    )


def uncanceled(subscription: Subscription, *, at: datetime) -> Subscription:
    """Raises: SubscriptionIsOver, SubscriptionIsDraft, NothingPending."""
    running(subscription, at)
    if subscription.cancellation is None:
        raise NothingPending(subscription.id, "cancellation")
    return replace(subscription, ends_at=subscription.cancellation.ended_at, cancellation=None)


def _check(subscription: Subscription, command: CancelSubscription, *, at: datetime) -> None:
    now = command.mode is CancelMode.NOW
    if subscription.status is SubscriptionStatus.DRAFT:
        if not now:
            raise SubscriptionIsDraft(subscription.id, subscription.status.value)
    else:
        running(subscription, at)
    if subscription.cancellation is not None and not now:
        raise CancellationIsPending(subscription.id, "mode")
    if (command.at is not None) is not (command.mode is CancelMode.AT):
        raise checks.invalid("at", "goes with the mode AT, which needs it, and with no other")


def _end(subscription: Subscription, command: CancelSubscription, *, at: datetime) -> datetime:
    if subscription.status is SubscriptionStatus.DRAFT:
        return subscription.starts_at
    if command.mode is CancelMode.NOW:
        return unbilled(subscription, max(at, subscription.starts_at))
    if command.at is not None:
        return _named(subscription, within(command.at, "at"))
    end = period_end(subscription, max(at, subscription.starts_at), field="mode")
    return end if subscription.ends_at is None else min(end, subscription.ends_at)


def _named(subscription: Subscription, end: datetime) -> datetime:
    if subscription.ends_at is not None and end >= subscription.ends_at:
        raise checks.invalid(
            "at",
            f"{end.isoformat()} must lie before the subscription's end, "
            f"{subscription.ends_at.isoformat()}",
        )
    if end <= subscription.starts_at:
        raise checks.invalid(
            "at",
            f"{end.isoformat()} must lie after the start, {subscription.starts_at.isoformat()}",
        )
    billed = [subscription.billed_until, subscription.threshold_until]
    until = max((b for b in billed if b is not None), default=None)
    if until is not None and end <= until:
        raise AlreadyBilled(subscription.id, until, "at")
    return end


def _cancellation(
    subscription: Subscription, command: CancelSubscription, *, at: datetime
) -> Cancellation:
    pending = subscription.cancellation
    return Cancellation(
        requested_at=at,
        mode=command.mode,
        final_invoice=command.final_invoice,
        reason=command.reason,
        comment=checks.optional_text(command.comment, "comment", longest=1000),
        ended_at=subscription.ends_at if pending is None else pending.ended_at,
    )
