"""What a watermark promises, through the broker, whatever the clocks of the senders say."""

import asyncio
import random
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from app.config import EventProcessing
from app.infra.kafka import open_producer
from app.infra.postgres import system
from app.kernel.copies import replace
from app.kernel.errors import Unavailable
from app.kernel.period import Period
from app.kernel.scope import SYSTEM
from app.metering import actions, usage, watermarks
from app.metering.aggregations import Count
from app.metering.consumer import EventStore, consume_events
from app.metering.ingest import ingest
from app.metering.meter import CreateMeter
from app.metering.usage import Span
from app.metering.visibility import EventVisibility
from app.metering.watermarks import InForce
from tests.metering.streams import event, own_topics, submitted, until

JUNE = Period(datetime(2024, 6, 1, tzinfo=UTC), datetime(2024, 7, 1, tzinfo=UTC))
SKEW = timedelta(hours=1)
T = datetime(2024, 6, 1, tzinfo=UTC)
MS = timedelta(milliseconds=1)


@pytest.fixture
async def own(database, settings):
    made = await own_topics(settings, partitions=4)
    lane = EventProcessing(group="watermarked", max_rows=40, max_wait_ms=30)
    off = msgspec.structs.replace(made.event_processing_lazy, enabled=False)
    return msgspec.structs.replace(made, event_processing=lane, event_processing_lazy=off)


@pytest.fixture
async def producer(own):
    async with open_producer(own.kafka) as producer:
        yield producer


@pytest.fixture
async def meter(database, scope, clickhouse):
    command = CreateMeter(name="N", event_name="request", aggregation=Count())
    made = await actions.create(scope, command, by=SYSTEM, at=T)
    return await actions.backfill(scope, clickhouse, made.id, at=T)


@asynccontextmanager
async def consuming(own, clickhouse, producer, clock):
    store, stop = EventStore(clickhouse, producer, clock=clock), asyncio.Event()
    lane = own.event_processing
    task = asyncio.create_task(consume_events(own, lane, store=store, producer=producer, stop=stop))
    try:
        yield
    finally:
        stop.set()
        await task


async def counted(scope, clickhouse, meter, as_of):
    asked = Span("acme", JUNE)
    return (await usage.totals(scope, clickhouse, meter, [asked], as_of=as_of))[asked].event_count


@pytest.mark.parametrize("lagging", [False, True])
async def test_a_watermark_cuts_the_log_whatever_the_clocks_of_senders_say(
    own, scope, clickhouse, producer, clock, meter, lagging
):
    """Senders an hour slow, right and an hour fast; consumers ahead of the watermark or behind."""
    chance = random.Random(3)  # noqa: S311 - the same senders every time
    visibility = EventVisibility(own)
    expected = {}

    async def send(numbers):
        for number in numbers:
            at = datetime.now(UTC) + chance.choice([-SKEW, timedelta(), SKEW])
            await ingest(own, producer, scope, submitted([event(number)]), at=at)

    async def rounds():
        for turn in range(4):
            await send(range(turn * 12, turn * 12 + 12))
            expected[await visibility.take()] = turn * 12 + 12
        await send(range(48, 55))

    if lagging:
        await rounds()
    async with consuming(own, clickhouse, producer, clock):
        if not lagging:
            await rounds()
        for taken in expected:
            await until(lambda at=taken: visibility.caught_up(at), 60)
        first = {at: await counted(scope, clickhouse, meter, at) for at in expected}
        assert first == expected
        assert list(expected) == sorted(expected)
        # What comes later, however it is stamped, changes none of them.
        await send(range(55, 70))
        now = await visibility.take()
        await until(lambda: visibility.caught_up(now), 60)
        assert {at: await counted(scope, clickhouse, meter, at) for at in expected} == expected
        assert await counted(scope, clickhouse, meter, now) == 70


async def test_events_sent_while_a_watermark_is_taken_lie_on_one_side_for_good(
    own, scope, clickhouse, producer, clock, meter
):
    visibility = EventVisibility(own)

    async def send(first):
        for number in range(first, first + 20):
            at = datetime.now(UTC) + SKEW
            await ingest(own, producer, scope, submitted([event(number)]), at=at)

    async with consuming(own, clickhouse, producer, clock):
        await send(0)
        *_, one, two = await asyncio.gather(
            send(100), send(200), visibility.take(), visibility.take()
        )
        await until(lambda: visibility.caught_up(max(one, two)), 60)
        before = [await counted(scope, clickhouse, meter, at) for at in (one, two)]
        assert all(20 <= count <= 60 for count in before)
        await send(300)
        last = await visibility.take()
        await until(lambda: visibility.caught_up(last), 60)
        assert [await counted(scope, clickhouse, meter, at) for at in (one, two)] == before
        assert await counted(scope, clickhouse, meter, last) == 80


async def test_an_instant_that_nobody_took_stays_as_it_was_once_it_is_caught_up(
    own, scope, clickhouse, producer, clock, meter
):
    visibility = EventVisibility(own)
    async with consuming(own, clickhouse, producer, clock):
        await ingest(own, producer, scope, submitted([event(1)]), at=datetime.now(UTC))
        instant = datetime.now(UTC) + timedelta(milliseconds=5)
        await asyncio.sleep(0.05)
        await until(lambda: visibility.caught_up(instant), 60)
        assert await counted(scope, clickhouse, meter, instant) == 1
        slow = datetime.now(UTC) - SKEW
        await ingest(own, producer, scope, submitted([event(2)]), at=slow)
        last = await visibility.take()
        await until(lambda: visibility.caught_up(last), 60)
        assert await counted(scope, clickhouse, meter, instant) == 1
        assert await counted(scope, clickhouse, meter, last) == 2
    assert not await visibility.caught_up(datetime.now(UTC) + SKEW)


async def test_consumers_wait_while_one_is_taken_and_not_for_one_who_died(own, monkeypatch):
    topics = [own.kafka.topic_prefix + "events"]
    begun = await watermarks.begin(topics)
    waiting = asyncio.create_task(watermarks.in_force(topics[0]))
    await asyncio.sleep(0.2)
    assert not waiting.done()
    at = await watermarks.finish(begun, {topics[0]: {0: 7, 1: 0}})
    known = await waiting
    assert [(one, list(ends)) for one, ends in known.ahead] == [(at, [7, 0])]
    # Whoever dies in the middle is swept away, and can no longer finish.
    monkeypatch.setattr(watermarks, "TAKING_SECONDS", 0.2)
    died = await watermarks.begin(topics)
    async with asyncio.timeout(10):
        assert (await watermarks.in_force(topics[0])).ahead == known.ahead
    with pytest.raises(Unavailable, match="could not be taken"):
        await watermarks.finish(died, {topics[0]: {0: 9, 1: 0}})


async def test_a_log_that_begins_anew_is_not_held_to_the_places_of_the_old_one(own):
    topic = own.kafka.topic_prefix + "events"
    old = await watermarks.finish(await watermarks.begin([topic]), {topic: {0: 1000}})
    new = await watermarks.finish(await watermarks.begin([topic]), {topic: {0: 3}})
    known = await watermarks.in_force(topic)
    assert (known.passed, [at for at, _ in known.ahead]) == (old, [new])
    assert new > old
    async with system() as connection:
        rows = await connection.fetch(
            "SELECT at FROM usage_watermarks WHERE topic = $1 AND passed", topic
        )
    assert [row["at"] for row in rows] == [old]


def test_stamps_fit_the_watermarks_around_their_place():
    known = InForce(T + 10 * MS, T, [(T + 2 * MS, [5, 0]), (T + 6 * MS, [8, 4])])
    cases = {
        (0, 4): (0, 1),  # before the ends of both
        (0, 5): (2, 5),  # between them
        (0, 8): (6, 10),  # behind both, until the present
        (1, 0): (2, 5),
        (1, 4): (6, 10),
        (2, 0): (6, 10),  # a partition that is newer than both
    }
    for (partition, offset), (first, last) in cases.items():
        bounds = known.bounds(partition, offset)
        for stamp, expected in ((-3600_000, first), (3600_000, last), (first, first), (last, last)):
            text = (T + stamp * MS).isoformat(" ", "milliseconds")[:23]
            assert bounds.fit(text) == (T + expected * MS).isoformat(" ", "milliseconds")[:23]
    free = replace(known, passed=None, ahead=[]).bounds(0, 0)
    assert free.fit("2000-01-01 00:00:00.000") == "2000-01-01 00:00:00.000"
