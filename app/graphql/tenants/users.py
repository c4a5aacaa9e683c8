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
from app.graphql.permissions import requires, shown_once
from app.graphql.tenants.acting import acting
from app.graphql.tenants.enums import PrincipalStatus
from app.tenants.actions import users as actions
from app.tenants.actions.users import Invitation as InvitationRow
from app.tenants.commands import CreateUser, InviteUser
from app.tenants.reads import users as reads
from app.tenants.user import User as Row


@strawberry.type(description="A person who acts for the tenant.")
class User(Node):
    email: str = strawberry.field(description="Signs in with it; unique in the installation.")
    name: str = strawberry.field(description="As others see it.")
    roles: list[str] = strawberry.field(
        description="Names of built-in roles and ids of the tenant's own."
    )
    status: PrincipalStatus = strawberry.field(
        description="Invited until a password is set; archived ones cannot sign in."
    )
    created_at: datetime = strawberry.field(description="When the user was added.")
    updated_at: datetime = strawberry.field(description="When the user last changed.")
    archived_at: datetime | None = strawberry.field(
        description="When the user was shut out; null otherwise."
    )

    @classmethod
    def of(cls, row: Row) -> Self:
        return cls(
            id=strawberry.ID(row.id),
            email=row.email,
            name=row.name,
            roles=list(row.roles),
            status=row.status,
            created_at=row.created_at,
            updated_at=row.updated_at,
            archived_at=row.archived_at,
        )


@strawberry.type(description="An invitation, shown once. Hand the token to the user.")
class Invitation:
    user: User = strawberry.field(description="Who was invited.")
    token: str = strawberry.field(
        description="Sets the password, once, by POST /v1/auth/invitation; kept nowhere."
    )
    expires_at: datetime = strawberry.field(description="Until when it works.")

    @classmethod
    def of(cls, row: InvitationRow) -> Self:
        return cls(user=User.of(row.user), token=row.token, expires_at=row.expires_at)


@strawberry.input(description="Which users to list; all conditions given must hold.")
class UserFilter:
    id: IdFilter | None = strawberry.field(description="By id.", default=UNSET)
    email: StringFilter | None = strawberry.field(description="By e-mail address.", default=UNSET)
    name: StringFilter | None = strawberry.field(description="By name.", default=UNSET)
    status: EnumFilter[PrincipalStatus] | None = strawberry.field(
        description="By whether they can act.", default=UNSET
    )
    created_at: DateTimeFilter | None = strawberry.field(
        description="By when they were added.", default=UNSET
    )
    updated_at: DateTimeFilter | None = strawberry.field(
        description="By when they last changed.", default=UNSET
    )
    and_: list["UserFilter"] | None = and_filters()
    or_: list["UserFilter"] | None = or_filters()
    not_: "UserFilter | None" = not_filter()


@strawberry.enum(description="What users can be ordered by.")
class UserOrderField(Enum):
    CREATED_AT = strawberry.enum_value("created_at", description="When they were added.")
    UPDATED_AT = strawberry.enum_value("updated_at", description="When they last changed.")
    EMAIL = strawberry.enum_value("email", description="Their e-mail address.")
    NAME = strawberry.enum_value("name", description="Their name.")
    ID = strawberry.enum_value("id", description="Their id.")


@strawberry.input(description="One key of the order of users.")
class UserOrder:
    field: UserOrderField = strawberry.field(description="What to order by.")
    direction: Direction = strawberry.field(description="Which way.", default=Direction.ASC)


@strawberry.input(description="A new user who can sign in at once.")
class UserCreateInput:
    email: str = strawberry.field(description="Signs in with it.")
    name: str = strawberry.field(description="As others see it.")
    password: str = strawberry.field(description="12 to 256 characters.")
    roles: list[str] = strawberry.field(
        description="Names of built-in roles and ids of your own; none beyond what you may.",
        default_factory=list,
    )


@strawberry.input(description="A new user who signs in after setting a password.")
class UserInviteInput:
    email: str = strawberry.field(description="Signs in with it.")
    name: str = strawberry.field(description="As others see it.")
    roles: list[str] = strawberry.field(
        description="Names of built-in roles and ids of your own; none beyond what you may.",
        default_factory=list,
    )


@strawberry.input(description="The user to invite again.")
class UserInviteAgainInput:
    id: strawberry.ID = strawberry.field(description="Which user.")


@strawberry.input(description="Changes to a user. A field that is absent stays as it is.")
class UserUpdateInput:
    id: strawberry.ID = strawberry.field(description="Which user.")
    email: strawberry.Maybe[str | None] = strawberry.field(description="Signs in with it.")
    name: strawberry.Maybe[str | None] = strawberry.field(description="As others see it.")

    def patch(self) -> dict[str, Any]:
        return present(self, without=("id",))


@strawberry.input(description="The user to shut out.")
class UserArchiveInput:
    id: strawberry.ID = strawberry.field(description="Which user.")


@strawberry.input(description="The archived user to let in again.")
class UserRestoreInput:
    id: strawberry.ID = strawberry.field(description="Which user.")


UserResult = Annotated[
    User | AlreadyExists | Rejected,
    strawberry.union("UserResult", description="The user as it is now, or why nothing changed."),
]
InvitationResult = Annotated[
    Invitation | AlreadyExists | Rejected,
    strawberry.union("InvitationResult", description="The invitation, or why there is none."),
]


@strawberry.type
class UserQuery:
    @strawberry.field(
        description="A user of the tenant by id; null when there is none with it.",
        extensions=[requires("user:read")],
    )
    async def user(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="The user's id.")],
    ) -> User | None:
        return await _load(info.context, id)

    users = listed(
        User,
        reads.page,
        filter=UserFilter,
        order=UserOrder,
        permission="user:read",
        description="The tenant's users, archived ones included unless the filter says "
        "otherwise. The newest first unless ordered.",
        of_tenant=True,
    )


@strawberry.type
class UserMutation:
    @strawberry.mutation(
        description="Add a user who can sign in at once.", extensions=[requires("user:write")]
    )
    async def user_create(
        self,
        info: Info,
        input: Annotated[UserCreateInput, strawberry.argument(description="The user.")],
    ) -> UserResult:
        ctx = info.context
        command = CreateUser(
            email=input.email,
            name=input.name,
            password=input.password,
            roles=tuple(input.roles),
        )
        return User.of(await actions.create(ctx.tenant_scope, command, **acting(ctx)))

    @strawberry.mutation(
        description="Invite a user, who signs in after setting a password.",
        extensions=[requires("user:write"), shown_once()],
    )
    async def user_invite(
        self,
        info: Info,
        input: Annotated[UserInviteInput, strawberry.argument(description="The user.")],
    ) -> InvitationResult:
        ctx = info.context
        command = InviteUser(email=input.email, name=input.name, roles=tuple(input.roles))
        return Invitation.of(await actions.invite(ctx.tenant_scope, command, **acting(ctx)))

    @strawberry.mutation(
        description="Give a user a fresh token, for a lost invitation or a forgotten password. "
        "The token before it stops working.",
        extensions=[requires("user:write"), shown_once()],
    )
    async def user_invite_again(
        self,
        info: Info,
        input: Annotated[UserInviteAgainInput, strawberry.argument(description="Which one.")],
    ) -> InvitationResult:
        ctx = info.context
        return Invitation.of(await actions.invite_again(ctx.tenant_scope, input.id, **acting(ctx)))

    @strawberry.mutation(
        description="Change a user who is not archived.", extensions=[requires("user:write")]
    )
    async def user_update(
        self,
        info: Info,
        input: Annotated[UserUpdateInput, strawberry.argument(description="The changes.")],
    ) -> UserResult:
        ctx = info.context
        row = await actions.update(ctx.tenant_scope, input.id, input.patch(), **acting(ctx))
        return User.of(row)

    @strawberry.mutation(
        description="Shut a user out: sessions and invitations end, the address becomes free.",
        extensions=[requires("user:write")],
    )
    async def user_archive(
        self,
        info: Info,
        input: Annotated[UserArchiveInput, strawberry.argument(description="Which one.")],
    ) -> UserResult:
        ctx = info.context
        return User.of(await actions.archive(ctx.tenant_scope, input.id, **acting(ctx)))

    @strawberry.mutation(
        description="Let an archived user in again, with the roles from before.",
        extensions=[requires("user:write")],
    )
    async def user_restore(
        self,
        info: Info,
        input: Annotated[UserRestoreInput, strawberry.argument(description="Which one.")],
    ) -> UserResult:
        ctx = info.context
        return User.of(await actions.restore(ctx.tenant_scope, input.id, **acting(ctx)))


async def _load(context: Context, user_id: str) -> User | None:
    row = await context.load.user.load(user_id)
    return None if row is None else User.of(row)


KINDS = (Kind("usr", "user:read", _load),)
