"""What can be done with a plan: one function per verb, each one transaction."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from app.catalog.actions import named, plan_versions
from app.catalog.actions.inputs import CHANGEABLE, NAMED
from app.catalog.actions.named import Noun
from app.catalog.events import PlanArchived, PlanCreated, PlanRestored, PlanUpdated
from app.catalog.models import PlanTable
from app.catalog.plan import CreatePlan, Plan
from app.catalog.reads import plans as reads
from app.infra.postgres import writing
from app.kernel.checks import checked
from app.kernel.copies import fields_of
from app.kernel.scope import Actor, Scope

PLAN = Noun(
    name="plan",
    prefix="plan",
    lock="plans",
    table=PlanTable,
    get=reads.get,
    created=PlanCreated,
    updated=PlanUpdated,
    archived=PlanArchived,
    restored=PlanRestored,
)


async def create(scope: Scope, command: CreatePlan, *, by: Actor, at: datetime) -> Plan:
    """A plan with its first version. Raises: Invalid, AlreadyExists (the lookup key)."""
    fields = fields_of(command)
    publish = fields.pop("publish")
    values = checked(fields, NAMED)
    async with writing(scope):
        plan = await named.create(PLAN, scope, values, by=by, at=at)
        await plan_versions.begin(scope, plan.id, number=1, publish=publish, by=by, at=at)
    return plan


async def update(
    scope: Scope, plan_id: str, patch: Mapping[str, Any], *, by: Actor, at: datetime
) -> Plan:
    """Change the fields that `patch` holds (`name`, `description`, `metadata`).

    An absent field stays as it is. Raises: Invalid, NotFound, Archived.
    """
    return await named.update(PLAN, scope, plan_id, checked(patch, CHANGEABLE), by=by, at=at)


async def archive(scope: Scope, plan_id: str, *, by: Actor, at: datetime) -> Plan:
    """No new subscriptions or prices; those there are stay. Its lookup key becomes free.

    Raises: NotFound, Archived.
    """
    return await named.archive(PLAN, scope, plan_id, by=by, at=at)


async def restore(scope: Scope, plan_id: str, *, by: Actor, at: datetime) -> Plan:
    """Put an archived plan back. Raises: NotFound, NotArchived, AlreadyExists."""
    return await named.restore(PLAN, scope, plan_id, by=by, at=at)
