"""Consuming: batches, explicit offsets, retries, dead letters.

Every message is handled at least once, so a handler must make a second time harmless. Offsets
are committed only after their batch was handled. A failing partition waits alone while the
others go on, and a message that can never be handled goes to the topic of dead letters.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError
from prometheus_client import Counter, Gauge, Histogram

from app.config import Kafka
from app.infra import crash
from app.infra.kafka.backoff import RateLimit, backoff_seconds
from app.infra.kafka.connection import client_options, full_name
from app.infra.kafka.dead_letters import bury
from app.infra.kafka.messages import Batch, Message, Poison
from app.infra.kafka.partitions import Held, Pending
from app.infra.kafka.plan import Plan
from app.infra.kafka.producer import Producer
from app.kernel.errors import Unavailable

log = structlog.get_logger(__name__)

Handler = Callable[[Batch], Awaitable[Sequence[Poison]]]

CONSUMED = Counter("tariff_consumed_rows_total", "Rows handled and committed.", ["topic"])
FAILED = Counter("tariff_consume_failures_total", "Batches that failed.", ["topic", "error"])
ROWS = Histogram(
    "tariff_consumed_batch_rows",
    "Rows of a batch.",
    ["topic"],
    buckets=(1, 10, 100, 1_000, 10_000, 50_000, 100_000, 200_000),
)
SECONDS = Histogram("tariff_consumed_batch_seconds", "Handling a batch.", ["topic"])
LAG = Gauge("tariff_consumer_lag", "Messages not committed yet.", ["topic", "partition"])

# A handler that is at work when its partitions are taken away has this long to finish.
REVOKE_SECONDS = 10.0
LEAVE_SECONDS = 2.0
# After this many failures that are not a server's absence, messages are tried one by one.
MAX_FAILURES = 5
_LEAVING: set[asyncio.Task[None]] = set()  # the event loop itself keeps no task alive
_MESSAGES = 200  # per read: bounds how far a batch overshoots


class Consumer(ConsumerRebalanceListener):  # type: ignore[misc]
    """Reads one topic in a group and hands batches to `handler`, until told to stop.

    `handler` returns what can never be handled. Raising means "not now": `Unavailable` is
    retried for as long as it takes, anything else until the message at fault is isolated.
    """

    def __init__(
        self, settings: Kafka, plan: Plan, *, handler: Handler, producer: Producer
    ) -> None:
        self._settings, self._plan = settings, plan
        self._handler, self._producer = handler, producer
        self._pending = Pending(plan.weigh)
        self._held: dict[TopicPartition, Held] = {}
        self._epoch = 0  # counts revocations: what was read before one is not handled after it
        self._working = asyncio.Lock()
        self._deadline: asyncio.Timeout | None = None
        self._rate = RateLimit(plan.rate_limit) if plan.rate_limit else None
        self._restarts = 0
        self._stop = asyncio.Event()
        self._client: AIOKafkaConsumer

    async def run(self, stop: asyncio.Event) -> None:
        """Consume until `stop` is set; the batch in hand is finished and committed first.

        Cancelling drops the batch in hand instead; it is read again later.
        """
        self._stop = stop
        while not stop.is_set():
            try:
                await self._session()
            except (KafkaError, OSError) as error:
                self._restarts += 1
                log.warning("consumer_restarts", topic=self._plan.topic, error=str(error))
                await self._pause(backoff_seconds(self._restarts))

    async def _session(self) -> None:
        """One connection's life: from joining the group to leaving it."""
        self._client = AIOKafkaConsumer(
            group_id=self._plan.group,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            max_partition_fetch_bytes=max(4_194_304, self._settings.max_batch_bytes),
            fetch_max_wait_ms=250,
            rebalance_timeout_ms=int(REVOKE_SECONDS * 3000),
            **client_options(self._settings),
        )
        try:
            await self._client.start()
            self._client.subscribe([self._topic], listener=self)
            while not self._stop.is_set():
                await self._retry_held()
                await self._fill()
                await self._handle_pending()
        finally:
            self._forget()
            await self._leave()

    # aiokafka awaits these two in a task of its own when the group changes.

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        """Finish the batch in hand while its offsets can still be committed, or drop it."""
        self._forget()
        if self._deadline is not None:
            self._deadline.reschedule(asyncio.get_running_loop().time() + REVOKE_SECONDS)
        async with self._working:
            log.info("partitions_revoked", topic=self._plan.topic, count=len(revoked))

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        log.info("partitions_assigned", topic=self._plan.topic, count=len(assigned))

    def _forget(self) -> None:
        self._epoch += 1
        self._pending.clear()
        self._held.clear()

    async def _fill(self) -> None:
        """Read until the batch is full, or its time or that of a held partition has come."""
        loop = asyncio.get_running_loop()
        until = loop.time() + self._plan.max_wait_seconds
        while self._pending.rows < self._plan.batch_rows and not self._stop.is_set():
            wait = min([until, *(held.retry_at for held in self._held.values())]) - loop.time()
            if wait <= 0:
                return
            was_empty = not len(self._pending)
            # What this returns is of the assignment in force now, also when that has changed
            # while it waited: it must be kept, for the position is behind it already.
            found = await self._read(wait)
            for records in found.values():
                for record in records:
                    self._pending.add(_message(self._plan.topic, record))
            if found and was_empty:
                until = loop.time() + self._plan.max_wait_seconds

    async def _read(self, seconds: float) -> Mapping[Any, Sequence[Any]]:
        """What arrives within `seconds`; nothing once told to stop.

        While the group forms the client waits for as long as that takes, and hears of nothing.
        """
        reading = asyncio.create_task(
            self._client.getmany(timeout_ms=max(1, int(seconds * 1000)), max_records=_MESSAGES)
        )
        stopping = asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait({reading, stopping}, return_when=asyncio.FIRST_COMPLETED)
            return reading.result() if reading.done() else {}
        finally:
            for task in (reading, stopping):
                task.cancel()

    async def _leave(self) -> None:
        """Leave the group, but do not wait for one that is still forming: it goes on without us.

        Leaving goes on by itself then, for a client that is cancelled half way leaves
        connections open.
        """
        leaving = asyncio.create_task(self._client.stop())
        done, _ = await asyncio.wait({leaving}, timeout=LEAVE_SECONDS)
        if leaving in done:
            leaving.result()
            return
        log.info("group_not_left", topic=self._plan.topic)
        _LEAVING.add(leaving)
        leaving.add_done_callback(_LEAVING.discard)

    async def _handle_pending(self) -> None:
        messages, rows = self._pending.first(self._plan.batch_rows)
        if not messages:
            return
        self._pending.drop(len(messages))
        epoch = self._epoch
        error = await self._handle(messages, rows)
        if error is None or epoch != self._epoch:
            return
        for number in dict.fromkeys(message.partition for message in messages):
            held = Held(Pending(self._plan.weigh))
            for message in messages:
                if message.partition == number:
                    held.pending.add(message)
            # What was read behind them has to stay behind them.
            self._pending.move(number, held.pending)
            partition = TopicPartition(self._topic, number)
            self._held[partition] = held
            self._client.pause(partition)
            self._postpone(held, error)

    async def _retry_held(self) -> None:
        now, epoch = asyncio.get_running_loop().time(), self._epoch
        for partition, held in list(self._held.items()):
            if held.retry_at > now or self._stop.is_set():
                continue
            share, rows = held.pending.first(1 if held.alone else self._plan.batch_rows)
            error = await self._handle(share[:1] if held.alone else share, rows)
            if epoch != self._epoch:
                return
            if error is not None and self._exhausted(held, error) and held.alone:
                error = await self._give_up(share[0], error)
            if epoch != self._epoch:
                return
            if error is not None:
                self._postpone(held, error)
                continue
            held.pending.drop(1 if held.alone else len(share))
            held.failures = 0
            if not len(held.pending):
                del self._held[partition]
                self._client.resume(partition)

    def _postpone(self, held: Held, error: Exception) -> None:
        if self._exhausted(held, error):
            held.alone, held.failures = True, 0
        held.failures += 1
        wait = backoff_seconds(held.failures)
        held.retry_at = asyncio.get_running_loop().time() + wait
        log.warning(
            "batch_failed",
            topic=self._plan.topic,
            error=str(error),
            failures=held.failures,
            retry_seconds=round(wait, 2),
            exc_info=None if isinstance(error, Unavailable) else error,
        )

    @staticmethod
    def _exhausted(held: Held, error: Exception) -> bool:
        return not isinstance(error, Unavailable) and held.failures >= MAX_FAILURES

    async def _handle(self, messages: Sequence[Message], rows: int) -> Exception | None:
        """Handle, send the dead letters, commit. Returns what went wrong, if anything did."""
        epoch, topic = self._epoch, self._plan.topic
        async with self._working:
            if epoch != self._epoch:
                return None
            try:
                async with asyncio.timeout(None) as self._deadline:
                    with SECONDS.labels(topic).time():
                        poison = await self._handler(Batch(topic, messages))
                    for part in poison:
                        await bury(self._producer, self._plan.dead_letters, part)
                    await self._commit(messages)
                    crash.point("kafka.after_commit")
            except Exception as error:  # whatever it is: the batch stays, and the loop goes on
                FAILED.labels(topic, type(error).__name__).inc()
                return error
            finally:
                self._deadline = None
        self._restarts = 0
        CONSUMED.labels(topic).inc(rows)
        ROWS.labels(topic).observe(rows)
        if self._rate is not None:
            await self._pause(self._rate.take(rows, asyncio.get_running_loop().time()))
        return None

    async def _give_up(self, message: Message, error: Exception) -> Exception | None:
        """A message that failed alone, again and again, becomes a dead letter."""
        poison = Poison(
            message, message.value, "HANDLER_FAILED", f"{type(error).__name__}: {error}"
        )
        try:
            await bury(self._producer, self._plan.dead_letters, poison)
            await self._commit([message])
        except (Unavailable, KafkaError) as absent:
            return absent
        return None

    async def _commit(self, messages: Sequence[Message]) -> None:
        following = {
            TopicPartition(self._topic, message.partition): message.offset + 1
            for message in messages
        }
        try:
            await self._client.commit(following)
        except (CommitFailedError, IllegalStateError) as error:
            # The group has moved on: the new owner reads these again, which changes nothing.
            log.info("commit_refused", topic=self._plan.topic, error=str(error))
            return
        for partition, offset in following.items():
            if (end := self._client.highwater(partition)) is not None:
                LAG.labels(self._plan.topic, partition.partition).set(max(0, end - offset))

    async def _pause(self, seconds: float) -> None:
        """Wait, unless told to stop meanwhile."""
        if seconds <= 0:
            return
        try:
            async with asyncio.timeout(seconds):
                await self._stop.wait()
        except TimeoutError:
            return

    @property
    def _topic(self) -> str:
        return full_name(self._settings, self._plan.topic)


def _message(topic: str, record: Any) -> Message:
    return Message(
        topic=topic,
        partition=record.partition,
        offset=record.offset,
        value=record.value or b"",
        headers=dict(record.headers),
        timestamp_ms=record.timestamp,
    )
