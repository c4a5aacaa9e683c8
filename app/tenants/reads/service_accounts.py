from collections.abc import Collection

import asyncpg

from app.infra import listing
from app.infra.listing import Column, Listing, Order, Page, PageRequest
from app.infra.postgres import fetch
from app.infra.rows import ARCHIVABLE_STATUS, the
from app.kernel.scope import Scope
from app.tenants.user import PrincipalStatus, ServiceAccount

_ROLES = (
    "ARRAY(SELECT role FROM role_assignments AS a "
    "WHERE a.tenant_id = service_accounts.tenant_id "
    "AND a.principal_id = service_accounts.id ORDER BY role)"
)
_COLUMNS = (
    f"id, name, created_at, updated_at, archived_at, {ARCHIVABLE_STATUS} AS status, "
    f"{_ROLES} AS roles"
)
LISTING = Listing(
    table="service_accounts",
    columns=(
        Column("id", "id", sortable=True),
        Column("name", "string", sortable=True),
        Column("status", "enum", sql=ARCHIVABLE_STATUS),
        Column("roles", "string_list", sql=_ROLES),
        Column("created_at", "datetime", sortable=True),
        Column("updated_at", "datetime", sortable=True),
    ),
    default_order=(Order("created_at", descending=True),),
    searchable=("name",),
    select=_COLUMNS,
    environment=False,
)


async def page(scope: Scope, request: PageRequest) -> Page[ServiceAccount]:
    return (await listing.page(scope, LISTING, request)).map(row_of)


async def by_ids(scope: Scope, ids: Collection[str]) -> dict[str, ServiceAccount]:
    """The tenant's service accounts with these ids; absent ids are absent from the result."""
    rows = await fetch(
        scope,
        f"SELECT {_COLUMNS} FROM service_accounts "  # noqa: S608
        "WHERE tenant_id = $1 AND id = ANY($2)",
        scope.tenant_id,
        list(ids),
    )
    return {row["id"]: row_of(row) for row in rows}


async def get(scope: Scope, account_id: str, *, field: str = "id") -> ServiceAccount:
    """Raises: NotFound."""
    return the(await by_ids(scope, [account_id]), "service account", account_id, field=field)


def row_of(record: asyncpg.Record) -> ServiceAccount:
    return ServiceAccount(
        id=record["id"],
        name=record["name"],
        roles=tuple(record["roles"]),
        status=PrincipalStatus(record["status"]),
        created_at=record["created_at"],
        updated_at=record["updated_at"],
        archived_at=record["archived_at"],
    )
