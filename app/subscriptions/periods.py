"""When a subscription is billed: its points, and the periods that end and begin there. Pure.

Points are its start, the end of its trial, every boundary between periods, its end, where
pauses begin and end, and where changes within a period were charged for. At a point the period
that ends there is billed in arrears and the one that begins there in advance; `services.py` says
what that is for each line.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import islice

from msgspec import Struct

from app.kernel.copies import replace
from app.kernel.period import Cadence, Period
from app.subscriptions.pause import PauseSpan
from app.subscriptions.subscription import Subscription, SubscriptionStatus
from app.subscriptions.timeline import Cycle, Timeline

INSTANT = timedelta(microseconds=1)  # the least time there is between two


class Service(Struct, frozen=True):
    """What is served, but for `paused`, and the whole period that it is all or a part of.

    `full` has the length of the whole period; where pauses extended it, `period` may go beyond.
    """

    period: Period
    full: Period
    paused: tuple[Period, ...] = ()

    @property
    def served(self) -> timedelta:
        if not self.paused:
            return self.period.length
        return self.period.length - sum((gap.length for gap in self.paused), timedelta())

    @property
    def is_whole(self) -> bool:
        return self.served == self.full.length


class BillingPoint(Struct, frozen=True):
    """`arrears` ends at `at`, `advance` begins there; None where nothing does.

    Where a pause or a cut ends, or a change was made, within a period, `advance` is the rest of
    that period.
    """

    at: datetime
    arrears: Service | None
    advance: Service | None

    @property
    def period(self) -> Period:
        """What the point's invoice covers: the period that ended, else the one that begins."""
        service = self.arrears or self.advance
        if service is None:
            raise ValueError(f"nothing ends or begins at {self.at}")
        return service.period


def points(subscription: Subscription) -> Iterator[BillingPoint]:
    """Every point that is not billed yet, in order; without end if the subscription has none."""
    return (point_at(subscription, at) for at in instants(subscription))


def instants(subscription: Subscription) -> Iterator[datetime]:
    """When its `points` are, which takes less to tell than what ends and begins there."""
    at = subscription.billed_until
    while (at := instant_after(subscription, at)) is not None:
        yield at


def next_point(subscription: Subscription) -> BillingPoint | None:
    """The next point to bill; None when all is billed, or nothing comes before it is resumed."""
    return next(points(subscription), None)


def due_points(subscription: Subscription, at: datetime, *, limit: int) -> list[BillingPoint]:
    """The first `limit` points that have come by `at`: one per elapsed period after an outage.

    None from a change on that has come and is not applied.
    """
    return [point_at(subscription, each) for each in islice(_due(subscription, at), limit)]


def is_due(subscription: Subscription, at: datetime) -> bool:
    """Whether there are `due_points`."""
    return next(_due(subscription, at), None) is not None


def _due(subscription: Subscription, at: datetime) -> Iterator[datetime]:
    change = subscription.next_change_at
    if subscription.status is SubscriptionStatus.DRAFT:
        return
    for instant in instants(subscription):
        if instant > at or (change is not None and instant >= change):
            return
        yield instant


def instant_after(subscription: Subscription, after: datetime | None) -> datetime | None:
    """The point that follows `after`, the start if it is None; None where none follows."""
    start, end = subscription.starts_at, subscription.ends_at
    if after is None or after < start:
        return None if end == start else start
    if end is not None and after >= end:
        return None
    instants = [end, subscription.charged_from]
    if after >= subscription.charged_from:
        instants.append(cycle_at(subscription, after).end)
    for pause in subscription.pauses:
        instants += (pause.starts_at, pause.ends_at)
    instants += (cut.until for cut in subscription.cuts)
    instants += subscription.changed_at
    return min((at for at in instants if at is not None and at > after), default=None)


def point_at(subscription: Subscription, at: datetime) -> BillingPoint:
    """What ends and what begins at `at`, which must be a point."""
    over = subscription.ends_at is not None and at >= subscription.ends_at
    arrears = None if at <= subscription.starts_at else _ending(subscription, at, over=over)
    advance = None if over else _beginning(subscription, at)
    return BillingPoint(at, arrears, advance)


def containing(subscription: Subscription, at: datetime) -> Service | None:
    """The period that holds `at`; None before the start and from the end on."""
    if at < subscription.starts_at:
        return None
    if subscription.ends_at is not None and at >= subscription.ends_at:
        return None
    start, end, full = _period(subscription, at)
    if end is None:  # while time stands still: as it was meant, or as long as it has come to be
        end = max(full.end, at + INSTANT)
    if subscription.ends_at is not None:
        end = min(end, subscription.ends_at)
    period = Period(start, end)
    return Service(period, full, paused_within(subscription, period))


def at_period(subscription: Subscription, at: datetime) -> Subscription:
    """The subscription with the period that holds `at` as its current one.

    Where none does it is over, and its last period stays.
    """
    service = containing(subscription, at)
    return subscription if service is None else replace(subscription, current_period=service.period)


def known_before(subscription: Subscription, at: datetime) -> tuple[PauseSpan, ...]:
    """The pauses that have begun before `at`, which nothing can change any more."""
    return tuple(pause for pause in subscription.pauses if pause.starts_at < at)


def cycle_at(
    subscription: Subscription,
    at: datetime,
    cadence: Cadence | None = None,
    pauses: tuple[PauseSpan, ...] | None = None,
) -> Cycle:
    """The whole period of `cadence` that holds `at`, after the trial.

    `cadence` None: the subscription's. `pauses` None: all of the subscription's.
    """
    schedule = subscription.schedule
    cadence = cadence or schedule.cadence
    pauses = subscription.pauses if pauses is None else pauses
    if not pauses and cadence == schedule.cadence and cadence.count == 1:
        full = schedule.full_period(at)
        return Cycle(full.start, full.end, full)
    return Timeline.of(schedule, subscription.charged_from, pauses).cycle(at, cadence)


def paused_within(subscription: Subscription, period: Period) -> tuple[Period, ...]:
    if not subscription.pauses:
        return ()
    found = (pause.within(period) for pause in subscription.pauses)
    return tuple(gap for gap in found if gap is not None)


def instant_at(subscription: Subscription, at: datetime) -> datetime:
    """The last point at or before `at`, which lies at or after the start."""
    instants = [subscription.starts_at, subscription.charged_from]
    if subscription.ends_at is not None:
        instants.append(subscription.ends_at)
    if at >= subscription.charged_from:
        instants.append(cycle_at(subscription, at).start)
    for pause in subscription.pauses:
        instants += (pause.starts_at, pause.ends_at or pause.starts_at)
    instants += (cut.until for cut in subscription.cuts)
    instants += subscription.changed_at
    return max(instant for instant in instants if subscription.starts_at <= instant <= at)


def horizon(subscription: Subscription, start: datetime) -> datetime | None:
    """Where what begins at `start` is known to be cut when it is billed in advance; None: nowhere.

    An end or a pause that is known then cuts it; what comes later does not.
    """
    if subscription.ends_at is None and not subscription.pauses and not subscription.cuts:
        return None
    point = instant_at(subscription, start)
    if subscription.billed_until is not None and point <= subscription.billed_until:
        return next((cut.until for cut in subscription.cuts if cut.at == point), None)
    pauses = (pause.starts_at for pause in subscription.pauses if pause.starts_at > start)
    return min((at for at in (subscription.ends_at, *pauses) if at is not None), default=None)


def _ending(subscription: Subscription, at: datetime, *, over: bool) -> Service | None:
    start, end, full = _period(subscription, at - INSTANT)
    if not over and end != at:
        return None
    period = Period(start, at)
    return Service(period, full, paused_within(subscription, period))


def _beginning(subscription: Subscription, at: datetime) -> Service | None:
    if subscription.paused_at(at) is not None:
        return None
    _, end, full = _period(subscription, at, known_before(subscription, at))
    limits = (full.end if end is None else end, horizon(subscription, at))
    return Service(Period(at, min(limit for limit in limits if limit is not None)), full)


def _period(
    subscription: Subscription, at: datetime, pauses: tuple[PauseSpan, ...] | None = None
) -> tuple[datetime, datetime | None, Period]:
    """The period that holds `at`: start, end, and the whole one that it is all, or the last part,
    of. It has no end while time stands still in it."""
    if at < subscription.charged_from:
        trial = Period(subscription.starts_at, subscription.charged_from)
        return trial.start, trial.end, trial
    cycle = cycle_at(subscription, at, pauses=pauses)
    return max(cycle.start, subscription.charged_from), cycle.end, cycle.full
