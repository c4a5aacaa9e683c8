"""Events from the broker's log to the store, counted once whatever happens on the way."""

import asyncio
import os
import random
import sys
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from msgspec import Struct

from app.config import EventProcessing
from app.infra.kafka import Batch, Message, lag, open_producer
from app.kernel.errors import Unavailable
from app.kernel.ids import new_id
from app.kernel.period import Period
from app.kernel.scope import SYSTEM, Scope
from app.metering import actions, event_versions, ingest, storage, usage
from app.metering.aggregations import Sum
from app.metering.consumer import EventStore, consume_events
from app.metering.meter import CreateMeter
from app.metering.usage import Span
from app.metering.usage_updates import UsageHint, usage_hints
from tests.metering.correcting import Op, line
from tests.metering.streams import AT, event, own_topics, read_all, submitted, until

JUNE = Period(datetime(2024, 6, 1, tzinfo=UTC), datetime(2024, 7, 1, tzinfo=UTC))


class StoredRow(Struct, array_like=True):
    event_id: str
    event_name: str
    external_customer_id: str
    timestamp: str
    source: str
    properties: str
    tokens: str | None


@pytest.fixture
async def own(database, settings):
    return await own_topics(settings)


@pytest.fixture
async def producer(own):
    async with open_producer(own.kafka) as producer:
        yield producer


@pytest.fixture
def store(clickhouse, producer, clock):
    return EventStore(clickhouse, producer, clock=clock)


@pytest.fixture
async def meter(scope, clickhouse, clock):
    command = CreateMeter(name="Tokens", event_name="request", aggregation=Sum("tokens"))
    meter = await actions.create(scope, command, by=SYSTEM, at=clock.now())
    return await actions.backfill(scope, clickhouse, meter.id, at=clock.now())


def batch(scope, events, *, offset=0, partition=0):
    """What a consumer reads when these events were submitted in one request."""
    _, shares = ingest.envelopes(scope, submitted(events), partitions=1, at=AT)
    headers = {"tenant_id": scope.tenant_id.encode()}
    stamp = int(AT.timestamp() * 1000)
    return Batch("events", [Message("events", partition, offset, shares[0], headers, stamp)])


def joined(*batches):
    return Batch("events", [message for batch in batches for message in batch.messages])


async def stored(clickhouse, scope):
    return await clickhouse.select(
        "SELECT event_id, event_name, external_customer_id, toString(timestamp), source, "
        "properties, fields['tokens'] FROM events FINAL WHERE tenant_id = {t:String} AND "
        "environment_id = {e:String} ORDER BY length(event_id), event_id",
        {"t": scope.tenant_id, "e": scope.environment_id},
        row=StoredRow,
    )


async def ids(clickhouse, scope):
    return [row.event_id for row in await stored(clickhouse, scope)]


async def total(clickhouse, scope, meter, customer="acme"):
    span = Span(customer, JUNE)
    return (await usage.totals(scope, clickhouse, meter, [span]))[span]


async def test_an_event_is_stored_as_it_was_sent(store, clickhouse, scope):
    sent = event(7, properties={"tokens": 7, "nested": {"a": [1, "zwölf"]}, "text": 'a "b"\\c'})
    assert await store.handle(batch(scope, [sent])) == []
    (row,) = await stored(clickhouse, scope)
    assert row.properties == msgspec.json.encode(sent["properties"]).decode()
    assert (row.event_id, row.event_name, row.external_customer_id, row.timestamp) == (
        "e7",
        "request",
        "acme",
        "2024-06-01 00:00:00.123",
    )
    assert (row.source, row.tokens) == ("test", "7")


async def test_stored_events_are_metered(store, clickhouse, scope, meter):
    await store.handle(batch(scope, [event(number) for number in range(1, 11)]))
    found = await total(clickhouse, scope, meter)
    assert (found.quantity, found.event_count) == (Decimal(55), 10)


async def test_long_decimals_reach_the_meter_with_every_digit(store, clickhouse, scope, meter):
    body = b'{"events":[{"event_id":"x","event_name":"request","external_customer_id":"acme",'
    body += b'"timestamp":"2024-06-01T00:00:00Z","properties":{"tokens":0.100000000000000001}}]}'
    from_wire = msgspec.json.decode(body, type=dict[str, list[dict[str, msgspec.Raw]]])
    await store.handle(batch(scope, from_wire["events"]))
    assert (await total(clickhouse, scope, meter)).quantity == Decimal("0.100000000000000001")


async def test_the_same_batch_twice_is_counted_once(store, clickhouse, scope, meter):
    read = batch(scope, [event(number) for number in range(1, 5)])
    await store.handle(read)
    await store.handle(read)
    fresh_process = EventStore(clickhouse, store._producer, clock=store._clock)
    await fresh_process.handle(read)
    assert await ids(clickhouse, scope) == ["e1", "e2", "e3", "e4"]
    found = await total(clickhouse, scope, meter)
    assert (found.quantity, found.event_count) == (Decimal(10), 4)


async def test_the_first_copy_wins_whatever_a_later_one_says(store, clickhouse, scope, meter):
    later = event(1, timestamp="2024-06-09T00:00:00Z", properties={"tokens": 900})
    elsewhere = event(1, external_customer_id="globex", event_name="other")
    await store.handle(joined(batch(scope, [event(1)]), batch(scope, [later], offset=1)))
    await store.handle(batch(scope, [later, elsewhere], offset=2))
    await EventStore(clickhouse, store._producer, clock=store._clock).handle(
        batch(scope, [elsewhere], offset=3)
    )
    (row,) = await stored(clickhouse, scope)
    assert (row.external_customer_id, row.timestamp) == ("acme", "2024-06-01 00:00:00.123")
    assert (await total(clickhouse, scope, meter)).quantity == Decimal(1)


async def test_the_same_id_in_another_environment_is_another_event(store, clickhouse, scope):
    other = Scope(scope.tenant_id, "env_other" + scope.environment_id[-8:])
    await store.handle(joined(batch(scope, [event(1)]), batch(other, [event(1)], offset=1)))
    assert await ids(clickhouse, scope) == ["e1"]
    assert await ids(clickhouse, other) == ["e1"]


async def test_ids_that_look_like_sql_are_only_ids(store, clickhouse, scope):
    strange = ["'", "\\", "\\'", "'); DROP TABLE events; --", "ü" * 255, "{x:String}", "`"]
    sent = [event(0, event_id=text) for text in strange]
    await store.handle(batch(scope, sent))
    await EventStore(clickhouse, store._producer, clock=store._clock).handle(
        batch(scope, sent, offset=1)
    )
    assert sorted(await ids(clickhouse, scope)) == sorted(strange)


async def test_more_identities_than_fit_one_lookup_are_all_found(store, clickhouse, scope):
    sent = [event(number, event_id=f"{number:0>250}") for number in range(3000)]
    await store.handle(batch(scope, sent))
    read = batch(scope, [*sent, event(9)], offset=1)
    rows, _ = storage.read_envelope(read.messages[0].value, 0)
    assert len(await storage.stored_identities(clickhouse, rows)) == 3000
    assert len(list(storage._lookups(rows))) > 3


async def test_a_batch_across_more_months_than_one_insert_may_touch(
    store, clickhouse, scope, meter
):
    sent = [
        event(number, timestamp=f"{2000 + number // 12}-{number % 12 + 1:02}-01T00:00:00Z")
        for number in range(240)
    ]
    assert await store.handle(batch(scope, sent)) == []
    assert len(await ids(clickhouse, scope)) == 240
    span = Span("acme", Period(datetime(2000, 1, 1, tzinfo=UTC), AT))
    found = (await usage.totals(scope, clickhouse, meter, [span]))[span]
    assert found.quantity == Decimal(sum(range(240)))


async def test_lines_that_are_no_events_are_poison_and_the_others_are_stored(
    store, clickhouse, scope
):
    good = batch(scope, [event(1), event(2)]).messages[0]
    bad = [b"{", b'{"tenant_id":"t"}', b"\xff\xfe", b"[]", b"[" * 5000]
    value = b"\n".join([bad[0], *good.value.splitlines(), *bad[1:]])
    message = Message("events", 0, 0, value, good.headers, good.timestamp_ms)
    poison = await store.handle(Batch("events", [message]))
    assert [part.value for part in poison] == bad
    assert {part.reason for part in poison} == {"NOT_AN_EVENT"}
    assert await ids(clickhouse, scope) == ["e1", "e2"]


async def test_a_row_the_store_refuses_is_found_among_the_others(store, clickhouse, scope, meter):
    read = batch(scope, [event(number) for number in range(1, 41)]).messages[0]
    lines = read.value.splitlines(keepends=True)
    lines[17] = lines[17].replace(b"2024-06-01 00:00:00.123", b"not a time of this w..", 1)
    assert len(lines[17]) == len(lines[16]) - 1
    lines[17] = lines[17].replace(b"not a time of this w..", b"not a time of this wor.", 1)
    broken = Message("events", 0, 0, b"".join(lines), read.headers, read.timestamp_ms)
    (poison,) = await store.handle(Batch("events", [broken]))
    assert (poison.reason, poison.value) == ("REFUSED_BY_STORE", lines[17].strip())
    assert len(await ids(clickhouse, scope)) == 39
    found = await total(clickhouse, scope, meter)
    assert (found.quantity, found.event_count) == (Decimal(sum(range(1, 41)) - 18), 39)


async def test_a_meter_made_between_batches_counts_both(store, clickhouse, scope, clock):
    await store.handle(batch(scope, [event(1), event(2)]))
    command = CreateMeter(name="Tokens", event_name="request", aggregation=Sum("tokens"))
    meter = await actions.create(scope, command, by=SYSTEM, at=clock.now())
    await store.handle(batch(scope, [event(3)], offset=1))
    assert (await total(clickhouse, scope, meter)).quantity == Decimal(6)
    meter = await actions.backfill(scope, clickhouse, meter.id, at=clock.now())
    assert (await total(clickhouse, scope, meter)).quantity == Decimal(6)


async def test_a_failure_after_any_step_leaves_a_batch_that_can_come_again(
    clickhouse, producer, clock, scope, meter
):
    read = batch(scope, [event(number) for number in range(1, 6)])
    for failing in ("events", "processed_events", "event_ids"):
        store = EventStore(Failing(clickhouse, failing), producer, clock=clock)
        with pytest.raises(Unavailable):
            await store.handle(read)
    later = event(5, properties={"tokens": 900})
    store = EventStore(clickhouse, producer, clock=clock)
    await store.handle(joined(read, batch(scope, [later, event(6)], offset=1)))
    found = await total(clickhouse, scope, meter)
    assert (found.quantity, found.event_count) == (Decimal(21), 6)
    assert await ids(clickhouse, scope) == ["e1", "e2", "e3", "e4", "e5", "e6"]


class Failing:
    """A ClickHouse that does what it is asked, and then cannot say so, for one table."""

    def __init__(self, real, table):
        self._real, self._table = real, table

    def __getattr__(self, name):
        return getattr(self._real, name)

    async def insert(self, table, body, **options):
        await self._real.insert(table, body, **options)
        self._fail_for(table)

    async def execute(self, sql, *args, **options):
        await self._real.execute(sql, *args, **options)
        self._fail_for("processed_events" if "INTO processed_events" in sql else "")

    def _fail_for(self, table):
        if table == self._table:
            raise Unavailable("ClickHouse", "the connection broke")


async def test_stored_events_are_announced_by_customer_and_name(own, store, scope):
    async with usage_hints(own.kafka) as hints:
        sent = [event(1), event(2, external_customer_id="globex"), event(3, event_name="other")]
        await store.handle(batch(scope, sent))
        async with asyncio.timeout(10):
            hint = await anext(hints)
    assert hint == UsageHint(
        scope.tenant_id, scope.environment_id, ["acme", "globex"], ["other", "request"]
    )


async def test_a_client_that_repeats_and_shuffles_changes_nothing(
    own, clickhouse, producer, clock, scope, meter
):
    """Through the broker: every event sent one to four times, in any order, by many requests."""
    chance = random.Random(7)  # noqa: S311 - the same shuffle every time
    events = [event(number) for number in range(400)]
    copies = [one for one in events for _ in range(chance.randint(1, 4))]
    chance.shuffle(copies)
    for start in range(0, len(copies), 50):
        part = submitted(copies[start : start + 50])
        await ingest.ingest(own, producer, scope, part, at=AT)
    plan = EventProcessing(group="once", max_rows=150, max_wait_ms=50)
    store, stop = EventStore(clickhouse, producer, clock=clock), asyncio.Event()
    task = asyncio.create_task(consume_events(own, plan, store=store, producer=producer, stop=stop))
    await until(lambda: drained(own, "once"))
    stop.set()
    await task
    found = await total(clickhouse, scope, meter)
    assert (found.quantity, found.event_count) == (Decimal(sum(range(400))), 400)
    assert len(await ids(clickhouse, scope)) == 400


async def drained(own, group):
    group = f"{own.kafka.topic_prefix}{group}"
    return not any((await lag(own.kafka, "events", group)).values())


POINTS = [
    "consumer.after_read",
    "consumer.after_lookup",
    "consumer.after_raw_insert",
    "consumer.after_derive",
    "consumer.after_ids",
    "consumer.after_hints",
    "kafka.after_commit",
]


async def test_killed_between_any_two_steps_nothing_is_lost_or_doubled(
    database, settings, clickhouse, clock, tmp_path
):
    """A consumer for every point: it dies there, and one more takes over what it left."""
    at_once = asyncio.Semaphore(4)

    async def one(point):
        async with at_once:
            await killed_at(point, settings, clickhouse, clock, tmp_path / f"{point}.json")

    await asyncio.gather(*map(one, POINTS))


async def killed_at(point, settings, clickhouse, clock, config):
    scope = Scope(new_id("ten"), new_id("env"))
    command = CreateMeter(name="Tokens", event_name="request", aggregation=Sum("tokens"))
    meter = await actions.create(scope, command, by=SYSTEM, at=clock.now())
    meter = await actions.backfill(scope, clickhouse, meter.id, at=clock.now())
    own = await own_topics(settings)
    config.write_bytes(msgspec.json.encode(own))
    async with open_producer(own.kafka) as producer:
        part = [event(number) for number in range(30)]
        await ingest.ingest(own, producer, scope, submitted(part), at=AT)
        assert await consumer_process(config, point) == 137, point
        await ingest.ingest(own, producer, scope, submitted([*part[:9], event(30)]), at=AT)
        assert await consumer_process(config, "") == 0, point
    found = await total(clickhouse, scope, meter)
    assert (found.quantity, found.event_count) == (Decimal(sum(range(31))), 31), point
    assert await ids(clickhouse, scope) == [f"e{number}" for number in range(31)], point


CORRECTION_POINTS = [
    "corrections.after_insert",
    "corrections.after_derive",
    "corrections.after_note",
]


async def test_killed_while_it_stores_corrections_none_is_lost_or_made_twice(
    database, settings, clickhouse, clock, tmp_path
):
    async def one(point):
        await killed_correcting(point, settings, clickhouse, clock, tmp_path / f"{point}.json")

    await asyncio.gather(*map(one, CORRECTION_POINTS))


async def killed_correcting(point, settings, clickhouse, clock, config):
    scope = Scope(new_id("ten"), new_id("env"))
    command = CreateMeter(name="Tokens", event_name="request", aggregation=Sum("tokens"))
    meter = await actions.create(scope, command, by=SYSTEM, at=clock.now())
    meter = await actions.backfill(scope, clickhouse, meter.id, at=clock.now())
    own = await own_topics(settings, partitions=1)
    config.write_bytes(msgspec.json.encode(own))
    ops = [
        Op("voided", "e1", AT, {}, 1),
        Op("amended", "e2", AT, {"properties": '{"tokens":20}'}, 2),
        Op("amended", "e3", AT, {"timestamp": JUNE.end}, 3),
        Op("amended", "e2", AT, {"external_customer_id": "globex"}, 4),
    ]
    async with open_producer(own.kafka) as producer:
        await ingest.ingest(own, producer, scope, submitted([event(n) for n in range(5)]), at=AT)
        lines = b"".join(line(scope, op) for op in ops)
        await producer.send_envelopes("events", {0: lines}, headers=ingest.headers_of(scope))
        assert await consumer_process(config, point) == 137, point
        assert await consumer_process(config, "") == 0, point
    assert (await total(clickhouse, scope, meter)).quantity == Decimal(4), point
    assert (await total(clickhouse, scope, meter, "globex")).quantity == Decimal(20), point
    versions = await event_versions.by_event(scope, clickhouse, ["e1", "e2", "e3"])
    assert {id_: len(each) for id_, each in versions.items()} == {"e1": 2, "e2": 3, "e3": 2}, point


async def consumer_process(config, point):
    """Run a consumer as a process until it has committed everything, or dies at the point."""
    environ = {k: v for k, v in os.environ.items() if not k.startswith("TARIFF_")}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(Path(__file__).parent / "run_consumer.py"),
        str(config),
        env={**environ, "TARIFF_CRASH_AT": point, "PYTHONPATH": str(Path.cwd())},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(60):
        output, _ = await process.communicate()
    assert process.returncode in (0, 137), output.decode()
    return process.returncode


async def test_dead_letters_of_the_lane_keep_their_scope(own, store, producer, clock, scope):
    await producer.send_envelopes(
        "events", {0: b"nonsense\n"}, headers=[("tenant_id", scope.tenant_id.encode())]
    )
    plan = EventProcessing(group="poisoned", max_wait_ms=50)
    stop = asyncio.Event()
    task = asyncio.create_task(consume_events(own, plan, store=store, producer=producer, stop=stop))
    await until(lambda: drained(own, "poisoned"))
    stop.set()
    await task
    (letter,) = await read_all(own, "events_dlq")
    assert letter.value == b"nonsense"
    assert letter.headers["tenant_id"] == scope.tenant_id.encode()
    assert letter.headers["reason"] == b"NOT_AN_EVENT"
