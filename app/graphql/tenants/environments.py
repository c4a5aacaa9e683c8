from datetime import datetime
from enum import Enum
from typing import Annotated, Any, Self

import strawberry
from strawberry import UNSET

from app.graphql.context import Context, Info
from app.graphql.errors import AlreadyExists, Rejected
from app.graphql.filters import (
    DateTimeFilter,
    EnumFilter,
    IdFilter,
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
from app.graphql.tenants.acting import recording
from app.graphql.tenants.enums import EnvironmentStatus, EnvironmentType
from app.tenants.actions import environments as actions
from app.tenants.commands import CreateEnvironment
from app.tenants.reads import environments as reads
from app.tenants.tenant import Environment as Row


@strawberry.type(
    description="A wall inside a tenant: customers, prices, events and keys live in exactly one."
)
class Environment(Node):
    name: str = strawberry.field(
        description="Unique among the tenant's environments that are not archived."
    )
    type: EnvironmentType = strawberry.field(description="What it is for; never changes.")
    status: EnvironmentStatus = strawberry.field(description="Whether it is in use.")
    created_at: datetime = strawberry.field(description="When it was created.")
    updated_at: datetime = strawberry.field(description="When it last changed.")
    archived_at: datetime | None = strawberry.field(
        description="When it was closed; null while it is in use."
    )

    @classmethod
    def of(cls, row: Row) -> Self:
        return cls(
            id=strawberry.ID(row.id),
            name=row.name,
            type=row.type,
            status=row.status,
            created_at=row.created_at,
            updated_at=row.updated_at,
            archived_at=row.archived_at,
        )


@strawberry.input(description="Which environments to list; all conditions given must hold.")
class EnvironmentFilter:
    id: IdFilter | None = strawberry.field(description="By id.", default=UNSET)
    name: StringFilter | None = strawberry.field(description="By name.", default=UNSET)
    type: EnumFilter[EnvironmentType] | None = strawberry.field(
        description="By what they are for.", default=UNSET
    )
    status: EnumFilter[EnvironmentStatus] | None = strawberry.field(
        description="By whether they are in use.", default=UNSET
    )
    created_at: DateTimeFilter | None = strawberry.field(
        description="By when they were created.", default=UNSET
    )
    updated_at: DateTimeFilter | None = strawberry.field(
        description="By when they last changed.", default=UNSET
    )
    and_: list["EnvironmentFilter"] | None = and_filters()
    or_: list["EnvironmentFilter"] | None = or_filters()
    not_: "EnvironmentFilter | None" = not_filter()


@strawberry.enum(description="What environments can be ordered by.")
class EnvironmentOrderField(Enum):
    CREATED_AT = strawberry.enum_value("created_at", description="When they were created.")
    UPDATED_AT = strawberry.enum_value("updated_at", description="When they last changed.")
    NAME = strawberry.enum_value("name", description="Their name.")
    ID = strawberry.enum_value("id", description="Their id.")


@strawberry.input(description="One key of the order of environments.")
class EnvironmentOrder:
    field: EnvironmentOrderField = strawberry.field(description="What to order by.")
    direction: Direction = strawberry.field(description="Which way.", default=Direction.ASC)


@strawberry.input(description="A new environment.")
class EnvironmentCreateInput:
    name: str = strawberry.field(description="Its name.")
    type: EnvironmentType = strawberry.field(description="What it is for; never changes.")


@strawberry.input(description="Changes to an environment. A field that is absent stays as it is.")
class EnvironmentUpdateInput:
    id: strawberry.ID = strawberry.field(description="Which environment.")
    name: strawberry.Maybe[str | None] = strawberry.field(description="Its name.")

    def patch(self) -> dict[str, Any]:
        return present(self, without=("id",))


@strawberry.input(description="The environment to close.")
class EnvironmentArchiveInput:
    id: strawberry.ID = strawberry.field(description="Which environment.")


@strawberry.input(description="The closed environment to open again.")
class EnvironmentRestoreInput:
    id: strawberry.ID = strawberry.field(description="Which environment.")


EnvironmentResult = Annotated[
    Environment | AlreadyExists | Rejected,
    strawberry.union(
        "EnvironmentResult", description="The environment as it is now, or why nothing changed."
    ),
]


@strawberry.type
class EnvironmentQuery:
    @strawberry.field(
        description="An environment of the tenant by id; null when there is none with it.",
        extensions=[requires("environment:read")],
    )
    async def environment(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="The environment's id.")],
    ) -> Environment | None:
        return await _load(info.context, id)

    environments = listed(
        Environment,
        reads.page,
        filter=EnvironmentFilter,
        order=EnvironmentOrder,
        permission="environment:read",
        description="The tenant's environments, closed ones included unless the filter says "
        "otherwise. The oldest first unless ordered.",
        of_tenant=True,
    )


@strawberry.type
class EnvironmentMutation:
    @strawberry.mutation(
        description="Create an environment.", extensions=[requires("environment:write")]
    )
    async def environment_create(
        self,
        info: Info,
        input: Annotated[
            EnvironmentCreateInput, strawberry.argument(description="The environment.")
        ],
    ) -> EnvironmentResult:
        ctx = info.context
        command = CreateEnvironment(name=input.name, type=input.type)
        return Environment.of(await actions.create(ctx.tenant_scope, command, **recording(ctx)))

    @strawberry.mutation(
        description="Rename an environment that is not archived.",
        extensions=[requires("environment:write")],
    )
    async def environment_update(
        self,
        info: Info,
        input: Annotated[EnvironmentUpdateInput, strawberry.argument(description="The changes.")],
    ) -> EnvironmentResult:
        ctx = info.context
        row = await actions.update(ctx.tenant_scope, input.id, input.patch(), **recording(ctx))
        return Environment.of(row)

    @strawberry.mutation(
        description="Close an environment: its keys stop working and nobody enters it. Nothing "
        "in it is deleted.",
        extensions=[requires("environment:write")],
    )
    async def environment_archive(
        self,
        info: Info,
        input: Annotated[EnvironmentArchiveInput, strawberry.argument(description="Which one.")],
    ) -> EnvironmentResult:
        ctx = info.context
        return Environment.of(await actions.archive(ctx.tenant_scope, input.id, **recording(ctx)))

    @strawberry.mutation(
        description="Open a closed environment again.",
        extensions=[requires("environment:write")],
    )
    async def environment_restore(
        self,
        info: Info,
        input: Annotated[EnvironmentRestoreInput, strawberry.argument(description="Which one.")],
    ) -> EnvironmentResult:
        ctx = info.context
        return Environment.of(await actions.restore(ctx.tenant_scope, input.id, **recording(ctx)))


async def _load(context: Context, environment_id: str) -> Environment | None:
    row = await context.load.environment.load(environment_id)
    return None if row is None else Environment.of(row)


KINDS = (Kind("env", "environment:read", _load),)
