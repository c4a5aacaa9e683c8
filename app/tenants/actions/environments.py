from collections.abc import Mapping
from datetime import datetime
from typing import Any

from tortoise.exceptions import IntegrityError

from app.infra.postgres import writing
from app.kernel.checks import Checks, checked
from app.kernel.errors import AlreadyExists
from app.kernel.ids import new_id
from app.kernel.scope import Actor, Scope
from app.tenants import settings
from app.tenants.actions import inputs, locks
from app.tenants.actions.journal import note
from app.tenants.commands import CreateEnvironment
from app.tenants.errors import Archived, LastEnvironment, NotArchived
from app.tenants.events import (
    EnvironmentArchived,
    EnvironmentCreated,
    EnvironmentRestored,
    EnvironmentUpdated,
    SettingsUpdated,
)
from app.tenants.models import EnvironmentTable
from app.tenants.reads import environments
from app.tenants.settings import EnvironmentSettings
from app.tenants.tenant import Environment, EnvironmentStatus, whole

_CHECKS: Checks = {"name": inputs.name}


async def create(
    scope: Scope, command: CreateEnvironment, *, by: Actor, at: datetime
) -> Environment:
    """Raises: Invalid, AlreadyExists (another environment of the tenant has the name)."""
    scope, name, environment_id = whole(scope.tenant_id), inputs.name(command.name), new_id("env")
    try:
        async with writing(scope):
            await EnvironmentTable.create(
                id=environment_id,
                tenant_id=scope.tenant_id,
                name=name,
                type=command.type,
                settings={},
                created_at=at,
                updated_at=at,
            )
            made = await environments.get(scope, environment_id)
            event = EnvironmentCreated(entity_id=environment_id, occurred_at=at)
            await note(scope, by, "environment.create", event, at=at, after=made)
    except IntegrityError as error:
        raise AlreadyExists("environment", "name", name) from error
    return made


async def update(
    scope: Scope, environment_id: str, patch: Mapping[str, Any], *, by: Actor, at: datetime
) -> Environment:
    """Rename it. Its type stays: keys and figures rely on it.

    Raises: Invalid, NotFound, Archived, AlreadyExists.
    """
    values, scope = checked(patch, _CHECKS), whole(scope.tenant_id)
    try:
        async with writing(scope):
            before = await _in_use(scope, environment_id)
            await EnvironmentTable.filter(id=environment_id).update(**values, updated_at=at)
            after = await environments.get(scope, environment_id)
            event = EnvironmentUpdated(entity_id=environment_id, occurred_at=at)
            await note(scope, by, "environment.update", event, at=at, before=before, after=after)
    except IntegrityError as error:
        raise AlreadyExists("environment", "name", values["name"]) from error
    return after


async def archive(scope: Scope, environment_id: str, *, by: Actor, at: datetime) -> Environment:
    """Close it: its keys stop working and sessions cannot enter. Nothing in it is deleted.

    Raises: NotFound, Archived, LastEnvironment.
    """
    scope = whole(scope.tenant_id)
    async with writing(scope):
        await locks.tenant(scope)
        before = await _in_use(scope, environment_id)
        if len(await environments.active(scope)) == 1:
            raise LastEnvironment(environment_id)
        await EnvironmentTable.filter(id=environment_id).update(archived_at=at, updated_at=at)
        after = await environments.get(scope, environment_id)
        event = EnvironmentArchived(entity_id=environment_id, occurred_at=at)
        await note(scope, by, "environment.archive", event, at=at, before=before, after=after)
    return after


async def restore(scope: Scope, environment_id: str, *, by: Actor, at: datetime) -> Environment:
    """Open it again. Raises: NotFound, NotArchived, AlreadyExists (the name was taken since)."""
    scope = whole(scope.tenant_id)
    try:
        async with writing(scope):
            await locks.environment(scope, environment_id)
            before = await environments.get(scope, environment_id)
            if before.status is EnvironmentStatus.ACTIVE:
                raise NotArchived("environment", environment_id)
            await EnvironmentTable.filter(id=environment_id).update(archived_at=None, updated_at=at)
            after = await environments.get(scope, environment_id)
            event = EnvironmentRestored(entity_id=environment_id, occurred_at=at)
            await note(scope, by, "environment.restore", event, at=at, before=before, after=after)
    except IntegrityError as error:
        raise AlreadyExists("environment", "name", before.name) from error
    return after


async def update_settings(
    scope: Scope, patch: Mapping[str, Any], *, by: Actor, at: datetime
) -> EnvironmentSettings:
    """Change settings of the scope's environment; null puts one back to its default.

    Raises: Invalid (INVALID_SETTING), NotFound, Archived.
    """
    async with writing(scope):
        before = await _in_use(scope, scope.environment_id)
        overrides = settings.patched(before.overrides, patch)
        await EnvironmentTable.filter(id=before.id).update(settings=overrides, updated_at=at)
        event = SettingsUpdated(entity_id=before.id, occurred_at=at)
        await note(
            scope,
            by,
            "setting.update",
            event,
            at=at,
            before={name: before.overrides.get(name) for name in settings.SECTIONS},
            after={name: overrides.get(name) for name in settings.SECTIONS},
        )
    return settings.effective(overrides)


async def _in_use(scope: Scope, environment_id: str) -> Environment:
    """The environment, locked and not archived. Raises: NotFound, Archived."""
    await locks.environment(scope, environment_id)
    found = await environments.get(scope, environment_id)
    if found.status is EnvironmentStatus.ARCHIVED:
        raise Archived("environment", environment_id)
    return found
