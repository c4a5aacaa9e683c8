"""What can be done with a plan: one function per verb, each one transaction."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from tortoise.exceptions import IntegrityError

from app.catalog.actions.inputs import NAMED
from app.catalog.actions.locks import lock
from app.catalog.errors import Archived, NotArchived
from app.catalog.events import PlanArchived, PlanCreated, PlanRestored, PlanUpdated
from app.catalog.models import PlanTable
from app.catalog.plan import CreatePlan, Plan, PlanStatus
from app.catalog.reads import plans as reads
from app.infra import outbox
from app.infra.postgres import writing
from app.kernel.checks import checked
from app.kernel.commands import fields_of
from app.kernel.errors import AlreadyExists
from app.kernel.ids import new_id
from app.kernel.scope import Actor, Scope
from app.tenants import audit


async def create(scope: Scope, command: CreatePlan, *, by: Actor, at: datetime) -> Plan:
    """Raises: Invalid, AlreadyExists (another plan has the lookup key)."""
    values = checked(fields_of(command), NAMED)
    plan_id = new_id("plan")
    try:
        async with writing(scope):
            await PlanTable.create(
                id=plan_id,
                tenant_id=scope.tenant_id,
                environment_id=scope.environment_id,
                created_at=at,
                updated_at=at,
                **values,
            )
            plan = await reads.get(scope, plan_id)
            await audit.record(scope, by, "plan.create", plan_id, at=at, after=plan)
            await outbox.put(scope, PlanCreated(entity_id=plan_id, occurred_at=at))
    except IntegrityError as error:
        raise AlreadyExists("plan", "lookupKey", command.lookup_key) from error
    return plan


async def update(
    scope: Scope, plan_id: str, patch: Mapping[str, Any], *, by: Actor, at: datetime
) -> Plan:
    """Change the fields that `patch` holds (`name`, `description`, `metadata`).

    An absent field stays as it is. Raises: Invalid, NotFound, Archived.
    """
    values = checked(patch, _CHANGEABLE)
    async with writing(scope) as connection:
        await lock(connection, scope, "plans", plan_id)
        before = await reads.get(scope, plan_id)
        if before.status is PlanStatus.ARCHIVED:
            raise Archived("plan", plan_id)
        await PlanTable.filter(id=plan_id).update(**values, updated_at=at)
        after = await reads.get(scope, plan_id)
        await audit.record(scope, by, "plan.update", plan_id, at=at, before=before, after=after)
        await outbox.put(scope, PlanUpdated(entity_id=plan_id, occurred_at=at))
    return after


async def archive(scope: Scope, plan_id: str, *, by: Actor, at: datetime) -> Plan:
    """No new subscriptions or prices; those there are stay. Its lookup key becomes free.

    Raises: NotFound, Archived.
    """
    async with writing(scope) as connection:
        await lock(connection, scope, "plans", plan_id)
        before = await reads.get(scope, plan_id)
        if before.status is PlanStatus.ARCHIVED:
            raise Archived("plan", plan_id)
        await PlanTable.filter(id=plan_id).update(archived_at=at, updated_at=at)
        after = await reads.get(scope, plan_id)
        await audit.record(scope, by, "plan.archive", plan_id, at=at, before=before, after=after)
        await outbox.put(scope, PlanArchived(entity_id=plan_id, occurred_at=at))
    return after


async def restore(scope: Scope, plan_id: str, *, by: Actor, at: datetime) -> Plan:
    """Put an archived plan back. Raises: NotFound, NotArchived, AlreadyExists."""
    try:
        async with writing(scope) as connection:
            await lock(connection, scope, "plans", plan_id)
            before = await reads.get(scope, plan_id)
            if before.status is PlanStatus.ACTIVE:
                raise NotArchived("plan", plan_id)
            await PlanTable.filter(id=plan_id).update(archived_at=None, updated_at=at)
            after = await reads.get(scope, plan_id)
            await audit.record(
                scope, by, "plan.restore", plan_id, at=at, before=before, after=after
            )
            await outbox.put(scope, PlanRestored(entity_id=plan_id, occurred_at=at))
    except IntegrityError as error:
        raise AlreadyExists("plan", "lookupKey", before.lookup_key) from error
    return after


_CHANGEABLE = {name: check for name, check in NAMED.items() if name != "lookup_key"}
