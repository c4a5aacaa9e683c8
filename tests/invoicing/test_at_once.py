"""What is issued as it is drafted is what drafting and issuing one after the other comes to."""

import asyncio

import asyncpg
import pytest

from app.customers import actions as customers
from app.infra.postgres import fetch, writing
from app.invoicing import billing
from app.invoicing.invoice import BillingReason, InvoiceStatus, LineKind, Presentation
from app.invoicing.records import insert, issued_values, line_values
from app.invoicing.terms.balances import paid_from
from app.kernel.copies import replace
from app.kernel.ids import new_id
from app.kernel.scope import SYSTEM
from tests.catalog import make
from tests.invoicing import world as worlds
from tests.invoicing.test_accounts import pay
from tests.invoicing.test_billing import FEB, MAR, bill, draft_due, everything, invoices, lines
from tests.invoicing.test_corrections import DAY, correct, used
from tests.invoicing.test_credit_notes import credit, issued
from tests.invoicing.test_families import child
from tests.invoicing.test_reckoning import Wallets, ask, attach
from tests.invoicing.world import JAN, set_up


async def month(clickhouse, storage, bills):
    """A world where everything that issuing adds has something to add, billed by `bills`."""
    world = await worlds.build(clickhouse, storage)
    await set_up(world, documents={"sections": "subscription"})
    parent = await world.customer("holding")
    patch = {"invoice_prefix": "HOLD", "locale": "de-DE"}
    await customers.update(world.scope, parent.id, patch, by=SYSTEM, at=JAN)
    await child(world, "eu", parent, currency=None, parent_pays=True)
    bought = [await world.subscribe(name, currency="USD") for name in ("acme", "eu", "beta")]
    await attach(world, await make.coupon(world.scope, world.clock), subscription_id=bought[0].id)
    await ask(world, await make.tax_rate(world.scope, world.clock))
    await world.subscribe("idle", ends_at=FEB)
    await used(world, (JAN, "120", "eu"))
    # A credit for the next invoice, and usage that came late for the one before.
    paid = await issued(world)
    await pay(world, paid, paid.totals.amount_due)
    await credit(world, paid, at=JAN)
    with paid_from(Wallets()):
        await bills(world, FEB)
        await used(world, (JAN + DAY, "10", "eu"), accepted=FEB + DAY)
        await correct(world, FEB + 2 * DAY)
        await bills(world, MAR)
    return world


async def at_once(world, at):
    await bill(world, at)


async def in_turn(world, at):
    await draft_due(world, at)
    await billing.finalize_page(world.services, world.page())


async def facts(world):
    """Everything of the invoices but what differs from world to world, such as ids."""
    return sorted(
        [await _facts(world, invoice) for invoice in await invoices(world)],
        key=lambda each: (each["number"] or "", each["period"].start, each["lines"]),
    )


async def _facts(world, invoice):
    look = invoice.presentation or Presentation()

    async def found(what):
        rows = await fetch(world.scope, f"SELECT {what}", invoice.id)
        return [tuple(row) for row in rows]

    return {
        **{name: getattr(invoice, name) for name in SAME},
        "look": (look.locale, sorted(look.headings.values())),
        "subscriber": look.subscriber and look.subscriber.reference,
        "lines": [
            (li.kind, li.description, li.amount, li.total) for li in await lines(world, invoice)
        ],
        "told": await found("name FROM outbox WHERE entity_id = $1 ORDER BY position"),
        "noted": await found("action FROM audit_entries WHERE entity_id = $1 ORDER BY id"),
        "due": await found("kind, due_at FROM due_items WHERE subject_id = $1"),
    }


SAME = (
    "status", "reason", "period", "totals", "number", "issued_at", "due_at", "finalize_at",
    "finalized_at", "seller", "bill_to", "tax_notes", "amount_remaining", "paid_at",
    "usage_watermark", "net_days", "created_at", "updated_at",
)  # fmt: skip


async def test_issued_at_once_or_in_turn_it_is_the_same_invoice(database, clickhouse, storage):
    one = await month(clickhouse, storage, at_once)
    other = await month(clickhouse, storage, in_turn)
    found = await facts(one)
    assert found == await facts(other)
    assert sum(each["status"] is InvoiceStatus.SKIPPED for each in found) == 1
    assert any(each["totals"].credited for each in found)
    assert any(each["totals"].discount and each["totals"].tax for each in found)
    assert any(kind is LineKind.ADJUSTMENT for each in found for kind, *_ in each["lines"])
    assert any(each["paid_at"] for each in found)
    assert {each["subscriber"] for each in found} == {None, "eu"}


async def test_a_number_that_is_taken_leaves_a_draft_and_says_so(world):
    await world.subscribe("acme")
    await bill(world, JAN)
    await set_up(world, number_separator="", number_date="none")
    await world.subscribe("beta")
    # Another counter, which writes the same text.
    patch = {"invoice_prefix": "INV-202501-"}
    await customers.update(world.scope, world.customers["beta"].id, patch, by=SYSTEM, at=JAN)
    assert await bill(world, JAN) == {"drafted": 1}
    await in_turn(world, JAN)
    first, second = await invoices(world)
    assert (first.number, second.status) == ("INV-202501-00001", InvoiceStatus.DRAFT)
    (left,) = await fetch(world.scope, "SELECT last_error FROM due_items WHERE kind LIKE '%final%'")
    assert left["last_error"].startswith("NumberTaken")


async def test_a_second_run_and_one_at_the_same_time_change_nothing(world):
    for name in ("acme", "beta", "gamma"):
        await world.subscribe(name)
    world.clock.at = FEB
    both = await asyncio.gather(
        *(billing.bill_page(world.services, world.page()) for _ in range(2))
    )
    assert both[0].tally + both[1].tally == {"drafted": 6, "finalized": 6}
    found = await invoices(world)
    assert sorted(each.number for each in found) == [f"INV-202502-{n:05d}" for n in range(1, 7)]
    before = await everything(world)
    assert await bill(world, FEB) == {}
    assert await everything(world) == before


async def test_the_database_lets_nothing_be_issued_that_does_not_add_up(world):
    """Written as issued, an invoice has its lines before it is there, and none after."""
    await world.subscribe("acme")
    await bill(world, JAN)
    (invoice,) = await invoices(world)
    other = replace(invoice, id=new_id("inv"), number="X-1", reason=BillingReason.ONE_OFF)
    before = await everything(world)
    with pytest.raises(asyncpg.CheckViolationError, match="do not add up"):
        async with writing(world.scope) as connection:
            await insert(connection, "invoices", [issued_values(world.scope, other)])
    (line,) = await lines(world, invoice)
    late = replace(line, id=new_id("invl"), position=2)
    with pytest.raises(asyncpg.RestrictViolationError, match="can no longer be changed"):
        async with writing(world.scope) as connection:
            await insert(connection, "invoice_lines", [line_values(world.scope, late, JAN)])
    assert await everything(world) == before
