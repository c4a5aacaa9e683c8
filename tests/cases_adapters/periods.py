"""Runs the cases of periods.json through the arithmetic of periods.

Each adapter takes a case's `input` and gives what its `expected` holds.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from app.kernel.period import Cadence, Duration, Period, Schedule, day_count, floor

Case = Mapping[str, Any]
UNITS = ("day", "week", "month", "quarter", "half_year", "year")


class InvalidInterval(Exception):
    """No such interval: an unknown unit, or a count below one."""


def or_error(adapter: Callable[[Case], Mapping[str, Any]]) -> Callable[[Case], Mapping[str, Any]]:
    """The adapter's answer, or the error that the arithmetic raises."""

    def answered(case: Case) -> Mapping[str, Any]:
        try:
            return adapter(case)
        except InvalidInterval:
            return {"error": "invalid_interval"}
        except ValueError:
            return {"error": "before_start"}

    return answered


def next_boundary(case: Case) -> dict[str, str]:
    schedule = _schedule(case, start=case["period_start"])
    found = schedule.next_boundary(_instant(case["period_start"]))
    return {"next": _text(_clipped(found, case.get("subscription_end")))}


def sequence(case: Case) -> dict[str, list[str]]:
    schedule, cursor = _schedule(case, start=case["start"]), _instant(case["start"])
    boundaries, end = [cursor], case.get("end")
    while len(boundaries) < case.get("boundary_count", 10_000) and _text(cursor) != end:
        cursor = _clipped(schedule.next_boundary(cursor), end)
        boundaries.append(cursor)
    return {"boundaries": [_text(boundary) for boundary in boundaries]}


def containing_period(case: Case) -> dict[str, str]:
    start = case.get("start", case.get("anchor"))
    period = _schedule(case, start=start).containing(_instant(case["at"]), _instant(start))
    return {"period_start": _text(period.start), "period_end": _text(period.end)}


def next_reset(case: Case) -> dict[str, str]:
    start = case.get("start", case.get("anchor"))
    found = _schedule(case, start=start).next_reset(_instant(case["at"]), _instant(start))
    return {"reset_at": _text(_clipped(found, case.get("subscription_end")))}


def floored(case: Case) -> dict[str, str]:
    return {"floor": _text(floor(_instant(case["at"]), case["unit"], _zone(case)))}


def add_days(case: Case) -> dict[str, str]:
    duration = Duration(days=case["days"])
    return {"result": _text(duration.after(_instant(case["at"]), _zone(case)))}


def date_add(case: Case) -> dict[str, str]:
    duration = Duration.parse(case["duration"])
    return {"result": _text(duration.after(_instant(case["at"]), _zone(case)))}


def days(case: Case) -> dict[str, int]:
    return {"days": day_count(Period(_instant(case["start"]), _instant(case["end"])), _zone(case))}


def _schedule(case: Case, *, start: str) -> Schedule:
    if case["interval_unit"] not in UNITS or case["interval_count"] < 1:
        raise InvalidInterval
    cadence = Cadence(case["interval_unit"], case["interval_count"])
    anchor = _instant(case.get("anchor", start))
    return Schedule(cadence, _zone(case), case["alignment"], anchor)


def _zone(case: Case) -> ZoneInfo:
    return ZoneInfo(case["timezone"])


def _clipped(found: datetime, end: str | None) -> datetime:
    return found if end is None else min(found, _instant(end))


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _text(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


ADAPTERS: dict[str, Callable[[Case], Mapping[str, Any]]] = {
    "next_boundary": or_error(next_boundary),
    "sequence": or_error(sequence),
    "containing_period": or_error(containing_period),
    "next_reset": or_error(next_reset),
    "floor": floored,
    "add_days": add_days,
    "date_add": date_add,
    "day_count": days,
}
