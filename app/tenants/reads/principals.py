"""Who a key or a session belongs to and what they may, in one query each.

These look across tenants, because the tenant is what they find out.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import asyncpg

from app.infra.postgres import system
from app.infra.rows import json_of
from app.kernel.scope import Scope
from app.tenants.caller import EnvironmentFacts, TenantFacts
from app.tenants.reads.roles import granted
from app.tenants.role import BUILT_IN
from app.tenants.settings import effective
from app.tenants.tenant import EnvironmentType

# The roles of a principal as [name or id, permissions of an own role that is in use or null].
_ROLES = """
(SELECT jsonb_agg(jsonb_build_array(a.role, r.permissions)) FROM role_assignments AS a
 LEFT JOIN roles AS r ON r.id = a.role AND r.tenant_id = a.tenant_id AND r.archived_at IS NULL
 WHERE a.tenant_id = {0}.tenant_id AND a.principal_id = {0}.id) AS roles
"""
_KEY = f"""
SELECT k.id, k.tenant_id, k.environment_id, k.secret_hash, k.permissions, k.expires_at,
    k.revoked_at, k.last_used_at, k.service_account_id, s.archived_at AS account_archived_at,
    t.name AS tenant_name, t.suspended_at, e.name AS environment_name, e.type, e.settings,
    e.archived_at AS environment_archived_at, {_ROLES.format("s")}
FROM api_keys AS k
JOIN tenants AS t ON t.id = k.tenant_id
JOIN environments AS e ON e.id = k.environment_id AND e.tenant_id = k.tenant_id
LEFT JOIN service_accounts AS s ON s.id = k.service_account_id AND s.tenant_id = k.tenant_id
WHERE k.prefix = $1
"""  # noqa: S608 - no input in it
_SESSION = f"""
SELECT s.id, s.tenant_id, s.user_id, s.revoked_at, s.expires_at, u.archived_at,
    t.name AS tenant_name, t.suspended_at, {_ROLES.format("u")},
    (SELECT jsonb_agg(jsonb_build_array(e.id, e.name, e.type, e.settings)
        ORDER BY e.type DESC, e.created_at, e.id)
     FROM environments AS e WHERE e.tenant_id = s.tenant_id AND e.archived_at IS NULL
    ) AS environments
FROM sessions AS s
JOIN users AS u ON u.id = s.user_id AND u.tenant_id = s.tenant_id
JOIN tenants AS t ON t.id = s.tenant_id
WHERE s.id = $1 AND s.tenant_id = $2 AND s.user_id = $3
"""  # noqa: S608 - no input in it
_PLACE = """
SELECT t.id AS tenant_id, t.name AS tenant_name, t.suspended_at, e.id AS environment_id,
    e.name AS environment_name, e.type, e.settings
FROM tenants AS t
LEFT JOIN environments AS e ON e.tenant_id = t.id AND e.id = $2 AND e.archived_at IS NULL
WHERE t.id = $1
"""


@dataclass(frozen=True, slots=True)
class KeyFacts:
    """`permissions` is what the key gives now, its service account's roles considered."""

    id: str
    scope: Scope
    secret_hash: str = field(repr=False)
    permissions: frozenset[str]
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None
    service_account_id: str | None
    account_archived: bool
    tenant: TenantFacts
    environment: EnvironmentFacts
    environment_archived: bool


@dataclass(frozen=True, slots=True)
class SessionFacts:
    """`environments` are the open ones: production first, then the oldest first."""

    id: str
    user_id: str
    open: bool
    expires_at: datetime
    permissions: frozenset[str]
    tenant: TenantFacts
    environments: tuple[EnvironmentFacts, ...]


@dataclass(frozen=True, slots=True)
class Place:
    tenant: TenantFacts
    environment: EnvironmentFacts | None


async def of_key(prefix: str) -> KeyFacts | None:
    async with system() as connection:
        row = await connection.fetchrow(_KEY, prefix)
    if row is None:
        return None
    permissions = frozenset(json_of(row["permissions"]))
    if row["service_account_id"] is not None:
        permissions &= _permissions(row["roles"])
    return KeyFacts(
        id=row["id"],
        scope=Scope(row["tenant_id"], row["environment_id"]),
        secret_hash=row["secret_hash"],
        permissions=granted([permissions]),
        expires_at=row["expires_at"],
        revoked_at=row["revoked_at"],
        last_used_at=row["last_used_at"],
        service_account_id=row["service_account_id"],
        account_archived=row["account_archived_at"] is not None,
        tenant=_tenant(row),
        environment=_environment(row),
        environment_archived=row["environment_archived_at"] is not None,
    )


async def of_session(session_id: str, *, tenant_id: str, user_id: str) -> SessionFacts | None:
    async with system() as connection:
        row = await connection.fetchrow(_SESSION, session_id, tenant_id, user_id)
    if row is None:
        return None
    environments = [
        EnvironmentFacts(id_, name, EnvironmentType(kind), effective(overrides))
        for id_, name, kind, overrides in json_of(row["environments"]) or []
    ]
    return SessionFacts(
        id=row["id"],
        user_id=row["user_id"],
        open=row["revoked_at"] is None and row["archived_at"] is None,
        expires_at=row["expires_at"],
        permissions=_permissions(row["roles"]),
        tenant=_tenant(row),
        environments=tuple(environments),
    )


async def place(tenant_id: str, environment_id: str | None) -> Place | None:
    """Where a system key wants to go. None: no such tenant, or no such environment in it."""
    async with system() as connection:
        row = await connection.fetchrow(_PLACE, tenant_id, environment_id)
    if row is None or (environment_id is not None and row["environment_id"] is None):
        return None
    return Place(_tenant(row), None if environment_id is None else _environment(row))


def _permissions(roles: Any) -> frozenset[str]:
    return granted(BUILT_IN.get(name) or own or () for name, own in json_of(roles) or [])


def _tenant(row: asyncpg.Record) -> TenantFacts:
    return TenantFacts(row["tenant_id"], row["tenant_name"], row["suspended_at"] is not None)


def _environment(row: asyncpg.Record) -> EnvironmentFacts:
    return EnvironmentFacts(
        id=row["environment_id"],
        name=row["environment_name"],
        type=EnvironmentType(row["type"]),
        settings=effective(json_of(row["settings"])),
    )
