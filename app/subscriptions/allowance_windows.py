"""When an allowance begins anew. Pure.

| resets | windows |
| --- | --- |
| hour, day | by the clock of the subscription's zone; a day may have 23 or 25 hours |
| week | local, from Monday |
| month, quarter, half-year, year | of the subscription's anchor, or of the calendar where it is
aligned with that; so a monthly allowance and monthly bills begin together |
| billing period | the periods that the subscription is billed for |
| never | one |
| sliding | none: what lies further back than the window is forgotten |
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from app.catalog.entitlement_terms import Metered, Resets
from app.kernel.copies import replace
from app.kernel.period import (
    Cadence,
    Duration,
    Schedule,
    Unit,
    add_units,
    floor,
    floor_local,
    to_instant,
)
from app.subscriptions.periods import containing
from app.subscriptions.subscription import Subscription

_HOUR = timedelta(hours=1)
_EVER = datetime(1, 1, 1, tzinfo=UTC)
_LOCAL: dict[Resets, Unit] = {Resets.DAY: "day", Resets.WEEK: "week"}
_ANCHORED: dict[Resets, Unit] = {
    Resets.MONTH: "month",
    Resets.QUARTER: "quarter",
    Resets.HALF_YEAR: "half_year",
    Resets.YEAR: "year",
}
# The shorter is used up first; a billing period as a month, which most are. Sliding comes last.
_RANK = {
    resets: rank
    for rank, resets in enumerate(
        (
            Resets.HOUR,
            Resets.DAY,
            Resets.WEEK,
            Resets.MONTH,
            Resets.BILLING_PERIOD,
            Resets.QUARTER,
            Resets.HALF_YEAR,
            Resets.YEAR,
            Resets.NEVER,
            Resets.SLIDING,
        )
    )
}


@dataclass(frozen=True, slots=True)
class Window:
    """From `start` until before `end`; None: it never ends."""

    start: datetime
    end: datetime | None


@dataclass(frozen=True, slots=True)
class Rhythm:
    """Where windows begin and end. Rhythms of the same `key` have the same windows."""

    key: tuple[str, ...]
    resets: Resets
    containing: Callable[[datetime], Window]
    """The window that holds an instant; of sliding ones, the window that ends there."""

    @property
    def order(self) -> tuple[int, tuple[str, ...]]:
        """By which allowances of different rhythms are used up one after another."""
        return _RANK[self.resets], self.key

    def windows(self, start: datetime, end: datetime) -> Iterator[Window]:
        """The windows that hold instants from `start` until before `end`, in order."""
        at = start
        while at < end:
            window = self.containing(at)
            yield window
            if window.end is None:
                return
            at = window.end


def rhythm_of(terms: Metered, subscription: Subscription) -> Rhythm:
    """The rhythm in which a subscription's allowance begins anew."""
    resets, zone = terms.resets, ZoneInfo(subscription.timezone)
    if resets is Resets.NEVER:
        return Rhythm((resets.value,), resets, lambda _: Window(_EVER, None))
    if resets is Resets.SLIDING:
        length = terms.window or ""
        return Rhythm(
            (resets.value, length, zone.key), resets, lambda at: _sliding(length, zone, at)
        )
    if resets is Resets.HOUR:
        return Rhythm((resets.value, zone.key), resets, lambda at: _hour(zone, at))
    if resets in _LOCAL:
        unit = _LOCAL[resets]
        return Rhythm((resets.value, zone.key), resets, lambda at: _local(unit, zone, at))
    if resets is Resets.BILLING_PERIOD:
        key = (resets.value, subscription.id)
        return Rhythm(key, resets, lambda at: _billed(subscription, at))
    return _anchored(resets, subscription)


def _anchored(resets: Resets, subscription: Subscription) -> Rhythm:
    schedule = replace(subscription.schedule, cadence=Cadence(_ANCHORED[resets]))
    key: tuple[str, ...] = (resets.value, subscription.timezone, subscription.alignment)
    if subscription.alignment == "anniversary":
        key = (*key, subscription.anchor.isoformat())
    return Rhythm(key, resets, lambda at: _of_schedule(schedule, at))


def _of_schedule(schedule: Schedule, at: datetime) -> Window:
    period = schedule.full_period(at)
    return Window(period.start, period.end)


def _billed(subscription: Subscription, at: datetime) -> Window:
    service = containing(subscription, at)
    period = subscription.schedule.full_period(at) if service is None else service.period
    return Window(period.start, period.end)


def _sliding(length: str, zone: ZoneInfo, at: datetime) -> Window:
    return Window(Duration.parse(length).before(at, zone), at)


def _local(unit: Unit, zone: ZoneInfo, at: datetime) -> Window:
    base = floor_local(at.astimezone(zone).replace(tzinfo=None), unit)
    start, index = to_instant(base, zone), 1
    while (end := to_instant(add_units(base, unit, index), zone)) <= start:
        index += 1  # a zone that crosses the date line skips a day
    return Window(start, end)


def _hour(zone: ZoneInfo, at: datetime) -> Window:
    """From a full local hour to the next; where a clock moves by less, cut at the change."""
    start = floor(at, "hour", zone)
    while (end := start + _HOUR - _past_hour(start, zone)) <= at:
        start = end
    return Window(start, end)


def _past_hour(at: datetime, zone: ZoneInfo) -> timedelta:
    local = at.astimezone(zone)
    return timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)
