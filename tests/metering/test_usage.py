from collections import defaultdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st

from app.kernel.copies import replace
from app.kernel.ids import new_id
from app.kernel.period import Period, to_instant
from app.kernel.scope import Scope
from app.metering import usage
from app.metering.aggregations import Count, CountUnique, Sum
from app.metering.errors import TooManyWindows, UnknownDimension
from app.metering.fields import read_fields
from app.metering.usage import Span
from app.metering.windows import MAX_WINDOWS, Window, windows
from tests.metering.make import MARCH, T0, Stored, meter, process, span, strangers

NEW_YORK = ZoneInfo("America/New_York")
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
MS = timedelta(milliseconds=1)


def v(value, **fields):
    return Stored(f'{{"v":{value}}}', **fields)


async def totals(clickhouse, scope, one, *spans):
    found = await usage.totals(scope, clickhouse, one, spans)
    return [found[asked].quantity for asked in spans]


async def test_a_period_has_its_start_and_not_its_end(clickhouse, scope):
    one = meter(Sum("v"))
    events = [v(1, at=T0 - MS), v(10, at=T0), v(100, at=MARCH.end - MS), v(1000, at=MARCH.end)]
    await process(clickhouse, scope, [one], events)
    assert await totals(clickhouse, scope, one, span()) == [110]
    # Bounds finer than an event's time: 00:00:00.0005 is after .000 and before .001.
    half = timedelta(microseconds=500)
    late = span(period=Period(T0 + half, MARCH.end + half))
    assert await totals(clickhouse, scope, one, late) == [1100]


@pytest.mark.parametrize("raw", [False, True])
async def test_events_in_the_gaps_of_a_span_do_not_count(clickhouse, scope, raw):
    gaps = (Period(T0 + DAY, T0 + 2 * DAY), Period(T0 + 4 * DAY, MARCH.end))
    sent = [v(10**n, at=T0 + n * DAY) for n in range(5)] + [v(1, at=T0 + 3 * DAY)]
    one, unique = (
        meter(kind, backfilled_at=None if raw else T0) for kind in (Sum("v"), CountUnique("v"))
    )
    await process(clickhouse, scope, [one, unique], sent)
    whole, served = span(), replace(span(), gaps=gaps)
    assert await totals(clickhouse, scope, one, whole, served) == [11112, 1102]
    # The value 1 occurs before and after a gap, and is one value.
    assert await totals(clickhouse, scope, unique, served, whole) == [3, 5]
    nothing = replace(span(), gaps=(MARCH,))
    assert await usage.totals(scope, clickhouse, one, [nothing]) == {nothing: usage.NOTHING}


async def test_no_usage_is_zero_and_has_no_watermark(clickhouse, scope):
    found = await usage.totals(scope, clickhouse, meter(), [span("nobody")])
    assert found == {span("nobody"): usage.NOTHING}
    assert await usage.totals(scope, clickhouse, meter(), []) == {}
    empty = span(period=Period(T0, T0))
    assert await totals(clickhouse, scope, meter(), empty) == [0]


async def test_the_watermark_is_the_last_acceptance_that_was_counted(clickhouse, scope):
    one = meter()
    seen = [T0 + n * DAY for n in range(4)]
    await process(
        clickhouse,
        scope,
        [one],
        [
            Stored(ingested_at=seen[1]),
            Stored(ingested_at=seen[2], at=T0 + 2 * HOUR),
            Stored(ingested_at=seen[3], at=MARCH.end),
        ],
    )
    figure = (await usage.totals(scope, clickhouse, one, [span()]))[span()]
    assert figure == usage.Usage(Decimal(2), 2, seen[2])


@pytest.mark.parametrize("raw", [False, True])
async def test_a_figure_as_of_a_watermark_has_what_was_accepted_before_it(clickhouse, scope, raw):
    one = meter(Sum("v"), dimensions=("region",), backfilled_at=None if raw else T0)
    sent = [
        Stored(f'{{"v":{10**n},"region":"eu"}}', at=T0 + n * HOUR, ingested_at=T0 + n * DAY)
        for n in range(4)
    ]
    await process(clickhouse, scope, [one], sent)
    day = {"window": Window.DAY, "zone": NEW_YORK}
    for as_of, quantity in ((T0, 0), (T0 + DAY, 1), (T0 + DAY + MS, 11), (MARCH.end, 1111)):
        found = (await usage.totals(scope, clickhouse, one, [span()], as_of=as_of))[span()]
        assert (found.quantity, found.event_count) == (quantity, str(quantity).count("1"))
        by_region = await usage.grouped(
            scope, clickhouse, one, [span()], group_by=["region"], as_of=as_of
        )
        by_day = await usage.series(scope, clickhouse, one, [span()], **day, as_of=as_of)
        for parts in (by_region, by_day):
            assert sum(figure.quantity for figure in parts[span()]) == quantity


async def test_copies_count_once_however_they_came(clickhouse, scope):
    meters = [meter(), meter(Sum("v")), meter(CountUnique("v"))]
    events = [v(n, event_id=f"e{n}", at=T0 + n * HOUR) for n in range(30)]
    await process(clickhouse, scope, meters, events)
    await process(clickhouse, scope, meters, events[10:20])
    await process(clickhouse, scope, meters, events[:15] * 2)
    for raw in (False, True):
        asked = [replace(one, backfilled_at=None) if raw else one for one in meters]
        found = await usage.totals_of_meters(scope, clickhouse, asked, [span()])
        assert [found[one.id][span()].quantity for one in asked] == [30, sum(range(30)), 30]
        assert [found[one.id][span()].event_count for one in asked] == [30, 30, 30]


async def test_many_customers_and_periods_are_one_question(clickhouse, scope):
    """Every pair is answered by itself, overlapping periods included."""
    one = meter(Sum("v"))
    events = [
        v(2**n, customer=f"c{c}", at=T0 + n * DAY, event_id=f"{c}-{n}")
        for c in range(3)
        for n in range(20)
    ]
    await process(clickhouse, scope, [one], events)
    spans = [
        Span(f"c{c}", Period(T0 + start * DAY, T0 + end * DAY))
        for c in range(3)
        for start, end in ((0, 20), (0, 1), (3, 5), (4, 20), (19, 30))
    ]
    expected = [2**20 - 1, 1, 8 + 16, 2**20 - 16, 2**19] * 3
    assert await totals(clickhouse, scope, one, *spans) == expected
    await_twice = [spans[0], spans[0]]
    assert await totals(clickhouse, scope, one, *await_twice) == expected[:1] * 2


async def test_more_spans_than_one_request_holds(clickhouse, scope):
    one = meter()
    customers = [f"{'long' * 20}-{n}" for n in range(1500)]
    await process(clickhouse, scope, [one], [Stored(customer=c) for c in customers[::3]])
    found = await usage.totals(scope, clickhouse, one, [span(c) for c in customers])
    assert [found[span(c)].quantity for c in customers] == [1, 0, 0] * 500


@pytest.mark.parametrize(
    "customer", ["o'neil", "a\\b", "tab\there", "{x:String}", "日本", "", "a,b"]
)
async def test_customers_of_any_name_are_found(clickhouse, scope, customer):
    one = meter()
    await process(clickhouse, scope, [one], [Stored(customer=customer), Stored(customer="x")])
    assert await totals(clickhouse, scope, one, span(customer)) == [1]


@pytest.mark.parametrize("raw", [False, True])
async def test_another_scope_or_meter_counts_nothing(clickhouse, scope, raw):
    one = meter(backfilled_at=None if raw else T0)
    await process(clickhouse, scope, [one], [Stored()])
    others = strangers(scope)
    for stranger in others:
        assert await totals(clickhouse, stranger, one, span()) == [0]
        assert await usage.grouped(stranger, clickhouse, one, [span()], group_by=()) == {span(): []}
        day = {"window": Window.DAY, "zone": NEW_YORK}
        assert await usage.series(stranger, clickhouse, one, [span()], **day) == {span(): []}
    other = meter(event_name="other", backfilled_at=one.backfilled_at)
    assert await totals(clickhouse, scope, other, span()) == [0]
    # The same event id in two scopes is two events.
    await process(clickhouse, others[0], [one], [Stored(event_id="same")])
    await process(clickhouse, others[1], [one], [Stored(event_id="same")])
    for stranger in others:
        assert await totals(clickhouse, stranger, one, span()) == [1]


async def test_groups_are_the_values_that_occurred(clickhouse, scope):
    one = meter(Sum("v"), dimensions=("region", "plan"))
    texts = [
        '{"v":1,"region":"eu","plan":"a"}',
        '{"v":2,"region":"eu","plan":"b"}',
        '{"v":4,"region":"us"}',
        '{"v":8,"region":"","plan":null}',
        '{"v":16}',
        '{"v":32,"region":1.50}',
        '{"region":"no value"}',
    ]
    await process(clickhouse, scope, [one], [Stored(text) for text in texts])

    async def groups(*names):
        found = await usage.grouped(scope, clickhouse, one, [span(), span("x")], group_by=names)
        assert found[span("x")] == []
        return {figure.group: figure.quantity for figure in found[span()]}

    regions = {("eu",): 3, ("us",): 4, ("",): 8, (None,): 16, ("1.50",): 32}
    assert await groups("region") == regions
    assert await groups("plan", "region") == {
        ("a", "eu"): 1,
        ("b", "eu"): 2,
        (None, "us"): 4,
        (None, ""): 8,
        (None, None): 16,
        (None, "1.50"): 32,
    }
    one = replace(one, backfilled_at=None)
    assert await groups("region") == regions


async def test_a_dimension_that_is_not_kept_is_refused(clickhouse, scope):
    with pytest.raises(UnknownDimension, match="keeps no dimension 'plan'; it keeps region"):
        await usage.grouped(
            scope, clickhouse, meter(dimensions=("region",)), [span()], group_by=["plan"]
        )


async def series(clickhouse, scope, one, asked, window, zone, group_by=()):
    found = await usage.series(
        scope, clickhouse, one, [asked], window=window, zone=zone, group_by=group_by
    )
    return [(figure.window, figure.quantity, *figure.group) for figure in found[asked]]


async def test_days_follow_the_clock_of_the_zone(clickhouse, scope):
    """On 10 March 2024 New York's clocks skip an hour: that day has 23."""
    one = meter(Sum("v"))
    start = datetime(2024, 3, 9, tzinfo=NEW_YORK).astimezone(UTC)
    await process(
        clickhouse, scope, [one], [v(1, at=start + n * HOUR) for n in range(24 + 23 + 24)]
    )
    asked = span(period=Period(start, start + 10 * DAY))
    edges = [start, start + 24 * HOUR, start + 47 * HOUR, start + 71 * HOUR]
    assert await series(clickhouse, scope, one, asked, Window.DAY, NEW_YORK) == [
        (Period(edges[0], edges[1]), 24),
        (Period(edges[1], edges[2]), 23),
        (Period(edges[2], edges[3]), 24),
    ]


async def test_windows_are_cut_to_the_span_and_grouped(clickhouse, scope):
    one = meter(dimensions=("region",))
    at = datetime(2024, 3, 13, 12, tzinfo=UTC)  # a Wednesday
    events = [
        Stored('{"region":"eu"}', at=at),
        Stored('{"region":"us"}', at=at + DAY),
        Stored('{"region":"eu"}', at=at + 7 * DAY),
        Stored('{"region":"eu"}', at=at - HOUR),
    ]
    await process(clickhouse, scope, [one], events)
    asked = span(period=Period(at, at + 8 * DAY))
    monday = datetime(2024, 3, 18, tzinfo=UTC)
    found = await series(clickhouse, scope, one, asked, Window.WEEK, ZoneInfo("UTC"), ["region"])
    assert found == [
        (Period(at, monday), 1, "eu"),
        (Period(at, monday), 1, "us"),
        (Period(monday, asked.period.end), 1, "eu"),
    ]


ZONES = [
    "UTC",
    "America/New_York",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "Africa/Cairo",
    "America/Sao_Paulo",
    "Pacific/Apia",
    "Asia/Beirut",
    "America/St_Johns",
]
INSTANTS = st.timedeltas(-5000 * DAY, 1000 * DAY).map(lambda since: T0 + since)


@hypothesis(deadline=None, max_examples=300)
@given(
    st.sampled_from(Window), st.sampled_from(ZONES), INSTANTS, st.timedeltas(HOUR / 60, 90 * DAY)
)
def test_windows_cover_the_period_without_gaps(window, zone_name, start, length):
    zone = ZoneInfo(zone_name)
    period = Period(start, start + length)
    edges = windows(window, zone, period).edges
    assert edges[0] <= period.start < edges[1]
    assert edges[-2] < period.end <= edges[-1]
    assert all(a < b for a, b in pairwise(edges))
    for edge in edges:
        local = edge.astimezone(zone)
        if window is Window.HOUR:
            assert local.minute in (0, 30)
            continue
        midnight = local.replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
        assert to_instant(midnight, zone) == edge
        assert window is not Window.WEEK or local.isoweekday() == 1 or zone_name == "Pacific/Apia"
        assert window is not Window.MONTH or local.day == 1


def test_too_many_windows_are_refused_at_once():
    period = Period(T0, T0 + timedelta(days=36_500))
    with pytest.raises(TooManyWindows) as caught:
        windows(Window.HOUR, NEW_YORK, period)
    assert caught.value.code == "TOO_MANY_WINDOWS"
    with pytest.raises(TooManyWindows, match=f"{MAX_WINDOWS + 1} windows are too many"):
        windows(Window.HOUR, NEW_YORK, Period(T0, T0 + (MAX_WINDOWS + 1) * HOUR))
    full = windows(Window.HOUR, NEW_YORK, Period(T0, T0 + MAX_WINDOWS * HOUR))
    assert len(full.edges) == MAX_WINDOWS + 1


async def test_the_most_windows_fit_a_request(clickhouse, scope):
    one = meter()
    length = MAX_WINDOWS * HOUR
    await process(clickhouse, scope, [one], [Stored(at=T0), Stored(at=T0 + length - MS)])
    found = await series(
        clickhouse, scope, one, span(period=Period(T0, T0 + length)), Window.HOUR, NEW_YORK
    )
    assert found == [(Period(T0, T0 + HOUR), 1), (Period(T0 + length - HOUR, T0 + length), 1)]


EVENTS = st.lists(
    st.builds(
        lambda customer, at, value, region, copies: (
            Stored(f'{{"v":{value},"region":"{region}"}}', customer=customer, at=at),
            copies,
        ),
        st.sampled_from(["a", "b"]),
        st.integers(-10 * 86_400_000, 40 * 86_400_000).map(lambda since: T0 + since * MS),
        st.decimals(-1000, 1000, places=9),
        st.sampled_from(["x", "y"]),
        st.integers(1, 3),
    ),
    max_size=25,
)
SPANS = st.lists(
    st.builds(
        lambda customer, start, length: Span(customer, Period(start, start + length)),
        st.sampled_from(["a", "b", "c"]),
        st.timedeltas(-10 * DAY, 30 * DAY).map(lambda since: T0 + since),
        st.timedeltas(timedelta(0), 40 * DAY),
    ),
    max_size=5,
)


@hypothesis(
    deadline=None,
    max_examples=40,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    EVENTS,
    SPANS,
    st.sampled_from([Count(), Sum("v"), CountUnique("v")]),
    st.sampled_from([Window.DAY, Window.WEEK, Window.MONTH]),
    st.booleans(),
)
async def test_usage_in_sql_is_the_fold_of_the_events(
    clickhouse, drawn, spans, aggregation, window, raw
):
    scope = Scope(new_id("ten"), new_id("env"))
    one = meter(aggregation, dimensions=("region",), backfilled_at=None if raw else T0)
    for turn in range(3):
        sent = [event for event, copies in drawn if copies > turn]
        await process(clickhouse, scope, [one], sent)
    plain = await usage.totals(scope, clickhouse, one, spans)
    detailed = await usage.series(
        scope, clickhouse, one, spans, window=window, zone=NEW_YORK, group_by=["region"]
    )
    for asked in spans:
        inside = [
            (event, one.counted(read_fields(event.properties)))
            for event, _ in drawn
            if event.customer == asked.external_customer_id and asked.period.contains(event.at)
        ]
        assert plain[asked].quantity == aggregation.total(row for _, row in inside)
        cells = defaultdict(list)
        for event, row in inside:
            cut = windows(window, NEW_YORK, asked.period).starting
            edges = windows(window, NEW_YORK, asked.period).edges
            start = max(edge for edge in edges if edge <= event.at)
            cells[
                cut(start).intersection(asked.period), read_fields(event.properties)["region"]
            ] += [row]
        assert {(f.window, *f.group): f.quantity for f in detailed[asked]} == {
            cell: aggregation.total(rows) for cell, rows in cells.items()
        }


async def test_late_months_are_stored_apart_and_counted_together(clickhouse, scope):
    one = meter()
    months = [Stored(at=datetime(2015 + n // 12, n % 12 + 1, 15, tzinfo=UTC)) for n in range(60)]
    await process(clickhouse, scope, [one], months)
    whole = span(period=Period(datetime(2015, 1, 1, tzinfo=UTC), MARCH.end))
    assert await totals(clickhouse, scope, one, whole) == [60]
