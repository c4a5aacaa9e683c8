"""Messages that could not be handled: kept, listed, and sent again once they are mended.

They are written to the dead-letter topics by the consumers, and kept in ClickHouse from there.
A letter belongs to the scope that its message named; without one it is in nobody's sight, and
only the topic shows it.
"""

import asyncio
import base64
import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Literal

import msgspec
from msgspec import Struct

from app.config import EventProcessing, Settings
from app.infra.clickhouse import ClickHouse, ClickHouseError
from app.infra.kafka import Batch, Consumer, Message, Plan, Poison, Producer
from app.infra.postgres import writing
from app.kernel.errors import Conflict, Invalid, NotFound, Unavailable
from app.kernel.scope import Actor, Scope
from app.metering.corrections.wire import CorrectionLine, holds_corrections, read_line
from app.metering.event import SubmittedEvent
from app.metering.ingest import headers_of, ingest, milliseconds, partition_of
from app.metering.storage import Line
from app.tenants import audit

Status = Literal["open", "replayed"]

MAX_PAGE = 100
GROUP = "dead_letters"

_COLUMNS = (
    "id, source_topic, source_partition, source_offset, reason, error, value, encoding, "
    "failed_at, status, changed_at"
)
_SCOPE = "tenant_id = {tenant:String} AND environment_id = {environment:String}"
_SELECT = f"SELECT {_COLUMNS} FROM dead_letters FINAL WHERE {_SCOPE} "  # noqa: S608 - constants
_AFTER = (
    "AND (failed_at, id) < (SELECT failed_at, id FROM dead_letters FINAL "  # noqa: S608 - constants
    f"WHERE {_SCOPE} AND id = {{after:String}}) "
)


class DeadLetter(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """One line of a message. `value` is its text, or base64 where it is no text."""

    id: str
    source_topic: str
    source_partition: int
    source_offset: int
    reason: str
    error: str
    value: str
    encoding: Literal["text", "base64"]
    failed_at: datetime
    status: Status
    changed_at: datetime

    @property
    def bytes(self) -> bytes:
        """The line as it was read."""
        return self.value.encode() if self.encoding == "text" else base64.b64decode(self.value)


class _Row(Struct):
    tenant_id: str
    environment_id: str
    id: str
    source_topic: str
    source_partition: int
    source_offset: int
    reason: str
    error: str
    value: str
    encoding: str
    failed_at: str
    status: str
    changed_at: str
    version: int


_encoder = msgspec.json.Encoder()
_line = msgspec.json.Decoder(Line)


async def page(
    scope: Scope,
    clickhouse: ClickHouse,
    *,
    status: Status | None = None,
    after: str | None = None,
    first: int = 50,
) -> list[DeadLetter]:
    """Up to `first` letters (at most 100) of the scope, the latest first, after that of id `after`.

    Raises: Invalid (INVALID_CURSOR), Unavailable.
    """
    sql, values = _SELECT, _values(scope)
    if after is not None:
        await _require_cursor(scope, clickhouse, after)
        sql, values = sql + _AFTER, {**values, "after": after}
    if status is not None:
        sql, values = sql + "AND status = {status:String} ", {**values, "status": status}
    sql += f"ORDER BY failed_at DESC, id DESC LIMIT {min(first, MAX_PAGE)}"
    return await clickhouse.select(sql, values, row=DeadLetter)


async def _require_cursor(scope: Scope, clickhouse: ClickHouse, after: str) -> None:
    try:
        await get(scope, clickhouse, after)
    except NotFound:
        raise Invalid(
            f"{after!r} is not the id of a dead letter", field="after", code="INVALID_CURSOR"
        ) from None


async def get(scope: Scope, clickhouse: ClickHouse, letter_id: str) -> DeadLetter:
    """Raises: NotFound, Unavailable."""
    sql = f"{_SELECT}AND id = {{id:String}}"
    found = await clickhouse.select(sql, {**_values(scope), "id": letter_id}, row=DeadLetter)
    if not found:
        raise NotFound("dead letter", letter_id, field="id")
    return found[0]


class Replays:
    """Sends letters again, as they are or mended."""

    def __init__(self, settings: Settings, clickhouse: ClickHouse, producer: Producer) -> None:
        self._settings, self._clickhouse, self._producer = settings, clickhouse, producer

    async def replay(
        self,
        scope: Scope,
        letter_id: str,
        mended: SubmittedEvent | None = None,
        *,
        by: Actor,
        at: datetime,
    ) -> DeadLetter:
        """Send the letter to where it came from, or the event that it should have been.

        Repeating it after a failure is harmless: the event keeps its id, or has the letter's.
        Raises: NotFound, Conflict (ALREADY_REPLAYED), Invalid (MENDED_EVENT_REQUIRED,
        MENDED_EVENT_REFUSED), Unavailable.
        """
        letter = await get(scope, self._clickhouse, letter_id)
        if letter.status == "replayed":
            raise Conflict(
                f"dead letter {letter_id} was sent again at {letter.changed_at.isoformat()}",
                code="ALREADY_REPLAYED",
            )
        line = _readable(letter)
        if mended is None and line is None:
            raise Invalid(
                f"dead letter {letter_id} holds no event and would come back; send the event "
                "that it should have been",
                field="event",
                code="MENDED_EVENT_REQUIRED",
            )
        if mended is not None and isinstance(line, CorrectionLine):
            raise Invalid(
                f"dead letter {letter_id} is the correction of an event, and no event can take its "
                "place; send it again as it is, or correct the event anew",
                field="event",
                code="MENDED_EVENT_REFUSED",
            )
        async with writing(scope):
            await audit.record(
                scope, by, "dead_letter.replay", letter_id, at=at, after={"mended": bool(mended)}
            )
        if mended is not None:
            own_id = line.event_id if line else letter_id
            event = msgspec.structs.replace(mended, event_id=mended.event_id or own_id)
            await ingest(self._settings, self._producer, scope, [event], at=at)
        elif line is not None:
            await self._send_again(scope, letter, line)
        done = msgspec.structs.replace(letter, status="replayed", changed_at=at)
        await self._clickhouse.insert("dead_letters", _encoder.encode(_row(scope, done)))
        return done

    async def _send_again(
        self, scope: Scope, letter: DeadLetter, line: Line | CorrectionLine
    ) -> None:
        partitions = await self._producer.partitions(letter.source_topic)
        await self._producer.send_envelopes(
            letter.source_topic,
            {partition_of(scope, line.event_id, partitions): letter.bytes + b"\n"},
            headers=headers_of(scope),
        )


async def keep_dead_letters(
    settings: Settings,
    lane: EventProcessing,
    *,
    clickhouse: ClickHouse,
    producer: Producer,
    stop: asyncio.Event,
) -> None:
    """Bring what a lane's dead-letter topic holds into the table, until `stop` is set."""

    async def keep(batch: Batch) -> Sequence[Poison]:
        rows = [_row(*_letter(message)) for message in batch.messages]
        try:
            await clickhouse.insert("dead_letters", _encoder.encode_lines(rows))
        except ClickHouseError as error:
            # There is nowhere further to send what is wrong here.
            raise Unavailable("ClickHouse", str(error)) from error
        return []

    plan = Plan(
        topic=lane.dlq,
        group=f"{settings.kafka.topic_prefix}{GROUP}.{lane.dlq}",
        dead_letters=lane.dlq,
        max_rows=1_000,
        max_wait_seconds=0.5,
    )
    await Consumer(settings.kafka, plan, handler=keep, producer=producer).run(stop)


def _letter(message: Message) -> tuple[Scope, DeadLetter]:
    """A message of a dead-letter topic, which anybody may have written to."""

    def said(name: str) -> str:
        return message.headers.get(name, b"").decode(errors="replace")

    def number(name: str) -> int:
        text = said(name)
        return int(text) if text.isdecimal() and len(text) < 19 else -1

    try:
        value, encoding = message.value.decode(), "text"
    except UnicodeDecodeError:
        value, encoding = base64.b64encode(message.value).decode(), "base64"
    failed_at = datetime.fromtimestamp(message.timestamp_ms / 1000, UTC)
    place = f"{message.topic}|{message.partition}|{message.offset}|{message.timestamp_ms}"
    letter = DeadLetter(
        id=hashlib.blake2b(place.encode(), digest_size=16).hexdigest(),
        source_topic=said("source_topic"),
        source_partition=number("source_partition"),
        source_offset=number("source_offset"),
        reason=said("reason"),
        error=said("error"),
        value=value,
        encoding="text" if encoding == "text" else "base64",
        failed_at=failed_at,
        status="open",
        changed_at=failed_at,
    )
    return Scope(said("tenant_id"), said("environment_id")), letter


def _row(scope: Scope, letter: DeadLetter) -> _Row:
    fields = msgspec.structs.asdict(letter)
    fields["failed_at"] = milliseconds(letter.failed_at)
    fields["changed_at"] = milliseconds(letter.changed_at)
    # Not an instant: the environment's clock may stand before the broker's.
    version = 0 if letter.status == "open" else 1
    return _Row(
        tenant_id=scope.tenant_id, environment_id=scope.environment_id, version=version, **fields
    )


def _readable(letter: DeadLetter) -> Line | CorrectionLine | None:
    """The line as the consumers read it, where they can."""
    text = letter.bytes
    try:
        return read_line(text) if holds_corrections(text) else _line.decode(text)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None


def _values(scope: Scope) -> dict[str, str]:
    return {"tenant": scope.tenant_id, "environment": scope.environment_id}
