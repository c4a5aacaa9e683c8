"""One invoice for what falls due together: folded, issued, corrected and taken back as a whole."""

import asyncio
import csv
import io
from datetime import timedelta
from decimal import Decimal

import orjson
import pytest

from app.catalog.coupon import CouponDuration
from app.customers import actions as customers
from app.customers.customer import ElectronicAddress
from app.infra.postgres import fetch
from app.invoicing import actions, billing, reads
from app.invoicing.actions import FileKind, NoteFileKind
from app.invoicing.applied import reads as applied_reads
from app.invoicing.consolidating import folded, together
from app.invoicing.credit_note import Crediting, CreditNoteReason, Part
from app.invoicing.drafts import Drafted, Moment
from app.invoicing.errors import InvoiceAlreadyReplaced, InvoiceIsConsolidated, InvoiceNotDraft
from app.invoicing.invoice import BillingReason, InvoiceStatus, LineKind
from app.invoicing.manual import CreateInvoice, Edits, blank
from app.kernel.copies import replace
from app.kernel.period import Period
from app.kernel.scope import SYSTEM
from app.subscriptions.subscription import PaymentTerms
from tests.catalog import make
from tests.invoicing.test_billing import FEB, MAR, bill, everything, invoices, lines
from tests.invoicing.test_corrections import correct
from tests.invoicing.test_crashes import die, finish
from tests.invoicing.test_families import child
from tests.invoicing.test_pdf import words_of
from tests.invoicing.test_reckoning import ask, attach
from tests.invoicing.test_replay import replay
from tests.invoicing.test_ubl import VAT_OF_ACME, told, values
from tests.invoicing.ubl import complaints
from tests.invoicing.world import JAN, pdf_of, set_up

D = Decimal
DAY = timedelta(days=1)


async def run(world, at):
    """What a run bills and issues at `at`."""
    done = await bill(world, at)
    return done + (await billing.finalize_page(world.services, world.page())).tally


async def wholes(world):
    return [i for i in await invoices(world) if i.subscription_ids]


async def family(world, **terms):
    """A parent that wants one invoice, pays for its child, and buys for itself, too."""
    parent = await world.customer("holding")
    await customers.update(
        world.scope, parent.id, {"consolidate_invoices": True}, by=SYSTEM, at=JAN
    )
    await child(world, "eu", parent, currency=None, parent_pays=True)
    bought = [await world.subscribe(name, currency="USD", **terms) for name in ("holding", "eu")]
    await world.use("holding", [(JAN, "120", "eu")])
    await world.use("eu", [(JAN, "7", "us")])
    return bought


async def test_what_falls_due_together_is_one_invoice_with_a_section_for_each(world):
    own, childs = await family(world)
    other = await world.subscribe("acme")  # wants nothing of it
    tally = await run(world, FEB)
    opening, cycle = await wholes(world)
    assert (tally["finalized"], tally["failed"]) == (4, 0)
    assert (opening.reason, cycle.reason) == (
        BillingReason.SUBSCRIPTION_CREATE, BillingReason.SUBSCRIPTION_CYCLE,
    )  # fmt: skip
    assert cycle.subscription_ids == (own.id, childs.id)
    assert (cycle.status, cycle.period) == (InvoiceStatus.FINALIZED, Period(JAN, FEB))
    found = await lines(world, cycle)
    assert [line.subscription_id for line in found] == [own.id] * 3 + [childs.id] * 3
    # 20 + 50 + 2 + 3 + 0.12, and 20 + 3.50 + 0.007.
    assert cycle.totals.total == sum(line.amount for line in found) == D("98.63")
    members = (await reads.consolidated_into(world.scope, [cycle.id]))[cycle.id]
    assert [(m.subscription_id, m.status, m.period, m.totals.total) for m in members] == [
        (each.id, InvoiceStatus.CONSOLIDATED, Period(JAN, FEB), 0) for each in (own, childs)
    ]
    apart = [i for i in await invoices(world) if i.subscription_id == other.id]
    assert {i.status for i in apart} == {InvoiceStatus.FINALIZED}
    text = words_of(await pdf_of(world, cycle.id))
    for part in ("Holding: Pro $75.12", "Eu: Pro $23.51"):
        assert part in text, part
    download = await actions.download(world.scope, cycle.id, FileKind.CSV, world.services.storage)
    rows = list(csv.DictReader(io.StringIO(download.body.decode())))
    assert [(r["subscription_id"], r["subscriber"], r["section"]) for r in rows] == [
        (own.id, "holding", "Holding: Pro")] * 3 + [(childs.id, "eu", "Eu: Pro")] * 3  # fmt: skip
    download = await actions.download(world.scope, cycle.id, FileKind.JSON, world.services.storage)
    in_json = orjson.loads(download.body)["lines"]
    assert [(r["heading"], r["subscriber"]["name"]) for r in in_json] == [
        ("Holding: Pro", "Holding")] * 3 + [("Eu: Pro", "Eu")] * 3  # fmt: skip
    assert (await replay(world, cycle)).identical
    told = await fetch(
        world.scope, "SELECT entity_id FROM outbox WHERE name = 'invoice.consolidated'"
    )
    assert len(told) == len({row["entity_id"] for row in told}) == 4
    # A second run has nothing to do.
    before = await everything(world)
    await run(world, FEB)
    assert await everything(world) == before


async def test_late_usage_of_each_is_corrected_on_the_next_one(world):
    own, childs = await family(world)
    await run(world, FEB)
    await world.use("eu", [(JAN + DAY, "10", "us")], accepted=FEB + DAY)
    assert (await correct(world, FEB + 2 * DAY))["corrected"] == 2
    await run(world, MAR)
    *_, last = await wholes(world)
    adjusted = [x for x in await lines(world, last) if x.kind is LineKind.ADJUSTMENT]
    assert {line.subscription_id for line in adjusted} == {childs.id}
    assert sum(line.amount for line in adjusted) == D("5.01")
    assert (await replay(world, last)).identical
    (part, *_) = adjusted
    note = await actions.issue_credit_note(
        world.scope,
        Crediting(
            invoice_id=last.id, reason=CreditNoteReason.BILLING_ERROR,
            parts=(Part(part.id, part.amount),),
        ),
        by=SYSTEM,
        at=MAR,
    )  # fmt: skip
    assert (note.subscription_id, note.total) == (childs.id, part.amount)
    download = await actions.download_note(
        world.scope, note.id, NoteFileKind.PDF, world.services.storage
    )
    for words in ("Subscription of Eu", "Eu: Pro $5.00"):
        assert words in words_of(download.body)
    assert own.id in last.subscription_ids


async def test_coupons_and_taxes_are_of_the_whole_or_of_one_subscription(world):
    own, childs = await family(world)
    percent = await make.coupon(world.scope, world.clock, duration=CouponDuration.FOREVER)
    vat = await make.tax_rate(world.scope, world.clock)
    await ask(world, vat)
    broad = await attach(world, percent, customer_id=own.customer_id)
    narrow = await attach(world, percent, subscription_id=childs.id)
    await run(world, FEB)
    opening, cycle = await wholes(world)
    # Of one coupon the narrowest attachment counts, for each subscription's lines: 10 % each.
    taken = (await applied_reads.discounts_of_invoices(world.scope, [cycle.id]))[cycle.id]
    assert {(each.attachment_id, each.subscription_id, each.amount) for each in taken} == {
        (broad.id, None, D("7.51")), (narrow.id, childs.id, D("2.35")),
    }  # fmt: skip
    found = await lines(world, cycle)
    for name in ("discount", "tax", "tax_included"):
        assert sum(getattr(x, name) for x in found) == getattr(cycle.totals, name)
    assert cycle.totals.tax > 0
    assert opening.totals.discount == D(4)
    # A tax of one of them alone: it stands apart, and so the other one is alone, too.
    await ask(world, vat, subscription_id=own.id)
    await run(world, MAR)
    assert len(await wholes(world)) == 2


async def test_taken_back_and_drafted_again_it_holds_its_periods_once(world):
    own, _ = await family(world)
    await run(world, FEB)
    _, cycle = await wholes(world)
    member, _ = (await reads.consolidated_into(world.scope, [cycle.id]))[cycle.id]
    before = await everything(world)
    for refused in (
        actions.void(world.scope, member.id, reason="no", by=SYSTEM, at=FEB),
        actions.reissue(
            world.scope, member.id, world.services.clickhouse, reason="no", by=SYSTEM, at=FEB
        ),
    ):
        with pytest.raises(InvoiceIsConsolidated):
            await refused
    with pytest.raises(InvoiceNotDraft):
        await actions.finalize(world.scope, member.id, by=SYSTEM, at=FEB)
    assert await everything(world) == before

    again = await actions.reissue(
        world.scope, cycle.id, world.services.clickhouse, reason="again", by=SYSTEM, at=FEB + DAY
    )
    assert (again.status, again.totals, again.subscription_ids) == (
        InvoiceStatus.DRAFT, cycle.totals, cycle.subscription_ids,
    )  # fmt: skip
    old = (await reads.consolidated_into(world.scope, [cycle.id]))[cycle.id]
    new = (await reads.consolidated_into(world.scope, [again.id]))[again.id]
    assert {each.status for each in old} == {InvoiceStatus.VOID}
    assert {each.status for each in new} == {InvoiceStatus.CONSOLIDATED}
    assert [each.replaced_by_id for each in old] == [each.id for each in new]
    with pytest.raises(InvoiceAlreadyReplaced):
        await actions.reissue(
            world.scope, cycle.id, world.services.clickhouse, reason="no", by=SYSTEM, at=FEB
        )
    # Still a draft, it is computed from the usage of the moment, of each.
    await world.use("holding", [(JAN, "10", "us")])
    computed = await actions.compute(
        world.scope, again.id, world.services.clickhouse, by=SYSTEM, moment=Moment(FEB + DAY, None)
    )
    assert computed.totals.total > cycle.totals.total
    issued = await actions.finalize(world.scope, again.id, by=SYSTEM, at=FEB + DAY)
    assert (issued.status, len(await lines(world, issued))) == (InvoiceStatus.FINALIZED, 7)
    await actions.void(world.scope, issued.id, reason="wrong", by=SYSTEM, at=FEB + DAY)
    # Once it is void, its periods are free, and one of them is billed apart.
    alone = await actions.reissue(
        world.scope, new[0].id, world.services.clickhouse, reason="apart", by=SYSTEM, at=FEB + DAY
    )
    assert (alone.subscription_id, alone.subscription_ids) == (own.id, ())


@pytest.mark.parametrize("point", ["invoicing.finalized", "invoicing.finalized_committed"])
async def test_a_run_that_died_is_finished_by_two_at_once_as_one_invoice(world, settings, point):
    await family(world)
    assert await die(settings, world, FEB, point) == (137, f"crash point {point}")
    world.clock.at = FEB
    page = replace(world.page(), limit=1)
    pages = (billing.finalize_page(world.services, page) for _ in range(2))
    await asyncio.gather(*pages)
    await finish(world, FEB)
    found = await invoices(world)
    assert [len(i.subscription_ids) for i in found if i.status is InvoiceStatus.FINALIZED] == [2, 2]
    held = [i for i in found if i.status is InvoiceStatus.CONSOLIDATED]
    assert len({(i.subscription_id, i.period, i.reason) for i in held}) == len(held) == 4
    for invoice in await wholes(world):
        found = await lines(world, invoice)
        assert sum(line.amount for line in found) == invoice.totals.subtotal
        assert await world.services.storage.exists(invoice.pdf_key)
    before = await everything(world)
    await finish(world, FEB)
    assert await everything(world) == before


async def test_what_is_due_on_other_pages_and_terms(world):
    """A page takes one draft; its siblings come along, but for those with terms of their own."""
    await set_up(world, consolidate=True)
    for _ in range(3):
        await world.subscribe("acme")
    await world.subscribe("acme", terms=PaymentTerms(net_days=7))
    edited = await world.subscribe("acme")
    await bill(world, JAN)
    (draft,) = [i for i in await invoices(world) if i.subscription_id == edited.id]
    await actions.edit(world.scope, draft.id, Edits({"memo": "Thanks"}), by=SYSTEM, at=JAN)
    page = replace(world.page(), limit=1)
    done = await billing.finalize_page(world.services, page)
    assert done.tally["finalized"] == 3
    (whole,) = await wholes(world)
    assert len(whole.subscription_ids) == 3
    issued = [i for i in await invoices(world) if i.number and i != whole]
    assert {(i.net_days, i.memo) for i in issued} == {(7, None), (None, "Thanks")}


async def test_drafts_that_waited_are_computed_as_of_one_watermark_and_then_one(world):
    await set_up(world, consolidate=True, finalization_delay_seconds=3600)
    await told(world)
    acme = await world.customer("acme")
    await customers.update(
        world.scope, acme.id,
        {"tax_id": VAT_OF_ACME, "electronic_address": ElectronicAddress("0088", "4012345000009")},
        by=SYSTEM, at=JAN,
    )  # fmt: skip
    await ask(world, await make.tax_rate(world.scope, world.clock))
    await child(world, "eu", acme, currency=None, parent_pays=True)
    first, second = [await world.subscribe(name) for name in ("acme", "eu")]
    await bill(world, JAN)
    assert await wholes(world) == []
    later = JAN + timedelta(hours=2)
    # Drafted an hour later, as of another watermark.
    third = await world.subscribe("acme")
    await bill(world, JAN + timedelta(hours=1))
    world.clock.at = later
    done = await billing.finalize_page(world.services, world.page())
    assert done.tally["finalized"] == 1
    (whole,) = await wholes(world)
    assert whole.subscription_ids == (first.id, second.id, third.id)
    assert (whole.usage_watermark, whole.totals.subtotal) == (later, D(60))
    found = await actions.download(world.scope, whole.id, FileKind.UBL, world.services.storage)
    assert complaints(found.body) == []
    assert values(found.body, "//cac:InvoiceLine/cbc:Note") == [
        "Acme: Pro (1)", "Eu: Pro", "Acme: Pro (2)",
    ]  # fmt: skip
    assert values(found.body, "//cac:AdditionalItemProperty/cbc:*") == ["Subscription of", "Eu"]
    assert values(found.body, "//cac:InvoiceLine/cac:DocumentReference/cbc:ID") == [
        first.id, second.id, third.id,
    ]  # fmt: skip


def drafted(subscription_id, **fields):
    command = CreateInvoice(customer_id="cus_1", lines=())
    return replace(
        blank(command, currency="USD", timezone="UTC", at=JAN), subscription_id=subscription_id,
        reason=BillingReason.SUBSCRIPTION_CYCLE, period=Period(JAN, FEB), finalize_at=FEB, **fields,
    )  # fmt: skip


ZONES = {"cus_1": "America/New_York"}


@pytest.mark.parametrize(
    "fields",
    [
        {"currency": "EUR"}, {"net_days": 7}, {"purchase_order": "PO"}, {"customer_id": "cus_2"},
        {"timezone": "Europe/Berlin"}, {"usage_watermark": FEB}, {"edited": True}, {"memo": "Hi"},
        {"metadata": {"a": "b"}}, {"due_at": MAR}, {"source_id": "chg_1"}, {"replaces_id": "inv_1"},
        {"reason": BillingReason.THRESHOLD}, {"status": InvoiceStatus.FINALIZED},
        # In New York it is the evening of 31 January, and the night of 1 February.
        {"period": Period(JAN, FEB + timedelta(hours=5))},
    ],
)  # fmt: skip
def test_only_what_nobody_touched_and_asks_alike_is_one(fields):
    first, second = drafted("sub_1"), drafted("sub_2")
    other = replace(drafted("sub_3"), **fields)
    assert together([second, other, first], ZONES) == [[first, second]]
    assert together([first, other], ZONES) == []
    assert together([first, second], {}) == []
    assert together([first, second, drafted("sub_3")], ZONES, apart={"sub_3"}) == [[first, second]]


def test_a_whole_is_judged_by_the_end_of_the_period_that_any_of_them_ends():
    ended = drafted("sub_1")
    begun = replace(
        drafted("sub_2"), reason=BillingReason.SUBSCRIPTION_CREATE, period=Period(FEB, MAR)
    )
    assert together([begun, ended], {"cus_1": "UTC"}) == [[ended, begun]]
    whole = folded([Drafted(begun, ()), Drafted(ended, ())], at=FEB).invoice
    assert (whole.reason, whole.period, whole.tax_point) == (ended.reason, ended.period, FEB)
    assert (whole.subscription_id, whole.subscription_ids) == (None, ("sub_2", "sub_1"))
    assert whole.totals.is_nothing
    # Of two that begin, by the last: the coupons that came with it count.
    evening = replace(begun, id="inv_2", period=Period(FEB + DAY / 2, MAR))
    whole = folded([Drafted(evening, ()), Drafted(begun, ())], at=FEB).invoice
    assert (whole.tax_point, whole.period) == (FEB + DAY / 2, evening.period)
