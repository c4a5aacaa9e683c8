"""What queries and mutations of plan versions take."""

from enum import Enum
from typing import Any

import strawberry
from strawberry import UNSET

from app.catalog.plan_version import PlanVersionStatus
from app.graphql.filters import (
    BooleanFilter,
    DateTimeFilter,
    EnumFilter,
    IdFilter,
    IntFilter,
    and_filters,
    not_filter,
    or_filters,
)
from app.graphql.paging import Direction
from app.graphql.patch import present

strawberry.enum(PlanVersionStatus, description="Where a version of a plan is in its life.")


@strawberry.input(description="Which versions to list; all conditions given must hold.")
class PlanVersionFilter:
    id: IdFilter | None = strawberry.field(description="By id.", default=UNSET)
    plan_id: IdFilter | None = strawberry.field(description="By plan.", default=UNSET)
    number: IntFilter | None = strawberry.field(description="By number.", default=UNSET)
    status: EnumFilter[PlanVersionStatus] | None = strawberry.field(
        description="By where they are in their life.", default=UNSET
    )
    current: BooleanFilter | None = strawberry.field(
        description="By whether new subscriptions take them.", default=UNSET
    )
    published_at: DateTimeFilter | None = strawberry.field(
        description="By when they were published.", default=UNSET
    )
    created_at: DateTimeFilter | None = strawberry.field(
        description="By when they were created.", default=UNSET
    )
    updated_at: DateTimeFilter | None = strawberry.field(
        description="By when they last changed.", default=UNSET
    )
    and_: list["PlanVersionFilter"] | None = and_filters()
    or_: list["PlanVersionFilter"] | None = or_filters()
    not_: "PlanVersionFilter | None" = not_filter()


@strawberry.enum(description="What versions can be ordered by.")
class PlanVersionOrderField(Enum):
    CREATED_AT = strawberry.enum_value("created_at", description="When they were created.")
    UPDATED_AT = strawberry.enum_value("updated_at", description="When they last changed.")
    PUBLISHED_AT = strawberry.enum_value("published_at", description="When they were published.")
    NUMBER = strawberry.enum_value("number", description="Their number.")
    ID = strawberry.enum_value("id", description="Their id.")


@strawberry.input(description="One key of the order of versions.")
class PlanVersionOrder:
    field: PlanVersionOrderField = strawberry.field(description="What to order by.")
    direction: Direction = strawberry.field(description="Which way.", default=Direction.ASC)


@strawberry.input(description="A new version of a plan.")
class PlanVersionCreateInput:
    plan_id: strawberry.ID = strawberry.field(description="Of which plan.")
    description: str | None = strawberry.field(description="What is new in it.", default=None)


@strawberry.input(
    description="Changes to a version. A field that is absent stays as it is; null clears."
)
class PlanVersionUpdateInput:
    id: strawberry.ID = strawberry.field(description="Which version.")
    description: strawberry.Maybe[str | None] = strawberry.field(description="What is new in it.")

    def patch(self) -> dict[str, Any]:
        return present(self, without=("id",))


@strawberry.input(description="The draft to put up for sale.")
class PlanVersionPublishInput:
    id: strawberry.ID = strawberry.field(description="Which version.")
    allow_empty: bool = strawberry.field(
        description="Also where it has no price that has not ended.", default=False
    )


@strawberry.input(description="The version to take off sale.")
class PlanVersionArchiveInput:
    id: strawberry.ID = strawberry.field(description="Which version.")


@strawberry.input(description="The archived version to put back.")
class PlanVersionRestoreInput:
    id: strawberry.ID = strawberry.field(description="Which version.")
