"""Tenants. A scope finds its own; only the installation's operator finds others."""

from typing import Any

import asyncpg

from app.infra.postgres import fetch, system
from app.infra.rows import json_of
from app.kernel.errors import NotFound
from app.kernel.scope import Scope
from app.tenants.tenant import Tenant, TenantStatus


async def get(scope: Scope) -> Tenant:
    """The scope's tenant. Raises: NotFound."""
    rows = await fetch(scope, "SELECT * FROM tenants WHERE id = $1", scope.tenant_id)
    if not rows:
        raise NotFound("tenant", scope.tenant_id, field="id")
    return row_of(rows[0])


async def everywhere(*, after: str = "", limit: int = 100) -> list[Tenant]:
    """All tenants by id, for system keys and the command line; `after` pages on."""
    return await _across("id > $1 ORDER BY id LIMIT $2", after, limit)


async def named(name: str) -> list[Tenant]:
    """The tenants of that name, oldest first: names are not unique across the installation."""
    return await _across("name = $1 ORDER BY created_at, id", name)


async def identified(tenant_id: str) -> Tenant | None:
    """Any tenant by id, for system keys and the command line."""
    found = await _across("id = $1", tenant_id)
    return found[0] if found else None


async def _across(condition: str, *values: Any) -> list[Tenant]:
    async with system() as connection:
        rows = await connection.fetch(f"SELECT * FROM tenants WHERE {condition}", *values)  # noqa: S608
    return [row_of(row) for row in rows]


def row_of(record: asyncpg.Record) -> Tenant:
    suspended = record["suspended_at"]
    return Tenant(
        id=record["id"],
        name=record["name"],
        metadata=json_of(record["metadata"]),
        status=TenantStatus.ACTIVE if suspended is None else TenantStatus.SUSPENDED,
        created_at=record["created_at"],
        updated_at=record["updated_at"],
        suspended_at=suspended,
    )
