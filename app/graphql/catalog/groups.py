"""Groups of features and of prices in the graph."""

from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any, Self

import strawberry
from strawberry import UNSET

from app.catalog.actions import groups as actions
from app.catalog.group import CreateGroup, GroupKind, GroupStatus
from app.catalog.group import Group as Row
from app.catalog.reads import groups as reads
from app.graphql.catalog import features, prices
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
from app.graphql.node import Kind, Node
from app.graphql.paging import After, Before, Connection, Direction, First, Last, page_request
from app.graphql.patch import present
from app.graphql.permissions import requires
from app.graphql.scalars import Metadata

if TYPE_CHECKING:
    from app.graphql.catalog.features import Feature
    from app.graphql.catalog.prices import Price

strawberry.enum(GroupKind, description="What belongs to a group.")
strawberry.enum(GroupStatus, description="Whether a group takes new members.")


@strawberry.type(description="Features, or prices, that are shown and reported together.")
class Group(Node):
    name: str = strawberry.field(description="As people read it.")
    lookup_key: str = strawberry.field(
        description="As programs name it. Never changes; unique among the groups of the "
        "environment that are not archived."
    )
    kind: GroupKind = strawberry.field(description="What belongs to it; never changes.")
    description: str | None = strawberry.field(description="What it is.")
    metadata: Metadata = strawberry.field(description="Your own notes.")
    status: GroupStatus = strawberry.field(
        description="Whether it takes new members; an archived group keeps those it has."
    )
    created_at: datetime = strawberry.field(description="When it was created.")
    updated_at: datetime = strawberry.field(description="When it last changed.")
    archived_at: datetime | None = strawberry.field(
        description="When it was archived; null while it is in use."
    )

    @strawberry.field(
        description="The features that belong to it, archived ones included, the newest first.",
        extensions=[requires("feature:read")],
    )
    async def features(
        self,
        info: Info,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[Annotated["Feature", strawberry.lazy("app.graphql.catalog.features")]]:
        request = page_request(info, first=first, after=after, last=last, before=before)
        page = await info.context.load.features_of_group.load((self.id, request))
        return Connection.of(page, features.Feature.of)

    @strawberry.field(
        description="The prices that belong to it, those with an end included, the newest first.",
        extensions=[requires("price:read")],
    )
    async def prices(
        self,
        info: Info,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[Annotated["Price", strawberry.lazy("app.graphql.catalog.prices")]]:
        request = page_request(info, first=first, after=after, last=last, before=before)
        page = await info.context.load.prices_of_group.load((self.id, request))
        return Connection.of(page, prices.Price.of)

    @classmethod
    def of(cls, row: Row) -> Self:
        return cls(
            id=strawberry.ID(row.id),
            name=row.name,
            lookup_key=row.lookup_key,
            kind=row.kind,
            description=row.description,
            metadata=Metadata(row.metadata),
            status=row.status,
            created_at=row.created_at,
            updated_at=row.updated_at,
            archived_at=row.archived_at,
        )


@strawberry.input(description="Which groups to list; all conditions given must hold.")
class GroupFilter:
    id: IdFilter | None = strawberry.field(description="By id.", default=UNSET)
    name: StringFilter | None = strawberry.field(description="By name.", default=UNSET)
    lookup_key: StringFilter | None = strawberry.field(
        description="By the name that programs use.", default=UNSET
    )
    kind: EnumFilter[GroupKind] | None = strawberry.field(
        description="By what belongs to them.", default=UNSET
    )
    status: EnumFilter[GroupStatus] | None = strawberry.field(
        description="By whether they take new members.", default=UNSET
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
    and_: list["GroupFilter"] | None = and_filters()
    or_: list["GroupFilter"] | None = or_filters()
    not_: "GroupFilter | None" = not_filter()


@strawberry.enum(description="What groups can be ordered by.")
class GroupOrderField(Enum):
    CREATED_AT = strawberry.enum_value("created_at", description="When they were created.")
    UPDATED_AT = strawberry.enum_value("updated_at", description="When they last changed.")
    NAME = strawberry.enum_value("name", description="Their name.")
    LOOKUP_KEY = strawberry.enum_value("lookup_key", description="The name that programs use.")
    ID = strawberry.enum_value("id", description="Their id.")


@strawberry.input(description="One key of the order of groups.")
class GroupOrder:
    field: GroupOrderField = strawberry.field(description="What to order by.")
    direction: Direction = strawberry.field(description="Which way.", default=Direction.ASC)


@strawberry.input(description="A new group, to which nothing belongs yet.")
class GroupCreateInput:
    name: str = strawberry.field(description="As people will read it.")
    lookup_key: str = strawberry.field(
        description="As programs will name it: letters, digits and _ . : -; it never changes."
    )
    kind: GroupKind = strawberry.field(description="What will belong to it; it never changes.")
    description: str | None = strawberry.field(description="What it is.", default=None)
    metadata: Metadata | None = strawberry.field(description="Your own notes.", default=None)

    def command(self) -> CreateGroup:
        return CreateGroup(**vars(self) | {"metadata": self.metadata or {}})


@strawberry.input(
    description="Changes to a group. A field that is absent stays as it is; null clears."
)
class GroupUpdateInput:
    id: strawberry.ID = strawberry.field(description="Which group.")
    name: strawberry.Maybe[str] = strawberry.field(description="As people will read it.")
    description: strawberry.Maybe[str | None] = strawberry.field(description="What it is.")
    metadata: strawberry.Maybe[Metadata | None] = strawberry.field(
        description="Your own notes; replaces all of them."
    )

    def patch(self) -> dict[str, Any]:
        return present(self, without=("id",))


@strawberry.input(description="The group to archive.")
class GroupArchiveInput:
    id: strawberry.ID = strawberry.field(description="Which group.")


@strawberry.input(description="The archived group to put back into use.")
class GroupRestoreInput:
    id: strawberry.ID = strawberry.field(description="Which group.")


GroupResult = Annotated[
    Group | AlreadyExists | Rejected,
    strawberry.union(
        "GroupResult", description="The group as it is now, or why nothing was changed."
    ),
]


@strawberry.type
class GroupQuery:
    @strawberry.field(
        description="A group by id; null when the environment has none with it.",
        extensions=[requires("group:read")],
    )
    async def group(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="The group's id.")],
    ) -> Group | None:
        return await _load(info.context, id)

    @strawberry.field(
        description="A group that is not archived, by the name that programs use; null when "
        "there is none.",
        extensions=[requires("group:read")],
    )
    async def group_by_lookup_key(
        self,
        info: Info,
        lookup_key: Annotated[str, strawberry.argument(description="As programs name it.")],
    ) -> Group | None:
        row = await info.context.load.group_by_lookup_key.load(lookup_key)
        return None if row is None else Group.of(row)

    groups = listed(
        Group,
        reads.page,
        filter=GroupFilter,
        order=GroupOrder,
        permission="group:read",
        description="Groups, archived ones included unless the filter says otherwise. "
        "The newest first unless ordered.",
    )


@strawberry.type
class GroupMutation:
    @strawberry.mutation(
        description="Create a group; features and prices join it by their `groupId`.",
        extensions=[requires("group:write")],
    )
    async def group_create(
        self,
        info: Info,
        input: Annotated[GroupCreateInput, strawberry.argument(description="The group.")],
    ) -> GroupResult:
        ctx = info.context
        row = await actions.create(ctx.scope, input.command(), by=ctx.actor, at=ctx.now())
        return Group.of(row)

    @strawberry.mutation(
        description="Change a group that is not archived.", extensions=[requires("group:write")]
    )
    async def group_update(
        self,
        info: Info,
        input: Annotated[GroupUpdateInput, strawberry.argument(description="The changes.")],
    ) -> GroupResult:
        ctx = info.context
        row = await actions.update(ctx.scope, input.id, input.patch(), by=ctx.actor, at=ctx.now())
        return Group.of(row)

    @strawberry.mutation(
        description="Archive a group: nothing new joins it; what belongs to it stays. Its "
        "lookup key becomes free for another.",
        extensions=[requires("group:write")],
    )
    async def group_archive(
        self,
        info: Info,
        input: Annotated[GroupArchiveInput, strawberry.argument(description="Which one.")],
    ) -> GroupResult:
        ctx = info.context
        return Group.of(await actions.archive(ctx.scope, input.id, by=ctx.actor, at=ctx.now()))

    @strawberry.mutation(
        description="Put an archived group back into use.", extensions=[requires("group:write")]
    )
    async def group_restore(
        self,
        info: Info,
        input: Annotated[GroupRestoreInput, strawberry.argument(description="Which one.")],
    ) -> GroupResult:
        ctx = info.context
        return Group.of(await actions.restore(ctx.scope, input.id, by=ctx.actor, at=ctx.now()))


async def _load(context: Context, group_id: str) -> Group | None:
    row = await context.load.group.load(group_id)
    return None if row is None else Group.of(row)


KINDS = (Kind("grp", "group:read", _load),)
