from datetime import datetime
from enum import Enum
from typing import Annotated, Self

import strawberry
from strawberry import UNSET

from app.graphql.context import Context, Info
from app.graphql.filters import (
    DateTimeFilter,
    EnumFilter,
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
    page_request,
)
from app.graphql.permissions import requires
from app.graphql.scalars import JSON
from app.tenants.reads import audit_entries as reads
from app.tenants.reads.audit_entries import AuditEntry as Row


@strawberry.enum(description="Who can act.")
class ActorKind(Enum):
    USER = strawberry.enum_value("user", description="A signed-in user.")
    SERVICE_ACCOUNT = strawberry.enum_value(
        "service_account", description="A program, by a key of its service account."
    )
    API_KEY = strawberry.enum_value("api_key", description="Whoever has the key.")
    SYSTEM_KEY = strawberry.enum_value(
        "system_key", description="Whoever operates the installation."
    )
    SYSTEM = strawberry.enum_value("system", description="The product itself.")


@strawberry.enum(description="Which audit log.")
class AuditLog(Enum):
    ENVIRONMENT = strawberry.enum_value(
        "environment", description="What was done in the environment."
    )
    TENANT = strawberry.enum_value(
        "tenant",
        description="What belongs to no single environment: users, roles, environments.",
    )


@strawberry.type(description="Who did what to what, when, from what to what. Never changes.")
class AuditEntry(Node):
    at: datetime = strawberry.field(description="When.")
    actor_kind: ActorKind = strawberry.field(description="What kind of actor did it.")
    actor_id: str = strawberry.field(description="Who did it.")
    request_id: str | None = strawberry.field(
        description="The request that did it, as logs and answers name it; null outside of one."
    )
    action: str = strawberry.field(description="What was done, such as customer.update.")
    entity_id: str = strawberry.field(description="To what.")
    before: JSON | None = strawberry.field(
        description="How it was; where both are given, only what differs."
    )
    after: JSON | None = strawberry.field(
        description="How it became; where both are given, only what differs."
    )

    @classmethod
    def of(cls, row: Row) -> Self:
        return cls(
            id=strawberry.ID(row.id),
            at=row.at,
            actor_kind=ActorKind(row.actor_kind),
            actor_id=row.actor_id,
            request_id=row.request_id,
            action=row.action,
            entity_id=row.entity_id,
            before=None if row.before is None else JSON(row.before),
            after=None if row.after is None else JSON(row.after),
        )


@strawberry.input(description="Which entries to list; all conditions given must hold.")
class AuditEntryFilter:
    id: IdFilter | None = strawberry.field(description="By id.", default=UNSET)
    at: DateTimeFilter | None = strawberry.field(description="By when.", default=UNSET)
    actor_kind: EnumFilter[ActorKind] | None = strawberry.field(
        description="By the kind of actor.", default=UNSET
    )
    actor_id: IdFilter | None = strawberry.field(description="By who did it.", default=UNSET)
    request_id: IdFilter | None = strawberry.field(description="By the request.", default=UNSET)
    action: StringFilter | None = strawberry.field(description="By what was done.", default=UNSET)
    entity_id: IdFilter | None = strawberry.field(
        description="By what it was done to.", default=UNSET
    )
    and_: list["AuditEntryFilter"] | None = and_filters()
    or_: list["AuditEntryFilter"] | None = or_filters()
    not_: "AuditEntryFilter | None" = not_filter()


@strawberry.enum(description="What entries can be ordered by.")
class AuditEntryOrderField(Enum):
    AT = strawberry.enum_value("at", description="When.")
    ID = strawberry.enum_value("id", description="Their id.")


@strawberry.input(description="One key of the order of entries.")
class AuditEntryOrder:
    field: AuditEntryOrderField = strawberry.field(description="What to order by.")
    direction: Direction = strawberry.field(description="Which way.", default=Direction.ASC)


@strawberry.type
class AuditQuery:
    @strawberry.field(
        description="The audit log of the environment or of the tenant as a whole. The newest "
        "first unless ordered.",
        extensions=[requires("audit:read")],
    )
    async def audit_entries(
        self,
        info: Info,
        *,
        log: Annotated[
            AuditLog, strawberry.argument(description="Which log.")
        ] = AuditLog.ENVIRONMENT,
        filter: Annotated[
            AuditEntryFilter | None, strawberry.argument(description="Which ones; null: all.")
        ] = None,
        order_by: Annotated[
            list[AuditEntryOrder] | None,
            strawberry.argument(description="Keys of the order, the weightiest first."),
        ] = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[AuditEntry]:
        request = page_request(
            info,
            filter=filter,
            order_by=order_by,
            first=first,
            after=after,
            last=last,
            before=before,
        )
        ctx = info.context
        scope = ctx.scope if log is AuditLog.ENVIRONMENT else ctx.tenant_scope
        return Connection.of(await reads.page(scope, request), AuditEntry.of)


async def _load(context: Context, entry_id: str) -> AuditEntry | None:
    row = await context.load.audit_entry.load(entry_id)
    return None if row is None else AuditEntry.of(row)


KINDS = (Kind("aud", "audit:read", _load),)
