import asyncio
from datetime import timedelta

import asyncpg
import pytest

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


@pytest.mark.parametrize("of", [1, 2, 3, 16])
async def test_shards_share_all_there_is_and_what_an_owner_has_is_in_one(
    database, scope, clock, of
):
    now = clock.now()
    owned = {f"sub_{n:03}": f"cus_{n % 20}" for n in range(100)}
    for key, owner in owned.items():
        await schedule(scope, (key, now), owner=owner)
    await schedule(scope, *((f"own_{n}", now) for n in range(10)))
    found: dict[str, int] = {}
    for index in range(of):
        shard, after = due.Shard(index, of), ""
        while page := await due.waiting(scope, KIND, at=now, limit=7, after=after, shard=shard):
            assert not found.keys() & {each.subject_id for each in page}
            found |= {each.subject_id: index for each in page}
            after = page[-1].cursor
    assert len(found) == 110
    assert set(found.values()) == set(range(of)) or of == 16
    for owner in owned.values():
        assert len({found[key] for key in owned if owned[key] == owner}) == 1


async def test_shards_of_who_lives_on_a_clock(database, scope, clock):
    now = clock.now()
    async with writing(scope):
        for n in range(8):
            await due.settle(scope, f"cus_{n}", "clk_a")
        items = [due.Item(f"sub_{n}", now, f"cus_{n}") for n in range(8)]
        await due.schedule_many(scope, KIND, items)
    asked = {"at": now, "limit": 10, "clock_id": "clk_a"}
    one, other = [
        {each.subject_id for each in await due.waiting(scope, KIND, shard=shard, **asked)}
        for shard in (due.Shard(0, 2), due.Shard(1, 2))
    ]
    assert one
    assert other
    assert one ^ other == {f"sub_{n}" for n in range(8)}
    assert await due.waiting(scope, KIND, at=now, limit=10, shard=due.Shard(0, 2)) == []


async def test_how_much_is_due_is_counted_up_to_a_bound(database, scope, clock):
    now = clock.now()
    await schedule(scope, *((f"sub_{n}", now) for n in range(5)))
    await schedule(scope, ("sub_later", now + timedelta(seconds=1)))

    async def amount(kinds, most, clock_id=None):
        return await due.amount(scope, kinds, at=now, clock_id=clock_id, most=most)

    assert await amount([KIND], 10) == 5
    assert await amount([KIND, "other"], 3) == 3
    assert await amount(["other"], 3) == 0
    assert await amount([KIND], 10, "clk_a") == 0


async def test_many_at_a_time_wait_for_one_another_whatever_the_order(database, scope, clock):
    """Each with its rows in an order of its own, the database would break some of them off."""
    now = clock.now()
    keys = [f"sub_{n:03}" for n in range(200)]
    orders = [keys, keys[::-1], keys[100:] + keys[:100]] * 4
    await asyncio.gather(*(schedule(scope, *((key, now) for key in order)) for order in orders))

    async def done(order, verb, *said):
        async with writing(scope):
            await verb(scope, KIND, order, *said)

    await asyncio.gather(*(done(order, due.failed, "no") for order in orders))
    assert {each.attempts for each in await due.waiting(scope, KIND, at=now, limit=200)} == {12}
    await asyncio.gather(*(done(order, due.cancel) for order in orders))
    assert await due.waiting(scope, KIND, at=now, limit=1) == []


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


_MANY = """
INSERT INTO due_items (id, tenant_id, environment_id, kind, subject_id, owner_id, clock_id, due_at,
  attempts)
SELECT 'due_' || n, $1, $2, $3, 'sub_' || n, 'cus_' || n, CASE WHEN n % 2 = 0 THEN 'clk_a' END,
  $4::timestamptz + n * interval '1 minute', 0
FROM generate_series(1, 100000) AS n
"""


async def test_what_asks_for_due_work_goes_by_an_index_however_much_there_is(
    database, settings, scope, clock
):
    """Half of a hundred thousand items live on a test clock; some are due."""
    start = clock.now()
    at = start + timedelta(minutes=500)
    async with writing(scope) as connection:
        await connection.execute(_MANY, scope.tenant_id, scope.environment_id, KIND, start)
    owner = await asyncpg.connect(settings.postgres.owner_url)
    await owner.execute("ANALYZE due_items")
    await owner.close()
    presents = [due.Standing(scope, clock_id, at) for clock_id in (None, "clk_a")]
    asked = []
    async with writing(scope) as connection:
        with connection.query_logger(lambda record: asked.append((record.query, record.args))):
            for clock_id in (None, "clk_a"):
                assert await due.waiting(scope, KIND, at=at, limit=500, clock_id=clock_id)
                assert await due.earliest(scope, [KIND], clock_id=clock_id)
                assert not await due.refused(scope, [KIND], at=at, clock_id=clock_id)
            assert await due.has_work(scope, "cus_7")
            assert await due.with_work([KIND], presents) == presents
            assert scope in await due.scopes_with_work([KIND], at=at)
        plans = [
            "\n".join(row[0] for row in await connection.fetch(f"EXPLAIN {query}", *args))
            for query, args in asked
            if "due_items" in query
        ]
        await connection.execute("DELETE FROM due_items WHERE tenant_id = $1", scope.tenant_id)
    assert len(plans) == 9
    for plan in plans:
        assert "Seq Scan on due_items" not in plan, plan
    assert [plan for plan in plans[:6] if "->  Sort" in plan] == []
