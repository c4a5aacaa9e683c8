"""Features in the graph. What they take is in `feature_inputs`."""

from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Self

import strawberry

from app.catalog.actions import features as actions
from app.catalog.feature import Feature as Row
from app.catalog.feature import FeatureStatus, FeatureType
from app.catalog.feature import ReportingUnit as UnitRow
from app.catalog.reads import features as reads
from app.graphql.catalog import groups
from app.graphql.catalog.feature_inputs import (
    FeatureArchiveInput,
    FeatureCreateInput,
    FeatureFilter,
    FeatureOrder,
    FeatureRestoreInput,
    FeatureUpdateInput,
)
from app.graphql.context import Context, Info
from app.graphql.errors import AlreadyExists, Rejected
from app.graphql.lists import listed
from app.graphql.metering import Meter
from app.graphql.node import Kind, Node
from app.graphql.permissions import requires
from app.graphql.scalars import Metadata

if TYPE_CHECKING:
    from app.graphql.catalog.groups import Group


@strawberry.type(
    description="What usage is shown in: `factor` ÷ `divisor` of it for one unit of the meter."
)
class ReportingUnit:
    singular: str = strawberry.field(description="What one is called, such as hour.")
    plural: str = strawberry.field(description="What several are called, such as hours.")
    factor: Decimal = strawberry.field(description="What a quantity is multiplied by.")
    divisor: Decimal = strawberry.field(description="What it is then divided by.")

    @classmethod
    def of(cls, row: UnitRow) -> Self:
        return cls(singular=row.singular, plural=row.plural, factor=row.factor, divisor=row.divisor)


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
    reporting_unit: ReportingUnit | None = strawberry.field(
        description="What its usage is shown in; null: in units of the meter."
    )
    group_id: strawberry.ID | None = strawberry.field(
        description="What it is shown together with; null: no group."
    )
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

    @strawberry.field(
        description="What it is shown together with; null: no group.",
        extensions=[requires("group:read")],
    )
    async def group(
        self, info: Info
    ) -> Annotated["Group", strawberry.lazy("app.graphql.catalog.groups")] | None:
        if self.group_id is None:
            return None
        row = await info.context.load.group.load(self.group_id)
        return None if row is None else groups.Group.of(row)

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
            reporting_unit=None
            if row.reporting_unit is None
            else ReportingUnit.of(row.reporting_unit),
            group_id=None if row.group_id is None else strawberry.ID(row.group_id),
            description=row.description,
            metadata=Metadata(row.metadata),
            status=row.status,
            created_at=row.created_at,
            updated_at=row.updated_at,
            archived_at=row.archived_at,
        )


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
        description="Take a feature out of use. Refused while prices of it or entitlements to it "
        "have no end. Its lookup key becomes free for another.",
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
