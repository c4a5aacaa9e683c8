"""What remains of an invoice in force: paid, written off, asked for again; never below nothing."""

import asyncio
from datetime import timedelta
from decimal import Decimal

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.infra.postgres import fetch, writing
from app.invoicing import actions, reads
from app.invoicing.actions import Settling
from app.invoicing.errors import (
    BeyondRemaining,
    InvoiceAlreadyReplaced,
    InvoiceNotFinalized,
    InvoicePaidInPart,
    NothingRemains,
    NotWrittenOff,
)
from app.invoicing.invoice import InvoiceStatus, PaymentStatus, SettlementKind
from app.invoicing.manual import Edits
from app.kernel.errors import Invalid, NotFound
from app.kernel.ids import new_id
from app.kernel.scope import SYSTEM, Scope
from tests.invoicing.test_billing import FEB, MAR, bill, draft_due, everything, invoices, lines
from tests.invoicing.test_by_hand import SETUP, create
from tests.invoicing.test_lifecycle import draft, finalize_one
from tests.invoicing.world import JAN


async def account(world, invoice):
    found = (await reads.settlements_of_invoices(world.scope, [invoice.id])).get(invoice.id, [])
    return [(entry.kind.value, entry.amount) for entry in found]


async def pay(world, invoice, amount, source=None):
    async with writing(world.scope) as connection:
        settling = Settling(
            invoice.id, SettlementKind.PAYMENT, Decimal(amount), source_id=source or new_id("req")
        )
        return await actions.settle(world.scope, connection, settling, at=FEB)


async def write_off(world, invoice, reason="gone"):
    return await actions.write_off(world.scope, invoice.id, reason=reason, by=SYSTEM, at=FEB)


async def reverse(world, invoice, reason="found"):
    return await actions.reverse_write_off(
        world.scope, invoice.id, reason=reason, by=SYSTEM, at=MAR
    )


async def reissue(world, invoice, reason="wrong price", at=FEB):
    return await actions.reissue(
        world.scope, invoice.id, world.services.clickhouse, reason=reason, by=SYSTEM, at=at
    )


async def test_payments_reduce_what_remains_and_the_last_one_is_told(world):
    issued = await finalize_one(world, await draft(world))
    half = await pay(world, issued, "8")
    assert (half.amount_remaining, half.payment_status, half.paid_at) == (
        12, PaymentStatus.OPEN, None,
    )  # fmt: skip
    paid = await pay(world, issued, "12")
    assert (paid.amount_remaining, paid.payment_status, paid.paid_at) == (
        0, PaymentStatus.PAID, FEB,
    )  # fmt: skip
    assert paid.totals == issued.totals
    assert await account(world, issued) == [("payment", 8), ("payment", 12)]
    told = await fetch(world.scope, "SELECT 1 FROM outbox WHERE name = 'invoice.paid'")
    assert len(told) == 1


async def test_more_than_remains_never_comes_off_and_a_payment_counts_once(world):
    issued = await finalize_one(world, await draft(world))
    await pay(world, issued, "15", source="pay_1")
    before = await everything(world)
    with pytest.raises(BeyondRemaining):
        await pay(world, issued, "5.01")
    with pytest.raises(asyncpg.UniqueViolationError):
        await pay(world, issued, "1", source="pay_1")
    # Whoever forgets to look is stopped by the database.
    async with writing(world.scope) as connection:
        with pytest.raises(asyncpg.CheckViolationError):
            await connection.execute(
                "INSERT INTO invoice_settlements SELECT (json_populate_record(s, "
                '\'{"id": "stl_2", "source_id": "pay_2"}\')).* FROM invoice_settlements s'
            )
    assert await everything(world) == before


async def test_entries_of_an_account_are_only_added(world):
    issued = await finalize_one(world, await draft(world))
    await pay(world, issued, "15")
    for statement in (
        "UPDATE invoice_settlements SET amount = 0", "DELETE FROM invoice_settlements",
    ):  # fmt: skip
        async with writing(world.scope) as connection:
            with pytest.raises(asyncpg.PostgresError):
                await connection.execute(statement)
    assert await account(world, issued) == [("payment", 15)]


async def test_payments_at_once_come_off_one_after_the_other(world):
    issued = await finalize_one(world, await draft(world))
    results = await asyncio.gather(
        *(pay(world, issued, "6") for _ in range(5)), return_exceptions=True
    )
    assert sum(isinstance(result, BeyondRemaining) for result in results) == 2
    assert (await reads.get(world.scope, issued.id)).amount_remaining == 2


async def test_what_remains_is_written_off_and_asked_for_again(world):
    issued = await finalize_one(world, await draft(world))
    await pay(world, issued, "8")
    gone = await write_off(world, issued, " bankrupt ")
    assert (gone.amount_remaining, gone.payment_status) == (0, PaymentStatus.UNCOLLECTIBLE)
    assert (gone.uncollectible_at, gone.uncollectible_reason) == (FEB, "bankrupt")
    before = await everything(world)
    with pytest.raises(NothingRemains):
        await write_off(world, issued)
    assert await everything(world) == before
    back = await reverse(world, issued)
    assert (back.amount_remaining, back.payment_status) == (12, PaymentStatus.OPEN)
    assert (back.uncollectible_at, back.uncollectible_reason) == (None, None)
    with pytest.raises(NotWrittenOff):
        await reverse(world, issued)
    again = await write_off(world, issued)
    assert again.amount_remaining == 0
    assert (await reverse(world, issued)).amount_remaining == 12
    assert await account(world, issued) == [
        ("payment", 8), ("write_off", 12), ("write_off_reversal", -12),
        ("write_off", 12), ("write_off_reversal", -12),
    ]  # fmt: skip
    told = await fetch(
        world.scope,
        "SELECT name, payload->>'amount' AS amount FROM outbox WHERE name LIKE '%write_off%' "
        "OR name LIKE '%written_off' ORDER BY position LIMIT 2",
    )
    assert [tuple(row) for row in told] == [
        ("invoice.written_off", "12"), ("invoice.write_off_reversed", "12"),
    ]  # fmt: skip


async def test_only_what_is_in_force_is_written_off(world):
    made = await draft(world)
    before = await everything(world)
    with pytest.raises(InvoiceNotFinalized):
        await write_off(world, made)
    with pytest.raises(InvoiceNotFinalized):
        await reverse(world, made)
    with pytest.raises(Invalid) as refused:
        await write_off(world, made, " ")
    assert refused.value.code == "INVALID_REASON"
    foreign = Scope(new_id("ten"), world.scope.environment_id)
    with pytest.raises(NotFound):
        await actions.write_off(foreign, made.id, reason="x", by=SYSTEM, at=JAN)
    assert await everything(world) == before


AMOUNTS = st.decimals(min_value=-5, max_value=25, places=2)


@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.tuples(st.sampled_from(["pay", "off", "back"]), AMOUNTS), max_size=8))
async def test_what_remains_is_what_is_due_less_the_account_and_never_below_nothing(world, steps):
    made = await create(world, SETUP, finalized=True)
    for what, amount in steps:
        try:
            if what == "pay" and amount > 0:
                await pay(world, made, str(amount))
            elif what == "off":
                await write_off(world, made)
            elif what == "back":
                await reverse(world, made)
        except (BeyondRemaining, NothingRemains, NotWrittenOff):
            pass
        now = await reads.get(world.scope, made.id)
        off = sum(entry for _, entry in await account(world, made))
        assert now.amount_remaining == made.totals.amount_due - off
        assert 0 <= now.amount_remaining <= made.totals.amount_due


async def test_a_wrong_invoice_is_taken_back_and_drafted_again_for_its_period(world):
    await world.subscribe("acme")
    await world.use("acme", [(JAN, "10", "eu")])
    await draft_due(world, FEB)
    cycle = (await invoices(world))[-1]
    cycle = await actions.edit(
        world.scope, cycle.id, Edits({"memo": "Hi", "purchase_order": "P"}, add=[SETUP]),
        by=SYSTEM, at=FEB,
    )  # fmt: skip
    issued = await finalize_one(world, cycle, at=FEB)
    await world.use("acme", [(JAN, "10", "eu")])
    new = await reissue(world, issued)
    assert new == await reads.get(world.scope, new.id)
    old = await reads.get(world.scope, issued.id)
    assert (old.status, old.void_reason, old.number) == (
        InvoiceStatus.VOID, "wrong price", issued.number,
    )  # fmt: skip
    assert (old.replaced_by_id, new.replaces_id) == (new.id, old.id)
    assert (new.status, new.number, new.period, new.reason) == (
        InvoiceStatus.DRAFT, None, old.period, old.reason,
    )  # fmt: skip
    assert (new.memo, new.purchase_order, new.edited, new.finalize_at) == ("Hi", "P", True, None)
    assert [(li.description, li.amount) for li in await lines(world, new)] == [
        ("Platform fee", Decimal(20)), ("Requests", Decimal(10)), ("Traffic", Decimal("0.02")),
        ("Setup", Decimal("299.99")),
    ]  # fmt: skip
    assert [li.amount for li in await lines(world, old)][1] == Decimal(5)
    # The run neither finalizes it nor bills the period again.
    assert (await bill(world, FEB))["drafted"] == 0
    issued = await finalize_one(world, new, at=MAR)
    assert issued.number == "INV-202503-00001"


async def test_an_invoice_is_replaced_once(world):
    issued = await finalize_one(world, await draft(world))
    outcomes = await asyncio.gather(
        *(reissue(world, issued) for _ in range(3)), return_exceptions=True
    )
    assert sum(isinstance(outcome, InvoiceAlreadyReplaced) for outcome in outcomes) == 2
    assert len(await invoices(world)) == 2
    before = await everything(world)
    with pytest.raises(InvoiceAlreadyReplaced):
        await reissue(world, issued)
    assert await everything(world) == before


async def test_what_is_void_already_and_what_was_written_by_hand_are_drafted_again_too(world):
    made = await create(world, key="deal-1", finalized=True)
    await actions.void(world.scope, made.id, reason="first", by=SYSTEM, at=JAN)
    new = await reissue(world, made)
    assert (new.source_id, new.status, new.totals) == ("deal-1", InvoiceStatus.DRAFT, made.totals)
    assert (await reads.get(world.scope, made.id)).void_reason == "first"
    assert [li.amount for li in await lines(world, new)] == [
        li.amount for li in await lines(world, made)
    ]


async def test_a_draft_and_what_was_paid_for_are_not_taken_back(world):
    made = await draft(world)
    with pytest.raises(InvoiceNotFinalized):
        await reissue(world, made)
    issued = await finalize_one(world, made)
    await pay(world, issued, "1")
    before = await everything(world)
    with pytest.raises(InvoicePaidInPart):
        await reissue(world, issued)
    with pytest.raises(InvoicePaidInPart):
        await actions.void(world.scope, issued.id, reason="x", by=SYSTEM, at=FEB)
    with pytest.raises(Invalid):
        await reissue(world, issued, " ")
    assert await everything(world) == before


async def test_a_void_invoice_asks_for_nothing_and_nothing_settles_it(world):
    issued = await finalize_one(world, await draft(world))
    gone = await actions.void(world.scope, issued.id, reason="x", by=SYSTEM, at=FEB)
    assert (gone.amount_remaining, gone.payment_status) == (0, None)
    with pytest.raises(InvoiceNotFinalized):
        await pay(world, issued, "1")
    async with writing(world.scope) as connection:
        with pytest.raises(asyncpg.RestrictViolationError):
            await connection.execute(
                "INSERT INTO invoice_settlements (id, tenant_id, environment_id, created_at, "
                "updated_at, invoice_id, kind, amount, currency) SELECT 'stl_1', tenant_id, "
                "environment_id, created_at, updated_at, id, 'payment', 0, currency FROM invoices"
            )
    assert (await bill(world, FEB + timedelta(days=1)))["drafted"] == 1
