"""Which version of which plan a change goes over to."""

import asyncpg

from app.catalog.actions.locks import lock
from app.catalog.errors import PlanNotPublished
from app.catalog.plan_version import PlanVersion, PlanVersionStatus
from app.catalog.reads import plan_versions, prices
from app.infra.rows import the
from app.kernel.copies import replace
from app.kernel.errors import Invalid
from app.kernel.scope import Scope
from app.subscriptions.actions.create import version_for_sale
from app.subscriptions.change import ChangePlan
from app.subscriptions.changes.asking import check_other
from app.subscriptions.subscription import Subscription


async def version_to_change_to(
    connection: asyncpg.Connection, scope: Scope, subscription: Subscription, command: ChangePlan
) -> ChangePlan:
    """The command with the plan and the version it goes over to, which is published.

    The plan is locked against its changing. Raises: Invalid, NotFound, Archived,
    PlanNotPublished, NothingChanges.
    """
    found = await with_version(connection, scope, command)
    field = "planId" if command.plan_version_id is None else "planVersionId"
    check_other(subscription, found.plan_version_id, field)
    return found


async def version_of_phase(
    connection: asyncpg.Connection, scope: Scope, subscription: Subscription, command: ChangePlan
) -> ChangePlan:
    """The same of a phase, which where it names none stays on the subscription's version.

    Raises: Invalid, NotFound, Archived, PlanNotPublished.
    """
    if command.plan_id is not None or command.plan_version_id is not None:
        return await with_version(connection, scope, command)
    await _check_prices(scope, command)
    return replace(
        command, plan_id=subscription.plan_id, plan_version_id=subscription.plan_version_id
    )


async def with_version(
    connection: asyncpg.Connection, scope: Scope, command: ChangePlan
) -> ChangePlan:
    """The same for whatever subscription.

    Raises: Invalid, NotFound, Archived, PlanNotPublished.
    """
    version = await _version(connection, scope, command)
    await _check_prices(scope, command)
    return replace(command, plan_id=version.plan_id, plan_version_id=version.id)


async def _check_prices(scope: Scope, command: ChangePlan) -> None:
    """Raises: NotFound for a price that is named and does not exist."""
    named = {f"priceIds[{n}]": price for n, price in enumerate(command.price_ids or ())}
    named |= {f"quantities[{n}].priceId": h.price_id for n, h in enumerate(command.quantities)}
    named |= {f"overrides[{n}].priceId": o.price_id for n, o in enumerate(command.overrides)}
    found = await prices.by_ids(scope, set(named.values())) if named else {}
    for field, price_id in named.items():
        the(found, "price", price_id, field=field)


async def _version(
    connection: asyncpg.Connection, scope: Scope, command: ChangePlan
) -> PlanVersion:
    if command.plan_version_id is None:
        if command.plan_id is None:
            raise Invalid(
                "planId: name a plan, or a version of one", field="planId", code="REQUIRED"
            )
        await lock(connection, scope, "plans", command.plan_id, shared=True)
        return await version_for_sale(scope, command.plan_id)
    version = await plan_versions.get(scope, command.plan_version_id, field="planVersionId")
    if command.plan_id not in (None, version.plan_id):
        raise Invalid(
            f"planVersionId: {version.id} is a version of plan {version.plan_id}",
            field="planVersionId",
            code="WRONG_PLAN",
        )
    await lock(connection, scope, "plans", version.plan_id, shared=True)
    if version.status is not PlanVersionStatus.PUBLISHED:
        raise PlanNotPublished(version.plan_id, field="planVersionId")
    return version
