"""Pauses of subscriptions in the graph."""

from datetime import datetime
from enum import Enum
from typing import Self

import strawberry
from strawberry import UNSET

from app.graphql.context import Info
from app.graphql.filters import (
    DateTimeFilter,
    EnumFilter,
    IdFilter,
    and_filters,
    not_filter,
    or_filters,
)
from app.graphql.node import Node
from app.graphql.paging import Direction
from app.subscriptions.pause import Pause as Row
from app.subscriptions.pause import PauseBehaviour as PauseBehaviour
from app.subscriptions.pause import PauseStatus

strawberry.enum(PauseBehaviour, description="What a pause does to the ends of periods.")
strawberry.enum(PauseStatus, description="Where a pause is in its life.")


@strawberry.type(description="A span in which a subscription is neither served nor charged.")
class SubscriptionPause(Node):
    subscription_id: strawberry.ID = strawberry.field(description="The subscription it belongs to.")
    starts_at: datetime = strawberry.field(description="Paused from then.")
    ends_at: datetime | None = strawberry.field(
        description="Paused until then; null: until somebody resumes, or the subscription ends."
    )
    behaviour: PauseBehaviour = strawberry.field(
        description="Whether periods end when they would have, or later by the pause."
    )
    reason: str | None = strawberry.field(description="Why.")
    canceled_at: datetime | None = strawberry.field(
        description="When it was taken back, before it began; null otherwise."
    )
    created_at: datetime = strawberry.field(description="When it was asked for.")
    updated_at: datetime = strawberry.field(description="When it last changed.")
    row: strawberry.Private[Row]

    @strawberry.field(description="Where it is in its life, now.")
    async def status(self, info: Info) -> PauseStatus:
        return self.row.status(await info.context.present.subscription(self.subscription_id))

    @classmethod
    def of(cls, row: Row) -> Self:
        return cls(
            id=strawberry.ID(row.id),
            subscription_id=strawberry.ID(row.subscription_id),
            starts_at=row.starts_at,
            ends_at=row.ends_at,
            behaviour=row.behaviour,
            reason=row.reason,
            canceled_at=row.canceled_at,
            created_at=row.created_at,
            updated_at=row.updated_at,
            row=row,
        )


@strawberry.input(description="Which pauses to list; all conditions given must hold.")
class SubscriptionPauseFilter:
    id: IdFilter | None = strawberry.field(description="By id.", default=UNSET)
    subscription_id: IdFilter | None = strawberry.field(
        description="By subscription.", default=UNSET
    )
    behaviour: EnumFilter[PauseBehaviour] | None = strawberry.field(
        description="By what they do to the ends of periods.", default=UNSET
    )
    starts_at: DateTimeFilter | None = strawberry.field(
        description="By when they begin.", default=UNSET
    )
    ends_at: DateTimeFilter | None = strawberry.field(
        description="By when they end.", default=UNSET
    )
    canceled_at: DateTimeFilter | None = strawberry.field(
        description="By when they were taken back.", default=UNSET
    )
    created_at: DateTimeFilter | None = strawberry.field(
        description="By when they were asked for.", default=UNSET
    )
    updated_at: DateTimeFilter | None = strawberry.field(
        description="By when they last changed.", default=UNSET
    )
    and_: list["SubscriptionPauseFilter"] | None = and_filters()
    or_: list["SubscriptionPauseFilter"] | None = or_filters()
    not_: "SubscriptionPauseFilter | None" = not_filter()


@strawberry.enum(description="What pauses can be ordered by.")
class SubscriptionPauseOrderField(Enum):
    STARTS_AT = strawberry.enum_value("starts_at", description="When they begin.")
    ENDS_AT = strawberry.enum_value("ends_at", description="When they end; without end last.")
    CREATED_AT = strawberry.enum_value("created_at", description="When they were asked for.")
    UPDATED_AT = strawberry.enum_value("updated_at", description="When they last changed.")
    ID = strawberry.enum_value("id", description="Their id.")


@strawberry.input(description="One key of the order of pauses.")
class SubscriptionPauseOrder:
    field: SubscriptionPauseOrderField = strawberry.field(description="What to order by.")
    direction: Direction = strawberry.field(description="Which way.", default=Direction.ASC)
