"""An advance that dies between any two steps: it is taken up again, and nothing is twice."""

import asyncio
import os
import sys

import pytest

from app.clocks import actions
from app.clocks.test_clock import ClockStatus
from app.embedded.environment import of_a_service
from app.infra.postgres import fetch
from app.kernel.scope import SYSTEM
from tests.invoicing.test_billing import FEB, MAR, everything, invoices, lines
from tests.invoicing.world import JAN
from tests.runs import clocked
from tests.runs.clocked import MACHINE, clock_of, drain

POINTS = [
    "clocks.moved",
    "invoicing.drafted",
    "invoicing.drafted_committed",
    "invoicing.finalized_committed",
    "invoicing.printed",
    "clocks.worked",
    "clocks.drained",
    "clocks.arriving",
    "clocks.arrived",
]


async def die(settings, world, point):
    """Advance in a process of its own, up to the point; the exit code and the last words."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.runs.crashing",
        world.scope.tenant_id, world.scope.environment_id, world.clock_id,
        env={**os.environ, **of_a_service(settings), "TARIFF_CRASH_AT": point},
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    async with asyncio.timeout(120):
        _, said = await process.communicate()
    return process.returncode, said.decode().strip().splitlines()[-1]


@pytest.mark.parametrize("point", POINTS)
async def test_an_advance_that_died_is_taken_up_where_it_was(
    database, clickhouse, storage, settings, point
):
    world = await clocked.build(clickhouse, storage)
    await world.subscribe("acme")
    await world.use("acme", [(JAN, "120", "eu"), (FEB, "7", "us")])
    await actions.advance(world.scope, world.clock_id, MAR, by=SYSTEM, at=MACHINE)
    assert await die(settings, world, point) == (137, f"crash point {point}")
    await drain(world)

    stands = await clock_of(world)
    assert (stands.status, stands.frozen_at) == (ClockStatus.READY, MAR)
    found = await invoices(world)
    assert [(i.number, i.issued_at) for i in found] == [
        ("INV-202501-00001", JAN),
        ("INV-202502-00001", FEB),
        ("INV-202503-00001", MAR),
    ]
    assert [li.quantity for i in found for li in await lines(world, i)] == [1, 1, 120, 120, 1, 7, 7]
    assert all([await world.services.storage.exists(i.pdf_key) for i in found])
    for name in ("invoice.drafted", "invoice.finalized", "test_clock.ready"):
        told = await fetch(world.scope, "SELECT entity_id FROM outbox WHERE name = $1", name)
        assert (
            len(told)
            == len({row["entity_id"] for row in told})
            == (1 if name == "test_clock.ready" else 3)
        )
    before = await everything(world)
    await drain(world)
    assert await everything(world) == before
