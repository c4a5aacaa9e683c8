"""Working a draft out again, from the usage of the moment."""

from collections.abc import Collection, Iterable, Sequence

from app.infra import outbox
from app.infra.clickhouse import ClickHouse
from app.infra.postgres import writing
from app.invoicing import manual, reads
from app.invoicing.actions import locks
from app.invoicing.actions.saving import rewrite
from app.invoicing.bills import Bill, again
from app.invoicing.consolidating import as_one
from app.invoicing.drafts import Drafted, Moment, draft
from app.invoicing.errors import BilledAhead, InvoiceEdited, InvoiceNotDraft, PeriodChanged
from app.invoicing.events import InvoiceComputed
from app.invoicing.invoice import BillingReason, Invoice, InvoiceLine, InvoiceStatus, LineKind
from app.invoicing.usage import count
from app.kernel.copies import replace
from app.kernel.scope import Actor, Scope
from app.subscriptions import reads as subscriptions
from app.tenants import audit


async def compute(
    scope: Scope,
    invoice_id: str,
    clickhouse: ClickHouse,
    *,
    by: Actor,
    moment: Moment,
    keep_edits: bool = False,
) -> Invoice:
    """Give a draft the lines that its period has now.

    One that was edited by hand is computed again only with `keep_edits`, which keeps the lines
    written by hand. Raises: NotFound, InvoiceNotDraft, InvoiceEdited, PeriodChanged, Unavailable.
    """
    before = await reads.get(scope, invoice_id)
    if before.status is not InvoiceStatus.DRAFT:
        raise InvoiceNotDraft(invoice_id, before.status)
    if before.edited and not keep_edits:
        raise InvoiceEdited(invoice_id)
    found = await compute_many(scope, [before], clickhouse, by=by, moment=moment)
    if not found:
        raise InvoiceNotDraft(invoice_id, (await reads.get(scope, invoice_id)).status)
    return found[0]


async def compute_many(
    scope: Scope,
    drafts: Collection[Invoice],
    clickhouse: ClickHouse,
    *,
    by: Actor,
    moment: Moment,
) -> list[Invoice]:
    """Compute drafts again, and keep what was written by hand.

    What changed meanwhile, or is no draft any more, is left alone and left out.
    Raises: PeriodChanged, Unavailable.
    """
    fresh = await computed(scope, drafts, clickhouse, moment)
    return await _write(scope, fresh, by=by, moment=moment)


async def computed(
    scope: Scope, invoices: Collection[Invoice], clickhouse: ClickHouse, moment: Moment
) -> list[Drafted]:
    """The invoices as their periods have it now, nothing of it written.

    Raises: PeriodChanged, Unavailable.
    """
    wholes = [invoice.id for invoice in invoices if invoice.subscription_ids]
    members = await reads.consolidated_into(scope, wholes) if wholes else {}
    every = [*invoices, *(each for mine in members.values() for each in mine)]
    of_periods = [i for i in every if i.subscription_id and not _is_correction(i)]
    bills = await _bills(scope, of_periods)
    counted = await count(scope, clickhouse, bills.values(), as_of=moment.watermark)
    found = await _lines_by_hand(scope, invoices)
    fresh = []
    for invoice in invoices:
        mine = [bills[each.id] for each in members.get(invoice.id, [invoice]) if each.id in bills]
        parts = [draft(bill, counted, moment) for bill in mine]
        drafted = as_one(parts) if parts else Drafted(invoice, ())
        fresh.append(_renewed(invoice, drafted, found.get(invoice.id, ()), moment))
    return fresh


async def _bills(scope: Scope, invoices: Collection[Invoice]) -> dict[str, Bill]:
    """The bills that led to the invoices of subscriptions."""
    ids = {invoice.subscription_id for invoice in invoices if invoice.subscription_id}
    subjects = {s.subscription.id: s for s in await subscriptions.billable(scope, ids)}
    found = {}
    for invoice in invoices:
        if invoice.reason is BillingReason.THRESHOLD:
            raise BilledAhead(invoice.id)
        subject = subjects.get(invoice.subscription_id or "")
        bill = None if subject is None else again(subject, invoice.reason, invoice.period)
        if bill is None:
            raise PeriodChanged(invoice.id)
        found[invoice.id] = bill
    return found


def _is_correction(invoice: Invoice) -> bool:
    """Its lines are those of corrections, which come whenever it is written."""
    return invoice.reason is BillingReason.CORRECTION


def _renewed(
    before: Invoice, drafted: Drafted, kept: Sequence[InvoiceLine], moment: Moment
) -> Drafted:
    """The invoice as it stands, with what was computed of it and what was written by hand."""
    together = [
        replace(line, invoice_id=before.id, position=position)
        for position, line in enumerate([*drafted.lines, *kept], start=1)
    ]
    fresh = drafted.invoice
    invoice = replace(
        before,
        totals=manual.sums(together, before.currency),
        engine_version=fresh.engine_version,
        catalog_hash=fresh.catalog_hash,
        zone_data=fresh.zone_data,
        usage_watermark=fresh.usage_watermark,
        updated_at=moment.at,
    )
    return Drafted(invoice, tuple(together))


async def _write(
    scope: Scope, fresh: Sequence[Drafted], *, by: Actor, moment: Moment
) -> list[Invoice]:
    async with writing(scope) as connection:
        held = await locks.invoices(connection, scope, [d.invoice.id for d in fresh])
        before = {invoice.id: invoice for invoice in held}
        open_ids = {i.id for i in held if i.status is InvoiceStatus.DRAFT}
        by_hand = await _lines_by_hand(scope, held)
        # An edit made since it was read must not be lost.
        written = [
            drafted
            for drafted in fresh
            if drafted.invoice.id in open_ids
            and _by_hand(drafted.lines) == by_hand.get(drafted.invoice.id, [])
        ]
        written = await rewrite(connection, scope, written, at=moment.at)
        entries = [
            audit.Entry("invoice.compute", now.id, before=before[now.id].totals, after=now.totals)
            for now in (drafted.invoice for drafted in written)
        ]
        await audit.record_many(scope, by, entries, at=moment.at)
        await outbox.put_many(
            scope, [InvoiceComputed.of(d.invoice, d.invoice.updated_at) for d in written]
        )
    return [drafted.invoice for drafted in written]


async def _lines_by_hand(scope: Scope, invoices: Iterable[Invoice]) -> dict[str, list[InvoiceLine]]:
    touched = [i.id for i in invoices if i.edited or i.subscription_id is None]
    if not touched:
        return {}
    found = await reads.lines_of_invoices(scope, touched)
    return {key: _by_hand(lines) for key, lines in found.items()}


def _by_hand(lines: Iterable[InvoiceLine]) -> list[InvoiceLine]:
    """Those written by hand, wherever they stand."""
    return [replace(line, position=0) for line in lines if line.kind is LineKind.MANUAL]
