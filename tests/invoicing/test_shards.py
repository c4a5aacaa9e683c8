"""A run in shards side by side comes to what one page after the other comes to."""

import asyncio

from app.customers import actions as customers
from app.infra.due import Shard
from app.infra.postgres import fetch
from app.invoicing import billing
from app.invoicing.invoice import InvoiceStatus
from app.kernel.copies import replace
from app.kernel.scope import SYSTEM
from tests.invoicing import world as worlds
from tests.invoicing.test_billing import FEB, MAR, everything, invoices, lines
from tests.invoicing.test_families import child
from tests.invoicing.world import JAN


async def peopled(clickhouse, storage):
    """Parents that pay for their children, half of them on one invoice, and some on their own."""
    world = (await worlds.build(clickhouse, storage)).patient(chunk_size=2)
    for number in range(4):
        parent = await world.customer(f"parent-{number}")
        wants = {"consolidate_invoices": number % 2 == 0}
        await customers.update(world.scope, parent.id, wants, by=SYSTEM, at=JAN)
        for name in (f"eu-{number}", f"us-{number}"):
            await child(world, name, parent, currency=None, parent_pays=True)
            await world.subscribe(name, currency="USD")
            await world.use(name, [(JAN, str(40 * number + 1), "eu"), (FEB, "7.5", "us")])
        await world.subscribe(f"parent-{number}")
        await world.subscribe(f"alone-{number}")
    world.clock.at = MAR
    return world


async def run(world, shards, *, times=1):
    """All pages of every shard at the same time, and all of that `times` at the same time."""

    async def pages(work, shard):
        page = world.page(shard=shard)
        while page is not None:
            done = await work(world.services, page)
            page = None if done.after is None else replace(page, after=done.after)

    for work in (billing.bill_page, billing.finalize_page):
        parts = [Shard(index, shards) for index in range(shards)] * times
        await asyncio.gather(*(pages(work, part) for part in parts))


async def facts(world):
    """What was asked of whom, but for the numbers and the ids."""
    names = {customer.id: name for name, customer in world.customers.items()}
    rows = await fetch(world.scope, "SELECT id, customer_id FROM subscriptions")
    whose = {row["id"]: names[row["customer_id"]] for row in rows}
    return sorted(
        [
            (
                names[invoice.customer_id],
                invoice.status.value,
                invoice.reason.value,
                invoice.period.start,
                [whose[key] for key in invoice.owners],
                invoice.totals.total,
                [
                    (whose[line.subscription_id], line.description, line.quantity, line.amount)
                    for line in await lines(world, invoice)
                ],
            )
            for invoice in await invoices(world)
        ]
    )


async def test_shards_bill_what_one_page_after_the_other_does(database, clickhouse, storage):
    found = {}
    for shards, times in ((1, 1), (3, 1), (4, 2)):
        world = await peopled(clickhouse, storage)
        await run(world, shards, times=times)
        found[shards] = await facts(world)
        issued = [i for i in await invoices(world) if i.status is InvoiceStatus.FINALIZED]
        # Numbers without a gap, in whatever order the shards came to them.
        numbers = sorted(int(invoice.number.rpartition("-")[2]) for invoice in issued)
        assert numbers == list(range(1, len(issued) + 1))
        # Nothing is left, and a further run changes nothing.
        before = await everything(world)
        await run(world, 2)
        assert await everything(world) == before
    assert len(found[1]) > 40
    assert found[3] == found[1]
    assert found[4] == found[1]
