from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise

from hypothesis import given
from hypothesis import strategies as st

from app.catalog.price import ChargeKind, InvoiceTiming
from app.kernel.period import Cadence, Period
from app.subscriptions.periods import (
    BillingPoint,
    Service,
    containing,
    due_points,
    next_point,
    points,
)
from app.subscriptions.services import service_of
from tests.subscriptions.make import JAN, at, line, price, row

FEB, MAR, APR = at(2026, 2, 1), at(2026, 3, 1), at(2026, 4, 1)


def whole(start, end):
    return Service(Period(start, end), Period(start, end))


@st.composite
def subscriptions(draw):
    starts_at = draw(
        st.datetimes(datetime(2020, 1, 1), datetime(2026, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
    )
    ends = st.timedeltas(timedelta(seconds=1), timedelta(days=900)).map(lambda d: starts_at + d)
    alignment = draw(st.sampled_from(["anniversary", "calendar"]))
    earlier = st.timedeltas(timedelta(0), timedelta(days=40)).map(lambda d: starts_at - d)
    return row(
        starts_at=starts_at,
        ends_at=draw(st.none() | ends),
        anchor=draw(earlier) if alignment == "anniversary" else starts_at,
        alignment=alignment,
        timezone=draw(st.sampled_from(["UTC", "America/New_York", "Asia/Kathmandu"])),
        cadence=Cadence(
            draw(st.sampled_from(["week", "month", "quarter", "half_year", "year"])),
            draw(st.integers(1, 3)),
        ),
    )


def test_an_open_subscription_is_billed_at_its_start_and_at_every_boundary():
    assert list(islice(points(row()), 3)) == [
        BillingPoint(JAN, None, whole(JAN, FEB)),
        BillingPoint(FEB, whole(JAN, FEB), whole(FEB, MAR)),
        BillingPoint(MAR, whole(FEB, MAR), whole(MAR, APR)),
    ]


def test_what_is_billed_does_not_come_again():
    assert next_point(row(billed_until=JAN)).at == FEB
    assert next_point(row(billed_until=FEB)).at == MAR


def test_the_end_cuts_the_last_period_and_nothing_follows():
    end = at(2026, 2, 15)
    ending = row(ends_at=end)
    last = Service(Period(FEB, end), Period(FEB, MAR))
    assert list(points(ending)) == [
        BillingPoint(JAN, None, whole(JAN, FEB)),
        BillingPoint(FEB, whole(JAN, FEB), last),
        BillingPoint(end, last, None),
    ]
    assert next_point(row(ends_at=end, billed_until=end)) is None


def test_an_end_on_a_boundary_leaves_no_rest():
    assert [point.at for point in points(row(ends_at=FEB))] == [JAN, FEB]
    assert next_point(row(ends_at=FEB, billed_until=JAN)).advance is None


def test_a_subscription_that_ends_as_it_starts_is_never_billed():
    assert list(points(row(ends_at=JAN))) == []


def test_the_first_calendar_period_is_the_rest_of_a_full_one():
    start = at(2026, 1, 20, 12)
    first = next_point(row(starts_at=start, alignment="calendar"))
    assert first.advance == Service(Period(start, FEB), Period(JAN, FEB))
    assert not first.advance.is_whole
    assert first.period == Period(start, FEB)


def test_calendar_months_begin_at_local_midnight():
    zone = "America/New_York"
    start = at(2026, 2, 10)
    first, second = islice(points(row(starts_at=start, alignment="calendar", timezone=zone)), 1, 3)
    assert first.at == at(2026, 3, 1, 5)
    assert second.at == at(2026, 4, 1, 4)


def test_an_anchor_before_the_start_makes_a_short_first_period():
    anchored = row(starts_at=at(2026, 1, 20), anchor=at(2025, 12, 31))
    dates = [point.at for point in islice(points(anchored), 4)]
    assert dates == [at(2026, 1, 20), at(2026, 1, 31), at(2026, 2, 28), at(2026, 3, 31)]
    assert next_point(anchored).advance.full == Period(at(2025, 12, 31), at(2026, 1, 31))


def test_after_an_outage_every_elapsed_period_is_due():
    late = row(billed_until=JAN)
    due = due_points(late, at(2026, 4, 15), limit=100)
    assert [point.at for point in due] == [FEB, MAR, APR]
    assert [point.arrears for point in due] == [whole(JAN, FEB), whole(FEB, MAR), whole(MAR, APR)]
    assert [point.at for point in due_points(late, at(2026, 4, 15), limit=2)] == [FEB, MAR]
    assert due_points(late, FEB - timedelta(microseconds=1), limit=100) == []
    assert [point.at for point in due_points(late, FEB, limit=100)] == [FEB]


def test_the_period_of_an_instant_is_cut_at_the_end():
    ending = row(ends_at=at(2026, 2, 15))
    assert containing(ending, JAN - timedelta(seconds=1)) is None
    assert containing(ending, FEB).period == Period(FEB, at(2026, 2, 15))
    assert containing(ending, at(2026, 2, 15)) is None


@given(subscriptions())
def test_periods_follow_one_another_from_start_to_end(subscription):
    found = list(islice(points(subscription), 12))
    assert found[0].at == subscription.starts_at
    assert found[0].arrears is None
    for before, after in pairwise(found):
        assert after.arrears == before.advance
        assert after.at == before.advance.period.end
        assert after.arrears.full.start <= after.arrears.period.start
        assert after.arrears.period.end <= after.arrears.full.end
    assert all(point.arrears.is_whole for point in found[2:-1])
    if len(found) < 12:
        assert found[-1].at == subscription.ends_at
        assert found[-1].advance is None


@given(subscriptions(), st.timedeltas(timedelta(0), timedelta(days=600)))
def test_the_period_of_an_instant_is_one_of_those_billed(subscription, later):
    instant = subscription.starts_at + later
    service = containing(subscription, instant)
    if subscription.ends_at is not None and instant >= subscription.ends_at:
        assert service is None
    else:
        assert service.period.contains(instant)
        assert service == containing(subscription, service.period.start)
        assert service in [p.advance for p in due_points(subscription, instant, limit=10_000)]


POINT = BillingPoint(FEB, whole(JAN, FEB), whole(FEB, MAR))
USAGE = price(charge=ChargeKind.USAGE)
ADVANCE = price(timing=InvoiceTiming.ADVANCE)


def test_usage_and_arrears_look_back_and_advance_looks_ahead():
    assert service_of(row(), line(), USAGE, POINT) == whole(JAN, FEB)
    assert service_of(row(), line(), price(), POINT) == whole(JAN, FEB)
    assert service_of(row(), line(), ADVANCE, POINT) == whole(FEB, MAR)


def test_at_the_start_only_advance_is_billed_and_at_the_end_only_arrears():
    start = BillingPoint(JAN, None, whole(JAN, FEB))
    end = BillingPoint(FEB, whole(JAN, FEB), None)
    assert service_of(row(), line(), USAGE, start) is None
    assert service_of(row(), line(), ADVANCE, start) == whole(JAN, FEB)
    assert service_of(row(), line(), USAGE, end) == whole(JAN, FEB)
    assert service_of(row(), line(), ADVANCE, end) is None


def test_a_line_is_billed_for_the_time_it_was_held():
    middle = at(2026, 1, 11)
    late = line(starts_at=middle)
    assert service_of(row(), late, USAGE, POINT) == Service(Period(middle, FEB), Period(JAN, FEB))
    early = line(ends_at=middle)
    assert service_of(row(), early, USAGE, POINT) == Service(Period(JAN, middle), Period(JAN, FEB))
    assert service_of(row(), early, ADVANCE, POINT) is None
    assert service_of(row(), line(starts_at=FEB), USAGE, POINT) is None
