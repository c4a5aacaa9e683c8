"""A credit note and its lines, as everyone above the tables sees them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from app.invoicing.invoice import Party, Presentation
from app.kernel.quantity import EXACT


class CreditNoteStatus(StrEnum):
    ISSUED = "issued"
    VOID = "void"


class CreditNoteKind(StrEnum):
    """What becomes of the money: `adjustment` takes it off what remains of the invoice, `credit`
    keeps it for the customer's next invoices, `refund` is to be paid back."""

    ADJUSTMENT = "adjustment"
    CREDIT = "credit"
    REFUND = "refund"


class CreditNoteReason(StrEnum):
    DUPLICATE = "duplicate"
    FRAUDULENT = "fraudulent"
    ORDER_CHANGE = "order_change"
    UNSATISFACTORY = "unsatisfactory"
    SERVICE_ISSUE = "service_issue"
    BILLING_ERROR = "billing_error"
    SUBSCRIPTION_CHANGE = "subscription_change"
    SUBSCRIPTION_CANCELLATION = "subscription_cancellation"
    OTHER = "other"


class RefundStatus(StrEnum):
    """`owed`: nobody has paid it back yet."""

    OWED = "owed"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


class ApplicationKind(StrEnum):
    """What a balance went into: an invoice, or back out of one that was voided, or a refund."""

    INVOICE = "invoice"
    RETURN = "return"
    REFUND = "refund"


@dataclass(frozen=True, slots=True)
class Amounts:
    """Major units, each a whole number of minor units. total = amount − discount + tax −
    tax_included, and never below zero."""

    amount: Decimal
    discount: Decimal
    tax: Decimal
    tax_included: Decimal

    @property
    def total(self) -> Decimal:
        added = EXACT.subtract(self.tax, self.tax_included)
        return EXACT.add(EXACT.subtract(self.amount, self.discount), added)

    def plus(self, other: "Amounts") -> "Amounts":
        return Amounts(
            EXACT.add(self.amount, other.amount),
            EXACT.add(self.discount, other.discount),
            EXACT.add(self.tax, other.tax),
            EXACT.add(self.tax_included, other.tax_included),
        )


NO_AMOUNTS = Amounts(Decimal(0), Decimal(0), Decimal(0), Decimal(0))


@dataclass(frozen=True, slots=True)
class CreditNote:
    """A row as everyone above the table sees it. What was issued never changes.

    `adjusted` came off what remained of its invoice. `balance` is what is left of the rest: the
    total less `adjusted` and less the sum of its applications. `refund_status` is that of a
    refund. `key` is the caller's own.
    """

    id: str
    number: str
    customer_id: str
    invoice_id: str
    subscription_id: str | None
    status: CreditNoteStatus
    kind: CreditNoteKind
    reason: CreditNoteReason
    memo: str | None
    currency: str
    timezone: str
    amounts: Amounts
    adjusted: Decimal
    balance: Decimal
    refund_status: RefundStatus | None
    key: str | None
    seller: Party
    bill_to: Party
    presentation: Presentation
    issued_at: datetime
    voided_at: datetime | None
    void_reason: str | None
    metadata: Mapping[str, str]
    created_at: datetime
    updated_at: datetime

    @property
    def total(self) -> Decimal:
        return self.amounts.total


@dataclass(frozen=True, slots=True)
class CreditNoteLine:
    """What is given back of one line of the invoice, with its shares of discount and tax."""

    id: str
    credit_note_id: str
    invoice_line_id: str
    position: int
    description: str
    amounts: Amounts
    currency: str


@dataclass(frozen=True, slots=True)
class Application:
    """An entry of a credit note's account: what went out of its balance, below zero what came
    back. `invoice_id` is the invoice that it paid."""

    id: str
    credit_note_id: str
    invoice_id: str | None
    kind: ApplicationKind
    amount: Decimal
    currency: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Part:
    """Of which line how much, in major units before discount and tax; None: all that is left."""

    line_id: str
    amount: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Crediting:
    """What to give back of an invoice. `parts` empty: all that is left of all of its lines.

    `kind` None: what remains to be paid is reduced, and what is more than that is kept for the
    next invoices. `key` is the caller's own: a second note with it is refused.
    """

    invoice_id: str
    reason: CreditNoteReason
    parts: tuple[Part, ...] = ()
    kind: CreditNoteKind | None = None
    memo: str | None = None
    key: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
