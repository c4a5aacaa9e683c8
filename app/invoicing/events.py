from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar, Self

from app.invoicing.correction import Correction
from app.invoicing.credit_note import CreditNote
from app.invoicing.invoice import Invoice
from app.kernel.events import Event
from app.kernel.quantity import plain


class InvoiceEvent(Event, frozen=True, kw_only=True):
    """What every event of an invoice tells besides its id."""

    customer_id: str
    subscription_id: str | None
    currency: str
    total: Decimal

    @classmethod
    def of(cls, invoice: Invoice, at: datetime, **more: Any) -> Self:
        """The event of what became of the invoice at `at`; `more` is what it tells besides."""
        return cls(
            entity_id=invoice.id,
            occurred_at=at,
            customer_id=invoice.customer_id,
            subscription_id=invoice.subscription_id,
            currency=invoice.currency,
            total=invoice.totals.total,
            **more,
        )

    def payload(self) -> dict[str, Any]:
        return {
            "customer_id": self.customer_id,
            "subscription_id": self.subscription_id,
            "currency": self.currency,
            "total": plain(self.total),
        }


class CreditNoteEvent(Event, frozen=True, kw_only=True):
    """What every event of a credit note tells besides its id."""

    customer_id: str
    invoice_id: str
    number: str
    kind: str
    currency: str
    total: Decimal

    @classmethod
    def of(cls, note: CreditNote, at: datetime) -> Self:
        return cls(
            entity_id=note.id,
            occurred_at=at,
            customer_id=note.customer_id,
            invoice_id=note.invoice_id,
            number=note.number,
            kind=note.kind.value,
            currency=note.currency,
            total=note.total,
        )

    def payload(self) -> dict[str, Any]:
        return {
            "customer_id": self.customer_id,
            "invoice_id": self.invoice_id,
            "number": self.number,
            "kind": self.kind,
            "currency": self.currency,
            "total": plain(self.total),
        }


class CreditNoteIssued(CreditNoteEvent, frozen=True, kw_only=True):
    name: ClassVar[str] = "credit_note.issued"


class CreditNoteVoided(CreditNoteEvent, frozen=True, kw_only=True):
    name: ClassVar[str] = "credit_note.voided"


class CreditNoteUpdated(CreditNoteEvent, frozen=True, kw_only=True):
    name: ClassVar[str] = "credit_note.updated"


class CreditNoteRefundSettled(CreditNoteEvent, frozen=True, kw_only=True):
    """Paying back a refund has succeeded or failed."""

    name: ClassVar[str] = "credit_note.refund_settled"


class InvoiceDrafted(InvoiceEvent, frozen=True, kw_only=True):
    name: ClassVar[str] = "invoice.drafted"


class InvoiceComputed(InvoiceEvent, frozen=True, kw_only=True):
    """A draft was computed again, from the usage of that moment."""

    name: ClassVar[str] = "invoice.computed"


class InvoiceConsolidated(InvoiceEvent, frozen=True, kw_only=True):
    """A draft's lines are asked for on another invoice."""

    name: ClassVar[str] = "invoice.consolidated"
    into_id: str

    def payload(self) -> dict[str, Any]:
        return {**InvoiceEvent.payload(self), "consolidated_into_id": self.into_id}


class InvoiceSkipped(InvoiceEvent, frozen=True, kw_only=True):
    """The period came to nothing."""

    name: ClassVar[str] = "invoice.skipped"


class InvoiceFinalized(InvoiceEvent, frozen=True, kw_only=True):
    name: ClassVar[str] = "invoice.finalized"
    number: str

    def payload(self) -> dict[str, Any]:
        return {**InvoiceEvent.payload(self), "number": self.number}


class InvoiceUpdated(InvoiceEvent, frozen=True, kw_only=True):
    """A draft was edited by hand, or the due date of an issued invoice was moved."""

    name: ClassVar[str] = "invoice.updated"


class InvoicePaid(InvoiceEvent, frozen=True, kw_only=True):
    """Nothing remains to be paid."""

    name: ClassVar[str] = "invoice.paid"


class InvoiceWrittenOff(InvoiceEvent, frozen=True, kw_only=True):
    """What remained is not expected any more."""

    name: ClassVar[str] = "invoice.written_off"
    amount: Decimal

    def payload(self) -> dict[str, Any]:
        return {**InvoiceEvent.payload(self), "amount": plain(self.amount)}


class InvoiceWriteOffReversed(InvoiceEvent, frozen=True, kw_only=True):
    """It is expected after all."""

    name: ClassVar[str] = "invoice.write_off_reversed"
    amount: Decimal

    def payload(self) -> dict[str, Any]:
        return {**InvoiceEvent.payload(self), "amount": plain(self.amount)}


class InvoiceVoided(InvoiceEvent, frozen=True, kw_only=True):
    name: ClassVar[str] = "invoice.voided"
    number: str | None

    def payload(self) -> dict[str, Any]:
        return {**InvoiceEvent.payload(self), "number": self.number}


class CorrectionEvent(Event, frozen=True, kw_only=True):
    """What every event of a correction tells besides its id."""

    customer_id: str
    subscription_id: str
    invoice_id: str
    policy: str
    currency: str
    amount: Decimal

    @classmethod
    def of(cls, correction: Correction, at: datetime) -> Self:
        return cls(
            entity_id=correction.id,
            occurred_at=at,
            customer_id=correction.customer_id,
            subscription_id=correction.subscription_id,
            invoice_id=correction.invoice_id,
            policy=correction.policy.value,
            currency=correction.currency,
            amount=correction.amount,
        )

    def payload(self) -> dict[str, Any]:
        return {
            "customer_id": self.customer_id,
            "subscription_id": self.subscription_id,
            "invoice_id": self.invoice_id,
            "policy": self.policy,
            "currency": self.currency,
            "amount": plain(self.amount),
        }


class CorrectionBooked(CorrectionEvent, frozen=True, kw_only=True):
    """Usage that was billed came to another amount."""

    name: ClassVar[str] = "invoice_correction.booked"


class CorrectionAccepted(CorrectionEvent, frozen=True, kw_only=True):
    name: ClassVar[str] = "invoice_correction.accepted"


class CorrectionDismissed(CorrectionEvent, frozen=True, kw_only=True):
    """It is not billed."""

    name: ClassVar[str] = "invoice_correction.dismissed"
