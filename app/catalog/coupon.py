"""A coupon: how much is taken off, of what, how often, and who may still redeem it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum


class CouponKind(StrEnum):
    PERCENTAGE = "percentage"
    FIXED = "fixed"


class CouponDuration(StrEnum):
    ONCE = "once"
    """On the first invoice that it takes something off."""
    REPEATED = "repeated"
    """On as many invoices of a subscription as it has periods."""
    FOREVER = "forever"


class CouponLevel(StrEnum):
    INVOICE = "invoice"
    """Off all its lines together."""
    LINE = "line"
    """Off each of its lines on its own, and before what is taken off the invoice."""


class CouponStatus(StrEnum):
    ACTIVE = "active"
    ARCHIVED = "archived"
    """Nobody redeems it any more; who has it keeps it."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a coupon may be taken off: lines of any of these; none at all means everything.

    A price stands for the rows that replace it and for its copies in later versions of its plan:
    `lineage_ids` are those of the prices, as `create` finds them.
    """

    plan_ids: tuple[str, ...] = ()
    price_ids: tuple[str, ...] = ()
    feature_ids: tuple[str, ...] = ()
    lineage_ids: tuple[str, ...] = ()

    @property
    def unlimited(self) -> bool:
        return not (self.plan_ids or self.price_ids or self.feature_ids)

    def cover(self, plan_id: str | None, lineage_id: str | None, feature_id: str | None) -> bool:
        """Whether a line of that plan, price and feature is among it."""
        return (
            self.unlimited
            or plan_id in self.plan_ids
            or lineage_id in self.lineage_ids
            or feature_id in self.feature_ids
        )


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a coupon cannot be redeemed. `code` is stable."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Coupon:
    """A row as everyone above the table sees it.

    `percent_off` (10 is 10 %) or `amount_off` (major units of `currency`), as `kind` says. A
    percentage with a currency is for invoices in it alone. `code` is what customers enter; it
    never changes and is unique, whatever the case of its letters, among what is not archived.
    `periods` belongs to a repeated one. It can be redeemed from `redeem_from` until before
    `redeem_until`, `max_redemptions` times; None: at any time, without a limit.
    """

    id: str
    name: str
    code: str
    kind: CouponKind
    percent_off: Decimal | None
    amount_off: Decimal | None
    currency: str | None
    duration: CouponDuration
    periods: int | None
    level: CouponLevel
    limits: Limits
    redeem_from: datetime | None
    redeem_until: datetime | None
    max_redemptions: int | None
    redemptions: int
    metadata: Mapping[str, str]
    status: CouponStatus
    created_at: datetime
    updated_at: datetime
    archived_at: datetime | None

    @property
    def most_invoices(self) -> int | None:
        """On how many invoices it is taken off; None: on all."""
        return 1 if self.duration is CouponDuration.ONCE else self.periods

    def problems(self, at: datetime, currency: str | None) -> Iterator[Problem]:
        """Why it cannot be redeemed at `at` by somebody billed in `currency` (None: in any)."""
        if self.status is CouponStatus.ARCHIVED:
            yield Problem("COUPON_ARCHIVED", "it is archived")
        if self.redeem_from is not None and at < self.redeem_from:
            yield Problem(
                "COUPON_NOT_ACTIVE", f"it can be redeemed from {self.redeem_from.isoformat()}"
            )
        if self.redeem_until is not None and at >= self.redeem_until:
            yield Problem(
                "COUPON_EXPIRED", f"it could be redeemed until {self.redeem_until.isoformat()}"
            )
        if self.max_redemptions is not None and self.redemptions >= self.max_redemptions:
            yield Problem(
                "REDEMPTION_LIMIT_REACHED", f"all {self.max_redemptions} redemptions are taken"
            )
        if None not in (self.currency, currency) and self.currency != currency:
            yield Problem("CURRENCY_MISMATCH", f"it is for {self.currency}, not {currency}")


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateCoupon:
    """Exactly one of `percent_off` and `amount_off`; the latter takes a currency."""

    name: str
    code: str
    percent_off: Decimal | None = None
    amount_off: Decimal | None = None
    currency: str | None = None
    duration: CouponDuration = CouponDuration.ONCE
    periods: int | None = None
    level: CouponLevel = CouponLevel.INVOICE
    limits: Limits = field(default_factory=Limits)
    redeem_from: datetime | None = None
    redeem_until: datetime | None = None
    max_redemptions: int | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
