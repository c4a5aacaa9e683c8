"""Who has a coupon: a customer, one subscription of theirs, or one line of that. Pure."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class CouponAttachment:
    """A row as everyone above the table sees it.

    `subscription_id` None: all invoices of the customer; `line_item_id` None: all lines. It is
    taken off invoices whose tax point lies from `starts_at` until before `ends_at` (None: no
    end). Ending where it starts, it never was.
    """

    id: str
    coupon_id: str
    customer_id: str
    subscription_id: str | None
    line_item_id: str | None
    starts_at: datetime
    ends_at: datetime | None
    created_at: datetime
    updated_at: datetime

    @property
    def owner_id(self) -> str:
        """The narrowest thing that it is attached to."""
        return self.line_item_id or self.subscription_id or self.customer_id

    @property
    def narrowness(self) -> int:
        """2 for a line's, 1 for a subscription's, 0 for a customer's."""
        return 2 if self.line_item_id else 1 if self.subscription_id else 0

    def used_by(self, subscription_id: str | None) -> str | None:
        """Which subscription's use it is on an invoice of this one (None: of none, or several)."""
        return subscription_id or self.subscription_id

    def in_force(self, at: datetime) -> bool:
        return self.starts_at <= at and (self.ends_at is None or at < self.ends_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class AttachCoupon:
    """The coupon by id or by code, and exactly one of whom to attach it to.

    `starts_at` None: from the next invoice on (see `attach`).
    """

    coupon_id: str | None = None
    code: str | None = None
    customer_id: str | None = None
    subscription_id: str | None = None
    line_item_id: str | None = None
    starts_at: datetime | None = None
    ends_at: datetime | None = None
