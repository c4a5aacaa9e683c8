"""What queries and mutations of plans take."""

from enum import Enum
from typing import Any

import strawberry
from strawberry import UNSET

from app.catalog.plan import ClonePlan, CreatePlan, PlanStatus
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

strawberry.enum(PlanStatus, description="Whether a plan is in use.")


@strawberry.input(description="Which plans to list; all conditions given must hold.")
class PlanFilter:
    id: IdFilter | None = strawberry.field(description="By id.", default=UNSET)
    name: StringFilter | None = strawberry.field(description="By name.", default=UNSET)
    lookup_key: StringFilter | None = strawberry.field(
        description="By the name that programs use.", default=UNSET
    )
    status: EnumFilter[PlanStatus] | None = strawberry.field(
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
    and_: list["PlanFilter"] | None = and_filters()
    or_: list["PlanFilter"] | None = or_filters()
    not_: "PlanFilter | None" = not_filter()


@strawberry.enum(description="What plans can be ordered by.")
class PlanOrderField(Enum):
    CREATED_AT = strawberry.enum_value("created_at", description="When they were created.")
    UPDATED_AT = strawberry.enum_value("updated_at", description="When they last changed.")
    NAME = strawberry.enum_value("name", description="Their name.")
    LOOKUP_KEY = strawberry.enum_value("lookup_key", description="The name that programs use.")
    ID = strawberry.enum_value("id", description="Their id.")


@strawberry.input(description="One key of the order of plans.")
class PlanOrder:
    field: PlanOrderField = strawberry.field(description="What to order by.")
    direction: Direction = strawberry.field(description="Which way.", default=Direction.ASC)


@strawberry.input(description="A new plan, without prices.")
class PlanCreateInput:
    name: str = strawberry.field(description="As people will read it.")
    lookup_key: str = strawberry.field(
        description="As programs will name it: letters, digits and _ . : -; it never changes."
    )
    description: str | None = strawberry.field(description="What it is.", default=None)
    metadata: Metadata | None = strawberry.field(description="Your own notes.", default=None)
    publish: bool = strawberry.field(
        description="Whether its first version can be bought at once; else it is a draft.",
        default=True,
    )

    def command(self) -> CreatePlan:
        return CreatePlan(**vars(self) | {"metadata": self.metadata or {}})


@strawberry.input(description="The plan to clone, and what to call the clone.")
class PlanCloneInput:
    id: strawberry.ID = strawberry.field(description="Which plan.")
    name: str = strawberry.field(description="As people will read the clone.")
    lookup_key: str = strawberry.field(
        description="As programs will name the clone; it never changes."
    )
    description: str | None = strawberry.field(
        description="What the clone is; null: as the plan.", default=None
    )
    environment_id: strawberry.ID | None = strawberry.field(
        description="Another environment of the tenant to put it into, which the credentials must "
        "open; null: this one.",
        default=None,
    )
    publish: bool = strawberry.field(
        description="Whether the clone can be bought at once; else its version is a draft.",
        default=True,
    )

    def command(self) -> ClonePlan:
        return ClonePlan(
            plan_id=self.id,
            name=self.name,
            lookup_key=self.lookup_key,
            description=self.description,
            publish=self.publish,
        )


@strawberry.input(
    description="Changes to a plan. A field that is absent stays as it is; null clears."
)
class PlanUpdateInput:
    id: strawberry.ID = strawberry.field(description="Which plan.")
    name: strawberry.Maybe[str] = strawberry.field(description="As people will read it.")
    description: strawberry.Maybe[str | None] = strawberry.field(description="What it is.")
    metadata: strawberry.Maybe[Metadata | None] = strawberry.field(
        description="Your own notes; replaces all of them."
    )

    def patch(self) -> dict[str, Any]:
        return present(self, without=("id",))


@strawberry.input(description="The plan to take out of use.")
class PlanArchiveInput:
    id: strawberry.ID = strawberry.field(description="Which plan.")


@strawberry.input(description="The archived plan to put back into use.")
class PlanRestoreInput:
    id: strawberry.ID = strawberry.field(description="Which plan.")
