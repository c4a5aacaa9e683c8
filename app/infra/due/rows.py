"""The rows of due work: scheduling, moving and finding them.

Whoever touches several takes them in the order of their subjects, so that two at a time wait for
each other instead of one of them being broken off.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from msgspec import Struct
from tortoise import connections

from app.infra.arrays import joined, texts
from app.infra.postgres import fetch, system
from app.kernel.ids import new_id, new_ids
from app.kernel.scope import Scope

_NEW = (
    "INSERT INTO due_items "  # noqa: S608
    "(id, tenant_id, environment_id, kind, subject_id, owner_id, clock_id, due_at, attempts) "
    "SELECT i, $2, $3, $4, s, o, m.clock_id, d, 0 "
    f"FROM unnest({texts(1)}, {texts(5)}, {texts(6)}, $7::timestamptz[]) AS row(i, s, o, d) "
    "LEFT JOIN clock_members m "
    "ON m.tenant_id = $2 AND m.environment_id = $3 AND m.owner_id = row.o ORDER BY s "
    "ON CONFLICT (tenant_id, environment_id, kind, subject_id) DO NOTHING"
)
_HASTEN = _NEW.removesuffix("NOTHING") + (
    "UPDATE SET due_at = least(due_items.due_at, excluded.due_at), attempts = 0, last_error = NULL"
)
_SCHEDULE = _NEW.removesuffix("NOTHING") + (
    "UPDATE SET due_at = excluded.due_at, attempts = 0, last_error = NULL"
)
# Before every instant that work can be due at.
_BEGINNING = datetime.min.replace(tzinfo=UTC)
_SCOPE = "tenant_id = $1 AND environment_id = $2 AND kind = $3"
_IN_SHARD = " AND abs(hashtext(coalesce(owner_id, subject_id))::bigint) % ${of} = ${index}"
_HELD = (
    f"WITH held AS (SELECT id FROM due_items WHERE {_SCOPE} AND subject_id = ANY($4) "  # noqa: S608
    "ORDER BY subject_id FOR UPDATE) "
)
_CANCEL = _HELD + "DELETE FROM due_items WHERE id IN (SELECT id FROM held)"  # noqa: S608
_FAILED = _HELD + (  # noqa: S608
    "UPDATE due_items SET attempts = attempts + 1, last_error = $5 "
    "WHERE id IN (SELECT id FROM held)"
)


class Item(Struct, frozen=True):
    """Work that falls due for a subject at `due_at`, an instant of the clock its owner lives on.

    `owner_id` is the customer whose work it is, or None where it is the environment's own.
    """

    subject_id: str
    due_at: datetime
    owner_id: str | None


class Shard(Struct, frozen=True):
    """One of `of` parts of due work that are done side by side; `index` counts from 0.

    What an owner has is all in one of them.
    """

    index: int
    of: int


WHOLE: Final = Shard(0, 1)


class Due(Struct, frozen=True):
    """One subject with work waiting since `due_at`."""

    subject_id: str
    due_at: datetime
    attempts: int

    @property
    def cursor(self) -> str:
        """Where the page behind this one begins."""
        return f"{self.due_at.isoformat()} {self.subject_id}"


async def schedule(scope: Scope, kind: str, item: Item) -> None:
    """Work of `kind` falls due for the subject; moves it if it was scheduled before."""
    await schedule_many(scope, kind, [item])


async def schedule_many(scope: Scope, kind: str, items: Sequence[Item]) -> None:
    """`schedule` for many subjects in one statement. Call inside `writing(scope)`."""
    if not items:
        return
    async with connections.get("default").acquire_connection() as connection:
        await connection.execute(
            _SCHEDULE,
            joined(new_ids("due", len(items))),
            scope.tenant_id,
            scope.environment_id,
            kind,
            joined(item.subject_id for item in items),
            joined(item.owner_id for item in items),
            [item.due_at for item in items],
        )


async def schedule_new(scope: Scope, kind: str, item: Item) -> None:
    """Work of `kind` falls due for the subject, unless it is scheduled already.

    Call inside `writing(scope)`.
    """
    await _schedule_one(_NEW, scope, kind, item)


async def hasten(scope: Scope, kind: str, item: Item) -> None:
    """Work of `kind` falls due for the subject at the latest then. Call inside `writing(scope)`.

    Asked for again and again, it is not put off: a run that has begun takes what was due then.
    """
    await _schedule_one(_HASTEN, scope, kind, item)


async def _schedule_one(statement: str, scope: Scope, kind: str, item: Item) -> None:
    async with connections.get("default").acquire_connection() as connection:
        await connection.execute(
            statement,
            new_id("due"),
            scope.tenant_id,
            scope.environment_id,
            kind,
            item.subject_id,
            item.owner_id or "",
            [item.due_at],
        )


async def cancel(scope: Scope, kind: str, subject_ids: Sequence[str]) -> None:
    """No more work of `kind` for the subjects. Call inside `writing(scope)`."""
    async with connections.get("default").acquire_connection() as connection:
        await connection.execute(
            _CANCEL,
            scope.tenant_id,
            scope.environment_id,
            kind,
            list(subject_ids),
        )


async def failed(scope: Scope, kind: str, subject_ids: Sequence[str], error: str) -> None:
    """Note that doing the work failed; it stays due. Call inside `writing(scope)`."""
    async with connections.get("default").acquire_connection() as connection:
        await connection.execute(
            _FAILED,
            scope.tenant_id,
            scope.environment_id,
            kind,
            list(subject_ids),
            error,
        )


async def waiting(
    scope: Scope,
    kind: str,
    *,
    at: datetime,
    limit: int,
    after: str = "",
    clock_id: str | None = None,
    shard: Shard = WHOLE,
) -> list[Due]:
    """Subjects whose work of `kind` is due at `at`, the longest due first; pages by `Due.cursor`.

    Of those who live on the test clock, or by the environment's own present where there is none.
    Reading is not claiming: the work itself locks the subject and checks that it is still due.
    """
    since, subject_id = _behind(after)
    more: list[str | int] = []
    lives = "clock_id IS NULL"
    if clock_id is not None:
        more.append(clock_id)
        lives = "clock_id = $8"
    if shard != WHOLE:
        more += [shard.of, shard.index]
        lives += _IN_SHARD.format(of=6 + len(more), index=7 + len(more))
    rows = await fetch(
        scope,
        f"SELECT subject_id, due_at, attempts FROM due_items WHERE {_SCOPE} "  # noqa: S608
        f"AND due_at <= $4 AND (due_at, subject_id) > ($5, $6) AND {lives} "
        "ORDER BY clock_id, due_at, subject_id LIMIT $7",
        scope.tenant_id,
        scope.environment_id,
        kind,
        at,
        since,
        subject_id,
        limit,
        *more,
    )
    return [Due(row["subject_id"], row["due_at"], row["attempts"]) for row in rows]


async def scopes_with_work(kinds: Sequence[str], *, at: datetime) -> list[Scope]:
    """Every environment that has work of any of the kinds due at `at`, across tenants.

    What lives on a test clock is not counted: its present is another.
    """
    async with system() as connection:
        rows = await connection.fetch(
            "SELECT DISTINCT tenant_id, environment_id FROM due_items "
            "WHERE clock_id IS NULL AND kind = ANY($1) AND due_at <= $2 ORDER BY 1, 2",
            list(kinds),
            at,
        )
    return [Scope(row["tenant_id"], row["environment_id"]) for row in rows]


def _behind(cursor: str) -> tuple[datetime, str]:
    since, _, subject_id = cursor.partition(" ")
    return (datetime.fromisoformat(since) if since else _BEGINNING), subject_id
