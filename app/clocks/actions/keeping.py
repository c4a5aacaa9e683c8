"""Making clocks, naming them, putting them away."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from asyncpg import UniqueViolationError
from tortoise.exceptions import IntegrityError

from app.clocks import reads
from app.clocks.actions.rows import changed, locked, noted
from app.clocks.errors import EnvironmentHasClock, EnvironmentInUse, ProductionEnvironment
from app.clocks.events import (
    TestClockArchived,
    TestClockCreated,
    TestClockRestored,
    TestClockUpdated,
)
from app.clocks.models import TestClockTable
from app.clocks.test_clock import ClockStatus, Governs, TestClock, require_standing, within
from app.infra import due
from app.infra.postgres import writing
from app.kernel.checks import Checks, checked
from app.kernel.errors import AlreadyExists
from app.kernel.ids import new_id
from app.kernel.scope import Actor, Scope
from app.tenants.actions import inputs, locks
from app.tenants.errors import Archived, NotArchived
from app.tenants.reads import environments
from app.tenants.tenant import EnvironmentType

_CHECKS: Checks = {"name": inputs.name}


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateTestClock:
    name: str
    governs: Governs
    frozen_at: datetime


async def create(scope: Scope, command: CreateTestClock, *, by: Actor, at: datetime) -> TestClock:
    """Make a clock in the scope's environment, which must be a development environment.

    From then on the environment lives on it, if it governs the environment; that has to happen
    before anything is scheduled there, because its present may be any.
    Raises: Invalid, ProductionEnvironment, EnvironmentHasClock, EnvironmentInUse, AlreadyExists.
    """
    name, frozen_at = inputs.name(command.name), within(command.frozen_at, "frozenAt")
    clock_id = new_id("clk")
    try:
        async with writing(scope):
            await locks.environment(scope, scope.environment_id)
            environment = await environments.get(scope, scope.environment_id)
            if environment.type is EnvironmentType.PRODUCTION:
                raise ProductionEnvironment(environment.id)
            if command.governs is Governs.ENVIRONMENT:
                await _check_environment(scope)
            await TestClockTable.create(
                id=clock_id,
                tenant_id=scope.tenant_id,
                environment_id=scope.environment_id,
                name=name,
                governs=command.governs.value,
                frozen_at=frozen_at,
                state=ClockStatus.READY.value,
                created_at=at,
                updated_at=at,
            )
            made = await reads.get(scope, clock_id)
            event = TestClockCreated(entity_id=clock_id, occurred_at=at, frozen_at=frozen_at)
            await noted(scope, by, "create", event, after=made)
    except IntegrityError as error:
        raise AlreadyExists("test clock", "name", name) from error
    return made


async def _check_environment(scope: Scope) -> None:
    taken = await reads.of_environment(scope)
    if taken is not None:
        raise EnvironmentHasClock(scope.environment_id, taken.id)
    if await due.environment_has_work(scope):
        raise EnvironmentInUse(scope.environment_id)


async def update(
    scope: Scope, clock_id: str, patch: Mapping[str, Any], *, by: Actor, at: datetime
) -> TestClock:
    """Rename it. Raises: Invalid, NotFound, Archived, AlreadyExists."""
    values = checked(patch, _CHECKS)
    try:
        async with writing(scope) as connection:
            before = await locked(connection, scope, clock_id)
            if before.status is ClockStatus.ARCHIVED:
                raise Archived("test clock", clock_id)
            after = await changed(connection, scope, before, at, **values)
            event = TestClockUpdated(entity_id=clock_id, occurred_at=at, frozen_at=after.frozen_at)
            await noted(scope, by, "update", event, before=before, after=after)
    except UniqueViolationError as error:
        raise AlreadyExists("test clock", "name", values["name"]) from error
    return after


async def archive(scope: Scope, clock_id: str, *, by: Actor, at: datetime) -> TestClock:
    """Put it away: what lives on it stays as it is and stands still.

    Raises: NotFound, Archived, ClockAdvancing.
    """
    async with writing(scope) as connection:
        before = await locked(connection, scope, clock_id)
        if before.status is ClockStatus.ARCHIVED:
            raise Archived("test clock", clock_id)
        require_standing(before)
        after = await changed(connection, scope, before, at, archived_at=at)
        event = TestClockArchived(entity_id=clock_id, occurred_at=at, frozen_at=after.frozen_at)
        await noted(scope, by, "archive", event, before=before, after=after)
    return after


async def restore(scope: Scope, clock_id: str, *, by: Actor, at: datetime) -> TestClock:
    """Take it up again where it stood. Raises: NotFound, NotArchived, AlreadyExists (the name)."""
    try:
        async with writing(scope) as connection:
            before = await locked(connection, scope, clock_id)
            if before.status is not ClockStatus.ARCHIVED:
                raise NotArchived("test clock", clock_id)
            after = await changed(connection, scope, before, at, archived_at=None)
            event = TestClockRestored(entity_id=clock_id, occurred_at=at, frozen_at=after.frozen_at)
            await noted(scope, by, "restore", event, before=before, after=after)
    except UniqueViolationError as error:
        raise AlreadyExists("test clock", "name", before.name) from error
    return after
