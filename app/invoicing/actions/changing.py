"""Changes of running subscriptions with the money they move, in one transaction.

What is unused of fees in advance is given back by a credit note of the invoice that billed it;
what the rest of the period costs is on an invoice of its own, which is issued at once.
"""

from collections import defaultdict
from datetime import datetime, timedelta

import asyncpg

from app.infra import due
from app.infra.clickhouse import ClickHouse
from app.infra.crash import point
from app.infra.postgres import writing
from app.invoicing import bills, credit_reads, reads, settlement
from app.invoicing.actions.crediting import credit
from app.invoicing.actions.drafting import bill
from app.invoicing.actions.finalizing import finalize_many
from app.invoicing.actions.saving import add
from app.invoicing.bills import at_instant
from app.invoicing.credit_note import Crediting, CreditNote, CreditNoteReason
from app.invoicing.drafts import Moment, draft
from app.invoicing.invoice import Invoice, InvoiceLine, InvoiceStatus, LineKind
from app.invoicing.work import CREDIT
from app.kernel.copies import replace
from app.kernel.scope import SYSTEM, Actor, Scope
from app.subscriptions import reads as subscriptions
from app.subscriptions.actions import Billed, RequestChange, advance, changing
from app.subscriptions.change import (
    ChangeMode,
    Proration,
    SubscriptionChange,
    SubscriptionChangeStatus,
)
from app.subscriptions.proration import policy_of
from app.tenants.reads import environments

# Points that are billed on the way to a change that is asked for now; more are left to the run.
_MOST = 50
# When drafts are looked at again that wait for somebody to issue them.
_LATER = timedelta(days=1)


async def change(
    scope: Scope, wanted: RequestChange, clickhouse: ClickHouse, *, by: Actor, at: datetime
) -> SubscriptionChange:
    """Change quantity or plan: now, with what that costs, or at an instant to come.

    Where billing is behind, what is asked for now is done by the billing run, as of now.
    Raises: Invalid, NotFound, Archived, PlanNotPublished, and the refusals of changes.
    """
    now = wanted.timing.mode is ChangeMode.NOW
    waits = now and not await caught_up(scope, wanted.subscription_id, clickhouse, by=by, at=at)
    async with writing(scope) as connection:
        found = await made(connection, scope, wanted, waits=waits, by=by, at=at)
        point("invoicing.change_done")
    point("invoicing.change_committed")
    return found


async def made(
    connection: asyncpg.Connection,
    scope: Scope,
    wanted: RequestChange,
    *,
    waits: bool,
    by: Actor,
    at: datetime,
) -> SubscriptionChange:
    """A change that was asked for: it takes effect where that is now, and does not `waits` for
    billing. Call inside `writing(scope)`. Raises: as `change`."""
    found = await changing.request(scope, wanted, waits=waits, by=by, at=at)
    if wanted.timing.mode is not ChangeMode.NOW or waits:
        return found
    return await take_effect(connection, scope, found, by=by, at=at)


async def apply_due(scope: Scope, change_id: str, *, by: Actor, at: datetime) -> SubscriptionChange:
    """Let a scheduled change take effect whose subscription is billed until then.

    Raises: NotFound, BillingIsBehind, and what the change refuses.
    """
    async with writing(scope) as connection:
        found = (await subscriptions.changes_by_ids(scope, [change_id]))[change_id]
        found = await take_effect(connection, scope, found, by=by, at=at)
        point("invoicing.change_applied")
    point("invoicing.change_applied_committed")
    return found


async def take_effect(
    connection: asyncpg.Connection,
    scope: Scope,
    asked: SubscriptionChange,
    *,
    by: Actor,
    at: datetime,
) -> SubscriptionChange:
    """Apply a change and move its money. Call inside `writing(scope)`."""
    applied = await changing.apply(connection, scope, asked.id, by=by, at=at)
    if applied is None:
        return (await subscriptions.changes_by_ids(scope, [asked.id]))[asked.id]
    found = await _give_back(connection, scope, applied.change, soonest=at, by=by, at=at)
    point("invoicing.change_credited")
    if applied.charges:
        invoice = await _charge(connection, scope, found, by=by, at=at)
        if invoice is not None:
            found = await changing.note_money(scope, found, invoice_id=invoice.id, at=at)
    return found


async def credit_many(scope: Scope, change_ids: list[str], *, by: Actor, at: datetime) -> list[str]:
    """Give back what changes left unused, of invoices that were drafts when they took effect."""
    for change_id in change_ids:
        async with writing(scope) as connection:
            found = await changing.locked_change(connection, scope, change_id)
            if found.status is SubscriptionChangeStatus.APPLIED:
                await _give_back(connection, scope, found, soonest=at + _LATER, by=by, at=at)
    return change_ids


async def caught_up(
    scope: Scope, subscription_id: str, clickhouse: ClickHouse, *, by: Actor, at: datetime
) -> bool:
    """Whether everything before `at` is billed, once fees that wait for nothing are.

    Usage is left to the run, which waits until it is counted.
    """
    subjects = await subscriptions.billable(scope, [subscription_id])
    if not subjects:
        return True  # there is no such subscription; asking for the change says so
    change_at = subjects[0].subscription.next_change_at
    if change_at is not None and change_at <= at:
        return False
    found = bills.due(subjects[0], at, limit=_MOST)
    before = [each for each in found if each.point.at < at]
    if len(before) == _MOST or any(True for each in before for _ in each.usage):
        return False
    if before:
        skips = (await environments.settings(scope)).invoice.zero_invoices == "skip"
        moment = Moment(at, None, skips_zero=skips)
        done = await bill(scope, subjects, clickhouse, moment=moment, most=len(before), by=SYSTEM)
        return bool(done.moved)
    return True


async def _charge(
    connection: asyncpg.Connection,
    scope: Scope,
    change: SubscriptionChange,
    *,
    by: Actor,
    at: datetime,
) -> Invoice | None:
    """Ask for the rest of the period; None where that comes to nothing. Credits pay at once."""
    (subject,) = await subscriptions.billable(scope, [change.subscription_id])
    found = at_instant(subject, change.effective_at)
    cuts = () if found.cut is None else (found.cut,)
    await advance(scope, [Billed(subject.subscription, (found.point,), cuts)], at=at)
    drafted = draft(found, {}, Moment(at, None))
    if not drafted.invoice.totals.subtotal:
        return None
    invoice = replace(drafted.invoice, status=InvoiceStatus.DRAFT, source_id=change.id)
    await add(connection, scope, [replace(drafted, invoice=invoice)], by=by, at=at)
    await finalize_many(scope, [invoice.id], by=by, at=at)
    return (await reads.by_ids(scope, [invoice.id]))[invoice.id]


async def _give_back(
    connection: asyncpg.Connection,
    scope: Scope,
    change: SubscriptionChange,
    *,
    soonest: datetime,
    by: Actor,
    at: datetime,
) -> SubscriptionChange:
    """Credit what is unused of the lines that ended, of every invoice that is issued.

    A draft that only asks for fees is issued first; one that waits for usage is come back to
    when its wait is over, at `soonest` at the earliest.
    """
    await due.cancel(scope, CREDIT, [change.id])
    if change.proration is Proration.NONE:
        return change
    billed = await reads.fixed_lines_until_after(
        scope, change.subscription_id, change.closed_ids, change.effective_at
    )
    drafts = {i.id: i for i, _ in billed if i.status is InvoiceStatus.DRAFT}
    waiting = await _waiting(scope, drafts)
    await finalize_many(scope, sorted(drafts.keys() - waiting.keys()), by=by, at=at)
    of_invoice: defaultdict[str, list[InvoiceLine]] = defaultdict(list)
    for invoice, line in billed:
        if invoice.id not in waiting:
            of_invoice[invoice.id].append(line)
    notes = []
    for invoice_id, lines in of_invoice.items():
        note = await _credit(connection, scope, change, (invoice_id, lines), by=by, at=at)
        notes += [] if note is None else [note.id]
    if waiting:
        over = [invoice.finalize_at or at + _LATER for invoice in waiting.values()]
        item = due.Item(change.id, max(*over, soonest), change.customer_id)
        await due.schedule(scope, CREDIT, item)
    if not notes:
        return change
    return await changing.note_money(scope, change, credit_note_ids=notes, at=at)


async def _waiting(scope: Scope, drafts: dict[str, Invoice]) -> dict[str, Invoice]:
    """The drafts that are not to be issued yet: with usage to come, or lines written by hand."""
    lines = await reads.lines_of_invoices(scope, drafts)
    return {
        key: invoice
        for key, invoice in drafts.items()
        if invoice.edited or any(line.kind is not LineKind.FIXED for line in lines[key])
    }


async def _credit(
    connection: asyncpg.Connection,
    scope: Scope,
    change: SubscriptionChange,
    of: tuple[str, list[InvoiceLine]],
    *,
    by: Actor,
    at: datetime,
) -> CreditNote | None:
    """A note of one invoice, once; None where nothing is to be given back of it."""
    invoice_id, lines = of
    key = f"{change.id}:{invoice_id}"
    notes = (await credit_reads.of_invoices(scope, [invoice_id])).get(invoice_id, [])
    if any(note.key == key for note in notes):
        return None
    earlier = await credit_reads.earlier(scope, [line.id for line in lines])
    subscription = await subscriptions.get(scope, change.subscription_id)
    policy = policy_of(subscription)
    parts = tuple(settlement.given_back(lines, earlier, change.effective_at, policy))
    if not parts:
        return None
    reason = CreditNoteReason.SUBSCRIPTION_CHANGE
    wanted = Crediting(invoice_id=invoice_id, reason=reason, parts=parts, key=key)
    return await credit(scope, connection, wanted, by=by, at=at)
