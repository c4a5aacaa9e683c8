"""What prices, and whatever else is sold, belong to: a version of a plan, or an addon.

The parent is held with a shared lock, so that a version is not published, nor anything
archived, between the look at it and the end of the transaction.
"""

from dataclasses import dataclass

import asyncpg

from app.catalog.actions.locks import lock
from app.catalog.addon import AddonStatus
from app.catalog.errors import Archived, NoPlanVersion, PlanVersionNeeded
from app.catalog.plan import PlanStatus
from app.catalog.plan_version import PlanVersion, PlanVersionStatus
from app.catalog.reads import addons, plan_versions, plans
from app.kernel.errors import Invalid
from app.kernel.scope import Scope


@dataclass(frozen=True, slots=True)
class Owner:
    """`draft`: nobody can have bought what belongs to it. `offered`: new subscriptions can."""

    plan_id: str | None = None
    plan_version_id: str | None = None
    addon_id: str | None = None
    draft: bool = False
    offered: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """The owner as a caller names it: a plan or one of its versions, or an addon."""

    plan_id: str | None
    plan_version_id: str | None
    addon_id: str | None


async def taking(connection: asyncpg.Connection, scope: Scope, named: Named) -> Owner:
    """The owner named, which must take something new; locked.

    A plan alone means its current version or its draft, whichever there is. Raises: NotFound,
    Archived, NoPlanVersion, PlanVersionNeeded (there are both), Invalid (OWNER_REQUIRED,
    OWNER_AMBIGUOUS, PLAN_MISMATCH).
    """
    of_plan = named.plan_id is not None or named.plan_version_id is not None
    if named.addon_id is not None:
        if of_plan:
            raise Invalid(
                "addonId: name a plan or an addon, not both",
                field="addonId",
                code="OWNER_AMBIGUOUS",
            )
        return await _addon(connection, scope, named.addon_id)
    if not of_plan:
        raise Invalid(
            "planId: name the plan, one of its versions, or the addon it belongs to",
            field="planId",
            code="OWNER_REQUIRED",
        )
    plan_id = await _plan_of(scope, named)
    await lock(connection, scope, "plans", plan_id, shared=True)
    plan = await plans.get(scope, plan_id, field="planId")
    if plan.status is PlanStatus.ARCHIVED:
        raise Archived("plan", plan_id, field="planId")
    if named.plan_version_id is not None:
        version = await plan_versions.get(scope, named.plan_version_id, field="planVersionId")
        if version.status is PlanVersionStatus.ARCHIVED:
            raise Archived("plan version", version.id, field="planVersionId")
        return _version(version)
    return _version(await _only(scope, plan_id))


async def held(connection: asyncpg.Connection, scope: Scope, named: Named) -> Owner:
    """The owner of something that there is, archived or not; locked."""
    if named.addon_id is not None:
        await lock(connection, scope, "addons", named.addon_id, shared=True)
        return Owner(addon_id=named.addon_id)
    version_id = str(named.plan_version_id)
    await lock(connection, scope, "plans", str(named.plan_id), shared=True)
    return _version(await plan_versions.get(scope, version_id))


async def _addon(connection: asyncpg.Connection, scope: Scope, addon_id: str) -> Owner:
    await lock(connection, scope, "addons", addon_id, shared=True)
    addon = await addons.get(scope, addon_id, field="addonId")
    if addon.status is AddonStatus.ARCHIVED:
        raise Archived("addon", addon_id, field="addonId")
    return Owner(addon_id=addon_id)


async def _plan_of(scope: Scope, named: Named) -> str:
    if named.plan_version_id is None:
        return str(named.plan_id)
    version = await plan_versions.get(scope, named.plan_version_id, field="planVersionId")
    if named.plan_id not in (None, version.plan_id):
        raise Invalid(
            f"planVersionId: {version.id} is a version of plan {version.plan_id}, not of "
            f"{named.plan_id}",
            field="planVersionId",
            code="PLAN_MISMATCH",
        )
    return version.plan_id


async def _only(scope: Scope, plan_id: str) -> PlanVersion:
    """The version that is meant where only the plan is named."""
    versions = await plan_versions.all_of_plan(scope, plan_id)
    meant = [v for v in versions if v.current or v.status is PlanVersionStatus.DRAFT]
    if not meant:
        raise NoPlanVersion(plan_id)
    if len(meant) > 1:
        raise PlanVersionNeeded(plan_id, {v.number: v.id for v in meant})
    return meant[0]


def _version(version: PlanVersion) -> Owner:
    return Owner(
        plan_id=version.plan_id,
        plan_version_id=version.id,
        draft=version.published_at is None,
        offered=version.current,
    )
