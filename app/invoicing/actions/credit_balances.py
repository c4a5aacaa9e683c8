"""Balances of credit notes: paying for the customer's next invoices, the oldest note first."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

import asyncpg

from app.invoicing import credit_reads
from app.invoicing.credit_note import Application, ApplicationKind, CreditNote
from app.invoicing.credit_records import application_values, note_of
from app.invoicing.invoice import Invoice, Totals
from app.invoicing.records import insert
from app.kernel.copies import replace
from app.kernel.ids import new_id
from app.kernel.quantity import EXACT
from app.kernel.scope import Scope

# Refunds are to be paid out, so they pay for nothing here.
_OPEN = (
    "SELECT * FROM credit_notes WHERE tenant_id = $1 AND environment_id = $2 "
    "AND customer_id = ANY($3) AND status = 'issued' AND kind = 'credit' AND balance > 0 "
    "ORDER BY id FOR UPDATE"
)
_LOCKED = (
    "SELECT id FROM credit_notes WHERE tenant_id = $1 AND environment_id = $2 AND id = ANY($3) "
    "ORDER BY id FOR UPDATE"
)


@dataclass(frozen=True, slots=True)
class Credited:
    """Invoices as they are after credits have paid for them, and what was taken of which note."""

    invoices: list[Invoice]
    taken: list[Application]


async def take(
    connection: asyncpg.Connection, scope: Scope, invoices: Sequence[Invoice], *, at: datetime
) -> Credited:
    """Let balances pay for invoices that are about to be issued, in this order.

    The notes stay locked until the transaction ends. `pay` writes what was taken, once the
    invoices are issued. One statement.
    """
    asked = {invoice.customer_id for invoice in invoices if invoice.totals.amount_due}
    if not asked:
        return Credited(list(invoices), [])
    rows = await connection.fetch(_OPEN, scope.tenant_id, scope.environment_id, list(asked))
    return share_out(invoices, [note_of(row) for row in rows], at=at)


def share_out(
    invoices: Sequence[Invoice], notes: Sequence[CreditNote], *, at: datetime
) -> Credited:
    """Pure: notes by issue, the oldest first; each pays for its customer and currency alone."""
    purses: defaultdict[tuple[str, str], list[CreditNote]] = defaultdict(list)
    for note in sorted(notes, key=lambda note: (note.issued_at, note.id)):
        purses[note.customer_id, note.currency].append(note)
    credited, taken = [], []
    for invoice in invoices:
        entries = list(_drawn(invoice, purses[invoice.customer_id, invoice.currency], at))
        taken += entries
        paid = sum((entry.amount for entry in entries), Decimal(0))
        credited.append(_paid(invoice, paid) if paid else invoice)
    return Credited(credited, taken)


def _drawn(invoice: Invoice, purse: list[CreditNote], at: datetime) -> Iterator[Application]:
    due = invoice.totals.amount_due
    for index, note in enumerate(purse):
        amount = min(note.balance, due)
        if amount <= 0:
            continue
        due = EXACT.subtract(due, amount)
        purse[index] = replace(note, balance=EXACT.subtract(note.balance, amount))
        yield Application(
            id=new_id("cra"),
            credit_note_id=note.id,
            invoice_id=invoice.id,
            kind=ApplicationKind.INVOICE,
            amount=amount,
            currency=invoice.currency,
            created_at=at,
        )


def _paid(invoice: Invoice, paid: Decimal) -> Invoice:
    totals = invoice.totals
    fresh = Totals.of(
        totals.subtotal,
        discount=totals.discount,
        prepaid=totals.prepaid,
        tax=totals.tax,
        tax_included=totals.tax_included,
        credited=EXACT.add(totals.credited, paid),
    )
    return replace(invoice, totals=fresh)


async def pay(connection: asyncpg.Connection, scope: Scope, entries: Sequence[Application]) -> None:
    """Write what was taken. One statement."""
    rows = [application_values(scope, entry) for entry in entries]
    await insert(connection, "credit_note_applications", rows)


async def give_back(
    connection: asyncpg.Connection, scope: Scope, invoice_id: str, *, at: datetime
) -> None:
    """What credits paid of an invoice that is void from now on is theirs again."""
    entries = (await credit_reads.applications_to_invoices(scope, [invoice_id])).get(invoice_id)
    if not entries:
        return
    ids = sorted({entry.credit_note_id for entry in entries})
    await connection.fetch(_LOCKED, scope.tenant_id, scope.environment_id, ids)
    back = [
        replace(
            entry,
            id=new_id("cra"),
            kind=ApplicationKind.RETURN,
            amount=EXACT.minus(entry.amount),
            created_at=at,
        )
        for entry in entries
        if entry.kind is ApplicationKind.INVOICE
    ]
    await pay(connection, scope, back)
