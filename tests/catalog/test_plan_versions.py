import asyncio
from datetime import timedelta
from decimal import Decimal

import pytest

from app.catalog.actions import plan_versions as actions
from app.catalog.actions import plans, prices
from app.catalog.errors import (
    AlreadyPublished,
    Archived,
    DraftExists,
    EmptyVersion,
    NoPlanVersion,
    NotArchived,
    PlanVersionNeeded,
    PricePublished,
)
from app.catalog.plan_version import PlanVersionStatus
from app.catalog.prices import Flat
from app.catalog.reads import plan_versions as reads
from app.catalog.reads import prices as price_reads
from app.infra.listing import Condition, PageRequest
from app.kernel.errors import AlreadyExists, Invalid, NotFound
from app.kernel.scope import SYSTEM, Scope
from tests.catalog import make
from tests.catalog.history import audited, changes, refused, told
from tests.statements import statements

DAY = timedelta(days=1)


async def current(scope, plan):
    return (await reads.current_of_plans(scope, [plan.id])).get(plan.id)


async def sold(scope, version):
    return (await price_reads.all_of_versions(scope, [version.id]))[version.id]


async def test_a_plan_begins_with_a_version_that_can_be_bought_unless_told_otherwise(
    database, scope, clock
):
    plan = await make.plan(scope, clock)
    first = await current(scope, plan)
    assert (first.number, first.status, first.current) == (1, PlanVersionStatus.PUBLISHED, True)
    assert (first.published_at, first.archived_at) == (clock.now(), None)
    assert await audited(scope, first.id) == ["plan_version.create"]
    which = {"plan_id": plan.id, "number": 1}
    assert await told(scope, first.id) == [
        ("plan_version.created", which),
        ("plan_version.published", which),
    ]
    price = await make.price(scope, clock, plan.id, lookup_key="fee")
    assert (price.plan_version_id, price.plan_id, price.offered) == (first.id, plan.id, True)

    quiet = await make.plan(scope, clock, publish=False)
    assert await current(scope, quiet) is None
    [draft] = await reads.all_of_plan(scope, quiet.id)
    assert (draft.status, draft.published_at) == (PlanVersionStatus.DRAFT, None)
    price = await make.price(scope, clock, quiet.id, lookup_key="fee")
    assert (price.plan_version_id, price.offered) == (draft.id, False)
    # The key is still that of the price that is for sale.
    found = await price_reads.by_lookup_keys(scope, ["fee"])
    assert found["fee"].plan_id == plan.id


async def test_a_new_version_sells_what_the_newest_does(database, scope, clock):
    plan = await make.plan(scope, clock)
    fee = await make.price(scope, clock, plan.id, lookup_key="fee", display_name="Fee")
    usage = await make.usage_price(scope, clock, plan.id)
    gone = await make.price(scope, clock, plan.id)
    soon = {"model": Flat(Decimal(120)), "effective_from": clock.now() + 30 * DAY}
    dearer = await prices.update(scope, fee.id, soon, by=SYSTEM, at=clock.now())
    clock.at += DAY
    await prices.archive(scope, gone.id, by=SYSTEM, at=clock.now())
    clock.at += DAY

    draft = await actions.create(
        scope, plan.id, by=SYSTEM, at=clock.now(), description="For the new year"
    )
    assert (draft.number, draft.status, draft.current) == (2, PlanVersionStatus.DRAFT, False)
    assert draft.description == "For the new year"
    copies = await sold(scope, draft)
    assert [price.lineage_id for price in copies] == [fee.id, usage.id, fee.id]
    now, counted, later = copies
    assert [price.content_hash for price in copies] == [
        price.content_hash for price in (fee, usage, dearer)
    ]
    assert (now.effective_from, now.effective_until) == (clock.now(), dearer.effective_from)
    assert (later.effective_from, later.effective_until) == (dearer.effective_from, None)
    assert (now.replaces_id, counted.replaces_id, later.replaces_id) == (None, None, now.id)
    assert (later.lookup_key, later.display_name, later.offered) == ("fee", "Fee", False)
    assert await audited(scope, now.id) == ["price.create"]
    # What was sold is as it was.
    first = await current(scope, plan)
    assert (first.number, len(await sold(scope, first))) == (1, 4)

    async with refused(scope, DraftExists, "DRAFT_EXISTS", "planId"):
        await make.draft(scope, clock, plan.id)


async def test_the_prices_of_a_draft_change_in_place_and_go_freely(database, scope, clock):
    plan = await make.plan(scope, clock)
    fee = await make.price(scope, clock, plan.id)
    draft = await make.draft(scope, clock, plan.id)
    [copy] = await sold(scope, draft)
    clock.at += DAY
    dearer = {"model": Flat(Decimal(120)), "effective_from": clock.now() - 9 * DAY}
    changed = await prices.update(scope, copy.id, dearer, by=SYSTEM, at=clock.now())
    assert (changed.id, changed.model, changed.replaces_id) == (copy.id, Flat(Decimal(120)), None)
    assert changed.content_hash != fee.content_hash
    assert (changed.lineage_id, changed.effective_from) == (fee.id, clock.now() - 9 * DAY)
    assert await audited(scope, copy.id) == ["price.create", "price.update"]
    added = await make.price(scope, clock, plan_version_id=draft.id)
    assert await prices.delete(scope, added.id, by=SYSTEM, at=clock.now()) == added
    assert [price.id for price in await sold(scope, draft)] == [copy.id]
    assert await audited(scope, added.id) == ["price.create", "price.delete"]
    assert [name for name, _ in await told(scope, added.id)] == ["price.created", "price.deleted"]
    async with refused(scope, PricePublished, "PRICE_PUBLISHED", "id"):
        await prices.delete(scope, fee.id, by=SYSTEM, at=clock.now())
    async with refused(scope, NotFound, "NOT_FOUND", "id"):
        await prices.delete(scope, added.id, by=SYSTEM, at=clock.now())


async def test_publishing_supersedes_for_what_comes_and_hands_the_lookup_keys_over(
    database, scope, clock
):
    plan = await make.plan(scope, clock)
    fee = await make.price(scope, clock, plan.id, lookup_key="fee")
    first = await current(scope, plan)
    draft = await make.draft(scope, clock, plan.id)
    [copy] = await sold(scope, draft)
    clock.at += DAY
    second = await make.publish(scope, clock, draft.id)
    assert (second.status, second.current) == (PlanVersionStatus.PUBLISHED, True)
    assert second.published_at == clock.now()
    assert await current(scope, plan) == second
    [superseded, _] = await reads.all_of_plan(scope, plan.id)
    assert (superseded.status, superseded.current) == (PlanVersionStatus.PUBLISHED, False)
    now = (await price_reads.by_lookup_keys(scope, ["fee"]))["fee"]
    assert (now.id, now.effective_from) == (copy.id, clock.now())
    old = await price_reads.get(scope, fee.id)
    assert (old.lookup_key, old.offered, old.effective_until) == ("fee", False, None)
    assert [p.id for p in (await price_reads.offered_of_plans(scope, [plan.id]))[plan.id]] == [
        copy.id
    ]
    assert await audited(scope, second.id) == ["plan_version.create", "plan_version.publish"]
    assert await changes(scope, first.id) == ({"current": True}, {"current": False})
    assert [name for name, _ in await told(scope, first.id)] == [
        "plan_version.created",
        "plan_version.published",
        "plan_version.updated",
    ]
    async with refused(scope, AlreadyPublished, "PLAN_VERSION_PUBLISHED", "id"):
        await make.publish(scope, clock, second.id)
    # The former still changes as something that was bought does.
    dearer = {"model": Flat(Decimal(120))}
    new = await prices.update(scope, fee.id, dearer, by=SYSTEM, at=clock.now())
    assert (new.replaces_id, new.plan_version_id, new.offered) == (fee.id, first.id, False)


async def test_an_empty_version_is_published_only_on_demand(database, scope, clock):
    plan = await make.plan(scope, clock, publish=False)
    [draft] = await reads.all_of_plan(scope, plan.id)
    async with refused(scope, EmptyVersion, "EMPTY_VERSION", "id"):
        await make.publish(scope, clock, draft.id)
    ended = await make.price(scope, clock, plan.id)
    await prices.archive(scope, ended.id, by=SYSTEM, at=clock.now())
    clock.at += DAY
    async with refused(scope, EmptyVersion, "EMPTY_VERSION", "id"):
        await make.publish(scope, clock, draft.id)
    published = await actions.publish(scope, draft.id, by=SYSTEM, at=clock.now(), allow_empty=True)
    assert published.current
    # What had ended before stays as it was.
    assert (await price_reads.get(scope, ended.id)).effective_from == ended.effective_from


async def test_of_two_who_publish_at_once_one_wins(database, scope, clock):
    plan = await make.plan(scope, clock)
    await make.price(scope, clock, plan.id)
    draft = await make.draft(scope, clock, plan.id)
    done = await asyncio.gather(
        *(make.publish(scope, clock, draft.id) for _ in range(4)), return_exceptions=True
    )
    lost = [each for each in done if isinstance(each, AlreadyPublished)]
    assert len(lost) == 3
    assert await audited(scope, draft.id) == ["plan_version.create", "plan_version.publish"]
    assert (await current(scope, plan)).id == draft.id


async def test_of_two_drafts_begun_at_once_one_is_refused(database, scope, clock):
    plan = await make.plan(scope, clock)
    await make.price(scope, clock, plan.id)
    done = await asyncio.gather(
        *(make.draft(scope, clock, plan.id) for _ in range(4)), return_exceptions=True
    )
    assert [isinstance(each, DraftExists) for each in done].count(True) == 3
    versions = await reads.all_of_plan(scope, plan.id)
    assert [version.number for version in versions] == [1, 2]


async def test_a_price_added_while_a_version_is_published_is_offered_or_refused(
    database, scope, clock
):
    """Never something that is for sale and not offered, or the reverse."""
    for _ in range(4):
        plan = await make.plan(scope, clock)
        await make.price(scope, clock, plan.id)
        draft = await make.draft(scope, clock, plan.id)
        await asyncio.gather(
            make.publish(scope, clock, draft.id),
            make.price(scope, clock, plan_version_id=draft.id),
        )
        offered = {price.offered for price in await sold(scope, draft)}
        assert offered == {True}


async def test_archiving_the_current_version_brings_the_former_back(database, scope, clock):
    plan = await make.plan(scope, clock)
    await make.price(scope, clock, plan.id, lookup_key="fee")
    first = await current(scope, plan)
    draft = await make.draft(scope, clock, plan.id)
    clock.at += DAY
    second = await make.publish(scope, clock, draft.id)
    clock.at += DAY
    archived = await actions.archive(scope, second.id, by=SYSTEM, at=clock.now())
    assert (archived.status, archived.current) == (PlanVersionStatus.ARCHIVED, False)
    assert (await current(scope, plan)).id == first.id
    found = await price_reads.by_lookup_keys(scope, ["fee"])
    assert found["fee"].plan_version_id == first.id
    async with refused(scope, Archived, "PLAN_VERSION_ARCHIVED", "id"):
        await actions.archive(scope, second.id, by=SYSTEM, at=clock.now())
    async with refused(scope, Archived, "PLAN_VERSION_ARCHIVED", "id"):
        await make.publish(scope, clock, second.id)
    async with refused(scope, Archived, "PLAN_VERSION_ARCHIVED", "planVersionId"):
        await make.price(scope, clock, plan_version_id=second.id)
    back = await actions.restore(scope, second.id, by=SYSTEM, at=clock.now())
    assert (back.status, back.current, back.published_at) == (
        PlanVersionStatus.PUBLISHED,
        True,
        second.published_at,
    )
    assert (await current(scope, plan)).id == second.id
    # A version that was superseded comes back as such.
    await actions.archive(scope, first.id, by=SYSTEM, at=clock.now())
    again = await actions.restore(scope, first.id, by=SYSTEM, at=clock.now())
    assert (again.status, again.current) == (PlanVersionStatus.PUBLISHED, False)
    async with refused(scope, NotArchived, "PLAN_VERSION_NOT_ARCHIVED", "id"):
        await actions.restore(scope, first.id, by=SYSTEM, at=clock.now())


async def test_a_draft_is_thrown_away_and_comes_back_where_there_is_no_other(
    database, scope, clock
):
    plan = await make.plan(scope, clock)
    await make.price(scope, clock, plan.id)
    second = await make.draft(scope, clock, plan.id)
    await actions.archive(scope, second.id, by=SYSTEM, at=clock.now())
    third = await make.draft(scope, clock, plan.id)
    assert third.number == 3
    async with refused(scope, DraftExists, "DRAFT_EXISTS", "id"):
        await actions.restore(scope, second.id, by=SYSTEM, at=clock.now())
    await actions.archive(scope, third.id, by=SYSTEM, at=clock.now())
    back = await actions.restore(scope, second.id, by=SYSTEM, at=clock.now())
    assert (back.status, back.current) == (PlanVersionStatus.DRAFT, False)


async def test_a_plan_alone_means_the_only_version_that_takes_prices(database, scope, clock):
    plan = await make.plan(scope, clock)
    await make.price(scope, clock, plan.id)
    first = await current(scope, plan)
    draft = await make.draft(scope, clock, plan.id)
    async with refused(scope, PlanVersionNeeded, "PLAN_VERSION_REQUIRED", "planVersionId"):
        await make.price(scope, clock, plan.id)
    named = await make.price(scope, clock, plan.id, plan_version_id=draft.id)
    assert named.plan_version_id == draft.id
    other = await make.plan(scope, clock)
    async with refused(scope, Invalid, "PLAN_MISMATCH", "planVersionId"):
        await make.price(scope, clock, other.id, plan_version_id=draft.id)
    for version in (first, draft):
        await actions.archive(scope, version.id, by=SYSTEM, at=clock.now())
    async with refused(scope, NoPlanVersion, "NO_PLAN_VERSION", "planId"):
        await make.price(scope, clock, plan.id)
    # All are archived, so the newest of all is what a new one begins with.
    again = await make.draft(scope, clock, plan.id)
    assert len(await sold(scope, again)) == 2


async def test_a_lookup_key_of_another_plan_keeps_a_version_from_being_published(
    database, scope, clock
):
    plan = await make.plan(scope, clock, publish=False)
    [draft] = await reads.all_of_plan(scope, plan.id)
    await make.price(scope, clock, plan.id, lookup_key="fee")
    async with refused(scope, AlreadyExists, "ALREADY_EXISTS", "lookupKey"):
        await make.price(scope, clock, plan.id, lookup_key="fee")
    addon = await make.addon(scope, clock)
    await make.price(scope, clock, addon_id=addon.id, lookup_key="fee")
    async with refused(scope, AlreadyExists, "ALREADY_EXISTS", "lookupKey"):
        with pytest.raises(AlreadyExists, match="another price already has the lookupKey fee"):
            await make.publish(scope, clock, draft.id)
        await make.publish(scope, clock, draft.id)


async def test_the_versions_of_an_archived_plan_rest(database, scope, clock):
    plan = await make.plan(scope, clock)
    await make.price(scope, clock, plan.id)
    draft = await make.draft(scope, clock, plan.id)
    await plans.archive(scope, plan.id, by=SYSTEM, at=clock.now())
    for verb in (actions.publish, actions.archive):
        async with refused(scope, Archived, "PLAN_ARCHIVED", "id"):
            await verb(scope, draft.id, by=SYSTEM, at=clock.now())
    async with refused(scope, Archived, "PLAN_ARCHIVED", "planId"):
        await make.draft(scope, clock, plan.id)


async def test_only_the_description_changes(database, scope, clock):
    plan = await make.plan(scope, clock)
    first = await current(scope, plan)
    said = await actions.update(
        scope, first.id, {"description": " 2024 "}, by=SYSTEM, at=clock.now()
    )
    assert said.description == "2024"
    async with refused(scope, Invalid, "INVALID_DESCRIPTION", "description"):
        await actions.update(scope, first.id, {"description": ""}, by=SYSTEM, at=clock.now())
    async with refused(scope, Invalid, "INVALID_DESCRIPTION", "description"):
        await actions.create(scope, plan.id, by=SYSTEM, at=clock.now(), description="x" * 2001)
    async with refused(scope, Invalid, "UNKNOWN_FIELD", "number"):
        await actions.update(scope, first.id, {"number": 7}, by=SYSTEM, at=clock.now())


async def test_a_version_is_copied_and_published_in_as_many_statements_however_large(
    database, scope, clock
):
    counts = []
    for size in (1, 12):
        plan = await make.plan(scope, clock)
        for _ in range(size):
            await make.price(scope, clock, plan.id)

        async def whole(plan=plan):
            draft = await make.draft(scope, clock, plan.id)
            await make.publish(scope, clock, draft.id)

        counts.append(len(await statements(scope, whole)))
    assert counts[0] == counts[1]


async def test_versions_are_listed_and_strangers_find_none(database, scope, clock):
    plan, other = await make.plan(scope, clock), await make.plan(scope, clock)
    await make.price(scope, clock, plan.id)
    draft = await make.draft(scope, clock, plan.id)
    page = await reads.page(scope, PageRequest(where=Condition("status", "eq", "draft")))
    assert [row.id for row in page.rows] == [draft.id]
    page = await reads.page(scope, PageRequest(where=Condition("current", "eq", True)))
    assert {row.plan_id for row in page.rows} == {plan.id, other.id}
    found = await reads.pages_of_plans(scope, [plan.id, other.id], PageRequest())
    assert [row.number for row in found[plan.id].rows] == [2, 1]
    assert [row.number for row in found[other.id].rows] == [1]
    stranger = Scope("ten_01J00000000000000000000000", scope.environment_id)
    assert await reads.by_ids(stranger, [draft.id]) == {}
    assert await reads.current_of_plans(stranger, [plan.id]) == {}
    for verb in (actions.publish, actions.archive, actions.restore):
        with pytest.raises(NotFound):
            await verb(stranger, draft.id, by=SYSTEM, at=clock.now())
    with pytest.raises(NotFound):
        await make.draft(stranger, clock, plan.id)
