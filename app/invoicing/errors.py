"""What can be wrong with an invoice.

DomainError
├── Invalid                  INVALID_REASON
├── NotFound                 NOT_FOUND
└── Conflict
    ├── InvoiceNotDraft      INVOICE_NOT_DRAFT
    ├── InvoiceAlreadyVoid   INVOICE_ALREADY_VOID
    ├── NothingToBill        NOTHING_TO_BILL
    ├── PeriodChanged        PERIOD_CHANGED
    └── NumberTaken          NUMBER_TAKEN
"""

from app.invoicing.invoice import InvoiceStatus
from app.kernel.errors import Conflict


class InvoiceNotDraft(Conflict):
    code = "INVOICE_NOT_DRAFT"

    def __init__(self, invoice_id: str, status: InvoiceStatus) -> None:
        super().__init__(
            f"invoice {invoice_id} is {status}; only a draft can still be changed", field="id"
        )


class InvoiceAlreadyVoid(Conflict):
    code = "INVOICE_ALREADY_VOID"

    def __init__(self, invoice_id: str) -> None:
        super().__init__(f"invoice {invoice_id} is void already", field="id")


class NothingToBill(Conflict):
    code = "NOTHING_TO_BILL"

    def __init__(self, subscription_id: str) -> None:
        super().__init__(
            f"subscription {subscription_id} is billed to its end; no invoice will follow",
            field="subscriptionId",
        )


class PeriodChanged(Conflict):
    """The draft's period is no longer one of the subscription's."""

    code = "PERIOD_CHANGED"

    def __init__(self, invoice_id: str) -> None:
        super().__init__(
            f"the period of invoice {invoice_id} is no longer one of its subscription; void it",
            field="id",
        )


class NumberTaken(Conflict):
    """Only after a change of the number format, where a new counter meets an old one."""

    code = "NUMBER_TAKEN"

    def __init__(self, number: str) -> None:
        super().__init__(
            f"an invoice already has the number {number}; change the number format so that new "
            "numbers differ from old ones"
        )
