"""Windows of a series: local hours, days, weeks from Monday, and months of an IANA zone.

They are cut here, by the same rules as billing periods, and never by the database, whose
opinion on zones and weeks may differ.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from app.kernel.period import Period, Unit, add_units, floor_local, to_instant
from app.metering.errors import TooManyWindows

MAX_WINDOWS = 2_500
_HOUR = timedelta(hours=1)


class Window(StrEnum):
    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"


_UNITS: dict[Window, Unit] = {
    Window.DAY: "day",
    Window.WEEK: "week",
    Window.MONTH: "month",
}
# In hours; a change of clocks, or of the date line, makes them shorter than their name.
_SHORTEST = {Window.HOUR: 0.25, Window.DAY: 20, Window.WEEK: 140, Window.MONTH: 640}


@dataclass(frozen=True, slots=True)
class Windows:
    """Contiguous windows: `edges[i]` up to `edges[i + 1]`."""

    edges: tuple[datetime, ...]

    def starting(self, start: datetime) -> Period:
        """The window that starts at `start`."""
        return Period(start, self.edges[bisect_right(self.edges, start)])

    def touching(self, parts: Iterable[Period]) -> list[datetime]:
        """The starts of the windows that have time in common with any of the parts, in order."""
        met: set[int] = set()
        for part in parts:
            first = bisect_right(self.edges, part.start) - 1
            met.update(range(max(first, 0), bisect_left(self.edges, part.end)))
        return [self.edges[place] for place in sorted(met)]


def windows(window: Window, zone: ZoneInfo, period: Period) -> Windows:
    """The windows that cover `period`; the first and last may reach beyond it.

    Raises: TooManyWindows (more than `MAX_WINDOWS`).
    """
    count = int(period.length / (_SHORTEST[window] * _HOUR))
    if count > 5 * MAX_WINDOWS:
        raise TooManyWindows(count, MAX_WINDOWS)  # without walking there
    found = all_windows(window, zone, period)
    if len(found.edges) - 1 > MAX_WINDOWS:
        raise TooManyWindows(len(found.edges) - 1, MAX_WINDOWS)
    return found


def all_windows(window: Window, zone: ZoneInfo, period: Period) -> Windows:
    """The windows that cover `period`, however many."""
    edges = _hours(zone, period) if window is Window.HOUR else _days(_UNITS[window], zone, period)
    return Windows(tuple(edges))


def _days(unit: Unit, zone: ZoneInfo, period: Period) -> list[datetime]:
    base = floor_local(period.start.astimezone(zone).replace(tzinfo=None), unit)
    edges = [to_instant(base, zone)]
    index = 0
    while edges[-1] < period.end or len(edges) == 1:
        index += 1
        edge = to_instant(add_units(base, unit, index), zone)
        if edge > edges[-1]:  # a zone that crosses the date line skips a day
            edges.append(edge)
    return edges


def _hours(zone: ZoneInfo, period: Period) -> list[datetime]:
    """Edges at local full hours; where a clock moves by half an hour, at the change as well."""
    edges = [period.start - _past_hour(period.start, zone)]
    while edges[-1] < period.end or len(edges) == 1:
        edges.append(edges[-1] + _HOUR - _past_hour(edges[-1], zone))
    return edges


def _past_hour(at: datetime, zone: ZoneInfo) -> timedelta:
    local = at.astimezone(zone)
    return timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)
