"""Invoices written by hand, and drafts edited by hand: all of the changes or none."""

import asyncio
from datetime import timedelta
from decimal import Decimal

import pytest

from app.catalog.errors import Archived
from app.customers import actions as customers
from app.infra.postgres import fetch
from app.invoicing import actions, explanation, reads
from app.invoicing.drafts import Moment
from app.invoicing.errors import InvoiceEdited, InvoiceNotDraft, LineIsComputed
from app.invoicing.invoice import BillingReason, InvoiceStatus, LineKind, PaymentStatus
from app.invoicing.manual import CreateInvoice, Edits, ManualLine
from app.kernel.copies import replace
from app.kernel.errors import AlreadyExists, Invalid, NotFound
from app.kernel.ids import new_id
from app.kernel.period import Period
from app.kernel.scope import SYSTEM, Scope
from tests.invoicing.test_billing import FEB, MAR, draft_due, everything, invoices, lines
from tests.invoicing.test_lifecycle import draft, finalize, finalize_one
from tests.invoicing.test_pdf import text_of
from tests.invoicing.world import JAN, pdf_of, set_up

SETUP = ManualLine(description="Setup", unit_amount=Decimal("99.995"), quantity=Decimal(3))
TRAINING = ManualLine(
    description="Training", unit_amount=Decimal(150), section="Services", service_start=JAN,
    service_end=FEB,
)  # fmt: skip


async def create(world, *written, finalized=False, at=JAN, **fields):
    customer = await world.customer("acme")
    command = CreateInvoice(
        **{"customer_id": customer.id, "lines": written or (SETUP, TRAINING), **fields}
    )
    return await actions.create(world.scope, command, finalized=finalized, by=SYSTEM, at=at)


async def edit(world, invoice, *, at=JAN, **edits):
    return await actions.edit(world.scope, invoice.id, Edits(**edits), by=SYSTEM, at=at)


async def test_an_invoice_written_by_hand_is_a_draft_until_somebody_finalizes_it(world):
    made = await create(
        world, memo="Thank you", purchase_order="PO-7", metadata={"deal": "9"}, key="deal-9"
    )
    assert made == await reads.get(world.scope, made.id)
    assert (made.status, made.reason, made.period) == (
        InvoiceStatus.DRAFT, BillingReason.ONE_OFF, Period(JAN, FEB),
    )  # fmt: skip
    assert made.totals.total == Decimal("449.99")  # 299.985 rounded once, and 150
    first, second = await lines(world, made)
    assert (first.kind, first.quantity, first.amount) == (LineKind.MANUAL, 3, Decimal("299.99"))
    assert (first.service, second.service) == (Period(JAN, FEB), Period(JAN, FEB))
    assert second.section == "Services"
    for line in (first, second):
        assert explanation.evaluate(line.explanation) == line.amount
    # The run leaves it alone, however long it waits.
    assert (await finalize(world, FEB + timedelta(days=365)))["finalized"] == 0
    issued = await finalize_one(world, made, at=MAR)
    assert (issued.number, issued.due_at) == ("INV-202503-00001", MAR + timedelta(days=30))
    text = text_of(await pdf_of(world, made.id))
    for part in ("PO-7", "Thank you", "Setup", "Training"):
        assert part in text


async def test_an_invoice_written_by_hand_is_issued_at_once_when_asked(world):
    due = JAN + timedelta(days=3)
    made = await create(world, finalized=True, due_at=due)
    assert (made.status, made.number, made.due_at) == (
        InvoiceStatus.FINALIZED, "INV-202501-00001", due,
    )  # fmt: skip
    assert (made.amount_remaining, made.payment_status) == (Decimal("449.99"), PaymentStatus.OPEN)
    told = await fetch(world.scope, "SELECT name FROM outbox WHERE entity_id = $1", made.id)
    assert [row["name"] for row in told] == ["invoice.drafted", "invoice.finalized"]


async def test_a_key_is_taken_until_its_invoice_is_void(world):
    made = await create(world, key="deal-9")
    before = await everything(world)
    with pytest.raises(AlreadyExists) as refused:
        await create(world, key="deal-9", finalized=True)
    assert (refused.value.field, refused.value.value) == ("key", "deal-9")
    assert await everything(world) == before
    await actions.void(world.scope, made.id, reason="wrong", by=SYSTEM, at=JAN)
    assert (await create(world, key="deal-9")).source_id == "deal-9"
    results = await asyncio.gather(
        *(create(world, key="deal-10") for _ in range(4)), return_exceptions=True
    )
    assert sum(isinstance(result, AlreadyExists) for result in results) == 3


@pytest.mark.parametrize(
    ("line", "field", "code"),
    [
        ({"description": " "}, "lines[1].description", "INVALID_DESCRIPTION"),
        ({"unit_amount": Decimal(-1)}, "lines[1].unitAmount", "NEGATIVE_AMOUNT"),
        ({"unit_amount": Decimal("1e18")}, "lines[1].unitAmount", "TOO_MANY_DIGITS"),
        ({"quantity": Decimal(0)}, "lines[1].quantity", "NOT_POSITIVE"),
        ({"service_start": JAN}, "lines[1].serviceEnd", "INVALID_SERVICE_END"),
        ({"service_start": FEB, "service_end": JAN}, "lines[1].serviceEnd", "INVALID_SERVICE_END"),
        ({"section": "x" * 256}, "lines[1].section", "INVALID_SECTION"),
        ({"unit_amount": Decimal(10**12), "quantity": Decimal(10**6)}, "lines[1]", "TOO_LARGE"),
    ],
)
async def test_a_line_that_cannot_be_names_its_field_and_nothing_is_made(world, line, field, code):
    await world.customer("acme")
    before = await everything(world)
    with pytest.raises(Invalid) as refused:
        await create(world, SETUP, replace(SETUP, **line))
    assert (refused.value.field, refused.value.code) == (field, code)
    assert await everything(world) == before


@pytest.mark.parametrize(
    ("fields", "field", "code"),
    [
        ({"lines": ()}, "lines", "INVALID_LINES"),
        ({"lines": (SETUP,) * 1001}, "lines", "INVALID_LINES"),
        ({"currency": "ABC"}, "currency", "INVALID_CURRENCY"),
        ({"memo": "x" * 2001}, "memo", "INVALID_MEMO"),
        ({"purchase_order": " "}, "purchaseOrder", "INVALID_PURCHASE_ORDER"),
        ({"key": ""}, "key", "INVALID_KEY"),
        ({"metadata": {"k": "x" * 513}}, "metadata", "INVALID_METADATA"),
    ],
)
async def test_an_invoice_that_cannot_be_names_its_field(world, fields, field, code):
    await world.customer("acme")
    before = await everything(world)
    with pytest.raises(Invalid) as refused:
        await create(world, **fields)
    assert (refused.value.field, refused.value.code) == (field, code)
    assert await everything(world) == before


async def test_nobody_unknown_or_archived_is_billed_by_hand(world):
    with pytest.raises(NotFound) as unknown:
        await create(world, customer_id=new_id("cus"))
    assert unknown.value.field == "customerId"
    customer = await world.customer("acme")
    await customers.archive(world.scope, customer.id, by=SYSTEM, at=JAN)
    with pytest.raises(Archived):
        await create(world)
    assert await invoices(world) == []


async def test_a_draft_takes_lines_by_hand_below_those_that_follow_from_prices(world):
    made = await draft(world)
    assert not made.edited
    after = await edit(
        world, made, add=[SETUP, TRAINING],
        fields={"memo": "Hello", "purchase_order": "PO-1", "due_at": MAR, "metadata": {"a": "b"}},
    )  # fmt: skip
    assert after == await reads.get(world.scope, made.id)
    assert after.edited
    assert after.totals.total == Decimal("469.99")
    assert (after.memo, after.purchase_order, after.due_at) == ("Hello", "PO-1", MAR)
    fee, setup, training = await lines(world, after)
    assert [li.position for li in (fee, setup, training)] == [1, 2, 3]
    after = await edit(
        world, after, change=[(setup.id, {"quantity": Decimal(1), "description": "Set-up"})],
        remove=[training.id],
    )  # fmt: skip
    fee, setup = await lines(world, after)
    assert (setup.description, setup.amount) == ("Set-up", Decimal(100))  # 99.995
    assert after.totals.total == Decimal(120)
    issued = await finalize_one(world, after, at=JAN)
    assert (issued.due_at, issued.memo) == (MAR, "Hello")
    audited = await fetch(
        world.scope, "SELECT action FROM audit_entries WHERE entity_id = $1 ORDER BY id", made.id
    )
    assert [row["action"] for row in audited] == [
        "invoice.draft", "invoice.update", "invoice.update", "invoice.finalize",
    ]  # fmt: skip


async def test_what_follows_from_a_price_cannot_be_written_over(world):
    made = await draft(world)
    (fee,) = await lines(world, made)
    before = await everything(world)
    for edits, field in (
        ({"remove": [fee.id]}, "removeLines[0]"),
        ({"add": [SETUP], "change": [(fee.id, {"quantity": Decimal(2)})]}, "changeLines[0].id"),
    ):
        with pytest.raises(LineIsComputed) as refused:
            await edit(world, made, **edits)
        assert refused.value.field == field
    for edits, error, field in (
        ({"remove": [new_id("invl")]}, NotFound, "removeLines[0]"),
        ({"add": [SETUP], "fields": {"memo": " "}}, Invalid, "memo"),
        ({"add": [SETUP, replace(SETUP, quantity=Decimal(-1))]}, Invalid, "addLines[1].quantity"),
    ):
        with pytest.raises(error) as refused:
            await edit(world, made, **edits)
        assert refused.value.field == field
    assert await everything(world) == before


async def test_a_line_of_another_invoice_is_unknown(world):
    made, other = await draft(world), await create(world)
    theirs = (await lines(world, other))[0]
    with pytest.raises(NotFound):
        await edit(world, made, remove=[theirs.id])
    foreign = Scope(new_id("ten"), world.scope.environment_id)
    with pytest.raises(NotFound):
        await actions.edit(foreign, made.id, Edits(add=[SETUP]), by=SYSTEM, at=JAN)


async def test_a_draft_edited_by_hand_is_not_computed_over(world):
    patient = world.patient(finalization_delay_seconds=3600)
    await patient.subscribe("acme")
    await draft_due(patient, FEB)
    cycle = (await invoices(patient))[-1]
    await edit(patient, cycle, add=[SETUP], at=FEB)
    await patient.use("acme", [(JAN, "10", "eu")])
    moment, clickhouse = Moment(FEB, None), patient.services.clickhouse
    before = await everything(patient)
    with pytest.raises(InvoiceEdited):
        await actions.compute(patient.scope, cycle.id, clickhouse, by=SYSTEM, moment=moment)
    assert await everything(patient) == before
    again = await actions.compute(
        patient.scope, cycle.id, clickhouse, by=SYSTEM, moment=moment, keep_edits=True
    )
    found = [(li.position, li.description, li.amount) for li in await lines(patient, again)]
    assert found == [
        (1, "Platform fee", Decimal(20)), (2, "Requests", Decimal(5)),
        (3, "Traffic", Decimal("0.01")), (4, "Setup", Decimal("299.99")),
    ]  # fmt: skip
    assert again.totals.total == Decimal("325")
    await patient.use("acme", [(JAN, "1000", "eu")])
    await finalize(patient, FEB + timedelta(hours=1))
    issued = await reads.get(patient.scope, cycle.id)
    assert (issued.status, issued.totals.total) == (InvoiceStatus.FINALIZED, Decimal("325"))


async def test_an_edit_while_a_draft_is_computed_is_not_lost(world, monkeypatch):
    await world.subscribe("acme")
    await draft_due(world, FEB)
    cycle = (await invoices(world))[-1]
    cycle = await edit(world, cycle, add=[SETUP], at=FEB)
    read = reads.lines_of_invoices

    async def read_and_then_edited(scope, ids):
        found = await read(scope, ids)
        monkeypatch.setattr(reads, "lines_of_invoices", read)
        await edit(world, cycle, add=[TRAINING], at=FEB)
        return found

    monkeypatch.setattr(reads, "lines_of_invoices", read_and_then_edited)
    computed = await actions.compute_many(
        world.scope, [cycle], world.services.clickhouse, by=SYSTEM, moment=Moment(FEB, None)
    )
    assert computed == []
    assert [li.description for li in await lines(world, cycle)][-2:] == ["Setup", "Training"]


async def test_an_issued_invoice_takes_another_due_date_and_notes_and_nothing_else(world):
    issued = await finalize_one(world, await draft(world))
    moved = await edit(world, issued, fields={"due_at": FEB, "metadata": {"x": "y"}}, at=FEB)
    assert (moved.due_at, moved.metadata) == (FEB, {"x": "y"})
    assert moved.totals == issued.totals
    text = text_of(await pdf_of(world, issued.id))
    assert "February 1, 2025" in text
    before = await everything(world)
    for edits in ({"add": [SETUP]}, {"fields": {"memo": "x"}}, {"fields": {"purchase_order": "1"}}):
        with pytest.raises(InvoiceNotDraft):
            await edit(world, issued, **edits)
    for due in (None, JAN - timedelta(seconds=1)):
        with pytest.raises(Invalid) as refused:
            await edit(world, issued, fields={"due_at": due})
        assert refused.value.code == "INVALID_DUE_AT"
    assert await everything(world) == before


async def test_a_due_date_that_has_passed_is_the_day_of_issue(world):
    made = await edit(world, await draft(world), fields={"due_at": JAN - timedelta(days=9)})
    assert (await finalize_one(world, made, at=FEB)).due_at == FEB


@pytest.mark.parametrize(
    ("policy", "status", "number", "stands", "told"),
    [
        ("skip", "skipped", None, None, "invoice.skipped"),
        ("issue", "finalized", "INV-202502-00001", "settled", "invoice.finalized"),
        ("issue_as_paid", "finalized", "INV-202502-00001", "paid", "invoice.paid"),
    ],
)
async def test_what_comes_to_nothing_is_dealt_with_as_the_settings_say(
    world, policy, status, number, stands, told
):
    await set_up(world, zero_invoices=policy)
    await world.subscribe("acme", ends_at=FEB)
    await draft_due(world, FEB)
    await finalize(world, JAN)
    await finalize(world, FEB)
    last = (await invoices(world))[-1]
    assert last.totals.total == 0
    assert (last.status.value, last.payment_status and last.payment_status.value) == (
        status,
        stands,
    )
    assert (last.number or "")[:10] == (number or "")[:10]
    rows = await fetch(
        world.scope, "SELECT name FROM outbox WHERE entity_id = $1 ORDER BY position", last.id
    )
    assert rows[-1]["name"] == told
