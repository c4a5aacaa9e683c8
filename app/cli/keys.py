"""`tariff keys create|list|revoke`: API keys from the command line, by whoever runs the server.

A key is shown once, alone on the last line of stdout; everything else goes to stderr.
"""

import argparse
import asyncio
import sys
from collections.abc import Callable, Sequence

from app.cli.settings import command_settings
from app.config import ConfigError, Settings
from app.infra.postgres import postgres, system
from app.kernel.clock import Clock, SystemClock
from app.kernel.errors import Conflict, Invalid, NotFound
from app.kernel.ids import is_id
from app.kernel.listing import PageRequest
from app.kernel.scope import Actor, Scope
from app.tenants.actions import api_keys as key_actions
from app.tenants.actions import environments as environment_actions
from app.tenants.actions import tenants as tenant_actions
from app.tenants.api_key import ApiKey
from app.tenants.commands import CreateApiKey, CreateEnvironment, CreateTenant
from app.tenants.reads import api_keys, environments, tenants
from app.tenants.role import BUILT_IN, PERMISSIONS
from app.tenants.tenant import EnvironmentType, Tenant, whole

Tell = Callable[[str], None]

# Who the audit log says it was.
OPERATOR = Actor("system", "command_line")
# Any constant of ours: two commands at once must not both make the tenant.
_LOCK = 7_061_981


def run(arguments: argparse.Namespace) -> int:
    """Do what `arguments.verb` says; 0 when it is done."""
    settings = command_settings(arguments, needs=["postgres.url"])
    if not settings.postgres.url:
        raise ConfigError(
            "keys are in PostgreSQL, and it is not known where that is: set TARIFF_POSTGRES_URL, "
            "or start `tariff local` and name its --data-dir"
        )
    return asyncio.run(_run(settings, arguments))


async def _run(settings: Settings, arguments: argparse.Namespace) -> int:
    clock = SystemClock()
    async with postgres(settings.postgres):
        match arguments.verb:
            case "create":
                text = await create(
                    clock,
                    tenant=arguments.tenant,
                    environment=arguments.environment,
                    scopes=arguments.scopes or (),
                )
                sys.stdout.write(text + "\n")
            case "list":
                await show(clock, tenant=arguments.tenant, environment=arguments.environment)
            case "revoke":
                await revoke(clock, arguments.key)
    return 0


async def create(
    clock: Clock,
    *,
    tenant: str,
    environment: str = "Production",
    scopes: Sequence[str] = (),
    tell: Tell | None = None,
) -> str:
    """A new key's text. What is missing of tenant and environment is made.

    `tenant` is a name or an id. `scopes` are permissions and names of built-in roles, comma
    separated or apart; none: everything. `tell` hears what was made (default: stderr).
    Raises: Invalid, NotFound, Conflict.
    """
    permissions = permissions_of(scopes)
    tell = tell or _tell
    async with system() as connection:
        await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
        place = await _environment(clock, await _tenant(clock, tenant, tell), environment, tell)
        made = await key_actions.create(
            place,
            CreateApiKey(name="Command line", permissions=permissions),
            holding=PERMISSIONS,
            by=OPERATOR,
            at=clock.now(place),
        )
    tell(f"created {made.key.id} ({made.key.prefix}…) in {place.environment_id}")
    tell("this is the only time that the key is shown:")
    return made.secret.text


async def show(clock: Clock, *, tenant: str, environment: str | None) -> None:
    """A line per key: id, prefix, environment, status, name."""
    found = await _find(tenant)
    if found is None:
        raise NotFound("tenant", tenant, field="tenant")
    for one in await environments.active(whole(found.id)):
        if environment not in (None, one.name, one.id):
            continue
        scope = Scope(found.id, one.id)
        for key in await _all_keys(scope):
            status = key.status(clock.now(scope))
            sys.stdout.write(f"{key.id}  {key.prefix}  {one.name}  {status}  {key.name}\n")


async def revoke(clock: Clock, key: str) -> None:
    """End a key, given by its id or prefix. Raises: NotFound, KeyRevoked."""
    async with system() as connection:
        row = await connection.fetchrow(
            "SELECT id, tenant_id, environment_id FROM api_keys WHERE id = $1 OR prefix = $1", key
        )
    if row is None:
        raise NotFound("API key", key, field="key")
    scope = Scope(row["tenant_id"], row["environment_id"])
    await key_actions.revoke(scope, row["id"], by=OPERATOR, at=clock.now(scope))
    _tell(f"revoked {row['id']}")


def permissions_of(scopes: Sequence[str]) -> tuple[str, ...]:
    """The permissions that scopes stand for. Raises: Invalid (INVALID_SCOPES)."""
    names = [name.strip() for scope in scopes for name in scope.split(",") if name.strip()]
    if not names:
        return tuple(sorted(PERMISSIONS))
    unknown = [name for name in names if name not in PERMISSIONS and name not in BUILT_IN]
    if unknown:
        raise Invalid(
            f"--scopes: {', '.join(unknown)}: give permissions ({', '.join(sorted(PERMISSIONS))}) "
            f"or roles ({', '.join(BUILT_IN)})",
            field="scopes",
            code="INVALID_SCOPES",
        )
    given = [BUILT_IN.get(name, frozenset({name})) for name in names]
    return tuple(sorted(frozenset[str]().union(*given)))


async def _tenant(clock: Clock, name: str, tell: Tell) -> Tenant:
    found = await _find(name)
    if found is not None:
        return found
    if is_id(name, "ten"):
        raise NotFound("tenant", name, field="tenant")
    made = await tenant_actions.create(CreateTenant(name=name), by=OPERATOR, at=clock.now())
    tell(f"created tenant {made.tenant.id} ({made.tenant.name})")
    return made.tenant


async def _find(name: str) -> Tenant | None:
    if is_id(name, "ten"):
        return await tenants.identified(name)
    found = await tenants.named(name.strip())
    if len(found) > 1:
        ids = ", ".join(tenant.id for tenant in found)
        raise Conflict(f"several tenants are named {name}: give one of their ids: {ids}")
    return found[0] if found else None


async def _environment(clock: Clock, tenant: Tenant, name: str, tell: Tell) -> Scope:
    scope = whole(tenant.id)
    for one in await environments.active(scope):
        if name in (one.id, one.name):
            return Scope(tenant.id, one.id)
    if is_id(name, "env"):
        raise NotFound("environment", name, field="environment")
    # Whoever makes an environment from here tries something out; `live` keys are asked for.
    command = CreateEnvironment(name=name, type=EnvironmentType.DEVELOPMENT)
    made = await environment_actions.create(scope, command, by=OPERATOR, at=clock.now(scope))
    tell(f"created environment {made.id} ({made.name}, {made.type})")
    return Scope(tenant.id, made.id)


async def _all_keys(scope: Scope) -> list[ApiKey]:
    keys: list[ApiKey] = []
    after: str | None = None
    while True:
        page = await api_keys.page(scope, PageRequest(first=100, after=after))
        keys += page.rows
        if not page.has_next:
            return keys
        after = page.cursors[-1]


def _tell(line: str) -> None:
    sys.stderr.write(line + "\n")
