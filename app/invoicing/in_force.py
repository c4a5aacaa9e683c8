"""What is in force for invoices at hand, and the invoices reckoned by it: one statement for each
kind of thing, however many invoices there are."""

from collections.abc import Sequence
from datetime import datetime

from app.catalog.reads import coupons, tax_rates
from app.infra.postgres import fetch
from app.invoicing.drafts import Drafted
from app.invoicing.invoice import Invoice
from app.invoicing.reckoning import Asked, Held, InForce, reckon_all
from app.invoicing.terms import coupon_reads, tax_reads
from app.invoicing.terms.attachment import CouponAttachment
from app.invoicing.terms.balances import Payer, prepaid_balances
from app.kernel.scope import Scope
from app.tenants.reads import environments

_ATTACHED = (
    "SELECT * FROM coupon_attachments WHERE tenant_id = $1 AND environment_id = $2 AND "
    "(customer_id = ANY($3) AND subscription_id IS NULL OR subscription_id = ANY($4)) "
    "AND (ends_at IS NULL OR ends_at > $5) ORDER BY id"
)


async def reckoned(
    scope: Scope, drafts: Sequence[Drafted], *, at: datetime, lock: bool
) -> list[Drafted]:
    """The drafts with their discounts, prepaid credits, taxes and credits.

    `lock`: inside the transaction that writes them. What they use up, such as the last use of a
    coupon, is then nobody else's until that ends.
    """
    if not drafts:
        return []
    return reckon_all(drafts, await in_force(scope, [d.invoice for d in drafts], at=at, lock=lock))


async def in_force(
    scope: Scope, invoices: Sequence[Invoice], *, at: datetime, lock: bool
) -> InForce:
    """Everything that may apply to the invoices; see `reckoned` for `lock`."""
    settings = (await environments.settings(scope)).amounts
    held = await _coupons(scope, invoices, lock=lock)
    counted = [attachment.id for attachment, coupon in held if coupon.most_invoices is not None]
    at_hand = [invoice.id for invoice in invoices]
    exemptions = await tax_reads.exemptions_of_customers(
        scope, {invoice.customer_id for invoice in invoices}
    )
    payers = {Payer(invoice.customer_id, invoice.currency) for invoice in invoices}
    return InForce(
        settings=settings,
        coupons=held,
        uses=await coupon_reads.uses(scope, counted, without=at_hand),
        taxes=await _taxes(scope, invoices),
        exemptions=[each for found in exemptions.values() for each in found],
        prepaid=await prepaid_balances().of(scope, payers, at=at, lock=lock),
    )


async def _coupons(scope: Scope, invoices: Sequence[Invoice], *, lock: bool) -> list[Held]:
    attachments = await _attachments(scope, invoices, lock=lock)
    if not attachments:
        return []
    found = await coupons.by_ids(scope, {each.coupon_id for each in attachments})
    return [(each, found[each.coupon_id]) for each in attachments]


async def _attachments(
    scope: Scope, invoices: Sequence[Invoice], *, lock: bool
) -> list[CouponAttachment]:
    rows = await fetch(
        scope,
        _ATTACHED + (" FOR UPDATE" if lock else ""),
        scope.tenant_id,
        scope.environment_id,
        list({invoice.customer_id for invoice in invoices}),
        list({owner for invoice in invoices for owner in invoice.owners}),
        min(invoice.tax_point for invoice in invoices),
    )
    return [coupon_reads.attachment_of(row) for row in rows]


async def _taxes(scope: Scope, invoices: Sequence[Invoice]) -> list[Asked]:
    owners = {scope.environment_id}
    for invoice in invoices:
        owners |= {invoice.id, invoice.customer_id}
        if invoice.subscription_id is not None:
            owners.add(invoice.subscription_id)
    associations = await tax_reads.associations_of(scope, owners)
    if not associations:
        return []
    found = await tax_rates.by_ids(scope, {each.tax_rate_id for each in associations})
    return [(each, found[each.tax_rate_id]) for each in associations]
