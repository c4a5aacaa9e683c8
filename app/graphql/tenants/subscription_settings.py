"""Settings of what new subscriptions have that do not say otherwise."""

from typing import Self

import strawberry

from app.graphql.prorate_by import ProrateBy
from app.tenants.settings import SubscriptionSettings as Row


@strawberry.type(description="What new subscriptions have that do not say otherwise.")
class SubscriptionSettings:
    prorate_by: ProrateBy = strawberry.field(description="How parts of a period are measured.")

    @classmethod
    def of(cls, row: Row) -> Self:
        return cls(prorate_by=ProrateBy(row.prorate_by))


@strawberry.input(
    description="Changes to settings of new subscriptions; null puts one back to its default."
)
class SubscriptionSettingsInput:
    prorate_by: strawberry.Maybe[ProrateBy | None] = strawberry.field(
        description="How parts of a period are measured."
    )
