"""Bulk migrations on real PostgreSQL: each subscription is changed once, by the change of plan."""

import asyncio
from decimal import Decimal
from fractions import Fraction

import pytest

from app.catalog.actions import plan_versions
from app.catalog.price_override import PriceOverride
from app.catalog.prices import PerUnit
from app.infra.postgres import fetch
from app.invoicing import billing
from app.kernel.listing import Condition, PageRequest
from app.kernel.period import Cadence
from app.kernel.scope import SYSTEM
from app.subscriptions import actions as life
from app.subscriptions import migration_reads, reads
from app.subscriptions.actions import migrating
from app.subscriptions.change import (
    ChangeMode,
    ChangePlan,
    Direction,
    SubscriptionChangeStatus,
    Timing,
)
from app.subscriptions.changes.canceling import CancelSubscription
from app.subscriptions.changes.pausing import PauseSubscription
from app.subscriptions.errors import MigrationIsOver, NothingToMigrate, TooManyToMigrate
from app.subscriptions.migration import MigratePlan, MigrationItemStatus, MigrationStatus
from app.subscriptions.migration_preview import Recurring, preview
from app.subscriptions.subscription import CancelMode, Override
from tests.invoicing.changing import changes, notes, plan, run, seats
from tests.invoicing.test_billing import APR, FEB, MAR, invoices
from tests.invoicing.test_changes import MID
from tests.invoicing.test_crashes import die
from tests.statements import statements

NAMES = ("acme", "beta", "core", "data")


@pytest.fixture
async def sold(world):
    """Four customers with two seats at 10 since February, billed; one of them paused, one
    canceled for good, and another plan with seats at 30."""
    old, (seat,) = await plan(world, "Team", "10")
    new, (bigger,) = await plan(world, "Scale", "30")
    held = [await seats(world, name, old, seat, 2, starts_at=FEB) for name in NAMES]
    await run(world, FEB)
    world.clock.at = MID
    how = {"by": SYSTEM, "at": MID}
    held[2] = await life.pause(world.scope, held[2].id, PauseSubscription(), **how)
    now = CancelSubscription(mode=CancelMode.NOW)
    held[3] = await life.cancel(world.scope, held[3].id, now, **how)
    return held, old, new, bigger


def command(old, new, mode=ChangeMode.NOW, **fields):
    where = Condition("plan_id", "eq", old)
    return MigratePlan(
        what=ChangePlan(plan_id=new), where=where, timing=Timing(mode=mode), **fields
    )


async def started(world, wanted):
    return await migrating.start(world.scope, wanted, by=SYSTEM, at=world.clock.now())


async def outcomes(world, migration):
    pages = await migration_reads.pages_of_items(world.scope, [migration.id], PageRequest())
    return pages[migration.id].rows


async def work(world):
    return (await billing.migrate_page(world.services, world.page())).tally


async def test_each_is_changed_once_and_what_is_refused_says_why(world, sold):
    (acme, beta, paused, _), old, new, _ = sold
    wanted = command(old, new)
    seen = await preview(world.scope, wanted, at=MID)
    assert (seen.fits, seen.refused) == (2, 1)
    assert seen.refusals == (("SUBSCRIPTION_PAUSED", 1),)
    month = Cadence("month")
    # Other plans' prices have lineages of their own, so one seat is held of the new one.
    assert seen.recurring == (Recurring("USD", month, 2, Decimal("40.00"), Decimal("60.00")),)
    assert [(each.subscription.id, each.direction) for each in seen.subscriptions] == [
        (acme.id, Direction.UPGRADE), (beta.id, Direction.UPGRADE), (paused.id, None),
    ]  # fmt: skip
    assert seen.subscriptions[0].after == Fraction(30)
    assert await fetch(world.scope, "SELECT 1 FROM plan_migrations") == []

    migration = await started(world, wanted)
    assert (migration.counts.total, migration.counts.pending) == (3, 3)
    # Two workers at once, and each page once more.
    await asyncio.gather(work(world), work(world))
    assert await work(world) == {}
    done = await migration_reads.get(world.scope, migration.id)
    assert (done.status, done.finished_at) == (MigrationStatus.COMPLETED, MID)
    assert (done.counts.changed, done.counts.refused, done.counts.pending) == (2, 1, 0)
    first, second, third = await outcomes(world, migration)
    assert (third.status, third.failure.code) == (
        MigrationItemStatus.REFUSED, "SUBSCRIPTION_PAUSED",
    )  # fmt: skip
    for item, subscription in ((first, acme), (second, beta)):
        (change,) = await changes(world, subscription)
        assert (item.change_id, change.status) == (change.id, SubscriptionChangeStatus.APPLIED)
        assert (await reads.get(world.scope, subscription.id)).plan_id == new
        (note,) = await notes(world, subscription)
        assert note.total == Decimal(10)
    assert await changes(world, paused) == []
    assert len(await invoices(world)) == 4 + 2
    told = await fetch(world.scope, "SELECT name FROM outbox WHERE entity_id = $1", migration.id)
    assert {row["name"] for row in told} == {"plan_migration.started", "plan_migration.completed"}
    assert len(told) == 2
    with pytest.raises(MigrationIsOver):
        await migrating.cancel(world.scope, migration.id, by=SYSTEM, at=MID)


@pytest.mark.parametrize("point", ["invoicing.migrated", "invoicing.migrated_committed"])
async def test_a_crash_in_the_middle_changes_nothing_twice(world, sold, settings, point):
    (acme, beta, *_), old, new, _ = sold
    migration = await started(world, command(old, new))
    assert await die(settings, world, MID, point) == (137, f"crash point {point}")
    pending = (await migration_reads.get(world.scope, migration.id)).counts.pending
    assert pending == (3 if point == "invoicing.migrated" else 2)
    assert await changes(world, beta) == []
    await work(world)
    done = await migration_reads.get(world.scope, migration.id)
    assert (done.status, done.counts.changed) == (MigrationStatus.COMPLETED, 2)
    for subscription in (acme, beta):
        assert len(await changes(world, subscription)) == 1
        assert [note.total for note in await notes(world, subscription)] == [Decimal(10)]
    assert len(await invoices(world)) == 4 + 2


async def test_with_the_periods_end_changes_are_scheduled_and_a_rest_is_left_alone(
    world, sold, monkeypatch
):
    (acme, beta, paused, _), old, new, _ = sold
    migration = await started(world, command(old, new, ChangeMode.PERIOD_END))
    page = world.page()
    first, *_ = await outcomes(world, migration)
    await billing.actions.migrate_many(
        world.scope, [first.id], world.services.clickhouse, by=SYSTEM, at=page.at
    )
    done = await migrating.cancel(world.scope, migration.id, by=SYSTEM, at=MID)
    assert (done.status, done.counts.changed, done.counts.canceled) == (
        MigrationStatus.CANCELED, 1, 2,
    )  # fmt: skip
    assert await work(world) == {}
    await run(world, MAR)
    plans = [(await reads.get(world.scope, s.id)).plan_id for s in (acme, beta, paused)]
    assert plans == [new, old, old]
    assert APR not in [invoice.period.start for invoice in await invoices(world)]

    nobody = MigratePlan(what=ChangePlan(plan_id=new), where=Condition("currency", "eq", "EUR"))
    with pytest.raises(NothingToMigrate):
        await started(world, nobody)
    monkeypatch.setattr(migrating, "MOST", 1)
    with pytest.raises(TooManyToMigrate):
        await started(world, command(old, new))


async def test_more_subscriptions_at_their_own_prices_are_no_more_statements_to_preview(world):
    old, (seat, requests) = await plan(world, "Team", "10", usage="0.01")
    own = tuple(
        Override(price_id=key, terms=PriceOverride(model=PerUnit(Decimal(amount))))
        for key, amount in ((seat, "7"), (requests, "0.005"))
    )
    held = [await world.subscribe(n, plan_id=old, starts_at=FEB, overrides=own) for n in NAMES]
    how = {"by": SYSTEM, "at": FEB}
    draft = await plan_versions.create(world.scope, old, **how)
    await plan_versions.publish(world.scope, draft.id, **how)
    what = ChangePlan(plan_id=old, keeps_overrides=True)
    world.clock.at, seen = MID, []

    async def look(count):
        where = Condition("id", "in", [each.id for each in held[:count]])
        command = MigratePlan(what=what, where=where, timing=Timing(mode=ChangeMode.NOW))

        async def work():
            seen.append(await preview(world.scope, command, at=MID))

        return len(await statements(world.scope, work))

    assert await look(4) == await look(1)
    month = Cadence("month")
    assert [each.recurring for each in seen] == [
        (Recurring("USD", month, n, Decimal(7 * n), Decimal(7 * n)),) for n in (4, 1)
    ]
