"""How far a subscription is billed, and what that moves."""

import asyncio
from datetime import timedelta

import pytest

from app.infra import due
from app.infra.postgres import writing
from app.kernel.clock import FixedClock
from app.kernel.listing import PageRequest
from app.kernel.period import Period
from app.kernel.scope import SYSTEM
from app.subscriptions import actions, reads
from app.subscriptions.actions import Billed
from app.subscriptions.changes.canceling import CancelSubscription
from app.subscriptions.periods import due_points, point_at
from app.subscriptions.subscription import CancelMode, SubscriptionStatus
from tests.catalog.history import audited, told
from tests.statements import statements
from tests.subscriptions import make
from tests.subscriptions.make import at

FAR = at(2099, 1, 1)
JAN, FEB, MAR = at(2026, 1, 15, 12), at(2026, 2, 15, 12), at(2026, 3, 15, 12)


@pytest.fixture
def clock():
    return FixedClock(JAN)


async def due_at(scope, subscription):
    found = await due.waiting(scope, "subscription.bill", at=FAR, limit=100)
    return {item.subject_id: item.due_at for item in found}.get(subscription.id)


async def bill(scope, clock, subscription_id):
    """Bill every point that has come, as the billing run does; the subscription after it."""
    for billable in await reads.due_for_billing(scope, [subscription_id], clock.now()):
        points = due_points(billable.subscription, clock.now(), limit=1000)
        billed = [Billed(billable.subscription, tuple(points))]
        assert await actions.advance(scope, billed, at=clock.now()) == {subscription_id}
    return await reads.get(scope, subscription_id)


def opening(subscription):
    return Billed(subscription, (point_at(subscription, JAN),))


def renewal(subscription):
    return Billed(subscription, (point_at(subscription, FEB),))


async def names(scope, subscription):
    return [name for name, _ in await told(scope, subscription.id)]


async def test_the_opening_leaves_it_in_its_first_period(database, scope, clock):
    made = await make.subscription(scope, clock)
    opened = await bill(scope, clock, made.id)
    assert (opened.billed_until, opened.current_period) == (JAN, Period(JAN, FEB))
    assert await due_at(scope, made) == FEB
    assert await names(scope, made) == ["subscription.created"]
    assert await reads.due_for_billing(scope, [made.id], FEB - timedelta(seconds=1)) == []


async def test_a_renewal_moves_it_to_the_next_period(database, scope, clock):
    made = await make.subscription(scope, clock)
    await bill(scope, clock, made.id)
    clock.at = FEB
    renewed = await bill(scope, clock, made.id)
    assert (renewed.billed_until, renewed.current_period) == (FEB, Period(FEB, MAR))
    assert (renewed.status, renewed.updated_at) == (SubscriptionStatus.ACTIVE, FEB)
    assert await due_at(scope, made) == MAR
    name, payload = (await told(scope, made.id))[-1]
    assert name == "subscription.renewed"
    assert payload == {
        "customer_id": made.customer_id,
        "plan_id": made.plan_id,
        "period_start": FEB.isoformat(),
        "period_end": MAR.isoformat(),
    }


async def test_after_an_outage_it_catches_up(database, scope, clock):
    made = await make.subscription(scope, clock)
    await bill(scope, clock, made.id)
    clock.at = at(2026, 12, 31)
    (late,) = await reads.due_for_billing(scope, [made.id], clock.now())
    assert len(due_points(late.subscription, clock.now(), limit=1000)) == 11
    caught_up = await bill(scope, clock, made.id)
    assert caught_up.current_period == Period(at(2026, 12, 15, 12), at(2027, 1, 15, 12))
    assert await due_at(scope, made) == at(2027, 1, 15, 12)


async def test_its_start_activates_what_was_scheduled(database, scope, clock):
    made = await make.subscription(scope, clock, starts_at=FEB)
    assert await reads.due_for_billing(scope, [made.id], JAN) == []
    clock.at = FEB
    active = await bill(scope, clock, made.id)
    assert active.status is SubscriptionStatus.ACTIVE
    assert await audited(scope, made.id) == ["subscription.create", "subscription.activate"]
    assert await names(scope, made) == ["subscription.created", "subscription.activated"]


async def test_its_last_point_ends_it(database, scope, clock):
    made = await make.subscription(scope, clock, ends_at=at(2026, 2, 1))
    await bill(scope, clock, made.id)
    assert await due_at(scope, made) == at(2026, 2, 1)
    clock.at = FEB
    ended = await bill(scope, clock, made.id)
    assert (ended.status, ended.billed_until) == (SubscriptionStatus.ENDED, at(2026, 2, 1))
    assert ended.current_period == Period(JAN, at(2026, 2, 1))
    assert await due_at(scope, made) is None
    assert (await names(scope, made))[-1] == "subscription.ended"
    assert (await audited(scope, made.id))[-1] == "subscription.end"


async def test_what_was_canceled_for_the_period_s_end_is_canceled_then(database, scope, clock):
    made = await make.subscription(scope, clock)
    await bill(scope, clock, made.id)
    await actions.cancel(scope, made.id, CancelSubscription(), by=SYSTEM, at=clock.now())
    clock.at = FEB
    over = await bill(scope, clock, made.id)
    assert (over.status, over.billed_until) == (SubscriptionStatus.CANCELED, FEB)
    assert (await names(scope, made))[-1] == "subscription.canceled"
    assert await due_at(scope, made) is None


async def test_what_was_canceled_at_once_is_billed_to_its_end_and_told_once(database, scope, clock):
    made = await make.subscription(scope, clock)
    await bill(scope, clock, made.id)
    clock.at += timedelta(days=3)
    now = CancelSubscription(mode=CancelMode.NOW)
    await actions.cancel(scope, made.id, now, by=SYSTEM, at=clock.now())
    over = await bill(scope, clock, made.id)
    assert (over.status, over.billed_until) == (SubscriptionStatus.CANCELED, clock.now())
    assert await names(scope, made) == ["subscription.created", "subscription.canceled"]
    assert await due_at(scope, made) is None
    assert await reads.due_for_billing(scope, [made.id], FAR) == []


async def test_what_was_billed_meanwhile_does_not_move_again(database, scope, clock):
    made = await make.subscription(scope, clock)
    assert await actions.advance(scope, [opening(made)], at=JAN) == {made.id}
    before = await told(scope, made.id)
    assert await actions.advance(scope, [opening(made)], at=JAN) == set()
    assert await told(scope, made.id) == before
    assert (await reads.get(scope, made.id)).billed_until == JAN


async def test_what_was_changed_meanwhile_does_not_move(database, scope, clock):
    made = await make.subscription(scope, clock)
    ending = {"ends_at": FEB}
    await actions.update(scope, made.id, ending, by=SYSTEM, at=clock.now())
    assert await actions.advance(scope, [opening(made)], at=JAN) == set()
    assert await due_at(scope, made) == JAN
    assert await actions.advance(scope, [], at=JAN) == set()


async def test_of_two_runs_at_once_one_moves_each(database, scope, clock):
    made = [await make.subscription(scope, clock) for _ in range(4)]
    forwards = [opening(each) for each in made]
    moved = await asyncio.gather(
        *(actions.advance(scope, order, at=JAN) for order in (forwards, forwards[::-1]))
    )
    assert sorted(key for ids in moved for key in ids) == sorted(each.id for each in made)


async def test_a_transaction_that_fails_moves_nothing(database, scope, clock):
    made = await make.subscription(scope, clock)

    async def crash():
        async with writing(scope):
            assert await actions.advance(scope, [opening(made)], at=JAN) == {made.id}
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await crash()
    assert await reads.get(scope, made.id) == made
    assert await due_at(scope, made) == JAN


async def test_reading_a_chunk_takes_six_statements_however_many(database, scope, clock):
    plan = await make.plan(scope, clock)
    ids = [(await make.subscription(scope, clock, plan_id=plan.id)).id for _ in range(8)]
    for chunk in (ids[:1], ids):
        found = []

        async def work(chunk=chunk, found=found):
            found += await reads.due_for_billing(scope, chunk, clock.now())

        assert len(await statements(scope, work)) == 6
        assert [each.subscription.id for each in found] == sorted(chunk)
        assert [len(each.lines) for each in found] == [2] * len(chunk)


async def test_advancing_a_chunk_takes_five_statements_however_many(database, scope, clock):
    made = [await make.subscription(scope, clock) for _ in range(9)]
    for chunk in (made[:1], made[1:]):

        async def work(chunk=chunk):
            billed = [opening(each) for each in chunk]
            assert len(await actions.advance(scope, billed, at=JAN)) == len(chunk)

        assert len(await statements(scope, work)) == 3

    now = [await reads.get(scope, each.id) for each in made]

    async def renew():
        assert len(await actions.advance(scope, [renewal(each) for each in now], at=FEB)) == 9

    assert len(await statements(scope, renew)) == 5


async def test_loaders_read_in_one_statement(database, scope, clock):
    made = [await make.subscription(scope, clock) for _ in range(3)]
    ids, customer_ids = [s.id for s in made], [s.customer_id for s in made]
    for read in (
        lambda: reads.by_ids(scope, ids),
        lambda: reads.pages_of_customers(scope, customer_ids, PageRequest()),
        lambda: reads.line_items(scope, ids),
    ):
        assert len(await statements(scope, read)) == 1
