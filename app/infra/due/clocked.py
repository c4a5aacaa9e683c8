"""Due work as the clock sees it: what comes next, what was refused, which clocks have any.

`clock_id` None means the work of an environment itself, by its own present.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import asyncpg
from msgspec import Struct

from app.infra.postgres import fetch, system, writing
from app.kernel.scope import Scope

# Ordered by all that the index is: that a clock is null does not tell PostgreSQL that its column
# stays the same.
_EARLIEST = (
    "SELECT k.kind, d.due_at FROM unnest($3::text[]) AS k(kind), LATERAL ("
    "SELECT due_at FROM due_items WHERE tenant_id = $1 AND environment_id = $2 "
    "AND kind = k.kind AND {lives} AND attempts = 0 ORDER BY clock_id, kind, due_at LIMIT 1) AS d"
)
_AMOUNT = (
    "SELECT count(*) FROM (SELECT FROM due_items WHERE tenant_id = $1 AND environment_id = $2 "
    "AND kind = ANY($3) AND {lives} AND due_at <= $4 LIMIT $5) AS found"
)
_REFUSED = (
    "SELECT k.kind FROM unnest($3::text[]) AS k(kind) WHERE EXISTS ("
    "SELECT 1 FROM due_items WHERE tenant_id = $1 AND environment_id = $2 "
    "AND kind = k.kind AND {lives} AND due_at <= $4 AND attempts > 0)"
)
_GIVE_UP = (
    "UPDATE due_items SET attempts = 1, last_error = $5 "
    "WHERE tenant_id = $1 AND environment_id = $2 AND kind = $3 AND {lives} "
    "AND due_at <= $4 AND attempts = 0 RETURNING subject_id"
)
# By the first of each kind: to find any at all, PostgreSQL may read rows until it meets one.
_FIRST_DUE = (
    "SELECT FROM unnest($5::text[]) AS k(kind), LATERAL (SELECT FROM due_items "
    "WHERE tenant_id = p.tenant AND environment_id = p.environment AND {lives} "
    "AND kind = k.kind AND due_at <= p.at ORDER BY clock_id, kind, due_at LIMIT 1) AS d"
)
_WITH_WORK = (
    "SELECT p.n FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[]) "  # noqa: S608
    "WITH ORDINALITY AS p(tenant, environment, clock, at, n) WHERE CASE WHEN p.clock IS NULL "
    f"THEN EXISTS ({_FIRST_DUE.format(lives='clock_id IS NULL')}) "
    f"ELSE EXISTS ({_FIRST_DUE.format(lives='clock_id = p.clock')}) END ORDER BY p.n"
)


class Standing(Struct, frozen=True):
    """A present that stands still, and whose it is."""

    scope: Scope
    clock_id: str | None
    at: datetime


async def earliest(
    scope: Scope, kinds: Sequence[str], *, clock_id: str | None
) -> dict[str, datetime]:
    """When the first work of each kind falls due that was not refused; kinds without are absent."""
    rows = await _found(scope, _EARLIEST, list(kinds), clock_id=clock_id)
    return {row["kind"]: row["due_at"] for row in rows}


async def amount(
    scope: Scope, kinds: Sequence[str], *, at: datetime, clock_id: str | None, most: int
) -> int:
    """How much work of any of the kinds is due at `at`; not counted beyond `most`."""
    rows = await _found(scope, _AMOUNT, list(kinds), at, most, clock_id=clock_id)
    found: int = rows[0][0]
    return found


async def refused(
    scope: Scope, kinds: Sequence[str], *, at: datetime, clock_id: str | None
) -> set[str]:
    """The kinds that have work due at `at` which was refused before."""
    rows = await _found(scope, _REFUSED, list(kinds), at, clock_id=clock_id)
    return {row["kind"] for row in rows}


async def give_up(
    scope: Scope, kind: str, error: str, *, at: datetime, clock_id: str | None
) -> list[str]:
    """Note work due at `at` that nobody tried as failed; the subjects."""
    clock, lives = _lives(clock_id, 6)
    async with writing(scope) as connection:
        rows = await connection.fetch(
            _GIVE_UP.format(lives=lives),
            scope.tenant_id,
            scope.environment_id,
            kind,
            at,
            error,
            *clock,
        )
    return [row["subject_id"] for row in rows]


async def with_work(kinds: Sequence[str], presents: Sequence[Standing]) -> list[Standing]:
    """Those of the presents at which work of any of the kinds is due, across tenants."""
    if not presents:
        return []
    async with system() as connection:
        rows = await connection.fetch(
            _WITH_WORK,
            [each.scope.tenant_id for each in presents],
            [each.scope.environment_id for each in presents],
            [each.clock_id for each in presents],
            [each.at for each in presents],
            list(kinds),
        )
    return [presents[row["n"] - 1] for row in rows]


async def _found(scope: Scope, sql: str, *given: Any, clock_id: str | None) -> list[asyncpg.Record]:
    """The rows of a query whose parameters from the third on are `given`, then the clock."""
    clock, lives = _lives(clock_id, 3 + len(given))
    sql = sql.format(lives=lives)
    return await fetch(scope, sql, scope.tenant_id, scope.environment_id, *given, *clock)


def _lives(clock_id: str | None, number: int) -> tuple[list[str], str]:
    """Written apart, for an index serves either and not both in one."""
    return ([], "clock_id IS NULL") if clock_id is None else ([clock_id], f"clock_id = ${number}")
