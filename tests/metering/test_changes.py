"""Which figures may differ between two watermarks: none that does is left out."""

from datetime import datetime, timedelta

import pytest

from app.infra.kafka import open_producer
from app.kernel.copies import replace
from app.kernel.period import Period
from app.kernel.scope import SYSTEM
from app.metering import actions, changes, usage
from app.metering.aggregations import Sum
from app.metering.consumer import EventStore
from app.metering.meter import CreateMeter
from app.metering.usage import Span
from tests.metering.correcting import Op, batch, content
from tests.metering.make import T0, strangers
from tests.metering.streams import own_topics

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
W = T0 + 60 * DAY


@pytest.fixture
async def store(database, settings, clickhouse, clock):
    own = await own_topics(settings)
    async with open_producer(own.kafka) as producer:
        yield EventStore(clickhouse, producer, clock=clock)


@pytest.fixture
async def meter(database, scope, clickhouse):
    command = CreateMeter(name="V", event_name="call", aggregation=Sum("v"))
    made = await actions.create(scope, command, by=SYSTEM, at=T0)
    return await actions.backfill(scope, clickhouse, made.id, at=T0)


def day(start: datetime) -> Period:
    return Period(start, start + DAY)


@pytest.mark.parametrize("raw", [False, True])
async def test_late_and_corrected_events_make_their_cells_dirty_where_they_were_and_are(
    store, scope, clickhouse, meter, raw
):
    ops = [
        Op("sent", "still", W - MINUTE, content(external_customer_id="quiet")),
        Op("sent", "moved", W - MINUTE, content(external_customer_id="a")),
        Op("sent", "gone", W - MINUTE, content(external_customer_id="c", timestamp=T0 + DAY)),
        Op("sent", "late", W, content(external_customer_id="d", timestamp=T0 + 2 * DAY)),
        Op("amended", "moved", W + MINUTE, {"external_customer_id": "b"}, 1),
        Op("voided", "gone", W + 2 * MINUTE, {}, 2),
        Op("sent", "later", W + 3 * MINUTE, content(external_customer_id="e")),
        Op("sent", "other", W, content(external_customer_id="a", event_name="sms")),
    ]
    await store.handle(batch(scope, *ops))
    one = replace(meter, backfilled_at=None) if raw else meter
    until = W + 3 * MINUTE

    async def dirty(at=scope, **bounds):
        found = await changes.between(
            at, clickhouse, [one], **{"since": W, "until": until, **bounds}
        )
        assert {cell.meter_id for cell in found} <= {meter.id}
        return [(cell.external_customer_id, cell.period) for cell in found]

    # From the first watermark on, until before the second, as figures count.
    assert await dirty() == [
        ("a", day(T0)),
        ("b", day(T0)),
        ("c", day(T0 + DAY)),
        ("d", day(T0 + 2 * DAY)),
    ]
    march = Period(T0, datetime(2024, 4, 1, tzinfo=T0.tzinfo))
    assert await dirty(by="month") == [(customer, march) for customer in "abcd"]
    assert await dirty(since=until, until=until + MINUTE) == [("e", day(T0))]
    assert await dirty(since=W, until=W) == []
    for stranger in strangers(scope):
        assert await dirty(at=stranger) == []
    assert await changes.between(scope, clickhouse, [], since=W, until=until) == []
    # Every figure that differs lies in one of the cells.
    cells = set(await dirty())
    for customer in ("a", "b", "c", "d", "e", "quiet"):
        for start in (T0, T0 + DAY, T0 + 2 * DAY):
            asked = Span(customer, day(start))
            before = await usage.totals(scope, clickhouse, one, [asked], as_of=W)
            after = await usage.totals(scope, clickhouse, one, [asked], as_of=until)
            assert (before != after) == ((customer, day(start)) in cells)
