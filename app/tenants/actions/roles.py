from collections.abc import Mapping
from datetime import datetime
from typing import Any

from tortoise.exceptions import IntegrityError

from app.infra.postgres import writing
from app.kernel import checks
from app.kernel.checks import Checks
from app.kernel.errors import AlreadyExists
from app.kernel.ids import new_id
from app.kernel.scope import Actor, Scope
from app.tenants.actions import grants, inputs, locks
from app.tenants.actions.journal import note
from app.tenants.commands import CreateRole
from app.tenants.errors import AlreadyAssigned, Archived, NotArchived, NotAssigned, RoleInUse
from app.tenants.events import (
    RoleArchived,
    RoleAssigned,
    RoleCreated,
    RoleRestored,
    RoleUnassigned,
    RoleUpdated,
)
from app.tenants.models import RoleAssignmentTable, RoleTable
from app.tenants.reads import roles
from app.tenants.role import BUILT_IN, OWNER, Role, checked, within
from app.tenants.tenant import whole
from app.tenants.user import PrincipalStatus, ServiceAccount, User


async def create(
    scope: Scope, command: CreateRole, *, holding: frozenset[str], by: Actor, at: datetime
) -> Role:
    """Raises: Invalid, BeyondOwnPermissions, AlreadyExists (the name)."""
    scope, role_id = whole(scope.tenant_id), new_id("rol")
    name, permissions = _name(command.name), _permissions(command.permissions)
    within(permissions, holding, "permissions")
    try:
        async with writing(scope):
            await RoleTable.create(
                id=role_id,
                tenant_id=scope.tenant_id,
                name=name,
                permissions=permissions,
                created_at=at,
                updated_at=at,
            )
            made = await roles.get(scope, role_id)
            event = RoleCreated(entity_id=role_id, occurred_at=at)
            await note(scope, by, "role.create", event, at=at, after=made)
    except IntegrityError as error:
        raise AlreadyExists("role", "name", name) from error
    return made


async def update(
    scope: Scope,
    role_id: str,
    patch: Mapping[str, Any],
    *,
    holding: frozenset[str],
    by: Actor,
    at: datetime,
) -> Role:
    """Change the name or the permissions; whoever holds the role feels it at once.

    Raises: Invalid, NotFound, Archived, BeyondOwnPermissions, AlreadyExists.
    """
    values, scope = checks.checked(patch, _CHECKS), whole(scope.tenant_id)
    within(values.get("permissions", ()), holding, "permissions")
    try:
        async with writing(scope):
            await locks.tenant(scope)
            before = await _in_use(scope, role_id)
            within(before.permissions, holding)
            await RoleTable.filter(id=role_id).update(**values, updated_at=at)
            after = await roles.get(scope, role_id)
            event = RoleUpdated(entity_id=role_id, occurred_at=at)
            await note(scope, by, "role.update", event, at=at, before=before, after=after)
    except IntegrityError as error:
        raise AlreadyExists("role", "name", values["name"]) from error
    return after


async def archive(scope: Scope, role_id: str, *, by: Actor, at: datetime) -> Role:
    """Take a role that nobody holds out of use. Raises: NotFound, Archived, RoleInUse."""
    scope = whole(scope.tenant_id)
    async with writing(scope):
        await locks.tenant(scope)
        before = await _in_use(scope, role_id)
        holders = await RoleAssignmentTable.filter(tenant_id=scope.tenant_id, role=role_id).count()
        if holders:
            raise RoleInUse(role_id, holders)
        await RoleTable.filter(id=role_id).update(archived_at=at, updated_at=at)
        after = await roles.get(scope, role_id)
        event = RoleArchived(entity_id=role_id, occurred_at=at)
        await note(scope, by, "role.archive", event, at=at, before=before, after=after)
    return after


async def restore(scope: Scope, role_id: str, *, by: Actor, at: datetime) -> Role:
    """Raises: NotFound, NotArchived, AlreadyExists (the name was taken since)."""
    scope = whole(scope.tenant_id)
    try:
        async with writing(scope):
            await locks.role(scope, role_id)
            before = await roles.get(scope, role_id)
            if before.archived_at is None:
                raise NotArchived("role", role_id)
            await RoleTable.filter(id=role_id).update(archived_at=None, updated_at=at)
            after = await roles.get(scope, role_id)
            event = RoleRestored(entity_id=role_id, occurred_at=at)
            await note(scope, by, "role.restore", event, at=at, before=before, after=after)
    except IntegrityError as error:
        raise AlreadyExists("role", "name", before.name) from error
    return after


async def assign(
    scope: Scope,
    principal_id: str,
    role: str,
    *,
    holding: frozenset[str],
    by: Actor,
    at: datetime,
) -> User | ServiceAccount:
    """Give a user or service account a role: a built-in one by name, another by id.

    Raises: NotFound, Archived, Invalid, BeyondOwnPermissions, AlreadyAssigned.
    """
    scope = whole(scope.tenant_id)
    async with writing(scope):
        await locks.tenant(scope)
        before = await _holder(scope, principal_id)
        if role in before.roles:
            raise AlreadyAssigned(principal_id, role)
        await grants.above(scope, before, holding)
        await grants.store(
            scope, principal_id, await grants.checked(scope, [role], holding, "role")
        )
        after = await grants.principal(scope, principal_id)
        event = RoleAssigned(entity_id=principal_id, occurred_at=at, role=role)
        await note(scope, by, "role.assign", event, at=at, before=before, after=after)
    return after


async def unassign(
    scope: Scope,
    principal_id: str,
    role: str,
    *,
    holding: frozenset[str],
    by: Actor,
    at: datetime,
) -> User | ServiceAccount:
    """Take a role away; it no longer counts from the next request on.

    Raises: NotFound, Archived, NotAssigned, BeyondOwnPermissions, LastOwner.
    """
    scope = whole(scope.tenant_id)
    async with writing(scope):
        await locks.tenant(scope)
        before = await _holder(scope, principal_id)
        if role not in before.roles:
            raise NotAssigned(principal_id, role)
        await grants.above(scope, before, holding)
        if role == OWNER and isinstance(before, User):
            await grants.not_the_last_owner(scope, before)
        await RoleAssignmentTable.filter(
            tenant_id=scope.tenant_id, principal_id=principal_id, role=role
        ).delete()
        after = await grants.principal(scope, principal_id)
        event = RoleUnassigned(entity_id=principal_id, occurred_at=at, role=role)
        await note(scope, by, "role.unassign", event, at=at, before=before, after=after)
    return after


async def _holder(scope: Scope, principal_id: str) -> User | ServiceAccount:
    found = await grants.principal(scope, principal_id)
    if found.status is PrincipalStatus.ARCHIVED:
        kind = "user" if isinstance(found, User) else "service account"
        raise Archived(kind, principal_id)
    return found


async def _in_use(scope: Scope, role_id: str) -> Role:
    await locks.role(scope, role_id)
    role = await roles.get(scope, role_id)
    if role.archived_at is not None:
        raise Archived("role", role_id)
    return role


def _name(value: Any) -> str:
    name = inputs.name(value, longest=64)
    if name.casefold() in BUILT_IN:
        raise AlreadyExists("role", "name", name)
    return name


def _permissions(value: Any) -> list[str]:
    return list(checked(checks.required(value, "permissions")))


_CHECKS: Checks = {"name": _name, "permissions": _permissions}
