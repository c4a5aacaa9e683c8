"""What can be wrong with an invoice.

DomainError
├── Invalid                  INVALID_REASON, INVALID_DUE_AT, INVALID_MEMO, INVALID_PURCHASE_ORDER,
│                            INVALID_METADATA, and of lines INVALID_DESCRIPTION, INVALID_QUANTITY,
│                            INVALID_UNIT_AMOUNT, INVALID_SERVICE_END, INVALID_SECTION, …
├── NotFound                 NOT_FOUND
└── Conflict
    ├── InvoiceNotDraft      INVOICE_NOT_DRAFT
    ├── InvoiceNotFinalized  INVOICE_NOT_FINALIZED
    ├── InvoiceEdited        INVOICE_EDITED
    ├── LineIsComputed       LINE_IS_COMPUTED
    ├── InvoiceAlreadyVoid   INVOICE_ALREADY_VOID
    ├── InvoiceAlreadyReplaced INVOICE_ALREADY_REPLACED
    ├── InvoiceIsConsolidated INVOICE_CONSOLIDATED
    ├── InvoicePaidInPart    INVOICE_PAID
    ├── NothingRemains       NOTHING_REMAINS
    ├── NotWrittenOff        NOT_WRITTEN_OFF
    ├── BeyondRemaining      BEYOND_REMAINING
    ├── InvoiceCredited      INVOICE_CREDITED
    ├── InvoiceCorrected     INVOICE_CORRECTED
    ├── CorrectionDecided    CORRECTION_DECIDED
    ├── BeyondLine, BeyondPaid, NothingToCredit
    │                        BEYOND_LINE, BEYOND_PAID, NOTHING_TO_CREDIT
    ├── CreditNoteAlreadyVoid, CreditNoteUsed, NotARefund
    │                        CREDIT_NOTE_ALREADY_VOID, CREDIT_NOTE_USED, NOT_A_REFUND
    ├── NothingToBill        NOTHING_TO_BILL
    ├── PeriodChanged        PERIOD_CHANGED
    ├── BilledAhead          BILLED_AHEAD
    ├── NumberTaken          NUMBER_TAKEN
    └── EInvoiceUnsupported  E_INVOICE_UNSUPPORTED
"""

from decimal import Decimal

from app.invoicing.invoice import InvoiceStatus
from app.kernel.errors import Conflict
from app.kernel.quantity import plain


class InvoiceNotDraft(Conflict):
    code = "INVOICE_NOT_DRAFT"

    def __init__(self, invoice_id: str, status: InvoiceStatus) -> None:
        super().__init__(
            f"invoice {invoice_id} is {status}; only a draft can still be changed", field="id"
        )


class InvoiceNotFinalized(Conflict):
    code = "INVOICE_NOT_FINALIZED"

    def __init__(self, invoice_id: str, status: InvoiceStatus, *, field: str = "id") -> None:
        super().__init__(
            f"invoice {invoice_id} is {status}; this takes one that is finalized", field=field
        )


class InvoiceEdited(Conflict):
    code = "INVOICE_EDITED"

    def __init__(self, invoice_id: str) -> None:
        super().__init__(
            f"draft {invoice_id} was edited by hand; say keepEdits to compute its other lines "
            "again and keep what was written by hand",
            field="keepEdits",
        )


class LineIsComputed(Conflict):
    """A line that follows from a price or from usage is not written by hand."""

    code = "LINE_IS_COMPUTED"

    def __init__(self, line_id: str, field: str) -> None:
        super().__init__(
            f"{field}: line {line_id} follows from a price; only lines written by hand can be "
            "changed or removed",
            field=field,
        )


class InvoiceAlreadyReplaced(Conflict):
    code = "INVOICE_ALREADY_REPLACED"

    def __init__(self, invoice_id: str, by: str) -> None:
        super().__init__(f"invoice {invoice_id} is replaced by {by} already", field="id")


class InvoiceIsConsolidated(Conflict):
    code = "INVOICE_CONSOLIDATED"

    def __init__(self, invoice_id: str, into: str) -> None:
        super().__init__(
            f"the lines of invoice {invoice_id} are on the consolidated invoice {into}; take that "
            "one back",
            field="id",
        )


class InvoicePaidInPart(Conflict):
    code = "INVOICE_PAID"

    def __init__(self, invoice_id: str) -> None:
        super().__init__(
            f"something was paid for invoice {invoice_id}; give it back by a credit note instead "
            "of voiding the invoice",
            field="id",
        )


class NothingRemains(Conflict):
    code = "NOTHING_REMAINS"

    def __init__(self, invoice_id: str) -> None:
        super().__init__(f"nothing remains to be paid of invoice {invoice_id}", field="id")


class NotWrittenOff(Conflict):
    code = "NOT_WRITTEN_OFF"

    def __init__(self, invoice_id: str) -> None:
        super().__init__(f"invoice {invoice_id} is not written off", field="id")


class BeyondRemaining(Conflict):
    """More would come off an invoice than it still asks for."""

    code = "BEYOND_REMAINING"

    def __init__(
        self, invoice_id: str, amount: Decimal, remaining: Decimal, *, field: str = "amount"
    ) -> None:
        super().__init__(
            f"{field}: {plain(amount)} is more than the {plain(remaining)} that remain to be paid "
            f"of invoice {invoice_id}",
            field=field,
        )


class InvoiceCredited(Conflict):
    code = "INVOICE_CREDITED"

    def __init__(self, invoice_id: str, number: str) -> None:
        super().__init__(
            f"credit note {number} is in force against invoice {invoice_id}; void it first",
            field="id",
        )


class BeyondLine(Conflict):
    """More would be given back of a line than it asked for."""

    code = "BEYOND_LINE"

    def __init__(self, line_id: str, amount: Decimal, left: Decimal, *, field: str) -> None:
        super().__init__(
            f"{field}: {plain(amount)} is more than the {plain(max(left, Decimal(0)))} that can "
            f"still be given back of line {line_id}",
            field=field,
        )


class BeyondPaid(Conflict):
    """More would be refunded than was paid and not refunded yet."""

    code = "BEYOND_PAID"

    def __init__(self, invoice_id: str, amount: Decimal, paid: Decimal) -> None:
        super().__init__(
            f"kind: {plain(amount)} is more than the {plain(paid)} that were paid of invoice "
            f"{invoice_id} and not refunded yet; credit it instead",
            field="kind",
        )


class NothingToCredit(Conflict):
    code = "NOTHING_TO_CREDIT"

    def __init__(self) -> None:
        super().__init__("nothing can be given back of the invoice's lines", field="lines")


class CreditNoteAlreadyVoid(Conflict):
    code = "CREDIT_NOTE_ALREADY_VOID"

    def __init__(self, credit_note_id: str) -> None:
        super().__init__(f"credit note {credit_note_id} is void already", field="id")


class CreditNoteUsed(Conflict):
    code = "CREDIT_NOTE_USED"

    def __init__(self, credit_note_id: str) -> None:
        super().__init__(
            f"credit note {credit_note_id} has paid for something already, so it stays", field="id"
        )


class NotARefund(Conflict):
    code = "NOT_A_REFUND"

    def __init__(self, credit_note_id: str) -> None:
        super().__init__(f"credit note {credit_note_id} is no refund that is owed", field="id")


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


class BilledAhead(Conflict):
    """What a threshold billed stays as it is: the period's last invoice has what came since."""

    code = "BILLED_AHEAD"

    def __init__(self, invoice_id: str) -> None:
        super().__init__(
            f"invoice {invoice_id} billed usage before its period ended and is not computed "
            "again; what came since is on the invoices that follow",
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


class EInvoiceUnsupported(Conflict):
    """What the document says has no place in EN 16931, or what that wants to know is missing."""

    code = "E_INVOICE_UNSUPPORTED"

    def __init__(self, why: str, *, field: str) -> None:
        super().__init__(f"no UBL can be made of it: {why}", field=field)


class InvoiceCorrected(Conflict):
    """Voiding it would leave what it was corrected by on other invoices."""

    code = "INVOICE_CORRECTED"

    def __init__(self, invoice_id: str) -> None:
        super().__init__(
            f"corrections of invoice {invoice_id} are on other invoices; void those first, or give "
            "back by a credit note",
            field="id",
        )


class CorrectionDecided(Conflict):
    code = "CORRECTION_DECIDED"

    def __init__(self, correction_id: str, status: str) -> None:
        super().__init__(
            f"correction {correction_id} is {status}; only one in review is decided", field="id"
        )
