"""A billing run that dies between any two steps: the next one finishes it, and nothing is twice."""

import asyncio
import os
import sys
from decimal import Decimal

import pytest

from app.embedded.environment import of_a_service
from app.infra.postgres import fetch
from app.invoicing import actions, billing, correction_run, explanation
from app.invoicing.invoice import InvoiceStatus
from tests.invoicing.test_billing import FEB, MAR, everything, invoices, lines
from tests.invoicing.test_corrections import DAY, booked, policy, used
from tests.invoicing.test_corrections import billed as issued
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


async def correct(world, at):
    """Two runs that look at the same time."""
    world.clock.at = at
    await actions.look_again(world.scope, at=at)
    pages = [correction_run.correct_page(world.services, world.page()) for _ in range(2)]
    assert all(done.tally["failed"] == 0 for done in await asyncio.gather(*pages))


async def corrections(world):
    """What they asked for, and what became of it; the newest invoice's lines as well."""
    found = [(one.description, one.quantity, one.amount, one.status) for one in await booked(world)]
    notes = await fetch(world.scope, "SELECT number, total, kind FROM credit_notes ORDER BY 1")
    told = await fetch(
        world.scope, "SELECT entity_id FROM outbox WHERE name = 'invoice_correction.booked'"
    )
    assert len(told) == len({row["entity_id"] for row in told}) == len(found)
    return found, [tuple(row) for row in notes], await bills(world)


POLICIES = {
    "next_invoice": ["invoicing.correction_rated", "invoicing.corrected"],
    "credit_or_debit_note": ["invoicing.correction_booked"],
}


@pytest.mark.parametrize(
    ("name", "point"), [(name, point) for name, points in POLICIES.items() for point in points]
)
async def test_a_look_that_died_is_finished_by_two_at_once(world, settings, name, point):
    """January billed 100 requests of the EU; 20 of them are gone, and 30 of the US came late."""
    await policy(world, name)
    await world.subscribe("acme")
    _, second = await used(world, (JAN, "80", "eu"), (JAN + DAY, "20", "eu"))
    await issued(world, FEB)
    await world.void(second, FEB + DAY)
    await used(world, (JAN + DAY, "30", "us"), accepted=FEB + DAY)
    at = FEB + 2 * DAY
    world.clock.at = at
    await actions.look_again(world.scope, at=at)
    assert await die(settings, world, at, point) == (137, f"crash point {point}")

    await correct(world, at)
    found, notes, asked = before = await corrections(world)
    # A note takes off what was too much, an invoice asks for the rest; else both can wait.
    settled = [("CN-202502-00001", Decimal("0.02"), "adjustment")]
    expected = (3, settled) if name == "credit_or_debit_note" else (2, [])
    assert (len(asked), notes) == expected
    assert [(description, quantity, amount) for description, quantity, amount, _ in found] == [
        ("Requests", 10, Decimal("4")),
        ("Traffic", -20, Decimal("-0.02")),
        ("Traffic", 30, Decimal("0.03")),
    ]
    written = await everything(world)
    await correct(world, at)
    assert await corrections(world) == before
    again = await everything(world)
    for kept in (written, again):
        del kept["due_items"]
    assert again == written
