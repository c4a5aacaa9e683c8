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
from app.graphql.tenants.acting import acting
from app.graphql.tenants.enums import PrincipalStatus
from app.tenants.actions import service_accounts as actions
from app.tenants.commands import CreateServiceAccount
from app.tenants.reads import service_accounts as reads
from app.tenants.user import ServiceAccount as Row


@strawberry.type(
    description="A program that acts for the tenant, through API keys that belong to it, with "
    "the roles it has at that moment."
)
class ServiceAccount(Node):
    name: str = strawberry.field(
        description="Unique among the tenant's accounts that are not archived."
    )
    roles: list[str] = strawberry.field(
        description="Names of built-in roles and ids of the tenant's own."
    )
    status: PrincipalStatus = strawberry.field(description="Whether its keys work.")
    created_at: datetime = strawberry.field(description="When it was created.")
    updated_at: datetime = strawberry.field(description="When it last changed.")
    archived_at: datetime | None = strawberry.field(
        description="When it was shut out; null otherwise."
    )

    @classmethod
    def of(cls, row: Row) -> Self:
        return cls(
            id=strawberry.ID(row.id),
            name=row.name,
            roles=list(row.roles),
            status=row.status,
            created_at=row.created_at,
            updated_at=row.updated_at,
            archived_at=row.archived_at,
        )


@strawberry.input(description="Which service accounts to list; all conditions given must hold.")
class ServiceAccountFilter:
    id: IdFilter | None = strawberry.field(description="By id.", default=UNSET)
    name: StringFilter | None = strawberry.field(description="By name.", default=UNSET)
    status: EnumFilter[PrincipalStatus] | None = strawberry.field(
        description="By whether their keys work.", default=UNSET
    )
    created_at: DateTimeFilter | None = strawberry.field(
        description="By when they were created.", default=UNSET
    )
    updated_at: DateTimeFilter | None = strawberry.field(
        description="By when they last changed.", default=UNSET
    )
    and_: list["ServiceAccountFilter"] | None = and_filters()
    or_: list["ServiceAccountFilter"] | None = or_filters()
    not_: "ServiceAccountFilter | None" = not_filter()


@strawberry.enum(description="What service accounts can be ordered by.")
class ServiceAccountOrderField(Enum):
    CREATED_AT = strawberry.enum_value("created_at", description="When they were created.")
    UPDATED_AT = strawberry.enum_value("updated_at", description="When they last changed.")
    NAME = strawberry.enum_value("name", description="Their name.")
    ID = strawberry.enum_value("id", description="Their id.")


@strawberry.input(description="One key of the order of service accounts.")
class ServiceAccountOrder:
    field: ServiceAccountOrderField = strawberry.field(description="What to order by.")
    direction: Direction = strawberry.field(description="Which way.", default=Direction.ASC)


@strawberry.input(description="A new service account.")
class ServiceAccountCreateInput:
    name: str = strawberry.field(description="Its name.")
    roles: list[str] = strawberry.field(
        description="Names of built-in roles and ids of your own; none beyond what you may.",
        default_factory=list,
    )


@strawberry.input(
    description="Changes to a service account. A field that is absent stays as it is."
)
class ServiceAccountUpdateInput:
    id: strawberry.ID = strawberry.field(description="Which account.")
    name: strawberry.Maybe[str | None] = strawberry.field(description="Its name.")

    def patch(self) -> dict[str, Any]:
        return present(self, without=("id",))


@strawberry.input(description="The service account to shut out.")
class ServiceAccountArchiveInput:
    id: strawberry.ID = strawberry.field(description="Which account.")


@strawberry.input(description="The archived service account to let in again.")
class ServiceAccountRestoreInput:
    id: strawberry.ID = strawberry.field(description="Which account.")


ServiceAccountResult = Annotated[
    ServiceAccount | AlreadyExists | Rejected,
    strawberry.union(
        "ServiceAccountResult", description="The account as it is now, or why nothing changed."
    ),
]


@strawberry.type
class ServiceAccountQuery:
    @strawberry.field(
        description="A service account of the tenant by id; null when there is none with it.",
        extensions=[requires("user:read")],
    )
    async def service_account(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="The account's id.")],
    ) -> ServiceAccount | None:
        return await _load(info.context, id)

    service_accounts = listed(
        ServiceAccount,
        reads.page,
        filter=ServiceAccountFilter,
        order=ServiceAccountOrder,
        permission="user:read",
        description="The tenant's service accounts, archived ones included unless the filter "
        "says otherwise. The newest first unless ordered.",
        of_tenant=True,
    )


@strawberry.type
class ServiceAccountMutation:
    @strawberry.mutation(
        description="Create a service account.", extensions=[requires("user:write")]
    )
    async def service_account_create(
        self,
        info: Info,
        input: Annotated[
            ServiceAccountCreateInput, strawberry.argument(description="The account.")
        ],
    ) -> ServiceAccountResult:
        ctx = info.context
        command = CreateServiceAccount(name=input.name, roles=tuple(input.roles))
        return ServiceAccount.of(await actions.create(ctx.tenant_scope, command, **acting(ctx)))

    @strawberry.mutation(
        description="Rename a service account that is not archived.",
        extensions=[requires("user:write")],
    )
    async def service_account_update(
        self,
        info: Info,
        input: Annotated[
            ServiceAccountUpdateInput, strawberry.argument(description="The changes.")
        ],
    ) -> ServiceAccountResult:
        ctx = info.context
        row = await actions.update(ctx.tenant_scope, input.id, input.patch(), **acting(ctx))
        return ServiceAccount.of(row)

    @strawberry.mutation(
        description="Shut a service account out: its keys stop working.",
        extensions=[requires("user:write")],
    )
    async def service_account_archive(
        self,
        info: Info,
        input: Annotated[ServiceAccountArchiveInput, strawberry.argument(description="Which one.")],
    ) -> ServiceAccountResult:
        ctx = info.context
        return ServiceAccount.of(await actions.archive(ctx.tenant_scope, input.id, **acting(ctx)))

    @strawberry.mutation(
        description="Let an archived service account in again; its keys work as before.",
        extensions=[requires("user:write")],
    )
    async def service_account_restore(
        self,
        info: Info,
        input: Annotated[ServiceAccountRestoreInput, strawberry.argument(description="Which one.")],
    ) -> ServiceAccountResult:
        ctx = info.context
        return ServiceAccount.of(await actions.restore(ctx.tenant_scope, input.id, **acting(ctx)))


async def _load(context: Context, account_id: str) -> ServiceAccount | None:
    row = await context.load.service_account.load(account_id)
    return None if row is None else ServiceAccount.of(row)


KINDS = (Kind("sva", "user:read", _load),)
