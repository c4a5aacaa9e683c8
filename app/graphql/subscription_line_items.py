"""What a line of a subscription looks like in the graph."""

from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Self

import strawberry

from app.graphql.catalog import prices
from app.graphql.context import Info
from app.graphql.node import Node
from app.graphql.permissions import requires
from app.subscriptions.subscription import LineItem as Row

if TYPE_CHECKING:
    from app.graphql.catalog.prices import Price


@strawberry.type(description="One price that a subscription bought.")
class SubscriptionLineItem(Node):
    subscription_id: strawberry.ID = strawberry.field(description="The subscription it belongs to.")
    price_id: strawberry.ID = strawberry.field(description="The price that it bought.")
    quantity: Decimal | None = strawberry.field(
        description="What is held of a fixed charge, such as seats; null for usage."
    )
    starts_at: datetime = strawberry.field(description="Charged from then.")
    ends_at: datetime | None = strawberry.field(
        description="Charged until then; null: as long as the subscription runs."
    )
    line_key: strawberry.ID = strawberry.field(
        description="The id of the first line of its history: lines that took over from one "
        "another share it."
    )
    change_id: strawberry.ID | None = strawberry.field(
        description="The change that it began with; null for one bought at the start."
    )
    replaces_id: strawberry.ID | None = strawberry.field(
        description="The line that it took over from; null for none."
    )
    subscription_addon_id: strawberry.ID | None = strawberry.field(
        description="The addon of the subscription that it belongs to; null: the plan."
    )

    @strawberry.field(
        description="What it is charged by, as it was bought: a price of the catalogue, or of the "
        "subscription's own.",
        extensions=[requires("price:read")],
    )
    async def price(
        self, info: Info
    ) -> Annotated["Price", strawberry.lazy("app.graphql.catalog.prices")] | None:
        row = await info.context.load.price.load(self.price_id)
        return None if row is None else prices.Price.of(row)

    @strawberry.field(
        description="The price of the catalogue that one of the subscription's own is paid "
        "instead of; null where it is charged by one of the catalogue.",
        extensions=[requires("price:read")],
    )
    async def overridden_price(
        self, info: Info
    ) -> Annotated["Price", strawberry.lazy("app.graphql.catalog.prices")] | None:
        own = await info.context.load.price.load(self.price_id)
        if own is None or own.overrides_id is None:
            return None
        row = await info.context.load.price.load(own.overrides_id)
        return None if row is None else prices.Price.of(row)

    @classmethod
    def of(cls, row: Row) -> Self:
        return cls(
            id=strawberry.ID(row.id),
            subscription_id=strawberry.ID(row.subscription_id),
            price_id=strawberry.ID(row.price_id),
            quantity=row.quantity,
            starts_at=row.starts_at,
            ends_at=row.ends_at,
            line_key=strawberry.ID(row.line_key),
            change_id=None if row.change_id is None else strawberry.ID(row.change_id),
            replaces_id=None if row.replaces_id is None else strawberry.ID(row.replaces_id),
            subscription_addon_id=None if row.holding_id is None else strawberry.ID(row.holding_id),
        )
