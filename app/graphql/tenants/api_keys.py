from datetime import datetime, timedelta
from enum import Enum
from typing import Annotated, Self

import strawberry
from strawberry import UNSET

from app.graphql.context import Context, Info
from app.graphql.errors import Rejected
from app.graphql.filters import (
    DateTimeFilter,
    IdFilter,
    StringFilter,
    and_filters,
    not_filter,
    or_filters,
)
from app.graphql.node import Kind, Node
from app.graphql.paging import (
    After,
    Before,
    Connection,
    Direction,
    First,
    Last,
    Search,
    page_request,
)
from app.graphql.permissions import requires, shown_once
from app.graphql.tenants.acting import acting, recording
from app.graphql.tenants.enums import ApiKeyStatus
from app.tenants.actions import api_keys as actions
from app.tenants.api_key import ApiKey as Row
from app.tenants.api_key import CreatedApiKey
from app.tenants.commands import CreateApiKey
from app.tenants.reads import api_keys as reads


@strawberry.type(description="A key of the environment, without its secret.")
class ApiKey(Node):
    name: str = strawberry.field(description="Your own name for it.")
    prefix: str = strawberry.field(description="How the secret begins; tells keys apart.")
    permissions: list[str] = strawberry.field(
        description="What it gives, whatever becomes of who created it. For a key of a service "
        "account: as far as the account's roles give it too."
    )
    service_account_id: strawberry.ID | None = strawberry.field(
        description="The service account it belongs to; null: none."
    )
    status: ApiKeyStatus = strawberry.field(description="Whether it works.")
    created_by: str = strawberry.field(description="The id of who created it.")
    rotated_from: strawberry.ID | None = strawberry.field(
        description="The key whose place it took; null: none's."
    )
    created_at: datetime = strawberry.field(description="When it was created.")
    expires_at: datetime | None = strawberry.field(
        description="From when on it no longer works; null: never."
    )
    revoked_at: datetime | None = strawberry.field(
        description="When it was revoked; null: it was not."
    )
    last_used_at: datetime | None = strawberry.field(
        description="When it was last used, up to a minute late; null: never."
    )

    @classmethod
    def of(cls, row: Row, at: datetime) -> Self:
        account, former = row.service_account_id, row.rotated_from
        return cls(
            id=strawberry.ID(row.id),
            name=row.name,
            prefix=row.prefix,
            permissions=list(row.permissions),
            service_account_id=None if account is None else strawberry.ID(account),
            status=row.status(at),
            created_by=row.created_by,
            rotated_from=None if former is None else strawberry.ID(former),
            created_at=row.created_at,
            expires_at=row.expires_at,
            revoked_at=row.revoked_at,
            last_used_at=row.last_used_at,
        )


@strawberry.type(description="A new key with its secret, which is shown this once.")
class NewApiKey:
    api_key: ApiKey = strawberry.field(description="The key.")
    secret: str = strawberry.field(
        description="Send it as x-api-key. It is kept nowhere: store it now."
    )

    @classmethod
    def of(cls, made: CreatedApiKey, at: datetime) -> Self:
        return cls(api_key=ApiKey.of(made.key, at), secret=made.secret.text)


@strawberry.input(description="Which keys to list; all conditions given must hold.")
class ApiKeyFilter:
    id: IdFilter | None = strawberry.field(description="By id.", default=UNSET)
    name: StringFilter | None = strawberry.field(description="By name.", default=UNSET)
    prefix: StringFilter | None = strawberry.field(
        description="By how the secret begins.", default=UNSET
    )
    service_account_id: IdFilter | None = strawberry.field(
        description="By the service account they belong to.", default=UNSET
    )
    created_by: IdFilter | None = strawberry.field(
        description="By who created them.", default=UNSET
    )
    created_at: DateTimeFilter | None = strawberry.field(
        description="By when they were created.", default=UNSET
    )
    expires_at: DateTimeFilter | None = strawberry.field(
        description="By when they expire.", default=UNSET
    )
    revoked_at: DateTimeFilter | None = strawberry.field(
        description="By when they were revoked; isNull finds those that were not.", default=UNSET
    )
    last_used_at: DateTimeFilter | None = strawberry.field(
        description="By when they were last used.", default=UNSET
    )
    and_: list["ApiKeyFilter"] | None = and_filters()
    or_: list["ApiKeyFilter"] | None = or_filters()
    not_: "ApiKeyFilter | None" = not_filter()


@strawberry.enum(description="What keys can be ordered by.")
class ApiKeyOrderField(Enum):
    CREATED_AT = strawberry.enum_value("created_at", description="When they were created.")
    EXPIRES_AT = strawberry.enum_value("expires_at", description="When they expire.")
    LAST_USED_AT = strawberry.enum_value("last_used_at", description="When they were last used.")
    REVOKED_AT = strawberry.enum_value("revoked_at", description="When they were revoked.")
    NAME = strawberry.enum_value("name", description="Their name.")
    ID = strawberry.enum_value("id", description="Their id.")


@strawberry.input(description="One key of the order of API keys.")
class ApiKeyOrder:
    field: ApiKeyOrderField = strawberry.field(description="What to order by.")
    direction: Direction = strawberry.field(description="Which way.", default=Direction.ASC)


@strawberry.input(description="A new key of the environment.")
class ApiKeyCreateInput:
    name: str = strawberry.field(description="Your own name for it.")
    permissions: list[str] = strawberry.field(
        description="What it gives, such as event:write; none beyond what you may."
    )
    expires_at: datetime | None = strawberry.field(
        description="From when on it no longer works; null: never.", default=None
    )
    service_account_id: strawberry.ID | None = strawberry.field(
        description="The service account it belongs to; null: none.", default=None
    )

    def command(self) -> CreateApiKey:
        return CreateApiKey(
            name=self.name,
            permissions=tuple(self.permissions),
            expires_at=self.expires_at,
            service_account_id=self.service_account_id,
        )


@strawberry.input(description="The key to replace.")
class ApiKeyRotateInput:
    id: strawberry.ID = strawberry.field(description="Which key.")
    overlap_seconds: int = strawberry.field(
        description="How long the old key goes on working: 0 to 2,592,000. A day unless given.",
        default=86_400,
    )


@strawberry.input(description="The key to revoke.")
class ApiKeyRevokeInput:
    id: strawberry.ID = strawberry.field(description="Which key.")


ApiKeyResult = Annotated[
    ApiKey | Rejected,
    strawberry.union("ApiKeyResult", description="The key as it is now, or why nothing changed."),
]
NewApiKeyResult = Annotated[
    NewApiKey | Rejected,
    strawberry.union("NewApiKeyResult", description="The new key, or why there is none."),
]


@strawberry.type
class ApiKeyQuery:
    @strawberry.field(
        description="A key of the environment by id; null when there is none with it.",
        extensions=[requires("api_key:read")],
    )
    async def api_key(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="The key's id.")],
    ) -> ApiKey | None:
        return await _load(info.context, id)

    @strawberry.field(
        description="The environment's keys, revoked and expired ones included unless the filter "
        "says otherwise. The newest first unless ordered.",
        extensions=[requires("api_key:read")],
    )
    async def api_keys(
        self,
        info: Info,
        *,
        filter: Annotated[
            ApiKeyFilter | None, strawberry.argument(description="Which ones; null: all.")
        ] = None,
        search: Search = None,
        order_by: Annotated[
            list[ApiKeyOrder] | None,
            strawberry.argument(description="Keys of the order, the weightiest first."),
        ] = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[ApiKey]:
        request = page_request(
            info,
            filter=filter,
            search=search,
            order_by=order_by,
            first=first,
            after=after,
            last=last,
            before=before,
        )
        page = await reads.page(info.context.scope, request)
        at = _now(info.context)
        return Connection.of(page, lambda row: ApiKey.of(row, at))


@strawberry.type
class ApiKeyMutation:
    @strawberry.mutation(
        description="Create a key of the environment. Its secret is shown this once.",
        extensions=[requires("api_key:write"), shown_once()],
    )
    async def api_key_create(
        self,
        info: Info,
        input: Annotated[ApiKeyCreateInput, strawberry.argument(description="The key.")],
    ) -> NewApiKeyResult:
        ctx = info.context
        made = await actions.create(ctx.scope, input.command(), **acting(ctx))
        return NewApiKey.of(made, _now(ctx))

    @strawberry.mutation(
        description="Replace a key by one with the same name and permissions; the old one works "
        "on for the overlap. The secret is shown this once.",
        extensions=[requires("api_key:write"), shown_once()],
    )
    async def api_key_rotate(
        self,
        info: Info,
        input: Annotated[ApiKeyRotateInput, strawberry.argument(description="Which one.")],
    ) -> NewApiKeyResult:
        ctx = info.context
        overlap = timedelta(seconds=input.overlap_seconds)
        made = await actions.rotate(ctx.scope, input.id, overlap=overlap, **acting(ctx))
        return NewApiKey.of(made, _now(ctx))

    @strawberry.mutation(
        description="End a key; it is refused everywhere within a second.",
        extensions=[requires("api_key:write")],
    )
    async def api_key_revoke(
        self,
        info: Info,
        input: Annotated[ApiKeyRevokeInput, strawberry.argument(description="Which one.")],
    ) -> ApiKeyResult:
        ctx = info.context
        row = await actions.revoke(ctx.scope, input.id, **recording(ctx))
        return ApiKey.of(row, _now(ctx))


def _now(context: Context) -> datetime:
    # The machine's time: keys expire by it also where an environment simulates another.
    return context.runtime.clock.now()


async def _load(context: Context, key_id: str) -> ApiKey | None:
    row = await context.load.api_key.load(key_id)
    return None if row is None else ApiKey.of(row, _now(context))


KINDS = (Kind("key", "api_key:read", _load),)
