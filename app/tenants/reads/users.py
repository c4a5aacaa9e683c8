from collections.abc import Collection

import asyncpg

from app.infra import listing
from app.infra.listing import Column, Listing, Order, Page, PageRequest
from app.infra.postgres import fetch
from app.infra.rows import the
from app.kernel.scope import Scope
from app.tenants.user import PrincipalStatus, User

_STATUS = (
    "(CASE WHEN archived_at IS NOT NULL THEN 'archived' "
    "WHEN password_hash IS NULL THEN 'invited' ELSE 'active' END)"
)
_ROLES = (
    "ARRAY(SELECT role FROM role_assignments AS a WHERE a.tenant_id = users.tenant_id "
    "AND a.principal_id = users.id ORDER BY role)"
)
# Never the hashes: nobody above this module has a use for them.
_COLUMNS = (
    f"id, email, name, created_at, updated_at, archived_at, {_STATUS} AS status, {_ROLES} AS roles"
)
LISTING = Listing(
    table="users",
    columns=(
        Column("id", "id", sortable=True),
        Column("email", "string", sortable=True),
        Column("name", "string", sortable=True),
        Column("status", "enum", sql=_STATUS),
        Column("roles", "string_list", sql=_ROLES),
        Column("created_at", "datetime", sortable=True),
        Column("updated_at", "datetime", sortable=True),
    ),
    default_order=(Order("created_at", descending=True),),
    searchable=("email", "name"),
    select=_COLUMNS,
    environment=False,
)


async def page(scope: Scope, request: PageRequest) -> Page[User]:
    return (await listing.page(scope, LISTING, request)).map(row_of)


async def by_ids(scope: Scope, ids: Collection[str]) -> dict[str, User]:
    """The tenant's users with these ids; absent ids are absent from the result."""
    rows = await fetch(
        scope,
        f"SELECT {_COLUMNS} FROM users WHERE tenant_id = $1 AND id = ANY($2)",  # noqa: S608
        scope.tenant_id,
        list(ids),
    )
    return {row["id"]: row_of(row) for row in rows}


async def get(scope: Scope, user_id: str) -> User:
    """Raises: NotFound."""
    return the(await by_ids(scope, [user_id]), "user", user_id)


def row_of(record: asyncpg.Record) -> User:
    return User(
        id=record["id"],
        email=record["email"],
        name=record["name"],
        roles=tuple(record["roles"]),
        status=PrincipalStatus(record["status"]),
        created_at=record["created_at"],
        updated_at=record["updated_at"],
        archived_at=record["archived_at"],
    )
