"""The rows of due work: scheduling, moving and finding them."""

from collections.abc import Sequence
from datetime import UTC, datetime

from msgspec import Struct
from tortoise import connections

from app.infra.postgres import fetch, system
from app.kernel.ids import new_id
from app.kernel.scope import Scope

_SCHEDULE = (
    "INSERT INTO due_items (id, tenant_id, environment_id, kind, subject_id, due_at, attempts) "
    "SELECT i, $2, $3, $4, s, d, 0 "
    "FROM unnest($1::text[], $5::text[], $6::timestamptz[]) AS row(i, s, d) "
    "ON CONFLICT (tenant_id, environment_id, kind, subject_id) "
    "DO UPDATE SET due_at = excluded.due_at, attempts = 0, last_error = NULL"
)
# Before every instant that work can be due at.
_BEGINNING = datetime.min.replace(tzinfo=UTC)
_SCOPE = "tenant_id = $1 AND environment_id = $2 AND kind = $3"


class Due(Struct, frozen=True):
    """One subject with work waiting since `due_at`."""

    subject_id: str
    due_at: datetime
    attempts: int

    @property
    def cursor(self) -> str:
        """Where the page behind this one begins."""
        return f"{self.due_at.isoformat()} {self.subject_id}"


async def schedule(scope: Scope, kind: str, subject_id: str, at: datetime) -> None:
    """Work of `kind` for the subject falls due at `at`; moves it if it was scheduled before."""
    await schedule_many(scope, kind, [(subject_id, at)])


async def schedule_many(scope: Scope, kind: str, items: Sequence[tuple[str, datetime]]) -> None:
    """`schedule` for many subjects in one statement. Call inside `writing(scope)`."""
    if not items:
        return
    ids = [new_id("due") for _ in items]
    subjects, instants = [s for s, _ in items], [d for _, d in items]
    async with connections.get("default").acquire_connection() as connection:
        await connection.execute(
            _SCHEDULE, ids, scope.tenant_id, scope.environment_id, kind, subjects, instants
        )


async def cancel(scope: Scope, kind: str, subject_ids: Sequence[str]) -> None:
    """No more work of `kind` for the subjects. Call inside `writing(scope)`."""
    async with connections.get("default").acquire_connection() as connection:
        await connection.execute(
            f"DELETE FROM due_items WHERE {_SCOPE} AND subject_id = ANY($4)",  # noqa: S608
            scope.tenant_id,
            scope.environment_id,
            kind,
            list(subject_ids),
        )


async def failed(scope: Scope, kind: str, subject_ids: Sequence[str], error: str) -> None:
    """Note that doing the work failed; it stays due. Call inside `writing(scope)`."""
    async with connections.get("default").acquire_connection() as connection:
        await connection.execute(
            "UPDATE due_items SET attempts = attempts + 1, last_error = $5 "  # noqa: S608
            f"WHERE {_SCOPE} AND subject_id = ANY($4)",
            scope.tenant_id,
            scope.environment_id,
            kind,
            list(subject_ids),
            error,
        )


async def waiting(
    scope: Scope, kind: str, *, at: datetime, limit: int, after: str = ""
) -> list[Due]:
    """Subjects whose work of `kind` is due at `at`, the longest due first; pages by `Due.cursor`.

    Reading is not claiming: the work itself locks the subject and checks that it is still due.
    """
    since, subject_id = _behind(after)
    rows = await fetch(
        scope,
        f"SELECT subject_id, due_at, attempts FROM due_items WHERE {_SCOPE} "  # noqa: S608
        "AND due_at <= $4 AND (due_at, subject_id) > ($5, $6) ORDER BY due_at, subject_id LIMIT $7",
        scope.tenant_id,
        scope.environment_id,
        kind,
        at,
        since,
        subject_id,
        limit,
    )
    return [Due(row["subject_id"], row["due_at"], row["attempts"]) for row in rows]


async def scopes_with_work(kinds: Sequence[str], *, at: datetime) -> list[Scope]:
    """Every environment that has work of any of the kinds due at `at`, across tenants."""
    async with system() as connection:
        rows = await connection.fetch(
            "SELECT DISTINCT tenant_id, environment_id FROM due_items "
            "WHERE kind = ANY($1) AND due_at <= $2 ORDER BY 1, 2",
            list(kinds),
            at,
        )
    return [Scope(row["tenant_id"], row["environment_id"]) for row in rows]


def _behind(cursor: str) -> tuple[datetime, str]:
    since, _, subject_id = cursor.partition(" ")
    return (datetime.fromisoformat(since) if since else _BEGINNING), subject_id
