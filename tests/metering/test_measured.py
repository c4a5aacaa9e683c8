"""Figures as billing asks for them, in SQL, against folds of the same events in Python."""

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st

from app.kernel.copies import replace
from app.kernel.ids import new_id
from app.kernel.period import Period
from app.kernel.scope import Scope
from app.metering import usage
from app.metering.aggregations import CountUnique, Sum
from app.metering.errors import UnknownDimension
from app.metering.fields import read_fields
from app.metering.filters import Match
from app.metering.usage import Span, Split
from app.metering.walk import Walk, fold
from app.metering.windows import MAX_WINDOWS, Window, all_windows
from tests.metering.make import MARCH, T0, Stored, meter, process, span, strangers

NEW_YORK = ZoneInfo("America/New_York")
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
MS = timedelta(milliseconds=1)
DIMENSIONS = ("cloud", "region")
REAL = hypothesis(
    deadline=None,
    max_examples=40,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@st.composite
def sent(draw):
    fields = {"v": str(draw(st.decimals(-50, 5_000, places=4)))}
    for name in DIMENSIONS:
        value = draw(st.sampled_from(["a", "b", "", None]))
        if value is not None:
            fields[name] = f'"{value}"'
    text = "{" + ",".join(f'"{name}":{value}' for name, value in fields.items()) + "}"
    # Few instants, so that events often share one and their ids decide the order.
    at = T0 + draw(st.integers(-5, 60)) * HOUR
    return Stored(text, customer=draw(st.sampled_from(["x", "y"])), at=at)


quantities = st.decimals(-100, 10_000, places=4)
walks = st.builds(
    Walk,
    st.none() | st.integers(0, 6),
    st.none() | st.decimals(0, 10_000, places=4),
    st.none() | quantities,
    st.none() | quantities,
)
matches = st.builds(
    Match,
    st.sampled_from(DIMENSIONS),
    st.lists(st.sampled_from(["a", "b", ""]), min_size=1, unique=True).map(tuple),
)
rows = st.lists(st.lists(matches, min_size=1, max_size=2).map(tuple), max_size=3).map(tuple)
groupings = st.sampled_from([(), ("cloud",), ("region", "cloud")])
spans = st.lists(
    st.builds(
        lambda customer, start, hours, gap: Span(
            customer,
            Period(T0 + start * HOUR, T0 + (start + hours) * HOUR),
            (Period(T0 + gap * HOUR, T0 + (gap + 5) * HOUR),) if gap else (),
        ),
        st.sampled_from(["x", "y", "z"]),
        st.integers(-10, 20),
        st.integers(1, 50),
        st.integers(0, 30),
    ),
    max_size=4,
)


def fold_of(events, asked, split):
    """The events of every figure of a span, by (values, row, start of the window)."""
    found = defaultdict(list)
    edges = None
    if split.window is not None:
        edges = all_windows(split.window, split.zone, asked.period).edges
    for event in sorted(events, key=lambda each: (each.at, each.event_id)):
        inside = any(part.contains(event.at) for part in asked.period.without(asked.gaps))
        if event.customer != asked.external_customer_id or not inside:
            continue
        fields = read_fields(event.properties)
        values = tuple(fields.get(name) for name in split.group_by)
        row = next(
            (i for i, row in enumerate(split.rows) if all(m.holds(fields) for m in row)), None
        )
        start = None if edges is None else max(edge for edge in edges if edge <= event.at)
        start = None if start is None else max(start, asked.period.start)
        found[values, row, start].append(event)
    return found


@REAL
@given(
    st.lists(sent(), max_size=25),
    spans,
    rows,
    groupings,
    st.none() | walks,
    st.none() | st.sampled_from([Window.HOUR, Window.DAY]),
    st.booleans(),
)
async def test_figures_in_sql_are_the_folds_of_their_events(
    clickhouse, events, asked, rows, group_by, walk, window, raw
):
    scope = Scope(new_id("ten"), new_id("env"))
    one = meter(Sum("v"), dimensions=DIMENSIONS, backfilled_at=None if raw else T0)
    await process(clickhouse, scope, [one], events)
    await process(clickhouse, scope, [one], events[::2])
    split = Split(group_by, rows, walk, window, None if window is None else NEW_YORK)
    found = await usage.measured(scope, clickhouse, one, asked, split=split)
    assert found.keys() == set(asked)
    for each in asked:
        expected = {
            key: [one.counted(read_fields(event.properties)) for event in inside]
            for key, inside in fold_of(events, each, split).items()
        }
        figures = {
            (f.group, f.row, None if f.window is None else f.window.start): f for f in found[each]
        }
        assert len(figures) == len(found[each])
        assert {key: (f.quantity, f.event_count) for key, f in figures.items()} == {
            key: (one.aggregation.total(counted), len(counted)) for key, counted in expected.items()
        }
        tallies = {
            key: None if walk is None else fold(walk, [row.quantity for row in counted])
            for key, counted in expected.items()
        }
        assert {key: f.tally for key, f in figures.items()} == tallies


async def test_a_unique_value_of_two_dimensions_is_one_in_the_row_that_holds_both(
    clickhouse, scope
):
    """Rows are aggregated as such: their unique values are not the sum of their cells'."""
    one = meter(CountUnique("user"), dimensions=DIMENSIONS)
    texts = [
        '{"user":1,"cloud":"aws"}',
        '{"user":1,"cloud":"gcp"}',
        '{"user":2,"cloud":"gcp"}',
        '{"user":1}',
    ]
    await process(clickhouse, scope, [one], [Stored(text) for text in texts])
    split = Split(rows=((Match("cloud", ("aws", "gcp")),),))
    found = (await usage.measured(scope, clickhouse, one, [span()], split=split))[span()]
    assert {figure.row: figure.quantity for figure in found} == {0: 2, None: 1}


async def test_more_windows_than_one_question_holds_are_asked_in_several(clickhouse, scope):
    one = meter(Sum("v"))
    year = Period(datetime(2024, 1, 1, tzinfo=UTC), datetime(2025, 1, 1, tzinfo=UTC))
    count = 366 * 24
    assert count > 3 * MAX_WINDOWS
    at = [year.start + n * 97 * HOUR for n in range(count // 97)]
    await process(clickhouse, scope, [one], [Stored('{"v":1.5}', at=each) for each in at])
    split = Split(window=Window.HOUR, zone=ZoneInfo("UTC"))
    asked = [span(period=year), span(period=MARCH), span("nobody", year)]
    found = await usage.measured(scope, clickhouse, one, asked, split=split)
    whole = found[asked[0]]
    assert [figure.window for figure in whole] == [Period(each, each + HOUR) for each in at]
    assert {figure.quantity for figure in whole} == {Decimal("1.5")}
    assert found[asked[1]] == [f for f in whole if MARCH.contains(f.window.start)]
    assert found[asked[2]] == []


def test_windows_are_counted_where_there_is_time_in_them():
    cut = all_windows(Window.DAY, NEW_YORK, MARCH)
    assert len(cut.touching([MARCH])) == 32  # March in UTC begins on 29 February in New York
    noon = T0 + 12 * HOUR
    parts = [Period(noon, noon + HOUR), Period(noon + 2 * HOUR, noon + 3 * HOUR)]
    assert len(cut.touching(parts)) == 1
    midnight = datetime(2024, 3, 5, tzinfo=NEW_YORK).astimezone(UTC)
    assert len(cut.touching([Period(midnight - MS, midnight)])) == 1
    assert len(cut.touching([Period(midnight, midnight + MS)])) == 1
    assert len(cut.touching([Period(midnight - MS, midnight + MS)])) == 2
    assert len(cut.touching([])) == 0


async def test_rows_of_a_dimension_that_is_not_kept_are_refused(clickhouse, scope):
    split = Split(rows=((Match("cloud", ("aws",)),),))
    with pytest.raises(UnknownDimension, match="keeps no dimension 'cloud'"):
        await usage.measured(scope, clickhouse, meter(), [span()], split=split)


async def test_figures_of_another_scope_are_not_there(clickhouse, scope):
    one = meter(Sum("v"), dimensions=DIMENSIONS)
    await process(clickhouse, scope, [one], [Stored('{"v":1,"cloud":"aws"}')])
    split = Split(("cloud",), ((Match("cloud", ("aws",)),),), Walk(1))
    assert len((await usage.measured(scope, clickhouse, one, [span()], split=split))[span()]) == 1
    for stranger in strangers(scope):
        found = await usage.measured(stranger, clickhouse, one, [span()], split=split)
        assert found == {span(): []}
    other = replace(one, id=new_id("mtr"))
    assert await usage.measured(scope, clickhouse, other, [span()], split=split) == {span(): []}
