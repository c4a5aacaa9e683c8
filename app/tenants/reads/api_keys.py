from collections.abc import Collection

import asyncpg

from app.infra import listing
from app.infra.listing import Column, Listing, Order, Page, PageRequest
from app.infra.postgres import fetch
from app.infra.rows import json_of, the
from app.kernel.scope import Scope
from app.tenants.api_key import ApiKey

# Never the hash: nobody above this module has a use for it.
_COLUMNS = (
    "id, name, prefix, permissions, service_account_id, created_by, expires_at, revoked_at, "
    "last_used_at, rotated_from, created_at, updated_at"
)
LISTING = Listing(
    table="api_keys",
    columns=(
        Column("id", "id", sortable=True),
        Column("name", "string", sortable=True),
        Column("prefix", "string"),
        Column("service_account_id", "id"),
        Column("created_by", "id"),
        Column("expires_at", "datetime", sortable=True, nullable=True),
        Column("revoked_at", "datetime", sortable=True, nullable=True),
        Column("last_used_at", "datetime", sortable=True, nullable=True),
        Column("created_at", "datetime", sortable=True),
        Column("updated_at", "datetime", sortable=True),
    ),
    default_order=(Order("created_at", descending=True),),
    searchable=("name", "prefix"),
    select=_COLUMNS,
)


async def page(scope: Scope, request: PageRequest) -> Page[ApiKey]:
    return (await listing.page(scope, LISTING, request)).map(row_of)


async def by_ids(scope: Scope, ids: Collection[str]) -> dict[str, ApiKey]:
    """The environment's keys with these ids; absent ids are absent from the result."""
    rows = await fetch(
        scope,
        f"SELECT {_COLUMNS} FROM api_keys "  # noqa: S608
        "WHERE tenant_id = $1 AND environment_id = $2 AND id = ANY($3)",
        scope.tenant_id,
        scope.environment_id,
        list(ids),
    )
    return {row["id"]: row_of(row) for row in rows}


async def get(scope: Scope, key_id: str) -> ApiKey:
    """Raises: NotFound."""
    return the(await by_ids(scope, [key_id]), "API key", key_id)


def row_of(record: asyncpg.Record) -> ApiKey:
    return ApiKey(
        id=record["id"],
        name=record["name"],
        prefix=record["prefix"],
        permissions=tuple(json_of(record["permissions"])),
        service_account_id=record["service_account_id"],
        created_by=record["created_by"],
        expires_at=record["expires_at"],
        revoked_at=record["revoked_at"],
        last_used_at=record["last_used_at"],
        rotated_from=record["rotated_from"],
        created_at=record["created_at"],
        updated_at=record["updated_at"],
    )
