"""Addons in the graph. What they take is in `addon_inputs`."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Self

import strawberry

from app.catalog.actions import addons as actions
from app.catalog.addon import Addon as Row
from app.catalog.addon import AddonStatus, AddonType
from app.catalog.reads import addons as reads
from app.graphql.catalog import entitlements, prices
from app.graphql.catalog.addon_inputs import (
    AddonArchiveInput,
    AddonCreateInput,
    AddonFilter,
    AddonOrder,
    AddonRestoreInput,
    AddonUpdateInput,
)
from app.graphql.context import Context, Info
from app.graphql.errors import AlreadyExists, Rejected
from app.graphql.lists import listed
from app.graphql.node import Kind, Node
from app.graphql.permissions import requires
from app.graphql.scalars import Metadata

if TYPE_CHECKING:
    from app.graphql.catalog.entitlements import Entitlement
    from app.graphql.catalog.prices import Price


@strawberry.type(description="What is sold beside a plan: a set of prices.")
class Addon(Node):
    name: str = strawberry.field(description="As people read it.")
    lookup_key: str = strawberry.field(
        description="As programs name it. Never changes; unique among the addons of the "
        "environment that are not archived."
    )
    type: AddonType = strawberry.field(description="How long it stays; never changes.")
    description: str | None = strawberry.field(description="What it is.")
    metadata: Metadata = strawberry.field(description="Your own notes.")
    status: AddonStatus = strawberry.field(
        description="Whether it is in use; an archived addon stays with who has it."
    )
    created_at: datetime = strawberry.field(description="When it was created.")
    updated_at: datetime = strawberry.field(description="When it last changed.")
    archived_at: datetime | None = strawberry.field(
        description="When it was taken out of use; null while it is in use."
    )

    @strawberry.field(
        description="The prices in force at an instant, the oldest first.",
        extensions=[requires("price:read")],
    )
    async def prices(
        self,
        info: Info,
        at: Annotated[
            datetime | None, strawberry.argument(description="In force then; null: now.")
        ] = None,
    ) -> list[Annotated["Price", strawberry.lazy("app.graphql.catalog.prices")]]:
        instant = at or info.context.now()
        rows = await info.context.load.prices_of_addon.load(self.id)
        return [prices.Price.of(row) for row in rows if row.in_force(instant)]

    @strawberry.field(
        description="What it gives to whoever buys it at an instant, the oldest first.",
        extensions=[requires("entitlement:read")],
    )
    async def entitlements(
        self,
        info: Info,
        at: Annotated[
            datetime | None, strawberry.argument(description="In force then; null: now.")
        ] = None,
    ) -> list[Annotated["Entitlement", strawberry.lazy("app.graphql.catalog.entitlements")]]:
        instant = at or info.context.now()
        rows = await info.context.load.entitlements_of_addon.load(self.id)
        return [entitlements.Entitlement.of(row) for row in rows if row.in_force(instant)]

    @classmethod
    def of(cls, row: Row) -> Self:
        return cls(
            id=strawberry.ID(row.id),
            name=row.name,
            lookup_key=row.lookup_key,
            type=row.type,
            description=row.description,
            metadata=Metadata(row.metadata),
            status=row.status,
            created_at=row.created_at,
            updated_at=row.updated_at,
            archived_at=row.archived_at,
        )


AddonResult = Annotated[
    Addon | AlreadyExists | Rejected,
    strawberry.union(
        "AddonResult", description="The addon as it is now, or why nothing was changed."
    ),
]


@strawberry.type
class AddonQuery:
    @strawberry.field(
        description="An addon by id; null when the environment has none with it.",
        extensions=[requires("addon:read")],
    )
    async def addon(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="The addon's id.")],
    ) -> Addon | None:
        return await _load(info.context, id)

    @strawberry.field(
        description="An addon that is not archived, by the name that programs use; null when "
        "there is none.",
        extensions=[requires("addon:read")],
    )
    async def addon_by_lookup_key(
        self,
        info: Info,
        lookup_key: Annotated[str, strawberry.argument(description="As programs name it.")],
    ) -> Addon | None:
        row = await info.context.load.addon_by_lookup_key.load(lookup_key)
        return None if row is None else Addon.of(row)

    addons = listed(
        Addon,
        reads.page,
        filter=AddonFilter,
        order=AddonOrder,
        permission="addon:read",
        description="Addons, archived ones included unless the filter says otherwise. "
        "The newest first unless ordered.",
    )


@strawberry.type
class AddonMutation:
    @strawberry.mutation(description="Create an addon.", extensions=[requires("addon:write")])
    async def addon_create(
        self,
        info: Info,
        input: Annotated[AddonCreateInput, strawberry.argument(description="The addon.")],
    ) -> AddonResult:
        ctx = info.context
        row = await actions.create(ctx.scope, input.command(), by=ctx.actor, at=ctx.now())
        return Addon.of(row)

    @strawberry.mutation(
        description="Change an addon that is not archived.", extensions=[requires("addon:write")]
    )
    async def addon_update(
        self,
        info: Info,
        input: Annotated[AddonUpdateInput, strawberry.argument(description="The changes.")],
    ) -> AddonResult:
        ctx = info.context
        row = await actions.update(ctx.scope, input.id, input.patch(), by=ctx.actor, at=ctx.now())
        return Addon.of(row)

    @strawberry.mutation(
        description="Take an addon out of use: nobody can buy it and it takes no prices; who has "
        "it keeps it. Its lookup key becomes free for another.",
        extensions=[requires("addon:write")],
    )
    async def addon_archive(
        self,
        info: Info,
        input: Annotated[AddonArchiveInput, strawberry.argument(description="Which one.")],
    ) -> AddonResult:
        ctx = info.context
        return Addon.of(await actions.archive(ctx.scope, input.id, by=ctx.actor, at=ctx.now()))

    @strawberry.mutation(
        description="Put an archived addon back into use.", extensions=[requires("addon:write")]
    )
    async def addon_restore(
        self,
        info: Info,
        input: Annotated[AddonRestoreInput, strawberry.argument(description="Which one.")],
    ) -> AddonResult:
        ctx = info.context
        return Addon.of(await actions.restore(ctx.scope, input.id, by=ctx.actor, at=ctx.now()))


async def _load(context: Context, addon_id: str) -> Addon | None:
    row = await context.load.addon.load(addon_id)
    return None if row is None else Addon.of(row)


KINDS = (Kind("addon", "addon:read", _load),)
