"""A preview of a change says what the change then does, and leaves nothing behind."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from app.catalog.price_override import PriceOverride
from app.catalog.prices import PerUnit
from app.invoicing import actions, reads
from app.invoicing.drafts import Moment
from app.kernel.scope import SYSTEM
from app.subscriptions import actions as life
from app.subscriptions import reads as subscriptions
from app.subscriptions.actions import RequestChange
from app.subscriptions.change import (
    ChangeMode,
    ChangePlan,
    ChangePrice,
    ChangeQuantity,
    Proration,
    Timing,
)
from app.subscriptions.changes.canceling import CancelSubscription
from app.subscriptions.errors import NothingChanges
from app.subscriptions.subscription import CancelMode, Held
from tests.invoicing.changing import changes, items, notes, plan, run, seats
from tests.invoicing.test_billing import APR, FEB, MAR, everything, invoices, lines

MID = datetime(2025, 2, 15, tzinfo=UTC)
LATE = datetime(2025, 3, 20, 7, tzinfo=UTC)


def quantity(of):
    return ChangeQuantity(line_item_id=of["line"], quantity=Decimal(5))


def fewer(of):
    return ChangeQuantity(line_item_id=of["line"], quantity=Decimal(1))


def cheaper(of):
    own = PriceOverride(model=PerUnit(Decimal(6)))
    return ChangePrice(line_item_id=of["line"], terms=own, quantity=Decimal(3))


def better(of):
    return ChangePlan(plan_id=of["other"], quantities=(Held(of["seat"], Decimal(3)),))


@pytest.fixture
async def of(world):
    """What changes are about: a team of two seats since February, and a better plan."""
    plan_id, (seat, _) = await plan(world, "Team", "10", usage="0.01")
    subscription = await seats(world, "acme", plan_id, seat, 2, starts_at=FEB)
    other, (fee, _) = await plan(world, "Scale", "30", usage="0.002")
    await run(world, FEB)
    await world.use("acme", [(FEB, "100", "eu")])
    line = (await items(world, subscription))[0].id
    return {"subscription": subscription, "line": line, "other": other, "seat": fee}


def wanted(of, what, proration, **timing):
    return RequestChange(
        subscription_id=of["subscription"].id,
        what=what(of),
        timing=Timing(**timing),
        proration=Proration(proration),
    )


async def look(world, command):
    return await actions.preview_change(
        world.scope, command, world.services.clickhouse, by=SYSTEM, at=world.clock.now()
    )


def facts(invoice, of_it):
    """What an invoice asks for, whatever its ids."""
    return (
        invoice.reason,
        invoice.period,
        invoice.totals,
        [(line.description, line.service, line.quantity, line.amount) for line in of_it],
    )


@pytest.mark.parametrize("proration", list(Proration))
@pytest.mark.parametrize("what", [quantity, fewer, better])
@pytest.mark.parametrize(
    "timing",
    [{"mode": ChangeMode.NOW}, {"mode": ChangeMode.PERIOD_END}, {"mode": "at", "at": LATE}],
    ids=["now", "period_end", "at"],
)
async def test_a_preview_is_what_happens(world, of, what, proration, timing):
    await as_previewed(world, of, what, proration, timing)


@pytest.mark.parametrize("mode", list(ChangeMode))
async def test_a_preview_of_a_price_is_what_happens(world, of, mode):
    timing = {"mode": mode} | ({"at": LATE} if mode is ChangeMode.AT else {})
    await as_previewed(world, of, cheaper, Proration.CREATE_PRORATIONS, timing)


async def as_previewed(world, of, what, proration, timing):
    world.clock.at = MID
    timing = timing | {"mode": ChangeMode(timing["mode"])}
    command = wanted(of, what, proration, **timing)
    before = await everything(world)
    seen = await look(world, command)
    assert await everything(world) == before

    clickhouse = world.services.clickhouse
    await actions.change(world.scope, command, clickhouse, by=SYSTEM, at=MID)
    if timing["mode"] is ChangeMode.AT:
        await run(world, MAR)
    if timing["mode"] is not ChangeMode.NOW:
        await run(world, seen.effective_at)
    (done,) = await changes(world, of["subscription"])
    assert (done.effective_at, done.direction) == (seen.effective_at, seen.direction)

    made = await reads.by_ids(world.scope, [done.invoice_id] if done.invoice_id else [])
    asked = [] if seen.invoice is None else [seen.invoice]
    assert [facts(each.invoice, each.lines) for each in asked] == [
        facts(invoice, await lines(world, invoice)) for invoice in made.values()
    ]
    assert [(each.note.total, each.note.kind) for each in seen.notes] == [
        (note.total, note.kind) for note in await notes(world, of["subscription"])
    ]
    if timing["mode"] is not ChangeMode.PERIOD_END:
        await run(world, MAR if timing["mode"] is ChangeMode.NOW else APR)
    last = (await invoices(world))[-1]
    shown, then = facts(seen.following.invoice, seen.following.lines), last.totals
    assert shown[:2] == (last.reason, last.period)
    assert shown[3] == facts(last, await lines(world, last))[3]
    assert seen.following.invoice.totals.subtotal == then.subtotal


async def test_a_preview_of_a_cancellation_is_its_final_invoice(world, of):
    world.clock.at = MID
    subscription, command = of["subscription"], CancelSubscription(mode=CancelMode.NOW)
    before = await everything(world)
    seen = await actions.preview_cancel(
        world.scope, subscription.id, command, world.services.clickhouse, by=SYSTEM, at=MID
    )
    assert await everything(world) == before
    await life.cancel(world.scope, subscription.id, command, by=SYSTEM, at=MID)
    await run(world, MID + timedelta(seconds=1))
    last = (await invoices(world))[-1]
    assert facts(seen.following.invoice, seen.following.lines) == facts(
        last, await lines(world, last)
    )
    assert (seen.effective_at, seen.invoice, seen.notes) == (MID, None, ())


async def test_what_would_be_refused_is_refused_and_leaves_nothing_behind(world, of):
    world.clock.at = MID
    before = await everything(world)
    same = RequestChange(
        subscription_id=of["subscription"].id,
        what=ChangeQuantity(line_item_id=of["line"], quantity=Decimal(2)),
    )
    with pytest.raises(NothingChanges):
        await look(world, same)
    assert await everything(world) == before


async def test_a_preview_far_ahead_comes_after_the_changes_before_it(world, of):
    world.clock.at = MID
    first = wanted(of, quantity, "create_prorations", mode=ChangeMode.PERIOD_END)
    await actions.change(world.scope, first, world.services.clickhouse, by=SYSTEM, at=MID)
    seen = await look(world, wanted(of, fewer, "create_prorations", mode=ChangeMode.AT, at=APR))
    assert seen.following.lines[0].amount == Decimal(10)
    assert seen.following.invoice.period.end == APR
    later = await look(world, wanted(of, fewer, "create_prorations", mode=ChangeMode.AT, at=LATE))
    share = Decimal((APR - LATE) // timedelta(seconds=1)) / (31 * 86_400)
    assert [each.note.total for each in later.notes] == [round(50 * share, 2)]
    found = await subscriptions.get(world.scope, of["subscription"].id)
    assert found.next_change_at == MAR


@pytest.mark.parametrize("what", [fewer, better])
async def test_the_next_invoice_is_seen_with_the_changes_that_come_by_then(world, of, what):
    world.clock.at = MID
    services, at = world.services, world.clock.now()
    asked = wanted(of, what, Proration.CREATE_PRORATIONS, mode=ChangeMode.PERIOD_END)
    await actions.change(world.scope, asked, services.clickhouse, by=SYSTEM, at=at)
    before = await everything(world)
    seen = await actions.preview(
        world.scope, of["subscription"].id, services.clickhouse, moment=Moment(at, None)
    )
    assert await everything(world) == before
    await run(world, MAR)
    cycle = (await invoices(world))[-1]
    assert facts(seen.invoice, seen.lines) == facts(cycle, await lines(world, cycle))
