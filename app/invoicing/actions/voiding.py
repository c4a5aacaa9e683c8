"""Taking an invoice back: it stays as it is, number included, and asks for nothing any more."""

from datetime import datetime

from app.infra import due, outbox
from app.infra.postgres import writing
from app.invoicing.actions import locks
from app.invoicing.errors import InvoiceAlreadyVoid
from app.invoicing.events import InvoiceVoided
from app.invoicing.invoice import Invoice, InvoiceStatus
from app.invoicing.work import FINALIZE, PRINT
from app.kernel import checks
from app.kernel.scope import Actor, Scope
from app.tenants import audit

# The stored PDF shows the invoice in force, so it no longer serves.
_VOID = (
    "UPDATE invoices SET status = 'void', voided_at = $3, void_reason = $4, pdf_key = NULL, "
    "updated_at = $3 WHERE tenant_id = $1 AND environment_id = $2 AND id = $5"
)


async def void(scope: Scope, invoice_id: str, *, reason: str, by: Actor, at: datetime) -> Invoice:
    """Void a draft, an issued or a skipped invoice; its period may then be billed again.

    Raises: Invalid (INVALID_REASON), NotFound, InvoiceAlreadyVoid.
    """
    stated = checks.text(reason, "reason", longest=500)
    async with writing(scope) as connection:
        before = await locks.invoice(connection, scope, invoice_id)
        if before.status is InvoiceStatus.VOID:
            raise InvoiceAlreadyVoid(invoice_id)
        await connection.execute(
            _VOID, scope.tenant_id, scope.environment_id, at, stated, invoice_id
        )
        after = await locks.invoice(connection, scope, invoice_id)
        await due.cancel(scope, FINALIZE, [invoice_id])
        await due.cancel(scope, PRINT, [invoice_id])
        await audit.record(scope, by, "invoice.void", invoice_id, at=at, before=before, after=after)
        await outbox.put(scope, InvoiceVoided.of(after, at, number=after.number))
    return after
