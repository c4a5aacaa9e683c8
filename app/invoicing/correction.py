"""What a billed line comes to after events arrived late, or were voided or amended. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from app.kernel.period import Period


class CorrectionPolicy(StrEnum):
    """What becomes of a correction; see `CorrectionSettings`."""

    NEXT_INVOICE = "next_invoice"
    CREDIT_OR_DEBIT_NOTE = "credit_or_debit_note"
    REVIEW = "review"


class CorrectionStatus(StrEnum):
    """`review`: somebody has to accept or dismiss it. `open`: it is billed, or will be."""

    OPEN = "open"
    REVIEW = "review"
    DISMISSED = "dismissed"


@dataclass(frozen=True, slots=True)
class Correction:
    """By how much a charge of an invoice differs, as of a watermark, from what was billed of it
    and corrected before.

    `invoice_line_id` is the line that it corrects; None where the invoice has none, such as for a
    group that did not occur. `line_key` says which of the charge's lines it is. `quantity` and
    `amount` may be below zero; `remaining` is what of the amount is on no invoice in force, draft
    or issued, and on no credit note. `price` and `explanation` are those of its line.
    """

    id: str
    customer_id: str
    subscription_id: str
    invoice_id: str
    invoice_line_id: str | None
    line_item_id: str
    line_key: str
    price_id: str
    meter_id: str | None
    description: str
    group: Mapping[str, str | None]
    currency: str
    service: Period
    as_of: datetime
    quantity: Decimal
    amount: Decimal
    policy: CorrectionPolicy
    status: CorrectionStatus
    price: Mapping[str, Any] = field(repr=False)
    explanation: Mapping[str, Any] = field(repr=False)
    reason: str | None
    decided_at: datetime | None
    created_at: datetime
    updated_at: datetime
    remaining: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class CorrectionApplied:
    """How much of a correction is on an invoice's line, or was given back by a credit note."""

    id: str
    correction_id: str
    invoice_id: str | None
    credit_note_id: str | None
    amount: Decimal
    currency: str
