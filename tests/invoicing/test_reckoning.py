"""Coupons, taxes and prepaid credits on invoices, on real PostgreSQL."""

import asyncio
from contextlib import asynccontextmanager
from decimal import Decimal

import asyncpg
import pytest

from app.catalog.coupon import CouponDuration, Limits
from app.catalog.errors import CouponNotRedeemable
from app.catalog.reads import coupons as coupon_rows
from app.infra.listing import PageRequest
from app.infra.postgres import writing
from app.invoicing import actions, explanation, reads
from app.invoicing.actions import attaching, tax_associations, tax_exemptions
from app.invoicing.amounts import Balance
from app.invoicing.applied import reads as applied_reads
from app.invoicing.drafts import Moment
from app.invoicing.invoice import InvoiceStatus
from app.invoicing.manual import CreateInvoice, ManualLine
from app.invoicing.terms import coupon_reads
from app.invoicing.terms.attachment import AttachCoupon
from app.invoicing.terms.balances import paid_from
from app.invoicing.terms.errors import CouponAlreadyAttached, CouponIsDetached
from app.invoicing.terms.taxation import CreateTaxAssociation, CreateTaxExemption, TaxTreatment
from app.kernel.errors import NotFound
from app.kernel.ids import new_id
from app.kernel.scope import SYSTEM, Scope
from app.subscriptions import reads as due_subscriptions
from tests.catalog import make
from tests.invoicing.test_billing import APR, FEB, MAR, draft_due, invoices
from tests.invoicing.world import JAN
from tests.statements import statements

TWENTY, ZERO = Decimal(20), Decimal(0)


async def attach(world, coupon, **owner):
    command = AttachCoupon(coupon_id=coupon.id, **owner)
    return await attaching.attach(world.scope, command, by=SYSTEM, at=world.clock.now())


async def ask(world, rate, **owner):
    command = CreateTaxAssociation(tax_rate_id=rate.id, **owner)
    return await tax_associations.create(world.scope, command, by=SYSTEM, at=world.clock.now())


async def spare(world, customer_id, **fields):
    defaults = {"kind": TaxTreatment.EXEMPT, "reason": "School"}
    command = CreateTaxExemption(customer_id=customer_id, **defaults | fields)
    return await tax_exemptions.create(world.scope, command, by=SYSTEM, at=world.clock.now())


async def test_a_coupon_once_is_taken_off_one_invoice_and_voiding_that_frees_it(world):
    bought = await world.subscribe("acme")
    once = await make.coupon(world.scope, world.clock)
    attachment = await attach(world, once, subscription_id=bought.id)
    await draft_due(world, FEB)
    first, second = await invoices(world)
    assert (first.totals.discount, first.totals.total) == (Decimal(2), Decimal(18))
    assert second.totals.discount == ZERO
    (taken,) = (await applied_reads.discounts_of_invoices(world.scope, [first.id]))[first.id]
    assert (taken.amount, taken.base, taken.description) == (Decimal(2), TWENTY, "Welcome")
    assert sum(taken.shares.values()) == taken.amount
    (line,) = (await reads.lines_of_invoices(world.scope, [first.id]))[first.id]
    assert (line.discount, line.total) == (Decimal(2), Decimal(18))
    assert explanation.evaluate(line.explanation) == line.amount
    await actions.void(world.scope, first.id, reason="wrong", by=SYSTEM, at=FEB)
    assert await coupon_reads.times_used(world.scope, [attachment.id]) == {}
    services = world.services.clickhouse
    again = await actions.compute(
        world.scope, second.id, services, by=SYSTEM, moment=Moment(FEB, None)
    )
    assert again.totals.discount == Decimal(2)


async def test_a_preview_is_what_the_invoice_becomes_and_uses_nothing_up(world):
    bought = await world.subscribe("acme")
    once = await make.coupon(world.scope, world.clock)
    await attach(world, once, subscription_id=bought.id)
    await ask(world, await make.tax_rate(world.scope, world.clock))
    shown = await actions.preview(
        world.scope, bought.id, world.services.clickhouse, moment=Moment(JAN, None)
    )
    again = await actions.preview(
        world.scope, bought.id, world.services.clickhouse, moment=Moment(JAN, None)
    )
    await draft_due(world, JAN)
    (made,) = await invoices(world)
    assert made.totals == shown.invoice.totals == again.invoice.totals
    assert (made.totals.tax, made.totals.amount_due) == (Decimal("3.42"), Decimal("21.42"))


async def test_a_repeated_coupon_is_taken_off_as_many_invoices_as_it_has_periods(world):
    bought = await world.subscribe("acme")
    thrice = await make.coupon(
        world.scope, world.clock, duration=CouponDuration.REPEATED, periods=2
    )
    await attach(world, thrice, customer_id=bought.customer_id)
    await draft_due(world, APR)
    found = [invoice.totals.discount for invoice in await invoices(world)]
    assert found == [Decimal(2), Decimal(2), ZERO, ZERO]


async def test_the_most_specific_association_wins_and_one_of_a_draft_is_asked_at_once(world):
    bought = await world.subscribe("acme")
    scope, clock = world.scope, world.clock
    low, high = (
        await make.tax_rate(scope, clock, percent=Decimal(5)),
        await make.tax_rate(scope, clock, percent=Decimal(10)),
    )
    await ask(world, low)
    await ask(world, high, customer_id=bought.customer_id)
    await draft_due(world, JAN)
    (draft,) = await invoices(world)
    assert draft.totals.tax == Decimal(2)
    association = await ask(world, low, invoice_id=draft.id)
    now = await reads.get(scope, draft.id)
    assert (now.totals.tax, now.totals.total) == (Decimal(1), Decimal(21))
    await tax_associations.archive(scope, association.id, by=SYSTEM, at=JAN)
    assert (await reads.get(scope, draft.id)).totals.tax == Decimal(2)


async def test_a_customer_who_is_spared_is_told_why(world):
    bought = await world.subscribe("acme")
    vat = await make.tax_rate(world.scope, world.clock)
    await ask(world, vat)
    await spare(world, bought.customer_id, kind=TaxTreatment.REVERSE_CHARGE)
    await draft_due(world, JAN)
    (draft,) = await invoices(world)
    assert draft.totals.tax == ZERO
    assert draft.tax_notes == ("Reverse charge: the recipient accounts for the tax.",)
    (tax,) = (await applied_reads.taxes_of_invoices(world.scope, [draft.id]))[draft.id]
    assert (tax.treatment, tax.taxable, tax.amount) == (
        TaxTreatment.REVERSE_CHARGE, TWENTY, ZERO,
    )  # fmt: skip


async def test_finalizing_goes_by_what_is_in_force_then_and_issued_rows_stay(world):
    bought = await world.subscribe("acme")
    await draft_due(world, JAN)
    (draft,) = await invoices(world)
    await ask(world, await make.tax_rate(world.scope, world.clock))
    half = await make.coupon(world.scope, world.clock, percent_off=Decimal(50))
    await attach(world, half, subscription_id=bought.id, starts_at=JAN)
    issued = await actions.finalize(world.scope, draft.id, by=SYSTEM, at=JAN)
    assert issued.status is InvoiceStatus.FINALIZED
    assert (issued.totals.discount, issued.totals.tax) == (Decimal(10), Decimal("1.90"))
    assert issued.amount_remaining == Decimal("11.90")
    for table in ("invoice_discounts", "invoice_taxes"):
        with pytest.raises(asyncpg.RestrictViolationError):
            async with writing(world.scope) as connection:
                await connection.execute(f"DELETE FROM {table}")  # noqa: S608


async def test_a_tax_that_came_to_nothing_goes_too_when_it_is_asked_no_more(world):
    customer = await world.customer("acme")
    vat = await make.tax_rate(world.scope, world.clock)
    association = await ask(world, vat, customer_id=customer.id)
    cent = ManualLine(description="Stamp", unit_amount=Decimal("0.01"))
    command = CreateInvoice(customer_id=customer.id, lines=(cent,))
    draft = await actions.create(world.scope, command, finalized=False, by=SYSTEM, at=JAN)
    kept = await applied_reads.taxes_of_invoices(world.scope, [draft.id])
    assert [tax.amount for tax in kept[draft.id]] == [ZERO]
    await tax_associations.archive(world.scope, association.id, by=SYSTEM, at=JAN)
    await actions.finalize(world.scope, draft.id, by=SYSTEM, at=JAN)
    assert await applied_reads.taxes_of_invoices(world.scope, [draft.id]) == {}


async def test_what_takes_an_invoices_place_is_asked_for_its_taxes_too(world):
    customer = await world.customer("acme")
    fee = ManualLine(description="Fee", unit_amount=Decimal(10))
    command = CreateInvoice(customer_id=customer.id, lines=(fee,))
    draft = await actions.create(world.scope, command, finalized=False, by=SYSTEM, at=JAN)
    await ask(world, await make.tax_rate(world.scope, world.clock), invoice_id=draft.id)
    issued = await actions.finalize(world.scope, draft.id, by=SYSTEM, at=JAN)
    again = await actions.reissue(
        world.scope, issued.id, world.services.clickhouse, reason="wrong", by=SYSTEM, at=JAN
    )
    assert (again.replaces_id, again.totals.tax) == (issued.id, Decimal("1.90"))


async def test_all_of_it_off_is_an_invoice_of_nothing_and_not_none(world):
    bought = await world.subscribe("acme")
    free = await make.coupon(world.scope, world.clock, percent_off=Decimal(100))
    await attach(world, free, subscription_id=bought.id)
    await draft_due(world, JAN)
    (draft,) = await invoices(world)
    issued = await actions.finalize(world.scope, draft.id, by=SYSTEM, at=JAN)
    assert (issued.status, issued.totals.amount_due) == (InvoiceStatus.FINALIZED, ZERO)


async def test_a_limited_coupon_takes_off_its_lines_alone(world):
    bought = await world.subscribe("acme")
    lines = (await due_subscriptions.line_items(world.scope, [bought.id]))[bought.id]
    found = (await due_subscriptions.billable(world.scope, [bought.id]))[0].lines
    usage = next(price for _, price in found if price.display_name == "Requests")
    limits = Limits(price_ids=(usage.id,))
    half = await make.coupon(world.scope, world.clock, percent_off=Decimal(50), limits=limits)
    await attach(world, half, subscription_id=bought.id)
    await world.use("acme", [(JAN, "100", "eu")])
    await draft_due(world, FEB)
    _, cycle = await invoices(world)
    by_kind = {
        line.description: line.discount
        for line in (await reads.lines_of_invoices(world.scope, [cycle.id]))[cycle.id]
    }
    assert by_kind == {"Platform fee": ZERO, "Requests": Decimal(25), "Traffic": ZERO}
    fee = next(item for item, price in found if price.display_name == "Platform fee")
    async with nothing_changed(world):
        with pytest.raises(CouponNotRedeemable) as caught:
            await attach(world, half, line_item_id=fee.id)
    assert (caught.value.code, len(lines)) == ("COUPON_NOT_APPLICABLE", 3)


@asynccontextmanager
async def nothing_changed(world):
    before = (await coupon_rows.page(world.scope, _all())).rows
    attached = (await coupon_reads.page(world.scope, _all())).rows
    yield
    assert (await coupon_rows.page(world.scope, _all())).rows == before
    assert (await coupon_reads.page(world.scope, _all())).rows == attached


def _all():
    return PageRequest()


async def test_the_last_redemption_is_one_customers_and_detaching_unused_gives_it_back(world):
    rare = await make.coupon(world.scope, world.clock, max_redemptions=1)
    ids = [(await world.customer(name)).id for name in ("acme", "beta", "gamma")]
    outcomes = await asyncio.gather(
        *(attach(world, rare, customer_id=id_) for id_ in ids), return_exceptions=True
    )
    won = [each for each in outcomes if not isinstance(each, Exception)]
    assert [each.code for each in outcomes if isinstance(each, CouponNotRedeemable)] == [
        "REDEMPTION_LIMIT_REACHED"
    ] * 2
    (attachment,) = won
    async with nothing_changed(world):
        with pytest.raises(CouponNotRedeemable):
            await attach(world, rare, customer_id=attachment.customer_id)
    ended = await attaching.detach(world.scope, attachment.id, by=SYSTEM, at=MAR)
    assert ended.ends_at == ended.starts_at
    assert (await coupon_rows.get(world.scope, rare.id)).redemptions == 0
    with pytest.raises(CouponIsDetached):
        await attaching.detach(world.scope, attachment.id, by=SYSTEM, at=MAR)
    again = await attach(world, rare, customer_id=attachment.customer_id)
    assert again.id != attachment.id


async def test_nobody_has_a_coupon_twice(world):
    many = await make.coupon(world.scope, world.clock)
    customer = await world.customer("acme")
    await attach(world, many, customer_id=customer.id)
    async with nothing_changed(world):
        with pytest.raises(CouponAlreadyAttached):
            await attach(world, many, customer_id=customer.id)
    command = AttachCoupon(coupon_id=many.id, customer_id=customer.id)
    found = await attaching.problems(world.scope, command, at=JAN)
    assert [problem.code for problem in found] == ["COUPON_ALREADY_ATTACHED"]
    stranger = Scope(world.scope.tenant_id, new_id("env"))
    with pytest.raises(NotFound):
        await attaching.attach(stranger, command, by=SYSTEM, at=JAN)


class Wallets:
    """One balance that every customer has, for usage."""

    async def of(self, scope, payers, *, at, lock):
        kinds = frozenset({"usage"})
        return {payer: [Balance(id="wal_1", amount=TWENTY, kinds=kinds)] for payer in payers}


async def test_prepaid_balances_pay_for_usage_and_what_they_pay_is_kept(world):
    await world.subscribe("acme")
    await world.use("acme", [(JAN, "100", "eu")])
    with paid_from(Wallets()):
        await draft_due(world, FEB)
    first, cycle = await invoices(world)
    assert (first.totals.prepaid, cycle.totals.prepaid) == (ZERO, TWENTY)
    (paid,) = (await applied_reads.prepaid_of_invoices(world.scope, [cycle.id]))[cycle.id]
    assert (paid.balance_id, paid.amount) == ("wal_1", TWENTY)


async def test_billing_with_coupons_and_taxes_takes_the_same_statements_however_many(world):
    await ask(world, await make.tax_rate(world.scope, world.clock))
    counted = []
    # The first of a session also asks for the types of columns.
    for names in (["first"], ["acme"], ["beta", "gamma", "delta"]):
        ids = []
        for name in names:
            bought = await world.subscribe(name)
            ten = await make.coupon(world.scope, world.clock)
            await attach(world, ten, subscription_id=bought.id)
            ids.append(bought.id)
        subjects = await due_subscriptions.due_for_billing(world.scope, ids, FEB)

        async def work(subjects=subjects):
            outcome = await actions.bill(
                world.scope, subjects, world.services.clickhouse, by=SYSTEM, most=10,
                moment=Moment(FEB, None),
            )  # fmt: skip
            made = [drafted.invoice.id for drafted in outcome.drafted]
            await actions.finalize_many(world.scope, made, by=SYSTEM, at=FEB)

        counted.append(len(await statements(world.scope, work)))
    assert counted[1] == counted[2]
