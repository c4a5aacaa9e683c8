"""An invoice and its lines, as everyone above the tables sees them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

import msgspec
from msgspec import Struct

from app.invoicing.amounts.totals import NOTHING, Totals
from app.kernel.period import Period
from app.kernel.quantity import EXACT
from app.subscriptions.subscription import CollectionMethod
from app.tenants.settings import Layout


class InvoiceStatus(StrEnum):
    """`skipped`: the period was billed and came to nothing, so nobody is sent anything.
    `consolidated`: its lines are asked for on another invoice, with those of other subscriptions;
    it holds the place of its period until that one is void.
    """

    DRAFT = "draft"
    FINALIZED = "finalized"
    VOID = "void"
    SKIPPED = "skipped"
    CONSOLIDATED = "consolidated"


class BillingReason(StrEnum):
    """Why there is an invoice; part of its identity besides subscription and period.

    `subscription_create` asks for the first period's advance fees; `subscription_cycle` for
    what a period that ended owes in arrears and for the next period's advance fees;
    `trial_end` for the first advance fees after a trial; `subscription_update` for advance fees
    of the rest of a period, such as after a pause or a change; `threshold` for usage of a period
    that is under way, once it came to the subscription's threshold. `one_off` was written by
    hand; its identity is the caller's key. `correction` asks for more of periods that were billed.
    """

    SUBSCRIPTION_CREATE = "subscription_create"
    SUBSCRIPTION_CYCLE = "subscription_cycle"
    ONE_OFF = "one_off"
    SUBSCRIPTION_UPDATE = "subscription_update"
    TRIAL_END = "trial_end"
    THRESHOLD = "threshold"
    CORRECTION = "correction"

    @property
    def begins(self) -> bool:
        """Whether its fees fall due as its period begins: a first period, or the rest of one."""
        return self in (BillingReason.SUBSCRIPTION_CREATE, BillingReason.SUBSCRIPTION_UPDATE)


class LineKind(StrEnum):
    """`manual`: written by hand, of no subscription and no price. `commitment` and `true_up`: what
    a commitment to all usage adds for more and for less of it, of no price. `adjustment`: of a
    correction of usage that was billed before."""

    FIXED = "fixed"
    USAGE = "usage"
    COMMITMENT = "commitment"
    TRUE_UP = "true_up"
    MANUAL = "manual"
    ADJUSTMENT = "adjustment"


class PaymentStatus(StrEnum):
    """How an invoice in force stands: `settled` is one that has nothing left to pay and was not
    paid, because it came to nothing or was credited."""

    OPEN = "open"
    PAID = "paid"
    SETTLED = "settled"
    UNCOLLECTIBLE = "uncollectible"


class SettlementKind(StrEnum):
    """Why less is asked for than was due; a reversal asks for it again."""

    PAYMENT = "payment"
    ADJUSTMENT = "adjustment"
    ADJUSTMENT_REVERSAL = "adjustment_reversal"
    WRITE_OFF = "write_off"
    WRITE_OFF_REVERSAL = "write_off_reversal"


@dataclass(frozen=True, slots=True)
class Party:
    """The seller or the customer as printed, kept as they were when the invoice was finalized.

    From `street` on it is what electronic invoices want to know apart: the address in parts
    (`country` an ISO 3166-1 code), and where they are delivered (`electronic_scheme` an ISO 6523
    code).
    """

    name: str
    lines: tuple[str, ...] = ()  # the postal address, top to bottom
    email: str | None = None
    reference: str | None = None  # the seller's own name for the customer
    tax_id: str | None = None
    registration_number: str | None = None
    street: str | None = None
    street2: str | None = None
    city: str | None = None
    state: str | None = None
    postal_code: str | None = None
    country: str | None = None
    electronic_scheme: str | None = None
    electronic_id: str | None = None
    iban: str | None = None  # of the seller


@dataclass(frozen=True, slots=True)
class Subscriber:
    """Whose subscription is asked for; `reference` is the seller's own name for the customer."""

    customer_id: str
    name: str
    reference: str


@dataclass(frozen=True, slots=True)
class Presentation:
    """What a document looks like, kept as it was when it was issued. `locale` is a BCP 47 tag,
    `logo` the key of an image in the bucket. `headings` is what lines stand under, by the id of
    their line item, else of their subscription; the others stand under their kind. `subscribers`
    are by the ids of the subscriptions that the one who is billed pays for; its own are absent."""

    layout: Layout = "standard"
    locale: str = "en-US"
    payment_terms: str = ""
    logo: str | None = None
    headings: Mapping[str, str] = field(default_factory=dict)
    subscribers: Mapping[str, Subscriber] = field(default_factory=dict)

    def heading(self, line: "InvoiceLine") -> str | None:
        """What the line stands under; None: its kind."""
        return line.section or self.headings.get(line.place)

    @property
    def subscriber(self) -> Subscriber | None:
        """Whose all of it is, other than who is billed; None where nobody or several are."""
        found = set(self.subscribers.values())
        return found.pop() if len(found) == 1 else None


class Invoice(Struct, frozen=True):
    """A row as everyone above the table sees it.

    `number`, `issued_at`, `due_at`, `seller` and `bill_to` are None until it is finalized.
    `period` is what was billed in arrears; fees in advance carry their own period on the line.
    `usage_watermark` is an instant: what was accepted before it was counted, and nothing else.
    `zone_data` is the version of the time-zone data that its periods were computed by.
    `finalize_at` is when the wait for late events is over; None: it is finalized by hand.
    `net_days`, `collection_method` and `purchase_order` are the subscription's when it was
    drafted. `source_id` is the caller's key of an invoice that is no period's. `edited`: by hand,
    so that it is not computed again by itself. `amount_remaining` is what is still asked for: of
    an invoice in force, what is due less its settlements; else 0.
    """

    id: str
    customer_id: str
    subscription_id: str | None
    status: InvoiceStatus
    reason: BillingReason
    period: Period
    timezone: str
    currency: str
    totals: Totals
    number: str | None
    issued_at: datetime | None
    due_at: datetime | None
    finalize_at: datetime | None
    finalized_at: datetime | None
    voided_at: datetime | None
    void_reason: str | None
    seller: Party | None
    bill_to: Party | None
    pdf_key: str | None
    engine_version: str
    catalog_hash: str
    zone_data: str
    usage_watermark: datetime | None
    metadata: Mapping[str, str]
    created_at: datetime
    updated_at: datetime
    source_id: str | None = None
    net_days: int | None = None
    collection_method: CollectionMethod | None = None
    purchase_order: str | None = None
    memo: str | None = None
    edited: bool = False
    replaces_id: str | None = None
    replaced_by_id: str | None = None
    amount_remaining: Decimal = Decimal(0)
    paid_at: datetime | None = None
    uncollectible_at: datetime | None = None
    uncollectible_reason: str | None = None
    presentation: Presentation | None = None
    # Of a consolidated invoice the subscriptions whose lines it has, in their order; else none.
    subscription_ids: tuple[str, ...] = ()
    consolidated_into_id: str | None = None  # the invoice that has its lines instead
    # What has to be said about its taxes, such as whose the reverse charge is.
    tax_notes: tuple[str, ...] = ()
    # How the lines led to what is due: the `rules` in force then, and the `steps` where anything
    # was applied (see amounts/steps.py).
    reckoning: Mapping[str, Any] = msgspec.field(default_factory=dict)

    @property
    def owners(self) -> tuple[str, ...]:
        """The ids of the subscriptions that it is of."""
        return self.subscription_ids if self.subscription_id is None else (self.subscription_id,)

    @property
    def tax_point(self) -> datetime:
        """The instant that coupons, taxes and exemptions are judged by: not when it is drafted,
        so that a late run bills as one in time. Fees of a first period, and of the rest of one,
        fall due as it begins."""
        return self.period.start if self.reason.begins else self.period.end

    @property
    def payment_status(self) -> PaymentStatus | None:
        """None where it is not in force."""
        if self.status is not InvoiceStatus.FINALIZED:
            return None
        if self.uncollectible_at is not None:
            return PaymentStatus.UNCOLLECTIBLE
        if self.amount_remaining:
            return PaymentStatus.OPEN
        return PaymentStatus.SETTLED if self.paid_at is None else PaymentStatus.PAID


class InvoiceLine(Struct, frozen=True):
    """What is asked for one line item (or one group of it) over its own service period.

    `amount` is rounded to the minor unit, once; `discount`, `prepaid` and `tax` are its shares of
    the invoice's (see `Totals`), and what is asked for the line is `total`. `price` is the price
    as it was, content and id; `explanation` is the tree that evaluates to `amount` (see
    explanation.py).
    `group` names the property values that a usage line stands for, None for events that had
    none; {} where it is not grouped.
    """

    id: str
    invoice_id: str
    position: int
    kind: LineKind
    subscription_line_item_id: str | None
    price_id: str | None
    meter_id: str | None
    description: str
    group: Mapping[str, str | None]
    quantity: Decimal
    amount: Decimal
    currency: str
    service: Period
    price: Mapping[str, Any]
    explanation: Mapping[str, Any]
    discount: Decimal = NOTHING
    prepaid: Decimal = NOTHING
    tax: Decimal = NOTHING
    tax_included: Decimal = NOTHING
    # The steps of its shares (see amounts/steps.py); None where nothing was applied.
    shares: Sequence[Mapping[str, Any]] | None = None
    subscription_id: str | None = None  # None: written by hand
    # The heading it is printed under; None: that of its kind.
    section: str | None = None
    correction_id: str | None = None  # of an adjustment

    @property
    def place(self) -> str:
        """What its heading is kept under: lines of a whole subscription have no item."""
        return self.subscription_line_item_id or self.subscription_id or ""

    @property
    def total(self) -> Decimal:
        """The amount less its discount and prepaid credits, with the tax on top."""
        taken = EXACT.add(self.discount, self.prepaid)
        added = EXACT.subtract(self.tax, self.tax_included)
        return EXACT.add(EXACT.subtract(self.amount, taken), added)


@dataclass(frozen=True, slots=True)
class Settlement:
    """An entry of an invoice's account: `amount` comes off what is due; below zero it comes back.

    `source_id` names what caused it, such as a payment or a credit note.
    """

    id: str
    invoice_id: str
    kind: SettlementKind
    amount: Decimal
    currency: str
    source_id: str | None
    reason: str | None
    created_at: datetime


__all__ = [
    "BillingReason",
    "Invoice",
    "InvoiceLine",
    "InvoiceStatus",
    "LineKind",
    "Party",
    "PaymentStatus",
    "Presentation",
    "Settlement",
    "SettlementKind",
    "Totals",
]
