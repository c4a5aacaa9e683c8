"""Topics of a test's own, and events to put into them."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer

from app.config import Settings
from app.infra.kafka import Batch, Consumer, Message, Plan, Poison, ensure_topics
from app.infra.kafka.connection import client_options, full_name
from app.infra.kafka.ends import seek_ends
from app.metering.event import Limits, SubmittedEvent, decode_bulk

AT = datetime(2024, 6, 15, 12, tzinfo=UTC)


async def own_topics(settings: Settings, *, partitions: int = 2) -> Settings:
    """The same settings with topics that nothing else in the session uses."""
    kafka = msgspec.structs.replace(
        settings.kafka,
        topic_prefix=f"{settings.kafka.topic_prefix}{secrets.token_hex(4)}_",
        partitions=partitions,
    )
    own = msgspec.structs.replace(settings, kafka=kafka)
    await ensure_topics(own)
    return own


def plan(settings: Settings, **changes: Any) -> Plan:
    values: dict[str, Any] = {
        "topic": "events",
        "group": f"{settings.kafka.topic_prefix}readers",
        "dead_letters": "events_dlq",
        "max_rows": 1000,
        "max_wait_seconds": 0.05,
    }
    return Plan(**{**values, **changes})


@asynccontextmanager
async def consuming(consumer: Consumer) -> AsyncIterator[asyncio.Task[None]]:
    """The consumer runs while the block lasts, and is stopped the orderly way after it."""
    stop = asyncio.Event()
    task = asyncio.create_task(consumer.run(stop))
    try:
        yield task
    finally:
        stop.set()
        async with asyncio.timeout(30):
            await task


class Seen:
    """A handler that remembers the messages it was given."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []
        self.values: list[bytes] = []

    async def __call__(self, batch: Batch) -> Sequence[Poison]:
        self.batches.append(batch)
        self.values += [message.value for message in batch.messages]
        return []


async def until(condition: Callable[[], Any], seconds: float = 20.0) -> None:
    """Wait for the condition, which may be a coroutine function; fail when it does not come."""
    async with asyncio.timeout(seconds):
        while True:
            found = condition()
            if asyncio.iscoroutine(found):
                found = await found
            if found:
                return
            await asyncio.sleep(0.05)


async def read_all(settings: Settings, topic: str) -> list[Message]:
    """Every message that a topic holds now, in order within each partition."""
    client = AIOKafkaConsumer(
        full_name(settings.kafka, topic),
        group_id=None,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        fetch_max_wait_ms=50,
        **client_options(settings.kafka),
    )
    found: list[Message] = []
    try:
        await client.start()
        ends = await seek_ends(client, list(client.assignment()))
        for partition, (start, end) in ends.items():
            client.seek(partition, start)
            while await client.position(partition) < end:
                for records in (await client.getmany(partition, timeout_ms=200)).values():
                    found += [_message(topic, record) for record in records]
    finally:
        await client.stop()
    return found


def _message(topic: str, record: Any) -> Message:
    headers = dict(record.headers)
    where = (record.partition, record.offset)
    return Message(topic, *where, record.value, headers, record.timestamp)


def event(number: int = 0, **changes: Any) -> dict[str, Any]:
    values = {
        "event_id": f"e{number}",
        "event_name": "request",
        "external_customer_id": "acme",
        "timestamp": "2024-06-01T00:00:00.123Z",
        "source": "test",
        "properties": {"tokens": number},
    }
    return {**values, **changes}


def submitted(events: Sequence[Mapping[str, Any]]) -> Sequence[SubmittedEvent]:
    """Events as the door decodes them; all must be right."""
    limits = Limits(
        max_events=1_000_000,
        max_properties_bytes=65_536,
        latest=AT,
        oldest=datetime(2000, 1, 1, tzinfo=UTC),
    )
    decoded = decode_bulk(msgspec.json.encode({"events": list(events)}), limits)
    assert decoded.faults == []
    return decoded.events
