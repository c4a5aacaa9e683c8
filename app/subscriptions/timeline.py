"""The boundaries between a subscription's periods, counted through pauses that extend one. Pure.

While such a pause lasts, time stands still for the subscription: the period it falls into ends
later by the pause, and the periods after that repeat the wall time of its new end. Boundaries
are numbered in units of the cadence, through all of it, so that a charge with a longer cadence
can count the subscription's own boundaries and always meets one.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

from msgspec import Struct

from app.kernel.copies import replace
from app.kernel.period import Cadence, Period, Schedule
from app.subscriptions.pause import PauseBehaviour, PauseSpan

_DAYS = {"day": 1, "week": 7}
_MONTHS = {"month": 1, "quarter": 3, "half_year": 6, "year": 12}


def multiple_of(cadence: Cadence, base: Cadence) -> int | None:
    """How many of `base` make one `cadence`; None where it is not a whole number of them."""
    for lengths in (_DAYS, _MONTHS):
        if cadence.unit in lengths and base.unit in lengths:
            count, rest = divmod(
                lengths[cadence.unit] * cadence.count, lengths[base.unit] * base.count
            )
            return count if count and not rest else None
    return None


@dataclass(frozen=True, slots=True)
class _Era:
    """Boundaries from number `index` on, which lies at `start`, until the next era's.

    The schedule's own number of a boundary is ours less `shift`.
    """

    index: int
    start: datetime
    schedule: Schedule
    shift: int = 0

    def boundary(self, index: int) -> datetime:
        return self.schedule.boundary(index - self.shift)


class Cycle(Struct, frozen=True):
    """A whole period. `end` is None while time stands still in it.

    `full` has the length that the period was meant to have: a charge for it is prorated by
    that, whatever pauses did to its end.
    """

    start: datetime
    end: datetime | None
    full: Period


@dataclass(frozen=True, slots=True)
class Timeline:
    """`first` is where charging begins, inside or at the start of its first period."""

    schedule: Schedule
    first: datetime
    eras: tuple[_Era, ...]
    # The boundary that is not reached while a pause without an end lasts.
    standstill: int | None

    @classmethod
    @lru_cache(maxsize=1024)
    def of(cls, schedule: Schedule, first: datetime, pauses: tuple[PauseSpan, ...]) -> "Timeline":
        era = _Era(schedule.index_at(first), first, schedule)
        timeline = cls(schedule, first, (era,), None)
        for pause in pauses:
            if pause.behaviour is PauseBehaviour.EXTEND and timeline.standstill is None:
                timeline = timeline._extended(pause)
        return timeline

    def cycle(self, at: datetime, cadence: Cadence) -> Cycle:
        """The period of `cadence`, a multiple of the subscription's, that holds `at`."""
        count = self.schedule.cadence.count
        multiple = multiple_of(cadence, self.schedule.cadence)
        if multiple is None:
            raise ValueError(f"{cadence} is not a multiple of {self.schedule.cadence}")
        step = count * multiple
        index, _ = self._place(at)
        if step != count:
            phase = self._phase(cadence)
            index = phase + (index - phase) // step * step
        start, end = self._boundary(index), self._boundary(index + step)
        if self.standstill is None and len(self.eras) == 1:
            return Cycle(start, end, Period(start, end))
        still = self.standstill is not None and index + step >= self.standstill
        full = Period(start, start + self._meant(index, index + step))
        return Cycle(start, None if still else end, full)

    def _place(self, at: datetime) -> tuple[int, int]:
        """The number of the boundary that the period which holds `at` begins with, and the era."""
        count = self.schedule.cadence.count
        number = max((n for n, era in enumerate(self.eras) if era.start <= at), default=0)
        era = self.eras[number]
        index = era.schedule.index_at(at) + era.shift
        index = era.index + (index - era.index) // count * count
        if number + 1 < len(self.eras):
            index = min(index, self.eras[number + 1].index - count)
        if self.standstill is not None:
            index = min(index, self.standstill - count)
        return index, number

    def _phase(self, cadence: Cadence) -> int:
        """A number at which periods of a longer cadence begin.

        Anniversaries count from the anchor, calendar periods begin with the calendar's; where
        the subscription's own boundaries pass those by, they count from its first.
        """
        first, count = self.eras[0].index, self.schedule.cadence.count
        if self.schedule.alignment == "anniversary":
            return first % count
        own = replace(self.schedule, cadence=cadence).full_period(self.first).start
        index = self.schedule.index_at(own)
        return index if (index - first) % count == 0 else first

    def _boundary(self, index: int) -> datetime:
        era = self.eras[0]
        for later in self.eras[1:]:
            if later.index <= index:
                era = later
        return era.boundary(index)

    def _meant(self, start: int, end: int) -> timedelta:
        """The time between two boundaries, without what pauses added."""
        length = timedelta()
        for number, era in enumerate(self.eras):
            low = start if number == 0 else max(start, era.index)
            last = number + 1 == len(self.eras)
            high = end if last else min(end, self.eras[number + 1].index)
            if low < high:
                length += era.boundary(high) - era.boundary(low)
        return length

    def _extended(self, pause: PauseSpan) -> "Timeline":
        if pause.starts_at < self.first:
            return self
        index, number = self._place(pause.starts_at)
        following = index + self.schedule.cadence.count
        if pause.ends_at is None:
            return replace(self, standstill=following)
        kept = self.eras[: number + 1]
        start = self._boundary(following) + (pause.ends_at - pause.starts_at)
        schedule = replace(self.schedule, anchor=start)
        return replace(self, eras=(*kept, _Era(following, start, schedule, shift=following)))
