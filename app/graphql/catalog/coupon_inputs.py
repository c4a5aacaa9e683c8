"""What queries and mutations of coupons take."""

from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import Any

import strawberry
from strawberry import UNSET

from app.catalog.coupon import (
    CouponDuration,
    CouponKind,
    CouponLevel,
    CouponStatus,
    CreateCoupon,
    Limits,
)
from app.graphql.filters import (
    DateTimeFilter,
    EnumFilter,
    IdFilter,
    IntFilter,
    MetadataFilter,
    StringFilter,
    and_filters,
    not_filter,
    or_filters,
)
from app.graphql.paging import Direction
from app.graphql.patch import present
from app.graphql.scalars import Metadata, MoneyInput

strawberry.enum(CouponKind, description="How a coupon says what it takes off.")
strawberry.enum(CouponDuration, description="On how many invoices a coupon is taken off.")
strawberry.enum(CouponLevel, description="What a coupon is worked out on.")
strawberry.enum(CouponStatus, description="Whether a coupon can be redeemed at all.")


@strawberry.input(description="Which coupons to list; all conditions given must hold.")
class CouponFilter:
    id: IdFilter | None = strawberry.field(description="By id.", default=UNSET)
    name: StringFilter | None = strawberry.field(description="By name.", default=UNSET)
    code: StringFilter | None = strawberry.field(
        description="By code, as it was written.", default=UNSET
    )
    kind: EnumFilter[CouponKind] | None = strawberry.field(
        description="By how they say what they take off.", default=UNSET
    )
    duration: EnumFilter[CouponDuration] | None = strawberry.field(
        description="By how often they are taken off.", default=UNSET
    )
    level: EnumFilter[CouponLevel] | None = strawberry.field(
        description="By what they are worked out on.", default=UNSET
    )
    currency: StringFilter | None = strawberry.field(description="By currency.", default=UNSET)
    redeem_from: DateTimeFilter | None = strawberry.field(
        description="By when they can be redeemed from.", default=UNSET
    )
    redeem_until: DateTimeFilter | None = strawberry.field(
        description="By when they can be redeemed until.", default=UNSET
    )
    redemptions: IntFilter | None = strawberry.field(
        description="By how often they were redeemed.", default=UNSET
    )
    status: EnumFilter[CouponStatus] | None = strawberry.field(
        description="By whether they are in use.", default=UNSET
    )
    metadata: MetadataFilter | None = strawberry.field(
        description="By an entry of their metadata.", default=UNSET
    )
    created_at: DateTimeFilter | None = strawberry.field(
        description="By when they were created.", default=UNSET
    )
    updated_at: DateTimeFilter | None = strawberry.field(
        description="By when they last changed.", default=UNSET
    )
    and_: list["CouponFilter"] | None = and_filters()
    or_: list["CouponFilter"] | None = or_filters()
    not_: "CouponFilter | None" = not_filter()


@strawberry.enum(description="What coupons can be ordered by.")
class CouponOrderField(Enum):
    CREATED_AT = strawberry.enum_value("created_at", description="When they were created.")
    UPDATED_AT = strawberry.enum_value("updated_at", description="When they last changed.")
    NAME = strawberry.enum_value("name", description="Their name.")
    CODE = strawberry.enum_value("code", description="Their code.")
    REDEMPTIONS = strawberry.enum_value("redemptions", description="How often they were redeemed.")
    ID = strawberry.enum_value("id", description="Their id.")


@strawberry.input(description="One key of the order of coupons.")
class CouponOrder:
    field: CouponOrderField = strawberry.field(description="What to order by.")
    direction: Direction = strawberry.field(description="Which way.", default=Direction.ASC)


@strawberry.input(
    description="What a coupon may be taken off: lines of any of these; nothing at all means "
    "every line. At most 100 ids each."
)
class CouponLimitsInput:
    plan_ids: list[strawberry.ID] = strawberry.field(
        description="Prices of these plans.", default_factory=list
    )
    price_ids: list[strawberry.ID] = strawberry.field(
        description="These prices.", default_factory=list
    )
    feature_ids: list[strawberry.ID] = strawberry.field(
        description="Usage of these features.", default_factory=list
    )

    def row(self) -> Limits:
        return Limits(tuple(self.plan_ids), tuple(self.price_ids), tuple(self.feature_ids))


@strawberry.input(description="What a coupon takes off: exactly one.", one_of=True)
class CouponOffInput:
    percent: strawberry.Maybe[Decimal] = strawberry.field(
        description="10 is 10 %; above 0 and at most 100, with at most 6 decimals."
    )
    amount: strawberry.Maybe[MoneyInput] = strawberry.field(
        description="A fixed amount, in whole minor units of its currency."
    )


@strawberry.input(description="A new coupon.")
class CouponCreateInput:
    name: str = strawberry.field(description="As people will read it, also on invoices.")
    code: str = strawberry.field(
        description="What customers enter: letters, digits and _ . -, at most 64; case does not "
        "matter. It never changes."
    )
    off: CouponOffInput = strawberry.field(description="What it takes off.")
    currency: str | None = strawberry.field(
        description="ISO 4217 code: take it off invoices in this currency alone. An amount is "
        "taken off those in its own.",
        default=None,
    )
    duration: CouponDuration = strawberry.field(
        description="On how many invoices.", default=CouponDuration.ONCE
    )
    periods: int | None = strawberry.field(
        description="On how many invoices of a subscription a repeated one is taken off: 1 to "
        "1,200.",
        default=None,
    )
    level: CouponLevel = strawberry.field(
        description="What it is worked out on.", default=CouponLevel.INVOICE
    )
    limits: CouponLimitsInput | None = strawberry.field(
        description="What it may be taken off; null: every line.", default=None
    )
    redeem_from: datetime | None = strawberry.field(
        description="It can be redeemed from then; null: from now.", default=None
    )
    redeem_until: datetime | None = strawberry.field(
        description="It can be redeemed until before then; null: without an end.", default=None
    )
    max_redemptions: int | None = strawberry.field(
        description="How often it can be redeemed; null: as often as anybody wants.", default=None
    )
    metadata: Metadata | None = strawberry.field(description="Your own notes.", default=None)

    def command(self) -> CreateCoupon:
        percent, amount = self.off.percent, self.off.amount
        given = {name: value for name, value in vars(self).items() if name != "off"}
        return CreateCoupon(
            **given
            | {
                "percent_off": None if percent is None else percent.value,
                "amount_off": None if amount is None else amount.value.amount,
                "currency": self.currency if amount is None else amount.value.currency,
                "limits": Limits() if self.limits is None else self.limits.row(),
                "metadata": self.metadata or {},
            }
        )


@strawberry.input(
    description="Changes to a coupon. A field that is absent stays as it is; null clears. What "
    "it takes off never changes."
)
class CouponUpdateInput:
    id: strawberry.ID = strawberry.field(description="Which coupon.")
    name: strawberry.Maybe[str] = strawberry.field(description="As people will read it.")
    redeem_from: strawberry.Maybe[datetime | None] = strawberry.field(
        description="It can be redeemed from then."
    )
    redeem_until: strawberry.Maybe[datetime | None] = strawberry.field(
        description="It can be redeemed until before then."
    )
    max_redemptions: strawberry.Maybe[int | None] = strawberry.field(
        description="How often it can be redeemed; no less than it was already."
    )
    metadata: strawberry.Maybe[Metadata | None] = strawberry.field(
        description="Your own notes; replaces all of them."
    )

    def patch(self) -> dict[str, Any]:
        return present(self, without=("id",))


@strawberry.input(description="The coupon to archive.")
class CouponArchiveInput:
    id: strawberry.ID = strawberry.field(description="Which coupon.")


@strawberry.input(description="The archived coupon to put back into use.")
class CouponRestoreInput:
    id: strawberry.ID = strawberry.field(description="Which coupon.")
