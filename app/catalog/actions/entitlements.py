"""What can be done with an entitlement: one function per verb, each one transaction.

Whatever changes the entitlements of an owner holds the owner's row first, so that two of one
feature never come to overlap. The row of a subscription is held by the caller, who also knows
from when on its entitlements may still change; `earliest` says so, and is now for the others.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import asyncpg

from app.catalog.actions import owners
from app.catalog.actions.entitlement_rows import (
    CHANGEABLE,
    check_type,
    columns,
    draft,
    ending,
    overriding,
    told,
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
from app.catalog.reads import entitlements as reads
from app.catalog.reads import features, plan_versions
from app.infra import outbox
from app.infra.postgres import writing
from app.kernel.checks import checked
from app.kernel.copies import replace
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
    async with writing(scope) as connection:
        owner, is_draft = await _taking(connection, scope, command)
        new = draft(command, owner, at=at)
        if not is_draft:
            _check_moment(new.effective_from, earliest or at, field="effectiveFrom")
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
    end that this one had; who bought this one keeps it. In a draft, which nobody can have bought,
    everything changes in place.
    Raises: Invalid, NotFound, Archived, EntitlementEnded, EntitlementReplaced.
    """
    values = checked(patch, CHANGEABLE)
    moment = values.pop("effective_from", None)
    async with writing(scope) as connection:
        before, is_draft = await _held(connection, scope, entitlement_id)
        await _check_open(scope, before, at=at)
        changed = replace(before, **values)
        overriding(changed.owner.kind, changed.overrides)
        hashed = substance_hash(
            changed.feature_id, changed.terms, changed.overrides, enabled=changed.enabled
        )
        other = hashed != before.content_hash
        if other:
            await _check_feature(connection, scope, changed.feature_id, changed.terms)
        if other and not is_draft:
            start = _moment(moment, before, at=at, earliest=earliest)
            ending(before.effective_until, after=start)
            new = replace(changed, content_hash=hashed, effective_from=start)
            return await _replace(scope, before, new, by=by, at=at)
        if is_draft and moment is not None:
            ending(before.effective_until, after=moment)
            changed = replace(changed, effective_from=moment)
        after = replace(changed, content_hash=hashed, updated_at=at)
        return await _rewrite(scope, before, after, by=by, at=at)


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
        before, _ = await _held(connection, scope, entitlement_id)
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
        before, _ = await _held(connection, scope, entitlement_id)
        await _check_owner(connection, scope, before.owner)
        await _check_open(scope, before, at=at)
        await _check_feature(connection, scope, before.feature_id, before.terms)
        await _check_apart(scope, replace(before, effective_until=None), field="id")
        return await _end(scope, EntitlementRestored, before, None, by=by, at=at)


async def _taking(
    connection: asyncpg.Connection, scope: Scope, command: CreateEntitlement
) -> tuple[Owner, bool]:
    """The owner that is to get something new, held; whether nobody can have bought it yet.

    Raises: Invalid, NotFound, Archived, NoPlanVersion, PlanVersionNeeded.
    """
    named = owners.Named(
        plan_id=command.plan_id,
        plan_version_id=command.plan_version_id,
        addon_id=command.addon_id,
    )
    if command.subscription_id is not None:
        return Owner(OwnerKind.SUBSCRIPTION, command.subscription_id), False
    await _lock(connection, scope, named)
    taken = await owners.taking(connection, scope, named)
    if taken.addon_id is not None:
        return Owner(OwnerKind.ADDON, taken.addon_id), False
    return Owner(OwnerKind.PLAN, str(taken.plan_id), taken.plan_version_id), taken.draft


async def _held(
    connection: asyncpg.Connection, scope: Scope, entitlement_id: str
) -> tuple[Entitlement, bool]:
    """The row as it stays until the transaction ends; whether it is a draft's. Raises: NotFound."""
    owner = (await reads.get(scope, entitlement_id)).owner
    if owner.kind is OwnerKind.SUBSCRIPTION:
        return await reads.get(scope, entitlement_id), False
    await _lock(connection, scope, _named(owner))
    held = await owners.held(connection, scope, _named(owner))
    return await reads.get(scope, entitlement_id), held.draft


async def _check_owner(connection: asyncpg.Connection, scope: Scope, owner: Owner) -> None:
    """The owner must be in use. Raises: Archived."""
    if owner.kind is not OwnerKind.SUBSCRIPTION:
        await owners.taking(connection, scope, _named(owner))


async def _lock(connection: asyncpg.Connection, scope: Scope, named: owners.Named) -> None:
    """Hold the owner alone: two of one feature must not be added at once."""
    if named.addon_id is not None:
        await lock(connection, scope, "addons", named.addon_id)
        return
    plan_id = named.plan_id
    if plan_id is None and named.plan_version_id is not None:
        version = await plan_versions.get(scope, named.plan_version_id, field="planVersionId")
        plan_id = version.plan_id
    if plan_id is not None:
        await lock(connection, scope, "plans", plan_id)


def _named(owner: Owner) -> owners.Named:
    of_plan = owner.kind is OwnerKind.PLAN
    return owners.Named(
        plan_id=owner.id if of_plan else None,
        plan_version_id=owner.version_id,
        addon_id=None if of_plan else owner.id,
    )


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


async def _rewrite(
    scope: Scope, before: Entitlement, after: Entitlement, *, by: Actor, at: datetime
) -> Entitlement:
    """What can change in place: notes, and of a draft everything."""
    row = columns(after)
    changeable = ("enabled", "terms", "content_hash", "metadata", "effective_from", "updated_at")
    await EntitlementTable.filter(id=before.id).update(**{name: row[name] for name in changeable})
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
    event = EntitlementReplacedBy(**told(before), occurred_at=at, successor_id=successor.id)
    await outbox.put(scope, event)
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
    await outbox.put(scope, event(**told(after), occurred_at=at))


_VERBS: dict[type[EntitlementEvent], str] = {
    EntitlementCreated: "create",
    EntitlementUpdated: "update",
    EntitlementArchived: "archive",
    EntitlementRestored: "restore",
}
