"""The terms of a subscription: what its command leaves open filled in, all checked. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from app.catalog.price import cadence
from app.catalog.prices import numbers
from app.customers.customer import Customer
from app.kernel import checks
from app.kernel.copies import replace
from app.kernel.errors import Invalid
from app.kernel.period import Alignment, Cadence, Schedule
from app.subscriptions.subscription import CreateSubscription, PaymentTerms

EARLIEST, LATEST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
MOST_NET_DAYS = 365
# How many periods may have passed when a subscription starts: each becomes an invoice at once.
MOST_ELAPSED = 500


@dataclass(frozen=True, slots=True)
class Terms:
    currency: str
    timezone: str
    alignment: Alignment
    cadence: Cadence
    starts_at: datetime
    ends_at: datetime | None
    anchor: datetime | None
    payment: PaymentTerms
    metadata: dict[str, str]


def terms_of(
    command: CreateSubscription, customer: Customer, *, at: datetime, payer: Customer | None = None
) -> Terms:
    """`payer`: whom its invoices are addressed to; None: to the customer. Raises: Invalid."""
    starts_at = within(command.starts_at or at, "startsAt")
    if command.ends_at is not None:
        check_end(command.ends_at, after=starts_at)
    return Terms(
        currency=_currency(command, customer, payer or customer),
        timezone=checks.timezone(command.timezone or customer.timezone),
        alignment=command.alignment,
        cadence=cadence(command.cadence.unit, command.cadence.count),
        starts_at=starts_at,
        ends_at=command.ends_at,
        anchor=anchor(command.anchor, command.alignment),
        payment=payment_terms(command.terms),
        metadata=checks.metadata(command.metadata),
    )


def check_end(ends_at: datetime, *, after: datetime) -> None:
    """Raises: Invalid (INVALID_ENDS_AT)."""
    if within(ends_at, "endsAt") <= after:
        raise checks.invalid("endsAt", f"{ends_at.isoformat()} must lie after {after.isoformat()}")


def check_backdating(schedule: Schedule, starts_at: datetime, *, at: datetime) -> None:
    """Raises: Invalid (BACKDATED_TOO_FAR) where more than `MOST_ELAPSED` periods have passed."""
    units = schedule.index_at(max(at, starts_at)) - schedule.index_at(starts_at)
    elapsed = units // schedule.cadence.count
    if elapsed > MOST_ELAPSED:
        raise Invalid(
            f"startsAt: {elapsed} periods have passed since {starts_at.isoformat()}, and each "
            f"would be billed at once; at most {MOST_ELAPSED} may have",
            field="startsAt",
            code="BACKDATED_TOO_FAR",
        )


def anchor(given: datetime | None, alignment: Alignment) -> datetime | None:
    """Raises: Invalid (INVALID_ANCHOR)."""
    if given is None:
        return None
    if alignment == "calendar":
        raise checks.invalid(
            "anchor", "calendar periods begin with the calendar's; leave the anchor out"
        )
    return within(given, "anchor")


def payment_terms(terms: PaymentTerms) -> PaymentTerms:
    """Raises: Invalid."""
    days, threshold = terms.net_days, terms.auto_invoice_threshold
    if days is not None and not 0 <= days <= MOST_NET_DAYS:
        raise checks.invalid("netDays", f"{days} must lie between 0 and {MOST_NET_DAYS}")
    if threshold is not None:
        numbers.positive(threshold, "autoInvoiceThreshold")
    order = checks.optional_text(terms.purchase_order, "purchaseOrder", longest=64)
    return replace(terms, purchase_order=order)


def changed_terms(terms: PaymentTerms, patch: Mapping[str, Any]) -> PaymentTerms:
    """The terms with the fields that the patch names. Raises: Invalid."""
    fields = (
        "net_days",
        "collection_method",
        "purchase_order",
        "auto_invoice_threshold",
        "parent_pays",
    )
    changes = {name: patch[name] for name in fields if name in patch}
    if "collection_method" in changes:
        checks.required(changes["collection_method"], "collectionMethod")
    return payment_terms(replace(terms, **changes)) if changes else terms


def within(at: datetime, field: str) -> datetime:
    if not EARLIEST <= at < LATEST:
        raise checks.invalid(
            field, f"{at.isoformat()} must lie from {EARLIEST.year} to before {LATEST.year}"
        )
    return at


def _currency(command: CreateSubscription, customer: Customer, payer: Customer) -> str:
    currency = command.currency or payer.currency or customer.currency
    if currency is None:
        raise Invalid(
            f"currency: customer {customer.id} has no currency of its own; name one",
            field="currency",
            code="CURRENCY_REQUIRED",
        )
    return checks.currency(currency)
