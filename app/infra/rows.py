"""What the reads of every domain have in common."""

from collections.abc import Collection, Mapping
from typing import Any, TypeVar

import asyncpg
import orjson

from app.infra.postgres import fetch
from app.kernel.errors import NotFound
from app.kernel.scope import Scope

T = TypeVar("T")

# The state of a row that is in use until it is archived, as listings filter by it.
ARCHIVABLE_STATUS = "(CASE WHEN archived_at IS NULL THEN 'active' ELSE 'archived' END)"


async def having(
    scope: Scope,
    table: str,
    column: str,
    values: Collection[str],
    *,
    also: str = "",
    columns: str = "*",
) -> list[asyncpg.Record]:
    """The rows of the scope whose `column` has one of the values, in one statement.

    `table`, `column`, `columns` and `also` are SQL of ours; the last goes on behind the predicate,
    such as `AND archived_at IS NULL` or `ORDER BY id`.
    """
    sql = (
        f"SELECT {columns} FROM {table} WHERE tenant_id = $1 AND environment_id = $2 "  # noqa: S608
        f"AND {column} = ANY($3) {also}"
    )
    return await fetch(scope, sql, scope.tenant_id, scope.environment_id, list(values))


def the(found: Mapping[str, T], kind: str, id_: str, *, field: str = "id") -> T:
    """What was found under the id. Raises: NotFound, which names `field` as the input at fault."""
    if id_ not in found:
        raise NotFound(kind, id_, field=field)
    return found[id_]


def json_of(value: Any) -> Any:
    """A jsonb column: asyncpg hands it over as text unless a codec is set."""
    return orjson.loads(value) if isinstance(value, str | bytes) else value
