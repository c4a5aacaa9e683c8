"""A subscription: a customer on a plan, with the lines it bought and the rhythm of its bills."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from zoneinfo import ZoneInfo

from app.catalog.price import Price
from app.kernel.period import Alignment, Cadence, Period, Schedule


class SubscriptionStatus(StrEnum):
    SCHEDULED = "scheduled"
    """Starts later; the billing run activates it."""
    ACTIVE = "active"
    CANCELED = "canceled"
    """Was ended by a cancellation; its last invoice may still be due."""
    ENDED = "ended"
    """Reached the end it was created with, and is billed completely."""


OVER = frozenset({SubscriptionStatus.CANCELED, SubscriptionStatus.ENDED})


class CancelMode(StrEnum):
    NOW = "now"
    PERIOD_END = "period_end"


@dataclass(frozen=True, slots=True)
class Subscription:
    """A row as everyone above the table sees it.

    Served from `starts_at` until `ends_at` (exclusive; None: until canceled). `timezone` is an
    IANA name, fixed at creation. `billed_until` is the last instant of billing that is done:
    the start, a boundary between periods, or the end; None before the first.
    `current_period` is the one that billing has reached.
    """

    id: str
    customer_id: str
    plan_id: str
    plan_version_id: str
    status: SubscriptionStatus
    currency: str
    timezone: str
    alignment: Alignment
    anchor: datetime
    cadence: Cadence
    starts_at: datetime
    ends_at: datetime | None
    current_period: Period
    billed_until: datetime | None
    cancel_requested_at: datetime | None
    metadata: Mapping[str, str]
    created_at: datetime
    updated_at: datetime

    @property
    def schedule(self) -> Schedule:
        return Schedule(self.cadence, ZoneInfo(self.timezone), self.alignment, self.anchor)


@dataclass(frozen=True, slots=True)
class LineItem:
    """One price of a subscription. Identity of a billed line is (line item, period).

    `quantity` is held for fixed charges and None for usage. `price_hash` is the price's
    content hash when it was bought.
    """

    id: str
    subscription_id: str
    price_id: str
    price_hash: str
    quantity: Decimal | None
    starts_at: datetime
    ends_at: datetime | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class BillableSubscription:
    """A subscription with every line it ever had, each with its price."""

    subscription: Subscription
    lines: tuple[tuple[LineItem, Price], ...]


@dataclass(frozen=True, slots=True)
class Held:
    """How much of a fixed charge a subscription holds, such as seats."""

    price_id: str
    quantity: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateSubscription:
    """None takes the default: the customer's currency and time zone; now; `starts_at`.

    Of a fixed charge that `quantities` does not name, 1 is held.
    """

    customer_id: str
    plan_id: str
    currency: str | None = None
    timezone: str | None = None
    alignment: Alignment = "anniversary"
    cadence: Cadence = field(default_factory=lambda: Cadence("month"))
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    anchor: datetime | None = None
    quantities: tuple[Held, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
