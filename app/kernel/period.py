"""Half-open intervals `[start, end)` between instants in UTC, and the boundaries of billing.

Boundaries are computed in local wall time of an IANA zone from the original anchor every
time, so that 31 January is followed by 28 February and then by 31 March. A wall time that a
change of clocks skips moves forward by the gap; one that occurs twice is its first occurrence.
"""

import re
from calendar import monthrange
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Literal
from zoneinfo import ZoneInfo

from msgspec import Struct

from app.kernel.copies import replace

Unit = Literal["day", "week", "month", "quarter", "half_year", "year"]
Alignment = Literal["anniversary", "calendar"]

_MONTHS = {"month": 1, "quarter": 3, "half_year": 6, "year": 12}
_DURATION = re.compile(
    r"P(?:(\d{1,6})Y)?(?:(\d{1,6})M)?(?:(\d{1,6})W)?(?:(\d{1,6})D)?"
    r"(?:T(?:(\d{1,6})H)?(?:(\d{1,6})M)?(?:(\d{1,6})S)?)?"
)


class Period(Struct, frozen=True, order=True):
    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        if self.start.utcoffset() is None or self.end.utcoffset() is None:
            raise ValueError("a period lies between aware instants")
        if self.end < self.start:
            raise ValueError(f"a period cannot end at {self.end} before it starts at {self.start}")

    def contains(self, at: datetime) -> bool:
        return self.start <= at < self.end

    def intersection(self, other: "Period") -> "Period | None":
        """What both cover, or None when that is nothing."""
        start, end = max(self.start, other.start), min(self.end, other.end)
        return Period(start, end) if start < end else None

    def without(self, gaps: Iterable["Period"]) -> tuple["Period", ...]:
        """What is left of the period outside the gaps, in order; parts of no length are none."""
        between = sorted(gaps)
        if not between and self.start < self.end:
            return (self,)
        parts, start = [], self.start
        for gap in between:
            if start < min(gap.start, self.end):
                parts.append(Period(start, min(gap.start, self.end)))
            start = max(start, gap.end)
        if start < self.end:
            parts.append(Period(start, self.end))
        return tuple(parts)

    @property
    def length(self) -> timedelta:
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class Cadence:
    """How often: `count` × `unit`. `count` is at least 1."""

    unit: Unit
    count: int = 1

    def __post_init__(self) -> None:
        if self.count < 1:
            raise ValueError(f"a cadence counts at least one {self.unit}, not {self.count}")


class Schedule(Struct, frozen=True):
    """The boundaries of a subscription's billing.

    `anchor` is the instant whose local date and wall time every boundary repeats; with
    `calendar` alignment boundaries are the local starts of the unit, and the anchor is unused.
    """

    cadence: Cadence
    zone: ZoneInfo
    alignment: Alignment
    anchor: datetime

    def next_boundary(self, after: datetime) -> datetime:
        """The first boundary of one unit strictly after `after`, plus `count` − 1 units."""
        return self.full_period(after).end

    def full_period(self, start: datetime) -> Period:
        """The whole period that one which begins at `start` is all, or the last part, of."""
        return _full_period(self, start)

    def containing(self, at: datetime, start: datetime) -> Period:
        """The period that holds `at`, walking from `start`. Raises ValueError before it."""
        if at < start:
            raise ValueError(f"{at} lies before the first period, which starts at {start}")
        period = Period(start, self.next_boundary(start))
        while at >= period.end:
            period = Period(period.end, self.next_boundary(period.end))
        return period

    def next_reset(self, at: datetime, start: datetime) -> datetime:
        """The first local midnight of a boundary's day after `at`, walking from `start`'s day.

        Raises ValueError where `at` lies before the day of `start`.
        """
        by_day = replace(self, anchor=floor(self.anchor, "day", self.zone))
        return by_day.containing(at, floor(start, "day", self.zone)).end

    def boundary(self, index: int) -> datetime:
        """The boundary `index` units of the cadence after the anchor, or before it."""
        return self._boundary(index, self._base())

    def index_at(self, at: datetime) -> int:
        """The greatest index whose boundary is at or before `at`."""
        base = self._base()
        local = at.astimezone(self.zone).replace(tzinfo=None)
        if months := _MONTHS.get(self.cadence.unit):
            distance = (local.year - base.year) * 12 + local.month - base.month
            index = distance // months
        else:
            index = (local - base).days // (7 if self.cadence.unit == "week" else 1)
        while self._boundary(index + 1, base) <= at:
            index += 1
        while self._boundary(index, base) > at:
            index -= 1
        return index

    def _boundary(self, index: int, base: datetime) -> datetime:
        if index == 0 and self.alignment == "anniversary":
            return self.anchor  # a wall time that occurs twice may mean its second occurrence
        return to_instant(add_units(base, self.cadence.unit, index), self.zone)

    def _base(self) -> datetime:
        local = self.anchor.astimezone(self.zone).replace(tzinfo=None)
        return floor_local(local, self.cadence.unit) if self.alignment == "calendar" else local


# Customers who were put on a plan together share their periods, and each asks many times.
@lru_cache(maxsize=4096)
def _full_period(schedule: Schedule, start: datetime) -> Period:
    index = schedule.index_at(start)
    return Period(schedule.boundary(index), schedule.boundary(index + schedule.cadence.count))


@dataclass(frozen=True, slots=True)
class Duration:
    """A span as people say it: months and days on the calendar, then seconds on the clock."""

    months: int = 0
    days: int = 0
    seconds: int = 0

    @classmethod
    def parse(cls, text: str) -> "Duration":
        """An ISO 8601 duration of whole numbers, such as P1Y2M10DT5H30M45S. Raises ValueError."""
        match = _DURATION.fullmatch(text)
        if match is None or text.endswith(("P", "T")):
            raise ValueError(f"{text!r} is not an ISO 8601 duration such as P1M or P14D")
        years, months, weeks, days, hours, minutes, seconds = (
            int(group or 0) for group in match.groups()
        )
        return cls(years * 12 + months, weeks * 7 + days, hours * 3600 + minutes * 60 + seconds)

    def after(self, at: datetime, zone: ZoneInfo) -> datetime:
        """The instant this long after `at`; wall time and day of the month are local."""
        local = at.astimezone(zone).replace(tzinfo=None)
        day = add_units(local, "month", self.months) + timedelta(days=self.days)
        moved = at if day == local else to_instant(day, zone)
        return moved + timedelta(seconds=self.seconds)

    def before(self, at: datetime, zone: ZoneInfo) -> datetime:
        """The instant this long before `at`; wall time and day of the month are local."""
        local = at.astimezone(zone).replace(tzinfo=None)
        day = add_units(local, "month", -self.months) - timedelta(days=self.days)
        moved = at if day == local else to_instant(day, zone)
        return moved - timedelta(seconds=self.seconds)


def floor(at: datetime, unit: Unit | Literal["hour"], zone: ZoneInfo) -> datetime:
    """The instant at which the local hour, day, week … that holds `at` began."""
    local = at.astimezone(zone)
    if unit == "hour":
        # The fold is kept: an hour that occurs twice has two starts.
        return local.replace(minute=0, second=0, microsecond=0).astimezone(UTC)
    return to_instant(floor_local(local.replace(tzinfo=None), unit), zone)


def day_count(period: Period, zone: ZoneInfo) -> int:
    """How many local calendar days the period touches; one of no length touches none."""
    if period.start == period.end:
        return 0
    last = (period.end - timedelta(microseconds=1)).astimezone(zone).date()
    return (last - period.start.astimezone(zone).date()).days + 1


def add_units(local: datetime, unit: Unit, count: int) -> datetime:
    """Wall time plus `count` units; the day of the month is clamped to the month's length."""
    if unit == "day":
        return local + timedelta(days=count)
    if unit == "week":
        return local + timedelta(weeks=count)
    month = local.month - 1 + _MONTHS[unit] * count
    year, month = local.year + month // 12, month % 12 + 1
    return local.replace(year=year, month=month, day=min(local.day, monthrange(year, month)[1]))


def floor_local(local: datetime, unit: Unit) -> datetime:
    """The start of the day, Monday, month, quarter, half-year or year that holds `local`."""
    day = local.date()
    if unit == "week":
        day -= timedelta(days=day.weekday())
    elif unit != "day":
        months = _MONTHS[unit]
        day = date(day.year, (day.month - 1) // months * months + 1, 1)
    return datetime.combine(day, time())


def to_instant(local: datetime, zone: ZoneInfo) -> datetime:
    """The UTC instant of a wall time; a skipped one moves forward, a double one is the first."""
    return local.replace(tzinfo=zone, fold=0).astimezone(UTC)
