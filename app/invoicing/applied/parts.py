"""What was applied to an invoice between its lines and the amount due, kept as it was. Pure.

The rows belong to their invoice like its lines: a draft's are replaced with them, an issued
invoice's never change. `shares` are what fell on each line, by the line's id, and sum to `amount`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from app.invoicing.correction import CorrectionApplied
from app.invoicing.terms.taxation import TaxTreatment

Shares = Mapping[str, Decimal]


@dataclass(frozen=True, slots=True)
class InvoiceDiscount:
    """A coupon as it was taken off. `base` is what its lines had left; `coupon` the coupon then.
    `subscription_id`: which of the invoice's subscriptions it was a use of; None: all of them.
    """

    id: str
    invoice_id: str
    position: int
    coupon_id: str
    attachment_id: str
    description: str
    amount: Decimal
    base: Decimal
    currency: str
    coupon: Mapping[str, Any] = field(repr=False)
    shares: Shares = field(repr=False)
    subscription_id: str | None = None


@dataclass(frozen=True, slots=True)
class InvoiceTax:
    """A tax as it was asked. `taxable` is what it was taken on; `rate` the rate as it was.

    `included`: the lines hold it already. One that was not charged has amount 0, and
    `treatment` says why.
    """

    id: str
    invoice_id: str
    position: int
    tax_rate_id: str
    association_id: str
    exemption_id: str | None
    description: str
    percent: Decimal | None
    included: bool
    treatment: TaxTreatment
    taxable: Decimal
    amount: Decimal
    currency: str
    rate: Mapping[str, Any] = field(repr=False)
    shares: Shares = field(repr=False)


@dataclass(frozen=True, slots=True)
class InvoicePrepaid:
    """What a prepaid balance pays of the invoice."""

    id: str
    invoice_id: str
    position: int
    balance_id: str
    amount: Decimal
    currency: str
    shares: Shares = field(repr=False)


@dataclass(frozen=True, slots=True)
class CreditTaken:
    """What a credit of an earlier invoice pays of this one, once it is issued."""

    balance_id: str
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Applied:
    """All that was applied to one invoice, each in its order."""

    discounts: tuple[InvoiceDiscount, ...] = ()
    prepaid: tuple[InvoicePrepaid, ...] = ()
    taxes: tuple[InvoiceTax, ...] = ()
    credits: tuple[CreditTaken, ...] = ()
    corrections: tuple[CorrectionApplied, ...] = ()


NOTHING_APPLIED = Applied()


def described(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """A snapshot as JSON: decimals as plain text, instants as ISO 8601."""
    return {name: _plain(value) for name, value in row.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return format(value.normalize(), "f")
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return described(value)
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value if value is None or isinstance(value, bool | int) else str(value)
