"""Sending: nothing returns before the brokers have acknowledged it, or it raises."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from prometheus_client import Counter, Gauge, Histogram

from app.config import Kafka
from app.infra.kafka.connection import client_options, full_name
from app.kernel.errors import Unavailable

log = structlog.get_logger(__name__)

IN_FLIGHT = Gauge("tariff_kafka_in_flight_bytes", "Sent and not acknowledged yet.")
SENT = Counter("tariff_kafka_sent_messages_total", "Messages by outcome.", ["topic", "outcome"])
ACK_SECONDS = Histogram("tariff_kafka_ack_seconds", "From sending to acknowledgement.", ["topic"])

Headers = Sequence[tuple[str, bytes]]
# What a record takes besides its value: lengths, timestamp, headers, the batch's own header.
_OVERHEAD = 4096


class Producer:
    """Sends to the brokers with a bound on what is in flight and a deadline on each answer.

    An acknowledged message is stored by every in-sync replica. After `Unavailable` it may be
    stored or not: whoever sends it again needs an identity in it that makes the second copy
    harmless.
    """

    def __init__(self, settings: Kafka) -> None:
        self._settings = settings
        self._client: AIOKafkaProducer | None = None
        self._opening = asyncio.Lock()
        self._in_flight = 0

    async def send(
        self, topic: str, value: bytes, *, key: bytes | None = None, headers: Headers = ()
    ) -> None:
        """Send one message; those of one key stay in order. Raises: Unavailable."""
        await self._deliver(topic, [(None, value)], key=key, headers=headers)

    async def send_envelopes(
        self, topic: str, shares: Mapping[int, bytes], headers: Headers = ()
    ) -> None:
        """Send each partition its share of newline-delimited rows, as one message.

        A share larger than a message may be is cut at the ends of rows. Raises: Unavailable.
        """
        limit = self._settings.max_batch_bytes - _OVERHEAD
        messages: list[tuple[int | None, bytes]] = [
            (partition, part)
            for partition, share in shares.items()
            for part in cut_at_lines(share, limit)
        ]
        await self._deliver(topic, messages, headers=headers)

    async def partitions(self, topic: str) -> int:
        """How many partitions the topic has, from what the client knows. Raises: Unavailable."""
        try:
            async with asyncio.timeout(self._settings.ack_seconds):
                client = await self._opened()
                return len(await client.partitions_for(full_name(self._settings, topic)))
        except (KafkaError, OSError, TimeoutError) as error:
            raise Unavailable("Kafka", f"topic {topic}: {_said(error)}") from error

    def full_name(self, topic: str) -> str:
        """The topic's name on the brokers."""
        return full_name(self._settings, topic)

    @property
    def bytes_in_flight(self) -> int:
        return self._in_flight

    async def close(self) -> None:
        """Wait for what is in flight, as long as one answer may take, and disconnect."""
        client, self._client = self._client, None
        if client is None:
            return
        try:
            async with asyncio.timeout(self._settings.ack_seconds):
                await client.flush()
        except TimeoutError:
            log.warning("kafka_flush_unfinished", bytes=self._in_flight)
            client._message_accumulator.fail_all(KafkaError("the producer was closed"))
        await client.stop()

    async def _deliver(
        self,
        topic: str,
        messages: Sequence[tuple[int | None, bytes]],
        *,
        key: bytes | None = None,
        headers: Headers = (),
    ) -> None:
        waiting = sum(len(value) for _, value in messages)
        self._reserve(waiting)
        futures: list[asyncio.Future[Any]] = []
        try:
            with ACK_SECONDS.labels(topic).time():
                async with asyncio.timeout(self._settings.ack_seconds):
                    client = await self._opened()
                    for partition, value in messages:
                        future = await client.send(
                            full_name(self._settings, topic),
                            value,
                            key=key,
                            partition=partition,
                            headers=list(headers),
                        )
                        future.add_done_callback(partial(self._settled, len(value)))
                        waiting -= len(value)
                        futures.append(future)
                    # Not gather: a deadline must not cancel what is on the wire.
                    await asyncio.wait(futures)
            for future in futures:
                future.result()
        except (KafkaError, OSError, TimeoutError) as error:
            SENT.labels(topic, "failed").inc(len(messages))
            raise Unavailable(
                "Kafka", f"{topic} was not acknowledged within the deadline: {_said(error)}"
            ) from error
        finally:
            self._release(waiting)  # what was never handed over
        SENT.labels(topic, "acknowledged").inc(len(messages))

    def _reserve(self, size: int) -> None:
        # One request alone always fits, so that a small bound cannot refuse for ever.
        if self._in_flight and self._in_flight + size > self._settings.buffer_bytes:
            raise Unavailable(
                "Kafka", f"{self._in_flight} bytes wait for its acknowledgement already"
            )
        self._in_flight += size
        IN_FLIGHT.inc(size)

    def _release(self, size: int) -> None:
        self._in_flight -= size
        IN_FLIGHT.dec(size)

    def _settled(self, size: int, future: "asyncio.Future[Any]") -> None:
        """The brokers have answered for a message, which may be after its sender gave up."""
        self._release(size)
        if not future.cancelled():
            future.exception()  # seen, so that nobody is told it never was

    async def _opened(self) -> AIOKafkaProducer:
        """The client; a new one where the last has stopped for good.

        aiokafka's sender ends on an error it takes for fatal (an idempotent sequence out of
        order, say) and then refuses everything until it is replaced.
        """
        client = self._client
        if client is not None and not client._sender.sender_task.done():
            return client
        async with self._opening:
            if self._client is not client and self._client is not None:
                return self._client
            if client is not None:
                log.warning("kafka_producer_replaced")
                await client.stop()
            fresh = AIOKafkaProducer(**_options(self._settings))
            try:
                await fresh.start()
            except BaseException:
                await fresh.stop()
                raise
            self._client = fresh
            return fresh


@asynccontextmanager
async def open_producer(settings: Kafka) -> AsyncIterator[Producer]:
    """A connected producer, flushed and closed at the end of the block. Raises: Unavailable."""
    producer = Producer(settings)
    try:
        async with asyncio.timeout(settings.ack_seconds):
            await producer._opened()
    except (KafkaError, OSError, TimeoutError) as error:
        raise Unavailable("Kafka", _said(error)) from error
    try:
        yield producer
    finally:
        await producer.close()


def cut_at_lines(value: bytes, limit: int) -> Iterator[bytes]:
    """The lines of `value` in parts of at most `limit` bytes; a longer line stays whole."""
    start = 0
    while len(value) - start > limit:
        end = value.rfind(b"\n", start, start + limit) + 1
        if end <= start:
            end = value.find(b"\n", start) + 1 or len(value)
        yield value[start:end]
        start = end
    if start < len(value):
        yield value[start:]


def _options(settings: Kafka) -> dict[str, Any]:
    return {
        **client_options(settings),
        "acks": "all",
        "enable_idempotence": settings.idempotent,
        "linger_ms": settings.linger_ms,
        "max_batch_size": settings.max_batch_bytes,
        "max_request_size": max(settings.max_batch_bytes, 1_048_576) + _OVERHEAD,
        "compression_type": None if settings.compression == "none" else settings.compression,
        "request_timeout_ms": int(settings.ack_seconds * 1000),
    }


def _said(error: BaseException) -> str:
    return str(error) or type(error).__name__
