"""Roles that tenants made, and what roles of either kind give."""

from collections.abc import Collection, Iterable

import asyncpg

from app.infra import listing
from app.infra.listing import Column, Listing, Order, Page, PageRequest
from app.infra.postgres import fetch
from app.infra.rows import ARCHIVABLE_STATUS, json_of, the
from app.kernel.scope import Scope
from app.tenants.role import BUILT_IN, PERMISSIONS, Role

LISTING = Listing(
    table="roles",
    columns=(
        Column("id", "id", sortable=True),
        Column("name", "string", sortable=True),
        Column(
            "status",
            "enum",
            sql=ARCHIVABLE_STATUS,
        ),
        Column("created_at", "datetime", sortable=True),
        Column("updated_at", "datetime", sortable=True),
    ),
    default_order=(Order("name"),),
    searchable=("name",),
    environment=False,
)


async def page(scope: Scope, request: PageRequest) -> Page[Role]:
    return (await listing.page(scope, LISTING, request)).map(row_of)


async def by_ids(scope: Scope, ids: Collection[str]) -> dict[str, Role]:
    """The tenant's own roles with these ids; absent ids are absent from the result."""
    rows = await fetch(
        scope,
        "SELECT * FROM roles WHERE tenant_id = $1 AND id = ANY($2)",
        scope.tenant_id,
        list(ids),
    )
    return {row["id"]: row_of(row) for row in rows}


async def get(scope: Scope, role_id: str) -> Role:
    """Raises: NotFound."""
    return the(await by_ids(scope, [role_id]), "role", role_id)


async def permissions_of(scope: Scope, names: Iterable[str]) -> frozenset[str]:
    """What the roles give together; one that is unknown or archived gives nothing."""
    wanted = set(names)
    own = await by_ids(scope, wanted - BUILT_IN.keys()) if wanted - BUILT_IN.keys() else {}
    stored = [role.permissions for role in own.values() if role.archived_at is None]
    return granted([*(BUILT_IN[name] for name in wanted & BUILT_IN.keys()), *stored])


def granted(parts: Iterable[Iterable[str]]) -> frozenset[str]:
    """The union, without permissions that the product no longer knows."""
    return PERMISSIONS & frozenset(permission for part in parts for permission in part)


def row_of(record: asyncpg.Record) -> Role:
    return Role(
        id=record["id"],
        name=record["name"],
        permissions=tuple(json_of(record["permissions"])),
        created_at=record["created_at"],
        updated_at=record["updated_at"],
        archived_at=record["archived_at"],
    )
