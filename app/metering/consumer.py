"""From Kafka to the event store: every accepted event counts once, whatever happens.

A batch is read, freed of events that were accepted before, stored, metered, and only then are
its events noted as accepted and its offsets committed. A crash between any two of these steps
makes the batch come again, and coming again changes nothing: the store drops what it has, and
the log of the broker, which decides which copy of an event is the first, does not change.
"""

import asyncio
import hashlib
import zlib
from collections.abc import Iterable, Sequence

import structlog
from prometheus_client import Counter, Histogram

from app.config import EventProcessing, Settings
from app.infra import crash
from app.infra.clickhouse import ClickHouse, ClickHouseError
from app.infra.kafka import Batch, Consumer, Plan, Poison, Producer
from app.kernel.clock import Clock
from app.kernel.errors import Unavailable
from app.metering import storage, usage_updates, watermarks
from app.metering.corrections.storing import CorrectionStore, Refused
from app.metering.corrections.wire import Correction, holds_corrections, read_corrections
from app.metering.storage import Row
from app.metering.stored import ROWS_AT_FAULT, meter_batch, settled

log = structlog.get_logger(__name__)

STORED = Counter("tariff_events_stored_total", "Events stored for the first time.", ["topic"])
DUPLICATES = Counter("tariff_events_duplicate_total", "Copies that were dropped.", ["topic"])
VISIBLE = Histogram(
    "tariff_event_visible_seconds",
    "From the acknowledgement of a batch's oldest event until it counts.",
    ["topic"],
    buckets=(0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 300, 3600),
)


class Recent:
    """The identities accepted lately by this process, at most `size` of them or twice that."""

    def __init__(self, size: int = 200_000) -> None:
        self._size = size
        self._new: set[tuple[str, str, str]] = set()
        self._old: set[tuple[str, str, str]] = set()

    def __contains__(self, identity: tuple[str, str, str]) -> bool:
        return identity in self._new or identity in self._old

    def add(self, identities: Iterable[tuple[str, str, str]]) -> None:
        self._new.update(identities)
        if len(self._new) > self._size:
            self._old, self._new = self._new, set()


class EventStore:
    """Handles the batches of one topic of events."""

    def __init__(self, clickhouse: ClickHouse, producer: Producer, *, clock: Clock) -> None:
        self._clickhouse, self._producer, self._clock = clickhouse, producer, clock
        self._recent = Recent()
        self._corrections = CorrectionStore(clickhouse)

    async def handle(self, batch: Batch) -> Sequence[Poison]:
        """Store what is new in the batch. Raises: Unavailable; then nothing is settled."""
        rows, corrections, poison = _read(batch)
        crash.point("consumer.after_read")
        rows, corrections = await self._stamped(batch, rows, corrections)
        fresh = await self._not_accepted_before(rows)
        crash.point("consumer.after_lookup")
        DUPLICATES.labels(batch.topic).inc(len(rows) - len(fresh))
        refused = await self._store(fresh, _name(batch))
        poison += [_refused(batch, row, error) for row, error in refused]
        # Also of copies: after a crash before this line they are all that is left to tell.
        places = [
            (line.tenant_id, line.environment_id, line.external_customer_id, line.event_name)
            for line in (row.line for row in rows)
        ]
        if corrections:
            # After the events, which they may be about.
            changed, impossible = await self._corrections.store(corrections, _name(batch))
            places += changed
            poison += [_impossible(batch, one) for one in impossible]
        await usage_updates.announce(self._producer, usage_updates.hints(places))
        crash.point("consumer.after_hints")
        STORED.labels(batch.topic).inc(len(fresh) - len(refused))
        oldest = min(message.timestamp_ms for message in batch.messages) / 1000
        VISIBLE.labels(batch.topic).observe(max(0.0, self._clock.now().timestamp() - oldest))
        return poison

    async def _stamped(
        self, batch: Batch, rows: Sequence[Row], corrections: Sequence[Correction]
    ) -> tuple[list[Row], list[Correction]]:
        """The same, each accepted on the side of every watermark that it lies on in the log."""
        known = await watermarks.in_force(self._producer.full_name(batch.topic))
        bounds = [known.bounds(message.partition, message.offset) for message in batch.messages]
        return (
            [storage.stamped(row, bounds[row.message].fit(row.line.ingested_at)) for row in rows],
            [one.stamped(bounds[one.message].fit(one.line.ingested_at)) for one in corrections],
        )

    async def _not_accepted_before(self, rows: Sequence[Row]) -> list[Row]:
        """The first copy of every event that is new, in the order of the broker's log."""
        first: dict[tuple[str, str, str], Row] = {}
        for row in rows:
            identity = row.line.identity
            if identity not in first and identity not in self._recent:
                first[identity] = row
        stored = await storage.stored_identities(self._clickhouse, list(first.values()))
        return [row for identity, row in first.items() if identity not in stored]

    async def _store(self, rows: Sequence[Row], name: str) -> list[tuple[Row, str]]:
        """Store and meter the rows; returns those the server cannot take, with the reason."""
        refused: list[tuple[Row, str]] = []
        stored: list[Row] = []
        for index, part in enumerate(storage.by_months(rows)):
            refused += await self._insert(part, f"{name}.{index}", stored)
        crash.point("consumer.after_derive")
        if stored:
            await settled(storage.insert_identities(self._clickhouse, stored, name))
        crash.point("consumer.after_ids")
        self._recent.add(row.line.identity for row in stored)
        return refused

    async def _insert(
        self, rows: Sequence[Row], name: str, stored: list[Row]
    ) -> list[tuple[Row, str]]:
        """Insert and derive; halves what is refused until the rows at fault are alone."""
        try:
            await storage.insert_events(self._clickhouse, rows, name)
        except ClickHouseError as error:
            if error.number not in ROWS_AT_FAULT:
                raise Unavailable("ClickHouse", str(error)) from error
            if len(rows) == 1:
                return [(rows[0], str(error))]
            half = len(rows) // 2
            return [
                *await self._insert(rows[:half], f"{name}a", stored),
                *await self._insert(rows[half:], f"{name}b", stored),
            ]
        crash.point("consumer.after_raw_insert")
        lines = (row.line for row in rows)
        touched = ((line.tenant_id, line.environment_id, line.event_name) for line in lines)
        await settled(meter_batch(self._clickhouse, touched, name))
        stored += rows
        return []


async def consume_events(
    settings: Settings,
    plan: EventProcessing,
    *,
    store: EventStore,
    producer: Producer,
    stop: asyncio.Event,
) -> None:
    """Consume one topic of events until `stop` is set; finishes the batch in hand."""
    consumer = Consumer(
        settings.kafka,
        Plan(
            topic=plan.topic,
            group=f"{settings.kafka.topic_prefix}{plan.group}",
            dead_letters=plan.dlq,
            max_rows=plan.max_rows,
            max_wait_seconds=plan.max_wait_ms / 1000,
            rate_limit=plan.rate_limit,
            weigh=count_rows,
        ),
        handler=store.handle,
        producer=producer,
    )
    await consumer.run(stop)


def count_rows(envelope: bytes) -> int:
    """How many lines an envelope has."""
    return envelope.count(b"\n") + (not envelope.endswith(b"\n"))


def _read(batch: Batch) -> tuple[list[Row], list[Correction], list[Poison]]:
    rows: list[Row] = []
    corrections: list[Correction] = []
    poison: list[Poison] = []
    for index, message in enumerate(batch.messages):
        if holds_corrections(message.value):
            asked, faulty = read_corrections(message.value, index)
            corrections += asked
        else:
            found, faulty = storage.read_envelope(message.value, index)
            rows += found
        poison += [Poison(message, text, "NOT_AN_EVENT", error) for text, error in faulty]
    return rows, corrections, poison


def _refused(batch: Batch, row: Row, error: str) -> Poison:
    return Poison(batch.messages[row.message], row.text, "REFUSED_BY_STORE", error)


def _impossible(batch: Batch, one: Refused) -> Poison:
    correction = one.correction
    return Poison(batch.messages[correction.message], correction.text, one.code, one.error)


def _name(batch: Batch) -> str:
    """The batch's name: the same for the same messages, and for no others.

    Offsets alone would not do: those of a topic that was deleted and made again begin anew,
    and the store drops what comes under a name it knows.
    """
    digest = hashlib.blake2b(batch.topic.encode(), digest_size=16)
    for message in batch.messages:
        checksum = zlib.crc32(message.value)
        digest.update(
            b"|%d:%d@%d=%d" % (message.partition, message.offset, message.timestamp_ms, checksum)
        )
    return digest.hexdigest()
