"""Giving back of an issued invoice: a credit note against its lines, numbered on its own.

Whoever credits holds the invoice's row, so that two at a time cannot give back the same.
"""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

import asyncpg
from asyncpg import UniqueViolationError

from app.customers import reads as customers
from app.infra import outbox
from app.infra.postgres import writing
from app.invoicing import credit_reads, crediting, parties, reads
from app.invoicing.actions import locks, numbers
from app.invoicing.actions.settling import Settling, settle
from app.invoicing.credit_note import (
    NO_AMOUNTS,
    Amounts,
    Crediting,
    CreditNote,
    CreditNoteKind,
    CreditNoteLine,
    CreditNoteStatus,
    RefundStatus,
)
from app.invoicing.credit_records import line_values, note_values
from app.invoicing.errors import BeyondPaid, BeyondRemaining, InvoiceNotFinalized, NumberTaken
from app.invoicing.events import CreditNoteIssued
from app.invoicing.invoice import Invoice, InvoiceLine, InvoiceStatus, SettlementKind
from app.invoicing.records import insert
from app.invoicing.refunds import refunds
from app.kernel import checks
from app.kernel.errors import AlreadyExists
from app.kernel.ids import new_id
from app.kernel.quantity import EXACT
from app.kernel.scope import Actor, Scope
from app.tenants import audit
from app.tenants.reads import environments, tenants

_SERIES = "credit_note:"


async def issue_credit_note(
    scope: Scope, wanted: Crediting, *, by: Actor, at: datetime
) -> CreditNote:
    """`credit`, in a transaction of its own."""
    async with writing(scope) as connection:
        return await credit(scope, connection, wanted, by=by, at=at)


async def credit(
    scope: Scope, connection: asyncpg.Connection, wanted: Crediting, *, by: Actor, at: datetime
) -> CreditNote:
    """Give back of an invoice in force. Call inside `writing(scope)`.

    Raises: Invalid, NotFound (the invoice, a line), InvoiceNotFinalized, BeyondLine,
    NothingToCredit, BeyondRemaining (an adjustment), BeyondPaid (a refund), AlreadyExists (the
    key), NumberTaken.
    """
    invoice = await locks.invoice(connection, scope, wanted.invoice_id, field="invoiceId")
    if invoice.status is not InvoiceStatus.FINALIZED:
        raise InvoiceNotFinalized(invoice.id, invoice.status, field="invoiceId")
    lines = (await reads.lines_of_invoices(scope, [invoice.id])).get(invoice.id, [])
    earlier = await credit_reads.earlier(scope, [line.id for line in lines])
    given = crediting.given_back(lines, wanted.parts, earlier)
    amounts = NO_AMOUNTS
    for _, part in given:
        amounts = amounts.plus(part)
    whose = _owner(invoice, [line for line, _ in given])
    note = await _note(
        scope, connection, invoice, wanted, subscription_id=whose, amounts=amounts, at=at
    )
    await _insert(scope, connection, note, _lines(note, given))
    await _take_effect(scope, connection, note, at=at)
    await audit.record(scope, by, "credit_note.issue", note.id, at=at, after=note)
    await outbox.put(scope, CreditNoteIssued.of(note, at))
    return note


def _owner(invoice: Invoice, lines: Sequence[InvoiceLine]) -> str | None:
    """The one subscription of which something is given back; None: of none, or several."""
    owners = {line.subscription_id or invoice.subscription_id for line in lines}
    return owners.pop() if len(owners) == 1 else None


async def _note(
    scope: Scope,
    connection: asyncpg.Connection,
    invoice: Invoice,
    wanted: Crediting,
    *,
    subscription_id: str | None,
    amounts: Amounts,
    at: datetime,
) -> CreditNote:
    settings = await environments.settings(scope)
    kind, adjusted = await _kind(scope, invoice, wanted.kind, amounts.total)
    prefix = settings.invoice.credit_note_prefix
    (number,) = await numbers.take(
        connection, scope, [prefix], settings=settings.invoice, at=at, series=_SERIES
    )
    buyer = await customers.get(scope, invoice.customer_id)
    return CreditNote(
        id=new_id("crn"),
        number=number,
        customer_id=invoice.customer_id,
        invoice_id=invoice.id,
        subscription_id=subscription_id,
        status=CreditNoteStatus.ISSUED,
        kind=kind,
        reason=wanted.reason,
        memo=checks.optional_text(wanted.memo, "memo", longest=2000),
        currency=invoice.currency,
        timezone=invoice.timezone,
        amounts=amounts,
        adjusted=adjusted,
        balance=EXACT.subtract(amounts.total, adjusted),
        refund_status=RefundStatus.OWED if kind is CreditNoteKind.REFUND else None,
        key=checks.optional_text(wanted.key, "key"),
        seller=parties.seller(await tenants.get(scope), settings),
        bill_to=parties.buyer(buyer),
        presentation=parties.presentation(buyer, settings),
        issued_at=at,
        voided_at=None,
        void_reason=None,
        metadata=checks.metadata(wanted.metadata),
        created_at=at,
        updated_at=at,
    )


async def _kind(
    scope: Scope, invoice: Invoice, wanted: CreditNoteKind | None, total: Decimal
) -> tuple[CreditNoteKind, Decimal]:
    """The kind, and how much of the total comes off what remains of the invoice."""
    remaining = invoice.amount_remaining
    match wanted:
        case CreditNoteKind.ADJUSTMENT:
            if total > remaining:
                raise BeyondRemaining(invoice.id, total, remaining, field="kind")
            return CreditNoteKind.ADJUSTMENT, total
        case CreditNoteKind.REFUND:
            paid = await _paid(scope, invoice)
            if total > paid:
                raise BeyondPaid(invoice.id, total, paid)
            return CreditNoteKind.REFUND, Decimal(0)
        case CreditNoteKind.CREDIT:
            return CreditNoteKind.CREDIT, Decimal(0)
    adjusted = min(total, remaining)
    kind = CreditNoteKind.ADJUSTMENT if adjusted == total else CreditNoteKind.CREDIT
    return kind, adjusted


async def _paid(scope: Scope, invoice: Invoice) -> Decimal:
    """What was paid of the invoice and not given back by refunds."""
    account = (await reads.settlements_of_invoices(scope, [invoice.id])).get(invoice.id, [])
    paid = [entry.amount for entry in account if entry.kind is SettlementKind.PAYMENT]
    notes = (await credit_reads.of_invoices(scope, [invoice.id])).get(invoice.id, [])
    back = [
        note.total
        for note in notes
        if note.kind is CreditNoteKind.REFUND and note.status is not CreditNoteStatus.VOID
    ]
    return sum(paid, Decimal(0)) - sum(back, Decimal(0))


def _lines(note: CreditNote, given: Sequence[tuple[InvoiceLine, Amounts]]) -> list[CreditNoteLine]:
    return [
        CreditNoteLine(
            id=new_id("crnl"),
            credit_note_id=note.id,
            invoice_line_id=line.id,
            position=position,
            description=line.description,
            amounts=amounts,
            currency=note.currency,
        )
        for position, (line, amounts) in enumerate(given, start=1)
    ]


async def _insert(
    scope: Scope,
    connection: asyncpg.Connection,
    note: CreditNote,
    lines: Sequence[CreditNoteLine],
) -> None:
    try:
        await insert(connection, "credit_notes", [note_values(scope, note)])
    except UniqueViolationError as error:
        if error.constraint_name == "credit_notes_key":
            raise AlreadyExists("credit note", "key", note.key) from error
        raise NumberTaken(note.number) from error
    rows = [line_values(scope, line, note.created_at) for line in lines]
    await insert(connection, "credit_note_lines", rows)


async def _take_effect(
    scope: Scope, connection: asyncpg.Connection, note: CreditNote, *, at: datetime
) -> None:
    if note.adjusted:
        kind = SettlementKind.ADJUSTMENT
        settling = Settling(note.invoice_id, kind, note.adjusted, source_id=note.id)
        await settle(scope, connection, settling, at=at)
    if note.kind is CreditNoteKind.REFUND and note.balance:
        await refunds().begin(scope, note)
