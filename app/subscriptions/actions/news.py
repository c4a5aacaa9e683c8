"""What happened to a subscription at the points that were billed: events and audit entries."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from app.kernel.events import Event
from app.subscriptions.actions.rows import told
from app.subscriptions.events import (
    SubscriptionActivated,
    SubscriptionCanceled,
    SubscriptionEnded,
    SubscriptionPaused,
    SubscriptionRenewed,
    SubscriptionResumed,
    SubscriptionTrialEnded,
    SubscriptionTrialStarted,
)
from app.subscriptions.periods import BillingPoint, containing
from app.subscriptions.subscription import Subscription, SubscriptionStatus
from app.tenants import audit

# The changes of status among the news, which the audit log keeps too.
_VERBS: dict[type[Event], str] = {
    SubscriptionActivated: "activate",
    SubscriptionTrialEnded: "end_trial",
    SubscriptionPaused: "pause",
    SubscriptionResumed: "resume",
    SubscriptionCanceled: "cancel",
    SubscriptionEnded: "end",
}


def news(
    before: Subscription, after: Subscription, points: Sequence[BillingPoint], *, at: datetime
) -> tuple[list[Event], list[audit.Entry]]:
    """What happened at each of the points, one after another, besides billing.

    What was told when it was asked for, such as a pause from now on, is not told again.
    """
    facts = told(after) | {"occurred_at": at}
    events = [event for point in points for event in _at(point, before, after, facts)]
    entries = [
        audit.Entry(f"subscription.{verb}", after.id, after={"status": after.status})
        for event in events
        if (verb := _VERBS.get(type(event))) is not None
    ]
    return events, entries


def _at(
    point: BillingPoint, before: Subscription, after: Subscription, facts: dict[str, Any]
) -> Iterator[Event]:
    if before.status is SubscriptionStatus.CANCELED:
        return
    if point.at == before.starts_at and before.status is SubscriptionStatus.SCHEDULED:
        yield SubscriptionActivated(**facts)
        if before.trial is not None:
            yield SubscriptionTrialStarted(**facts, trial_ends_at=before.trial.ends_at)
    if after.ends_at is not None and point.at >= after.ends_at:
        canceled = after.cancellation is not None
        yield SubscriptionCanceled(**facts) if canceled else SubscriptionEnded(**facts)
        return
    trial = before.trial
    if trial is not None and point.at == trial.ends_at and not trial.told:
        yield SubscriptionTrialEnded(**facts)
    for pause in before.pauses:
        if pause.ends_at == point.at and not pause.end_told:
            yield SubscriptionResumed(**facts, pause_id=pause.id)
    if _renews(point, before):
        service = containing(after, point.at)
        period = after.current_period if service is None else service.period
        yield SubscriptionRenewed(**facts, period_start=period.start, period_end=period.end)
    for pause in before.pauses:
        if pause.starts_at == point.at and not pause.start_told:
            yield SubscriptionPaused(**facts, pause_id=pause.id)


def _renews(point: BillingPoint, subscription: Subscription) -> bool:
    """Whether a charged period ended there and another one began to be served."""
    ended = point.arrears
    charged = ended is not None and ended.period.start >= subscription.charged_from
    return charged and subscription.paused_at(point.at) is None
