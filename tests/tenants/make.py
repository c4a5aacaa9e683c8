"""Things of this domain, made by the real actions."""

from app.infra.postgres import system
from app.kernel.ids import new_id
from app.kernel.scope import SYSTEM, Scope
from app.tenants.actions import api_keys, roles, service_accounts, tenants, users
from app.tenants.commands import (
    CreateApiKey,
    CreateRole,
    CreateServiceAccount,
    CreateTenant,
    CreateUser,
    InviteUser,
)
from app.tenants.role import PERMISSIONS
from app.tenants.tenant import whole

PASSWORD = "correct horse battery"
TABLES = (
    "tenants",
    "environments",
    "users",
    "service_accounts",
    "roles",
    "role_assignments",
    "api_keys",
    "sessions",
    "refresh_tokens",
    "audit_entries",
    "outbox",
    "test_clocks",
)


def address() -> str:
    """An e-mail address that no other test has."""
    return f"{new_id('usr').lower()}@example.com"


async def tenant(clock, *, name="Acme", owner=None):
    command = CreateTenant(name=name, owner=owner)
    return await tenants.create(command, by=SYSTEM, at=clock.now())


async def owned_tenant(clock, *, email=None):
    owner = CreateUser(email=email or address(), name="Ada", password=PASSWORD)
    return await tenant(clock, owner=owner)


def production(made) -> Scope:
    return Scope(made.tenant.id, made.production.id)


def development(made) -> Scope:
    return Scope(made.tenant.id, made.development.id)


async def user(made, clock, *, email=None, user_roles=(), holding=PERMISSIONS):
    command = CreateUser(
        email=email or address(), name="Bob", password=PASSWORD, roles=tuple(user_roles)
    )
    scope = whole(made.tenant.id)
    return await users.create(scope, command, holding=holding, by=SYSTEM, at=clock.now())


async def invited(made, clock, *, email=None, user_roles=(), holding=PERMISSIONS):
    command = InviteUser(email=email or address(), name="Eve", roles=tuple(user_roles))
    scope = whole(made.tenant.id)
    return await users.invite(scope, command, holding=holding, by=SYSTEM, at=clock.now())


async def account(made, clock, *, name="robot", account_roles=(), holding=PERMISSIONS):
    command = CreateServiceAccount(name=name, roles=tuple(account_roles))
    scope = whole(made.tenant.id)
    return await service_accounts.create(scope, command, holding=holding, by=SYSTEM, at=clock.now())


async def role(made, clock, *, name="auditor", permissions=("audit:read",), holding=PERMISSIONS):
    command = CreateRole(name=name, permissions=tuple(permissions))
    scope = whole(made.tenant.id)
    return await roles.create(scope, command, holding=holding, by=SYSTEM, at=clock.now())


async def key(scope, clock, *, permissions=("event:write",), holding=PERMISSIONS, **fields):
    command = CreateApiKey(name="ingest", permissions=tuple(permissions), **fields)
    return await api_keys.create(scope, command, holding=holding, by=SYSTEM, at=clock.now())


async def snapshot():
    """Every row of the domain, in every tenant, with its version: equal means nothing changed."""
    found = {}
    async with system() as connection:
        for table in TABLES:
            rows = await connection.fetch(f"SELECT xmin::text, t::text FROM {table} AS t")  # noqa: S608
            found[table] = sorted(tuple(row) for row in rows)
    return found
