"""Reading a topic as a broadcast: every reader gets every message from now on."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError

from app.config import Kafka
from app.infra.kafka.connection import client_options, full_name
from app.infra.kafka.ends import seek_ends
from app.kernel.errors import Unavailable


@asynccontextmanager
async def follow(settings: Kafka, topic: str) -> AsyncIterator[AsyncIterator[bytes]]:
    """The values of the messages that arrive while the block lasts, in no group.

    For hints, where what was said before one listened does not matter. A message sent after
    the block was entered is seen. Raises: Unavailable, on entering and while reading.
    """
    client = AIOKafkaConsumer(
        full_name(settings, topic),
        group_id=None,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        fetch_max_wait_ms=100,
        **client_options(settings),
    )
    try:
        await _started(client)
        await seek_ends(client, list(client.assignment()))
        yield _values(client)
    except (KafkaError, OSError) as error:
        raise Unavailable("Kafka", str(error)) from error
    finally:
        await client.stop()


async def _started(client: AIOKafkaConsumer) -> None:
    """Start it, whole: a client whose start was cancelled half way leaves a connection open."""
    starting = asyncio.create_task(client.start())
    try:
        await asyncio.shield(starting)
    except asyncio.CancelledError:
        await asyncio.wait([starting])
        raise


async def _values(client: AIOKafkaConsumer) -> AsyncIterator[bytes]:
    async for record in client:
        if record.value is not None:
            yield record.value
