"""The embedded broker: what it acknowledged is there, in order, once, whatever is killed."""

import asyncio
import os
import signal
import uuid

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError

from app.infra.kafka import lag


@pytest.fixture
def brokers(stack):
    return stack.settings.kafka.brokers


async def make_topic(brokers, partitions=1):
    name = f"t{uuid.uuid4().hex}"
    admin = AIOKafkaAdminClient(bootstrap_servers=brokers)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(name, partitions, 1)])
    finally:
        await admin.close()
    return name


async def produce(brokers, topic, values):
    """Send one after another; those that were acknowledged."""
    producer = AIOKafkaProducer(
        bootstrap_servers=brokers, enable_idempotence=False, acks="all", retry_backoff_ms=50
    )
    acknowledged = []
    try:
        await producer.start()
        for value in values:
            try:
                await producer.send_and_wait(topic, value, partition=0)
            except KafkaError:
                await asyncio.sleep(0.1)
            else:
                acknowledged.append(value)
    finally:
        await producer.stop()
    return acknowledged


async def consume(brokers, topic, group=None, until=None):
    """Everything in the topic from its beginning, or from the group's last commit."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=brokers,
        group_id=group,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )
    values = []
    try:
        await consumer.start()
        # Not by subscription: joining a group takes this broker seconds.
        consumer.assign([TopicPartition(topic, 0)])
        async with asyncio.timeout(20):
            while until is None or len(values) < until:
                found = await consumer.getmany(timeout_ms=1000)
                values += [m.value for messages in found.values() for m in messages]
                if not found and until is None:
                    break
        if group:
            await consumer.commit()
    finally:
        await consumer.stop()
    return values


def first_copies(seen, acknowledged):
    """In the order seen. What the broker stored without saying so is sent again, and is there
    twice; what was never acknowledged may be there too."""
    return [value for value in dict.fromkeys(seen) if value in set(acknowledged)]


def kill(stack, name):
    os.kill(stack.pids[name], signal.SIGKILL)


def numbered(prefix, count):
    return [f"{prefix}{n}".encode() for n in range(count)]


async def test_messages_and_offsets_survive_kill_9_of_the_broker(stack, brokers):
    topic, group = await make_topic(brokers), uuid.uuid4().hex
    first, second = numbered("a", 20), numbered("b", 20)
    assert await produce(brokers, topic, first) == first
    assert await consume(brokers, topic, group, until=20) == first
    kill(stack, "kafka")
    # Nothing is read in between: the broker must find the end of its log by itself.
    assert await produce_when_back(brokers, topic, second) == second
    assert await consume(brokers, topic, group, until=20) == second
    assert await consume(brokers, topic) == first + second


async def produce_when_back(brokers, topic, values):
    async with asyncio.timeout(20):
        while True:
            try:
                return await produce(brokers, topic, values)
            except KafkaError:
                await asyncio.sleep(0.2)


async def test_nothing_acknowledged_is_lost_when_the_storage_is_killed(stack, brokers):
    topic = await make_topic(brokers)

    async def kill_in_between():
        await asyncio.sleep(0.3)
        kill(stack, "s3")

    acknowledged, _ = await asyncio.gather(
        produce(brokers, topic, numbered("x", 150)), kill_in_between()
    )
    assert len(acknowledged) > 100
    seen = await consume(brokers, topic)
    assert first_copies(seen, acknowledged) == acknowledged


async def test_a_reader_misses_nothing_of_many_writers(stack, brokers):
    topic = await make_topic(brokers)
    total = 8 * 15
    reading = asyncio.create_task(consume(brokers, topic, until=total))
    await asyncio.gather(
        *(produce(brokers, topic, numbered(f"{writer}-", 15)) for writer in range(8))
    )
    seen = await reading
    assert sorted(seen) == sorted(v for w in range(8) for v in numbered(f"{w}-", 15))


async def test_a_broker_killed_while_writing_leaves_no_lag_behind(stack, brokers):
    topic, group = await make_topic(brokers), uuid.uuid4().hex
    writing = asyncio.create_task(produce(brokers, topic, numbered("x", 200)))
    await asyncio.sleep(0.4)
    kill(stack, "kafka")
    written = await writing
    seen = await consume(brokers, topic, group)
    assert first_copies(seen, written) == written
    assert await lag(stack.settings.kafka, topic, group) == {0: 0}


async def test_the_newest_offset_is_known_when_batches_follow_closely(brokers):
    topic = await make_topic(brokers)
    await produce(brokers, topic, numbered("x", 10))
    consumer = AIOKafkaConsumer(bootstrap_servers=brokers)
    await consumer.start()
    try:
        assert list((await consumer.end_offsets([TopicPartition(topic, 0)])).values()) == [10]
    finally:
        await consumer.stop()
