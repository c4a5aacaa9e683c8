"""What queries and mutations of price units take."""

from decimal import Decimal
from enum import Enum
from typing import Any

import strawberry
from strawberry import UNSET

from app.catalog.price_unit import CreatePriceUnit, PriceUnitStatus
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

strawberry.enum(PriceUnitStatus, description="Whether new prices can be given in a unit.")


@strawberry.input(description="Which price units to list; all conditions given must hold.")
class PriceUnitFilter:
    id: IdFilter | None = strawberry.field(description="By id.", default=UNSET)
    code: StringFilter | None = strawberry.field(description="By code.", default=UNSET)
    name: StringFilter | None = strawberry.field(description="By name.", default=UNSET)
    base_currency: StringFilter | None = strawberry.field(
        description="By the currency that they are worth.", default=UNSET
    )
    status: EnumFilter[PriceUnitStatus] | None = strawberry.field(
        description="By whether new prices can be given in them.", default=UNSET
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
    and_: list["PriceUnitFilter"] | None = and_filters()
    or_: list["PriceUnitFilter"] | None = or_filters()
    not_: "PriceUnitFilter | None" = not_filter()


@strawberry.enum(description="What price units can be ordered by.")
class PriceUnitOrderField(Enum):
    CREATED_AT = strawberry.enum_value("created_at", description="When they were created.")
    UPDATED_AT = strawberry.enum_value("updated_at", description="When they last changed.")
    CODE = strawberry.enum_value("code", description="Their code.")
    NAME = strawberry.enum_value("name", description="Their name.")
    ID = strawberry.enum_value("id", description="Their id.")


@strawberry.input(description="One key of the order of price units.")
class PriceUnitOrder:
    field: PriceUnitOrderField = strawberry.field(description="What to order by.")
    direction: Direction = strawberry.field(description="Which way.", default=Direction.ASC)


@strawberry.input(description="A new price unit.")
class PriceUnitCreateInput:
    code: str = strawberry.field(
        description="As programs and prices will name it: letters, digits and _ . : -, at most "
        "32, and no ISO 4217 code. It never changes."
    )
    name: str = strawberry.field(description="As people will read it, such as Credits.")
    base_currency: str = strawberry.field(
        description="ISO 4217 code of what it is worth; it never changes."
    )
    conversion_rate: Decimal = strawberry.field(
        description="How much of the base currency, in major units, one of it is worth; above 0."
    )
    symbol: str | None = strawberry.field(
        description="What to put before amounts, at most 8 characters.", default=None
    )
    description: str | None = strawberry.field(description="What it is.", default=None)
    metadata: Metadata | None = strawberry.field(description="Your own notes.", default=None)

    def command(self) -> CreatePriceUnit:
        return CreatePriceUnit(**vars(self) | {"metadata": self.metadata or {}})


@strawberry.input(
    description="Changes to a price unit. A field that is absent stays as it is; null clears."
)
class PriceUnitUpdateInput:
    id: strawberry.ID = strawberry.field(description="Which unit.")
    name: strawberry.Maybe[str] = strawberry.field(description="As people will read it.")
    symbol: strawberry.Maybe[str | None] = strawberry.field(
        description="What to put before amounts."
    )
    conversion_rate: strawberry.Maybe[Decimal] = strawberry.field(
        description="What one of it is worth from now on, for prices made afterwards; those "
        "there are keep theirs."
    )
    description: strawberry.Maybe[str | None] = strawberry.field(description="What it is.")
    metadata: strawberry.Maybe[Metadata | None] = strawberry.field(
        description="Your own notes; replaces all of them."
    )

    def patch(self) -> dict[str, Any]:
        return present(self, without=("id",))


@strawberry.input(description="The price unit to take out of use.")
class PriceUnitArchiveInput:
    id: strawberry.ID = strawberry.field(description="Which unit.")


@strawberry.input(description="The archived price unit to put back into use.")
class PriceUnitRestoreInput:
    id: strawberry.ID = strawberry.field(description="Which unit.")
