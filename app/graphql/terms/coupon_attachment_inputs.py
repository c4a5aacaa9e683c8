"""What queries and mutations of who has coupons take."""

from datetime import datetime
from enum import Enum

import strawberry
from strawberry import UNSET

from app.graphql.filters import (
    DateTimeFilter,
    IdFilter,
    and_filters,
    not_filter,
    or_filters,
)
from app.graphql.paging import Direction
from app.invoicing.terms.attachment import AttachCoupon


@strawberry.input(description="Which attachments to list; all conditions given must hold.")
class CouponAttachmentFilter:
    id: IdFilter | None = strawberry.field(description="By id.", default=UNSET)
    coupon_id: IdFilter | None = strawberry.field(description="By coupon.", default=UNSET)
    customer_id: IdFilter | None = strawberry.field(
        description="By customer, those of its subscriptions included.", default=UNSET
    )
    subscription_id: IdFilter | None = strawberry.field(
        description="By subscription, those of its lines included.",
        default=UNSET,
    )
    subscription_line_item_id: IdFilter | None = strawberry.field(
        description="By line item.",
        default=UNSET,
    )
    starts_at: DateTimeFilter | None = strawberry.field(
        description="By when they begin.", default=UNSET
    )
    ends_at: DateTimeFilter | None = strawberry.field(
        description="By when they end.", default=UNSET
    )
    created_at: DateTimeFilter | None = strawberry.field(
        description="By when they were made.", default=UNSET
    )
    updated_at: DateTimeFilter | None = strawberry.field(
        description="By when they last changed.", default=UNSET
    )
    and_: list["CouponAttachmentFilter"] | None = and_filters()
    or_: list["CouponAttachmentFilter"] | None = or_filters()
    not_: "CouponAttachmentFilter | None" = not_filter()


@strawberry.enum(description="What attachments can be ordered by.")
class CouponAttachmentOrderField(Enum):
    CREATED_AT = strawberry.enum_value("created_at", description="When they were made.")
    UPDATED_AT = strawberry.enum_value("updated_at", description="When they last changed.")
    STARTS_AT = strawberry.enum_value("starts_at", description="When they begin.")
    ENDS_AT = strawberry.enum_value("ends_at", description="When they end; without end last.")
    ID = strawberry.enum_value("id", description="Their id.")


@strawberry.input(description="One key of the order of attachments.")
class CouponAttachmentOrder:
    field: CouponAttachmentOrderField = strawberry.field(description="What to order by.")
    direction: Direction = strawberry.field(description="Which way.", default=Direction.ASC)


@strawberry.input(
    description="A coupon, by id or by code, and one whom to give it to: a customer, a "
    "subscription, or one of its line items."
)
class CouponAttachInput:
    coupon_id: strawberry.ID | None = strawberry.field(
        description="Which coupon; or name it by `code`.", default=None
    )
    code: str | None = strawberry.field(
        description="As a customer enters it, in letters of any case.", default=None
    )
    customer_id: strawberry.ID | None = strawberry.field(
        description="Take it off all invoices of this customer.", default=None
    )
    subscription_id: strawberry.ID | None = strawberry.field(
        description="Take it off the invoices of this subscription.", default=None
    )
    subscription_line_item_id: strawberry.ID | None = strawberry.field(
        description="Take it off what this line item is charged.", default=None
    )
    starts_at: datetime | None = strawberry.field(
        description="Take it off invoices whose tax point lies then or later; null: from the "
        "next invoice on, be that of a period that is over already.",
        default=None,
    )
    ends_at: datetime | None = strawberry.field(
        description="Take it off invoices whose tax point lies before then; null: as long as the "
        "coupon lasts.",
        default=None,
    )

    def command(self) -> AttachCoupon:
        return AttachCoupon(
            coupon_id=self.coupon_id,
            code=self.code,
            customer_id=self.customer_id,
            subscription_id=self.subscription_id,
            line_item_id=self.subscription_line_item_id,
            starts_at=self.starts_at,
            ends_at=self.ends_at,
        )


@strawberry.input(description="Which attachment of a coupon to end, and when.")
class CouponDetachInput:
    id: strawberry.ID = strawberry.field(description="Which attachment.")
    ends_at: datetime | None = strawberry.field(
        description="Take it off no invoice whose tax point lies then or later; null: from now "
        "on. One that ends already can only end sooner.",
        default=None,
    )
