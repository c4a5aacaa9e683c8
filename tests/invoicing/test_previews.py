"""Previews of subscriptions and usage that are only thought of come to what would be billed."""

from decimal import Decimal

import pytest

from app.catalog.entitlement_terms import Metered
from app.catalog.reads import prices
from app.invoicing import actions
from app.invoicing.actions import NewSubscription
from app.invoicing.drafts import Moment
from app.invoicing.invoice import BillingReason
from app.invoicing.quoting import Usage
from app.kernel.errors import Invalid, NotFound
from app.kernel.ids import new_id
from app.kernel.scope import SYSTEM
from app.subscriptions.commitments import Commitment, CommitmentTerms
from app.subscriptions.subscription import CreateSubscription
from tests.invoicing.test_billing import FEB, bill, everything, invoices, lines
from tests.invoicing.test_included import gives
from tests.invoicing.world import JAN

D = Decimal


async def sold(world):
    """The ids of the plan's prices, by name."""
    found = await prices.offered_of_plans(world.scope, [world.plan_id])
    return {price.display_name: price.id for price in found[world.plan_id]}


async def thought_of(world, imagined=None, **fields):
    customer = await world.customer("acme")
    command = CreateSubscription(
        **{"customer_id": customer.id, "plan_id": world.plan_id, "starts_at": JAN, **fields}
    )
    return await actions.preview_new(
        world.scope, NewSubscription(command), world.services.clickhouse,
        by=SYSTEM, moment=Moment(world.clock.now(), None), imagined=imagined,
    )  # fmt: skip


def asked(rows):
    return [(row.kind, row.description, row.quantity, row.amount) for row in rows]


async def test_one_that_is_thought_of_leaves_nothing_and_comes_to_what_it_costs_once_made(world):
    await world.customer("acme")
    before = await everything(world)
    first = await thought_of(world)
    cycle = await thought_of(world, {(await sold(world))["Requests"]: Usage(quantity=D(120))})
    assert await everything(world) == before
    assert (first.invoice.reason, cycle.invoice.reason) == (
        BillingReason.SUBSCRIPTION_CREATE, BillingReason.SUBSCRIPTION_CYCLE,
    )  # fmt: skip
    await world.subscribe("acme")
    await world.use("acme", [(JAN, "120", "eu")])
    await bill(world, FEB)
    made = await invoices(world)
    assert asked(first.lines) == asked(await lines(world, made[0]))
    # Nothing was imagined of the traffic, which the same events are counted for.
    billed = await lines(world, made[1])
    assert asked(each for each in cycle.lines if each.description != "Traffic") == asked(
        each for each in billed if each.description != "Traffic"
    )


async def test_imagined_usage_takes_the_place_of_what_was_counted(world):
    bought = await world.subscribe("acme")
    await world.use("acme", [(JAN, "5", "eu")])
    ids = await sold(world)
    imagined = {ids["Requests"]: Usage(quantity=D(120)), ids["Traffic"]: Usage(quantity=D(1000))}
    found = await actions.preview(
        world.scope, bought.id, world.services.clickhouse,
        moment=Moment(JAN, None), imagined=imagined,
    )  # fmt: skip
    assert [(line.description, line.quantity, line.amount) for line in found.lines] == [
        ("Platform fee", 1, 20), ("Requests", 120, 55), ("Traffic", 1000, 1),
    ]  # fmt: skip
    assert found.lines[2].group == {"region": None}


async def test_what_is_included_and_committed_to_counts_for_imagined_usage(world):
    await gives(world, Metered(D(100)))
    requests = (await sold(world))["Requests"]
    usage = {requests: Usage(quantity=D(120))}
    (line,) = [each for each in (await thought_of(world, usage)).lines if each.quantity == 120]
    plain = line.amount
    promised = CommitmentTerms(Commitment(amount=D(500), true_up=True), requests)
    found = await thought_of(world, usage, commitments=(promised,))
    (line,) = [each for each in found.lines if each.price_id == requests]
    assert (plain, line.amount) == (10, 500)  # 20 beyond 100 included, at 0.5


@pytest.mark.parametrize(
    ("named", "usage", "code", "field"),
    [
        ("Platform fee", Usage(quantity=D(1)), "PRICE_NOT_BILLED", "usage[0].priceId"),
        ("nothing", Usage(quantity=D(1)), "PRICE_NOT_BILLED", "usage[0].priceId"),
        ("Requests", Usage(windows=[D(1)]), "QUOTE_USAGE", "usage[0].usage.quantity"),
        ("Requests", Usage(amounts=[D(1)] * 1001), "TOO_MANY_PARTS", "usage[0].usage.amounts"),
    ],
)
async def test_usage_that_fits_no_price_is_refused(world, named, usage, code, field):
    bought = await world.subscribe("acme")
    imagined = {(await sold(world)).get(named, new_id("pri")): usage}
    with pytest.raises(Invalid) as refused:
        await actions.preview(
            world.scope, bought.id, world.services.clickhouse,
            moment=Moment(JAN, None), imagined=imagined,
        )  # fmt: skip
    assert (refused.value.code, refused.value.field) == (code, field)


async def test_one_that_could_not_be_made_is_refused_and_leaves_nothing(world):
    await world.customer("acme")
    before = await everything(world)
    with pytest.raises(NotFound) as refused:
        await thought_of(world, plan_id=new_id("plan"))
    assert refused.value.field == "planId"
    assert await everything(world) == before
