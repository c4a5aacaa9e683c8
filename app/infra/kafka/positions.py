"""How far a topic reaches, and how far a group of consumers has come in it."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from app.config import Kafka
from app.infra.kafka.connection import client_options, full_name
from app.infra.kafka.ends import seek_ends
from app.kernel.errors import Unavailable


async def ends(settings: Kafka, topic: str) -> dict[int, int]:
    """The offset after the last message of each partition; 0 where there never was one.

    Raises: Unavailable.
    """
    async with _reader(settings, topic, None) as (client, parts):
        stored = await seek_ends(client, parts)
    return {part.partition: end for part, (_, end) in stored.items()}


async def reached(settings: Kafka, topic: str, group: str, goal: Mapping[int, int]) -> bool:
    """Whether `group` has committed all that is still stored before the offsets of `goal`.

    Raises: Unavailable.
    """
    async with _reader(settings, topic, group) as (client, parts):
        wanted = {part: goal.get(part.partition, 0) for part in parts}
        behind = [part for part, end in wanted.items() if (await client.committed(part) or 0) < end]
        starts = await client.beginning_offsets(behind) if behind else {}
    return all(starts[part] >= wanted[part] for part in behind)


@asynccontextmanager
async def _reader(
    settings: Kafka, topic: str, group: str | None
) -> AsyncIterator[tuple[AIOKafkaConsumer, list[TopicPartition]]]:
    """A client that reads beside the group: it subscribes to nothing, so nobody notices it."""
    client = AIOKafkaConsumer(group_id=group, enable_auto_commit=False, **client_options(settings))
    name = full_name(settings, topic)
    try:
        async with asyncio.timeout(settings.ack_seconds):
            await client.start()
            await client._client._wait_on_metadata(name)
            numbers = client.partitions_for_topic(name) or set()
            parts = [TopicPartition(name, number) for number in sorted(numbers)]
            client.assign(parts)
            yield client, parts
    except (KafkaError, OSError, TimeoutError) as error:
        raise Unavailable("Kafka", f"{topic}: {error or 'no answer'}") from error
    finally:
        await client.stop()
