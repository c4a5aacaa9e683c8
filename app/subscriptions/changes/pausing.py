"""Pauses and resumptions. Pure."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from app.kernel import checks
from app.kernel.copies import replace
from app.kernel.ids import new_id
from app.subscriptions.changes.standing import is_caught_up, running, unbilled
from app.subscriptions.errors import (
    AlreadyBilled,
    PauseIsPending,
    PeriodHasNoEnd,
    SubscriptionHasNotStarted,
    SubscriptionIsNotPaused,
    SubscriptionIsTrialing,
)
from app.subscriptions.pause import PauseBehaviour, PauseSpan
from app.subscriptions.periods import cycle_at
from app.subscriptions.subscription import Subscription, SubscriptionStatus
from app.subscriptions.terms import within


class PauseMode(StrEnum):
    NOW = "now"
    PERIOD_END = "period_end"
    AT = "at"


@dataclass(frozen=True, slots=True, kw_only=True)
class PauseSubscription:
    """`at` goes with the mode AT, and lies in the future. `resumes_at` None: until resumed."""

    mode: PauseMode = PauseMode.NOW
    at: datetime | None = None
    resumes_at: datetime | None = None
    behaviour: PauseBehaviour = PauseBehaviour.KEEP
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumeSubscription:
    """`at` None: now. `behaviour` None: as the pause was asked for."""

    at: datetime | None = None
    behaviour: PauseBehaviour | None = None


def paused(
    subscription: Subscription, command: PauseSubscription, *, at: datetime
) -> tuple[Subscription, PauseSpan]:
    """The subscription with its pause; it is paused at once where the pause begins at `at`.

    Raises: Invalid, SubscriptionIsOver, SubscriptionIsDraft, SubscriptionIsTrialing,
    SubscriptionHasNotStarted, PauseIsPending, PeriodHasNoEnd.
    """
    status = running(subscription, at)
    if (other := unfinished(subscription, at)) is not None:
        raise PauseIsPending(subscription.id, other.id)
    asked = _start(subscription, command, status, at=at)
    starts_at = unbilled(subscription, asked)
    _check(subscription, command, starts_at)
    now = asked == at and is_caught_up(subscription, at)
    span = PauseSpan(
        id=new_id("spau"),
        starts_at=starts_at,
        ends_at=command.resumes_at,
        behaviour=command.behaviour,
        start_told=now,
    )
    after = with_span(subscription, span)
    return replace(after, status=SubscriptionStatus.PAUSED) if now else after, span


def resumed(
    subscription: Subscription, command: ResumeSubscription, *, at: datetime
) -> tuple[Subscription, PauseSpan]:
    """The subscription with the end of its pause; it is active at once where that is `at`.

    Raises: Invalid, SubscriptionIsOver, SubscriptionIsDraft, SubscriptionIsNotPaused,
    AlreadyBilled.
    """
    status = running(subscription, at)
    span = subscription.paused_at(at)
    if span is None:
        raise SubscriptionIsNotPaused(subscription.id, status.value)
    asked = _instant(subscription, span, command, at=at)
    now = asked == at and is_caught_up(subscription, at)
    behaviour = _behaviour(subscription, span, command)
    resumes_at = unbilled(subscription, asked)
    span = replace(span, ends_at=resumes_at, behaviour=behaviour, end_told=now)
    after = with_span(subscription, span)
    return replace(after, status=SubscriptionStatus.ACTIVE) if now else after, span


def unfinished(subscription: Subscription, at: datetime) -> PauseSpan | None:
    """The pause that is under way or to come; there is one at most."""
    for pause in subscription.pauses:
        if pause.ends_at is None or pause.ends_at > at:
            return pause
    return None


def with_span(subscription: Subscription, span: PauseSpan) -> Subscription:
    """The subscription with this span added, or in the place of the one with its id."""
    others = [pause for pause in subscription.pauses if pause.id != span.id]
    return replace(subscription, pauses=tuple(sorted([*others, span], key=_order)))


def without_span(subscription: Subscription, pause_id: str) -> Subscription:
    return replace(subscription, pauses=tuple(p for p in subscription.pauses if p.id != pause_id))


def _start(
    subscription: Subscription,
    command: PauseSubscription,
    status: SubscriptionStatus,
    *,
    at: datetime,
) -> datetime:
    if (command.at is not None) is not (command.mode is PauseMode.AT):
        raise checks.invalid("at", "goes with the mode AT, which needs it, and with no other")
    if command.at is not None:
        starts_at = within(command.at, "at")
        if starts_at < at:
            raise checks.invalid("at", f"{starts_at.isoformat()} must not lie in the past")
    elif command.mode is PauseMode.PERIOD_END and at >= subscription.charged_from:
        end = cycle_at(subscription, at).end
        if end is None:
            raise PeriodHasNoEnd(subscription.id, "mode")
        starts_at = end
    else:
        starts_at = at
    if starts_at < subscription.starts_at:
        raise SubscriptionHasNotStarted(subscription.id, status.value)
    if starts_at < subscription.charged_from:
        raise SubscriptionIsTrialing(subscription.id, status.value)
    return starts_at


def _check(subscription: Subscription, command: PauseSubscription, starts_at: datetime) -> None:
    end = subscription.ends_at
    if end is not None and starts_at >= end:
        raise checks.invalid(
            "at", f"{starts_at.isoformat()} must lie before the end, {end.isoformat()}"
        )
    if command.resumes_at is not None and within(command.resumes_at, "resumesAt") <= starts_at:
        raise checks.invalid(
            "resumesAt",
            f"{command.resumes_at.isoformat()} must lie after the pause begins, "
            f"{starts_at.isoformat()}",
        )
    _check_behaviour(subscription, command.behaviour)


def _check_behaviour(subscription: Subscription, behaviour: PauseBehaviour) -> None:
    """Raises: Invalid (INVALID_BEHAVIOUR)."""
    if behaviour is PauseBehaviour.EXTEND and subscription.alignment == "calendar":
        raise checks.invalid(
            "behaviour", "calendar periods end with the calendar's and cannot be extended"
        )


def _instant(
    subscription: Subscription, span: PauseSpan, command: ResumeSubscription, *, at: datetime
) -> datetime:
    resumes_at = at if command.at is None else within(command.at, "at")
    if resumes_at < at:
        raise checks.invalid("at", f"{resumes_at.isoformat()} must not lie in the past")
    end = subscription.ends_at
    if end is not None and resumes_at >= end:
        raise checks.invalid(
            "at", f"{resumes_at.isoformat()} must lie before the end, {end.isoformat()}"
        )
    if resumes_at == span.starts_at:
        raise checks.invalid("at", f"{resumes_at.isoformat()} is when the pause begins")
    return resumes_at


def _behaviour(
    subscription: Subscription, span: PauseSpan, command: ResumeSubscription
) -> PauseBehaviour:
    behaviour = span.behaviour if command.behaviour is None else command.behaviour
    if behaviour is span.behaviour:
        return behaviour
    _check_behaviour(subscription, behaviour)
    until = subscription.billed_until
    if until is not None and until > span.starts_at:
        raise AlreadyBilled(subscription.id, until, "behaviour")
    return behaviour


def _order(pause: PauseSpan) -> datetime:
    return pause.starts_at
