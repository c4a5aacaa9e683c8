"""Usage that changed after it was billed is corrected, once, by the environment's policy."""

import asyncio
from datetime import timedelta
from decimal import Decimal

import pytest

from app.infra.postgres import fetch
from app.invoicing import actions, billing, correction_reads, correction_run, credit_reads, reads
from app.invoicing.correction import CorrectionPolicy, CorrectionStatus
from app.invoicing.drafts import Moment
from app.invoicing.errors import CorrectionDecided, InvoiceCorrected
from app.invoicing.explanation import evaluate
from app.invoicing.invoice import BillingReason, InvoiceStatus, LineKind
from app.kernel.errors import Invalid
from app.kernel.scope import SYSTEM
from app.subscriptions import actions as verbs
from app.subscriptions.changes.canceling import CancelSubscription
from app.subscriptions.subscription import CancelMode, PaymentTerms
from app.tenants.actions import environments
from tests.invoicing.test_billing import APR, FEB, MAR, bill, draft_due, invoices, lines
from tests.invoicing.world import JAN

D = Decimal
DAY, HOUR = timedelta(days=1), timedelta(hours=1)


async def finalize(world, at):
    """Issue all drafts."""
    for invoice in await invoices(world):
        if invoice.status is InvoiceStatus.DRAFT:
            await actions.finalize(world.scope, invoice.id, by=SYSTEM, at=at)


async def billed(world, at):
    await bill(world, at)
    await finalize(world, at)
    return (await invoices(world))[-1]


async def correct(world, at):
    """What a run does of it at `at`, whenever it is due."""
    world.clock.at = at
    await actions.look_again(world.scope, at=at)
    return (await correction_run.correct_page(world.services, world.page())).tally


async def policy(world, name):
    patch = {"corrections": {"policy": name}}
    await environments.update_settings(world.scope, patch, by=SYSTEM, at=JAN)


async def booked(world):
    rows = await fetch(world.scope, "SELECT id FROM invoice_corrections ORDER BY id")
    found = await correction_reads.by_ids(world.scope, [row["id"] for row in rows])
    return list(found.values())


async def adjustments(world, invoice):
    return [line for line in await lines(world, invoice) if line.kind is LineKind.ADJUSTMENT]


async def used(world, *used_, accepted=None):
    return await world.use("acme", used_, accepted=accepted)


async def january(world):
    """January is billed: 120 requests of the EU."""
    await world.subscribe("acme")
    ids = await used(world, (JAN, "100", "eu"), (JAN + DAY, "20", "eu"))
    return ids, await billed(world, FEB)


async def test_late_events_are_on_the_next_invoice_at_the_price_of_their_period(world):
    _, cycle = await january(world)
    await used(world, (JAN + DAY, "10", "eu"), (JAN + DAY, "5", "us"), accepted=FEB + DAY)
    assert await correct(world, FEB + 2 * DAY) == {"corrected": 3}
    found = await booked(world)
    assert [(c.description, dict(c.group), c.quantity, c.amount) for c in found] == [
        ("Requests", {}, 15, D("1.5")),  # tiers go on where they were: 0.1 each
        ("Traffic", {"region": "eu"}, 10, D("0.01")),
        ("Traffic", {"region": "us"}, 5, D("0.01")),
    ]
    assert [c.invoice_id for c in found] == [cycle.id] * 3
    assert [c.invoice_line_id is None for c in found] == [False, False, True]
    march = await billed(world, MAR)
    added = await adjustments(world, march)
    assert [(line.description, line.amount, line.service) for line in added] == [
        ("Requests (correction)", D("1.5"), cycle.period),
        ("Traffic (correction)", D("0.01"), cycle.period),
        ("Traffic (correction)", D("0.01"), cycle.period),
    ]
    assert [line.correction_id for line in added] == [c.id for c in found]
    assert all(evaluate(line.explanation) == line.amount for line in added)
    assert march.totals.total == D("21.52")
    assert await correction_reads.waiting_subscriptions(world.scope) == []
    replayed = await actions.replay(world.scope, march.id, world.services.clickhouse)
    assert replayed.differences == ()


async def test_looking_again_books_nothing_twice(world):
    await january(world)
    await used(world, (JAN + DAY, "10", "eu"), accepted=FEB + DAY)
    assert await correct(world, FEB + 2 * DAY) == {"corrected": 2}
    assert await correct(world, FEB + 2 * DAY) == {}
    assert await correct(world, FEB + 3 * DAY) == {}
    await used(world, (JAN + DAY, "10", "eu"), accepted=FEB + 3 * DAY)
    assert await correct(world, FEB + 4 * DAY) == {"corrected": 2}
    assert [c.amount for c in await booked(world)] == [D(1), D("0.01"), D(1), D("0.01")]


async def test_looks_at_the_same_time_book_every_difference_once(world):
    await january(world)
    await used(world, (JAN + DAY, "10", "eu"), accepted=FEB + DAY)
    scope, clickhouse = world.scope, world.services.clickhouse
    looks = [actions.Look(FEB + n * DAY, FEB + n * DAY, SYSTEM) for n in (2, 2, 3, 4)]
    done = await asyncio.gather(*(actions.correct(scope, clickhouse, look) for look in looks))
    assert sum(done) == 2
    assert [c.amount for c in await booked(world)] == [D(1), D("0.01")]


async def test_what_is_given_back_waits_where_an_invoice_has_no_room_for_it(world):
    """February asks for 20; of 52 that January asked too much, the rest is on March's."""
    (first, second), _ = await january(world)
    await world.void(first, FEB + DAY)
    await world.void(second, FEB + DAY)
    await correct(world, FEB + 2 * DAY)
    found = await booked(world)
    assert [c.amount for c in found] == [D(-55), D("-0.12")]
    for at, part in ((MAR, D(-20)), (APR, D(-20))):
        invoice = await billed(world, at)
        assert sum(line.amount for line in await adjustments(world, invoice)) == part
        assert invoice.totals.total == 0
        for line in await adjustments(world, invoice):
            assert evaluate(line.explanation) == line.amount
    (subscription_id,) = await correction_reads.waiting_subscriptions(world.scope)
    left = await correction_reads.pending(world.scope, [subscription_id])
    assert sum(c.remaining for c in left) == D("-15.12")


async def test_a_period_of_nothing_is_corrected_though_its_invoice_was_skipped(world):
    """It was the last, so what is asked for after all is an invoice of its own."""
    await world.subscribe("acme", ends_at=FEB)
    await bill(world, JAN)
    await bill(world, FEB)
    assert (await invoices(world))[-1].status is InvoiceStatus.SKIPPED
    await used(world, (JAN + DAY, "5", "us"), accepted=FEB + DAY)
    await correct(world, FEB + 2 * DAY)
    assert [(c.group, c.amount) for c in await booked(world)] == [
        ({}, D("2.5")), ({"region": "us"}, D("0.01")),
    ]  # fmt: skip
    assert (await invoices(world))[-1].totals.total == D("2.51")


async def test_drafts_computed_again_and_previews_have_what_is_pending(world):
    await january(world)
    await used(world, (JAN + DAY, "10", "eu"), accepted=FEB + DAY)
    await correct(world, FEB + 2 * DAY)
    subscription = (await booked(world))[0].subscription_id
    preview = await actions.preview(
        world.scope, subscription, world.services.clickhouse, moment=Moment(FEB + 3 * DAY, None)
    )
    assert [line.amount for line in preview.lines if line.kind is LineKind.ADJUSTMENT] == [
        D(1), D("0.01"),
    ]  # fmt: skip
    await draft_due(world, MAR)
    draft = (await invoices(world))[-1]
    await used(world, (JAN + DAY, "10", "eu"), accepted=MAR + HOUR)
    await correct(world, MAR + 2 * HOUR)
    assert len(await adjustments(world, draft)) == 2
    moment = Moment(MAR + 3 * HOUR, MAR + 3 * HOUR)
    clickhouse = world.services.clickhouse
    again = await actions.compute(world.scope, draft.id, clickhouse, by=SYSTEM, moment=moment)
    assert [line.amount for line in await adjustments(world, again)] == [
        D(1), D("0.01"), D(1), D("0.01"),
    ]  # fmt: skip
    await finalize(world, MAR + 3 * HOUR)
    issued = (await invoices(world))[-1]
    assert issued.totals.total == D("22.02")
    await actions.void(world.scope, issued.id, reason="no", by=SYSTEM, at=MAR + DAY)
    assert len(await correction_reads.pending(world.scope, [subscription])) == 4


async def test_a_draft_that_waits_is_computed_from_what_came_late_and_not_corrected(world):
    patient = world.patient(finalization_delay_seconds=86_400)
    await world.subscribe("acme")
    await used(world, (JAN, "100", "eu"))
    await bill(patient, FEB)
    await used(world, (JAN + DAY, "20", "eu"), accepted=FEB + HOUR)
    await correct(world, FEB + 2 * HOUR)
    world.clock.at = FEB + 25 * HOUR
    await billing.finalize_page(patient.services, world.page())
    assert await correct(world, FEB + 26 * HOUR) == {}
    cycle = (await invoices(world))[-1]
    assert (cycle.status, cycle.totals.subtotal) == (InvoiceStatus.FINALIZED, D("75.12"))


async def test_what_came_before_a_draft_was_issued_is_not_forgotten(world):
    """Drafted as of February 1st, issued by hand on the 3rd; looked at in between."""
    await world.subscribe("acme")
    await used(world, (JAN, "100", "eu"))
    await draft_due(world, FEB)
    await used(world, (JAN + DAY, "20", "eu"), accepted=FEB + DAY)
    assert await correct(world, FEB + 2 * DAY) == {}
    await finalize(world, FEB + 3 * DAY)
    assert await correct(world, FEB + 4 * DAY) == {"corrected": 2}
    assert [c.amount for c in await booked(world)] == [D(5), D("0.02")]


async def test_by_notes_what_is_given_back_is_credited_on_its_line(world):
    await policy(world, "credit_or_debit_note")
    (first, _), cycle = await january(world)
    await world.amend(first, FEB + DAY, "90", "eu")
    await correct(world, FEB + 2 * DAY)
    notes = (await credit_reads.of_invoices(world.scope, [cycle.id]))[cycle.id]
    assert sorted(note.total for note in notes) == [D("0.01"), D(1)]
    now = await reads.get(world.scope, cycle.id)
    assert now.amount_remaining == cycle.totals.total - D("1.01")
    assert await correction_reads.waiting_subscriptions(world.scope) == []
    assert len(await invoices(world)) == 2


async def test_by_notes_what_is_asked_for_more_is_an_invoice_and_can_be_given_back(world):
    await policy(world, "credit_or_debit_note")
    (first, second), _ = await january(world)
    (late,) = await used(world, (JAN + DAY, "10", "eu"), accepted=FEB + DAY)
    await correct(world, FEB + 2 * DAY)
    debit = (await invoices(world))[-1]
    assert (debit.reason, debit.status) == (BillingReason.CORRECTION, InvoiceStatus.DRAFT)
    assert debit.totals.total == D("1.01")
    moment = Moment(FEB + 3 * DAY, FEB + 3 * DAY)
    same = await actions.compute(
        world.scope, debit.id, world.services.clickhouse, by=SYSTEM, moment=moment
    )
    assert same.totals == debit.totals
    world.clock.at = FEB + 3 * DAY
    await billing.finalize_page(world.services, world.page())
    issued = await reads.get(world.scope, debit.id)
    assert issued.status is InvoiceStatus.FINALIZED
    for event_id in (first, second, late):
        await world.void(event_id, FEB + 4 * DAY)
    await correct(world, FEB + 5 * DAY)
    rows = await fetch(world.scope, "SELECT invoice_id, total FROM credit_notes ORDER BY id")
    assert sum(row["total"] for row in rows) == D("56.13")
    assert {row["invoice_id"] for row in rows} >= {debit.id}
    assert await correction_reads.waiting_subscriptions(world.scope) == []


async def test_in_review_nothing_is_billed_until_somebody_accepts(world):
    await policy(world, "review")
    await january(world)
    await used(world, (JAN + DAY, "10", "eu"), accepted=FEB + DAY)
    await correct(world, FEB + 2 * DAY)
    requests, traffic = await booked(world)
    assert {requests.status, traffic.status} == {CorrectionStatus.REVIEW}
    march = await billed(world, MAR)
    assert await adjustments(world, march) == []
    how = {"by": SYSTEM, "at": MAR}
    accept, dismiss = actions.accept_correction, actions.dismiss_correction
    with pytest.raises(Invalid):
        await accept(world.scope, requests.id, CorrectionPolicy.REVIEW, **how)
    taken = await accept(world.scope, requests.id, CorrectionPolicy.NEXT_INVOICE, **how)
    left = await dismiss(world.scope, traffic.id, reason="a trifle", **how)
    assert (taken.status, left.status) == (CorrectionStatus.OPEN, CorrectionStatus.DISMISSED)
    assert (left.reason, left.decided_at) == ("a trifle", MAR)
    with pytest.raises(CorrectionDecided):
        await dismiss(world.scope, requests.id, reason="again", **how)
    april = await billed(world, APR)
    assert [line.amount for line in await adjustments(world, april)] == [D(1)]
    # What was dismissed is not booked again when more comes.
    await used(world, (JAN + DAY, "1000", "eu"), accepted=APR + HOUR)
    await correct(world, APR + 2 * HOUR)
    assert [c.amount for c in (await booked(world))[2:]] == [D(100), D(1)]


async def test_accepted_by_a_note_it_is_billed_at_once(world):
    await policy(world, "review")
    await january(world)
    await used(world, (JAN + DAY, "10", "eu"), accepted=FEB + DAY)
    await correct(world, FEB + 2 * DAY)
    requests, _ = await booked(world)
    note = CorrectionPolicy.CREDIT_OR_DEBIT_NOTE
    await actions.accept_correction(world.scope, requests.id, note, by=SYSTEM, at=FEB + 2 * DAY)
    debit = (await invoices(world))[-1]
    assert (debit.reason, debit.totals.total) == (BillingReason.CORRECTION, 1)


async def test_after_a_subscriptions_end_its_corrections_are_billed_by_notes(world):
    bought = await world.subscribe("acme")
    await billed(world, JAN)
    await used(world, (JAN, "100", "eu"))
    world.clock.at = JAN + 5 * DAY
    await verbs.cancel(
        world.scope, bought.id, CancelSubscription(mode=CancelMode.NOW), by=SYSTEM, at=JAN + 5 * DAY
    )
    await billed(world, JAN + 5 * DAY)
    await used(world, (JAN + DAY, "10", "eu"), accepted=FEB)
    await correct(world, FEB + DAY)
    last = (await invoices(world))[-1]
    assert (last.reason, last.totals.total) == (BillingReason.CORRECTION, D("4.01"))


async def test_what_a_threshold_billed_is_corrected_with_its_period(world):
    terms = PaymentTerms(auto_invoice_threshold=D(40))
    await world.subscribe("acme", terms=terms)
    await billed(world, JAN)
    await used(world, (JAN, "90", "eu"))
    world.clock.at = JAN + 9 * DAY
    await billing.threshold_page(world.services, world.page())
    await finalize(world, JAN + 9 * DAY)
    await used(world, (JAN + DAY, "5", "eu"), accepted=JAN + 10 * DAY)
    assert await correct(world, JAN + 11 * DAY) == {}
    cycle = await billed(world, FEB)
    assert cycle.totals.subtotal == D("22.51")  # 20, and 2.5 and 0.01 of what came late
    await used(world, (JAN + DAY, "10", "eu"), accepted=FEB + HOUR)
    await correct(world, FEB + DAY)
    assert [c.amount for c in await booked(world)] == [
        D(6),
        D("0.01"),
    ]


async def test_an_invoice_whose_corrections_are_billed_elsewhere_is_not_voided(world):
    _, cycle = await january(world)
    await used(world, (JAN + DAY, "10", "eu"), accepted=FEB + DAY)
    await correct(world, FEB + 2 * DAY)
    march = await billed(world, MAR)
    how = {"reason": "no", "by": SYSTEM, "at": MAR}
    with pytest.raises(InvoiceCorrected):
        await actions.void(world.scope, cycle.id, **how)
    await actions.void(world.scope, march.id, **how)
    await actions.void(world.scope, cycle.id, **how)
    assert await correction_reads.waiting_subscriptions(world.scope) == []


async def test_strangers_and_their_events_are_left_alone(world):
    await january(world)
    await world.use("nobody", [(JAN, "10", "eu")], accepted=FEB + DAY)
    await world.subscribe("globex")
    await used(world, (FEB + DAY, "10", "eu"), accepted=FEB + DAY)
    assert await correct(world, FEB + 2 * DAY) == {}
    assert await booked(world) == []
