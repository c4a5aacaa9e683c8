"""Cloning a plan: another plan that sells the same, here or in another environment."""

from collections.abc import Mapping, Sequence
from datetime import datetime

import asyncpg
from tortoise.exceptions import IntegrityError

from app.catalog.actions.copies import add_entitlements, add_prices, copied, given_again
from app.catalog.actions.locks import lock, lock_all
from app.catalog.actions.plans import PLAN, create
from app.catalog.actions.price_features import metered, meters_by_path
from app.catalog.actions.price_terms import check_terms, hash_of
from app.catalog.entitlement import OwnerKind
from app.catalog.errors import Archived, CloneIncomplete, NoPlanVersion
from app.catalog.plan import ClonePlan, CreatePlan, Plan
from app.catalog.plan_version import PlanVersion, PlanVersionStatus
from app.catalog.price import Price
from app.catalog.reads import (
    entitlements,
    features,
    groups,
    plan_versions,
    plans,
    price_units,
    prices,
)
from app.catalog.translation import Contents, Things, Translation, features_named, translated
from app.infra.postgres import writing
from app.kernel.checks import located
from app.kernel.copies import replace
from app.kernel.errors import AlreadyExists
from app.kernel.scope import Actor, Scope
from app.metering import reads as meters
from app.metering.meter import Meter, MeterStatus
from app.tenants import audit


async def clone(
    scope: Scope, command: ClonePlan, *, into: Scope, by: Actor, at: datetime, then: datetime
) -> Plan:
    """A plan in `into` that sells what the plan's current version does, or else its draft.

    Features and groups are found there by their lookup keys, price units by their codes; meters
    are those of the features there. Prices keep their lookup keys only in another environment:
    here they are taken. `at` is now in `scope`, `then` now in `into`.
    Raises: Invalid, NotFound, NoPlanVersion, CloneIncomplete (names what is missing),
    AlreadyExists (the lookup key of the plan or of one of its prices).
    """
    async with writing(scope) as connection:
        await lock(connection, scope, "plans", command.plan_id, shared=True)
        source = await plans.get(scope, command.plan_id)
        version = _sold(source.id, await plan_versions.all_of_plan(scope, source.id))
        contents = await _contents(scope, version, at=at)
        made = await _create(scope, _new(source, command), contents, into=into, by=by, at=then)
        told = {"plan_id": made.id, "environment_id": into.environment_id}
        await audit.record(scope, by, f"{PLAN.name}.clone", source.id, at=at, after=told)
    return made


async def _contents(scope: Scope, version: PlanVersion, *, at: datetime) -> Contents:
    """What of the version has not ended by `at`."""
    sold = (await prices.all_of_versions(scope, [version.id]))[version.id]
    given = (await entitlements.all_of(OwnerKind.PLAN)(scope, [version.id]))[version.id]
    return Contents(
        [price for price in sold if price.stands(at)],
        [each for each in given if each.overlaps(at, None)],
    )


def _new(source: Plan, command: ClonePlan) -> CreatePlan:
    return CreatePlan(
        name=command.name,
        lookup_key=command.lookup_key,
        description=source.description if command.description is None else command.description,
        metadata=source.metadata,
        publish=command.publish,
    )


async def _create(
    scope: Scope,
    new: CreatePlan,
    contents: Contents,
    *,
    into: Scope,
    by: Actor,
    at: datetime,
) -> Plan:
    try:
        async with writing(into) as connection:
            made = await create(into, new, by=by, at=at)
            [target] = await plan_versions.all_of_plan(into, made.id)
            if into == scope:
                await lock_all(connection, into, "features", features_named(contents))
                keyless = [replace(price, lookup_key=None) for price in contents.prices]
                there = replace(contents, prices=keyless)
            else:
                there = await _moved(connection, scope, contents, into=into)
            await add_prices(into, _apart(copied(there.prices, target, at=at)), by=by, at=at)
            given = given_again(there.entitlements, target, at=at)
            await add_entitlements(into, given, by=by, at=at)
    except IntegrityError as error:
        keys = [price.lookup_key for price in contents.prices if price.lookup_key is not None]
        taken = sorted(await prices.by_lookup_keys(into, keys))
        raise AlreadyExists("price", "lookupKey", ", ".join(taken)) from error
    return made


def _sold(plan_id: str, versions: Sequence[PlanVersion]) -> PlanVersion:
    """The current version, or else the draft. Raises: NoPlanVersion."""
    for version in versions:
        if version.current:
            return version
    for version in versions:
        if version.status is PlanVersionStatus.DRAFT:
            return version
    raise NoPlanVersion(plan_id, field="id")


def _apart(copies: Sequence[Price]) -> list[Price]:
    """Copies in another plan share no lineage with what they were copied from."""
    first: dict[str, str] = {}
    for price in copies:
        first.setdefault(price.lineage_id, price.id)
    return [replace(price, lineage_id=first[price.lineage_id]) for price in copies]


async def _moved(
    connection: asyncpg.Connection, scope: Scope, contents: Contents, *, into: Scope
) -> Contents:
    """The contents in the words of `into`, and prices with its meters.

    Raises: CloneIncomplete, Invalid, Archived (a meter).
    """
    translation = await _translation(connection, scope, contents, into=into)
    there = {feature.id: feature for feature in translation.there.features.values()}
    moved = [metered(translation.price(price), there) for price in contents.prices]
    counting = await meters.by_ids(
        into, {meter_id for price in moved for meter_id in meters_by_path(price).values()}
    )
    for index, price in enumerate(moved):
        with located(f"prices[{index}]"):
            _check(price, counting)
    return Contents(
        [replace(price, content_hash=hash_of(price)) for price in moved],
        [translation.entitlement(each) for each in contents.entitlements],
    )


def _check(price: Price, counting: Mapping[str, Meter]) -> None:
    """That the meters there can be charged for so. Raises: Invalid, Archived."""
    found = {path: counting[meter_id] for path, meter_id in meters_by_path(price).items()}
    for path, meter in found.items():
        if meter.status is MeterStatus.ARCHIVED:
            raise Archived("meter", meter.id, field=path)
    check_terms(price, found)


async def _translation(
    connection: asyncpg.Connection, scope: Scope, contents: Contents, *, into: Scope
) -> Translation:
    """What it leads to is locked against being archived. Raises: CloneIncomplete."""
    sold = contents.prices
    joined = {price.group_id for price in sold if price.group_id is not None}
    units = {price.conversion.unit_id for price in sold if price.conversion is not None}
    here = Things(
        await features.by_ids(scope, features_named(contents)),
        await groups.by_ids(scope, joined),
        await price_units.by_ids(scope, units),
    )
    found = await _namesakes(here, into)
    await lock_all(connection, into, "catalog_groups", [g.id for g in found.groups.values()])
    await lock_all(connection, into, "price_units", [u.id for u in found.units.values()])
    await lock_all(connection, into, "features", [f.id for f in found.features.values()])
    # Once more, now that they stay as they are.
    translation, missing = translated(here, await _namesakes(here, into))
    if any(missing.values()):
        raise CloneIncomplete(missing)
    return translation


async def _namesakes(here: Things, into: Scope) -> Things:
    """What has the same names in the other environment and is in use, by those names."""
    return Things(
        await features.by_lookup_keys(into, {f.lookup_key for f in here.features.values()}),
        await groups.by_lookup_keys(into, {g.lookup_key for g in here.groups.values()}),
        await price_units.by_codes(into, {unit.code for unit in here.units.values()}),
    )
