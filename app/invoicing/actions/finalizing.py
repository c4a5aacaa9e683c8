"""From draft to issued: a number, a due date, and who it is from and to, for good."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

import asyncpg
import orjson
from asyncpg import UniqueViolationError

from app.customers import reads as customers
from app.customers.customer import Customer
from app.infra import due, outbox
from app.infra.crash import point
from app.infra.postgres import writing
from app.invoicing import parties
from app.invoicing.actions import credit_balances, locks, numbers
from app.invoicing.actions.consolidating import fold
from app.invoicing.actions.headings import headings_of, subscribers_of
from app.invoicing.actions.reckoning import reckon_again
from app.invoicing.errors import InvoiceNotDraft, NumberTaken
from app.invoicing.events import InvoiceEvent, InvoiceFinalized, InvoicePaid, InvoiceSkipped
from app.invoicing.invoice import Invoice, InvoiceStatus, Party, Presentation, Subscriber
from app.invoicing.work import FINALIZE, PRINT
from app.kernel.copies import replace
from app.kernel.scope import Actor, Scope
from app.tenants import audit
from app.tenants.reads import environments, tenants
from app.tenants.settings import EnvironmentSettings, InvoiceSettings

# The ids are said twice here, so that the table is looked into by its key and not read in full.
_ISSUE = (
    "UPDATE invoices SET status = 'finalized', number = row.number, issued_at = $3, "
    "finalized_at = $3, due_at = row.due_at, seller = $4::jsonb, bill_to = row.bill_to::jsonb, "
    "presentation = row.presentation::jsonb, credited = row.credited, "
    "amount_due = row.amount_due, amount_remaining = row.amount_due, "
    "paid_at = row.paid_at, updated_at = $3 "
    "FROM unnest($5::text[], $6::text[], $7::timestamptz[], $8::text[], $9::text[], "
    "$10::timestamptz[], $11::numeric[], $12::numeric[]) AS row(id, number, due_at, bill_to, "
    "presentation, paid_at, credited, amount_due) "
    "WHERE invoices.tenant_id = $1 AND invoices.environment_id = $2 AND invoices.id = ANY($5) "
    "AND invoices.id = row.id"
)
_SKIP = (
    "UPDATE invoices SET status = 'skipped', updated_at = $3 "
    "WHERE tenant_id = $1 AND environment_id = $2 AND id = ANY($4)"
)


async def finalize(scope: Scope, invoice_id: str, *, by: Actor, at: datetime) -> Invoice:
    """Issue one draft now, whether or not its wait for late events is over.

    A draft that comes to nothing becomes skipped instead, unless the settings say otherwise.
    Raises: NotFound, InvoiceNotDraft, NumberTaken.
    """
    async with writing(scope) as connection:
        before = await locks.invoice(connection, scope, invoice_id)
        if before.status is not InvoiceStatus.DRAFT:
            raise InvoiceNotDraft(invoice_id, before.status)
        await finalize_many(scope, [invoice_id], by=by, at=at)
        return await locks.invoice(connection, scope, invoice_id)


async def finalize_many(
    scope: Scope,
    invoice_ids: Collection[str],
    *,
    by: Actor,
    at: datetime,
    consolidates: bool = False,
) -> list[Invoice]:
    """Issue the drafts among these invoices, numbered in the order of their periods.

    `consolidates`: those of one payer that ask for the same terms on the same day become one
    where the payer wants it.
    What is not a draft is left alone, so a second call changes nothing. Returns what was
    issued. Raises: NumberTaken.
    """
    settings = await environments.settings(scope)
    seller = parties.seller(await tenants.get(scope), settings)
    async with writing(scope) as connection:
        found = await locks.invoices(connection, scope, invoice_ids)
        drafts = [invoice for invoice in found if invoice.status is InvoiceStatus.DRAFT]
        if consolidates:
            drafts = await fold(connection, scope, drafts, by=by, at=at)
        # What is in force at this moment, not when they were drafted.
        drafts = await reckon_again(connection, scope, drafts, by=by, at=at)
        skips = settings.invoice.zero_invoices == "skip"
        empty = [draft for draft in drafts if skips and draft.totals.is_nothing]
        asked = sorted(
            (draft for draft in drafts if not skips or not draft.totals.is_nothing),
            key=lambda d: (d.period.end, d.id),
        )
        if empty:
            await _skip(connection, scope, empty, by=by, at=at)
        buyers = await customers.by_ids(scope, {draft.customer_id for draft in asked})
        issued = [_from_now_on(draft, settings.invoice, at) for draft in asked]
        credited = await credit_balances.take(connection, scope, issued, at=at)
        headings = await headings_of(scope, credited.invoices, settings.documents.sections)
        whose = await subscribers_of(scope, credited.invoices)
        issued = [
            _dressed(
                each,
                seller,
                buyers[each.customer_id],
                settings,
                headings=headings.get(each.id, {}),
                subscribers=whose[each.id],
            )
            for each in credited.invoices
        ]
        await due.cancel(scope, FINALIZE, sorted({each.id for each in (*found, *drafts)}))
        await due.schedule_many(
            scope, PRINT, [due.Item(invoice.id, at, invoice.customer_id) for invoice in issued]
        )
        # As late as can be: whoever issues others at the same time waits for the numbers.
        issued = await _numbered(connection, scope, issued, buyers, settings=settings.invoice)
        await _issue(connection, scope, issued, by=by)
        await credit_balances.pay(connection, scope, credited.taken)
        point("invoicing.finalized")
    point("invoicing.finalized_committed")
    return issued


def _from_now_on(draft: Invoice, settings: InvoiceSettings, at: datetime) -> Invoice:
    """The draft as it will be issued, but for its number."""
    return replace(
        draft,
        status=InvoiceStatus.FINALIZED,
        issued_at=at,
        finalized_at=at,
        due_at=_due(draft, settings, at),
        updated_at=at,
    )


async def _numbered(
    connection: asyncpg.Connection,
    scope: Scope,
    issued: Sequence[Invoice],
    buyers: Mapping[str, Customer],
    *,
    settings: InvoiceSettings,
) -> list[Invoice]:
    """The invoices with their numbers, in this order."""
    if not issued:
        return []
    at = issued[0].updated_at
    prefixes = [
        buyers[each.customer_id].invoice_prefix or settings.number_prefix for each in issued
    ]
    given = await numbers.take(connection, scope, prefixes, settings=settings, at=at)
    return [replace(each, number=number) for each, number in zip(issued, given, strict=True)]


def _due(draft: Invoice, settings: InvoiceSettings, at: datetime) -> datetime:
    """As somebody has said on the draft, but not before it is issued; else after so many days:
    the subscription's, or the environment's."""
    if draft.due_at is not None:
        return max(draft.due_at, at)
    days = settings.due_days if draft.net_days is None else draft.net_days
    return at + timedelta(days=days)


def _paid(issued: Invoice, settings: InvoiceSettings) -> datetime | None:
    """Paid at once where nothing is due: what prepaid balances or credits have covered, and what
    came to nothing if the settings say so."""
    covered = not issued.totals.is_nothing or settings.zero_invoices == "issue_as_paid"
    return issued.finalized_at if covered and not issued.totals.amount_due else None


def _dressed(
    invoice: Invoice,
    seller: Party,
    buyer: Customer,
    settings: EnvironmentSettings,
    *,
    headings: Mapping[str, str],
    subscribers: Mapping[str, Subscriber],
) -> Invoice:
    """With who it is from and to, what it looks like, and what remains, from now on."""
    look = parties.presentation(buyer, settings)
    return replace(
        invoice,
        amount_remaining=invoice.totals.amount_due,
        paid_at=_paid(invoice, settings.invoice),
        seller=seller,
        bill_to=parties.buyer(buyer),
        presentation=replace(look, headings=headings, subscribers=subscribers),
    )


async def _issue(
    connection: asyncpg.Connection, scope: Scope, issued: Sequence[Invoice], *, by: Actor
) -> None:
    if not issued:
        return
    await _write(connection, scope, issued)
    await audit.record_many(
        scope, by, [_issued(invoice) for invoice in issued], at=issued[0].updated_at
    )
    await outbox.put_many(scope, [event for invoice in issued for event in _told(invoice)])


async def _write(connection: asyncpg.Connection, scope: Scope, issued: Sequence[Invoice]) -> None:
    given = [invoice.number for invoice in issued]
    try:
        await connection.execute(
            _ISSUE,
            scope.tenant_id,
            scope.environment_id,
            issued[0].issued_at,
            _json(issued[0].seller),
            [invoice.id for invoice in issued],
            given,
            [invoice.due_at for invoice in issued],
            [_json(invoice.bill_to) for invoice in issued],
            [_json(invoice.presentation) for invoice in issued],
            [invoice.paid_at for invoice in issued],
            [invoice.totals.credited for invoice in issued],
            [invoice.totals.amount_due for invoice in issued],
        )
    except UniqueViolationError as error:
        raise NumberTaken(f"between {given[0]} and {given[-1]}") from error


async def _skip(
    connection: asyncpg.Connection,
    scope: Scope,
    empty: Sequence[Invoice],
    *,
    by: Actor,
    at: datetime,
) -> None:
    ids = [invoice.id for invoice in empty]
    await connection.execute(_SKIP, scope.tenant_id, scope.environment_id, at, ids)
    facts = {"status": InvoiceStatus.SKIPPED}
    entries = [audit.Entry("invoice.skip", invoice_id, after=facts) for invoice_id in ids]
    await audit.record_many(scope, by, entries, at=at)
    await outbox.put_many(scope, [InvoiceSkipped.of(invoice, at) for invoice in empty])


def _issued(invoice: Invoice) -> audit.Entry:
    facts = {"status": invoice.status, "number": invoice.number, "due_at": invoice.due_at}
    return audit.Entry("invoice.finalize", invoice.id, after=facts)


def _told(invoice: Invoice) -> Iterator[InvoiceEvent]:
    yield InvoiceFinalized.of(invoice, invoice.updated_at, number=invoice.number or "")
    if invoice.paid_at is not None:
        yield InvoicePaid.of(invoice, invoice.paid_at)


def _json(value: Party | Presentation | None) -> str | None:
    return None if value is None else orjson.dumps(value).decode()
