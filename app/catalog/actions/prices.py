"""What can be done with a price: one function per verb, each one transaction."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import asyncpg
from tortoise.exceptions import IntegrityError

from app.catalog.actions import owners, price_rows, price_units
from app.catalog.actions.groups import check_joined
from app.catalog.actions.locks import lock
from app.catalog.actions.price_features import (
    check_features,
    lock_features,
    metered_by,
    with_meters,
)
from app.catalog.actions.price_terms import check_terms, hash_of
from app.catalog.errors import (
    Archived,
    NotArchived,
    PriceOfSubscription,
    PricePublished,
    PriceReplaced,
)
from app.catalog.events import (
    PriceArchived,
    PriceCreated,
    PriceDeleted,
    PriceReplacedBy,
    PriceRestored,
    PriceUpdated,
    owner_of,
)
from app.catalog.group import GroupKind
from app.catalog.models import PriceTable
from app.catalog.price import CreatePrice, Price, PriceStatus, facts
from app.catalog.prices import Conversion
from app.catalog.reads import prices as reads
from app.infra import outbox
from app.infra.postgres import writing
from app.kernel.checks import Checks, checked, required
from app.kernel.copies import replace
from app.kernel.errors import AlreadyExists, Invalid
from app.kernel.ids import new_id
from app.kernel.scope import Actor, Scope
from app.tenants import audit


async def create(scope: Scope, command: CreatePrice, *, by: Actor, at: datetime) -> Price:
    """Add a price to a version of a plan, or to an addon.

    Raises: Invalid, NotFound, NoPlanVersion, PlanVersionNeeded, AlreadyExists, Archived (plan,
    version, addon, group, feature, meter).
    """
    draft = price_rows.draft(command, at=at)
    try:
        async with writing(scope) as connection:
            draft = _owned(draft, await owners.taking(connection, scope, _named(command)))
            await check_joined(connection, scope, draft.group_id, GroupKind.PRICE)
            if command.price_unit_id is not None:
                draft = await _in_unit(connection, scope, draft, command.price_unit_id)
            await lock_features(connection, scope, draft)
            draft = await with_meters(scope, draft)
            check_terms(draft, await metered_by(scope, draft))
            price = await _insert(scope, replace(draft, content_hash=hash_of(draft)))
            await _tell_created(scope, price, by=by, at=at)
    except IntegrityError as error:
        raise AlreadyExists("price", "lookupKey", draft.lookup_key) from error
    return price


async def update(
    scope: Scope, price_id: str, patch: Mapping[str, Any], *, by: Actor, at: datetime
) -> Price:
    """Change the fields that `patch` holds; an absent field stays as it is.

    `display_name`, `lookup_key`, `group_id` and `metadata` change in place. A change of `model`,
    `adjustments`, `timing`, `group_by` or `trial_days` ends this row at `effective_from` (the
    patch's, else now) and returns the row that takes over; subscriptions stay on the
    row they bought. `refresh_rate` takes the present rate of the price's unit, a change of
    substance too. In a draft, which nobody can have bought, everything changes in place.
    Raises: Invalid, NotFound, Archived, PriceReplaced, PriceOfSubscription, AlreadyExists.
    """
    values = checked(patch, _CHECKS)
    moment, refresh = values.pop("effective_from", None), values.pop("refresh_rate", False)
    try:
        async with writing(scope) as connection:
            before = await _sold(scope, price_id)
            owner = await owners.held(connection, scope, _named(before))
            await check_joined(connection, scope, values.get("group_id"), GroupKind.PRICE)
            if refresh:
                values["conversion"] = await _refreshed(connection, scope, before)
            await lock(connection, scope, "prices", price_id)
            before = await reads.get(scope, price_id)
            await _check_open(scope, before)
            changed = replace(before, **values)
            if "model" in values:
                changed = await with_meters(scope, changed)
            changed = replace(changed, content_hash=hash_of(changed))
            other = changed.content_hash != before.content_hash
            if other:
                check_terms(changed, await metered_by(scope, changed))
            if other and not owner.draft:
                start = _moment(moment, before, at=at)
                changed = replace(changed, effective_from=start)
                return await _replace(scope, before, changed, by=by, at=at)
            if owner.draft and moment is not None:
                changed = replace(changed, effective_from=moment)
            return await _rewrite(scope, before, changed, by=by, at=at)
    except IntegrityError as error:
        raise AlreadyExists("price", "lookupKey", values.get("lookup_key")) from error


async def archive(
    scope: Scope,
    price_id: str,
    *,
    by: Actor,
    at: datetime,
    effective_until: datetime | None = None,
) -> Price:
    """End the price at `effective_until`, or now: new subscriptions go without it from then on.

    Raises: Invalid (an end in the past), NotFound, Archived, PriceReplaced.
    """
    async with writing(scope) as connection:
        await lock(connection, scope, "prices", price_id)
        before = await _sold(scope, price_id)
        await _check_open(scope, before)
        until = _moment(effective_until, before, at=at, field="effectiveUntil")
        await PriceTable.filter(id=price_id).update(effective_until=until, updated_at=at)
        after = await reads.get(scope, price_id)
        await _audit(scope, "price.archive", before, after, by=by, at=at)
        await outbox.put(scope, PriceArchived.of(after, at))
    return after


async def delete(scope: Scope, price_id: str, *, by: Actor, at: datetime) -> Price:
    """Take a price off a draft, as if it had never been there. Returns it as it was.

    Raises: NotFound, PricePublished.
    """
    async with writing(scope) as connection:
        price = await _sold(scope, price_id)
        owner = await owners.held(connection, scope, _named(price))
        if not owner.draft:
            raise PricePublished(price_id)
        await lock(connection, scope, "prices", price_id)
        price = await reads.get(scope, price_id)
        await PriceTable.filter(id=price_id).delete()
        await audit.record(scope, by, "price.delete", price_id, at=at, before=facts(price))
        await outbox.put(scope, PriceDeleted.of(price, at))
    return price


async def restore(scope: Scope, price_id: str, *, by: Actor, at: datetime) -> Price:
    """Take the end off an archived price.

    Raises: NotFound, NotArchived, PriceReplaced, Archived (its owner or feature), AlreadyExists.
    """
    before = await _sold(scope, price_id)
    try:
        async with writing(scope) as connection:
            await owners.taking(connection, scope, _named(before))
            await lock_features(connection, scope, before)
            await lock(connection, scope, "prices", price_id)
            before = await reads.get(scope, price_id)
            if before.status is PriceStatus.ACTIVE:
                raise NotArchived("price", price_id)
            await _check_not_replaced(scope, before)
            await check_features(scope, before)
            await PriceTable.filter(id=price_id).update(effective_until=None, updated_at=at)
            after = await reads.get(scope, price_id)
            await _audit(scope, "price.restore", before, after, by=by, at=at)
            await outbox.put(scope, PriceRestored.of(after, at))
    except IntegrityError as error:
        raise AlreadyExists("price", "lookupKey", before.lookup_key) from error
    return after


async def _in_unit(
    connection: asyncpg.Connection, scope: Scope, price: Price, unit_id: str
) -> Price:
    conversion = await price_units.conversion(connection, scope, unit_id, currency=price.currency)
    return replace(price, conversion=conversion)


async def _refreshed(connection: asyncpg.Connection, scope: Scope, price: Price) -> Conversion:
    if price.conversion is None:
        raise Invalid(
            f"refreshRate: price {price.id} is in {price.currency}, not in a price unit",
            field="refreshRate",
            code="NO_PRICE_UNIT",
        )
    return await price_units.conversion(
        connection, scope, price.conversion.unit_id, currency=price.currency
    )


async def _rewrite(scope: Scope, before: Price, after: Price, *, by: Actor, at: datetime) -> Price:
    """Change the row in place; of what somebody may have bought, its names alone."""
    columns = price_rows.columns(replace(after, updated_at=at))
    await PriceTable.filter(id=columns.pop("id")).update(**columns)
    after = await reads.get(scope, before.id)
    await _audit(scope, "price.update", before, after, by=by, at=at)
    await outbox.put(scope, PriceUpdated.of(after, at))
    return after


async def _replace(scope: Scope, before: Price, new: Price, *, by: Actor, at: datetime) -> Price:
    """End `before` where `new` begins. The end comes first: it frees the lookup key."""
    await PriceTable.filter(id=before.id).update(effective_until=new.effective_from, updated_at=at)
    successor = await _insert(
        scope,
        replace(new, id=new_id("pri"), replaces_id=before.id, created_at=at, updated_at=at),
    )
    ended = await reads.get(scope, before.id)
    await _audit(scope, "price.replace", before, ended, by=by, at=at)
    await outbox.put(
        scope,
        PriceReplacedBy(
            entity_id=before.id,
            successor_id=successor.id,
            occurred_at=at,
            **owner_of(before),
        ),
    )
    await _tell_created(scope, successor, by=by, at=at)
    return successor


async def _insert(scope: Scope, price: Price) -> Price:
    await PriceTable.create(
        tenant_id=scope.tenant_id,
        environment_id=scope.environment_id,
        **price_rows.columns(price),
    )
    return await reads.get(scope, price.id)


async def _tell_created(scope: Scope, price: Price, *, by: Actor, at: datetime) -> None:
    await _audit(scope, "price.create", None, price, by=by, at=at)
    await outbox.put(scope, PriceCreated.of(price, at))


async def _audit(
    scope: Scope, action: str, before: Price | None, after: Price, *, by: Actor, at: datetime
) -> None:
    old = None if before is None else facts(before)
    await audit.record(scope, by, action, after.id, at=at, before=old, after=facts(after))


def _named(wanted: CreatePrice | Price) -> owners.Named:
    return owners.Named(
        plan_id=wanted.plan_id,
        plan_version_id=wanted.plan_version_id,
        addon_id=wanted.addon_id,
    )


def _owned(price: Price, owner: owners.Owner) -> Price:
    return replace(
        price,
        plan_id=owner.plan_id,
        plan_version_id=owner.plan_version_id,
        addon_id=owner.addon_id,
        offered=owner.offered,
    )


async def _sold(scope: Scope, price_id: str) -> Price:
    """A price of the catalogue. Raises: NotFound, PriceOfSubscription."""
    price = await reads.get(scope, price_id)
    if price.subscription_id is not None:
        raise PriceOfSubscription(price.id, price.subscription_id)
    return price


async def _check_open(scope: Scope, price: Price) -> None:
    if price.status is PriceStatus.ARCHIVED:
        await _check_not_replaced(scope, price)
        raise Archived("price", price.id)


async def _check_not_replaced(scope: Scope, price: Price) -> None:
    successor = (await reads.successors(scope, [price.id])).get(price.id)
    if successor is not None:
        raise PriceReplaced(price.id, successor.id)


def _moment(
    wanted: datetime | None, price: Price, *, at: datetime, field: str = "effectiveFrom"
) -> datetime:
    """When a change takes effect: not before now, nor before the price itself does."""
    earliest = max(at, price.effective_from)
    if wanted is None:
        return earliest
    if wanted < earliest:
        raise Invalid(
            f"{field}: {wanted.isoformat()} lies in the past; the earliest is "
            f"{earliest.isoformat()}",
            field=field,
            code="EFFECTIVE_IN_PAST",
        )
    return wanted


_CHECKS: Checks = {
    **price_rows.CHECKS,
    "model": lambda v: required(v, "model"),
    "timing": lambda v: required(v, "timing"),
    "adjustments": lambda v: required(v, "adjustments"),
    "group_by": lambda v: required(v, "groupBy"),
    "trial_days": lambda v: required(v, "trialDays"),
    "refresh_rate": lambda v: bool(v),
    "effective_from": lambda v: v,
}
