"""Advances by the workflow, on a real Temporal server."""

import asyncio

import pytest

from app.clocks import actions
from app.clocks.test_clock import ClockStatus
from app.infra.due import Kind
from app.infra.temporal import connect_temporal
from app.invoicing.work import BILL
from app.kernel.errors import Conflict
from app.kernel.scope import SYSTEM
from app.runs import activities as activities_module
from app.runs.advances import Advances
from app.runs.workflows import ClockAdvance, advance_id
from tests.invoicing.test_billing import APR, FEB, everything, invoices
from tests.invoicing.world import JAN
from tests.runs import clocked
from tests.runs.clocked import MACHINE, clock_of
from tests.runs.test_workflows import working


@pytest.fixture
async def temporal(settings):
    return await connect_temporal(settings.temporal)


@pytest.fixture
async def world(database, clickhouse, storage):
    return await clocked.build(clickhouse, storage)


async def advanced(world, temporal, queue, to):
    """What the workflow says when it has brought the clock there."""
    await actions.advance(world.scope, world.clock_id, to, by=SYSTEM, at=MACHINE)
    advances = Advances(temporal, task_queue=queue)
    async with asyncio.timeout(60):
        # The advance before may have arrived and not closed yet.
        while world.clock_id not in await advances.look():  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    handle = temporal.get_workflow_handle_for(ClockAdvance.run, advance_id(world.clock_id))
    return await handle.result()


@pytest.mark.parametrize("cached", [1000, 0], ids=["sticky", "replayed at every step"])
async def test_a_clock_that_was_asked_to_arrives(world, temporal, monkeypatch, cached):
    monkeypatch.setattr(activities_module, "_SPELL_SECONDS", 0.3)
    await world.subscribe("acme")
    async with working(temporal, world, cached=cached) as queue:
        done = await advanced(world, temporal, queue, APR)
        assert done == {"drafted": 4, "finalized": 4, "printed": 4}
        stands = await clock_of(world)
        assert (stands.status, stands.frozen_at) == (ClockStatus.READY, APR)
        assert [i.issued_at.month for i in await invoices(world)] == [1, 2, 3, 4]
        # Nothing is on its way any more, and going again to where it stands does nothing.
        assert world.clock_id not in await Advances(temporal, task_queue=queue).look()
        before = await everything(world)
        assert await advanced(world, temporal, queue, APR) == {}
        assert len(await invoices(world)) == len(before["invoices"])


async def test_a_long_advance_goes_on_in_a_new_history(world, temporal, monkeypatch):
    monkeypatch.setattr(activities_module, "_SPELL_SECONDS", 0.0)
    monkeypatch.setattr("temporalio.workflow.Info.is_continue_as_new_suggested", lambda _: True)
    await world.subscribe("acme")
    async with working(temporal, world) as queue:
        done = await advanced(world, temporal, queue, JAN)
    assert done == {"drafted": 1, "finalized": 1, "printed": 1}


async def test_an_advance_is_started_once_however_many_look(world, temporal):
    await actions.advance(world.scope, world.clock_id, FEB, by=SYSTEM, at=MACHINE)
    async with working(temporal, world) as queue:
        looking = [Advances(temporal, task_queue=queue) for _ in range(3)]
        started = await asyncio.gather(*(each.look() for each in looking))
        assert sum(world.clock_id in found for found in started) == 1
        handle = temporal.get_workflow_handle_for(ClockAdvance.run, advance_id(world.clock_id))
        await handle.result()


async def test_an_advance_that_breaks_off_says_why_and_can_be_taken_up(
    world, temporal, monkeypatch
):
    await world.subscribe("acme")
    broken, ours = [True], activities_module.kinds

    def breaking(services):
        found = {kind.name: kind for kind in ours(services)}

        async def bill(page):
            if broken and page.at == FEB:
                raise Conflict("the books are closed")
            return await found[BILL].do(page)

        return tuple((found | {BILL: Kind(BILL, bill)}).values())

    monkeypatch.setattr(activities_module, "kinds", breaking)
    async with working(temporal, world) as queue:
        await advanced(world, temporal, queue, APR)
        failed = await clock_of(world)
        assert (failed.status, failed.frozen_at) == (ClockStatus.FAILED, FEB)
        assert "the books are closed" in failed.failure
        broken.clear()
        await advanced(world, temporal, queue, APR)
    arrived = await clock_of(world)
    assert (arrived.status, arrived.frozen_at, arrived.failure) == (ClockStatus.READY, APR, None)
    assert [i.issued_at.month for i in await invoices(world)] == [1, 2, 3, 4]
