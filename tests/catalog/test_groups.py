import asyncio
from datetime import timedelta

import pytest

from app.catalog.actions import features, prices
from app.catalog.actions import groups as actions
from app.catalog.errors import Archived, NotArchived
from app.catalog.feature import FeatureType
from app.catalog.group import GroupKind, GroupStatus
from app.catalog.reads import features as feature_reads
from app.catalog.reads import groups as reads
from app.catalog.reads import prices as price_reads
from app.infra.listing import Condition, PageRequest
from app.kernel.errors import AlreadyExists, Invalid, NotFound
from app.kernel.scope import SYSTEM, Scope
from tests.catalog import make
from tests.catalog.history import audited, changes, refused, told


async def test_a_group_lives_and_what_belongs_to_it_stays(database, scope, clock):
    made = await make.group(
        scope, clock, name=" Compute ", lookup_key="compute", metadata={"order": "1"}
    )
    assert (made.name, made.kind, made.metadata) == ("Compute", GroupKind.FEATURE, {"order": "1"})
    assert await reads.by_lookup_keys(scope, ["compute", "none"]) == {"compute": made}
    member = await make.feature(scope, clock, group_id=made.id)
    clock.at += timedelta(days=1)
    patch = {"name": "Machines", "metadata": None}
    changed = await actions.update(scope, made.id, patch, by=SYSTEM, at=clock.now())
    assert (changed.name, changed.metadata, changed.updated_at) == ("Machines", {}, clock.now())
    before, after = await changes(scope, made.id)
    assert (before["name"], after["name"]) == ("Compute", "Machines")
    archived = await actions.archive(scope, made.id, by=SYSTEM, at=clock.now())
    assert (archived.status, archived.archived_at) == (GroupStatus.ARCHIVED, clock.now())
    assert (await feature_reads.get(scope, member.id)).group_id == made.id
    assert await actions.restore(scope, made.id, by=SYSTEM, at=clock.now()) == changed
    verbs = ["create", "update", "archive", "restore"]
    assert await audited(scope, made.id) == [f"group.{verb}" for verb in verbs]
    past = ["created", "updated", "archived", "restored"]
    assert await told(scope, made.id) == [(f"group.{verb}", {}) for verb in past]


async def test_a_lookup_key_is_taken_until_its_group_is_archived(database, scope, clock):
    first = await make.group(scope, clock, lookup_key="compute")
    async with refused(scope, AlreadyExists, "ALREADY_EXISTS", "lookupKey"):
        await make.group(scope, clock, lookup_key="compute", kind=GroupKind.PRICE)
    await actions.archive(scope, first.id, by=SYSTEM, at=clock.now())
    await make.group(scope, clock, lookup_key="compute")
    async with refused(scope, AlreadyExists, "ALREADY_EXISTS", "lookupKey"):
        await actions.restore(scope, first.id, by=SYSTEM, at=clock.now())


async def test_what_is_archived_changes_only_by_being_restored(database, scope, clock):
    made = await make.group(scope, clock)
    async with refused(scope, NotArchived, "GROUP_NOT_ARCHIVED", "id"):
        await actions.restore(scope, made.id, by=SYSTEM, at=clock.now())
    await actions.archive(scope, made.id, by=SYSTEM, at=clock.now())
    async with refused(scope, Archived, "GROUP_ARCHIVED", "id"):
        await actions.archive(scope, made.id, by=SYSTEM, at=clock.now())
    async with refused(scope, Archived, "GROUP_ARCHIVED", "id"):
        await actions.update(scope, made.id, {"name": "x"}, by=SYSTEM, at=clock.now())


async def test_a_feature_joins_a_group_of_features_that_is_in_use(database, scope, clock):
    group = await make.group(scope, clock)
    made = await make.feature(scope, clock, type=FeatureType.BOOLEAN, group_id=group.id)
    assert made.group_id == group.id
    of_prices = await make.group(scope, clock, kind=GroupKind.PRICE)
    async with refused(scope, Invalid, "WRONG_GROUP_KIND", "groupId"):
        patch = {"group_id": of_prices.id}
        await features.update(scope, made.id, patch, by=SYSTEM, at=clock.now())
    async with refused(scope, NotFound, "NOT_FOUND", "groupId"):
        await make.feature(scope, clock, type=FeatureType.BOOLEAN, group_id="grp_none")
    left = await features.update(scope, made.id, {"group_id": None}, by=SYSTEM, at=clock.now())
    assert left.group_id is None
    await actions.archive(scope, group.id, by=SYSTEM, at=clock.now())
    async with refused(scope, Archived, "GROUP_ARCHIVED", "groupId"):
        patch = {"group_id": group.id}
        await features.update(scope, made.id, patch, by=SYSTEM, at=clock.now())


async def test_a_price_joins_a_group_of_prices_without_becoming_another(database, scope, clock):
    plan = await make.plan(scope, clock)
    group = await make.group(scope, clock, kind=GroupKind.PRICE)
    price = await make.price(scope, clock, plan.id, group_id=group.id)
    alone = await make.price(scope, clock, plan.id)
    assert (price.group_id, price.content_hash) == (group.id, alone.content_hash)
    joined = await prices.update(scope, alone.id, {"group_id": group.id}, by=SYSTEM, at=clock.now())
    assert (joined.id, joined.group_id) == (alone.id, group.id)
    found = await price_reads.pages_of_groups(scope, [group.id], PageRequest())
    assert [row.id for row in found[group.id].rows] == [alone.id, price.id]
    of_features = await make.group(scope, clock)
    async with refused(scope, Invalid, "WRONG_GROUP_KIND", "groupId"):
        await make.price(scope, clock, plan.id, group_id=of_features.id)
    async with refused(scope, Invalid, "WRONG_GROUP_KIND", "groupId"):
        patch = {"group_id": of_features.id}
        await prices.update(scope, price.id, patch, by=SYSTEM, at=clock.now())


async def test_nothing_joins_a_group_while_it_is_being_archived(database, scope, clock):
    """Whoever comes second sees what the first did: never a member of an archived group that
    joined after it."""
    for _ in range(5):
        group = await make.group(scope, clock)
        switch = await make.feature(scope, clock, type=FeatureType.BOOLEAN)
        joined, _ = await asyncio.gather(
            features.update(scope, switch.id, {"group_id": group.id}, by=SYSTEM, at=clock.now()),
            actions.archive(scope, group.id, by=SYSTEM, at=clock.now()),
            return_exceptions=True,
        )
        now = await feature_reads.get(scope, switch.id)
        refusal = isinstance(joined, Archived)
        assert (now.group_id is None) == refusal
        assert (await reads.get(scope, group.id)).status is GroupStatus.ARCHIVED


async def test_groups_and_their_members_are_listed_and_strangers_find_none(database, scope, clock):
    group, other = await make.group(scope, clock), await make.group(scope, clock)
    await make.group(scope, clock, kind=GroupKind.PRICE)
    mine = [
        await make.feature(scope, clock, type=FeatureType.BOOLEAN, group_id=group.id)
        for _ in range(3)
    ]
    await make.feature(scope, clock, type=FeatureType.BOOLEAN)
    page = await reads.page(scope, PageRequest(where=Condition("kind", "eq", "feature")))
    assert [row.id for row in page.rows] == [other.id, group.id]
    found = await feature_reads.pages_of_groups(
        scope, [group.id, other.id], PageRequest(first=2, with_total=True)
    )
    assert [row.id for row in found[group.id].rows] == [mine[2].id, mine[1].id]
    assert (found[group.id].total, found[other.id].total) == (3, 0)
    of_group = PageRequest(where=Condition("group_id", "eq", group.id))
    assert len((await feature_reads.page(scope, of_group)).rows) == 3
    stranger = Scope("ten_01J00000000000000000000000", scope.environment_id)
    assert await reads.by_ids(stranger, [group.id]) == {}
    for verb in (actions.archive, actions.restore):
        with pytest.raises(NotFound):
            await verb(stranger, group.id, by=SYSTEM, at=clock.now())
