"""What queries and mutations of subscriptions take."""

from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import Any, cast

import strawberry
from strawberry import UNSET

from app.graphql.cadences import CadenceInput, CadenceUnit
from app.graphql.filters import (
    DateTimeFilter,
    EnumFilter,
    IdFilter,
    MetadataFilter,
    StringFilter,
    and_filters,
    not_filter,
    or_filters,
)
from app.graphql.paging import Direction
from app.graphql.patch import present
from app.graphql.scalars import Metadata
from app.kernel.period import Alignment, Cadence
from app.subscriptions.subscription import (
    CancelMode,
    CreateSubscription,
    Held,
    SubscriptionStatus,
)

strawberry.enum(SubscriptionStatus, description="Where a subscription is in its life.")
strawberry.enum(CancelMode, name="SubscriptionCancelMode", description="When to end it.")


@strawberry.enum(description="Where billing periods begin.")
class BillingAlignment(Enum):
    ANNIVERSARY = strawberry.enum_value(
        "anniversary", description="At the local date and time of the anchor."
    )
    CALENDAR = strawberry.enum_value(
        "calendar", description="With the local day, week, month or year; the first may be short."
    )


@strawberry.input(description="Which subscriptions to list; all conditions given must hold.")
class SubscriptionFilter:
    id: IdFilter | None = strawberry.field(description="By id.", default=UNSET)
    customer_id: IdFilter | None = strawberry.field(description="By customer.", default=UNSET)
    plan_id: IdFilter | None = strawberry.field(description="By plan.", default=UNSET)
    plan_version_id: IdFilter | None = strawberry.field(
        description="By version of a plan.", default=UNSET
    )
    status: EnumFilter[SubscriptionStatus] | None = strawberry.field(
        description="By where they are in their life.", default=UNSET
    )
    currency: StringFilter | None = strawberry.field(description="By currency.", default=UNSET)
    alignment: EnumFilter[BillingAlignment] | None = strawberry.field(
        description="By where their periods begin.", default=UNSET
    )
    cadence_unit: EnumFilter[CadenceUnit] | None = strawberry.field(
        description="By the unit of their cadence.", default=UNSET
    )
    starts_at: DateTimeFilter | None = strawberry.field(
        description="By when they start.", default=UNSET
    )
    ends_at: DateTimeFilter | None = strawberry.field(
        description="By when they end.", default=UNSET
    )
    current_period_start: DateTimeFilter | None = strawberry.field(
        description="By the start of the period that billing has reached.", default=UNSET
    )
    current_period_end: DateTimeFilter | None = strawberry.field(
        description="By the end of the period that billing has reached.", default=UNSET
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
    and_: list["SubscriptionFilter"] | None = and_filters()
    or_: list["SubscriptionFilter"] | None = or_filters()
    not_: "SubscriptionFilter | None" = not_filter()


@strawberry.enum(description="What subscriptions can be ordered by.")
class SubscriptionOrderField(Enum):
    CREATED_AT = strawberry.enum_value("created_at", description="When they were created.")
    UPDATED_AT = strawberry.enum_value("updated_at", description="When they last changed.")
    STARTS_AT = strawberry.enum_value("starts_at", description="When they start.")
    CURRENT_PERIOD_START = strawberry.enum_value(
        "current_period_start", description="Start of the period that billing has reached."
    )
    CURRENT_PERIOD_END = strawberry.enum_value(
        "current_period_end", description="End of the period that billing has reached."
    )
    ID = strawberry.enum_value("id", description="Their id.")


@strawberry.input(description="One key of the order of subscriptions.")
class SubscriptionOrder:
    field: SubscriptionOrderField = strawberry.field(description="What to order by.")
    direction: Direction = strawberry.field(description="Which way.", default=Direction.ASC)


@strawberry.input(description="How much of a fixed charge is held.")
class HeldQuantityInput:
    price_id: strawberry.ID = strawberry.field(
        description="A fixed price of the plan, in the subscription's currency and cadence."
    )
    quantity: Decimal = strawberry.field(description="How much, such as seats; not negative.")


@strawberry.input(description="A new subscription.")
class SubscriptionCreateInput:
    customer_id: strawberry.ID = strawberry.field(description="Whom to bill.")
    plan_id: strawberry.ID = strawberry.field(description="What is bought.")
    currency: str | None = strawberry.field(
        description="ISO 4217 code; null: the customer's.", default=None
    )
    timezone: str | None = strawberry.field(
        description="IANA zone; null: the customer's.", default=None
    )
    alignment: BillingAlignment = strawberry.field(
        description="Where periods begin.", default=BillingAlignment.ANNIVERSARY
    )
    cadence: CadenceInput | None = strawberry.field(
        description="How long periods are; null: a month.", default=None
    )
    starts_at: datetime | None = strawberry.field(
        description="Serve from then, past or future; null: from now.", default=None
    )
    ends_at: datetime | None = strawberry.field(
        description="Serve until then; null: until canceled.", default=None
    )
    anchor: datetime | None = strawberry.field(
        description="The instant whose local date and time anniversary periods repeat; null: "
        "the start.",
        default=None,
    )
    quantities: list[HeldQuantityInput] | None = strawberry.field(
        description="How much of fixed charges is held; 1 of those not named.", default=None
    )
    metadata: Metadata | None = strawberry.field(description="Your own notes.", default=None)

    def command(self) -> CreateSubscription:
        """Raises: Invalid."""
        return CreateSubscription(
            customer_id=self.customer_id,
            plan_id=self.plan_id,
            currency=self.currency,
            timezone=self.timezone,
            alignment=cast("Alignment", self.alignment.value),
            cadence=Cadence("month") if self.cadence is None else self.cadence.row(),
            starts_at=self.starts_at,
            ends_at=self.ends_at,
            anchor=self.anchor,
            quantities=tuple(Held(each.price_id, each.quantity) for each in self.quantities or ()),
            metadata=self.metadata or {},
        )


@strawberry.input(
    description="Changes to a subscription. A field that is absent stays as it is; null clears."
)
class SubscriptionUpdateInput:
    id: strawberry.ID = strawberry.field(description="Which subscription.")
    metadata: strawberry.Maybe[Metadata | None] = strawberry.field(
        description="Your own notes; replaces all of them."
    )
    ends_at: strawberry.Maybe[datetime | None] = strawberry.field(
        description="Serve until then, in the future; null: until canceled."
    )

    def patch(self) -> dict[str, Any]:
        return present(self, without=("id",))


@strawberry.input(description="The subscription to end.")
class SubscriptionCancelInput:
    id: strawberry.ID = strawberry.field(description="Which subscription.")
    mode: CancelMode = strawberry.field(description="When.", default=CancelMode.PERIOD_END)
