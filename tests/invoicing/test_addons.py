"""Addons of running subscriptions on real PostgreSQL and ClickHouse, with the money they move."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from app.catalog.actions import addons as catalogue
from app.catalog.actions import prices as selling
from app.catalog.addon import AddonType, CreateAddon
from app.catalog.errors import Archived
from app.catalog.price import Billing, ChargeKind, CreatePrice, InvoiceTiming
from app.catalog.prices import Flat, PerUnit
from app.catalog.reads import features
from app.invoicing import actions
from app.invoicing.reads import by_ids
from app.kernel.errors import Invalid, NotFound
from app.kernel.ids import ulid
from app.kernel.period import Cadence, Period
from app.kernel.scope import SYSTEM
from app.subscriptions import reads as subscriptions
from app.subscriptions.actions import RequestChange
from app.subscriptions.change import (
    AttachAddon,
    ChangeAddonQuantity,
    ChangeMode,
    DetachAddon,
    SubscriptionChangeKind,
)
from app.subscriptions.errors import AddonIsAttached, AddonIsNotHeld, NothingChanges
from app.subscriptions.subscription import CreateSubscription
from tests.invoicing.changing import ask, asked, changes, items, notes, plan, run, seats
from tests.invoicing.test_billing import APR, FEB, MAR, everything
from tests.invoicing.world import JAN

MID = datetime(2025, 2, 15, tzinfo=UTC)
LATER = datetime(2025, 2, 22, tzinfo=UTC)
FEBRUARY = Period(FEB, MAR)


async def addon(world, *sold, kind=AddonType.RECURRING):
    """An addon with these prices, each in advance unless it says otherwise."""
    how = {"by": SYSTEM, "at": JAN}
    command = CreateAddon(name="Support", lookup_key=ulid(), type=kind)
    made = await catalogue.create(world.scope, command, **how)
    for fields in sold:
        defaults = {
            "addon_id": made.id,
            "display_name": "Support",
            "charge": ChargeKind.FIXED,
            "model": PerUnit(Decimal(8)),
            "currency": "USD",
            "timing": InvoiceTiming.ADVANCE,
        }
        await selling.create(world.scope, CreatePrice(**defaults | fields), **how)
    return made.id


@pytest.fixture
async def team(world):
    """Two seats at 10 a month since February, which is billed; it is the middle of February."""
    plan_id, (seat,) = await plan(world, "Team", "10")
    subscription = await seats(world, "acme", plan_id, seat, 2, starts_at=FEB)
    await run(world, FEB)
    world.clock.at = MID
    return subscription


async def held(world, subscription):
    """Each time of an addon: its key, its quantity and its bounds."""
    found = (await subscriptions.holdings(world.scope, [subscription.id]))[subscription.id]
    return [
        (each.key, each.quantity, each.starts_at, each.ends_at)
        for each in found
        if each.owner.kind == "addon"
    ]


async def test_an_addon_comes_changes_and_goes_with_its_fees(world, team):
    setup = {"billing": Billing.ONE_TIME, "model": Flat(Decimal(5)), "display_name": "Setup"}
    support = await addon(world, {}, setup)
    before = len(await items(world, team))
    wanted = RequestChange(subscription_id=team.id, what=AttachAddon(addon_id=support))
    seen = await actions.preview_change(
        world.scope, wanted, world.services.clickhouse, by=SYSTEM, at=MID
    )
    change = await ask(world, team, AttachAddon(addon_id=support, quantity=Decimal(2)))
    assert (change.kind, change.direction) == (SubscriptionChangeKind.ADDON_ATTACH, "upgrade")
    ((key, *times),) = await held(world, team)
    assert times == [2, MID, None]
    fee, once = (await items(world, team))[before:]
    assert {fee.holding_id, once.holding_id} == {key}
    (made,) = (await by_ids(world.scope, [change.invoice_id])).values()
    assert (made.totals.total, seen.invoice.invoice.totals.total) == (Decimal(18), Decimal(9))

    world.clock.at = LATER
    more = await ask(world, team, ChangeAddonQuantity(holding_id=key, quantity=Decimal(4)))
    assert more.kind is SubscriptionChangeKind.ADDON_QUANTITY
    assert await held(world, team) == [(key, 2, MID, LATER), (key, 4, LATER, None)]
    gone = await ask(world, team, DetachAddon(holding_id=key), mode=ChangeMode.PERIOD_END)
    assert gone.effective_at == MAR
    await run(world, MAR)
    assert [note.total for note in await notes(world, team)] == [Decimal(4)]
    assert (await held(world, team))[-1] == (key, 4, LATER, MAR)
    assert await asked(world) == [
        ("subscription_create", [("Team seats", FEBRUARY, Decimal(20))]),
        (
            "subscription_update",
            [("Support", Period(MID, MAR), Decimal(8)), ("Setup", Period(MID, MID), Decimal(10))],
        ),
        ("subscription_update", [("Support", Period(LATER, MAR), Decimal(8))]),
        ("subscription_cycle", [("Team seats", Period(MAR, APR), Decimal(20))]),
    ]
    with pytest.raises(AddonIsNotHeld):
        await ask(world, team, DetachAddon(holding_id=key))


async def test_what_is_detached_is_given_back_once_and_several_of_one_addon_go_apart(world, team):
    support = await addon(world, {})
    await ask(world, team, AttachAddon(addon_id=support))
    await ask(world, team, AttachAddon(addon_id=support), proration="none")
    (first, *_), (second, *_) = await held(world, team)
    assert first != second
    world.clock.at = LATER
    await ask(world, team, DetachAddon(holding_id=first))
    assert [note.total for note in await notes(world, team)] == [Decimal(2)]
    await run(world, MAR)
    assert (await asked(world))[-1] == (
        "subscription_cycle",
        [
            ("Team seats", Period(MAR, APR), Decimal(20)),
            ("Support", Period(MAR, APR), Decimal(8)),
        ],
    )
    kinds = [change.kind for change in await changes(world, team)]
    assert kinds.count(SubscriptionChangeKind.ADDON_ATTACH) == 2


async def test_an_addon_that_is_bought_once_ends_with_the_period(world, team):
    boost = await addon(world, {}, kind=AddonType.ONE_TIME)
    await ask(world, team, AttachAddon(addon_id=boost))
    ((_, *times),) = await held(world, team)
    assert times == [1, MID, MAR]
    await run(world, MAR)
    await run(world, APR)
    assert [lines for _, lines in await asked(world)][1:3] == [
        [("Support", Period(MID, MAR), Decimal(4))],
        [("Team seats", Period(MAR, APR), Decimal(20))],
    ]
    assert await notes(world, team) == []


async def test_what_does_not_fit_is_refused_and_nothing_happens(world, team):
    requests = (await features.by_lookup_keys(world.scope, ["requests"]))["requests"]
    usage = {
        "charge": ChargeKind.USAGE,
        "timing": InvoiceTiming.ARREARS,
        "feature_id": requests.id,
    }
    metered = await addon(world, usage)
    await ask(world, team, AttachAddon(addon_id=metered))
    ((key, *_),) = await held(world, team)
    euros = await addon(world, {"currency": "EUR"})
    yearly = await addon(world, {"cadence": Cadence("year")})
    archived = await addon(world, {})
    await catalogue.archive(world.scope, archived, by=SYSTEM, at=MID)
    before = await everything(world)
    for what, refusal, code, field in [
        (AttachAddon(addon_id=metered), AddonIsAttached, "ADDON_ATTACHED", "addonId"),
        (AttachAddon(addon_id=euros), Invalid, "CURRENCY_MISMATCH", "addonId"),
        (AttachAddon(addon_id=yearly), Invalid, "CADENCE_MISMATCH", "addonId"),
        (AttachAddon(addon_id=archived), Archived, "ADDON_ARCHIVED", "addonId"),
        (AttachAddon(addon_id="addon_0"), NotFound, "NOT_FOUND", "addonId"),
        (AttachAddon(addon_id=euros, quantity=Decimal(0)), Invalid, "NOT_POSITIVE", "quantity"),
        (DetachAddon(holding_id="hold_0"), NotFound, "NOT_FOUND", "subscriptionAddonId"),
        (
            ChangeAddonQuantity(holding_id=key, quantity=Decimal(1)),
            NothingChanges,
            "NOTHING_CHANGES",
            "quantity",
        ),
    ]:
        with pytest.raises(refusal) as refused:
            await ask(world, team, what)
        assert (refused.value.code, refused.value.field) == (code, field)
    assert await everything(world) == before


async def test_an_addon_is_bought_with_the_subscription(world):
    """From its start on, and billed with its first invoice; all of it, or nothing."""
    plan_id, _ = await plan(world, "Team", "10")
    support = await addon(world, {})
    customer = await world.customer("acme")
    command = CreateSubscription(customer_id=customer.id, plan_id=plan_id, starts_at=FEB)
    bought = (AttachAddon(addon_id=support, quantity=Decimal(3)),)
    how = {"by": SYSTEM, "at": FEB}
    made = await actions.subscribe(world.scope, command, addons=bought, **how)
    assert [each[1:] for each in await held(world, made)] == [(Decimal(3), FEB, None)]
    before = await everything(world)
    unknown = (AttachAddon(addon_id="addon_0"),)
    with pytest.raises(NotFound) as refused:
        await actions.subscribe(world.scope, command, addons=(*bought, *unknown), **how)
    assert refused.value.field == "addons[1].addonId"
    assert await everything(world) == before
    await run(world, FEB)
    assert await asked(world) == [
        (
            "subscription_create",
            [("Team seats", FEBRUARY, Decimal(10)), ("Support", FEBRUARY, Decimal(24))],
        )
    ]
