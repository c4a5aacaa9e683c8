"""What falls due on an advancing clock: all of it, in its order, each at its own instant."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from app.clocks import actions as clock_actions
from app.clocks import reads as clocks
from app.clocks.test_clock import ClockStatus, Governs
from app.infra import due
from app.infra.due import Kind, PageDone, Tally
from app.infra.postgres import fetch, writing
from app.invoicing.invoice import InvoiceStatus
from app.kernel.copies import replace
from app.kernel.scope import SYSTEM
from app.runs import draining as draining_module
from app.runs.activities import RunActivities
from app.runs.commands import Place, SweepBilling
from app.runs.draining import Advance, Draining
from app.subscriptions import actions as subscriptions
from app.subscriptions.changes.canceling import CancelSubscription
from app.subscriptions.subscription import CancelMode
from tests.invoicing.test_billing import everything, invoices, lines
from tests.invoicing.world import JAN
from tests.runs import clocked
from tests.runs.clocked import MACHINE, advance, clock_of, drain

FEB, MAR, APR = (datetime(2025, month, 1, tzinfo=UTC) for month in (2, 3, 4))


@pytest.fixture
async def world(database, clickhouse, storage):
    return await clocked.build(clickhouse, storage)


async def test_every_period_is_billed_at_its_own_instant(world):
    await world.subscribe("acme")
    await world.use("acme", [(JAN, "150", "eu"), (FEB, "7", "us")])
    done = await advance(world, APR)
    assert done == {"drafted": 4, "finalized": 4, "printed": 4}
    found = await invoices(world)
    assert [invoice.issued_at for invoice in found] == [JAN, FEB, MAR, APR]
    assert [invoice.created_at for invoice in found] == [JAN, FEB, MAR, APR]
    assert [invoice.due_at.date().month for invoice in found] == [1, 3, 3, 5]
    assert [invoice.number for invoice in found] == [f"INV-20250{n}-0000{1}" for n in (1, 2, 3, 4)]
    assert {invoice.usage_watermark for invoice in found} == {MACHINE}
    assert all(invoice.pdf_key for invoice in found)
    assert (await lines(world, found[1]))[1].quantity == 150
    stands = await clock_of(world)
    assert (stands.status, stands.frozen_at) == (ClockStatus.READY, APR)


async def test_the_clock_shows_each_instant_while_its_work_is_done(world):
    await world.subscribe("acme")
    await clock_actions.advance(world.scope, world.clock_id, FEB, by=SYSTEM, at=MACHINE)
    spell, shown = clocked.draining(world, world.clock_id), []
    while await spell.step():
        stands = await clock_of(world)
        shown.append((stands.frozen_at, stands.status, dict(spell.tally).get("printed", 0)))
    assert shown[0] == (JAN, ClockStatus.ADVANCING, 0)
    assert shown[-1] == (FEB, ClockStatus.ADVANCING, 2)
    assert {at for at, _, _ in shown} == {JAN, FEB}


async def test_work_is_done_by_instant_then_kind_then_subject(world):
    done = []

    def kind(name):
        async def do(page):
            ids, after = await due.take(page, name)
            done.extend((page.at, name, each) for each in ids)
            async with writing(page.scope):
                await due.cancel(page.scope, name, ids)
                if name == "second" and page.at == FEB:
                    # Work of an earlier kind at the same instant comes before anything later.
                    await due.schedule(page.scope, "first", due.Item("new", FEB, owner))
            return PageDone(Tally(done=len(ids)), after)

        return Kind(name, do)

    owner = (await world.customer("acme")).id
    async with writing(world.scope):
        for name, items in {
            "second": [("b", FEB), ("a", FEB), ("z", JAN)],
            "first": [("c", FEB), ("d", MAR), ("later", APR)],
            "unknown": [("x", JAN)],
        }.items():
            scheduled = [due.Item(key, at, owner) for key, at in items]
            await due.schedule_many(world.scope, name, scheduled)
    await clock_actions.advance(world.scope, world.clock_id, MAR, by=SYSTEM, at=MACHINE)
    ours = (kind("first"), kind("second"))
    spell = Draining(Advance(world.scope, world.clock_id, MACHINE, 2, ours, world.services.clock))
    while await spell.step():
        pass
    assert done == [
        (JAN, "second", "z"),
        (FEB, "first", "c"),
        (FEB, "second", "a"),
        (FEB, "second", "b"),
        (FEB, "first", "new"),
        (MAR, "first", "d"),
    ]


async def test_a_draft_waits_for_late_events_on_the_clock(database, clickhouse, storage):
    patient = await clocked.build(clickhouse, storage, delay_seconds=3600)
    await patient.subscribe("acme")
    await patient.use("acme", [(JAN, "150", "eu")])
    await advance(patient, FEB)
    assert [i.status for i in await invoices(patient)] == [
        InvoiceStatus.FINALIZED,
        InvoiceStatus.DRAFT,
    ]
    await patient.use("acme", [(JAN, "1", "eu")])
    await advance(patient, FEB + timedelta(hours=2))
    late = (await invoices(patient))[1]
    assert (late.issued_at, late.created_at) == (FEB + timedelta(hours=1), FEB)
    assert (await lines(patient, late))[1].quantity == 151


async def test_what_is_not_on_the_clock_is_left_alone(world):
    free = replace(world, clock_id=None)
    await world.subscribe("acme")
    await free.subscribe("free")
    await advance(world, FEB)
    assert {i.customer_id for i in await invoices(world)} == {world.customers["acme"].id}
    rows = await fetch(world.scope, "SELECT clock_id FROM due_items WHERE due_at = $1", JAN)
    assert [row["clock_id"] for row in rows] == [None]


async def test_an_environment_on_a_clock_takes_all_with_it_but_customers_on_others(
    database, clickhouse, storage
):
    world = await clocked.build(clickhouse, storage, governs=Governs.ENVIRONMENT)
    other = await clock_actions.create(
        world.scope,
        clock_actions.CreateTestClock(name="Other", governs=Governs.CUSTOMERS, frozen_at=JAN),
        by=SYSTEM,
        at=MACHINE,
    )
    await world.subscribe("acme")
    await replace(world, clock_id=other.id).subscribe("apart")
    assert (await advance(world, FEB))["finalized"] == 2
    assert {i.customer_id for i in await invoices(world)} == {world.customers["acme"].id}


async def test_a_subscription_canceled_on_the_clock_ends_there(world):
    bought = await world.subscribe("acme")
    await advance(world, FEB)
    middle = FEB + timedelta(days=10)
    await advance(world, middle)
    now = CancelSubscription(mode=CancelMode.NOW)
    await subscriptions.cancel(world.scope, bought.id, now, by=SYSTEM, at=middle)
    await world.use("acme", [(FEB, "100", "eu")])
    assert await advance(world, APR) == {"drafted": 1, "finalized": 1, "printed": 1}
    last = (await invoices(world))[-1]
    assert (last.period.start, last.period.end, last.issued_at) == (FEB, middle, middle)


async def test_a_second_drain_at_the_same_time_changes_nothing(world):
    for name in ("acme", "beta"):
        await world.subscribe(name)
    await clock_actions.advance(world.scope, world.clock_id, APR, by=SYSTEM, at=MACHINE)
    await asyncio.gather(*(drain(world) for _ in range(3)))
    found = await invoices(world)
    assert len(found) == 8
    assert sorted(i.issued_at for i in found) == sorted([JAN, FEB, MAR, APR] * 2)
    assert len({i.number for i in found}) == 8
    before = await everything(world)
    assert await drain(world) == {}
    assert await everything(world) == before


async def test_what_is_refused_stays_due_and_is_tried_again_by_the_next_advance(world):
    bad, _ = await world.subscribe("bad"), await world.subscribe("good")
    # A sum beyond what an amount can hold: 10^37 requests.
    await world.use("bad", [(JAN, "1" + "0" * 37, "eu")])
    done = await advance(world, FEB)
    assert (done["finalized"], done["failed"]) == (3, 1)
    (waits,) = await fetch(world.scope, "SELECT * FROM due_items WHERE subject_id = $1", bad.id)
    assert (waits["due_at"], waits["attempts"]) == (FEB, 1)
    assert (await clock_of(world)).status is ClockStatus.READY
    await advance(world, FEB)
    (waits,) = await fetch(world.scope, "SELECT * FROM due_items WHERE subject_id = $1", bad.id)
    assert waits["attempts"] == 2


async def test_work_that_nobody_does_does_not_stop_the_clock(world):
    async def idle(page):
        return PageDone(Tally(), None)

    owner = (await world.customer("acme")).id
    async with writing(world.scope):
        await due.schedule(world.scope, "idle", due.Item("sub_1", JAN, owner))
    await clock_actions.advance(world.scope, world.clock_id, FEB, by=SYSTEM, at=MACHINE)
    ours = (Kind("idle", idle),)
    spell = Draining(Advance(world.scope, world.clock_id, MACHINE, 2, ours, world.services.clock))
    while await spell.step():
        pass
    assert (await clock_of(world)).frozen_at == FEB
    (waits,) = await fetch(world.scope, "SELECT attempts, last_error FROM due_items")
    assert tuple(waits) == (1, draining_module._UNDONE)


async def test_the_sweep_goes_by_each_present(world, clickhouse, storage):
    """Never by the machine's, which is years later, for what lives on a clock."""
    whole = await clocked.build(clickhouse, storage, governs=Governs.ENVIRONMENT)
    activities = RunActivities(world.services)
    mine = Place(world.scope.tenant_id, world.scope.environment_id, world.clock_id)
    theirs = Place(whole.scope.tenant_id, whole.scope.environment_id)

    async def due_places():
        found, after = [], ""
        while after is not None:  # other tests have left places with work, too
            page = await activities.places_due(SweepBilling(after=after))
            found, after = found + page.places, page.after
        return [place for place in found if place in (mine, theirs)]

    await world.subscribe("acme", starts_at=FEB)
    await whole.subscribe("acme", starts_at=FEB)
    assert await due_places() == []
    begun = await activities.begin(mine)
    assert (begun.at, begun.watermark) == (JAN.isoformat(), MACHINE.isoformat())
    await world.subscribe("now")
    await whole.subscribe("now")
    assert sorted(await due_places(), key=str) == sorted([mine, theirs], key=str)
    for built in (world, whole):
        clock = await clock_of(built)
        await clock_actions.advance(built.scope, clock.id, FEB, by=SYSTEM, at=MACHINE)
    assert await due_places() == []
    assert [(await activities.begin(place)).kinds for place in (mine, theirs)] == [[], []]
    await drain(world)
    await clock_actions.archive(world.scope, world.clock_id, by=SYSTEM, at=MACHINE)
    assert (await activities.begin(mine)).kinds == []


async def test_an_archived_clock_stands_still(world):
    await world.subscribe("acme")
    await clock_actions.archive(world.scope, world.clock_id, by=SYSTEM, at=MACHINE)
    before = await everything(world)
    assert await drain(world) == {}
    assert await everything(world) == before
    assert (await clocks.get(world.scope, world.clock_id)).frozen_at == JAN
