from datetime import timedelta

from app.infra import due
from app.infra.postgres import fetch, writing
from app.kernel.ids import new_id
from app.kernel.scope import Scope

KIND = "subscription.bill"


async def schedule(scope, *items, owner=None):
    async with writing(scope):
        await due.schedule_many(scope, KIND, [due.Item(key, at, owner) for key, at in items])


async def test_work_waits_from_its_instant_on(database, scope, clock):
    now = clock.now()
    await schedule(scope, ("sub_a", now), ("sub_b", now + timedelta(seconds=1)))
    assert [d.subject_id for d in await due.waiting(scope, KIND, at=now, limit=10)] == ["sub_a"]
    later = now + timedelta(seconds=1)
    waiting = await due.waiting(scope, KIND, at=later, limit=10)
    assert [d.subject_id for d in waiting] == ["sub_a", "sub_b"]
    assert scope in await due.scopes_with_work([KIND], at=now)
    assert scope not in await due.scopes_with_work([KIND], at=now - timedelta(seconds=1))


async def test_scheduling_again_moves_the_work(database, scope, clock):
    now = clock.now()
    await schedule(scope, ("sub_a", now))
    async with writing(scope):
        await due.failed(scope, KIND, ["sub_a"], "no")
    assert (await due.waiting(scope, KIND, at=now, limit=1))[0].attempts == 1
    await schedule(scope, ("sub_a", now + timedelta(days=1)))
    assert await due.waiting(scope, KIND, at=now, limit=10) == []
    rows = await fetch(scope, "SELECT attempts, last_error FROM due_items")
    assert [tuple(row) for row in rows] == [(0, None)]


async def test_pages_follow_one_another_by_when_the_work_fell_due(database, scope, clock):
    now = clock.now()
    await schedule(scope, *((f"sub_{n}", now) for n in (0, 1, 4)))
    await schedule(scope, *((f"sub_{n}", now - timedelta(days=5 - n)) for n in (2, 3)))
    seen, after = [], ""
    while page := await due.waiting(scope, KIND, at=now, limit=2, after=after):
        seen += [d.subject_id for d in page]
        after = page[-1].cursor
    assert seen == [f"sub_{n}" for n in (2, 3, 0, 1, 4)]


async def test_cancelled_work_and_other_scopes_are_not_seen(database, scope, clock):
    await schedule(scope, ("sub_a", clock.now()))
    stranger = Scope(scope.tenant_id, "env_other")
    assert await due.waiting(stranger, KIND, at=clock.now(), limit=10) == []
    async with writing(stranger):
        await due.cancel(stranger, KIND, ["sub_a"])
    assert len(await due.waiting(scope, KIND, at=clock.now(), limit=10)) == 1
    async with writing(scope):
        await due.cancel(scope, KIND, ["sub_a"])
    assert await due.waiting(scope, KIND, at=clock.now(), limit=10) == []


async def test_work_of_who_lives_on_a_clock_waits_for_that_clock_alone(database, scope, clock):
    now, clocked = clock.now(), new_id("cus")
    async with writing(scope):
        await due.settle(scope, clocked, "clk_1")
    await schedule(scope, ("sub_free", now), owner="cus_free")
    await schedule(scope, ("sub_clocked", now), owner=clocked)
    await schedule(scope, ("sweep", now))

    async def waiting(clock_id):
        found = await due.waiting(scope, KIND, at=now, limit=10, clock_id=clock_id)
        return [each.subject_id for each in found]

    assert await waiting(None) == ["sub_free", "sweep"]
    assert await waiting("clk_1") == ["sub_clocked"]
    assert await waiting("clk_2") == []
    await schedule(scope, ("sub_clocked", now - timedelta(days=1)), owner=clocked)
    assert await waiting("clk_1") == ["sub_clocked"]
    found = await due.clocks_of(scope, ["cus_free", clocked])
    assert found == {clocked: "clk_1"}
    assert await due.has_work(scope, clocked)
    assert not await due.has_work(scope, "cus_nobody")


async def test_the_sweep_does_not_see_work_on_a_clock(database, scope, clock):
    clocked = new_id("cus")
    async with writing(scope):
        await due.settle(scope, clocked, "clk_1")
    await schedule(scope, ("sub_clocked", clock.now()), owner=clocked)
    assert scope not in await due.scopes_with_work([KIND], at=clock.now())
    async with writing(scope):
        await due.cancel(scope, KIND, ["sub_clocked"])
        await due.settle(scope, clocked, None)
    await schedule(scope, ("sub_clocked", clock.now()), owner=clocked)
    assert scope in await due.scopes_with_work([KIND], at=clock.now())
