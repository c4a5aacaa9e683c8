"""Usage billed before its period ends: tiers go on where they were, and nothing is billed twice."""

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from app.infra.postgres import fetch
from app.invoicing import actions, billing, reads
from app.invoicing.drafts import Moment
from app.invoicing.errors import BilledAhead
from app.invoicing.explanation import evaluate
from app.invoicing.invoice import BillingReason, InvoiceStatus
from app.kernel.scope import SYSTEM
from app.subscriptions import actions as verbs
from app.subscriptions import reads as subscriptions
from app.subscriptions.changes.canceling import CancelSubscription
from app.subscriptions.subscription import CancelMode, PaymentTerms
from tests.invoicing.world import JAN

FEB = datetime(2025, 2, 1, tzinfo=UTC)
TENTH, TWENTIETH = JAN + timedelta(days=9), JAN + timedelta(days=19)
HOUR = timedelta(hours=1)


async def subscribed(world, threshold="40", **fields):
    terms = PaymentTerms(auto_invoice_threshold=Decimal(threshold), **fields)
    bought = await world.subscribe("acme", terms=terms)
    await bill(world, JAN)
    return bought


async def bill(world, at):
    world.clock.at = at
    return (await billing.bill_page(world.services, world.page())).tally


async def check(world, at):
    world.clock.at = at
    return (await billing.threshold_page(world.services, world.page())).tally


async def invoices(world):
    rows = await fetch(world.scope, "SELECT id FROM invoices ORDER BY id")
    found = await reads.by_ids(world.scope, [row["id"] for row in rows])
    return [found[row["id"]] for row in rows]


async def lines(world, invoice):
    found = (await reads.lines_of_invoices(world.scope, [invoice.id])).get(invoice.id, [])
    return [(line.description, line.group.get("region"), line.amount) for line in found]


async def due(world):
    rows = await fetch(world.scope, "SELECT due_at FROM due_items WHERE kind LIKE '%.threshold'")
    return [row["due_at"] for row in rows]


async def test_usage_below_the_threshold_waits_for_its_period_to_end(world):
    await subscribed(world)
    await world.use("acme", [(JAN, "70", "eu")])
    assert (await check(world, TENTH))["drafted"] == 0
    assert [i.reason for i in await invoices(world)] == [BillingReason.SUBSCRIPTION_CREATE]
    assert await due(world) == [TENTH + timedelta(seconds=300)]


async def test_the_rest_of_the_period_bills_what_came_after_on_the_same_tiers(world):
    bought = await subscribed(world)
    await world.use("acme", [(JAN, "90", "eu")])
    assert (await check(world, TENTH))["drafted"] == 1
    await world.use("acme", [(TENTH + HOUR, "60", "us"), (JAN + HOUR, "0.5", "eu")])
    assert (await check(world, TENTH + HOUR))["drafted"] == 0
    assert (await bill(world, FEB))["drafted"] == 1
    _, ahead, cycle = await invoices(world)
    assert (ahead.reason, ahead.period.start, ahead.period.end) == (
        BillingReason.THRESHOLD, JAN, TENTH,
    )  # fmt: skip
    assert await lines(world, ahead) == [
        ("Requests", None, Decimal(45)),
        ("Traffic", "eu", Decimal("0.09")),
    ]
    # 150.5 requests are 50 + 5.05 + 3 in all: 13.05 are left. One event came late.
    assert await lines(world, cycle) == [
        ("Platform fee", None, Decimal(20)),
        ("Requests", None, Decimal("13.05")),
        ("Traffic", "eu", Decimal(0)),
        ("Traffic", "us", Decimal("0.06")),
    ]
    stored = (await reads.lines_of_invoices(world.scope, [cycle.id]))[cycle.id]
    assert [(s.service.start, s.service.end) for s in stored[1:]] == [(TENTH, FEB)] * 3
    assert [evaluate(line.explanation) for line in stored] == [line.amount for line in stored]
    assert (await subscriptions.get(world.scope, bought.id)).threshold_until == TENTH


async def test_a_threshold_that_is_reached_again_bills_again(world):
    await subscribed(world, threshold="20")
    await world.use("acme", [(JAN, "60", "eu")])
    assert (await check(world, TENTH))["drafted"] == 1
    await world.use("acme", [(TENTH, "60", "eu")])
    assert (await check(world, TWENTIETH))["drafted"] == 1
    await bill(world, FEB)
    _, first, second, cycle = await invoices(world)
    assert (second.period.start, second.period.end) == (TENTH, TWENTIETH)
    requests = [(await lines(world, invoice))[-2][2] for invoice in (first, second, cycle)]
    assert requests == [Decimal(30), Decimal(25), Decimal(0)]  # of 120: 50 + 2 + 3


@pytest.mark.parametrize("first", ["threshold", "period"])
async def test_whoever_comes_second_bills_nothing_of_it_again(world, first):
    """Both read before either writes: a threshold and the end of its period."""
    bought = await subscribed(world)
    await world.use("acme", [(JAN, "90", "eu")])
    stale = await subscriptions.billable(world.scope, [bought.id])
    last = FEB - timedelta(seconds=1)

    async def ahead(at=last):
        return await actions.bill_thresholds(
            world.scope, stale, world.services.clickhouse, moment=Moment(at, at), by=SYSTEM
        )

    async def period():
        return await actions.bill(
            world.scope, stale, world.services.clickhouse, moment=Moment(FEB, FEB), most=9,
            by=SYSTEM,
        )  # fmt: skip

    one, two = (ahead, period) if first == "threshold" else (period, ahead)
    assert len((await one()).drafted) == 1
    assert await two() == actions.Outcome([], set())
    await bill(world, FEB)
    amounts = [line for i in await invoices(world) for line in await lines(world, i)]
    assert sum(amount for name, _, amount in amounts if name == "Requests") == Decimal(45)
    assert len(await invoices(world)) == (3 if first == "threshold" else 2)


async def test_at_the_end_of_the_period_its_bill_comes_first(world):
    await subscribed(world)
    await world.use("acme", [(JAN, "90", "eu")])
    assert (await check(world, FEB))["drafted"] == 0


async def test_runs_at_the_same_time_bill_it_once(world):
    await subscribed(world)
    await world.use("acme", [(JAN, "90", "eu")])
    world.clock.at = TENTH
    pages = [billing.threshold_page(world.services, world.page()) for _ in range(4)]
    assert sum(done.tally["drafted"] for done in await asyncio.gather(*pages)) == 1


async def test_it_is_issued_at_once_and_never_computed_again(world):
    patient = world.patient(finalization_delay_seconds=3600)
    await subscribed(patient, net_days=14, purchase_order="PO-7")
    await patient.use("acme", [(JAN, "90", "eu")])
    await check(patient, TENTH)
    ahead = (await invoices(patient))[-1]
    with pytest.raises(BilledAhead):
        await actions.compute(
            patient.scope, ahead.id, patient.services.clickhouse, by=SYSTEM,
            moment=Moment(TENTH, TENTH),
        )  # fmt: skip
    await billing.finalize_page(patient.services, patient.page())
    issued = (await reads.by_ids(patient.scope, [ahead.id]))[ahead.id]
    assert issued.status is InvoiceStatus.FINALIZED
    assert (issued.purchase_order, issued.due_at) == ("PO-7", TENTH + timedelta(days=14))


async def test_a_void_one_leaves_all_to_the_period_s_end(world):
    await subscribed(world)
    await world.use("acme", [(JAN, "90", "eu")])
    await check(world, TENTH)
    ahead = (await invoices(world))[-1]
    await actions.void(world.scope, ahead.id, reason="Wrong", by=SYSTEM, at=TENTH)
    await bill(world, FEB)
    assert ("Requests", None, Decimal(45)) in await lines(world, (await invoices(world))[-1])


async def test_an_end_in_the_past_lies_after_what_was_billed_ahead(world):
    bought = await subscribed(world)
    await world.use("acme", [(JAN, "90", "eu")])
    await check(world, TENTH)
    at = TENTH - timedelta(days=1)
    command = CancelSubscription(mode=CancelMode.AT, at=at)
    with pytest.raises(Exception, match="is billed until") as caught:
        await verbs.cancel(world.scope, bought.id, command, by=SYSTEM, at=TWENTIETH)
    assert (caught.value.code, caught.value.field) == ("ALREADY_BILLED", "at")


async def test_nobody_looks_any_more_without_a_threshold_or_after_the_end(world):
    bought = await subscribed(world)
    gone = {"auto_invoice_threshold": None}
    await verbs.update(world.scope, bought.id, gone, by=SYSTEM, at=JAN)
    assert await due(world) == []
    again = {"auto_invoice_threshold": Decimal(5)}
    await verbs.update(world.scope, bought.id, again, by=SYSTEM, at=TENTH)
    assert await due(world) == [TENTH]
    now = CancelSubscription(mode=CancelMode.NOW)
    await verbs.cancel(world.scope, bought.id, now, by=SYSTEM, at=TENTH + HOUR)
    assert await due(world) == []
