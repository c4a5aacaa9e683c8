"""Billing on real PostgreSQL and ClickHouse: every elapsed period once, whatever goes wrong."""

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from app.infra import due
from app.infra.due import Tally
from app.infra.postgres import fetch
from app.invoicing import actions, billing, reads
from app.invoicing.invoice import BillingReason, InvoiceStatus, LineKind
from app.invoicing.rating import ENGINE_VERSION
from app.invoicing.work import BILL
from app.kernel.scope import SYSTEM
from app.subscriptions import reads as subscriptions
from tests.invoicing.world import JAN

FEB, MAR, APR = (datetime(2025, month, 1, tzinfo=UTC) for month in (2, 3, 4))


async def invoices(world):
    """All of them, in the order they were made."""
    rows = await fetch(world.scope, "SELECT id FROM invoices ORDER BY id")
    found = await reads.by_ids(world.scope, [row["id"] for row in rows])
    return [found[row["id"]] for row in rows]


async def lines(world, invoice):
    return (await reads.lines_of_invoices(world.scope, [invoice.id])).get(invoice.id, [])


async def everything(world):
    """All that billing writes, for comparing before and after."""
    tables = (
        "invoices",
        "invoice_lines",
        "invoice_corrections",
        "correction_applications",
        "credit_notes",
        "due_items",
        "outbox",
        "subscriptions",
        "audit_entries",
    )
    return {
        table: await fetch(world.scope, f"SELECT * FROM {table} ORDER BY 1")  # noqa: S608
        for table in tables
    }


async def bill(world, at):
    world.clock.at = at
    return (await billing.bill_page(world.services, world.page())).tally


async def draft_due(world, at):
    """`bill` without issuing, so that a test can go on with drafts."""
    world.clock.at = at
    moment = await billing._moment(world.services, world.page())
    ids, _ = await due.take(world.page(), BILL)
    drafted = 0
    while ids:
        found = await subscriptions.billable(world.scope, ids)
        outcome = await actions.bill(
            world.scope, found, world.services.clickhouse, moment=moment, most=100, by=SYSTEM
        )
        drafted, ids = drafted + len(outcome.drafted), sorted(outcome.behind)
    return Tally(drafted=drafted)


async def test_the_start_asks_for_the_fees_in_advance(world):
    bought = await world.subscribe("acme")
    assert (await bill(world, JAN))["drafted"] == 1
    (opening,) = await invoices(world)
    assert opening.reason is BillingReason.SUBSCRIPTION_CREATE
    assert (opening.status, opening.number) == (InvoiceStatus.FINALIZED, "INV-202501-00001")
    assert (opening.period.start, opening.period.end) == (JAN, FEB)
    assert opening.totals.total == Decimal(20)
    (fee,) = await lines(world, opening)
    assert (fee.description, fee.kind, fee.service) == (
        "Platform fee", LineKind.FIXED, opening.period,
    )  # fmt: skip
    assert (await subscriptions.get(world.scope, bought.id)).billed_until == JAN


async def test_a_period_that_ended_owes_its_usage_and_the_next_period_its_fees(world):
    await world.subscribe("acme")
    await world.use("acme", [(JAN, "150", "eu"), (FEB - timedelta(milliseconds=1), "0.5", "us")])
    await world.use("acme", [(FEB, "99", "eu")])
    await bill(world, JAN)
    assert (await bill(world, FEB))["drafted"] == 1
    _, cycle = await invoices(world)
    assert cycle.reason is BillingReason.SUBSCRIPTION_CYCLE
    assert (cycle.period.start, cycle.period.end) == (JAN, FEB)
    found = [(li.description, li.group, li.quantity, li.amount) for li in await lines(world, cycle)]
    assert found == [
        ("Platform fee", {}, 1, Decimal(20)),
        ("Requests", {}, Decimal("150.5"), Decimal("58.05")),  # 50 + 5.05 + 3
        ("Traffic", {"region": "eu"}, 150, Decimal("0.15")),
        ("Traffic", {"region": "us"}, Decimal("0.5"), Decimal(0)),
    ]
    assert cycle.totals.total == Decimal("78.20")
    services = [(line.service.start, line.service.end) for line in await lines(world, cycle)]
    assert services == [(FEB, MAR), (JAN, FEB), (JAN, FEB), (JAN, FEB)]


async def test_copies_of_an_event_are_billed_once(world):
    await world.subscribe("acme")
    await world.use("acme", [(JAN, "10", "eu")], copies=3)
    await bill(world, FEB)
    cycle = (await invoices(world))[-1]
    assert (await lines(world, cycle))[1].quantity == 10


async def test_nothing_is_billed_before_it_is_due(world):
    await world.subscribe("acme")
    await bill(world, JAN)
    before = await everything(world)
    assert (await bill(world, FEB - timedelta(microseconds=1)))["drafted"] == 0
    assert await everything(world) == before


async def test_after_an_outage_every_elapsed_period_gets_its_own_invoice(world):
    await world.subscribe("acme")
    await world.subscribe("beta", starts_at=FEB)
    await world.use("acme", [(JAN, "1", "eu"), (FEB, "2", "eu"), (MAR, "4", "eu")])
    await world.use("beta", [(MAR, "8", "eu")])
    assert (await bill(world, APR))["drafted"] == 7
    found = [(i.customer_id, i.period.start, i.reason.value) for i in await invoices(world)]
    acme, beta = (world.customers[name].id for name in ("acme", "beta"))
    assert sorted(found) == sorted(
        [(acme, JAN, "subscription_create"), (beta, FEB, "subscription_create")]
        + [(acme, start, "subscription_cycle") for start in (JAN, FEB, MAR)]
        + [(beta, start, "subscription_cycle") for start in (FEB, MAR)]
    )
    quantities = [
        (await lines(world, i))[1].quantity
        for i in await invoices(world)
        if i.reason is BillingReason.SUBSCRIPTION_CYCLE and i.customer_id == acme
    ]
    assert quantities == [1, 2, 4]


async def test_a_second_run_changes_nothing(world):
    await world.subscribe("acme")
    await bill(world, MAR)
    before = await everything(world)
    assert (await bill(world, MAR))["drafted"] == 0
    assert await everything(world) == before


async def test_runs_at_the_same_time_bill_every_period_once(world):
    for name in ("acme", "beta", "gamma"):
        await world.subscribe(name)
    world.clock.at = APR
    pages = [billing.bill_page(world.services, world.page()) for _ in range(4)]
    tallies = [done.tally for done in await asyncio.gather(*pages)]
    assert sum(tally["drafted"] for tally in tallies) == 12
    assert sum(tally["failed"] for tally in tallies) == 0
    assert len(await invoices(world)) == 12


async def test_a_long_list_is_billed_in_pages(world):
    small = world.patient(chunk_size=2)
    for name in ("a", "b", "c", "d", "e"):
        await small.subscribe(name)
    small.clock.at = FEB
    drafted, after, pages = 0, "", 0
    while after is not None:
        done = await billing.bill_page(small.services, small.page(after=after))
        drafted, after, pages = drafted + done.tally["drafted"], done.after, pages + 1
    assert (drafted, pages) == (10, 3)


async def test_chunks_of_a_page_are_billed_side_by_side_and_written_in_their_order(world):
    customer = await world.customer("acme")
    subscribed = [await world.subscribe(customer.external_id) for _ in range(101)]
    world.clock.at = JAN
    done = await billing.bill_page(world.services, world.page())
    assert (done.tally["drafted"], done.tally["failed"], done.after) == (101, 0, None)
    rows = await fetch(
        world.scope, "SELECT subscription_id, id FROM invoices ORDER BY xmin::text::bigint, id"
    )
    assert {row["subscription_id"] for row in rows} == {each.id for each in subscribed}
    assert rows[-1]["subscription_id"] == max(each.id for each in subscribed)


async def test_a_period_that_comes_to_nothing_is_skipped(world):
    await world.subscribe("acme", ends_at=FEB)
    await bill(world, JAN)
    await bill(world, FEB)
    opening, last = await invoices(world)
    assert opening.status is InvoiceStatus.FINALIZED
    assert (last.status, last.totals.total, last.number) == (InvoiceStatus.SKIPPED, 0, None)
    told = await fetch(world.scope, "SELECT name FROM outbox WHERE entity_id = $1", last.id)
    assert [row["name"] for row in told] == ["invoice.skipped"]
    kinds = await fetch(world.scope, "SELECT kind, subject_id FROM due_items ORDER BY kind")
    assert [tuple(row) for row in kinds] == [
        ("invoice.correct", world.scope.environment_id), ("invoice.print", opening.id),
    ]  # fmt: skip


async def test_a_first_short_calendar_period_pays_its_share_by_the_second(world):
    start = datetime(2025, 1, 15, 12, tzinfo=UTC)
    await world.subscribe("acme", starts_at=start, alignment="calendar")
    await bill(world, start)
    (opening,) = await invoices(world)
    assert (opening.period.start, opening.period.end) == (start, FEB)
    assert opening.totals.total == Decimal("10.65")  # 20 × 16.5 / 31


async def test_one_subscription_that_is_refused_does_not_keep_the_others_unbilled(world):
    bad = await world.subscribe("bad")
    await world.subscribe("good")
    # A sum beyond what an amount can hold: 10^37 requests.
    await world.use("bad", [(JAN, "1" + "0" * 37, "eu")])
    tally = await bill(world, FEB)
    assert (tally["drafted"], tally["failed"]) == (2, 1)
    assert {i.customer_id for i in await invoices(world)} == {world.customers["good"].id}
    (due,) = await fetch(world.scope, "SELECT * FROM due_items WHERE subject_id = $1", bad.id)
    assert (due["attempts"], due["due_at"]) == (1, JAN)
    assert "DataError" in due["last_error"] or "Numeric" in due["last_error"]
    assert (await subscriptions.get(world.scope, bad.id)).billed_until is None


async def test_usage_is_asked_once_per_meter_and_grouping_for_a_whole_chunk(world, monkeypatch):
    for name in ("a", "b", "c"):
        await world.subscribe(name)
    asked = []
    select = type(world.services.clickhouse).select

    async def counting(self, sql, *args, **kwargs):
        asked.append(sql)
        return await select(self, sql, *args, **kwargs)

    monkeypatch.setattr(type(world.services.clickhouse), "select", counting)
    assert (await bill(world, APR))["drafted"] == 12
    assert len(asked) == 2  # requests, and requests by region


@pytest.mark.parametrize("months", [1, 12])
async def test_the_watermark_and_the_engine_are_kept_with_the_invoice(world, months):
    await world.subscribe("acme")
    at = JAN + timedelta(days=31 * months)
    await bill(world, at)
    for invoice in await invoices(world):
        assert invoice.usage_watermark == at
        assert invoice.engine_version == ENGINE_VERSION
        assert len(invoice.catalog_hash) == 64
