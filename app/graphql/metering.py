"""Meters in the graph."""

from datetime import datetime
from enum import Enum
from typing import Annotated, Any, Self

import strawberry
from strawberry import UNSET

from app.graphql.context import Context, Info
from app.graphql.errors import Rejected
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
from app.graphql.lists import listed
from app.graphql.node import Kind, Node
from app.graphql.paging import (
    Direction,
)
from app.graphql.patch import present
from app.graphql.permissions import requires
from app.graphql.property_filters import PropertyFilters, PropertyFiltersInput
from app.graphql.scalars import Metadata
from app.metering import actions, reads
from app.metering.checks import aggregation_named
from app.metering.filters import Filters
from app.metering.meter import CreateMeter, MeterStatus
from app.metering.meter import Meter as Row

strawberry.enum(MeterStatus, description="Whether new prices may use a meter.")


@strawberry.enum(description="What a meter does with its events.")
class AggregationKind(Enum):
    COUNT = strawberry.enum_value("count", description="How many events there were.")
    SUM = strawberry.enum_value(
        "sum",
        description="The sum of a property: a number, or a string that holds one. An event "
        "where it is neither does not count.",
    )
    COUNT_UNIQUE = strawberry.enum_value(
        "count_unique",
        description="How many different values a property had, compared as text. An event "
        "without it does not count.",
    )


@strawberry.type(description="What a meter does with its events.")
class Aggregation:
    kind: AggregationKind = strawberry.field(description="Which aggregation.")
    property: str | None = strawberry.field(
        description="Of which property at the top level of an event; null for COUNT."
    )


@strawberry.type(
    description="Which events count, and what they add up to. The definition never changes, so "
    "that what was billed by it stays explainable."
)
class Meter(Node):
    name: str = strawberry.field(description="For people.")
    description: str | None = strawberry.field(description="For people, at length.")
    event_name: str = strawberry.field(description="Events of this name count.")
    aggregation: Aggregation = strawberry.field(description="What it does with them.")
    filters: PropertyFilters = strawberry.field(description="Which of them it looks at.")
    dimensions: list[str] = strawberry.field(description="Properties that usage can be grouped by.")
    metadata: Metadata = strawberry.field(description="Your own notes.")
    status: MeterStatus = strawberry.field(
        description="Whether new prices may use it. What uses it already goes on counting."
    )
    version: int = strawberry.field(description="Counts the changes, from 1.")
    backfilled_at: datetime | None = strawberry.field(
        description="When it had caught up with the events from before its creation. Until then "
        "usage is right as well, and slower to read."
    )
    created_at: datetime = strawberry.field(description="When it was created.")
    updated_at: datetime = strawberry.field(description="When it last changed.")
    archived_at: datetime | None = strawberry.field(
        description="When it was archived; null while it is active."
    )

    @classmethod
    def of(cls, row: Row) -> Self:
        return cls(
            id=strawberry.ID(row.id),
            name=row.name,
            description=row.description,
            event_name=row.event_name,
            aggregation=Aggregation(
                kind=AggregationKind(row.aggregation.kind), property=row.aggregation.property
            ),
            filters=PropertyFilters.of(row.filters),
            dimensions=list(row.dimensions),
            metadata=Metadata(row.metadata),
            status=row.status,
            version=row.version,
            backfilled_at=row.backfilled_at,
            created_at=row.created_at,
            updated_at=row.updated_at,
            archived_at=row.archived_at,
        )


@strawberry.input(description="Which meters to list; all conditions given must hold.")
class MeterFilter:
    id: IdFilter | None = strawberry.field(description="By id.", default=UNSET)
    name: StringFilter | None = strawberry.field(description="By name.", default=UNSET)
    event_name: StringFilter | None = strawberry.field(
        description="By the name of their events.", default=UNSET
    )
    aggregation: EnumFilter[AggregationKind] | None = strawberry.field(
        description="By kind of aggregation.", default=UNSET
    )
    status: EnumFilter[MeterStatus] | None = strawberry.field(
        description="By whether they are active.", default=UNSET
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
    and_: list["MeterFilter"] | None = and_filters()
    or_: list["MeterFilter"] | None = or_filters()
    not_: "MeterFilter | None" = not_filter()


@strawberry.enum(description="What meters can be ordered by.")
class MeterOrderField(Enum):
    CREATED_AT = strawberry.enum_value("created_at", description="When they were created.")
    UPDATED_AT = strawberry.enum_value("updated_at", description="When they last changed.")
    NAME = strawberry.enum_value("name", description="Their name.")
    EVENT_NAME = strawberry.enum_value("event_name", description="The name of their events.")
    ID = strawberry.enum_value("id", description="Their id.")


@strawberry.input(description="One key of the order of meters.")
class MeterOrder:
    field: MeterOrderField = strawberry.field(description="What to order by.")
    direction: Direction = strawberry.field(description="Which way.", default=Direction.ASC)


@strawberry.input(description="What a meter does with its events.")
class AggregationInput:
    kind: AggregationKind = strawberry.field(description="Which aggregation.")
    property: str | None = strawberry.field(
        description="Of which property at the top level of an event; a dot is part of its name. "
        "Every kind but COUNT needs one.",
        default=None,
    )


@strawberry.input(description="A new meter. It counts events from before its creation too.")
class MeterCreateInput:
    name: str = strawberry.field(description="For people.")
    event_name: str = strawberry.field(description="Events of this name will count.")
    aggregation: AggregationInput = strawberry.field(description="What to do with them.")
    description: str | None = strawberry.field(description="For people, at length.", default=None)
    filters: PropertyFiltersInput | None = strawberry.field(
        description="Which of them to look at; null: all.", default=None
    )
    dimensions: list[str] = strawberry.field(
        description="Properties to group usage by, at most 10. Others cannot be added later.",
        default_factory=list,
    )
    metadata: Metadata | None = strawberry.field(description="Your own notes.", default=None)

    def command(self) -> CreateMeter:
        return CreateMeter(
            name=self.name,
            event_name=self.event_name,
            aggregation=aggregation_named(
                str(self.aggregation.kind.value), self.aggregation.property
            ),
            description=self.description,
            filters=self.filters.row() if self.filters else Filters(),
            dimensions=tuple(self.dimensions),
            metadata=self.metadata or {},
        )


@strawberry.input(
    description="Changes to a meter. A field that is absent stays as it is; null clears what may "
    "be empty. The definition never changes: create a new meter instead."
)
class MeterUpdateInput:
    id: strawberry.ID = strawberry.field(description="Which meter.")
    name: strawberry.Maybe[str | None] = strawberry.field(description="For people.")
    description: strawberry.Maybe[str | None] = strawberry.field(
        description="For people, at length."
    )
    metadata: strawberry.Maybe[Metadata | None] = strawberry.field(
        description="Your own notes; replaces all of them."
    )

    def patch(self) -> dict[str, Any]:
        return present(self, without=("id",))


@strawberry.input(description="The meter to take out of use for new prices.")
class MeterArchiveInput:
    id: strawberry.ID = strawberry.field(description="Which meter.")


@strawberry.input(description="The archived meter to put back into use.")
class MeterRestoreInput:
    id: strawberry.ID = strawberry.field(description="Which meter.")


MeterResult = Annotated[
    Meter | Rejected,
    strawberry.union(
        "MeterResult", description="The meter as it is now, or why nothing was changed."
    ),
]


@strawberry.type
class MeterQuery:
    @strawberry.field(
        description="A meter by id; null when the environment has none with it.",
        extensions=[requires("meter:read")],
    )
    async def meter(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="The meter's id.")],
    ) -> Meter | None:
        return await _load(info.context, id)

    meters = listed(
        Meter,
        reads.page,
        filter=MeterFilter,
        order=MeterOrder,
        permission="meter:read",
        description="Meters, archived ones included unless the filter says otherwise. The newest "
        "first unless ordered.",
    )


@strawberry.type
class MeterMutation:
    @strawberry.mutation(description="Create a meter.", extensions=[requires("meter:write")])
    async def meter_create(
        self,
        info: Info,
        input: Annotated[MeterCreateInput, strawberry.argument(description="The meter.")],
    ) -> MeterResult:
        ctx = info.context
        row = await actions.create(ctx.scope, input.command(), by=ctx.actor, at=ctx.now())
        return Meter.of(row)

    @strawberry.mutation(
        description="Change what a meter is called; its definition never changes.",
        extensions=[requires("meter:write")],
    )
    async def meter_update(
        self,
        info: Info,
        input: Annotated[MeterUpdateInput, strawberry.argument(description="The changes.")],
    ) -> MeterResult:
        ctx = info.context
        row = await actions.update(ctx.scope, input.id, input.patch(), by=ctx.actor, at=ctx.now())
        return Meter.of(row)

    @strawberry.mutation(
        description="Take a meter out of use for new prices. What uses it goes on counting.",
        extensions=[requires("meter:write")],
    )
    async def meter_archive(
        self,
        info: Info,
        input: Annotated[MeterArchiveInput, strawberry.argument(description="Which one.")],
    ) -> MeterResult:
        ctx = info.context
        return Meter.of(await actions.archive(ctx.scope, input.id, by=ctx.actor, at=ctx.now()))

    @strawberry.mutation(
        description="Put an archived meter back into use.",
        extensions=[requires("meter:write")],
    )
    async def meter_restore(
        self,
        info: Info,
        input: Annotated[MeterRestoreInput, strawberry.argument(description="Which one.")],
    ) -> MeterResult:
        ctx = info.context
        return Meter.of(await actions.restore(ctx.scope, input.id, by=ctx.actor, at=ctx.now()))


async def _load(context: Context, meter_id: str) -> Meter | None:
    row = await context.load.meter.load(meter_id)
    return None if row is None else Meter.of(row)


KINDS = (Kind("mtr", "meter:read", _load),)
