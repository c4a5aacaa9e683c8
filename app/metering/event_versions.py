"""All versions of an event: as it was sent, and what each correction made of it."""

import asyncio
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from typing import Literal

from msgspec import Struct

from app.infra.clickhouse import ClickHouse
from app.infra.clickhouse_parameters import MAX_BYTES, Places, size
from app.kernel.scope import Scope

_ROOM = MAX_BYTES - 1_000  # the scope takes the rest
Kind = Literal["original", "amended", "voided"]

SELECT = (
    "SELECT event_id, event_name, external_customer_id, timestamp, source, properties, "
    "ingested_at, version, kind, nullIf(superseded_at, toDateTime64(0, 3, 'UTC')) AS ended, "
    "correction_id, reason, actor_kind, actor_id FROM events"
)


class StoredEvent(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """A version of an accepted event. `properties` is the JSON object as it was sent, to the byte.

    It holds from `ingested_at` until before `superseded_at` (None: it still holds). The first
    version has the number 1 and no correction, reason or actor.
    """

    event_id: str
    event_name: str
    external_customer_id: str
    timestamp: datetime
    source: str
    properties: str
    ingested_at: datetime
    version: int = 1
    kind: Kind = "original"
    superseded_at: datetime | None = None
    correction_id: str = ""
    reason: str = ""
    actor_kind: str = ""
    actor_id: str = ""

    @property
    def id(self) -> str:
        return self.event_id


async def by_event(
    scope: Scope, clickhouse: ClickHouse, event_ids: Collection[str]
) -> dict[str, list[StoredEvent]]:
    """The versions of each event from the first on; events without any are absent.

    Raises: Unavailable.
    """
    answers = await asyncio.gather(
        *(_read(scope, clickhouse, part) for part in portions(list(dict.fromkeys(event_ids))))
    )
    found: dict[str, list[StoredEvent]] = {}
    for row in {(row.event_id, row.version): row for rows in answers for row in rows}.values():
        found.setdefault(row.event_id, []).append(row)
    return found


async def _read(
    scope: Scope, clickhouse: ClickHouse, event_ids: Sequence[str]
) -> list[StoredEvent]:
    """The rows of the events by version; of the copies of one the last is to be believed."""
    places = Places()
    sql = (
        f"{SELECT} WHERE tenant_id = {places.add(scope.tenant_id, 'String')} "
        f"AND environment_id = {places.add(scope.environment_id, 'String')} "
        f"AND event_id IN {places.add(event_ids, 'Array(String)')} "
        # As the table has it: the end of a version takes the place of the row without one.
        "ORDER BY event_id, version, superseded_at, ingested_at DESC"
    )
    return await clickhouse.select(sql, places.values, row=StoredEvent)


def portions(event_ids: Sequence[str]) -> Iterator[Sequence[str]]:
    """Ids of events in as many parts as fit the addresses of requests."""
    if not event_ids:
        return
    if len(event_ids) == 1 or size({"ids": event_ids}) <= _ROOM:
        yield event_ids
        return
    middle = len(event_ids) // 2
    yield from portions(event_ids[:middle])
    yield from portions(event_ids[middle:])
