"""A subscription: a customer on a plan, with the lines it bought and the rhythm of its bills."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from zoneinfo import ZoneInfo

from msgspec import Struct

from app.catalog.price_override import PriceOverride
from app.kernel.period import Alignment, Cadence, Period, Schedule
from app.subscriptions.commitments import CommitmentTerms, HeldCommitment
from app.subscriptions.family import FamilyUsage
from app.subscriptions.pause import PauseSpan


class SubscriptionStatus(StrEnum):
    DRAFT = "draft"
    """Being prepared: bills nothing until it is activated."""
    SCHEDULED = "scheduled"
    """Starts later; the billing run activates it."""
    TRIALING = "trialing"
    """Served free of fees until its trial ends."""
    ACTIVE = "active"
    PAUSED = "paused"
    """Not served, and not charged, until it is resumed."""
    CANCELED = "canceled"
    """Was ended by a cancellation; its last invoice may still be due."""
    ENDED = "ended"
    """Reached the end it was created with, and is billed completely."""


OVER = frozenset({SubscriptionStatus.CANCELED, SubscriptionStatus.ENDED})


class ProrateBy(StrEnum):
    """How the share of a fixed charge for a part of its period is measured."""

    SECONDS = "seconds"
    """In real time."""
    DAYS = "days"
    """In local calendar days; one that is only begun counts in full, for either side of a
    change."""


class CancelMode(StrEnum):
    NOW = "now"
    PERIOD_END = "period_end"
    AT = "at"


class CancelReason(StrEnum):
    CUSTOMER_REQUEST = "customer_request"
    TOO_EXPENSIVE = "too_expensive"
    MISSING_FEATURES = "missing_features"
    SWITCHED_SERVICE = "switched_service"
    UNUSED = "unused"
    LOW_QUALITY = "low_quality"
    NONPAYMENT = "nonpayment"
    OTHER = "other"


class CollectionMethod(StrEnum):
    CHARGE_AUTOMATICALLY = "charge_automatically"
    SEND_INVOICE = "send_invoice"


@dataclass(frozen=True, slots=True)
class Trial:
    """Free of fees from the subscription's start until `ends_at` (exclusive).

    `days` is how many local calendar days it was said to last, None where its end was named.
    `bills_usage`: usage in the trial is billed when it ends. `planned_end` is what the end was
    before somebody changed it, None where nobody has. `told`: its end was told when asked for.
    """

    ends_at: datetime
    days: int | None = None
    bills_usage: bool = False
    planned_end: datetime | None = None
    told: bool = False


@dataclass(frozen=True, slots=True)
class Cancellation:
    """`ended_at` is the end that the subscription had before, which uncanceling restores.

    `final_invoice` False: what the last period owes in arrears is not asked for.
    """

    requested_at: datetime
    mode: CancelMode
    final_invoice: bool = True
    reason: CancelReason | None = None
    comment: str | None = None
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Cut:
    """What was billed in advance at the point `at` was billed until `until` only, because an end
    or a pause was known to come; should it not come, billing goes on from there."""

    at: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class PaymentTerms:
    """How invoices are to be paid.

    `net_days`: days from issue until they are due, None: as the environment says.
    `auto_invoice_threshold`: once the period's usage that is not billed yet comes to this
    amount, in the subscription's currency, it is billed at once; None: at the period's end.
    `parent_pays`: whether invoices go to the customer's parent; None: as the customer says.
    """

    net_days: int | None = None
    collection_method: CollectionMethod = CollectionMethod.CHARGE_AUTOMATICALLY
    purchase_order: str | None = None
    auto_invoice_threshold: Decimal | None = None
    parent_pays: bool | None = None


class Subscription(Struct, frozen=True):
    """A row as everyone above the table sees it.

    Served from `starts_at` until `ends_at` (exclusive; None: until canceled), but for its
    pauses. `timezone` is an IANA name, fixed at creation. `anchor_given` and `start_given` say
    whether anchor and start were named, or follow from trial, activation and creation.
    `billed_until` is the last point of billing that is done (see periods.py); None before the
    first. `current_period` is the one that billing has reached. `threshold_until` is until when
    usage was billed by the last invoice that a threshold made. `revision` counts the changes of
    the row: a change is refused where it is not the one that was read. `changed_at` are the
    instants within periods at which changes were charged for, each a point of billing.
    `next_change_at` is when the next scheduled change takes effect; nothing from then on is
    billed before it has. `prorate_by` is fixed when it is created. `families` says when the usage
    of the customer's children counts, in order.
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
    anchor_given: bool
    cadence: Cadence
    starts_at: datetime
    start_given: bool
    ends_at: datetime | None
    trial: Trial | None
    pauses: tuple[PauseSpan, ...]
    cuts: tuple[Cut, ...]
    cancellation: Cancellation | None
    terms: PaymentTerms
    current_period: Period
    billed_until: datetime | None
    threshold_until: datetime | None
    revision: int
    metadata: Mapping[str, str]
    created_at: datetime
    updated_at: datetime
    changed_at: tuple[datetime, ...] = ()
    next_change_at: datetime | None = None
    commitments: tuple[HeldCommitment, ...] = ()
    prorate_by: ProrateBy = ProrateBy.SECONDS
    families: tuple[FamilyUsage, ...] = ()

    @property
    def schedule(self) -> Schedule:
        return Schedule(self.cadence, ZoneInfo(self.timezone), self.alignment, self.anchor)

    @property
    def charged_from(self) -> datetime:
        """The start of the first period that is charged for: after the trial where there is one."""
        return self.starts_at if self.trial is None else self.trial.ends_at

    def paused_at(self, at: datetime) -> PauseSpan | None:
        return next((pause for pause in self.pauses if pause.covers(at)), None)

    def status_at(self, at: datetime) -> SubscriptionStatus:
        """What it is at `at`, whether or not billing has come that far."""
        if self.status in (SubscriptionStatus.DRAFT, SubscriptionStatus.CANCELED):
            return self.status
        if self.ends_at is not None and at >= self.ends_at:
            canceled = self.cancellation is not None
            return SubscriptionStatus.CANCELED if canceled else SubscriptionStatus.ENDED
        if at < self.starts_at:
            return SubscriptionStatus.SCHEDULED
        if self.paused_at(at) is not None:
            return SubscriptionStatus.PAUSED
        return SubscriptionStatus.TRIALING if at < self.charged_from else SubscriptionStatus.ACTIVE


class FirstFee(StrEnum):
    """How a line that begins within a period is charged in advance for the rest of it."""

    PRORATED = "prorated"
    """When it begins."""
    NONE = "none"
    """Not at all."""
    NEXT_INVOICE = "next_invoice"
    """With the bill of the subscription's period that it begins in."""


class LineItem(Struct, frozen=True):
    """One price of a subscription. Identity of a billed line is (line item, period).

    `quantity` is held for fixed charges and None for usage. `price_hash` is the price's
    content hash when it was bought. A change ends a line and begins another, which names the
    change, what it took over from (`replaces_id`), and as `line_key` the id of the first line
    of their history. `holding_id` is the key of the addon that it was bought with; None: the plan.
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
    line_key: str = ""
    first_fee: FirstFee = FirstFee.PRORATED
    change_id: str | None = None
    replaces_id: str | None = None
    holding_id: str | None = None

    def covers(self, at: datetime) -> bool:
        return self.starts_at <= at and (self.ends_at is None or at < self.ends_at)


@dataclass(frozen=True, slots=True)
class Held:
    """How much of a fixed charge a subscription holds, such as seats."""

    price_id: str
    quantity: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Override:
    """What is paid instead of a price that is bought; `quantity` None: as is said elsewhere."""

    price_id: str
    terms: PriceOverride = field(default_factory=PriceOverride)
    quantity: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateSubscription:
    """None takes the default: the customer's currency and time zone; now; `starts_at`.

    `price_ids` are the prices of the plan to buy; None: all in the subscription's currency that
    are charged once or in its cadence. A price's cadence may be a multiple of the
    subscription's. Of a fixed charge that `quantities` does not name, 1 is held. `overrides` are
    prices of its own, instead of some that it buys. The trial is the one named here
    (`trial_days` 0: none), else the one that the prices state. `family_usage`: the usage of the
    customer's children counts; `lines_per_customer`: on lines of their own.
    """

    customer_id: str
    plan_id: str
    draft: bool = False
    currency: str | None = None
    timezone: str | None = None
    alignment: Alignment = "anniversary"
    cadence: Cadence = field(default_factory=lambda: Cadence("month"))
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    anchor: datetime | None = None
    trial_ends_at: datetime | None = None
    trial_days: int | None = None
    bills_trial_usage: bool = False
    price_ids: tuple[str, ...] | None = None
    quantities: tuple[Held, ...] = ()
    overrides: tuple[Override, ...] = ()
    terms: PaymentTerms = field(default_factory=PaymentTerms)
    commitments: tuple[CommitmentTerms, ...] = ()
    prorate_by: ProrateBy | None = None  # None: as the environment's settings say
    family_usage: bool = False
    lines_per_customer: bool = False
    metadata: Mapping[str, str] = field(default_factory=dict)
