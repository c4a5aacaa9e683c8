from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.kernel.period import Cadence, Duration, Period, Schedule, day_count, floor

NEW_YORK = ZoneInfo("America/New_York")

units = st.sampled_from(["day", "week", "month", "quarter", "half_year", "year"])
zones = st.sampled_from(
    ["UTC", "America/New_York", "Europe/Berlin", "Asia/Kathmandu", "Australia/Lord_Howe"]
).map(ZoneInfo)
instants = st.datetimes(
    datetime(2000, 1, 1),  # noqa: DTZ001 - the zone is added
    datetime(2040, 1, 1),  # noqa: DTZ001
    timezones=st.just(UTC),
)
schedules = st.builds(
    Schedule,
    st.builds(Cadence, units, st.integers(1, 4)),
    zones,
    st.sampled_from(["anniversary", "calendar"]),
    instants,
)


@given(schedules, instants)
def test_a_boundary_lies_strictly_after_and_full_periods_follow_it(schedule, at):
    boundary = schedule.next_boundary(at)
    assert boundary > at
    full = schedule.full_period(at)
    assert full.start <= at < full.end == boundary
    assert schedule.full_period(boundary).start == boundary


@given(schedules, instants, st.timedeltas(timedelta(0), timedelta(days=400)))
def test_the_period_that_holds_an_instant_is_one_of_the_contiguous_periods(schedule, start, later):
    at = start + later
    period = schedule.containing(at, start)
    assert period.contains(at)
    cursor = start
    while cursor < period.start:
        cursor = schedule.next_boundary(cursor)
    assert cursor == period.start
    assert schedule.next_boundary(cursor) == period.end


@given(schedules)
def test_an_anniversary_begins_exactly_at_its_anchor(schedule):
    at_anchor = schedule.full_period(schedule.anchor).start
    if schedule.alignment == "anniversary":
        assert at_anchor == schedule.anchor
    else:
        assert at_anchor <= schedule.anchor


def test_an_anchor_in_the_second_of_two_equal_hours_keeps_its_instant():
    anchor = datetime(2026, 11, 1, 6, 30, tzinfo=UTC)  # 01:30 in New York, after the change
    schedule = Schedule(Cadence("month"), NEW_YORK, "anniversary", anchor)
    assert schedule.full_period(anchor).start == anchor
    assert schedule.next_boundary(anchor) == datetime(2026, 12, 1, 6, 30, tzinfo=UTC)


def test_a_wall_time_that_the_clocks_skip_moves_forward_by_the_gap():
    anchor = datetime(2026, 2, 8, 7, 30, tzinfo=UTC)  # 02:30 in New York
    schedule = Schedule(Cadence("month"), NEW_YORK, "anniversary", anchor)
    march = schedule.next_boundary(anchor)
    assert march == datetime(2026, 3, 8, 7, 30, tzinfo=UTC)  # 03:30 local
    assert schedule.next_boundary(march) == datetime(2026, 4, 8, 6, 30, tzinfo=UTC)


def test_days_of_a_calendar_month_follow_the_clocks():
    schedule = Schedule(Cadence("month"), NEW_YORK, "calendar", datetime(2026, 1, 1, tzinfo=UTC))
    march = schedule.containing(
        datetime(2026, 3, 20, tzinfo=UTC), datetime(2026, 1, 1, 5, tzinfo=UTC)
    )
    assert march == Period(datetime(2026, 3, 1, 5, tzinfo=UTC), datetime(2026, 4, 1, 4, tzinfo=UTC))
    assert march.length == timedelta(days=31, hours=-1)
    assert day_count(march, NEW_YORK) == 31


def test_a_reset_never_lies_at_or_before_the_instant_asked_about():
    anchor = datetime(2024, 1, 5, 12, tzinfo=UTC)
    schedule = Schedule(Cadence("month"), ZoneInfo("UTC"), "anniversary", anchor)
    early_on_the_day = datetime(2024, 2, 5, 6, tzinfo=UTC)
    assert schedule.next_reset(early_on_the_day, anchor) == datetime(2024, 3, 5, tzinfo=UTC)


@pytest.mark.parametrize("text", ["", "P", "PT", "1M", "P-1M", "P1.5D", "P1MT", "P1H"])
def test_what_is_not_a_duration_is_refused(text):
    with pytest.raises(ValueError, match="not an ISO 8601 duration"):
        Duration.parse(text)


def test_seconds_of_a_duration_run_on_the_clock_and_days_on_the_calendar():
    noon_before_the_change = datetime(2026, 3, 7, 17, tzinfo=UTC)
    assert Duration.parse("P1D").after(noon_before_the_change, NEW_YORK) == datetime(
        2026, 3, 8, 16, tzinfo=UTC
    )
    assert Duration.parse("PT24H").after(noon_before_the_change, NEW_YORK) == datetime(
        2026, 3, 8, 17, tzinfo=UTC
    )
    assert Duration.parse("P2W") == Duration(days=14)


def test_an_hour_that_occurs_twice_has_two_starts():
    first = datetime(2026, 11, 1, 5, 45, tzinfo=UTC)
    assert floor(first, "hour", NEW_YORK) == datetime(2026, 11, 1, 5, tzinfo=UTC)
    second = first + timedelta(hours=1)
    assert floor(second, "hour", NEW_YORK) == datetime(2026, 11, 1, 6, tzinfo=UTC)


def test_a_period_touches_the_days_it_begins_and_ends_in():
    noon = datetime(2026, 5, 1, 12, tzinfo=UTC)
    utc = ZoneInfo("UTC")
    assert day_count(Period(noon, noon), utc) == 0
    assert day_count(Period(noon, noon + timedelta(hours=1)), utc) == 1
    assert day_count(Period(noon, noon + timedelta(hours=12)), utc) == 1
    assert day_count(Period(noon, noon + timedelta(hours=13)), utc) == 2


spans = st.tuples(instants, st.timedeltas(timedelta(0), timedelta(days=400))).map(
    lambda pair: Period(pair[0], pair[0] + pair[1])
)


@given(spans, st.lists(spans, max_size=4))
def test_what_is_left_and_the_gaps_make_up_the_period(whole, gaps):
    parts = whole.without(gaps)
    assert all(part.length and whole.intersection(part) == part for part in parts)
    assert all(part.intersection(gap) is None for part in parts for gap in gaps)
    assert all(before.end < after.start for before, after in pairwise(parts))
    covered = whole.without(parts)
    assert sum((part.length for part in parts + covered), timedelta()) == whole.length
    assert all(
        any(gap.start <= edge <= gap.end for gap in gaps)
        for part in covered
        for edge in (part.start, part.end)
    )
