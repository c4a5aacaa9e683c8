import asyncio
from typing import ClassVar

import pytest

from app.infra import outbox
from app.infra.outbox import relay_once
from app.infra.postgres import fetch, writing
from app.kernel.events import Event
from app.kernel.scope import Scope


class ThingHappened(Event, frozen=True, kw_only=True):
    name: ClassVar[str] = "thing.happened"
    note: str = ""

    def payload(self):
        return {"note": self.note}


async def put(scope, clock, *notes):
    async with writing(scope):
        for note in notes:
            await outbox.put(
                scope, ThingHappened(entity_id="cus_1", occurred_at=clock.now(), note=note)
            )


async def drain():
    """Everything that waits, whoever left it there."""
    told = []

    async def tell(entries):
        told.extend(entries)

    while await relay_once(tell):
        pass
    return told


async def test_entries_are_told_in_order_and_numbered_without_a_gap(database, scope, clock):
    await drain()
    other = Scope(scope.tenant_id, scope.environment_id + "X")
    await put(scope, clock, "a")
    await put(other, clock, "x")
    await put(scope, clock, "b", "c")
    told = await drain()
    mine = [(e.sequence, e.payload["note"]) for e in told if e.scope == scope]
    assert mine == [(1, "a"), (2, "b"), (3, "c")]
    assert [(e.sequence, e.payload["note"]) for e in told if e.scope == other] == [(1, "x")]
    await put(scope, clock, "d")
    assert [(e.sequence, e.payload["note"]) for e in await drain()] == [(4, "d")]


async def test_what_is_rolled_back_is_never_told(database, scope, clock):
    await drain()

    async def fail():
        async with writing(scope):
            await outbox.put(scope, ThingHappened(entity_id="cus_1", occurred_at=clock.now()))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert await drain() == []


async def test_a_failure_to_tell_leaves_the_entries_and_their_numbers(database, scope, clock):
    await drain()
    await put(scope, clock, "a", "b")
    seen = []

    async def fail(entries):
        seen.extend(entries)
        raise ConnectionError

    with pytest.raises(ConnectionError):
        await relay_once(fail)
    assert await drain() == seen
    rows = await fetch(scope, "SELECT sequence FROM outbox ORDER BY position")
    assert [row["sequence"] for row in rows] == [1, 2]


async def test_only_one_relay_works_at_a_time(database, scope, clock):
    await drain()
    await put(scope, clock, "a")
    told, held, release = [], asyncio.Event(), asyncio.Event()

    async def slow(entries):
        told.extend(entries)
        held.set()
        await release.wait()

    first = asyncio.create_task(relay_once(slow))
    await held.wait()
    assert await relay_once(slow) == 0
    release.set()
    assert await first == 1
    assert [e.payload["note"] for e in told] == ["a"]
