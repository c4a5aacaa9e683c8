from datetime import timedelta

import asyncpg
import pytest

from app.catalog.actions import addons as actions
from app.catalog.actions import prices
from app.catalog.addon import AddonStatus, AddonType
from app.catalog.errors import Archived, NotArchived, PricePublished
from app.catalog.reads import addons as reads
from app.catalog.reads import prices as price_reads
from app.infra.listing import Condition, PageRequest
from app.infra.postgres import writing
from app.kernel.errors import AlreadyExists, Invalid, NotFound
from app.kernel.scope import SYSTEM, Scope
from tests.catalog import make
from tests.catalog.history import audited, changes, refused, told


async def test_an_addon_lives(database, scope, clock):
    made = await make.addon(
        scope, clock, name=" Support ", lookup_key="support", type=AddonType.ONE_TIME
    )
    assert (made.name, made.type, made.status) == (
        "Support",
        AddonType.ONE_TIME,
        AddonStatus.ACTIVE,
    )
    assert await reads.by_lookup_keys(scope, ["support", "none"]) == {"support": made}
    clock.at += timedelta(days=1)
    patch = {"name": "Help", "description": "By night"}
    changed = await actions.update(scope, made.id, patch, by=SYSTEM, at=clock.now())
    assert (changed.name, changed.description, changed.metadata) == ("Help", "By night", {})
    before, after = await changes(scope, made.id)
    assert (before["name"], after["name"]) == ("Support", "Help")
    archived = await actions.archive(scope, made.id, by=SYSTEM, at=clock.now())
    assert (archived.status, archived.archived_at) == (AddonStatus.ARCHIVED, clock.now())
    assert await actions.restore(scope, made.id, by=SYSTEM, at=clock.now()) == changed
    verbs = ["create", "update", "archive", "restore"]
    assert await audited(scope, made.id) == [f"addon.{verb}" for verb in verbs]
    past = ["created", "updated", "archived", "restored"]
    assert await told(scope, made.id) == [(f"addon.{verb}", {}) for verb in past]


@pytest.mark.parametrize(
    ("fields", "field", "code"),
    [
        ({"name": ""}, "name", "INVALID_NAME"),
        ({"lookup_key": "-x"}, "lookupKey", "INVALID_LOOKUP_KEY"),
        ({"description": ""}, "description", "INVALID_DESCRIPTION"),
        ({"metadata": {"": "x"}}, "metadata", "INVALID_METADATA"),
    ],
)
async def test_wrong_input_is_refused(database, scope, clock, fields, field, code):
    async with refused(scope, Invalid, code, field):
        await make.addon(scope, clock, **fields)


async def test_a_lookup_key_is_taken_until_its_addon_is_archived(database, scope, clock):
    first = await make.addon(scope, clock, lookup_key="support")
    async with refused(scope, AlreadyExists, "ALREADY_EXISTS", "lookupKey"):
        await make.addon(scope, clock, lookup_key="support")
    async with refused(scope, NotArchived, "ADDON_NOT_ARCHIVED", "id"):
        await actions.restore(scope, first.id, by=SYSTEM, at=clock.now())
    await actions.archive(scope, first.id, by=SYSTEM, at=clock.now())
    async with refused(scope, Archived, "ADDON_ARCHIVED", "id"):
        await actions.update(scope, first.id, {"name": "x"}, by=SYSTEM, at=clock.now())
    await make.addon(scope, clock, lookup_key="support")
    async with refused(scope, AlreadyExists, "ALREADY_EXISTS", "lookupKey"):
        await actions.restore(scope, first.id, by=SYSTEM, at=clock.now())


async def test_an_addon_owns_prices_like_a_plan(database, scope, clock):
    addon = await make.addon(scope, clock)
    fee = await make.price(scope, clock, addon_id=addon.id, lookup_key="support-fee")
    usage = await make.usage_price(scope, clock, addon_id=addon.id)
    assert (fee.addon_id, fee.plan_id, fee.plan_version_id) == (addon.id, None, None)
    assert fee.offered
    assert await price_reads.by_lookup_keys(scope, ["support-fee"]) == {"support-fee": fee}
    whose = {"plan_id": None, "plan_version_id": None, "addon_id": addon.id}
    assert await told(scope, fee.id) == [("price.created", whose)]
    clock.at += timedelta(days=1)
    later = {"trial_days": 14}
    new = await prices.update(scope, fee.id, later, by=SYSTEM, at=clock.now())
    assert (new.addon_id, new.replaces_id, new.lineage_id) == (addon.id, fee.id, fee.id)
    found = await price_reads.all_of_addons(scope, [addon.id])
    assert [price.id for price in found[addon.id]] == [fee.id, usage.id, new.id]
    async with refused(scope, PricePublished, "PRICE_PUBLISHED", "id"):
        await prices.delete(scope, new.id, by=SYSTEM, at=clock.now())
    ended = await prices.archive(scope, new.id, by=SYSTEM, at=clock.now())
    await actions.archive(scope, addon.id, by=SYSTEM, at=clock.now())
    async with refused(scope, Archived, "ADDON_ARCHIVED", "addonId"):
        await make.price(scope, clock, addon_id=addon.id)
    async with refused(scope, Archived, "ADDON_ARCHIVED", "addonId"):
        await prices.restore(scope, ended.id, by=SYSTEM, at=clock.now())


async def test_a_price_has_one_owner(database, scope, clock):
    plan, addon = await make.plan(scope, clock), await make.addon(scope, clock)
    async with refused(scope, Invalid, "OWNER_REQUIRED", "planId"):
        await make.price(scope, clock)
    async with refused(scope, Invalid, "OWNER_AMBIGUOUS", "addonId"):
        await make.price(scope, clock, plan.id, addon_id=addon.id)
    async with refused(scope, NotFound, "NOT_FOUND", "addonId"):
        await make.price(scope, clock, addon_id="addon_01J00000000000000000000000")
    price = await make.price(scope, clock, plan.id)
    for wrong in ("addon_id = 'x'", "plan_version_id = NULL", "plan_id = NULL"):
        with pytest.raises(asyncpg.CheckViolationError, match="prices_one_owner"):
            async with writing(scope) as connection:
                await connection.execute(
                    f"UPDATE prices SET {wrong} WHERE id = $1",  # noqa: S608
                    price.id,
                )


async def test_addons_are_listed_and_strangers_find_none(database, scope, clock):
    always = await make.addon(scope, clock)
    await make.addon(scope, clock, type=AddonType.ONE_TIME)
    recurring = PageRequest(where=Condition("type", "eq", "recurring"))
    assert [row.id for row in (await reads.page(scope, recurring)).rows] == [always.id]
    stranger = Scope("ten_01J00000000000000000000000", scope.environment_id)
    assert await reads.by_ids(stranger, [always.id]) == {}
    assert await reads.by_lookup_keys(stranger, [always.lookup_key]) == {}
    for verb in (actions.archive, actions.restore):
        with pytest.raises(NotFound):
            await verb(stranger, always.id, by=SYSTEM, at=clock.now())
    with pytest.raises(NotFound):
        await make.price(stranger, clock, addon_id=always.id)
