"""Features in the graph."""

from datetime import datetime
from enum import Enum
from typing import Annotated, Any, Self

import strawberry
from strawberry import UNSET

from app.catalog.actions import features as actions
from app.catalog.feature import CreateFeature, FeatureStatus, FeatureType
from app.catalog.feature import Feature as Row
from app.catalog.reads import features as reads
from app.graphql.context import Context, Info
from app.graphql.errors import AlreadyExists, Rejected
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
from app.graphql.metering import Meter
from app.graphql.node import Kind, Node
from app.graphql.paging import (
    Direction,
)
from app.graphql.patch import present
from app.graphql.permissions import requires
from app.graphql.scalars import Metadata

strawberry.enum(FeatureType, description="What a feature gives.")
strawberry.enum(FeatureStatus, description="Whether a feature is in use.")


@strawberry.type(description="Something that a plan can give.")
class Feature(Node):
    name: str = strawberry.field(description="As people read it.")
    lookup_key: str = strawberry.field(
        description="As programs name it. Never changes; unique among the features of the "
        "environment that are not archived."
    )
    type: FeatureType = strawberry.field(description="What it gives.")
    meter_id: strawberry.ID | None = strawberry.field(
        description="The meter that counts it; null unless it is metered."
    )
    unit_singular: str | None = strawberry.field(description="What one unit is called.")
    unit_plural: str | None = strawberry.field(description="What several units are called.")
    description: str | None = strawberry.field(description="What it is.")
    metadata: Metadata = strawberry.field(description="Your own notes.")
    status: FeatureStatus = strawberry.field(description="Whether it is in use.")
    created_at: datetime = strawberry.field(description="When it was created.")
    updated_at: datetime = strawberry.field(description="When it last changed.")
    archived_at: datetime | None = strawberry.field(
        description="When it was taken out of use; null while it is in use."
    )

    @strawberry.field(
        description="The meter that counts it; null unless it is metered.",
        extensions=[requires("meter:read")],
    )
    async def meter(self, info: Info) -> Meter | None:
        if self.meter_id is None:
            return None
        row = await info.context.load.meter.load(self.meter_id)
        return None if row is None else Meter.of(row)

    @classmethod
    def of(cls, row: Row) -> Self:
        return cls(
            id=strawberry.ID(row.id),
            name=row.name,
            lookup_key=row.lookup_key,
            type=row.type,
            meter_id=None if row.meter_id is None else strawberry.ID(row.meter_id),
            unit_singular=row.unit_singular,
            unit_plural=row.unit_plural,
            description=row.description,
            metadata=Metadata(row.metadata),
            status=row.status,
            created_at=row.created_at,
            updated_at=row.updated_at,
            archived_at=row.archived_at,
        )


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
    description: str | None = strawberry.field(description="What it is.", default=None)
    metadata: Metadata | None = strawberry.field(description="Your own notes.", default=None)

    def command(self) -> CreateFeature:
        return CreateFeature(**vars(self) | {"metadata": self.metadata or {}})


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
    description: strawberry.Maybe[str | None] = strawberry.field(description="What it is.")
    metadata: strawberry.Maybe[Metadata | None] = strawberry.field(
        description="Your own notes; replaces all of them."
    )

    def patch(self) -> dict[str, Any]:
        return present(self, without=("id",))


@strawberry.input(description="The feature to take out of use.")
class FeatureArchiveInput:
    id: strawberry.ID = strawberry.field(description="Which feature.")


@strawberry.input(description="The archived feature to put back into use.")
class FeatureRestoreInput:
    id: strawberry.ID = strawberry.field(description="Which feature.")


FeatureResult = Annotated[
    Feature | AlreadyExists | Rejected,
    strawberry.union(
        "FeatureResult", description="The feature as it is now, or why nothing was changed."
    ),
]


@strawberry.type
class FeatureQuery:
    @strawberry.field(
        description="A feature by id; null when the environment has none with it.",
        extensions=[requires("feature:read")],
    )
    async def feature(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="The feature's id.")],
    ) -> Feature | None:
        return await _load(info.context, id)

    @strawberry.field(
        description="A feature that is not archived, by the name that programs use; null when "
        "there is none.",
        extensions=[requires("feature:read")],
    )
    async def feature_by_lookup_key(
        self,
        info: Info,
        lookup_key: Annotated[str, strawberry.argument(description="As programs name it.")],
    ) -> Feature | None:
        row = await info.context.load.feature_by_lookup_key.load(lookup_key)
        return None if row is None else Feature.of(row)

    features = listed(
        Feature,
        reads.page,
        filter=FeatureFilter,
        order=FeatureOrder,
        permission="feature:read",
        description="Features, archived ones included unless the filter says otherwise. "
        "The newest first unless ordered.",
    )


@strawberry.type
class FeatureMutation:
    @strawberry.mutation(description="Create a feature.", extensions=[requires("feature:write")])
    async def feature_create(
        self,
        info: Info,
        input: Annotated[FeatureCreateInput, strawberry.argument(description="The feature.")],
    ) -> FeatureResult:
        ctx = info.context
        row = await actions.create(ctx.scope, input.command(), by=ctx.actor, at=ctx.now())
        return Feature.of(row)

    @strawberry.mutation(
        description="Change a feature that is not archived.",
        extensions=[requires("feature:write")],
    )
    async def feature_update(
        self,
        info: Info,
        input: Annotated[FeatureUpdateInput, strawberry.argument(description="The changes.")],
    ) -> FeatureResult:
        ctx = info.context
        row = await actions.update(ctx.scope, input.id, input.patch(), by=ctx.actor, at=ctx.now())
        return Feature.of(row)

    @strawberry.mutation(
        description="Take a feature out of use. Refused while prices of it are not archived. "
        "Its lookup key becomes free for another.",
        extensions=[requires("feature:write")],
    )
    async def feature_archive(
        self,
        info: Info,
        input: Annotated[FeatureArchiveInput, strawberry.argument(description="Which one.")],
    ) -> FeatureResult:
        ctx = info.context
        return Feature.of(await actions.archive(ctx.scope, input.id, by=ctx.actor, at=ctx.now()))

    @strawberry.mutation(
        description="Put an archived feature back into use.",
        extensions=[requires("feature:write")],
    )
    async def feature_restore(
        self,
        info: Info,
        input: Annotated[FeatureRestoreInput, strawberry.argument(description="Which one.")],
    ) -> FeatureResult:
        ctx = info.context
        return Feature.of(await actions.restore(ctx.scope, input.id, by=ctx.actor, at=ctx.now()))


async def _load(context: Context, feature_id: str) -> Feature | None:
    row = await context.load.feature.load(feature_id)
    return None if row is None else Feature.of(row)


KINDS = (Kind("feat", "feature:read", _load),)
