"""Billing waits until what was accepted before it counts, and for nothing else."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from app.config import Settings
from app.infra.kafka import Batch, Consumer, Plan, Poison, open_producer
from app.kernel.errors import Unavailable
from app.kernel.ids import new_id
from app.metering.visibility import EventVisibility
from tests.processes import free_port

T0 = datetime(2024, 1, 1, tzinfo=UTC)


@pytest.fixture
def lanes(database: Settings, topics: Settings) -> Settings:
    """The session's settings, with groups of this test's own."""
    replace = msgspec.structs.replace
    return replace(
        topics,
        event_processing=replace(topics.event_processing, group=new_id("run")),
        event_processing_lazy=replace(topics.event_processing_lazy, group=new_id("run")),
    )


async def consume(settings: Settings, lane: Any) -> None:
    """What a lane's consumer does until it has nothing left."""
    stop, quiet = asyncio.Event(), 0.0

    async def handle(_batch: Batch) -> Sequence[Poison]:
        nonlocal quiet
        quiet = asyncio.get_running_loop().time()
        return []

    plan = Plan(
        topic=lane.topic,
        group=f"{settings.kafka.topic_prefix}{lane.group}",
        dead_letters=lane.dlq,
        max_rows=1_000,
        max_wait_seconds=0.05,
    )
    async with open_producer(settings.kafka) as producer, asyncio.TaskGroup() as group:
        consumer = Consumer(settings.kafka, plan, handler=handle, producer=producer)
        group.create_task(consumer.run(stop))
        while not quiet or asyncio.get_running_loop().time() - quiet < 1:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
        stop.set()


async def test_what_was_accepted_before_is_waited_for_and_what_comes_later_is_not(
    lanes: Settings,
) -> None:
    visibility = EventVisibility(lanes)
    first, second = lanes.event_processing, lanes.event_processing_lazy
    async with asyncio.timeout(60), open_producer(lanes.kafka) as producer:
        await producer.send(first.topic, b"{}")
        await producer.send(second.topic, b"{}")
        assert not await visibility.caught_up(T0)
        await consume(lanes, first)
        assert not await visibility.caught_up(T0)
        await consume(lanes, second)
        for _ in range(20):
            await producer.send(first.topic, b"{}")
        assert await visibility.caught_up(T0)
        assert not await visibility.caught_up(T0 + timedelta(seconds=1))


async def test_a_broker_that_is_away_is_unavailable(lanes: Settings) -> None:
    kafka = msgspec.structs.replace(
        lanes.kafka, brokers=[f"127.0.0.1:{free_port()}"], ack_seconds=1.0
    )
    with pytest.raises(Unavailable) as refusal:
        await EventVisibility(msgspec.structs.replace(lanes, kafka=kafka)).caught_up(T0)
    assert refusal.value.what == "Kafka"
