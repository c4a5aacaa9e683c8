"""Storing corrections: each becomes the next version of its event, once, in the order of the log.

The steps are those of events: the rows are stored, then metered, and only then noted as settled.
What is not noted is done again, and gives the same versions.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

import msgspec
from msgspec import Raw, Struct

from app.infra import crash
from app.infra.clickhouse import ClickHouse, ClickHouseError
from app.infra.clickhouse_parameters import Places
from app.kernel.errors import Unavailable
from app.kernel.scope import Scope
from app.metering import event_versions
from app.metering.corrections.revising import revised
from app.metering.corrections.wire import Correction
from app.metering.event_versions import StoredEvent
from app.metering.ingest import milliseconds
from app.metering.storage import MAX_MONTHS
from app.metering.stored import ROWS_AT_FAULT, meter_batch, settled

# Where usage may have changed: tenant, environment, external customer id, event name.
Place = tuple[str, str, str, str]
_OPEN = "1970-01-01 00:00:00.000"  # a version that still holds


class Revision(Struct, frozen=True, gc=False):
    """What becomes of one event: the rows to store, and the corrections they come from."""

    scope: Scope
    rows: list[StoredEvent]
    corrections: list[Correction]

    @property
    def places(self) -> list[Place]:
        return [_place(self.scope, row) for row in self.rows]


class Refused(Struct, frozen=True, gc=False):
    """A correction that can never be stored: `code` for programs, `error` for people."""

    correction: Correction
    code: str
    error: str


class _VersionRow(Struct, gc=False):
    """A row of the table of events, as JSON spells it."""

    tenant_id: str
    environment_id: str
    event_id: str
    event_name: str
    external_customer_id: str
    timestamp: str
    source: str
    properties: Raw
    fields: Raw
    ingested_at: str
    batch: str
    version: int
    kind: str
    superseded_at: str
    correction_id: str
    reason: str
    actor_kind: str
    actor_id: str


class _NoteRow(Struct, gc=False):
    tenant_id: str
    environment_id: str
    event_id: str
    correction_id: str
    version: int
    first_seen: str


class _Note(Struct, array_like=True, frozen=True, gc=False):
    event_id: str
    correction_id: str


_encoder = msgspec.json.Encoder()


class CorrectionStore:
    """Stores the corrections of batches, after the events of the same batch."""

    def __init__(self, clickhouse: ClickHouse) -> None:
        self._clickhouse = clickhouse

    async def store(
        self, corrections: Sequence[Correction], name: str
    ) -> tuple[list[Place], list[Refused]]:
        """Store what is new of them under the name of their batch.

        Returns the places whose usage they may have changed, copies included, and the
        corrections that can never be stored. Raises: Unavailable; then all is to be done again.
        """
        revisions, places, refused = await self._revisions(corrections)
        done: list[Revision] = []
        for index, part in enumerate(_parts(revisions)):
            refused += await self._insert(part, f"{name}.c{index}", done)
        crash.point("corrections.after_derive")
        if done:
            await settled(self._note(done))
        crash.point("corrections.after_note")
        return [*places, *(place for one in done for place in one.places)], refused

    async def _revisions(
        self, corrections: Sequence[Correction]
    ) -> tuple[list[Revision], list[Place], list[Refused]]:
        asked: dict[Scope, dict[str, dict[str, Correction]]] = defaultdict(dict)
        for one in corrections:
            line = one.line
            events = asked[Scope(line.tenant_id, line.environment_id)]
            events.setdefault(line.event_id, {}).setdefault(line.correction_id, one)
        revisions: list[Revision] = []
        places: list[Place] = []
        refused: list[Refused] = []
        for scope, events in asked.items():
            known = await event_versions.by_event(scope, self._clickhouse, events)
            noted = await self._settled(scope, list(events))
            for event_id, wanted in events.items():
                if event_id not in known:
                    said = f"there is no event {event_id} to correct"
                    refused += [Refused(one, "UNKNOWN_EVENT", said) for one in wanted.values()]
                    continue
                versions = known[event_id]
                places += [_place(scope, version) for version in versions]
                new = [one for id_, one in wanted.items() if id_ not in noted[event_id]]
                if new:
                    rows = revised(versions, noted[event_id], [one.line for one in new])
                    revisions.append(Revision(scope, rows, new))
        return revisions, places, refused

    async def _settled(self, scope: Scope, event_ids: Sequence[str]) -> Mapping[str, set[str]]:
        """The ids of the corrections of each event that count by now."""
        found: dict[str, set[str]] = defaultdict(set)
        for part in event_versions.portions(event_ids):
            places = Places()
            sql = (
                "SELECT event_id, correction_id FROM event_corrections "  # noqa: S608 - parameters
                f"WHERE tenant_id = {places.add(scope.tenant_id, 'String')} "
                f"AND environment_id = {places.add(scope.environment_id, 'String')} AND event_id "
                f"IN {places.add(part, 'Array(String)')}"
            )
            for row in await self._clickhouse.select(sql, places.values, row=_Note):
                found[row.event_id].add(row.correction_id)
        return found

    async def _insert(
        self, part: Sequence[Revision], name: str, done: list[Revision]
    ) -> list[Refused]:
        """Insert and derive; halves what is refused until the events at fault are alone."""
        body = b"".join(
            _encoder.encode(_row(one.scope, row, name)) + b"\n" for one in part for row in one.rows
        )
        try:
            # Without a token: what an attempt that broke off has left must not keep these out.
            await self._clickhouse.insert("events", body)
        except ClickHouseError as error:
            if error.number not in ROWS_AT_FAULT:
                raise Unavailable("ClickHouse", str(error)) from error
            if len(part) == 1:
                said = str(error)
                return [Refused(one, "REFUSED_BY_STORE", said) for one in part[0].corrections]
            half = len(part) // 2
            return [
                *await self._insert(part[:half], f"{name}a", done),
                *await self._insert(part[half:], f"{name}b", done),
            ]
        crash.point("corrections.after_insert")
        touched = (
            (tenant_id, environment_id, event_name)
            for one in part
            for tenant_id, environment_id, _, event_name in one.places
        )
        await settled(meter_batch(self._clickhouse, touched, name))
        done += part
        return []

    async def _note(self, done: Sequence[Revision]) -> None:
        rows = [
            _NoteRow(
                one.scope.tenant_id,
                one.scope.environment_id,
                row.event_id,
                row.correction_id,
                row.version,
                milliseconds(row.ingested_at),
            )
            for one in done
            for row in one.rows[1:]
        ]
        await self._clickhouse.insert("event_corrections", _encoder.encode_lines(rows))


def _parts(revisions: Sequence[Revision]) -> Iterator[list[Revision]]:
    """The revisions in parts that each touch no more months than one insert may."""
    part: list[Revision] = []
    months: set[tuple[int, int]] = set()
    for one in revisions:
        own = {(row.timestamp.year, row.timestamp.month) for row in one.rows}
        if part and len(months | own) > MAX_MONTHS:
            yield part
            part, months = [], set()
        part.append(one)
        months |= own
    if part:
        yield part


def _place(scope: Scope, version: StoredEvent) -> Place:
    customer, name = version.external_customer_id, version.event_name
    return scope.tenant_id, scope.environment_id, customer, name


def _row(scope: Scope, version: StoredEvent, batch: str) -> _VersionRow:
    properties = Raw(version.properties.encode())
    ended = version.superseded_at
    return _VersionRow(
        tenant_id=scope.tenant_id,
        environment_id=scope.environment_id,
        event_id=version.event_id,
        event_name=version.event_name,
        external_customer_id=version.external_customer_id,
        timestamp=milliseconds(version.timestamp),
        source=version.source,
        properties=properties,
        fields=properties,
        ingested_at=milliseconds(version.ingested_at),
        batch=batch,
        version=version.version,
        kind=version.kind,
        superseded_at=_OPEN if ended is None else milliseconds(ended),
        correction_id=version.correction_id,
        reason=version.reason,
        actor_kind=version.actor_kind,
        actor_id=version.actor_id,
    )
