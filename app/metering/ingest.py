"""Accepting events: rows in the shape they are stored in, acknowledged by Kafka.

The rows of one request travel as one message for each partition they fall to: an envelope of
newline-delimited JSON. The partition follows from scope and event id, so that all copies of an
event meet the same consumer, one after the other.
"""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec
from msgspec import Raw, Struct
from prometheus_client import Counter

from app.config import Settings
from app.infra import crash
from app.infra.kafka import Producer
from app.infra.telemetry.context import traceparent
from app.kernel.ids import new_id
from app.kernel.scope import Scope
from app.metering.event import SubmittedEvent

ACCEPTED = Counter("tariff_ingest_events_total", "Events acknowledged by Kafka.", ["topic"])


class EventRow(Struct, gc=False):
    """One row of an envelope: the columns of the table of events, as JSON spells them.

    `timestamp` and `ingested_at` are UTC, `YYYY-MM-DD HH:MM:SS.mmm`; the latter is of the
    clock of a machine, also where an environment lives on a clock of its own. `properties` is the
    object as it was sent; the server keeps its text.
    """

    tenant_id: str
    environment_id: str
    event_id: str
    event_name: str
    external_customer_id: str
    timestamp: str
    source: str
    properties: Raw
    ingested_at: str


@dataclass(frozen=True, slots=True)
class Accepted:
    """The ids of the events that Kafka has acknowledged, in the order of the request."""

    event_ids: Sequence[str]


_encoder = msgspec.json.Encoder()


async def ingest(
    settings: Settings,
    producer: Producer,
    scope: Scope,
    events: Sequence[SubmittedEvent],
    *,
    at: datetime,
    present: datetime | None = None,
) -> Accepted:
    """Hand `events` to Kafka and return once it has acknowledged every one of them.

    `at` is the machine's instant, by which watermarks tell what has been counted; `present` is
    that of the environment, where it is another. Events without an id get one; those without a
    timestamp happened in the present. Where an id occurs twice, the first wins here as
    everywhere. Raises: Unavailable; then some of the events may have been taken, and sending all
    of them again is right: ids make it harmless, for those events that were sent with one.
    """
    topic = lane(settings, scope)
    partitions = await producer.partitions(topic)
    ids, shares = envelopes(scope, events, partitions=partitions, at=at, present=present)
    crash.point("ingest.before_produce")
    await producer.send_envelopes(topic, shares, headers=headers_of(scope))
    crash.point("ingest.after_produce")
    ACCEPTED.labels(topic).inc(len(ids))
    return Accepted(ids)


def headers_of(scope: Scope) -> list[tuple[str, bytes]]:
    """Whose rows a message carries, also when they cannot be read; and the request's trace."""
    headers = [
        ("tenant_id", scope.tenant_id.encode()),
        ("environment_id", scope.environment_id.encode()),
    ]
    trace = traceparent()
    return headers if trace is None else [*headers, ("traceparent", trace.encode())]


def lane(settings: Settings, scope: Scope) -> str:
    """The topic of the scope's events: some tenants have a lane of their own.

    Moving a tenant to another lane while copies of one event are under way in both can count
    it twice; let the old lane run empty first.
    """
    lazy = settings.event_processing_lazy
    return lazy.topic if scope.tenant_id in lazy.tenants else settings.event_processing.topic


def envelopes(
    scope: Scope,
    events: Sequence[SubmittedEvent],
    *,
    partitions: int,
    at: datetime,
    present: datetime | None = None,
) -> tuple[list[str], Mapping[int, bytes]]:
    """The id of every event, and the rows of each partition as newline-delimited JSON."""
    ingested_at, now = milliseconds(at), milliseconds(present or at)
    salt = _salt(scope)  # `partition_of`, with the scope's part of it done once
    ids: list[str] = []
    shares: dict[int, list[EventRow]] = {}
    taken: set[str] = set()
    for event in events:
        event_id = event.event_id or new_id("evt")
        ids.append(event_id)
        if event_id in taken:
            continue
        taken.add(event_id)
        row = EventRow(
            scope.tenant_id,
            scope.environment_id,
            event_id,
            event.event_name,
            event.external_customer_id,
            now if event.timestamp is None else milliseconds(event.timestamp),
            event.source or "",
            on_one_line(event.properties),
            ingested_at,
        )
        partition = zlib.crc32(event_id.encode(), salt) % partitions
        shares.setdefault(partition, []).append(row)
    return ids, {number: _encoder.encode_lines(rows) for number, rows in shares.items()}


def partition_of(scope: Scope, event_id: str, partitions: int) -> int:
    """Where all copies of an event go: the same in every process, for ever."""
    return zlib.crc32(event_id.encode(), _salt(scope)) % partitions


def _salt(scope: Scope) -> int:
    return zlib.crc32(f"{scope.tenant_id}\0{scope.environment_id}\0".encode())


def milliseconds(at: datetime) -> str:
    """An instant as ClickHouse reads it: UTC, cut off after the milliseconds."""
    if at.tzinfo is not UTC:
        at = at.astimezone(UTC)
    return at.isoformat(" ", "milliseconds")[:23]


def on_one_line(properties: Raw) -> Raw:
    """The same JSON without line breaks, which it can only have between its tokens."""
    raw = bytes(properties)
    if raw == b"null":
        return Raw(b"{}")
    if b"\n" in raw or b"\r" in raw:
        return Raw(raw.translate(None, b"\r\n"))
    return properties
