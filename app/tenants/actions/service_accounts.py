from collections.abc import Mapping
from datetime import datetime
from typing import Any

from tortoise.exceptions import IntegrityError

from app.infra.postgres import writing
from app.kernel.checks import Checks, checked
from app.kernel.errors import AlreadyExists
from app.kernel.ids import new_id
from app.kernel.scope import Actor, Scope
from app.tenants.actions import grants, inputs, locks
from app.tenants.actions.journal import note
from app.tenants.commands import CreateServiceAccount
from app.tenants.errors import Archived, NotArchived
from app.tenants.events import (
    ServiceAccountArchived,
    ServiceAccountCreated,
    ServiceAccountRestored,
    ServiceAccountUpdated,
)
from app.tenants.models import ServiceAccountTable
from app.tenants.reads import service_accounts
from app.tenants.tenant import whole
from app.tenants.user import PrincipalStatus, ServiceAccount

_CHECKS: Checks = {"name": inputs.name}


async def create(
    scope: Scope,
    command: CreateServiceAccount,
    *,
    holding: frozenset[str],
    by: Actor,
    at: datetime,
) -> ServiceAccount:
    """Raises: Invalid, BeyondOwnPermissions, AlreadyExists (the name)."""
    scope, name, account_id = whole(scope.tenant_id), inputs.name(command.name), new_id("sva")
    try:
        async with writing(scope):
            await locks.tenant(scope)
            granted = await grants.checked(scope, command.roles, holding)
            await ServiceAccountTable.create(
                id=account_id,
                tenant_id=scope.tenant_id,
                name=name,
                created_at=at,
                updated_at=at,
            )
            await grants.store(scope, account_id, granted)
            made = await service_accounts.get(scope, account_id)
            event = ServiceAccountCreated(entity_id=account_id, occurred_at=at)
            await note(scope, by, "service_account.create", event, at=at, after=made)
    except IntegrityError as error:
        raise AlreadyExists("service account", "name", name) from error
    return made


async def update(
    scope: Scope,
    account_id: str,
    patch: Mapping[str, Any],
    *,
    holding: frozenset[str],
    by: Actor,
    at: datetime,
) -> ServiceAccount:
    """Rename it. Raises: Invalid, NotFound, Archived, BeyondOwnPermissions, AlreadyExists."""
    values, scope = checked(patch, _CHECKS), whole(scope.tenant_id)
    try:
        async with writing(scope):
            before = await _in_use(scope, account_id, holding)
            await ServiceAccountTable.filter(id=account_id).update(**values, updated_at=at)
            after = await service_accounts.get(scope, account_id)
            event = ServiceAccountUpdated(entity_id=account_id, occurred_at=at)
            await note(
                scope, by, "service_account.update", event, at=at, before=before, after=after
            )
    except IntegrityError as error:
        raise AlreadyExists("service account", "name", values["name"]) from error
    return after


async def archive(
    scope: Scope, account_id: str, *, holding: frozenset[str], by: Actor, at: datetime
) -> ServiceAccount:
    """Shut it out: its keys stop working. Raises: NotFound, Archived, BeyondOwnPermissions."""
    scope = whole(scope.tenant_id)
    async with writing(scope):
        before = await _in_use(scope, account_id, holding)
        await ServiceAccountTable.filter(id=account_id).update(archived_at=at, updated_at=at)
        after = await service_accounts.get(scope, account_id)
        event = ServiceAccountArchived(entity_id=account_id, occurred_at=at)
        await note(scope, by, "service_account.archive", event, at=at, before=before, after=after)
    return after


async def restore(
    scope: Scope, account_id: str, *, holding: frozenset[str], by: Actor, at: datetime
) -> ServiceAccount:
    """Let it in again: its keys that are neither revoked nor expired work as before.

    Raises: NotFound, NotArchived, BeyondOwnPermissions, AlreadyExists (the name was taken).
    """
    scope = whole(scope.tenant_id)
    try:
        async with writing(scope):
            await locks.tenant(scope)
            await locks.service_account(scope, account_id)
            before = await service_accounts.get(scope, account_id)
            if before.status is PrincipalStatus.ACTIVE:
                raise NotArchived("service account", account_id)
            await grants.above(scope, before, holding)
            await ServiceAccountTable.filter(id=account_id).update(archived_at=None, updated_at=at)
            after = await service_accounts.get(scope, account_id)
            event = ServiceAccountRestored(entity_id=account_id, occurred_at=at)
            await note(
                scope, by, "service_account.restore", event, at=at, before=before, after=after
            )
    except IntegrityError as error:
        raise AlreadyExists("service account", "name", before.name) from error
    return after


async def _in_use(scope: Scope, account_id: str, holding: frozenset[str]) -> ServiceAccount:
    """The account, locked, not archived, and holding no more than who acts."""
    await locks.service_account(scope, account_id)
    account = await service_accounts.get(scope, account_id)
    if account.status is PrincipalStatus.ARCHIVED:
        raise Archived("service account", account_id)
    await grants.above(scope, account, holding)
    return account
