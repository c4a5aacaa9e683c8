"""What issuing adds to drafts, whether they are there or are written as issued: a due date, who
it is from and to, what credits pay, and a number."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

import asyncpg
from asyncpg import UniqueViolationError

from app.customers import reads as customers
from app.customers.customer import Customer
from app.infra import due, outbox
from app.invoicing import parties
from app.invoicing.actions import credit_balances, numbers
from app.invoicing.actions.headings import headings_of, subscribers_of
from app.invoicing.credit_note import Application
from app.invoicing.errors import NumberTaken
from app.invoicing.events import InvoiceEvent, InvoiceFinalized, InvoicePaid
from app.invoicing.invoice import Invoice, InvoiceLine, InvoiceStatus, Party, Subscriber
from app.invoicing.work import PRINT
from app.kernel.copies import replace
from app.kernel.scope import Actor, Scope
from app.tenants import audit
from app.tenants.reads import environments, tenants
from app.tenants.settings import EnvironmentSettings, InvoiceSettings

_NUMBERS = "invoices_number"  # the constraint


@dataclass(frozen=True, slots=True)
class Issuer:
    """Whoever issues: the settings of the environment, and the seller as it is printed."""

    settings: EnvironmentSettings
    seller: Party

    def asks_for(self, draft: Invoice) -> bool:
        """Whether the draft is to be issued; what comes to nothing may be skipped instead."""
        return self.settings.invoice.zero_invoices != "skip" or not draft.totals.is_nothing


@dataclass(frozen=True, slots=True)
class Dressed:
    """Invoices as they will be issued, but for their numbers, and what credits pay of them."""

    invoices: Sequence[Invoice]
    buyers: Mapping[str, Customer]
    taken: Sequence[Application]


async def issuer(scope: Scope) -> Issuer:
    settings = await environments.settings(scope)
    return Issuer(settings, parties.seller(await tenants.get(scope), settings))


async def dress(
    connection: asyncpg.Connection,
    scope: Scope,
    drafts: Sequence[Invoice],
    issuer: Issuer,
    *,
    at: datetime,
    lines: Mapping[str, Sequence[InvoiceLine]] | None = None,
) -> Dressed:
    """Drafts in the order of their periods, with everything but their numbers.

    Call inside `writing(scope)`: the credits that pay stay locked. `lines`, by the ids of their
    invoices, are read where they are not given.
    """
    ordered = sorted(drafts, key=lambda draft: (draft.period.end, draft.id))
    buyers = await customers.by_ids(scope, {draft.customer_id for draft in ordered})
    issued = [_from_now_on(draft, issuer.settings.invoice, at) for draft in ordered]
    credited = await credit_balances.take(connection, scope, issued, at=at)
    sections = issuer.settings.documents.sections
    headings = await headings_of(scope, credited.invoices, sections, lines=lines)
    whose = await subscribers_of(scope, credited.invoices)
    invoices = [
        _dressed(
            each,
            issuer,
            buyers[each.customer_id],
            headings=headings.get(each.id, {}),
            subscribers=whose[each.id],
        )
        for each in credited.invoices
    ]
    return Dressed(invoices, buyers, credited.taken)


async def numbered(
    connection: asyncpg.Connection, scope: Scope, dressed: Dressed, issuer: Issuer
) -> list[Invoice]:
    """The invoices with their numbers, in their order.

    As late as can be: whoever issues others at the same time waits for the numbers.
    """
    invoices, settings = dressed.invoices, issuer.settings.invoice
    if not invoices:
        return []
    at = invoices[0].updated_at
    prefixes = [
        dressed.buyers[each.customer_id].invoice_prefix or settings.number_prefix
        for each in invoices
    ]
    given = await numbers.take(connection, scope, prefixes, settings=settings, at=at)
    return [replace(each, number=number) for each, number in zip(invoices, given, strict=True)]


@contextmanager
def numbers_free(issued: Sequence[Invoice]) -> Iterator[None]:
    """Around the statement that writes their numbers. Raises: NumberTaken."""
    try:
        yield
    except UniqueViolationError as error:
        if error.constraint_name != _NUMBERS:
            raise
        raise NumberTaken(f"between {issued[0].number} and {issued[-1].number}") from error


async def announce(scope: Scope, issued: Sequence[Invoice], *, by: Actor) -> None:
    """Note that the invoices are issued, and tell it."""
    if not issued:
        return
    at = issued[0].updated_at
    await audit.record_many(scope, by, [_noted(invoice) for invoice in issued], at=at)
    await outbox.put_many(scope, [event for invoice in issued for event in _told(invoice)])


async def to_be_printed(scope: Scope, issued: Sequence[Invoice]) -> None:
    """Have PDFs made of the invoices."""
    items = [due.Item(each.id, each.updated_at, each.customer_id) for each in issued]
    await due.schedule_many(scope, PRINT, items)


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
    issuer: Issuer,
    buyer: Customer,
    *,
    headings: Mapping[str, str],
    subscribers: Mapping[str, Subscriber],
) -> Invoice:
    """With who it is from and to, what it looks like, and what remains, from now on."""
    look = parties.presentation(buyer, issuer.settings)
    return replace(
        invoice,
        amount_remaining=invoice.totals.amount_due,
        paid_at=_paid(invoice, issuer.settings.invoice),
        seller=issuer.seller,
        bill_to=parties.buyer(buyer),
        presentation=replace(look, headings=headings, subscribers=subscribers),
    )


def _noted(invoice: Invoice) -> audit.Entry:
    facts = {"status": invoice.status, "number": invoice.number, "due_at": invoice.due_at}
    return audit.Entry("invoice.finalize", invoice.id, after=facts)


def _told(invoice: Invoice) -> Iterator[InvoiceEvent]:
    yield InvoiceFinalized.of(invoice, invoice.updated_at, number=invoice.number or "")
    if invoice.paid_at is not None:
        yield InvoicePaid.of(invoice, invoice.paid_at)
