from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any

import orjson
from msgspec import Struct

from app.infra.postgres import system
from app.kernel.scope import Scope

# Any constant of ours; it only has to differ from other advisory locks of the product.
_LOCK = 7_061_979
_UNTOLD = (
    "SELECT position, tenant_id, environment_id, name, entity_id, occurred_at, payload "
    "FROM outbox WHERE sequence IS NULL ORDER BY position LIMIT $1"
)
_NUMBERS = (
    "INSERT INTO outbox_sequences (environment_id, tenant_id, last) "
    "SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[]) "
    "ON CONFLICT (environment_id) DO UPDATE SET last = outbox_sequences.last + excluded.last "
    "RETURNING environment_id, last"
)
_TOLD = (
    "UPDATE outbox SET sequence = told.sequence "
    "FROM unnest($1::bigint[], $2::bigint[]) AS told(position, sequence) "
    "WHERE outbox.position = told.position"
)


class Entry(Struct, frozen=True):
    """One event on its way out. `sequence` counts from 1 in its environment, without a gap."""

    scope: Scope
    sequence: int
    name: str
    entity_id: str
    occurred_at: datetime
    payload: dict[str, Any]


async def relay_once(
    tell: Callable[[Sequence[Entry]], Awaitable[None]], *, limit: int = 500
) -> int:
    """Hand on up to `limit` committed entries and return how many there were.

    The numbers are committed after `tell` returns: if it raises, or the process dies, the
    same entries get the same numbers and are told again. Another relay at work: 0 at once.
    `tell` runs while the lock is held, so it must have a deadline of its own.
    """
    async with system() as connection:
        if not await connection.fetchval("SELECT pg_try_advisory_xact_lock($1)", _LOCK):
            return 0
        rows = await connection.fetch(_UNTOLD, limit)
        if not rows:
            return 0
        counts: dict[str, int] = {}
        tenants: dict[str, str] = {}
        for row in rows:
            environment = row["environment_id"]
            counts[environment] = counts.get(environment, 0) + 1
            tenants[environment] = row["tenant_id"]
        ends = await connection.fetch(
            _NUMBERS, list(counts), [tenants[e] for e in counts], list(counts.values())
        )
        following = {row["environment_id"]: row["last"] for row in ends}
        for environment, count in counts.items():
            following[environment] -= count
        entries = []
        for row in rows:
            following[row["environment_id"]] += 1
            entries.append(_entry(row, following[row["environment_id"]]))
        await tell(entries)
        await connection.execute(
            _TOLD, [row["position"] for row in rows], [entry.sequence for entry in entries]
        )
        return len(entries)


def _entry(row: Any, sequence: int) -> Entry:
    payload = row["payload"]
    return Entry(
        scope=Scope(row["tenant_id"], row["environment_id"]),
        sequence=sequence,
        name=row["name"],
        entity_id=row["entity_id"],
        occurred_at=row["occurred_at"],
        payload=orjson.loads(payload) if isinstance(payload, str) else payload,
    )
