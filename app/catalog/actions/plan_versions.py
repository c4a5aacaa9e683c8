"""What can be done with a version of a plan: one function per verb, each one transaction.

The plan's row is locked by all of them, so that two of them never happen at once.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import asyncpg
from tortoise.exceptions import IntegrityError

from app.catalog.actions.copies import copy_contents
from app.catalog.actions.current_version import (
    begin_entitlements,
    begin_prices,
    settled,
    store,
    taken,
    tell,
)
from app.catalog.actions.inputs import NAMED
from app.catalog.actions.locks import lock
from app.catalog.errors import (
    AlreadyPublished,
    Archived,
    DraftExists,
    EmptyVersion,
    NotArchived,
)
from app.catalog.events import (
    PlanVersionArchived,
    PlanVersionCreated,
    PlanVersionPublished,
    PlanVersionRestored,
    PlanVersionUpdated,
)
from app.catalog.models import PlanVersionTable
from app.catalog.plan import PlanStatus
from app.catalog.plan_version import PlanVersion, PlanVersionStatus
from app.catalog.reads import plan_versions as reads
from app.catalog.reads import plans, prices
from app.infra import outbox
from app.infra.postgres import writing
from app.kernel.checks import checked
from app.kernel.ids import new_id
from app.kernel.scope import Actor, Scope


async def create(
    scope: Scope, plan_id: str, *, by: Actor, at: datetime, description: str | None = None
) -> PlanVersion:
    """A draft with what the newest version sells: the next number of the plan.

    The newest that is not archived, or else the newest of all. Raises: Invalid, NotFound,
    Archived, DraftExists.
    """
    checked({"description": description}, _CHANGEABLE)
    async with writing(scope) as connection:
        await _hold(connection, scope, plan_id, field="planId")
        versions = await reads.all_of_plan(scope, plan_id)
        _refuse_second_draft(versions, field="planId")
        in_use = [v for v in versions if v.status is not PlanVersionStatus.ARCHIVED]
        source = max(in_use or versions, key=lambda version: version.number)
        version = await begin(
            scope,
            plan_id,
            number=versions[-1].number + 1,
            publish=False,
            description=description,
            by=by,
            at=at,
        )
        await copy_contents(scope, source, version, by=by, at=at)
    return version


async def begin(
    scope: Scope,
    plan_id: str,
    *,
    number: int,
    publish: bool,
    by: Actor,
    at: datetime,
    description: str | None = None,
) -> PlanVersion:
    """Add a version without prices, with the plan held or new. Call inside `writing(scope)`."""
    version_id = new_id("plv")
    await PlanVersionTable.create(
        id=version_id,
        tenant_id=scope.tenant_id,
        environment_id=scope.environment_id,
        plan_id=plan_id,
        number=number,
        description=description,
        current=publish,
        published_at=at if publish else None,
        created_at=at,
        updated_at=at,
    )
    version = await reads.get(scope, version_id)
    await tell(scope, PlanVersionCreated, None, version, by=by, at=at)
    if publish:
        await outbox.put(scope, PlanVersionPublished.of(version, at))
    return version


async def update(
    scope: Scope, version_id: str, patch: Mapping[str, Any], *, by: Actor, at: datetime
) -> PlanVersion:
    """Change the `description`, where `patch` holds it. Raises: Invalid, NotFound, Archived."""
    values = checked(patch, _CHANGEABLE)
    async with writing(scope) as connection:
        before = await _held(connection, scope, version_id)
        await store(version_id, **values, updated_at=at)
        after = await reads.get(scope, version_id)
        await tell(scope, PlanVersionUpdated, before, after, by=by, at=at)
    return after


async def publish(
    scope: Scope, version_id: str, *, by: Actor, at: datetime, allow_empty: bool = False
) -> PlanVersion:
    """Put a draft up for sale: new subscriptions take it, and those there are stay.

    Its prices and entitlements begin now, or when they say if that is later. Raises: NotFound,
    Archived, AlreadyPublished, EmptyVersion, AlreadyExists (another plan's or addon's price has
    the lookup key of one of its prices).
    """
    before = await reads.get(scope, version_id)
    try:
        async with writing(scope) as connection:
            before = await _held(connection, scope, version_id)
            if before.status is PlanVersionStatus.PUBLISHED:
                raise AlreadyPublished(version_id)
            sold = (await prices.all_of_versions(scope, [version_id]))[version_id]
            if not allow_empty and not any(price.stands(at) for price in sold):
                raise EmptyVersion(version_id)
            await begin_prices(scope, version_id, at=at)
            await begin_entitlements(scope, version_id, at=at)
            await store(before.id, published_at=at, updated_at=at)
            after = await settled(scope, PlanVersionPublished, before, by=by, at=at)
    except IntegrityError as error:
        raise await taken(scope, before.plan_id) from error
    return after


async def archive(scope: Scope, version_id: str, *, by: Actor, at: datetime) -> PlanVersion:
    """Nobody can buy it any more, and it takes no prices; subscriptions on it stay.

    If it was the current one, the version published last before it becomes so again, if there
    is one that is not archived. A draft is thrown away so. Raises: NotFound, Archived,
    AlreadyExists (a lookup key of a price of the version that becomes current is taken).
    """
    before = await reads.get(scope, version_id)
    try:
        async with writing(scope) as connection:
            before = await _held(connection, scope, version_id)
            await store(version_id, archived_at=at, current=False, updated_at=at)
            after = await settled(scope, PlanVersionArchived, before, by=by, at=at)
    except IntegrityError as error:
        raise await taken(scope, before.plan_id) from error
    return after


async def restore(scope: Scope, version_id: str, *, by: Actor, at: datetime) -> PlanVersion:
    """Put an archived version back: as a draft, or up for sale if none was published later.

    Raises: NotFound, NotArchived, Archived (the plan), DraftExists, AlreadyExists.
    """
    before = await reads.get(scope, version_id)
    try:
        async with writing(scope) as connection:
            await _hold(connection, scope, before.plan_id)
            before = await reads.get(scope, version_id)
            if before.status is not PlanVersionStatus.ARCHIVED:
                raise NotArchived("plan version", version_id)
            if before.published_at is None:
                _refuse_second_draft(await reads.all_of_plan(scope, before.plan_id), field="id")
            await store(version_id, archived_at=None, updated_at=at)
            after = await settled(scope, PlanVersionRestored, before, by=by, at=at)
    except IntegrityError as error:
        raise await taken(scope, before.plan_id) from error
    return after


async def _hold(
    connection: asyncpg.Connection, scope: Scope, plan_id: str, *, field: str = "id"
) -> None:
    """Lock the plan, which must be in use. Raises: NotFound, Archived."""
    await lock(connection, scope, "plans", plan_id)
    plan = await plans.get(scope, plan_id, field=field)
    if plan.status is PlanStatus.ARCHIVED:
        raise Archived("plan", plan_id, field=field)


async def _held(connection: asyncpg.Connection, scope: Scope, version_id: str) -> PlanVersion:
    """The version as it stays until the transaction ends. Raises: NotFound, Archived."""
    await _hold(connection, scope, (await reads.get(scope, version_id)).plan_id)
    version = await reads.get(scope, version_id)
    if version.status is PlanVersionStatus.ARCHIVED:
        raise Archived("plan version", version_id)
    return version


def _refuse_second_draft(versions: list[PlanVersion], *, field: str) -> None:
    for version in versions:
        if version.status is PlanVersionStatus.DRAFT:
            raise DraftExists(version.plan_id, version.id, version.number, field=field)


_CHANGEABLE = {"description": NAMED["description"]}
