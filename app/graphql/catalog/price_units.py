"""Price units in the graph. What they take is in `price_unit_inputs`."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Self

import strawberry

from app.catalog.actions import price_units as actions
from app.catalog.price_unit import PriceUnit as Row
from app.catalog.price_unit import PriceUnitStatus
from app.catalog.prices import Conversion as ConversionRow
from app.catalog.reads import price_units as reads
from app.graphql.catalog.price_unit_inputs import (
    PriceUnitArchiveInput,
    PriceUnitCreateInput,
    PriceUnitFilter,
    PriceUnitOrder,
    PriceUnitRestoreInput,
    PriceUnitUpdateInput,
)
from app.graphql.context import Context, Info
from app.graphql.errors import AlreadyExists, Rejected
from app.graphql.lists import listed
from app.graphql.node import Kind, Node
from app.graphql.permissions import requires
from app.graphql.scalars import Metadata


@strawberry.type(
    description="A currency of your own, such as credits, that prices can be given in."
)
class PriceUnit(Node):
    code: str = strawberry.field(
        description="As programs and prices name it. Never changes; unique among the units of "
        "the environment that are not archived."
    )
    name: str = strawberry.field(description="As people read it.")
    symbol: str | None = strawberry.field(description="What to put before amounts.")
    base_currency: str = strawberry.field(
        description="ISO 4217 code of what it is worth; never changes."
    )
    conversion_rate: Decimal = strawberry.field(
        description="How much of the base currency, in major units, one of it is worth in prices "
        "made from now on."
    )
    description: str | None = strawberry.field(description="What it is.")
    metadata: Metadata = strawberry.field(description="Your own notes.")
    status: PriceUnitStatus = strawberry.field(
        description="Whether new prices can be given in it; those there are stay."
    )
    created_at: datetime = strawberry.field(description="When it was created.")
    updated_at: datetime = strawberry.field(description="When it last changed.")
    archived_at: datetime | None = strawberry.field(
        description="When it was taken out of use; null while it is in use."
    )

    @classmethod
    def of(cls, row: Row) -> Self:
        return cls(
            id=strawberry.ID(row.id),
            code=row.code,
            name=row.name,
            symbol=row.symbol,
            base_currency=row.base_currency,
            conversion_rate=row.conversion_rate,
            description=row.description,
            metadata=Metadata(row.metadata),
            status=row.status,
            created_at=row.created_at,
            updated_at=row.updated_at,
            archived_at=row.archived_at,
        )


@strawberry.type(description="What a price's unit is worth, as it was when the price was made.")
class PriceConversion:
    unit: str = strawberry.field(description="The unit's code.")
    rate: Decimal = strawberry.field(
        description="How much of the price's currency, in major units, one of it is worth."
    )

    @classmethod
    def of(cls, row: ConversionRow) -> Self:
        return cls(unit=row.unit, rate=row.rate)


PriceUnitResult = Annotated[
    PriceUnit | AlreadyExists | Rejected,
    strawberry.union(
        "PriceUnitResult", description="The unit as it is now, or why nothing was changed."
    ),
]


@strawberry.type
class PriceUnitQuery:
    @strawberry.field(
        description="A price unit by id; null when the environment has none with it.",
        extensions=[requires("price_unit:read")],
    )
    async def price_unit(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="The unit's id.")],
    ) -> PriceUnit | None:
        return await _load(info.context, id)

    @strawberry.field(
        description="A price unit that is not archived, by its code; null when there is none.",
        extensions=[requires("price_unit:read")],
    )
    async def price_unit_by_code(
        self,
        info: Info,
        code: Annotated[str, strawberry.argument(description="As programs name it.")],
    ) -> PriceUnit | None:
        row = await info.context.load.price_unit_by_code.load(code)
        return None if row is None else PriceUnit.of(row)

    price_units = listed(
        PriceUnit,
        reads.page,
        filter=PriceUnitFilter,
        order=PriceUnitOrder,
        permission="price_unit:read",
        description="Price units, archived ones included unless the filter says otherwise. "
        "The newest first unless ordered.",
    )


@strawberry.type
class PriceUnitMutation:
    @strawberry.mutation(
        description="Create a price unit.", extensions=[requires("price_unit:write")]
    )
    async def price_unit_create(
        self,
        info: Info,
        input: Annotated[PriceUnitCreateInput, strawberry.argument(description="The unit.")],
    ) -> PriceUnitResult:
        ctx = info.context
        row = await actions.create(ctx.scope, input.command(), by=ctx.actor, at=ctx.now())
        return PriceUnit.of(row)

    @strawberry.mutation(
        description="Change a price unit that is not archived. A new rate is for prices made "
        "afterwards; those there are keep theirs.",
        extensions=[requires("price_unit:write")],
    )
    async def price_unit_update(
        self,
        info: Info,
        input: Annotated[PriceUnitUpdateInput, strawberry.argument(description="The changes.")],
    ) -> PriceUnitResult:
        ctx = info.context
        row = await actions.update(ctx.scope, input.id, input.patch(), by=ctx.actor, at=ctx.now())
        return PriceUnit.of(row)

    @strawberry.mutation(
        description="Take a price unit out of use: no new price is given in it; those there are "
        "stay. Its code becomes free for another.",
        extensions=[requires("price_unit:write")],
    )
    async def price_unit_archive(
        self,
        info: Info,
        input: Annotated[PriceUnitArchiveInput, strawberry.argument(description="Which one.")],
    ) -> PriceUnitResult:
        ctx = info.context
        row = await actions.archive(ctx.scope, input.id, by=ctx.actor, at=ctx.now())
        return PriceUnit.of(row)

    @strawberry.mutation(
        description="Put an archived price unit back into use.",
        extensions=[requires("price_unit:write")],
    )
    async def price_unit_restore(
        self,
        info: Info,
        input: Annotated[PriceUnitRestoreInput, strawberry.argument(description="Which one.")],
    ) -> PriceUnitResult:
        ctx = info.context
        row = await actions.restore(ctx.scope, input.id, by=ctx.actor, at=ctx.now())
        return PriceUnit.of(row)


async def _load(context: Context, unit_id: str) -> PriceUnit | None:
    row = await context.load.price_unit.load(unit_id)
    return None if row is None else PriceUnit.of(row)


KINDS = (Kind("pun", "price_unit:read", _load),)
