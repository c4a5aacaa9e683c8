"""What comes off the amount due of an invoice in force: an append-only account of it.

`settle` is the port through which payments and credit notes reach invoices: they call it inside
their own transaction. What remains is what is due less the sum of the entries; the database keeps
that sum, and keeps it from falling below zero.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

import asyncpg

from app.infra import outbox
from app.infra.postgres import writing
from app.invoicing import reads
from app.invoicing.actions import locks
from app.invoicing.errors import BeyondRemaining, InvoiceNotFinalized, NothingRemains, NotWrittenOff
from app.invoicing.events import InvoicePaid, InvoiceWriteOffReversed, InvoiceWrittenOff
from app.invoicing.invoice import Invoice, InvoiceStatus, SettlementKind
from app.invoicing.records import insert, update
from app.kernel import checks
from app.kernel.copies import replace
from app.kernel.ids import new_id
from app.kernel.quantity import EXACT
from app.kernel.scope import Actor, Scope
from app.tenants import audit


@dataclass(frozen=True, slots=True)
class Settling:
    """`amount`, in major units of the invoice's currency, comes off what remains of the invoice.

    `source_id` names the payment or the credit note; the same of a kind settles once.
    """

    invoice_id: str
    kind: SettlementKind
    amount: Decimal
    source_id: str | None = None
    reason: str | None = None


async def settle(
    scope: Scope, connection: asyncpg.Connection, settling: Settling, *, at: datetime
) -> Invoice:
    """Add the entry, and tell once nothing remains and it was paid.

    Call inside `writing(scope)`; the invoice is locked until that ends. Raises: NotFound,
    InvoiceNotFinalized, BeyondRemaining.
    """
    before = await locks.invoice(connection, scope, settling.invoice_id)
    if before.status is not InvoiceStatus.FINALIZED:
        raise InvoiceNotFinalized(before.id, before.status)
    if settling.amount > before.amount_remaining:
        raise BeyondRemaining(before.id, settling.amount, before.amount_remaining)
    await _add(connection, scope, before, settling, at=at)
    after = await locks.invoice(connection, scope, before.id)
    paid = settling.kind is SettlementKind.PAYMENT and not after.amount_remaining
    if paid and after.paid_at is None:
        await update(connection, "invoices", [{"id": before.id, "paid_at": at, "updated_at": at}])
        after = await locks.invoice(connection, scope, before.id)
        await outbox.put(scope, InvoicePaid.of(after, at))
    return after


async def unsettle(
    scope: Scope, connection: asyncpg.Connection, settling: Settling, *, at: datetime
) -> Invoice:
    """Ask again for `amount`, which had come off. Call inside `writing(scope)`.

    Raises: NotFound, InvoiceNotFinalized.
    """
    before = await locks.invoice(connection, scope, settling.invoice_id)
    if before.status is not InvoiceStatus.FINALIZED:
        raise InvoiceNotFinalized(before.id, before.status)
    back = replace(settling, amount=EXACT.minus(settling.amount))
    await _add(connection, scope, before, back, at=at)
    if before.paid_at is not None:
        # Paid in full it was, and is no more; once it is again, that is told again.
        await update(connection, "invoices", [{"id": before.id, "paid_at": None, "updated_at": at}])
    return await locks.invoice(connection, scope, before.id)


async def write_off(
    scope: Scope, invoice_id: str, *, reason: str, by: Actor, at: datetime
) -> Invoice:
    """Expect no more of what remains of an invoice.

    Raises: Invalid (INVALID_REASON), NotFound, InvoiceNotFinalized, NothingRemains.
    """
    stated = checks.text(reason, "reason", longest=500)
    async with writing(scope) as connection:
        before = await locks.invoice(connection, scope, invoice_id)
        if before.status is not InvoiceStatus.FINALIZED:
            raise InvoiceNotFinalized(invoice_id, before.status)
        remains = before.amount_remaining
        if not remains:
            raise NothingRemains(invoice_id)
        entry = Settling(invoice_id, SettlementKind.WRITE_OFF, remains, reason=stated)
        await _add(connection, scope, before, entry, at=at)
        after = await _marked(connection, scope, invoice_id, stated, at=at)
        await audit.record(
            scope, by, "invoice.write_off", invoice_id, at=at, before=before, after=after
        )
        await outbox.put(scope, InvoiceWrittenOff.of(after, at, amount=remains))
    return after


async def reverse_write_off(
    scope: Scope, invoice_id: str, *, reason: str, by: Actor, at: datetime
) -> Invoice:
    """Ask again for what was written off.

    Raises: Invalid (INVALID_REASON), NotFound, InvoiceNotFinalized, NotWrittenOff.
    """
    stated = checks.text(reason, "reason", longest=500)
    async with writing(scope) as connection:
        before = await locks.invoice(connection, scope, invoice_id)
        if before.status is not InvoiceStatus.FINALIZED:
            raise InvoiceNotFinalized(invoice_id, before.status)
        if before.uncollectible_at is None:
            raise NotWrittenOff(invoice_id)
        account = (await reads.settlements_of_invoices(scope, [invoice_id]))[invoice_id]
        last = max((e for e in account if e.kind is SettlementKind.WRITE_OFF), key=lambda e: e.id)
        kind = SettlementKind.WRITE_OFF_REVERSAL
        entry = Settling(invoice_id, kind, -last.amount, source_id=last.id, reason=stated)
        await _add(connection, scope, before, entry, at=at)
        after = await _marked(connection, scope, invoice_id, None, at=at)
        await audit.record(
            scope, by, "invoice.write_off_reverse", invoice_id, at=at, before=before, after=after
        )
        await outbox.put(scope, InvoiceWriteOffReversed.of(after, at, amount=last.amount))
    return after


async def _marked(
    connection: asyncpg.Connection,
    scope: Scope,
    invoice_id: str,
    reason: str | None,
    *,
    at: datetime,
) -> Invoice:
    """The invoice as uncollectible for the reason, or as collectible again without one."""
    values = {
        "uncollectible_at": None if reason is None else at,
        "uncollectible_reason": reason,
        "updated_at": at,
    }
    await update(connection, "invoices", [{"id": invoice_id, **values}])
    return await locks.invoice(connection, scope, invoice_id)


async def _add(
    connection: asyncpg.Connection,
    scope: Scope,
    invoice: Invoice,
    settling: Settling,
    *,
    at: datetime,
) -> None:
    row = {
        "id": new_id("stl"),
        "tenant_id": scope.tenant_id,
        "environment_id": scope.environment_id,
        "created_at": at,
        "updated_at": at,
        "invoice_id": invoice.id,
        "kind": settling.kind,
        "amount": settling.amount,
        "currency": invoice.currency,
        "source_id": settling.source_id,
        "reason": settling.reason,
    }
    await insert(connection, "invoice_settlements", [row])
