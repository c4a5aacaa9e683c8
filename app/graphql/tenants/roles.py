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
from app.graphql.permissions import authenticated, requires
from app.graphql.tenants.acting import acting, recording
from app.graphql.tenants.service_accounts import ServiceAccount
from app.graphql.tenants.users import User
from app.tenants.actions import roles as actions
from app.tenants.commands import CreateRole
from app.tenants.reads import roles as reads
from app.tenants.role import BUILT_IN, PERMISSIONS
from app.tenants.role import Role as Row
from app.tenants.user import ServiceAccount as AccountRow
from app.tenants.user import User as UserRow


@strawberry.enum(description="Whether a role can be given.")
class RoleStatus(Enum):
    ACTIVE = strawberry.enum_value("active", description="It can be given.")
    ARCHIVED = strawberry.enum_value("archived", description="It is out of use.")


@strawberry.type(description="A role that every tenant has.")
class BuiltInRole:
    name: str = strawberry.field(description="What it is given by.")
    permissions: list[str] = strawberry.field(description="What it gives.")


@strawberry.type(description="A role that the tenant made. Who holds it has what it says now.")
class Role(Node):
    name: str = strawberry.field(
        description="Unique among the tenant's roles that are not archived."
    )
    permissions: list[str] = strawberry.field(description="What it gives.")
    status: RoleStatus = strawberry.field(description="Whether it can be given.")
    created_at: datetime = strawberry.field(description="When it was created.")
    updated_at: datetime = strawberry.field(description="When it last changed.")
    archived_at: datetime | None = strawberry.field(
        description="When it was taken out of use; null while it is in use."
    )

    @classmethod
    def of(cls, row: Row) -> Self:
        return cls(
            id=strawberry.ID(row.id),
            name=row.name,
            permissions=list(row.permissions),
            status=RoleStatus.ACTIVE if row.archived_at is None else RoleStatus.ARCHIVED,
            created_at=row.created_at,
            updated_at=row.updated_at,
            archived_at=row.archived_at,
        )


@strawberry.input(description="Which roles to list; all conditions given must hold.")
class RoleFilter:
    id: IdFilter | None = strawberry.field(description="By id.", default=UNSET)
    name: StringFilter | None = strawberry.field(description="By name.", default=UNSET)
    status: EnumFilter[RoleStatus] | None = strawberry.field(
        description="By whether they can be given.", default=UNSET
    )
    created_at: DateTimeFilter | None = strawberry.field(
        description="By when they were created.", default=UNSET
    )
    updated_at: DateTimeFilter | None = strawberry.field(
        description="By when they last changed.", default=UNSET
    )
    and_: list["RoleFilter"] | None = and_filters()
    or_: list["RoleFilter"] | None = or_filters()
    not_: "RoleFilter | None" = not_filter()


@strawberry.enum(description="What roles can be ordered by.")
class RoleOrderField(Enum):
    NAME = strawberry.enum_value("name", description="Their name.")
    CREATED_AT = strawberry.enum_value("created_at", description="When they were created.")
    UPDATED_AT = strawberry.enum_value("updated_at", description="When they last changed.")
    ID = strawberry.enum_value("id", description="Their id.")


@strawberry.input(description="One key of the order of roles.")
class RoleOrder:
    field: RoleOrderField = strawberry.field(description="What to order by.")
    direction: Direction = strawberry.field(description="Which way.", default=Direction.ASC)


@strawberry.input(description="A new role.")
class RoleCreateInput:
    name: str = strawberry.field(description="Its name; at most 64 characters.")
    permissions: list[str] = strawberry.field(
        description="What it gives, such as customer:read; none beyond what you may."
    )


@strawberry.input(description="Changes to a role. A field that is absent stays as it is.")
class RoleUpdateInput:
    id: strawberry.ID = strawberry.field(description="Which role.")
    name: strawberry.Maybe[str | None] = strawberry.field(description="Its name.")
    permissions: strawberry.Maybe[list[str] | None] = strawberry.field(
        description="What it gives; replaces all of it."
    )

    def patch(self) -> dict[str, Any]:
        return present(self, without=("id",))


@strawberry.input(description="The role to take out of use.")
class RoleArchiveInput:
    id: strawberry.ID = strawberry.field(description="Which role.")


@strawberry.input(description="The archived role to put back into use.")
class RoleRestoreInput:
    id: strawberry.ID = strawberry.field(description="Which role.")


@strawberry.input(description="Who gets a role.")
class RoleAssignInput:
    principal_id: strawberry.ID = strawberry.field(description="A user or service account.")
    role: str = strawberry.field(
        description="The name of a built-in role or the id of one of your own."
    )


@strawberry.input(description="Who loses a role.")
class RoleUnassignInput:
    principal_id: strawberry.ID = strawberry.field(description="A user or service account.")
    role: str = strawberry.field(
        description="The name of a built-in role or the id of one of your own."
    )


RoleResult = Annotated[
    Role | AlreadyExists | Rejected,
    strawberry.union("RoleResult", description="The role as it is now, or why nothing changed."),
]
PrincipalResult = Annotated[
    User | ServiceAccount | Rejected,
    strawberry.union(
        "PrincipalResult", description="Who was changed, as they are now, or why nothing changed."
    ),
]


@strawberry.type
class RoleQuery:
    @strawberry.field(
        description="One of the tenant's own roles by id; null when there is none with it.",
        extensions=[requires("role:read")],
    )
    async def role(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="The role's id.")],
    ) -> Role | None:
        return await _load(info.context, id)

    @strawberry.field(description="The roles that every tenant has.", extensions=[authenticated()])
    def built_in_roles(self) -> list[BuiltInRole]:
        return [
            BuiltInRole(name=name, permissions=sorted(given)) for name, given in BUILT_IN.items()
        ]

    @strawberry.field(
        description="Every permission there is, for roles and keys.", extensions=[authenticated()]
    )
    def permissions(self) -> list[str]:
        return sorted(PERMISSIONS)

    roles = listed(
        Role,
        reads.page,
        filter=RoleFilter,
        order=RoleOrder,
        permission="role:read",
        description="The tenant's own roles, archived ones included unless the filter says "
        "otherwise. By name unless ordered.",
        of_tenant=True,
    )


@strawberry.type
class RoleMutation:
    @strawberry.mutation(description="Create a role.", extensions=[requires("role:write")])
    async def role_create(
        self,
        info: Info,
        input: Annotated[RoleCreateInput, strawberry.argument(description="The role.")],
    ) -> RoleResult:
        ctx = info.context
        command = CreateRole(name=input.name, permissions=tuple(input.permissions))
        return Role.of(await actions.create(ctx.tenant_scope, command, **acting(ctx)))

    @strawberry.mutation(
        description="Change a role that is not archived; whoever holds it feels it at once.",
        extensions=[requires("role:write")],
    )
    async def role_update(
        self,
        info: Info,
        input: Annotated[RoleUpdateInput, strawberry.argument(description="The changes.")],
    ) -> RoleResult:
        ctx = info.context
        row = await actions.update(ctx.tenant_scope, input.id, input.patch(), **acting(ctx))
        return Role.of(row)

    @strawberry.mutation(
        description="Take a role that nobody holds out of use.",
        extensions=[requires("role:write")],
    )
    async def role_archive(
        self,
        info: Info,
        input: Annotated[RoleArchiveInput, strawberry.argument(description="Which one.")],
    ) -> RoleResult:
        ctx = info.context
        return Role.of(await actions.archive(ctx.tenant_scope, input.id, **recording(ctx)))

    @strawberry.mutation(
        description="Put an archived role back into use.", extensions=[requires("role:write")]
    )
    async def role_restore(
        self,
        info: Info,
        input: Annotated[RoleRestoreInput, strawberry.argument(description="Which one.")],
    ) -> RoleResult:
        ctx = info.context
        return Role.of(await actions.restore(ctx.tenant_scope, input.id, **recording(ctx)))

    @strawberry.mutation(
        description="Give a user or service account a role.", extensions=[requires("user:write")]
    )
    async def role_assign(
        self,
        info: Info,
        input: Annotated[RoleAssignInput, strawberry.argument(description="Who gets what.")],
    ) -> PrincipalResult:
        ctx = info.context
        scope, holder = ctx.tenant_scope, input.principal_id
        return _principal(await actions.assign(scope, holder, input.role, **acting(ctx)))

    @strawberry.mutation(
        description="Take a role away from a user or service account; it no longer counts from "
        "the next request on.",
        extensions=[requires("user:write")],
    )
    async def role_unassign(
        self,
        info: Info,
        input: Annotated[RoleUnassignInput, strawberry.argument(description="Who loses what.")],
    ) -> PrincipalResult:
        ctx = info.context
        scope, holder = ctx.tenant_scope, input.principal_id
        return _principal(await actions.unassign(scope, holder, input.role, **acting(ctx)))


def _principal(row: UserRow | AccountRow) -> User | ServiceAccount:
    return User.of(row) if isinstance(row, UserRow) else ServiceAccount.of(row)


async def _load(context: Context, role_id: str) -> Role | None:
    row = await context.load.role.load(role_id)
    return None if row is None else Role.of(row)


KINDS = (Kind("rol", "role:read", _load),)
