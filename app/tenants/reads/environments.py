from collections.abc import Collection

import asyncpg

from app.infra import listing
from app.infra.listing import Column, Listing, Order, Page, PageRequest
from app.infra.postgres import fetch
from app.infra.rows import ARCHIVABLE_STATUS, json_of, the
from app.kernel.scope import Scope
from app.tenants.settings import EnvironmentSettings, effective
from app.tenants.tenant import Environment, EnvironmentStatus, EnvironmentType

LISTING = Listing(
    table="environments",
    columns=(
        Column("id", "id", sortable=True),
        Column("name", "string", sortable=True),
        Column("type", "enum"),
        Column(
            "status",
            "enum",
            sql=ARCHIVABLE_STATUS,
        ),
        Column("created_at", "datetime", sortable=True),
        Column("updated_at", "datetime", sortable=True),
    ),
    default_order=(Order("created_at"),),
    searchable=("name",),
    environment=False,
)
_SELECT = "SELECT * FROM environments WHERE tenant_id = $1 AND "


async def page(scope: Scope, request: PageRequest) -> Page[Environment]:
    return (await listing.page(scope, LISTING, request)).map(row_of)


async def by_ids(scope: Scope, ids: Collection[str]) -> dict[str, Environment]:
    """The tenant's environments with these ids; absent ids are absent from the result."""
    rows = await fetch(scope, _SELECT + "id = ANY($2)", scope.tenant_id, list(ids))
    return {row["id"]: row_of(row) for row in rows}


async def get(scope: Scope, environment_id: str) -> Environment:
    """Raises: NotFound."""
    return the(await by_ids(scope, [environment_id]), "environment", environment_id)


async def active(scope: Scope) -> list[Environment]:
    """The tenant's environments that are not archived, oldest first."""
    rows = await fetch(
        scope, _SELECT + "archived_at IS NULL ORDER BY created_at, id", scope.tenant_id
    )
    return [row_of(row) for row in rows]


async def settings(scope: Scope) -> EnvironmentSettings:
    """The settings in force in the scope's environment. Raises: NotFound."""
    return effective((await get(scope, scope.environment_id)).overrides)


def row_of(record: asyncpg.Record) -> Environment:
    archived = record["archived_at"]
    return Environment(
        id=record["id"],
        name=record["name"],
        type=EnvironmentType(record["type"]),
        overrides=json_of(record["settings"]),
        status=EnvironmentStatus.ACTIVE if archived is None else EnvironmentStatus.ARCHIVED,
        created_at=record["created_at"],
        updated_at=record["updated_at"],
        archived_at=archived,
    )
