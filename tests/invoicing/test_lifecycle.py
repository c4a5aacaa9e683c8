"""Draft, finalized, void and skipped on real PostgreSQL; what was issued stays as it is."""

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import asyncpg
import orjson
import pytest

from app.infra.postgres import fetch, writing
from app.invoicing import actions, billing, explanation, reads
from app.invoicing.drafts import Moment
from app.invoicing.errors import (
    InvoiceAlreadyVoid,
    InvoiceNotDraft,
    NothingToBill,
    NumberTaken,
    PeriodChanged,
)
from app.invoicing.invoice import BillingReason, InvoiceStatus, Party
from app.kernel.copies import replace
from app.kernel.errors import Invalid, NotFound
from app.kernel.listing import Order, PageRequest
from app.kernel.scope import SYSTEM, Scope
from app.subscriptions import actions as subscriptions
from app.subscriptions import reads as due_subscriptions
from tests.invoicing.test_billing import APR, FEB, MAR, draft_due, everything, invoices, lines
from tests.invoicing.test_pdf import text_of
from tests.invoicing.world import JAN, pdf_of, set_up
from tests.statements import statements


async def finalize(world, at):
    world.clock.at = at
    return (await billing.finalize_page(world.services, world.page())).tally


async def _forget(world):
    """As if nothing of any subscription had been billed."""
    async with writing(world.scope) as connection:
        await connection.execute("UPDATE subscriptions SET billed_until = NULL")
        await connection.execute("UPDATE due_items SET due_at = $1", JAN)


async def draft(world, name="acme"):
    await world.subscribe(name)
    await draft_due(world, JAN)
    return (await invoices(world))[-1]


async def finalize_one(world, invoice, at=JAN):
    return await actions.finalize(world.scope, invoice.id, by=SYSTEM, at=at)


async def test_finalizing_gives_a_number_a_due_date_and_the_parties(world):
    made = await draft(world)
    issued = await finalize_one(world, made, at=FEB)
    assert issued == await reads.get(world.scope, made.id)
    assert (issued.status, issued.number) == (InvoiceStatus.FINALIZED, "INV-202502-00001")
    assert (issued.issued_at, issued.finalized_at) == (FEB, FEB)
    assert issued.due_at == FEB + timedelta(days=30)
    assert issued.seller.name == "Skyport"
    assert issued.bill_to.name == "Acme"
    assert issued.bill_to.lines == ("1 Main St", "10115 Berlin", "Germany")
    assert issued.bill_to.reference == "acme"
    told = await fetch(
        world.scope,
        "SELECT name, payload->>'number' AS number FROM outbox WHERE entity_id = $1 "
        "ORDER BY position",
        made.id,
    )
    assert [tuple(row) for row in told] == [
        ("invoice.drafted", None), ("invoice.finalized", "INV-202502-00001"),
    ]  # fmt: skip
    audited = await fetch(
        world.scope,
        "SELECT action, actor_kind FROM audit_entries WHERE entity_id = $1 ORDER BY id",
        made.id,
    )
    assert [tuple(row) for row in audited] == [
        ("invoice.draft", "system"), ("invoice.finalize", "system"),
    ]  # fmt: skip


async def test_the_settings_name_the_seller_of_what_is_issued_from_then_on(world):
    early = await finalize_one(world, await draft(world))
    await set_up(
        world,
        seller_name="Skyport GmbH",
        seller_lines=["1 Main St", "10115 Berlin"],
        seller_email="billing@skyport.example",
    )
    late = await finalize_one(world, await draft(world, "beta"))
    assert (early.seller.name, early.seller.lines, early.seller.email) == ("Skyport", (), None)
    assert late.seller == Party(
        "Skyport GmbH", ("1 Main St", "10115 Berlin"), "billing@skyport.example"
    )
    assert (await reads.get(world.scope, early.id)).seller == early.seller
    waiting = await draft(world, "gamma")
    for invoice in (late, waiting):
        page = text_of(await pdf_of(world, invoice.id))
        assert "Skyport GmbH" in page
        assert "10115 Berlin" in page
        assert "billing@skyport.example" in page


async def test_a_draft_and_a_bill_of_nothing_are_audited_with_what_they_come_to(world):
    bought = await world.subscribe("acme", ends_at=FEB)
    await draft_due(world, FEB)
    rows = await fetch(
        world.scope,
        "SELECT action, entity_id, after FROM audit_entries WHERE action LIKE 'invoice.%' "
        "ORDER BY id",
    )
    facts = {
        "customer_id": bought.customer_id, "subscription_id": bought.id, "currency": "USD",
        "period_start": JAN.isoformat(), "period_end": FEB.isoformat(),
    }  # fmt: skip
    opening, last = await invoices(world)
    assert [(row["action"], row["entity_id"], orjson.loads(row["after"])) for row in rows] == [
        (
            "invoice.draft",
            opening.id,
            {**facts, "status": "draft", "reason": "subscription_create", "total": "20"},
        ),
        (
            "invoice.skip",
            last.id,
            {**facts, "status": "skipped", "reason": "subscription_cycle", "total": "0"},
        ),
    ]


async def test_drafting_and_issuing_take_the_same_statements_however_many(world):
    billed, issued = [], []
    for names in (["acme"], ["beta", "gamma", "delta", "epsilon"]):
        ids = [(await world.subscribe(name)).id for name in names]
        subjects = await due_subscriptions.due_for_billing(world.scope, ids, APR)

        async def draft_all(subjects=subjects):
            moment, clickhouse = Moment(APR, APR), world.services.clickhouse
            return await actions.bill(
                world.scope, subjects, clickhouse, moment=moment, most=9, by=SYSTEM
            )

        before = {invoice.id for invoice in await invoices(world)}
        billed.append(len(await statements(world.scope, draft_all)))
        drafts = [i.id for i in await invoices(world) if i.id not in before]
        assert len(drafts) == 4 * len(names)

        async def issue_all(drafts=drafts):
            await actions.finalize_many(world.scope, drafts, by=SYSTEM, at=APR)

        issued.append(len(await statements(world.scope, issue_all)))
    assert billed[0] == billed[1]
    assert issued[0] == issued[1]
    actions_ = await fetch(
        world.scope,
        "SELECT action, count(*) FROM audit_entries WHERE action LIKE 'invoice.%' GROUP BY 1",
    )
    assert dict(map(tuple, actions_)) == {"invoice.draft": 20, "invoice.finalize": 20}


async def test_the_run_finalizes_in_the_order_of_periods_without_a_gap(world):
    await world.subscribe("acme")
    await world.subscribe("beta")
    await draft_due(world, APR)
    assert (await finalize(world, APR))["finalized"] == 8
    found = sorted(await invoices(world), key=lambda invoice: invoice.number)
    assert [i.number for i in found] == [f"INV-202504-{n:05d}" for n in range(1, 9)]
    ends = [i.period.end for i in found]
    assert ends == sorted(ends)


async def test_finalizing_what_is_no_draft_is_refused_and_changes_nothing(world):
    issued = await finalize_one(world, await draft(world))
    before = await everything(world)
    with pytest.raises(InvoiceNotDraft) as refused:
        await finalize_one(world, issued)
    assert refused.value.code == "INVOICE_NOT_DRAFT"
    assert (await finalize(world, FEB))["finalized"] == 0
    assert await everything(world) == before


async def test_a_foreign_invoice_looks_unknown(world):
    made = await draft(world)
    foreign = Scope("ten_01HZZZZZZZZZZZZZZZZZZZZZZZ", world.scope.environment_id)
    for work in (
        reads.get(foreign, made.id),
        actions.finalize(foreign, made.id, by=SYSTEM, at=JAN),
        actions.void(foreign, made.id, reason="mine", by=SYSTEM, at=JAN),
    ):
        with pytest.raises(NotFound):
            await work
    assert (await reads.get(world.scope, made.id)).status is InvoiceStatus.DRAFT


async def test_the_numbers_follow_the_environments_settings(world):
    await set_up(
        world, number_prefix="SKY", number_separator="/", number_date="YYYY", number_digits=3,
        number_start=42, number_timezone="Asia/Tokyo", due_days=7,
    )  # fmt: skip
    await world.subscribe("acme")
    await draft_due(world, JAN)
    new_year_in_tokyo = datetime(2025, 12, 31, 15, tzinfo=UTC)
    await finalize(world, new_year_in_tokyo)
    (issued,) = await invoices(world)
    assert issued.number == "SKY/2026/042"
    assert issued.due_at == new_year_in_tokyo + timedelta(days=7)


async def test_a_new_month_starts_counting_again(world):
    await world.subscribe("acme")
    await draft_due(world, JAN)
    await finalize(world, JAN)
    await draft_due(world, FEB)
    await finalize(world, FEB)
    assert [i.number for i in await invoices(world)] == ["INV-202501-00001", "INV-202502-00001"]


async def test_numbers_have_no_gap_when_many_finalize_at_once_and_some_roll_back(world):
    for n in range(12):
        await world.subscribe(f"customer-{n}")
    await draft_due(world, JAN)
    drafts = await invoices(world)

    async def attempt(invoice, *, fails):
        async with writing(world.scope):
            await finalize_one(world, invoice)
            await asyncio.sleep(0.01)
            if fails:
                raise RuntimeError("rolled back")

    tries = [attempt(invoice, fails=n % 3 == 0) for n, invoice in enumerate(drafts)]
    outcomes = await asyncio.gather(*tries, return_exceptions=True)
    assert sum(isinstance(outcome, RuntimeError) for outcome in outcomes) == 4
    numbers = sorted(i.number for i in await invoices(world) if i.number)
    assert numbers == [f"INV-202501-{n:05d}" for n in range(1, 9)]
    await finalize(world, JAN)
    assert len({i.number for i in await invoices(world)}) == 12


async def test_a_number_that_an_older_format_gave_out_is_not_given_again(world):
    first, second = await draft(world, "acme"), await draft(world, "beta")
    await finalize_one(world, first)
    # Another counter, which writes the same text.
    await set_up(world, number_separator="", number_prefix="INV-202501-", number_date="none")
    before = await everything(world)
    with pytest.raises(NumberTaken):
        await finalize_one(world, second)
    assert await everything(world) == before


async def test_an_invoice_cannot_be_given_a_second_number_by_two_at_once(world):
    made = await draft(world)
    results = await asyncio.gather(
        *(finalize_one(world, made) for _ in range(5)), return_exceptions=True
    )
    assert sum(isinstance(result, InvoiceNotDraft) for result in results) == 4
    counters = await fetch(world.scope, "SELECT issued FROM invoice_number_counters")
    assert [row["issued"] for row in counters] == [1]


async def test_a_void_invoice_keeps_its_number_and_frees_its_period(world):
    issued = await finalize_one(world, await draft(world))
    gone = await actions.void(world.scope, issued.id, reason=" wrong plan ", by=SYSTEM, at=FEB)
    assert (gone.status, gone.number) == (InvoiceStatus.VOID, "INV-202501-00001")
    assert (gone.voided_at, gone.void_reason) == (FEB, "wrong plan")
    assert gone.totals == issued.totals
    before = await everything(world)
    with pytest.raises(InvoiceAlreadyVoid):
        await actions.void(world.scope, issued.id, reason="again", by=SYSTEM, at=MAR)
    assert await everything(world) == before
    await _forget(world)
    await draft_due(world, JAN)
    assert [i.status for i in await invoices(world)] == [InvoiceStatus.VOID, InvoiceStatus.DRAFT]


async def test_a_second_bill_for_the_period_is_refused(world):
    await draft(world)
    # Even when the subscription forgets how far it was billed.
    await _forget(world)
    assert (await draft_due(world, JAN))["drafted"] == 0
    assert len(await invoices(world)) == 1
    # And when billing itself is wrong, the database refuses.
    async with writing(world.scope) as connection:
        with pytest.raises(asyncpg.UniqueViolationError):
            await connection.execute(
                'INSERT INTO invoices SELECT (json_populate_record(i, \'{"id": "inv_2"}\')).* '
                "FROM invoices i"
            )


@pytest.mark.parametrize("reason", ["", "  ", "x" * 501, "a\x00b"])
async def test_a_void_without_a_proper_reason_is_refused(world, reason):
    made = await draft(world)
    before = await everything(world)
    with pytest.raises(Invalid) as refused:
        await actions.void(world.scope, made.id, reason=reason, by=SYSTEM, at=JAN)
    assert (refused.value.code, refused.value.field) == ("INVALID_REASON", "reason")
    assert await everything(world) == before


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE invoices SET total = total + 1",
        "UPDATE invoices SET number = 'INV-1'",
        "UPDATE invoices SET customer_id = 'cus_2'",
        "UPDATE invoices SET memo = 'x'",
        "UPDATE invoices SET source_id = 'x'",
        "UPDATE invoices SET amount_remaining = amount_due + 1",
        "UPDATE invoices SET amount_remaining = -1",
        "UPDATE invoices SET status = 'draft'",
        "UPDATE invoices SET bill_to = '{}'",
        "DELETE FROM invoices",
        "DELETE FROM invoice_lines",
        "UPDATE invoice_lines SET amount = 0",
        "UPDATE invoice_lines SET explanation = '{}'",
        "INSERT INTO invoice_lines SELECT (json_populate_record(l, "
        '\'{"id": "invl_2", "position": 2}\')).* FROM invoice_lines l',
    ],
)
async def test_the_database_keeps_what_was_issued(world, statement):
    await finalize_one(world, await draft(world))
    before = await everything(world)
    with pytest.raises(asyncpg.IntegrityConstraintViolationError):
        async with writing(world.scope) as connection:
            await connection.execute(statement)
    assert await everything(world) == before


async def test_lines_are_never_updated_even_of_a_draft(world):
    await draft(world)
    with pytest.raises(asyncpg.RestrictViolationError):
        async with writing(world.scope) as connection:
            await connection.execute("UPDATE invoice_lines SET amount = 0")


async def test_a_draft_waits_for_late_events_and_is_computed_again(world):
    patient = world.patient(finalization_delay_seconds=3600)
    await patient.subscribe("acme")
    await patient.use("acme", [(JAN, "10", "eu")])
    await draft_due(patient, FEB)
    await finalize(patient, FEB + timedelta(seconds=3599))
    assert {i.status for i in await invoices(patient)} == {InvoiceStatus.DRAFT}
    await patient.use("acme", [(FEB - timedelta(seconds=1), "5", "eu")])
    at = FEB + timedelta(hours=1)
    assert (await finalize(patient, at))["finalized"] == 2
    cycle = (await invoices(patient))[-1]
    assert (cycle.status, cycle.usage_watermark) == (InvoiceStatus.FINALIZED, at)
    assert [line.quantity for line in await lines(patient, cycle)] == [1, 15, 15]
    assert cycle.totals.subtotal == Decimal("27.52")  # 20 + 7.5 + 0.015


async def test_a_draft_that_still_is_nothing_after_its_wait_is_skipped(world):
    patient = world.patient(finalization_delay_seconds=60)
    await patient.subscribe("acme", ends_at=FEB)
    await draft_due(patient, FEB)
    await finalize(patient, FEB + timedelta(seconds=60))
    opening, last = await invoices(patient)
    assert (opening.status, last.status) == (InvoiceStatus.FINALIZED, InvoiceStatus.SKIPPED)
    assert opening.number == "INV-202502-00001"


async def test_the_environments_own_wait_wins_over_the_installations(world):
    await set_up(world, finalization_delay_seconds=120)
    await world.subscribe("acme")
    await draft_due(world, JAN)
    assert (await invoices(world))[0].finalize_at == JAN + timedelta(seconds=120)


async def test_a_draft_can_be_computed_on_request(world):
    patient = world.patient(finalization_delay_seconds=3600)
    await patient.subscribe("acme")
    await draft_due(patient, FEB)
    cycle = (await invoices(patient))[-1]
    await patient.use("acme", [(JAN, "2", "eu")])
    moment = Moment(FEB, FEB)
    computed = await actions.compute(
        patient.scope, cycle.id, patient.services.clickhouse, by=SYSTEM, moment=moment
    )
    assert computed.totals.total == Decimal("21.00")
    assert computed == await reads.get(patient.scope, cycle.id)
    await actions.finalize(patient.scope, cycle.id, by=SYSTEM, at=FEB)
    before = await everything(patient)
    with pytest.raises(InvoiceNotDraft):
        await actions.compute(
            patient.scope, cycle.id, patient.services.clickhouse, by=SYSTEM, moment=moment
        )
    assert await everything(patient) == before


async def test_a_draft_whose_period_is_gone_is_not_computed(world):
    patient = world.patient(finalization_delay_seconds=3600)
    await patient.subscribe("acme")
    await draft_due(patient, FEB)
    cycle = (await invoices(patient))[-1]
    async with writing(patient.scope) as connection:
        await connection.execute("UPDATE subscriptions SET anchor = $1", JAN + timedelta(days=3))
    before = await everything(patient)
    with pytest.raises(PeriodChanged):
        await actions.compute(
            patient.scope,
            cycle.id,
            patient.services.clickhouse,
            by=SYSTEM,
            moment=Moment(FEB, FEB),
        )
    assert await everything(patient) == before


async def test_the_preview_is_the_invoice_and_saves_nothing(world):
    bought = await world.subscribe("acme")
    await world.use("acme", [(JAN, "150.25", "eu"), (JAN, "7", "us")])
    for at in (JAN, FEB):
        before = await everything(world)
        shown = await actions.preview(
            world.scope, bought.id, world.services.clickhouse, moment=Moment(at, None)
        )
        assert await everything(world) == before
        await draft_due(world, at)
        made = (await invoices(world))[-1]
        assert (shown.invoice.totals, shown.invoice.period) == (made.totals, made.period)
        assert shown.invoice.catalog_hash == made.catalog_hash

        saved = [replace(line, id="", invoice_id="") for line in await lines(world, made)]
        assert [replace(line, id="", invoice_id="") for line in shown.lines] == saved


async def test_there_is_no_preview_of_what_is_billed_to_its_end(world):
    bought = await world.subscribe("acme", ends_at=FEB)
    await draft_due(world, FEB)
    with pytest.raises(NothingToBill):
        await actions.preview(
            world.scope, bought.id, world.services.clickhouse, moment=Moment(FEB, None)
        )


async def test_a_canceled_subscription_owes_its_usage_and_no_further_fee(world):
    bought = await world.subscribe("acme")
    await world.use("acme", [(JAN, "100", "eu")])
    await draft_due(world, JAN)
    await subscriptions.cancel(world.scope, bought.id, by=SYSTEM, at=JAN + timedelta(days=3))
    await draft_due(world, APR)
    *_, last = await invoices(world)
    assert len(await invoices(world)) == 2
    assert (last.reason, last.totals.total) == (BillingReason.SUBSCRIPTION_CYCLE, Decimal("50.10"))
    assert (
        await fetch(world.scope, "SELECT 1 FROM due_items WHERE kind = 'subscription.bill'") == []
    )


async def test_the_stored_lines_sum_to_the_invoice_and_explain_themselves(world):
    await world.subscribe("acme")
    await world.use("acme", [(JAN + timedelta(hours=n), f"{n}.{n:03d}", "eu") for n in range(90)])
    await draft_due(world, APR)
    for invoice in await invoices(world):
        found = await lines(world, invoice)
        assert sum((line.amount for line in found), Decimal(0)) == invoice.totals.subtotal
        for line in found:
            assert explanation.evaluate(line.explanation) == line.amount
        assert [line.position for line in found] == list(range(1, len(found) + 1))


async def test_lists_of_a_customer_and_a_subscription_are_read_in_one_go(world):
    bought = await world.subscribe("acme")
    await draft_due(world, APR)
    acme = world.customers["acme"].id
    latest = PageRequest(first=3, order=(Order("period_end", descending=True),))
    by_customer = await reads.pages_of_customers(world.scope, [acme, "cus_none"], latest)
    every = PageRequest(with_total=True)
    by_subscription = await reads.pages_of_subscriptions(world.scope, [bought.id], every)
    assert [i.period.start for i in by_customer[acme].rows] == [MAR, FEB, JAN]
    assert (by_customer[acme].has_next, by_customer["cus_none"].rows) == (True, [])
    assert (len(by_subscription[bought.id].rows), by_subscription[bought.id].total) == (4, 4)
