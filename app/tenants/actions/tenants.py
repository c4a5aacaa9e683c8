"""Tenants as a whole. Creating, suspending and reactivating are the operator's alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tortoise.exceptions import IntegrityError

from app.infra import outbox
from app.infra.postgres import writing
from app.kernel.checks import Checks, checked
from app.kernel.errors import AlreadyExists
from app.kernel.events import Event
from app.kernel.ids import new_id
from app.kernel.scope import Actor, Scope
from app.tenants import audit, passwords
from app.tenants.actions import grants, inputs, locks
from app.tenants.actions.journal import note
from app.tenants.commands import CreateTenant, CreateUser
from app.tenants.errors import NotSuspended, Suspended
from app.tenants.events import (
    EnvironmentCreated,
    TenantCreated,
    TenantReactivated,
    TenantUpdated,
    TenantWasSuspended,
    UserCreated,
)
from app.tenants.models import EnvironmentTable, TenantRecordTable, UserTable
from app.tenants.reads import environments, tenants, users
from app.tenants.role import OWNER
from app.tenants.tenant import Environment, EnvironmentType, Tenant, TenantStatus, whole
from app.tenants.user import User

# What a new tenant starts with.
ENVIRONMENTS = {
    "Production": EnvironmentType.PRODUCTION,
    "Development": EnvironmentType.DEVELOPMENT,
}
_CHECKS: Checks = {"name": inputs.name, "metadata": inputs.metadata}


@dataclass(frozen=True, slots=True)
class NewTenant:
    tenant: Tenant
    production: Environment
    development: Environment
    owner: User | None


async def create(
    command: CreateTenant, *, by: Actor | None, at: datetime, request_id: str | None = None
) -> NewTenant:
    """A tenant with a production and a development environment, and its owner if one is given.

    `by` None: the owner acts, who signs up. Takes no scope, for it makes one.
    Raises: Invalid, AlreadyExists (a user has the owner's e-mail address).
    """
    name, metadata = inputs.name(command.name), inputs.metadata(command.metadata)
    owner = await _owner_row(command.owner) if command.owner else None
    scope, action = whole(new_id("ten")), "tenant.create" if by else "tenant.sign_up"
    by = by or Actor("user", owner["id"] if owner else "", request_id)
    try:
        async with writing(scope):
            await TenantRecordTable.create(
                id=scope.tenant_id, name=name, metadata=metadata, created_at=at, updated_at=at
            )
            made = await _furnish(scope, owner, at)
            await audit.record(scope, by, action, scope.tenant_id, at=at, after=_facts(made))
            await outbox.put_many(scope, _news(made, at))
    except IntegrityError as error:
        if owner is None:
            raise
        raise AlreadyExists("user", "email", owner["email"]) from error
    return made


async def update(scope: Scope, patch: Mapping[str, Any], *, by: Actor, at: datetime) -> Tenant:
    """Change the name or the metadata of the scope's tenant. Raises: Invalid, NotFound."""
    values, scope = checked(patch, _CHECKS), whole(scope.tenant_id)
    async with writing(scope):
        await locks.tenant(scope)
        before = await tenants.get(scope)
        await TenantRecordTable.filter(id=before.id).update(**values, updated_at=at)
        after = await tenants.get(scope)
        event = TenantUpdated(entity_id=after.id, occurred_at=at)
        await note(scope, by, "tenant.update", event, at=at, before=before, after=after)
    return after


async def suspend(scope: Scope, *, by: Actor, at: datetime) -> Tenant:
    """From now on the tenant is read and not changed. Raises: NotFound, Suspended."""
    scope = whole(scope.tenant_id)
    async with writing(scope):
        await locks.tenant(scope)
        before = await tenants.get(scope)
        if before.status is TenantStatus.SUSPENDED:
            raise Suspended(before.id)
        await TenantRecordTable.filter(id=before.id).update(suspended_at=at, updated_at=at)
        after = await tenants.get(scope)
        event = TenantWasSuspended(entity_id=after.id, occurred_at=at)
        await note(scope, by, "tenant.suspend", event, at=at, before=before, after=after)
    return after


async def reactivate(scope: Scope, *, by: Actor, at: datetime) -> Tenant:
    """Let the tenant change again. Raises: NotFound, NotSuspended."""
    scope = whole(scope.tenant_id)
    async with writing(scope):
        await locks.tenant(scope)
        before = await tenants.get(scope)
        if before.status is TenantStatus.ACTIVE:
            raise NotSuspended(before.id)
        await TenantRecordTable.filter(id=before.id).update(suspended_at=None, updated_at=at)
        after = await tenants.get(scope)
        event = TenantReactivated(entity_id=after.id, occurred_at=at)
        await note(scope, by, "tenant.reactivate", event, at=at, before=before, after=after)
    return after


async def _owner_row(command: CreateUser) -> dict[str, Any]:
    return {
        "id": new_id("usr"),
        "email": inputs.email(command.email),
        "name": inputs.name(command.name),
        # Hashed before the transaction: it takes a tenth of a second.
        "password_hash": await passwords.hashed(passwords.checked(command.password)),
    }


async def _furnish(scope: Scope, owner: dict[str, Any] | None, at: datetime) -> NewTenant:
    common: dict[str, Any] = {"tenant_id": scope.tenant_id, "created_at": at, "updated_at": at}
    ids = {}
    for name, kind in ENVIRONMENTS.items():
        ids[kind] = new_id("env")
        await EnvironmentTable.create(id=ids[kind], name=name, type=kind, settings={}, **common)
    if owner is not None:
        await UserTable.create(**owner, **common)
        await grants.store(scope, owner["id"], [OWNER])
    made = await environments.by_ids(scope, ids.values())
    return NewTenant(
        tenant=await tenants.get(scope),
        production=made[ids[EnvironmentType.PRODUCTION]],
        development=made[ids[EnvironmentType.DEVELOPMENT]],
        owner=None if owner is None else await users.get(scope, owner["id"]),
    )


def _facts(made: NewTenant) -> dict[str, Any]:
    return {
        **(audit.facts(made.tenant) or {}),
        "environments": [made.production.id, made.development.id],
        "owner": audit.facts(made.owner),
    }


def _news(made: NewTenant, at: datetime) -> list[Event]:
    news: list[Event] = [
        TenantCreated(entity_id=made.tenant.id, occurred_at=at),
        EnvironmentCreated(entity_id=made.production.id, occurred_at=at),
        EnvironmentCreated(entity_id=made.development.id, occurred_at=at),
    ]
    if made.owner is not None:
        news.append(UserCreated(entity_id=made.owner.id, occurred_at=at))
    return news
