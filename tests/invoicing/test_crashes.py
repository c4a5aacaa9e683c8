"""A billing run that dies between any two steps: the next one finishes it, and nothing is twice."""

import asyncio
import os
import sys

import pytest

from app.embedded.environment import of_a_service
from app.infra.postgres import fetch
from app.invoicing import billing, explanation
from app.invoicing.invoice import InvoiceStatus
from tests.invoicing.test_billing import FEB, MAR, everything, invoices, lines
from tests.invoicing.world import JAN

POINTS = [
    "invoicing.rated",
    "invoicing.drafted",
    "invoicing.drafted_committed",
    "invoicing.finalized",
    "invoicing.finalized_committed",
    "invoicing.printed",
]


async def die(settings, world, at, point):
    """Run in a process of its own, up to the point; the exit code and the last words."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.invoicing.crashing",
        world.scope.tenant_id, world.scope.environment_id, at.isoformat(),
        env={**os.environ, **of_a_service(settings), "TARIFF_CRASH_AT": point},
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    async with asyncio.timeout(60):
        _, said = await process.communicate()
    return process.returncode, said.decode().strip().splitlines()[-1]


async def finish(world, at):
    world.clock.at = at
    for step in (billing.bill_page, billing.finalize_page, billing.print_page):
        assert (await step(world.services, world.page())).tally["failed"] == 0


async def bills(world):
    """What customers are asked for: everything of an invoice but ids and instants of writing."""
    return [
        (
            invoice.number,
            invoice.status,
            invoice.period,
            invoice.reason,
            invoice.totals,
            [
                (line.position, line.description, line.amount)
                for line in await lines(world, invoice)
            ],
        )
        for invoice in await invoices(world)
    ]


@pytest.mark.parametrize("point", POINTS)
async def test_a_run_that_died_is_finished_by_the_next_one(world, settings, point):
    for name in ("acme", "beta"):
        await world.subscribe(name)
        await world.use(name, [(JAN, "120", "eu"), (FEB, "7", "us")])
    assert await die(settings, world, MAR, point) == (137, f"crash point {point}")
    await finish(world, MAR)

    found = await bills(world)
    assert [(number, amounts) for number, _, _, _, _, amounts in found if not amounts] == []
    assert sorted(number for number, *_ in found) == [f"INV-202503-{n:05d}" for n in range(1, 7)]
    assert {status for _, status, *_ in found} == {InvoiceStatus.FINALIZED}
    assert len({(i.customer_id, i.period, i.reason) for i in await invoices(world)}) == 6
    for invoice in await invoices(world):
        assert await world.services.storage.exists(invoice.pdf_key)
        for line in await lines(world, invoice):
            assert explanation.evaluate(line.explanation) == line.amount
    for name in ("invoice.drafted", "invoice.finalized"):
        told = await fetch(world.scope, "SELECT entity_id FROM outbox WHERE name = $1", name)
        assert len(told) == len({row["entity_id"] for row in told}) == 6

    before = await everything(world)
    await finish(world, MAR)
    assert await everything(world) == before
