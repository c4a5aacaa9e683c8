"""Which version of a plan a subscription is on."""

import asyncio
from datetime import timedelta

from app.catalog.actions import plan_versions
from app.catalog.errors import PlanNotPublished
from app.catalog.reads import plan_versions as versions
from app.infra.listing import Condition, PageRequest
from app.kernel.scope import SYSTEM
from app.subscriptions import actions, reads
from app.subscriptions.changes.canceling import CancelSubscription
from app.subscriptions.subscription import CancelMode
from tests.catalog import make as catalog
from tests.catalog.history import refused
from tests.subscriptions import make


async def test_a_new_subscription_takes_the_newest_published_version(database, scope, clock):
    plan = await make.plan(scope, clock)
    early = await make.subscription(scope, clock, plan_id=plan.id)
    draft = await catalog.draft(scope, clock, plan.id)
    await catalog.price(scope, clock, plan_version_id=draft.id)
    meanwhile = await make.subscription(scope, clock, plan_id=plan.id)
    clock.at += timedelta(days=1)
    second = await catalog.publish(scope, clock, draft.id)
    late = await make.subscription(scope, clock, plan_id=plan.id)
    assert early.plan_version_id == meanwhile.plan_version_id != second.id
    assert late.plan_version_id == second.id
    lines = await reads.line_items(scope, [early.id, meanwhile.id, late.id])
    assert [len(lines[each.id]) for each in (early, meanwhile, late)] == [2, 2, 3]
    assert await reads.get(scope, early.id) == early
    old = {line.price_id for line in lines[early.id]}
    assert old.isdisjoint(line.price_id for line in lines[late.id])


async def test_nobody_gets_a_plan_of_which_nothing_is_for_sale(database, scope, clock):
    plan = await catalog.plan(scope, clock, publish=False)
    await catalog.price(scope, clock, plan.id)
    customer = await make.customer(scope, clock)
    async with refused(scope, PlanNotPublished, "PLAN_NOT_PUBLISHED", "planId"):
        await make.subscription(scope, clock, customer_id=customer.id, plan_id=plan.id)
    [draft] = await versions.all_of_plan(scope, plan.id)
    await catalog.publish(scope, clock, draft.id)
    made = await make.subscription(scope, clock, customer_id=customer.id, plan_id=plan.id)
    assert made.plan_version_id == draft.id
    await plan_versions.archive(scope, draft.id, by=SYSTEM, at=clock.now())
    async with refused(scope, PlanNotPublished, "PLAN_NOT_PUBLISHED", "planId"):
        await make.subscription(scope, clock, customer_id=customer.id, plan_id=plan.id)


async def test_whoever_subscribes_while_a_version_is_published_gets_one_or_the_other_whole(
    database, scope, clock
):
    for _ in range(3):
        plan = await make.plan(scope, clock)
        customer = await make.customer(scope, clock)
        draft = await catalog.draft(scope, clock, plan.id)
        await catalog.price(scope, clock, plan_version_id=draft.id)
        _, made = await asyncio.gather(
            catalog.publish(scope, clock, draft.id),
            make.subscription(scope, clock, customer_id=customer.id, plan_id=plan.id),
        )
        lines = await reads.line_items(scope, [made.id])
        assert len(lines[made.id]) == (3 if made.plan_version_id == draft.id else 2)


async def test_a_version_knows_its_subscriptions(database, scope, clock):
    plan = await make.plan(scope, clock)
    first, gone = [await make.subscription(scope, clock, plan_id=plan.id) for _ in range(2)]
    now = CancelSubscription(mode=CancelMode.NOW)
    await actions.cancel(scope, gone.id, now, by=SYSTEM, at=clock.now())
    version, none = first.plan_version_id, "plv_01J00000000000000000000000"
    await make.subscription(scope, clock)
    counts = await reads.counts_of_plan_versions(scope, [version, none])
    assert counts == {version: 1, none: 0}
    found = await reads.pages_of_plan_versions(scope, [version, none], PageRequest())
    assert {key: [s.id for s in page.rows] for key, page in found.items()} == {
        version: [gone.id, first.id],
        none: [],
    }
    on_it = PageRequest(where=Condition("plan_version_id", "eq", version))
    assert {s.id for s in (await reads.page(scope, on_it)).rows} == {first.id, gone.id}
