import asyncio

import pytest

from app.tenants.lookup_cache import LookupCache


class Database:
    """Answers slowly, counts the questions, and can be told to hold its answer."""

    def __init__(self, value="v"):
        self.value, self.asked, self.open = value, 0, asyncio.Event()
        self.open.set()

    async def __call__(self):
        self.asked += 1
        answer = self.value
        await self.open.wait()
        if isinstance(answer, Exception):
            raise answer
        return answer


async def test_a_hundred_callers_share_one_look_up():
    cache, database = LookupCache(60), Database()
    database.open.clear()
    callers = [asyncio.create_task(cache.get("k", database)) for _ in range(100)]
    await asyncio.sleep(0)
    database.open.set()
    assert await asyncio.gather(*callers) == ["v"] * 100
    assert await cache.get("k", database) == "v"
    assert database.asked == 1


async def test_what_was_not_found_is_remembered_too_and_not_for_ever():
    cache, database = LookupCache(0.05), Database(None)
    assert [await cache.get("k", database) for _ in range(3)] == [None] * 3
    assert database.asked == 1
    await asyncio.sleep(0.06)
    database.value = "v"
    assert await cache.get("k", database) == "v"


async def test_an_answer_counts_from_when_it_was_asked_for():
    """The database read the row before it was revoked, and was slow to say so."""
    cache, database = LookupCache(0.05), Database("in force")
    database.open.clear()
    slow = asyncio.create_task(cache.get("k", database))
    await asyncio.sleep(0.06)
    database.value = "revoked"
    database.open.set()
    assert await slow == "in force"
    assert await cache.get("k", database) == "revoked"


async def test_a_failed_look_up_fails_all_who_wait_and_is_forgotten():
    cache, database = LookupCache(60), Database(OSError("down"))
    database.open.clear()
    callers = [asyncio.create_task(cache.get("k", database)) for _ in range(3)]
    await asyncio.sleep(0)
    database.open.set()
    outcomes = await asyncio.gather(*callers, return_exceptions=True)
    assert [str(one) for one in outcomes] == ["down"] * 3
    database.value = "v"
    assert await cache.get("k", database) == "v"
    assert database.asked == 2


async def test_when_the_one_who_asks_goes_away_another_asks():
    cache, database = LookupCache(60), Database()
    database.open.clear()
    leader = asyncio.create_task(cache.get("k", database))
    await asyncio.sleep(0)
    follower = asyncio.create_task(cache.get("k", database))
    await asyncio.sleep(0)
    leader.cancel()
    await asyncio.sleep(0)
    database.open.set()
    assert await follower == "v"
    with pytest.raises(asyncio.CancelledError):
        await leader
    assert database.asked == 2


async def test_who_waits_can_go_away_without_a_trace():
    cache, database = LookupCache(60), Database()
    database.open.clear()
    leader = asyncio.create_task(cache.get("k", database))
    await asyncio.sleep(0)
    follower = asyncio.create_task(cache.get("k", database))
    await asyncio.sleep(0)
    follower.cancel()
    with pytest.raises(asyncio.CancelledError):
        await follower
    database.open.set()
    assert await leader == "v"


async def test_a_flood_of_guesses_pushes_out_guesses_only():
    cache, database = LookupCache(60, most=10, most_missing=5), Database()
    await cache.get("real", database)
    nothing = Database(None)
    for number in range(50):
        await cache.get(f"guess {number}", nothing)
    await cache.get("real", database)
    assert database.asked == 1
    assert len(cache._missing) == 5
    for number in range(50):
        await cache.get(f"key {number}", Database())
    assert len(cache._found) == 10
    assert cache._flights == {}


async def test_without_a_time_nothing_is_remembered():
    cache, database = LookupCache(0), Database()
    assert [await cache.get("k", database) for _ in range(3)] == ["v"] * 3
    assert database.asked == 3
