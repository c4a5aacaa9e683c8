"""What can be done with an entitlement: one function per verb, each one transaction.

Whatever changes the entitlements of an owner holds the owner's row first, so that two of one
feature never come to overlap. The row of a subscription is held by the caller, who also knows
from when on its entitlements may still change; `earliest` says so, and is now for the others.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

import asyncpg

from app.catalog.actions.entitlement_rows import (
    CHANGEABLE,
    OWNER_FIELD,
    check_type,
    columns,
    draft,
    ending,
    overriding,
)
from app.catalog.actions.locks import lock
from app.catalog.entitlement import (
    CreateEntitlement,
    Entitlement,
    Owner,
    OwnerKind,
    facts,
    substance_hash,
)
from app.catalog.entitlement_terms import Terms
from app.catalog.errors import Archived, EntitlementEnded, EntitlementReplaced
from app.catalog.events import (
    EntitlementArchived,
    EntitlementCreated,
    EntitlementEvent,
    EntitlementReplacedBy,
    EntitlementRestored,
    EntitlementUpdated,
)
from app.catalog.feature import FeatureStatus
from app.catalog.models import EntitlementTable
from app.catalog.plan import PlanStatus
from app.catalog.reads import entitlements as reads
from app.catalog.reads import features, plans
from app.infra import outbox
from app.infra.postgres import writing
from app.kernel.checks import checked
from app.kernel.errors import AlreadyExists, Invalid
from app.kernel.ids import new_id
from app.kernel.scope import Actor, Scope
from app.tenants import audit


async def create(
    scope: Scope,
    command: CreateEntitlement,
    *,
    by: Actor,
    at: datetime,
    earliest: datetime | None = None,
) -> Entitlement:
    """Raises: Invalid, NotFound (owner, feature), Archived (owner, feature), AlreadyExists."""
    new = draft(command, at=at)
    _check_moment(new.effective_from, earliest or at, field="effectiveFrom")
    async with writing(scope) as connection:
        await _hold(connection, scope, new.owner)
        await _check_feature(connection, scope, new.feature_id, new.terms)
        await _check_apart(scope, new)
        await _insert(scope, new)
        await _tell(scope, EntitlementCreated, None, new, by=by, at=at)
    return new


async def update(
    scope: Scope,
    entitlement_id: str,
    patch: Mapping[str, Any],
    *,
    by: Actor,
    at: datetime,
    earliest: datetime | None = None,
) -> Entitlement:
    """Change the fields that `patch` holds; an absent field stays as it is.

    `metadata` changes in place. A change of `enabled`, `terms` or `overrides` ends this row at
    `effective_from` (the patch's, else now) and returns the row that takes over, which has the
    end that this one had; who bought this one keeps it.
    Raises: Invalid, NotFound, Archived, EntitlementEnded, EntitlementReplaced.
    """
    values = checked(patch, CHANGEABLE)
    moment = values.pop("effective_from", None)
    async with writing(scope) as connection:
        before = await _held(connection, scope, entitlement_id)
        await _check_open(scope, before, at=at)
        changed = replace(before, **values)
        overriding(changed.owner.kind, changed.overrides)
        hashed = substance_hash(
            changed.feature_id, changed.terms, changed.overrides, enabled=changed.enabled
        )
        if hashed == before.content_hash:
            return await _note(scope, before, changed, by=by, at=at)
        await _check_feature(connection, scope, changed.feature_id, changed.terms)
        start = _moment(moment, before, at=at, earliest=earliest)
        ending(before.effective_until, after=start)
        new = replace(changed, content_hash=hashed, effective_from=start)
        return await _replace(scope, before, new, by=by, at=at)


async def archive(
    scope: Scope,
    entitlement_id: str,
    *,
    by: Actor,
    at: datetime,
    effective_until: datetime | None = None,
    earliest: datetime | None = None,
) -> Entitlement:
    """End the entitlement at `effective_until`, or now. Who bought it keeps it.

    Raises: Invalid (an end in the past), NotFound, EntitlementEnded, EntitlementReplaced,
    AlreadyExists (a later end than it had, where another begins before).
    """
    async with writing(scope) as connection:
        before = await _held(connection, scope, entitlement_id)
        await _check_open(scope, before, at=at)
        until = _moment(effective_until, before, at=at, earliest=earliest, field="effectiveUntil")
        ended = replace(before, effective_until=until)
        await _check_apart(scope, ended, field="effectiveUntil")
        return await _end(scope, EntitlementArchived, before, until, by=by, at=at)


async def restore(scope: Scope, entitlement_id: str, *, by: Actor, at: datetime) -> Entitlement:
    """Take the end off an entitlement that has not come to it yet.

    Raises: NotFound, Archived (its owner or feature), EntitlementEnded, EntitlementReplaced,
    AlreadyExists (another begins later).
    """
    async with writing(scope) as connection:
        before = await _held(connection, scope, entitlement_id)
        await _check_open(scope, before, at=at)
        await _check_feature(connection, scope, before.feature_id, before.terms)
        await _check_apart(scope, replace(before, effective_until=None), field="id")
        return await _end(scope, EntitlementRestored, before, None, by=by, at=at)


async def _held(connection: asyncpg.Connection, scope: Scope, entitlement_id: str) -> Entitlement:
    """The row as it stays until the transaction ends. Raises: NotFound, Archived (its owner)."""
    found = await reads.get(scope, entitlement_id)
    await _hold(connection, scope, found.owner, field="id")
    return await reads.get(scope, entitlement_id)


async def _hold(
    connection: asyncpg.Connection, scope: Scope, owner: Owner, *, field: str | None = None
) -> None:
    """Lock the owner. Raises: NotFound, Archived."""
    if owner.kind is OwnerKind.PLAN:
        named = field or OWNER_FIELD[owner.kind]
        await lock(connection, scope, "plans", owner.id)
        if (await plans.get(scope, owner.id, field=named)).status is PlanStatus.ARCHIVED:
            raise Archived("plan", owner.id, field=named)


async def _check_feature(
    connection: asyncpg.Connection, scope: Scope, feature_id: str, terms: Terms
) -> None:
    """Raises: Invalid, NotFound, Archived."""
    await lock(connection, scope, "features", feature_id, shared=True)
    feature = await features.get(scope, feature_id, field="featureId")
    if feature.status is FeatureStatus.ARCHIVED:
        raise Archived("feature", feature_id, field="featureId")
    check_type(feature, terms)


async def _check_apart(scope: Scope, new: Entitlement, *, field: str = "featureId") -> None:
    """Raises: AlreadyExists (the owner gives the feature at a time when `new` would)."""
    for other in await reads.of_owner_and_feature(scope, new.owner, new.feature_id):
        if other.id != new.id and other.overlaps(new.effective_from, new.effective_until):
            raise AlreadyExists("entitlement", field, f"{new.feature_id} ({other.id})")


async def _check_open(scope: Scope, entitlement: Entitlement, *, at: datetime) -> None:
    """Raises: EntitlementReplaced, EntitlementEnded."""
    successor = (await reads.successors(scope, [entitlement.id])).get(entitlement.id)
    if successor is not None:
        raise EntitlementReplaced(entitlement.id, successor.id)
    if entitlement.effective_until is not None and entitlement.effective_until <= at:
        raise EntitlementEnded(entitlement.id, entitlement.effective_until)


def _moment(
    wanted: datetime | None,
    entitlement: Entitlement,
    *,
    at: datetime,
    earliest: datetime | None,
    field: str = "effectiveFrom",
) -> datetime:
    """When a change takes effect: now unless said, and never before the row itself does."""
    if wanted is None:
        return max(at, entitlement.effective_from)
    _check_moment(wanted, max(earliest or at, entitlement.effective_from), field=field)
    return wanted


def _check_moment(wanted: datetime, earliest: datetime, *, field: str) -> None:
    if wanted < earliest:
        raise Invalid(
            f"{field}: {wanted.isoformat()} is too early; the earliest is {earliest.isoformat()}",
            field=field,
            code="EFFECTIVE_IN_PAST",
        )


async def _note(
    scope: Scope, before: Entitlement, changed: Entitlement, *, by: Actor, at: datetime
) -> Entitlement:
    after = replace(changed, updated_at=at)
    await EntitlementTable.filter(id=before.id).update(metadata=dict(after.metadata), updated_at=at)
    await _tell(scope, EntitlementUpdated, before, after, by=by, at=at)
    return after


async def _replace(
    scope: Scope, before: Entitlement, new: Entitlement, *, by: Actor, at: datetime
) -> Entitlement:
    """End `before` where `new` begins. The end comes first: there is one row without end."""
    successor = replace(new, id=new_id("ent"), replaces_id=before.id, created_at=at, updated_at=at)
    ended = replace(before, effective_until=new.effective_from, updated_at=at)
    await EntitlementTable.filter(id=before.id).update(
        effective_until=ended.effective_until, updated_at=at
    )
    await _insert(scope, successor)
    await audit.record(
        scope, by, "entitlement.replace", before.id, at=at,
        before=facts(before), after=facts(ended),
    )  # fmt: skip
    told = EntitlementReplacedBy(**_told(before), occurred_at=at, successor_id=successor.id)
    await outbox.put(scope, told)
    await _tell(scope, EntitlementCreated, None, successor, by=by, at=at)
    return successor


async def _end(
    scope: Scope,
    event: type[EntitlementEvent],
    before: Entitlement,
    until: datetime | None,
    *,
    by: Actor,
    at: datetime,
) -> Entitlement:
    after = replace(before, effective_until=until, updated_at=at)
    await EntitlementTable.filter(id=before.id).update(effective_until=until, updated_at=at)
    await _tell(scope, event, before, after, by=by, at=at)
    return after


async def _insert(scope: Scope, new: Entitlement) -> None:
    await EntitlementTable.create(
        tenant_id=scope.tenant_id, environment_id=scope.environment_id, **columns(new)
    )


async def _tell(
    scope: Scope,
    event: type[EntitlementEvent],
    before: Entitlement | None,
    after: Entitlement,
    *,
    by: Actor,
    at: datetime,
) -> None:
    old = None if before is None else facts(before)
    verb = _VERBS[event]
    await audit.record(
        scope, by, f"entitlement.{verb}", after.id, at=at, before=old, after=facts(after)
    )
    await outbox.put(scope, event(**_told(after), occurred_at=at))


def _told(entitlement: Entitlement) -> dict[str, Any]:
    """What every event of an entitlement carries."""
    return {
        "entity_id": entitlement.id,
        "owner_kind": entitlement.owner.kind.value,
        "owner_id": entitlement.owner.id,
        "feature_id": entitlement.feature_id,
    }


_VERBS: dict[type[EntitlementEvent], str] = {
    EntitlementCreated: "create",
    EntitlementUpdated: "update",
    EntitlementArchived: "archive",
    EntitlementRestored: "restore",
}
