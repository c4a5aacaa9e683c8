"""Subscriptions at prices of their own, on real PostgreSQL and ClickHouse, with what they cost."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from app.catalog.actions import plan_versions
from app.catalog.actions import prices as selling
from app.catalog.errors import PriceOfSubscription
from app.catalog.price import PriceStatus
from app.catalog.price_override import PriceOverride
from app.catalog.prices import Flat, PerUnit
from app.catalog.reads import plan_versions as versions
from app.catalog.reads import prices
from app.invoicing import actions as invoicing
from app.kernel.errors import Invalid
from app.kernel.period import Period
from app.kernel.scope import SYSTEM
from app.subscriptions import actions as life
from app.subscriptions import reads as subscriptions
from app.subscriptions.change import ChangeMode, ChangePlan, ChangePrice, SubscriptionChangeKind
from app.subscriptions.errors import NothingChanges
from app.subscriptions.subscription import Held, Override
from tests.invoicing.changing import ask, asked, changes, items, notes, plan, run, seats
from tests.invoicing.test_billing import APR, FEB, MAR, everything, invoices

MID = datetime(2025, 2, 15, tzinfo=UTC)
FEBRUARY = Period(FEB, MAR)


def at_price(amount):
    return PriceOverride(model=PerUnit(Decimal(amount)))


def sold_at(price_id, amount, **fields):
    return Override(price_id=price_id, terms=at_price(amount), **fields)


async def reprice(world, subscription, line, amount, **how):
    terms = None if amount is None else at_price(amount)
    return await ask(world, subscription, ChangePrice(line_item_id=line.id, terms=terms), **how)


async def priced(world, subscription):
    """Each line with its price."""
    lines = await items(world, subscription)
    found = await prices.by_ids(world.scope, {line.price_id for line in lines})
    return [(line, found[line.price_id]) for line in lines]


async def test_it_is_sold_and_billed_at_prices_of_its_own(world):
    plan_id, (seat, requests) = await plan(world, "Team", "10", usage="0.01")
    own = (sold_at(seat, "7", quantity=Decimal(2)), sold_at(requests, "0.005"))
    subscription = await world.subscribe("acme", plan_id=plan_id, starts_at=FEB, overrides=own)
    (fee, fee_price), (_, usage_price) = await priced(world, subscription)
    assert (fee.quantity, fee.price_hash) == (2, fee_price.content_hash)
    assert (fee_price.subscription_id, fee_price.overrides_id) == (subscription.id, seat)
    assert (usage_price.overrides_id, usage_price.effective_from) == (requests, FEB)
    sold = await prices.of_plans(world.scope, [plan_id], at=MAR)
    assert {price.id for price in sold[plan_id]} == {seat, requests}
    version = await prices.of_version(world.scope, subscription.plan_version_id, at=MAR)
    assert {price.id for price in version} == {seat, requests}
    # What becomes of the plan's price is nothing to it, and its own is changed by its line alone.
    how = {"by": SYSTEM, "at": FEB}
    await selling.update(world.scope, seat, {"model": PerUnit(Decimal(99))}, **how)
    before = await everything(world)
    for verb in (selling.archive, selling.restore, selling.delete):
        with pytest.raises(PriceOfSubscription):
            await verb(world.scope, fee_price.id, **how)
    with pytest.raises(PriceOfSubscription):
        await selling.update(world.scope, fee_price.id, {"display_name": "X"}, **how)
    assert await everything(world) == before
    await world.use("acme", [(MID, "100", "eu")])
    await run(world, FEB)
    await run(world, MAR)
    assert await asked(world) == [
        ("subscription_create", [("Team seats", FEBRUARY, Decimal(14))]),
        (
            "subscription_cycle",
            [
                ("Team seats", Period(MAR, APR), Decimal(14)),
                ("Team requests", FEBRUARY, Decimal("0.5")),
            ],
        ),
    ]
    for invoice in await invoices(world):
        again = await invoicing.replay(world.scope, invoice.id, world.services.clickhouse)
        assert again.differences == ()


async def test_what_cannot_be_a_price_of_its_own_is_refused(world):
    plan_id, (seat, requests) = await plan(world, "Team", "10", usage="0.01")
    await world.customer("acme")
    before = await everything(world)
    flat = PriceOverride(model=Flat(Decimal(1)))
    for override, code, field in [
        (Override(price_id=requests, terms=flat), "FLAT_USAGE", "overrides[0].model.flat"),
        (sold_at(seat, "10"), "NOTHING_CHANGES", "overrides[0]"),
        (sold_at("pri_0", "10"), "INVALID_OVERRIDES", "overrides[0].priceId"),
    ]:
        with pytest.raises((Invalid, NothingChanges)) as refused:
            await world.subscribe("acme", plan_id=plan_id, overrides=(override,))
        assert (refused.value.code, refused.value.field) == (code, field)
    assert await everything(world) == before


async def test_a_line_goes_over_to_its_own_price_and_back(world):
    """Fees are given back and charged; usage is rated by the price of its own time."""
    plan_id, (seat, requests) = await plan(world, "Team", "10", usage="0.01")
    subscription = await seats(world, "acme", plan_id, seat, 2, starts_at=FEB)
    await run(world, FEB)
    await world.use("acme", [(FEB, "100", "eu"), (MID, "1000", "eu"), (MAR, "1000", "eu")])
    fee, usage = await items(world, subscription)
    world.clock.at = MID
    await reprice(world, subscription, usage, "0.001")
    change = await reprice(world, subscription, fee, "6")
    assert (change.kind, change.direction) == (SubscriptionChangeKind.PRICE, "downgrade")
    with pytest.raises(NothingChanges):
        await reprice(world, subscription, usage, "0.001")
    back = await reprice(world, subscription, usage, None, mode=ChangeMode.PERIOD_END)
    assert [note.total for note in await notes(world, subscription)] == [Decimal(10)]
    await run(world, MAR)
    await run(world, APR)
    assert (await asked(world))[1:] == [
        ("subscription_update", [("Team seats", Period(MID, MAR), Decimal(6))]),
        (
            "subscription_cycle",
            [
                ("Team seats", Period(MAR, APR), Decimal(12)),
                ("Team requests", Period(FEB, MID), Decimal(1)),
                ("Team requests", Period(MID, MAR), Decimal(1)),
            ],
        ),
        (
            "subscription_cycle",
            [
                ("Team seats", Period(APR, datetime(2025, 5, 1, tzinfo=UTC)), Decimal(12)),
                ("Team requests", Period(MAR, APR), Decimal(10)),
            ],
        ),
    ]
    lines = await priced(world, subscription)
    of_usage = [(line, price) for line, price in lines if line.line_key == usage.line_key]
    assert [price.catalogue_id for _, price in of_usage] == [requests] * 3
    (_, own), (last, listed) = of_usage[1:]
    assert (own.status, own.effective_from, own.effective_until) == (PriceStatus.ARCHIVED, MID, MAR)
    assert (listed.id, last.change_id, last.starts_at) == (requests, back.id, MAR)


@pytest.mark.parametrize("keeps", [False, True])
async def test_with_another_version_its_own_prices_end_unless_they_are_kept(world, keeps):
    plan_id, (seat, _) = await plan(world, "Team", "10", usage="0.01")
    own = (sold_at(seat, "7", quantity=Decimal(2)),)
    subscription = await world.subscribe("acme", plan_id=plan_id, starts_at=FEB, overrides=own)
    await run(world, FEB)
    old = (await priced(world, subscription))[0][1]
    how = {"by": SYSTEM, "at": FEB}
    draft = await plan_versions.create(world.scope, plan_id, **how)
    new = (await prices.of_version(world.scope, draft.id, at=MAR))[0]
    await selling.update(world.scope, new.id, {"trial_days": 3}, **how)
    await plan_versions.publish(world.scope, draft.id, **how)
    assert (await versions.get(world.scope, draft.id)).current
    world.clock.at = MID
    what = ChangePlan(plan_id=plan_id, keeps_overrides=keeps)
    await ask(world, subscription, what)
    line, price = (await priced(world, subscription))[-1]
    assert (line.quantity, line.starts_at, price.catalogue_id) == (2, MID, new.id)
    assert (price.overrides_id is not None) is keeps
    assert price.model == PerUnit(Decimal(7 if keeps else 10))
    assert price.trial_days == 3
    assert price.replaces_id == (old.id if keeps else None)
    ended = (await prices.by_ids(world.scope, [old.id]))[old.id]
    assert ended.effective_until == MID
    (change,) = await changes(world, subscription)
    assert change.status == "applied"


async def test_a_draft_is_sold_at_other_prices_until_it_is_activated(world):
    plan_id, (seat, requests) = await plan(world, "Team", "10", usage="0.01")
    draft = await world.subscribe(
        "acme", plan_id=plan_id, draft=True, overrides=(sold_at(seat, "7"),)
    )
    how = {"by": SYSTEM, "at": FEB}
    patch = {
        "overrides": (sold_at(seat, "8", quantity=Decimal(3)), sold_at(requests, "0.002")),
        "quantities": (),
    }
    await life.update(world.scope, draft.id, patch, **how)
    (fee, fee_price), (_, usage_price) = await priced(world, draft)
    assert (fee.quantity, fee_price.model) == (3, PerUnit(Decimal(8)))
    assert usage_price.model == PerUnit(Decimal("0.002"))
    first = (await prices.by_ids(world.scope, [fee_price.replaces_id]))[fee_price.replaces_id]
    assert (first.model, first.status) == (PerUnit(Decimal(7)), PriceStatus.ARCHIVED)
    await life.update(world.scope, draft.id, {"overrides": (sold_at(seat, "8"),)}, **how)
    assert [price.id for _, price in await priced(world, draft)] == [fee_price.id, requests]
    await life.update(world.scope, draft.id, {"quantities": (Held(seat, Decimal(4)),)}, **how)
    await life.activate(world.scope, draft.id, FEB, **how)
    (fee, price), _ = await priced(world, draft)
    assert (fee.quantity, fee.starts_at, price.effective_from) == (4, FEB, FEB)
    await run(world, FEB)
    assert await asked(world) == [("subscription_create", [("Team seats", FEBRUARY, Decimal(32))])]
    found = await subscriptions.get(world.scope, draft.id)
    assert found.status == "active"
