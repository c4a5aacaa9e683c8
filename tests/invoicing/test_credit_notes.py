"""Credit notes on real PostgreSQL: capped, numbered, spent oldest first, void while unused."""

import asyncio
from decimal import Decimal

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.infra.postgres import fetch, writing
from app.invoicing import actions, credit_reads, reads
from app.invoicing.credit_note import (
    Crediting,
    CreditNoteKind,
    CreditNoteReason,
    CreditNoteStatus,
    Part,
    RefundStatus,
)
from app.invoicing.errors import (
    BeyondLine,
    BeyondPaid,
    BeyondRemaining,
    CreditNoteAlreadyVoid,
    CreditNoteUsed,
    InvoiceCredited,
    InvoiceNotFinalized,
    NotARefund,
    NothingToCredit,
)
from app.invoicing.invoice import PaymentStatus
from app.invoicing.manual import ManualLine
from app.invoicing.refunds import refunded_by
from app.kernel.copies import replace
from app.kernel.errors import AlreadyExists, Invalid, NotFound
from app.kernel.ids import new_id
from app.kernel.scope import SYSTEM, Scope
from tests.invoicing.test_accounts import account, pay
from tests.invoicing.test_billing import FEB, MAR, everything, lines
from tests.invoicing.test_by_hand import create
from tests.invoicing.test_lifecycle import draft
from tests.invoicing.world import JAN, set_up
from tests.statements import statements

A, B = (ManualLine(description=name, unit_amount=Decimal(50)) for name in ("Alpha", "Beta"))
CREDIT, ADJUSTMENT, REFUND = CreditNoteKind.CREDIT, CreditNoteKind.ADJUSTMENT, CreditNoteKind.REFUND


async def issued(world, *written, at=JAN, **fields):
    return await create(world, *(written or (A, B)), finalized=True, at=at, **fields)


async def credit(world, invoice, *parts, at=FEB, **fields):
    wanted = Crediting(
        invoice_id=invoice.id, reason=CreditNoteReason.BILLING_ERROR, parts=parts, **fields
    )
    return await actions.issue_credit_note(world.scope, wanted, by=SYSTEM, at=at)


async def void(world, note, reason="mistaken"):
    return await actions.void_credit_note(world.scope, note.id, reason=reason, by=SYSTEM, at=MAR)


async def now(world, row):
    module = credit_reads if row.id.startswith("crn_") else reads
    return await module.get(world.scope, row.id)


async def state(world):
    tables = ("credit_notes", "credit_note_lines", "credit_note_applications",
              "invoice_settlements", "invoice_number_counters")  # fmt: skip
    found = await everything(world)
    for table in tables:
        found[table] = await fetch(world.scope, f"SELECT * FROM {table} ORDER BY 1")  # noqa: S608
    return found


async def test_a_note_gives_back_of_lines_and_is_numbered_on_its_own(world):
    invoice = await issued(world)
    alpha, beta = await lines(world, invoice)
    note = await credit(
        world, invoice, Part(alpha.id, Decimal(20)), Part(beta.id), kind=CREDIT, memo="Sorry",
        key="c-1", metadata={"ticket": "9"},
    )  # fmt: skip
    assert note == await now(world, note)
    assert (note.number, note.status, note.total, note.balance) == (
        "CN-202502-00001", CreditNoteStatus.ISSUED, 70, 70,
    )  # fmt: skip
    assert (note.memo, note.key, note.metadata) == ("Sorry", "c-1", {"ticket": "9"})
    assert note.bill_to.reference == "acme"
    found = (await credit_reads.lines_of_notes(world.scope, [note.id]))[note.id]
    assert [(li.invoice_line_id, li.description, li.amounts.amount) for li in found] == [
        (alpha.id, "Alpha", 20), (beta.id, "Beta", 50),
    ]  # fmt: skip
    assert (await now(world, invoice)).amount_remaining == 100
    assert (await credit(world, invoice, Part(alpha.id))).number == "CN-202502-00002"
    told = await fetch(world.scope, "SELECT name, payload->>'number' AS n FROM outbox "
                       "WHERE entity_id = $1", note.id)  # fmt: skip
    assert [tuple(row) for row in told] == [("credit_note.issued", "CN-202502-00001")]
    audited = await fetch(world.scope, "SELECT action FROM audit_entries WHERE entity_id = $1",
                          note.id)  # fmt: skip
    assert [row["action"] for row in audited] == ["credit_note.issue"]


async def test_an_adjustment_comes_off_what_remains(world):
    invoice = await issued(world)
    alpha, beta = await lines(world, invoice)
    note = await credit(world, invoice, Part(alpha.id, Decimal(30)), kind=ADJUSTMENT)
    assert (note.adjusted, note.balance) == (30, 0)
    after = await now(world, invoice)
    assert (after.amount_remaining, after.totals) == (70, invoice.totals)
    await pay(world, invoice, "60")
    before = await state(world)
    with pytest.raises(BeyondRemaining):
        await credit(world, invoice, Part(beta.id, Decimal("10.01")), kind=ADJUSTMENT)
    assert await state(world) == before
    await credit(world, invoice, Part(beta.id, Decimal(10)), kind=ADJUSTMENT)
    assert (await now(world, invoice)).payment_status is PaymentStatus.SETTLED
    assert await account(world, invoice) == [
        ("adjustment", 30), ("payment", 60), ("adjustment", 10),
    ]  # fmt: skip


async def test_without_a_kind_what_remains_is_reduced_and_the_rest_is_kept(world):
    invoice = await issued(world)
    await pay(world, invoice, "80")
    note = await credit(world, invoice)
    assert (note.kind, note.total, note.adjusted, note.balance) == (CREDIT, 100, 20, 80)
    assert (await now(world, invoice)).amount_remaining == 0
    other = await world.customer("beta")
    assert (await credit(world, await issued(world, customer_id=other.id))).kind is ADJUSTMENT


async def test_no_more_than_a_line_asked_for_is_ever_given_back(world):
    invoice = await issued(world)
    alpha, _ = await lines(world, invoice)
    await credit(world, invoice, Part(alpha.id, Decimal(30)), kind=CREDIT)
    before = await state(world)
    with pytest.raises(BeyondLine):
        await credit(world, invoice, Part(alpha.id, Decimal("20.01")), kind=CREDIT)
    assert await state(world) == before
    await credit(world, invoice, kind=CREDIT)
    with pytest.raises(NothingToCredit):
        await credit(world, invoice, kind=CREDIT)


async def test_two_who_credit_at_once_do_not_give_back_the_same(world):
    invoice = await issued(world)
    alpha, _ = await lines(world, invoice)
    outcomes = await asyncio.gather(
        *(credit(world, invoice, Part(alpha.id, Decimal(30)), kind=CREDIT) for _ in range(4)),
        return_exceptions=True,
    )
    assert sum(isinstance(each, BeyondLine) for each in outcomes) == 3
    (row,) = await fetch(world.scope, "SELECT sum(total) AS total FROM credit_notes")
    assert row["total"] == 30
    counters = await fetch(world.scope, "SELECT key, issued FROM invoice_number_counters")
    assert dict(map(tuple, counters))["credit_note:CN-202502"] == 1


async def test_balances_pay_for_the_next_invoices_the_oldest_first(world):
    first = await issued(world)
    older = await credit(world, first, Part((await lines(world, first))[0].id), kind=CREDIT)
    newer = await credit(world, first, Part((await lines(world, first))[1].id, Decimal(20)),
                         kind=CREDIT, at=MAR)  # fmt: skip
    invoice = await issued(world, replace(A, unit_amount=Decimal(60)), at=MAR)
    assert (invoice.totals.total, invoice.totals.credited, invoice.totals.amount_due) == (
        60, 60, 0,
    )  # fmt: skip
    assert (invoice.payment_status, invoice.paid_at) == (PaymentStatus.PAID, MAR)
    assert ((await now(world, older)).balance, (await now(world, newer)).balance) == (0, 10)
    next_ = await issued(world, A, at=MAR)
    assert (next_.totals.credited, next_.amount_remaining) == (10, 40)
    account_ = await credit_reads.applications_of_notes(world.scope, [older.id, newer.id])
    assert [(a.kind.value, a.invoice_id, a.amount) for a in account_[newer.id]] == [
        ("invoice", invoice.id, 10), ("invoice", next_.id, 10),
    ]  # fmt: skip


async def test_balances_pay_for_nobody_else_and_in_no_other_currency(world):
    first = await issued(world)
    note = await credit(world, first, kind=CREDIT)
    other = await world.customer("beta")
    assert (await issued(world, customer_id=other.id)).totals.credited == 0
    assert (await issued(world, currency="EUR")).totals.credited == 0
    assert (await now(world, note)).balance == 100


async def test_a_draft_spends_nothing_and_several_issued_at_once_spend_once(world):
    first = await issued(world)
    note = await credit(world, first, kind=CREDIT)
    drafts = [await create(world, A, at=FEB) for _ in range(4)]
    assert (await now(world, note)).balance == 100
    await asyncio.gather(
        *(actions.finalize(world.scope, each.id, by=SYSTEM, at=FEB) for each in drafts)
    )
    spent = [(await now(world, each)).totals.credited for each in drafts]
    assert sorted(spent) == [0, 0, 50, 50]
    assert (await now(world, note)).balance == 0


async def test_what_credits_paid_of_a_void_invoice_is_theirs_again(world):
    first = await issued(world)
    note = await credit(world, first, kind=CREDIT)
    invoice = await issued(world, A, at=FEB)
    assert (await now(world, note)).balance == 50
    await actions.void(world.scope, invoice.id, reason="x", by=SYSTEM, at=MAR)
    assert (await now(world, note)).balance == 100
    entries = (await credit_reads.applications_of_notes(world.scope, [note.id]))[note.id]
    assert [(entry.kind.value, entry.amount) for entry in entries] == [
        ("invoice", 50), ("return", -50),
    ]  # fmt: skip


async def test_an_unused_note_is_taken_back_and_its_lines_can_be_credited_again(world):
    invoice = await issued(world)
    note = await credit(world, invoice, kind=ADJUSTMENT)
    gone = await void(world, note)
    assert (gone.status, gone.balance, gone.void_reason) == (CreditNoteStatus.VOID, 0, "mistaken")
    assert (await now(world, invoice)).amount_remaining == 100
    assert await account(world, invoice) == [("adjustment", 100), ("adjustment_reversal", -100)]
    assert (await credit(world, invoice, kind=CREDIT)).total == 100
    before = await state(world)
    with pytest.raises(CreditNoteAlreadyVoid):
        await void(world, note)
    with pytest.raises(Invalid):
        await void(world, note, " ")
    assert await state(world) == before


async def test_a_note_that_has_paid_for_something_stays(world):
    note = await credit(world, await issued(world), kind=CREDIT)
    await issued(world, A, at=FEB)
    before = await state(world)
    with pytest.raises(CreditNoteUsed):
        await void(world, note)
    assert await state(world) == before


async def test_an_invoice_with_a_note_in_force_is_not_voided(world):
    invoice = await issued(world)
    note = await credit(world, invoice, kind=CREDIT)
    before = await state(world)
    with pytest.raises(InvoiceCredited):
        await actions.void(world.scope, invoice.id, reason="x", by=SYSTEM, at=FEB)
    assert await state(world) == before
    await void(world, note)
    await actions.void(world.scope, invoice.id, reason="x", by=SYSTEM, at=MAR)


async def test_a_refund_is_at_most_what_was_paid_and_is_owed_until_paid_back(world):
    invoice = await issued(world)
    alpha, beta = await lines(world, invoice)
    before = await state(world)
    with pytest.raises(BeyondPaid):
        await credit(world, invoice, Part(alpha.id), kind=REFUND)
    assert await state(world) == before
    await pay(world, invoice, "100")
    note = await credit(world, invoice, Part(alpha.id), kind=REFUND)
    assert (note.refund_status, note.balance, note.adjusted) == (RefundStatus.OWED, 50, 0)
    # It is to be paid out, so it pays for no invoice.
    assert (await issued(world, A, at=FEB)).totals.credited == 0
    rest = await credit(world, invoice, Part(beta.id), kind=REFUND)

    async def tell(which, outcome):
        async with writing(world.scope) as connection:
            return await actions.settle_refund(
                world.scope, connection, which.id, outcome, by=SYSTEM, at=MAR
            )

    assert (await tell(note, RefundStatus.FAILED)).balance == 50
    done = await tell(note, RefundStatus.SUCCEEDED)
    assert (done.refund_status, done.balance) == (RefundStatus.SUCCEEDED, 0)
    for which in (note, await credit(world, await issued(world), kind=CREDIT)):
        with pytest.raises(NotARefund):
            await tell(which, RefundStatus.SUCCEEDED)
    with pytest.raises(CreditNoteUsed):
        await void(world, note)
    assert (await void(world, rest)).status is CreditNoteStatus.VOID


async def test_whoever_pays_back_is_told_in_the_transaction(world):
    begun = []

    class Recording:
        async def begin(self, scope, note):
            begun.append((scope, note.id, note.balance))

    invoice = await issued(world)
    await pay(world, invoice, "100")
    with refunded_by(Recording()):
        note = await credit(world, invoice, kind=REFUND)
    assert begun == [(world.scope, note.id, 100)]


async def test_a_key_is_taken_and_a_draft_or_foreign_invoice_is_not_credited(world):
    invoice = await issued(world)
    note = await credit(world, invoice, Part((await lines(world, invoice))[0].id), key="k")
    waiting = await draft(world)
    before = await state(world)
    with pytest.raises(AlreadyExists) as taken:
        await credit(world, invoice, key="k")
    assert taken.value.field == "key"
    with pytest.raises(InvoiceNotFinalized) as open_:
        await credit(world, waiting)
    assert open_.value.field == "invoiceId"
    foreign = replace(world, scope=Scope(new_id("ten"), world.scope.environment_id))
    for work in (credit(foreign, invoice), void(foreign, note), now(foreign, note)):
        with pytest.raises(NotFound):
            await work
    for fields, code in (
        ({"memo": "x" * 2001}, "INVALID_MEMO"), ({"metadata": {"": "x"}}, "INVALID_METADATA"),
        ({"key": " "}, "INVALID_KEY"),
    ):  # fmt: skip
        with pytest.raises(Invalid) as refused:
            await credit(world, invoice, **fields)
        assert refused.value.code == code
    assert await state(world) == before


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE credit_notes SET amount = amount + 1, total = total + 1",
        "UPDATE credit_notes SET balance = balance + 1",
        "UPDATE credit_notes SET balance = -1",
        "DELETE FROM credit_notes",
        "UPDATE credit_note_lines SET amount = 1",
        "DELETE FROM credit_note_applications",
        "INSERT INTO credit_note_applications SELECT (json_populate_record(a, "
        '\'{"id": "cra_2", "amount": 51}\')).* FROM credit_note_applications a',
    ],
)
async def test_the_database_keeps_notes_and_their_accounts(world, statement):
    await credit(world, await issued(world), kind=CREDIT)
    await issued(world, A, at=FEB)
    before = await state(world)
    with pytest.raises(asyncpg.PostgresError):
        async with writing(world.scope) as connection:
            await connection.execute(statement)
    assert await state(world) == before


async def test_issuing_takes_the_same_statements_however_many_credits_pay(world):
    seen = []
    for notes in (1, 5):
        for _ in range(notes):
            await credit(world, await issued(world, A), kind=CREDIT)
        drafts = [(await create(world, A, at=FEB)).id for _ in range(notes)]

        async def issue_all(drafts=drafts):
            await actions.finalize_many(world.scope, drafts, by=SYSTEM, at=FEB)

        seen.append(len(await statements(world.scope, issue_all)))
    assert seen[0] == seen[1]


async def test_the_prefix_of_credit_notes_is_a_setting(world):
    await set_up(world, credit_note_prefix="GS", number_date="YYYY", number_digits=3)
    invoice = await issued(world)
    assert (await credit(world, invoice)).number == "GS-2025-001"


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["credit", "adjust", "auto", "void", "bill", "pay", "undo"]),
        st.integers(1, 6000),
    ),
    max_size=9,
)


@settings(
    max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(STEPS)
async def test_whatever_is_done_balances_stay_and_nothing_is_paid_twice(world, steps):
    invoice = await issued(world)
    alpha, beta = await lines(world, invoice)
    kinds = {"credit": CREDIT, "adjust": ADJUSTMENT, "auto": None}
    notes, bills = [], []
    for what, number in steps:
        part = Part((alpha, beta)[number % 2].id, Decimal(number).scaleb(-2))
        try:
            if what in kinds:
                notes.append(await credit(world, invoice, part, kind=kinds[what]))
            elif what == "void" and notes:
                await void(world, notes[number % len(notes)])
            elif what == "bill":
                amount = Decimal(number).scaleb(-2)
                bills.append(await issued(world, replace(A, unit_amount=amount), at=MAR))
            elif what == "pay":
                await pay(world, invoice, str(Decimal(number).scaleb(-2)))
            elif what == "undo" and bills:
                bill = bills[number % len(bills)]
                await actions.void(world.scope, bill.id, reason="x", by=SYSTEM, at=MAR)
        except (BeyondLine, BeyondRemaining, CreditNoteAlreadyVoid, CreditNoteUsed):
            pass
        except actions.voiding.InvoiceAlreadyVoid:
            pass
        await _holds(world, invoice, notes)


async def _holds(world, invoice, notes):
    after = await now(world, invoice)
    assert 0 <= after.amount_remaining <= after.totals.amount_due
    given_ = await credit_reads.earlier(world.scope, [li.id for li in await lines(world, invoice)])
    assert all(0 <= amounts.amount <= 50 for amounts in given_.values())
    rows = [await now(world, note) for note in notes]
    entries = await credit_reads.applications_of_notes(world.scope, [row.id for row in rows])
    for row in rows:
        spent = sum((entry.amount for entry in entries.get(row.id, [])), Decimal(0))
        kept = row.total - row.adjusted - spent if row.status is not CreditNoteStatus.VOID else 0
        assert row.balance == kept >= 0
    billed = await fetch(world.scope, "SELECT id, total, credited, amount_due FROM invoices "
                         "WHERE status = 'finalized'")  # fmt: skip
    paid = await credit_reads.applications_to_invoices(world.scope, [row["id"] for row in billed])
    for row in billed:
        applied = sum((entry.amount for entry in paid.get(row["id"], [])), Decimal(0))
        assert applied == row["credited"] <= row["total"]
