"""What queries and mutations of features take."""

from decimal import Decimal
from enum import Enum
from typing import Any

import strawberry
from strawberry import UNSET

from app.catalog.feature import CreateFeature, FeatureStatus, FeatureType, ReportingUnit
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

strawberry.enum(FeatureType, description="What a feature gives.")
strawberry.enum(FeatureStatus, description="Whether a feature is in use.")


@strawberry.input(description="Which features to list; all conditions given must hold.")
class FeatureFilter:
    id: IdFilter | None = strawberry.field(description="By id.", default=UNSET)
    name: StringFilter | None = strawberry.field(description="By name.", default=UNSET)
    lookup_key: StringFilter | None = strawberry.field(
        description="By the name that programs use.", default=UNSET
    )
    type: EnumFilter[FeatureType] | None = strawberry.field(
        description="By what they give.", default=UNSET
    )
    meter_id: IdFilter | None = strawberry.field(
        description="By the meter that counts them.", default=UNSET
    )
    group_id: IdFilter | None = strawberry.field(description="By group.", default=UNSET)
    status: EnumFilter[FeatureStatus] | None = strawberry.field(
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
    and_: list["FeatureFilter"] | None = and_filters()
    or_: list["FeatureFilter"] | None = or_filters()
    not_: "FeatureFilter | None" = not_filter()


@strawberry.enum(description="What features can be ordered by.")
class FeatureOrderField(Enum):
    CREATED_AT = strawberry.enum_value("created_at", description="When they were created.")
    UPDATED_AT = strawberry.enum_value("updated_at", description="When they last changed.")
    NAME = strawberry.enum_value("name", description="Their name.")
    LOOKUP_KEY = strawberry.enum_value("lookup_key", description="The name that programs use.")
    ID = strawberry.enum_value("id", description="Their id.")


@strawberry.input(description="One key of the order of features.")
class FeatureOrder:
    field: FeatureOrderField = strawberry.field(description="What to order by.")
    direction: Direction = strawberry.field(description="Which way.", default=Direction.ASC)


@strawberry.input(
    description="What usage is shown in: `factor` ÷ `divisor` of it for one unit of the meter, "
    "such as 1 ÷ 3600 hours for a second."
)
class ReportingUnitInput:
    singular: str = strawberry.field(description="What one is called, such as hour.")
    plural: str = strawberry.field(description="What several are called, such as hours.")
    factor: Decimal = strawberry.field(
        description="What to multiply a quantity by; above 0.", default=Decimal(1)
    )
    divisor: Decimal = strawberry.field(
        description="What to divide it by then; above 0.", default=Decimal(1)
    )

    def row(self) -> ReportingUnit:
        return ReportingUnit(self.singular, self.plural, self.factor, self.divisor)


@strawberry.input(description="A new feature.")
class FeatureCreateInput:
    name: str = strawberry.field(description="As people will read it.")
    lookup_key: str = strawberry.field(
        description="As programs will name it: letters, digits and _ . : -; it never changes."
    )
    type: FeatureType = strawberry.field(description="What it gives.")
    meter_id: strawberry.ID | None = strawberry.field(
        description="The meter that counts it; for metered features alone.", default=None
    )
    unit_singular: str | None = strawberry.field(
        description="What one unit is called.", default=None
    )
    unit_plural: str | None = strawberry.field(
        description="What several units are called.", default=None
    )
    reporting_unit: ReportingUnitInput | None = strawberry.field(
        description="What its usage is shown in; for metered features alone.", default=None
    )
    group_id: strawberry.ID | None = strawberry.field(
        description="A group of features to show it together with.", default=None
    )
    description: str | None = strawberry.field(description="What it is.", default=None)
    metadata: Metadata | None = strawberry.field(description="Your own notes.", default=None)

    def command(self) -> CreateFeature:
        unit = self.reporting_unit
        return CreateFeature(
            **vars(self)
            | {
                "metadata": self.metadata or {},
                "reporting_unit": None if unit is None else unit.row(),
            }
        )


@strawberry.input(
    description="Changes to a feature. A field that is absent stays as it is; null clears."
)
class FeatureUpdateInput:
    id: strawberry.ID = strawberry.field(description="Which feature.")
    name: strawberry.Maybe[str] = strawberry.field(description="As people will read it.")
    unit_singular: strawberry.Maybe[str | None] = strawberry.field(
        description="What one unit is called."
    )
    unit_plural: strawberry.Maybe[str | None] = strawberry.field(
        description="What several units are called."
    )
    reporting_unit: strawberry.Maybe[ReportingUnitInput | None] = strawberry.field(
        description="What its usage is shown in."
    )
    group_id: strawberry.Maybe[strawberry.ID | None] = strawberry.field(
        description="A group of features to show it together with."
    )
    description: strawberry.Maybe[str | None] = strawberry.field(description="What it is.")
    metadata: strawberry.Maybe[Metadata | None] = strawberry.field(
        description="Your own notes; replaces all of them."
    )

    def patch(self) -> dict[str, Any]:
        changes = present(self, without=("id",))
        if isinstance(changes.get("reporting_unit"), ReportingUnitInput):
            changes["reporting_unit"] = changes["reporting_unit"].row()
        return changes


@strawberry.input(description="The feature to take out of use.")
class FeatureArchiveInput:
    id: strawberry.ID = strawberry.field(description="Which feature.")


@strawberry.input(description="The archived feature to put back into use.")
class FeatureRestoreInput:
    id: strawberry.ID = strawberry.field(description="Which feature.")
