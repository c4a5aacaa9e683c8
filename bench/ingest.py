"""Events in: accepted over HTTP, and visible in ClickHouse, by the real processes.

Floors, in the same run: handing the same rows to the same broker with aiokafka alone, and
inserting the same rows into the same table with HTTP alone. Both are done as well as by hand
they can be: whole envelopes, whole blocks, nothing decoded and nothing looked up.
"""

import asyncio
import random
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

import aiohttp
import msgspec
import orjson
from aiokafka import AIOKafkaProducer
from msgspec import Struct

from app.config import Settings
from app.infra.clickhouse import ClickHouse, open_clickhouse
from app.infra.kafka import POST_PROCESSING
from app.infra.kafka.connection import client_options, full_name
from app.infra.postgres import postgres
from app.kernel.clock import SystemClock
from app.kernel.ids import new_id
from app.kernel.scope import SYSTEM, Scope
from app.metering import actions as meters
from app.metering.aggregations import Sum
from app.metering.event import Limits, decode_bulk
from app.metering.ingest import envelopes
from app.metering.meter import CreateMeter
from app.tenants.actions import api_keys, tenants
from app.tenants.commands import CreateApiKey, CreateTenant
from bench.result import Result
from tests.processes import Processes

SEED = 20_240_615
ROUNDS = 3
EVENTS = 100_000  # in a round
BULK = 1_000
CONNECTIONS = 8
_PATIENCE_SECONDS = 120.0


@dataclass
class Rounds:
    """Events per second, one entry for each round."""

    accepted: list[float] = field(default_factory=list)
    visible: list[float] = field(default_factory=list)
    produced: list[float] = field(default_factory=list)
    produced_singly: list[float] = field(default_factory=list)
    inserted: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Place:
    """Where events go: an environment with a key, and a meter that counts them."""

    scope: Scope
    key: str
    meter_id: str


class _Count(Struct, array_like=True):
    value: int


async def run(settings: Settings) -> Sequence[Result]:
    """Needs every server; starts an API and a consumer as processes of their own."""
    async with postgres(settings.postgres), open_clickhouse(settings.clickhouse) as clickhouse:
        place = await _place()
        with tempfile.TemporaryDirectory() as directory:
            processes = Processes(settings, Path(directory))
            try:
                api, _ = await asyncio.gather(
                    processes.start_mode("api"), processes.start_mode("consumer")
                )
                rounds = await _measure(settings, clickhouse, place, api.url)
            finally:
                await processes.close()
    return _results(rounds)


async def _measure(settings: Settings, clickhouse: ClickHouse, place: Place, url: str) -> Rounds:
    rounds, chance = Rounds(), random.Random(SEED)  # noqa: S311 - the same events every time
    topic = full_name(settings.kafka, POST_PROCESSING)
    async with _producer(settings) as producer, aiohttp.ClientSession() as session:
        await _send(session, url, place, _bodies(chance, BULK))  # warms everything up
        await _counted(clickhouse, place, BULK)
        for number in range(1, ROUNDS + 1):
            bodies = _bodies(chance, EVENTS)
            shares = _shares(bodies, settings.kafka.partitions)
            rounds.produced.append(await _produce(producer, topic, shares))
            rounds.produced_singly.append(await _produce_singly(producer, topic, shares))
            rounds.inserted.append(await _insert(clickhouse, shares))
            started = time.perf_counter()
            await _send(session, url, place, bodies)
            rounds.accepted.append(EVENTS / (time.perf_counter() - started))
            await _counted(clickhouse, place, BULK + number * EVENTS)
            rounds.visible.append(EVENTS / (time.perf_counter() - started))
    return rounds


def _results(rounds: Rounds) -> list[Result]:
    def result(name: str, what: str, value: list[float], floor: list[float], is_: str) -> Result:
        return Result(
            name=f"ingest.{name}",
            what=what,
            value=median(value),
            unit="events/s",
            floor=median(floor),
            floor_is=is_,
            seed=SEED,
        )

    accepted = f"accepted over HTTP, {BULK} a request, {CONNECTIONS} connections"
    return [
        result(
            "accepted",
            accepted,
            rounds.accepted,
            rounds.produced,
            "aiokafka, the same envelopes",
        ),
        result(
            "accepted_singly",
            accepted,
            rounds.accepted,
            rounds.produced_singly,
            "aiokafka, a message for each event",
        ),
        result(
            "visible",
            "from the first request until all are metered",
            rounds.visible,
            rounds.inserted,
            "ClickHouse, one insert of the same rows",
        ),
    ]


async def _place() -> Place:
    clock = SystemClock()
    made = await tenants.create(CreateTenant(name="Bench"), by=SYSTEM, at=clock.now())
    scope = Scope(made.tenant.id, made.production.id)
    command = CreateApiKey(name="bench", permissions=("event:write",))
    holding = frozenset(command.permissions)
    key = await api_keys.create(scope, command, holding=holding, by=SYSTEM, at=clock.now())
    meter = await meters.create(
        scope,
        CreateMeter(name="Tokens", event_name="completion", aggregation=Sum("tokens")),
        by=SYSTEM,
        at=clock.now(),
    )
    return Place(scope, str(key.secret.text), meter.id)


def _bodies(chance: random.Random, count: int) -> list[bytes]:
    """Requests of `BULK` events each, of 250 bytes or so, over the last two days."""
    now = datetime.now(UTC)
    return [
        orjson.dumps({"events": [_event(chance, now) for _ in range(BULK)]})
        for _ in range(count // BULK)
    ]


def _event(chance: random.Random, now: datetime) -> dict[str, Any]:
    at = now - timedelta(seconds=chance.randrange(2 * 86_400))
    return {
        "event_id": new_id("evt"),
        "event_name": "completion",
        "external_customer_id": f"customer-{chance.randrange(500):04}",
        "timestamp": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "source": "bench",
        "properties": {
            "model": chance.choice(("small", "large")),
            "region": chance.choice(("eu-west-1", "us-east-1", "ap-south-1")),
            "tokens": chance.randrange(4_000),
        },
    }


async def _send(
    session: aiohttp.ClientSession, url: str, place: Place, bodies: Sequence[bytes]
) -> None:
    waiting = iter(bodies)
    headers = {"x-api-key": place.key, "content-type": "application/json"}

    async def connection() -> None:
        for body in waiting:
            async with session.post(f"{url}/v1/events/bulk", data=body, headers=headers) as answer:
                assert answer.status == 202, await answer.text()
                await answer.read()

    await asyncio.gather(*(connection() for _ in range(CONNECTIONS)))


async def _counted(clickhouse: ClickHouse, place: Place, count: int) -> None:
    """Wait until so many events are metered."""
    sql = "SELECT count() FROM processed_events WHERE meter_id = {meter:String}"
    async with asyncio.timeout(_PATIENCE_SECONDS):
        while True:
            [row] = await clickhouse.select(sql, {"meter": place.meter_id}, row=_Count)
            if row.value >= count:
                return
            await asyncio.sleep(0.05)


def _shares(bodies: Sequence[bytes], partitions: int) -> list[dict[int, bytes]]:
    """What the API makes of the requests, for a scope that nothing else uses."""
    scope, now = Scope(new_id("ten"), new_id("env")), datetime.now(UTC)
    limits = Limits(
        max_events=BULK,
        max_properties_bytes=65_536,
        latest=now + timedelta(hours=1),
        oldest=now - timedelta(days=10),
    )
    return [
        dict(envelopes(scope, decode_bulk(body, limits).events, partitions=partitions, at=now)[1])
        for body in bodies
    ]


def _producer(settings: Settings) -> AIOKafkaProducer:
    kafka = settings.kafka
    return AIOKafkaProducer(
        **client_options(kafka),
        acks="all",
        enable_idempotence=kafka.idempotent,
        linger_ms=kafka.linger_ms,
        max_batch_size=kafka.max_batch_bytes,
        compression_type=None if kafka.compression == "none" else kafka.compression,
    )


async def _produce(
    producer: AIOKafkaProducer, topic: str, shares: Sequence[dict[int, bytes]]
) -> float:
    """Envelopes, as many requests' worth at once as the API has connections."""
    waiting, started = iter(shares), time.perf_counter()

    async def connection() -> None:
        for share in waiting:
            futures = [
                await producer.send(topic, value, partition=partition)
                for partition, value in share.items()
            ]
            await asyncio.gather(*futures)

    await asyncio.gather(*(connection() for _ in range(CONNECTIONS)))
    return EVENTS / (time.perf_counter() - started)


async def _produce_singly(
    producer: AIOKafkaProducer, topic: str, shares: Sequence[dict[int, bytes]]
) -> float:
    """A message for each event, acknowledged a thousand at a time."""
    rows = [
        [(partition, row) for partition, value in share.items() for row in value.splitlines()]
        for share in shares
    ]
    waiting, started = iter(rows), time.perf_counter()

    async def connection() -> None:
        for request in waiting:
            futures = [
                await producer.send(topic, value, partition=partition)
                for partition, value in request
            ]
            await asyncio.gather(*futures)

    await asyncio.gather(*(connection() for _ in range(CONNECTIONS)))
    return EVENTS / (time.perf_counter() - started)


async def _insert(clickhouse: ClickHouse, shares: Sequence[dict[int, bytes]]) -> float:
    """The rows as they end up in the table, in one insert."""
    parts: list[bytes] = []
    for share in shares:
        for value in share.values():
            for row in value.splitlines():
                fields = bytes(_properties.decode(row).properties)
                parts.append(row[:-1] + b',"fields":' + fields + b',"batch":"floor"}\n')
    body = b"".join(parts)
    started = time.perf_counter()
    await clickhouse.insert("events", body)
    return EVENTS / (time.perf_counter() - started)


class _Properties(Struct):
    properties: msgspec.Raw


_properties = msgspec.json.Decoder(_Properties)
