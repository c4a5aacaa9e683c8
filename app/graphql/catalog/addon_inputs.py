"""What queries and mutations of addons take."""

from enum import Enum
from typing import Any

import strawberry
from strawberry import UNSET

from app.catalog.addon import AddonStatus, AddonType, CreateAddon
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

strawberry.enum(AddonType, description="How long an addon stays with a subscription.")
strawberry.enum(AddonStatus, description="Whether an addon is in use.")


@strawberry.input(description="Which addons to list; all conditions given must hold.")
class AddonFilter:
    id: IdFilter | None = strawberry.field(description="By id.", default=UNSET)
    name: StringFilter | None = strawberry.field(description="By name.", default=UNSET)
    lookup_key: StringFilter | None = strawberry.field(
        description="By the name that programs use.", default=UNSET
    )
    type: EnumFilter[AddonType] | None = strawberry.field(
        description="By how long they stay.", default=UNSET
    )
    status: EnumFilter[AddonStatus] | None = strawberry.field(
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
    and_: list["AddonFilter"] | None = and_filters()
    or_: list["AddonFilter"] | None = or_filters()
    not_: "AddonFilter | None" = not_filter()


@strawberry.enum(description="What addons can be ordered by.")
class AddonOrderField(Enum):
    CREATED_AT = strawberry.enum_value("created_at", description="When they were created.")
    UPDATED_AT = strawberry.enum_value("updated_at", description="When they last changed.")
    NAME = strawberry.enum_value("name", description="Their name.")
    LOOKUP_KEY = strawberry.enum_value("lookup_key", description="The name that programs use.")
    ID = strawberry.enum_value("id", description="Their id.")


@strawberry.input(description="One key of the order of addons.")
class AddonOrder:
    field: AddonOrderField = strawberry.field(description="What to order by.")
    direction: Direction = strawberry.field(description="Which way.", default=Direction.ASC)


@strawberry.input(description="A new addon, without prices.")
class AddonCreateInput:
    name: str = strawberry.field(description="As people will read it.")
    lookup_key: str = strawberry.field(
        description="As programs will name it: letters, digits and _ . : -; it never changes."
    )
    type: AddonType = strawberry.field(
        description="How long it stays with a subscription; it never changes.",
        default=AddonType.RECURRING,
    )
    description: str | None = strawberry.field(description="What it is.", default=None)
    metadata: Metadata | None = strawberry.field(description="Your own notes.", default=None)

    def command(self) -> CreateAddon:
        return CreateAddon(**vars(self) | {"metadata": self.metadata or {}})


@strawberry.input(
    description="Changes to an addon. A field that is absent stays as it is; null clears."
)
class AddonUpdateInput:
    id: strawberry.ID = strawberry.field(description="Which addon.")
    name: strawberry.Maybe[str] = strawberry.field(description="As people will read it.")
    description: strawberry.Maybe[str | None] = strawberry.field(description="What it is.")
    metadata: strawberry.Maybe[Metadata | None] = strawberry.field(
        description="Your own notes; replaces all of them."
    )

    def patch(self) -> dict[str, Any]:
        return present(self, without=("id",))


@strawberry.input(description="The addon to take out of use.")
class AddonArchiveInput:
    id: strawberry.ID = strawberry.field(description="Which addon.")


@strawberry.input(description="The archived addon to put back into use.")
class AddonRestoreInput:
    id: strawberry.ID = strawberry.field(description="Which addon.")
