"""What is changed of one subscription after one invoice asked for several: credits, late usage."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from app.invoicing import actions, credit_reads
from app.invoicing.credit_note import Crediting, CreditNoteReason, Part
from app.invoicing.drafts import Moment
from app.invoicing.invoice import BillingReason, LineKind
from app.kernel.scope import SYSTEM
from tests.invoicing.changing import go_to, plan
from tests.invoicing.changing import run as run_all
from tests.invoicing.test_billing import FEB, MAR, everything, invoices, lines
from tests.invoicing.test_consolidated import family, run, wholes
from tests.invoicing.test_corrections import correct
from tests.invoicing.test_replay import replay
from tests.invoicing.world import JAN

D = Decimal
MID = datetime(2025, 2, 15, tzinfo=UTC)
DAY = timedelta(days=1)


async def of_invoice(world, invoice):
    found = await credit_reads.of_invoices(world.scope, [invoice.id])
    return sorted(found.get(invoice.id, ()), key=lambda note: note.id)


async def test_a_change_and_late_usage_of_one_find_what_was_billed_of_it_together(world):
    own, childs = await family(world)
    await run(world, FEB)
    _, cycle = await wholes(world)
    (fee,) = [
        line
        for line in await lines(world, cycle)
        if (line.kind, line.subscription_id) == (LineKind.FIXED, childs.id)
    ]
    by_hand = Crediting(
        invoice_id=cycle.id, reason=CreditNoteReason.BILLING_ERROR, parts=(Part(fee.id, D(15)),)
    )
    await actions.issue_credit_note(world.scope, by_hand, by=SYSTEM, at=FEB)

    # Half of February is left of 20, but no more than 5 of what was asked for.
    other, _ = await plan(world, "Scale", "30")
    world.clock.at = MID
    change = await go_to(world, childs, other)
    _, note = await of_invoice(world, cycle)
    assert (note.subscription_id, note.total, note.reason) == (
        childs.id, D(5), CreditNoteReason.SUBSCRIPTION_CHANGE,
    )  # fmt: skip
    found = (await credit_reads.lines_of_notes(world.scope, [note.id]))[note.id]
    assert [part.invoice_line_id for part in found] == [fee.id]
    (update,) = [i for i in await invoices(world) if i.source_id == change.id]
    assert (update.subscription_id, update.totals.total, update.subscription_ids) == (
        childs.id, D(15), (),
    )  # fmt: skip
    # Billed of the other one is as it was.
    assert len(await of_invoice(world, cycle)) == 2

    # It is late for a line that has ended since, of an invoice that names several.
    await world.use("eu", [(JAN + DAY, "10", "us")], accepted=MID + DAY)
    assert (await correct(world, MID + 2 * DAY))["corrected"] == 2
    world.clock.at = MAR
    before = await everything(world)
    seen = [
        await actions.preview(
            world.scope, each.id, world.services.clickhouse, moment=Moment(MAR, None)
        )
        for each in (own, childs)
    ]
    assert await everything(world) == before
    await run_all(world, MAR)
    *_, last = await wholes(world)
    assert (last.reason, last.subscription_ids) == (
        BillingReason.SUBSCRIPTION_CYCLE, (own.id, childs.id),
    )  # fmt: skip
    billed = await lines(world, last)
    adjusted = [line for line in billed if line.kind is LineKind.ADJUSTMENT]
    assert {line.subscription_id for line in adjusted} == {childs.id}
    assert sum(line.amount for line in adjusted) == D("5.01")
    # What was previewed of each is what the one invoice asks for.
    assert [(x.description, x.amount) for drafted in seen for x in drafted.lines] == [
        (line.description, line.amount) for line in billed
    ]
    for invoice in (cycle, last):
        assert (await replay(world, invoice)).identical
    # Once more, everything is found done.
    before = await everything(world)
    await run_all(world, MAR)
    assert await everything(world) == before
