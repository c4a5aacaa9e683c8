"""An invoice that was wrong, taken back and drafted again: once, and linked both ways."""

from datetime import datetime
from decimal import Decimal

from app.infra.clickhouse import ClickHouse
from app.infra.postgres import writing
from app.invoicing import reads
from app.invoicing.actions import locks
from app.invoicing.actions.computing import computed
from app.invoicing.actions.consolidating import hold_again
from app.invoicing.actions.saving import add
from app.invoicing.actions.tax_associations import carry_over
from app.invoicing.actions.voiding import void_locked
from app.invoicing.drafts import Drafted, Moment
from app.invoicing.errors import InvoiceAlreadyReplaced, InvoiceIsConsolidated, InvoiceNotFinalized
from app.invoicing.invoice import Invoice, InvoiceStatus, LineKind
from app.invoicing.records import update
from app.kernel import checks
from app.kernel.copies import replace
from app.kernel.ids import new_id
from app.kernel.scope import Actor, Scope


async def reissue(
    scope: Scope,
    invoice_id: str,
    clickhouse: ClickHouse,
    *,
    reason: str,
    by: Actor,
    at: datetime,
    watermark: datetime | None = None,
) -> Invoice:
    """The draft that takes the place of an issued, skipped or void invoice, for the same period.

    It is computed from the usage as of the watermark (None: of this moment), keeps what was
    written by hand and the taxes that were asked of the invoice alone, and waits for somebody to
    finalize it. The invoice is voided unless it is void.
    Raises: Invalid (INVALID_REASON), NotFound, InvoiceNotFinalized (a draft), PeriodChanged,
    InvoiceAlreadyReplaced, InvoiceIsConsolidated, InvoicePaidInPart, Unavailable.
    """
    stated = checks.text(reason, "reason", longest=500)
    before = await reads.get(scope, invoice_id)
    members = (await reads.consolidated_into(scope, [before.id])).get(before.id, [])
    for each in (before, *members):
        _check(each, whole=before)
    # Before the transaction: it asks ClickHouse.
    (now,) = await computed(scope, [before], clickhouse, Moment(at, watermark))
    fresh = _again(now, at)
    async with writing(scope) as connection:
        old = await locks.invoice(connection, scope, invoice_id)
        _check(old, whole=old)
        if old.status is not InvoiceStatus.VOID:
            await void_locked(connection, scope, old, stated, by=by, at=at)
        await carry_over(connection, scope, old.id, fresh.invoice.id, by=by, at=at)
        (added,) = await add(connection, scope, [fresh], by=by, at=at)
        await hold_again(connection, scope, added.invoice, members, by=by, at=at)
        values = {"replaced_by_id": fresh.invoice.id, "updated_at": at}
        await update(connection, "invoices", [{"id": old.id, **values}])
    return added.invoice


def _check(invoice: Invoice, *, whole: Invoice) -> None:
    if invoice.status is InvoiceStatus.CONSOLIDATED and invoice.consolidated_into_id != whole.id:
        raise InvoiceIsConsolidated(invoice.id, invoice.consolidated_into_id or "")
    if invoice.status is InvoiceStatus.DRAFT:
        raise InvoiceNotFinalized(invoice.id, invoice.status)
    if invoice.replaced_by_id is not None:
        raise InvoiceAlreadyReplaced(invoice.id, invoice.replaced_by_id)


def _again(drafted: Drafted, at: datetime) -> Drafted:
    """The same as an invoice of its own."""
    old, new_invoice_id = drafted.invoice, new_id("inv")
    lines = tuple(
        replace(line, id=new_id("invl"), invoice_id=new_invoice_id) for line in drafted.lines
    )
    written = any(line.kind is LineKind.MANUAL for line in lines)
    invoice = replace(
        old,
        id=new_invoice_id,
        status=InvoiceStatus.DRAFT,
        number=None,
        issued_at=None,
        due_at=None,
        finalize_at=None,
        finalized_at=None,
        voided_at=None,
        void_reason=None,
        seller=None,
        bill_to=None,
        pdf_key=None,
        presentation=None,
        edited=written and bool(old.owners),
        replaces_id=old.id,
        replaced_by_id=None,
        amount_remaining=Decimal(0),
        paid_at=None,
        uncollectible_at=None,
        uncollectible_reason=None,
        created_at=at,
        updated_at=at,
    )
    return Drafted(invoice, lines)
