"""Corrections billed at once: what is given back by credit notes, and more by an invoice."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

import asyncpg

from app.invoicing import correction_reads, credit_reads, manual
from app.invoicing.actions.crediting import credit
from app.invoicing.actions.saving import add
from app.invoicing.correction import Correction, CorrectionApplied
from app.invoicing.correction_records import applied_values
from app.invoicing.credit_note import NO_AMOUNTS, Crediting, CreditNoteReason, Part
from app.invoicing.drafts import Drafted
from app.invoicing.invoice import BillingReason, Invoice
from app.invoicing.manual import CreateInvoice
from app.invoicing.records import insert
from app.kernel.copies import replace
from app.kernel.ids import new_id
from app.kernel.period import Period
from app.kernel.quantity import EXACT
from app.kernel.scope import Actor, Scope
from app.subscriptions.billable import BillableSubscription
from app.subscriptions.subscription import Subscription


@dataclass(frozen=True, slots=True)
class Look:
    """One look at what was billed: as of which watermark, at which instant, and by whom.

    `size` is how many customers are looked at together.
    """

    watermark: datetime
    at: datetime
    by: Actor
    size: int = 500


async def settle_by_notes(
    scope: Scope,
    connection: asyncpg.Connection,
    subjects: Sequence[BillableSubscription],
    look: Look,
    *,
    presents: Mapping[str, datetime],
) -> None:
    """Bill what is pending of the subscriptions. Call inside `writing(scope)`.

    Each line gives back at most what is left of it; more than that waits for the next invoice.
    `presents` says what time it is for each customer. Raises: NumberTaken.
    """
    for subject in sorted(subjects, key=lambda s: s.subscription.id):
        subscription = subject.subscription
        payer_id = subject.payer_id or subscription.customer_id
        # Who lived with whom when it was billed lives in the same present.
        at = presents.get(payer_id) or presents.get(subscription.customer_id, look.at)
        pending = await correction_reads.pending(scope, [subscription.id], lock=True)
        for one in pending:
            if one.remaining < 0:
                await _give_back(scope, connection, one, by=look.by, at=at)
        more = [one for one in pending if one.remaining > 0]
        if more:
            invoice = replace(
                _asking(subscription, payer_id, more, at), usage_watermark=look.watermark
            )
            await add(connection, scope, [Drafted(invoice, ())], by=look.by, at=at)


async def _give_back(
    scope: Scope, connection: asyncpg.Connection, one: Correction, *, by: Actor, at: datetime
) -> None:
    """By credit notes on the line, and on those that asked for more of it since."""
    left = -one.remaining
    lines = await correction_reads.lines_asking(scope, one)
    given = await credit_reads.earlier(scope, [line.id for line in lines])
    for line in lines:
        part = min(left, EXACT.subtract(line.amount, given.get(line.id, NO_AMOUNTS).amount))
        if part <= 0:
            continue
        wanted = Crediting(
            invoice_id=line.invoice_id,
            reason=CreditNoteReason.BILLING_ERROR,
            parts=(Part(line.id, part),),
            metadata={"invoice_correction_id": one.id},
        )
        note = await credit(scope, connection, wanted, by=by, at=at)
        applied = CorrectionApplied(new_id("icap"), one.id, None, note.id, -part, one.currency)
        rows = [applied_values(scope, applied, at)]
        await insert(connection, "correction_applications", rows)
        left = EXACT.subtract(left, part)


def _asking(
    subscription: Subscription, payer_id: str, more: Sequence[Correction], at: datetime
) -> Invoice:
    """The draft of an invoice for what is asked for more; its lines come with what is pending."""
    command = CreateInvoice(customer_id=payer_id, lines=(), key=more[0].id)
    blank = manual.blank(
        command, currency=subscription.currency, timezone=subscription.timezone, at=at
    )
    start = min(one.service.start for one in more)
    return replace(
        blank,
        subscription_id=subscription.id,
        reason=BillingReason.CORRECTION,
        period=Period(start, max(one.service.end for one in more)),
        finalize_at=at,
        net_days=subscription.terms.net_days,
        collection_method=subscription.terms.collection_method,
        purchase_order=subscription.terms.purchase_order,
        amount_remaining=Decimal(0),
    )
