from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any

import orjson
from msgspec import Struct
from tortoise import connections

from app.infra.postgres import system
from app.kernel.scope import Scope

# Any constant of ours; it only has to differ from other advisory locks of the product.
_LOCK = 7_061_979
_UNNUMBERED = (
    "SELECT position, tenant_id, environment_id FROM outbox "
    "WHERE NOT told AND sequence IS NULL ORDER BY position LIMIT $1"
)
_RESERVE = (
    "INSERT INTO outbox_sequences (environment_id, tenant_id, last_sequence) "
    "SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[]) "
    "ON CONFLICT (environment_id) DO UPDATE SET last_sequence = "
    "outbox_sequences.last_sequence + excluded.last_sequence "
    "RETURNING environment_id, last_sequence"
)
_NUMBER = (
    "UPDATE outbox SET sequence = numbered.sequence "
    "FROM unnest($1::bigint[], $2::bigint[]) AS numbered(position, sequence) "
    "WHERE outbox.position = ANY($1) AND outbox.position = numbered.position"
)
_UNTOLD = (
    "SELECT position, tenant_id, environment_id, sequence, name, entity_id, occurred_at, payload "
    "FROM outbox WHERE NOT told AND sequence IS NOT NULL ORDER BY position LIMIT $1"
)
_TOLD = "UPDATE outbox SET told = true WHERE position = ANY($1)"


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

    An entry is numbered, then told, then marked, each step in a transaction of its own or in
    none: if `tell` raises, or the process dies, the same entries are told again under the same
    numbers. While another relay is at work the answer is 0 at once. `tell` needs a deadline.
    """
    async with connections.get("default").acquire_connection() as turn:
        if not await turn.fetchval("SELECT pg_try_advisory_lock($1)", _LOCK):
            return 0
        try:
            await _number(limit)
            async with system() as connection:
                rows = await connection.fetch(_UNTOLD, limit)
            if rows:
                await tell([_entry(row) for row in rows])
                async with system() as connection:
                    await connection.execute(_TOLD, [row["position"] for row in rows])
            return len(rows)
        finally:
            await turn.execute("SELECT pg_advisory_unlock($1)", _LOCK)


async def _number(limit: int) -> None:
    """Give the next numbers of their environments to entries that have none, in one order."""
    async with system() as connection:
        rows = await connection.fetch(_UNNUMBERED, limit)
        counts = Counter(row["environment_id"] for row in rows)
        tenants = {row["environment_id"]: row["tenant_id"] for row in rows}
        reserved = await connection.fetch(
            _RESERVE, list(counts), [tenants[e] for e in counts], list(counts.values())
        )
        given = {
            row["environment_id"]: row["last_sequence"] - counts[row["environment_id"]]
            for row in reserved
        }
        numbers = []
        for row in rows:
            given[row["environment_id"]] += 1
            numbers.append(given[row["environment_id"]])
        await connection.execute(_NUMBER, [row["position"] for row in rows], numbers)


def _entry(row: Any) -> Entry:
    payload = row["payload"]
    return Entry(
        scope=Scope(row["tenant_id"], row["environment_id"]),
        sequence=row["sequence"],
        name=row["name"],
        entity_id=row["entity_id"],
        occurred_at=row["occurred_at"],
        payload=orjson.loads(payload) if isinstance(payload, str) else payload,
    )
