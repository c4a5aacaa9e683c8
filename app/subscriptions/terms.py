"""The terms of a new subscription: what its command leaves open filled in, all checked. Pure."""

from dataclasses import dataclass
from datetime import UTC, datetime

from app.catalog.price import cadence
from app.customers.customer import Customer
from app.kernel import checks
from app.kernel.errors import Invalid
from app.kernel.period import Alignment, Cadence
from app.subscriptions.subscription import CreateSubscription

EARLIEST, LATEST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Terms:
    currency: str
    timezone: str
    alignment: Alignment
    cadence: Cadence
    starts_at: datetime
    ends_at: datetime | None
    anchor: datetime
    metadata: dict[str, str]


def terms_of(command: CreateSubscription, customer: Customer, *, at: datetime) -> Terms:
    """Raises: Invalid."""
    starts_at = _within(command.starts_at or at, "startsAt")
    if command.ends_at is not None:
        check_end(command.ends_at, after=starts_at)
    return Terms(
        currency=_currency(command, customer),
        timezone=checks.timezone(command.timezone or customer.timezone),
        alignment=command.alignment,
        cadence=cadence(command.cadence.unit, command.cadence.count),
        starts_at=starts_at,
        ends_at=command.ends_at,
        anchor=_anchor(command, starts_at),
        metadata=checks.metadata(command.metadata),
    )


def check_end(ends_at: datetime, *, after: datetime) -> None:
    """Raises: Invalid (INVALID_ENDS_AT)."""
    if _within(ends_at, "endsAt") <= after:
        raise Invalid(
            f"endsAt: {ends_at.isoformat()} must lie after {after.isoformat()}",
            field="endsAt",
            code="INVALID_ENDS_AT",
        )


def _currency(command: CreateSubscription, customer: Customer) -> str:
    currency = command.currency or customer.currency
    if currency is None:
        raise Invalid(
            f"currency: customer {customer.id} has no currency of its own; name one",
            field="currency",
            code="CURRENCY_REQUIRED",
        )
    return checks.currency(currency)


def _anchor(command: CreateSubscription, starts_at: datetime) -> datetime:
    if command.anchor is None:
        return starts_at
    if command.alignment == "calendar":
        raise Invalid(
            "anchor: calendar periods begin with the calendar's; leave the anchor out",
            field="anchor",
            code="INVALID_ANCHOR",
        )
    return _within(command.anchor, "anchor")


def _within(at: datetime, field: str) -> datetime:
    if not EARLIEST <= at < LATEST:
        raise checks.invalid(
            field, f"{at.isoformat()} must lie from {EARLIEST.year} to before {LATEST.year}"
        )
    return at
