"""Addons of subscriptions: what is held of them, and what asks for changes of it."""

from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Self

import strawberry

from app.graphql.catalog import addons
from app.graphql.context import Info
from app.graphql.permissions import requires
from app.graphql.subscription_change_timing import ChangeInput
from app.subscriptions.actions import RequestChange
from app.subscriptions.change import (
    AttachAddon,
    ChangeAddonQuantity,
    DetachAddon,
)
from app.subscriptions.holding import Holding

if TYPE_CHECKING:
    from app.graphql.catalog.addons import Addon


@strawberry.type(description="An addon that a subscription holds, held, or will hold.")
class SubscriptionAddon:
    id: strawberry.ID = strawberry.field(
        description="The same whatever quantity is held of it in the course of time."
    )
    addon_id: strawberry.ID = strawberry.field(description="Which addon.")
    quantity: Decimal = strawberry.field(description="How much of it is held in this time.")
    starts_at: datetime | None = strawberry.field(
        description="Held from then; null: since the subscription's start."
    )
    ends_at: datetime | None = strawberry.field(
        description="Held until then, detached, at another quantity from then on, or bought once; "
        "null: as long as the subscription runs."
    )

    @strawberry.field(description="Which addon.", extensions=[requires("addon:read")])
    async def addon(
        self, info: Info
    ) -> Annotated["Addon", strawberry.lazy("app.graphql.catalog.addons")] | None:
        row = await info.context.load.addon.load(self.addon_id)
        return None if row is None else addons.Addon.of(row)

    @classmethod
    def of(cls, row: Holding) -> Self:
        return cls(
            id=strawberry.ID(row.key),
            addon_id=strawberry.ID(row.owner.id),
            quantity=row.quantity,
            starts_at=row.starts_at,
            ends_at=row.ends_at,
        )


@strawberry.input(description="The addon to attach.")
class SubscriptionAddonAttachInput(ChangeInput):
    addon_id: strawberry.ID = strawberry.field(description="Which addon.")
    quantity: Decimal = strawberry.field(description="How much of it; above 0.", default=Decimal(1))

    def command(self) -> RequestChange:
        return self.requested(AttachAddon(addon_id=self.addon_id, quantity=self.quantity))


@strawberry.input(description="The addon to detach.")
class SubscriptionAddonDetachInput(ChangeInput):
    subscription_addon_id: strawberry.ID = strawberry.field(description="Which of its addons.")

    def command(self) -> RequestChange:
        return self.requested(DetachAddon(holding_id=self.subscription_addon_id))


@strawberry.input(description="Another quantity of an addon.")
class SubscriptionAddonQuantityChangeInput(ChangeInput):
    subscription_addon_id: strawberry.ID = strawberry.field(description="Which of its addons.")
    quantity: Decimal = strawberry.field(description="How much of it is to be held; above 0.")

    def command(self) -> RequestChange:
        what = ChangeAddonQuantity(holding_id=self.subscription_addon_id, quantity=self.quantity)
        return self.requested(what)
