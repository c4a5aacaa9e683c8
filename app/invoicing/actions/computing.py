"""Working a draft out again, from the usage of the moment."""

from collections.abc import Collection, Sequence
from dataclasses import replace

from app.infra import outbox
from app.infra.clickhouse import ClickHouse
from app.infra.postgres import writing
from app.invoicing import reads
from app.invoicing.actions import locks
from app.invoicing.actions.saving import rewrite
from app.invoicing.bills import Bill, Drafted, Moment, again, draft
from app.invoicing.errors import InvoiceNotDraft, PeriodChanged
from app.invoicing.events import InvoiceComputed
from app.invoicing.invoice import Invoice, InvoiceStatus
from app.invoicing.usage import count
from app.kernel.scope import Actor, Scope
from app.subscriptions import reads as subscriptions
from app.tenants import audit


async def compute(
    scope: Scope, invoice_id: str, clickhouse: ClickHouse, *, by: Actor, moment: Moment
) -> Invoice:
    """Give a draft the lines that its period has now.

    Raises: NotFound, InvoiceNotDraft, PeriodChanged, Unavailable.
    """
    before = await reads.get(scope, invoice_id)
    if before.status is not InvoiceStatus.DRAFT:
        raise InvoiceNotDraft(invoice_id, before.status)
    computed = await compute_many(scope, [before], clickhouse, by=by, moment=moment)
    if not computed:
        raise InvoiceNotDraft(invoice_id, (await reads.get(scope, invoice_id)).status)
    return computed[0]


async def compute_many(
    scope: Scope,
    drafts: Collection[Invoice],
    clickhouse: ClickHouse,
    *,
    by: Actor,
    moment: Moment,
) -> list[Invoice]:
    """Compute drafts again; what is no draft any more by then is left alone and left out.

    Raises: PeriodChanged, Unavailable.
    """
    bills = await _bills(scope, drafts)
    counted = await count(scope, clickhouse, [bill for _, bill in bills])
    fresh = [_renewed(invoice, draft(bill, counted, moment)) for invoice, bill in bills]
    return await _write(scope, fresh, by=by, moment=moment)


async def _bills(scope: Scope, drafts: Collection[Invoice]) -> list[tuple[Invoice, Bill]]:
    ids = {invoice.subscription_id for invoice in drafts if invoice.subscription_id}
    subjects = {s.subscription.id: s for s in await subscriptions.billable(scope, ids)}
    found = []
    for invoice in drafts:
        subject = subjects.get(invoice.subscription_id or "")
        bill = None if subject is None else again(subject, invoice.reason, invoice.period)
        if bill is None:
            raise PeriodChanged(invoice.id)
        found.append((invoice, bill))
    return found


def _renewed(before: Invoice, drafted: Drafted) -> Drafted:
    """The draft as it stands, with what was computed of it."""
    fresh = drafted.invoice
    invoice = replace(
        before,
        totals=fresh.totals,
        engine_version=fresh.engine_version,
        catalog_hash=fresh.catalog_hash,
        usage_watermark=fresh.usage_watermark,
        updated_at=fresh.updated_at,
    )
    return Drafted(invoice, tuple(replace(line, invoice_id=before.id) for line in drafted.lines))


async def _write(
    scope: Scope, fresh: Sequence[Drafted], *, by: Actor, moment: Moment
) -> list[Invoice]:
    async with writing(scope) as connection:
        held = await locks.invoices(connection, scope, [d.invoice.id for d in fresh])
        before = {invoice.id: invoice for invoice in held}
        open_ids = {i.id for i in held if i.status is InvoiceStatus.DRAFT}
        written = [drafted for drafted in fresh if drafted.invoice.id in open_ids]
        await rewrite(connection, scope, written, at=moment.at)
        entries = [
            audit.Entry("invoice.compute", now.id, before=before[now.id].totals, after=now.totals)
            for now in (drafted.invoice for drafted in written)
        ]
        await audit.record_many(scope, by, entries, at=moment.at)
        await outbox.put_many(
            scope, [InvoiceComputed.of(d.invoice, d.invoice.updated_at) for d in written]
        )
    return [drafted.invoice for drafted in written]
