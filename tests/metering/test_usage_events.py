"""The events behind a figure: as many as it counts, and what they add comes to its quantity."""

from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st

from app.kernel.copies import replace
from app.kernel.errors import Invalid
from app.kernel.ids import new_id
from app.kernel.listing import PageRequest
from app.kernel.period import Period
from app.kernel.scope import Scope
from app.metering import usage, usage_events
from app.metering.aggregations import Count, CountUnique, Sum
from app.metering.errors import UnknownDimension
from app.metering.fields import read_fields
from app.metering.usage import Span
from tests.metering.make import MARCH, T0, Stored, meter, process, span, strangers

HOUR = timedelta(hours=1)


async def everything(clickhouse, scope, one, spans, *, size=3, backwards=False, **question):
    """All rows, page by page."""
    found, cursor = [], None
    while True:
        asked = {"last": size, "before": cursor} if backwards else {"first": size, "after": cursor}
        request = PageRequest(**asked, with_total=True)
        page = await usage_events.page(scope, clickhouse, one, spans, request=request, **question)
        found = page.rows + found if backwards else found + page.rows
        if not (page.has_previous if backwards else page.has_next):
            assert page.total == len(found)
            return found
        cursor = page.cursors[0] if backwards else page.cursors[-1]


TEXTS = [f'{{"v":{value},"r":"{region}"}}' for value in (1, 2.5, '"x"') for region in ("eu", "us")]
EVENTS = st.lists(
    st.builds(
        Stored,
        st.sampled_from([*TEXTS, '{"v":1}', "{}"]),
        at=st.integers(-2, 6).map(lambda n: T0 + n * HOUR),
        customer=st.sampled_from(["a", "b"]),
    ),
    max_size=12,
)


@hypothesis(
    deadline=None,
    max_examples=20,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(EVENTS, st.sampled_from([Count(), Sum("v"), CountUnique("v")]), st.booleans())
async def test_the_events_of_a_figure_are_those_it_counts(clickhouse, drawn, aggregation, raw):
    scope = Scope(new_id("ten"), new_id("env"))
    one = meter(aggregation, dimensions=("r",), backfilled_at=None if raw else T0)
    sent = [replace(event, event_id=f"{n % 5}-{n}") for n, event in enumerate(drawn)]
    await process(clickhouse, scope, [one], [*sent, *sent[:3]])
    asked = Span("a", Period(T0, T0 + 5 * HOUR), gaps=(Period(T0 + 2 * HOUR, T0 + 3 * HOUR),))
    figure = (await usage.totals(scope, clickhouse, one, [asked]))[asked]
    found = await everything(clickhouse, scope, one, [asked])
    assert found == await everything(clickhouse, scope, one, [asked], backwards=True)
    assert len(found) == figure.event_count
    assert sum((row.quantity for row in found), Decimal(0)) == figure.quantity
    counted = [
        (event.at, event.event_id, row)
        for event in sent
        if event.customer == "a"
        and any(part.contains(event.at) for part in asked.period.without(asked.gaps))
        and (row := one.counted(read_fields(event.properties))) is not None
    ]
    counted.sort(key=lambda row: row[:2])
    contributions = aggregation.contributions([row for *_, row in counted])
    assert [(row.timestamp, row.event_id, row.quantity) for row in found] == [
        (at, event_id, quantity)
        for (at, event_id, _), quantity in zip(counted, contributions, strict=True)
    ]


async def test_the_events_of_a_group_are_those_with_its_values(clickhouse, scope):
    one = meter(Sum("v"), dimensions=("r", "p"))
    texts = ['{"v":1,"r":"eu","p":"x"}', '{"v":2,"r":"eu"}', '{"v":4,"r":null}', '{"v":8}']
    events = [Stored(text, event_id=f"e{n}") for n, text in enumerate(texts)]
    await process(clickhouse, scope, [one], events)
    for group, expected in (
        ({"r": "eu"}, ["e0", "e1"]),
        ({"r": None}, ["e2", "e3"]),
        ({"r": "eu", "p": None}, ["e1"]),
        ({"r": "us"}, []),
        ({}, ["e0", "e1", "e2", "e3"]),
    ):
        found = await everything(clickhouse, scope, one, [span()], group=group)
        assert [row.event_id for row in found] == expected
    with pytest.raises(UnknownDimension) as refusal:
        await everything(clickhouse, scope, one, [span()], group={"v": "1"})
    assert refusal.value.field == "group"


async def test_several_spans_are_one_figure(clickhouse, scope):
    """A value that two customers share is one, and the first of them adds it."""
    one = meter(CountUnique("v"))
    events = [
        Stored('{"v":1}', event_id="b1", customer="b", at=T0 + HOUR),
        Stored('{"v":1}', event_id="a1", customer="a", at=T0 + 2 * HOUR),
        Stored('{"v":2}', event_id="a2", customer="a", at=T0 + 3 * HOUR),
        Stored('{"v":3}', event_id="c1", customer="c", at=T0 + 3 * HOUR),
    ]
    await process(clickhouse, scope, [one], events)
    found = await everything(clickhouse, scope, one, [span("a"), span("b")])
    assert [(row.event_id, row.external_customer_id, row.quantity) for row in found] == [
        ("b1", "b", 1),
        ("a1", "a", 0),
        ("a2", "a", 1),
    ]


async def test_nothing_and_strangers_have_no_events(clickhouse, scope):
    one = meter()
    await process(clickhouse, scope, [one], [Stored()])
    assert await everything(clickhouse, scope, one, []) == []
    assert await everything(clickhouse, scope, one, [span(period=Period(T0, T0))]) == []
    for stranger in strangers(scope):
        assert await everything(clickhouse, stranger, one, [Span("acme", MARCH)]) == []
    request = PageRequest(first=1, after="x")
    with pytest.raises(Invalid, match="not a cursor"):
        await usage_events.page(scope, clickhouse, one, [span()], request=request)
