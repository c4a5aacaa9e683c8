"""The event store: rows as they came from Kafka, and the identities already accepted.

Rows pass through as the bytes they are. What is decoded of them is what the consumer decides
by; what is added is what the table has beyond the envelope: the properties once more, for the
column of fields, and the name of the batch.
"""

import asyncio
import re
from collections.abc import Iterator, Sequence
from typing import Annotated

import msgspec
from msgspec import Meta, Raw, Struct

from app.infra.clickhouse import ClickHouse
from app.infra.clickhouse_parameters import encode

Name = Annotated[str, Meta(min_length=1, max_length=255)]
Instant = Annotated[str, Meta(min_length=23, max_length=23)]

# The server reads at most 262,144 bytes of a statement unless told otherwise.
_MAX_SQL_BYTES = 200_000
_LOOKUPS_AT_ONCE = 4
# What cannot stand in a literal as it is, besides the quote.
_SPECIAL = re.compile(r"[\\\x00-\x1f\x7f]")
# The server refuses an insert into more than 100 partitions; a partition is a month.
MAX_MONTHS = 90


class Line(Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """A line of an envelope, as far as it is looked at. See `EventRow` for its shape."""

    tenant_id: Name
    environment_id: Name
    event_id: Name
    event_name: Name
    external_customer_id: Name
    timestamp: Instant
    source: Raw
    properties: Raw
    ingested_at: Instant

    @property
    def identity(self) -> tuple[str, str, str]:
        return self.tenant_id, self.environment_id, self.event_id


class Row(Struct, frozen=True, gc=False):
    """A line together with its bytes. `message` is the index of the message it came in."""

    line: Line
    text: bytes
    message: int


class _Identity(Struct, frozen=True, array_like=True, gc=False):
    tenant_id: str
    environment_id: str
    event_id: str


class _IdRow(Struct, gc=False):
    tenant_id: str
    environment_id: str
    event_id: str
    first_seen: str


_lines = msgspec.json.Decoder(Line)
_values = msgspec.json.Decoder(dict[str, Raw])
_encoder = msgspec.json.Encoder()


def read_envelope(value: bytes, message: int) -> tuple[list[Row], list[tuple[bytes, str]]]:
    """The rows of an envelope, and the lines that are none, each with what is wrong with it."""
    texts = [text for text in value.split(b"\n") if text]
    try:
        lines = _lines.decode_lines(value)
        if len(lines) == len(texts):
            rows = [Row(line, text, message) for line, text in zip(lines, texts, strict=True)]
            return rows, []
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        pass  # at least one line is at fault; find out which
    rows, faulty = [], []
    for text in texts:
        try:
            rows.append(Row(_lines.decode(text), text, message))
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            faulty.append((text, str(error)))
    return rows, faulty


def stamped(row: Row, at: str) -> Row:
    """The row as one that was accepted at this instant; nearly always it says so already."""
    if row.line.ingested_at == at:
        return row
    values = _values.decode(row.text)
    values["ingested_at"] = Raw(_encoder.encode(at))
    line = msgspec.structs.replace(row.line, ingested_at=at)
    return Row(line, _encoder.encode(values), row.message)


async def stored_identities(
    clickhouse: ClickHouse, rows: Sequence[Row]
) -> set[tuple[str, str, str]]:
    """Which of the rows' identities have been accepted before. Raises: Unavailable."""
    limit = asyncio.Semaphore(_LOOKUPS_AT_ONCE)

    async def look_up(sql: str) -> list[_Identity]:
        async with limit:
            return await clickhouse.select(sql, row=_Identity)

    found = await asyncio.gather(*(look_up(sql) for sql in _lookups(rows)))
    return {(row.tenant_id, row.environment_id, row.event_id) for rows in found for row in rows}


async def insert_events(clickhouse: ClickHouse, rows: Sequence[Row], batch: str) -> None:
    """Store the rows under the name of their batch; the same again changes nothing.

    Raises: Unavailable, ClickHouseError.
    """
    name = _encoder.encode(batch)
    parts: list[bytes] = []
    for row in rows:
        parts += (
            row.text[: row.text.rindex(b"}")],
            b',"fields":',
            bytes(row.line.properties),
            b',"batch":',
            name,
            b"}\n",
        )
    await clickhouse.insert("events", b"".join(parts), token=batch)


async def insert_identities(clickhouse: ClickHouse, rows: Sequence[Row], batch: str) -> None:
    """Note that the rows' events are accepted, metered and all. Raises: Unavailable."""
    body = _encoder.encode_lines(
        [
            _IdRow(line.tenant_id, line.environment_id, line.event_id, line.ingested_at)
            for line in (row.line for row in rows)
        ]
    )
    await clickhouse.insert("event_ids", body, token=batch)


def by_months(rows: Sequence[Row]) -> list[list[Row]]:
    """The rows in parts that each touch no more months than one insert may."""
    months = sorted({row.line.timestamp[:7] for row in rows})
    if len(months) <= MAX_MONTHS:
        return [list(rows)] if rows else []
    parts: list[list[Row]] = [[] for _ in range(0, len(months), MAX_MONTHS)]
    part_of = {month: index // MAX_MONTHS for index, month in enumerate(months)}
    for row in rows:
        parts[part_of[row.line.timestamp[:7]]].append(row)
    return parts


def _lookups(rows: Sequence[Row]) -> Iterator[str]:
    """Queries for the identities, each short enough for the server's parser."""
    by_scope: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        line = row.line
        by_scope.setdefault((line.tenant_id, line.environment_id), []).append(line.event_id)
    clauses: list[str] = []
    size = 0
    for (tenant_id, environment_id), ids in by_scope.items():
        scope = (
            f"tenant_id = {_quoted([tenant_id])} AND environment_id = {_quoted([environment_id])}"
        )
        for chunk in _chunks(ids):
            clause = f"({scope} AND event_id IN ({_quoted(chunk)}))"
            length = len(clause.encode())
            if clauses and size + length > _MAX_SQL_BYTES:
                yield _lookup(clauses)
                clauses, size = [], 0
            clauses.append(clause)
            size += length
    if clauses:
        yield _lookup(clauses)


def _chunks(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    """Parts that stay within the bound however their characters are spelled."""
    start = size = 0
    for index, event_id in enumerate(ids):
        # Four bytes a character in UTF-8, or two for one that is escaped.
        length = (len(event_id) if event_id.isascii() else 4 * len(event_id)) + 3
        if "\\" in event_id or "'" in event_id:
            length *= 2
        if size + length > _MAX_SQL_BYTES and index > start:
            yield ids[start:index]
            start, size = index, 0
        size += length
    if start < len(ids):
        yield ids[start:]


def _quoted(texts: Sequence[str]) -> str:
    """The texts as literals with commas between them."""
    joined = "','".join(texts)
    if _SPECIAL.search(joined) is None and joined.count("'") == 2 * (len(texts) - 1):
        return f"'{joined}'"
    return encode(texts)[1:-1]  # an array, without its brackets


def _lookup(clauses: Sequence[str]) -> str:
    return (
        "SELECT tenant_id, environment_id, event_id FROM event_ids "  # noqa: S608 - quoted above
        f"WHERE {' OR '.join(clauses)}"
    )
