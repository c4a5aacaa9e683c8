"""Which version of a plan new subscriptions take, and what is told of versions.

Call all of this inside `writing(scope)`, with the plan's row locked.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from tortoise.expressions import Q

from app.catalog.events import (
    PlanVersionArchived,
    PlanVersionCreated,
    PlanVersionEvent,
    PlanVersionPublished,
    PlanVersionRestored,
    PlanVersionUpdated,
)
from app.catalog.models import EntitlementTable, PlanVersionTable, PriceTable
from app.catalog.plan_version import PlanVersion, newest_published
from app.catalog.reads import plan_versions as reads
from app.infra import outbox
from app.kernel.errors import AlreadyExists
from app.kernel.scope import Actor, Scope
from app.tenants import audit


async def settled(
    scope: Scope,
    event: type[PlanVersionEvent],
    before: PlanVersion,
    *,
    by: Actor,
    at: datetime,
) -> PlanVersion:
    """See to it that the plan's current version is the one published last of those not archived.

    Tells what was done to the version `before`, and of others that are or were the current one.
    """
    versions = await reads.all_of_plan(scope, before.plan_id)
    last = newest_published(versions)
    changed = [v for v in versions if v.current != (v is last)]
    if changed or before.current:
        await _switch(scope, before.plan_id, None if last is None else last.id)
    now = await reads.by_ids(scope, [before.id, *(version.id for version in changed)])
    await tell(scope, event, before, now[before.id], by=by, at=at)
    for version in changed:
        if version.id != before.id:
            await tell(scope, PlanVersionUpdated, version, now[version.id], by=by, at=at)
    return now[before.id]


async def _switch(scope: Scope, plan_id: str, version_id: str | None) -> None:
    """Make one version current, or none. What was comes first: it frees the lookup keys."""
    mine = {
        "tenant_id": scope.tenant_id,
        "environment_id": scope.environment_id,
        "plan_id": plan_id,
    }
    await PlanVersionTable.filter(**mine, current=True).update(current=False)
    await PriceTable.filter(**mine, offered=True).update(offered=False)
    if version_id is not None:
        await store(version_id, current=True)
        await PriceTable.filter(**mine, plan_version_id=version_id).update(offered=True)


async def begin_prices(scope: Scope, version_id: str, *, at: datetime) -> None:
    """Nobody could buy its prices earlier."""
    await (
        PriceTable.filter(
            tenant_id=scope.tenant_id,
            environment_id=scope.environment_id,
            plan_version_id=version_id,
            effective_from__lt=at,
        )
        .filter(Q(effective_until=None) | Q(effective_until__gt=at))
        .update(effective_from=at, updated_at=at)
    )


async def begin_entitlements(scope: Scope, version_id: str, *, at: datetime) -> None:
    """Nor could anybody have what it gives."""
    await (
        EntitlementTable.filter(
            tenant_id=scope.tenant_id,
            environment_id=scope.environment_id,
            plan_version_id=version_id,
            effective_from__lt=at,
        )
        .filter(Q(effective_until=None) | Q(effective_until__gt=at))
        .update(effective_from=at, updated_at=at)
    )


async def store(version_id: str, **values: Any) -> None:
    await PlanVersionTable.filter(id=version_id).update(**values)


async def tell(
    scope: Scope,
    event: type[PlanVersionEvent],
    before: PlanVersion | None,
    after: PlanVersion,
    *,
    by: Actor,
    at: datetime,
) -> None:
    action = _ACTIONS[event]
    await audit.record(scope, by, action, after.id, at=at, before=before, after=after)
    await outbox.put(scope, event.of(after, at))


async def taken(scope: Scope, plan_id: str) -> AlreadyExists:
    keys = await reads.taken_keys(scope, plan_id)
    return AlreadyExists("price", "lookupKey", ", ".join(keys))


_ACTIONS: Mapping[type[PlanVersionEvent], str] = {
    PlanVersionCreated: "plan_version.create",
    PlanVersionUpdated: "plan_version.update",
    PlanVersionPublished: "plan_version.publish",
    PlanVersionArchived: "plan_version.archive",
    PlanVersionRestored: "plan_version.restore",
}
