from datetime import datetime
from typing import Annotated, Any, Self

import strawberry

from app.graphql.context import Context, Info
from app.graphql.errors import AlreadyExists, Rejected
from app.graphql.node import Kind, Node
from app.graphql.patch import present
from app.graphql.permissions import authenticated, requires
from app.graphql.scalars import Metadata
from app.graphql.tenants.acting import recording
from app.graphql.tenants.enums import TenantStatus
from app.graphql.tenants.environments import Environment
from app.graphql.tenants.users import User
from app.kernel.errors import Invalid
from app.kernel.listing import MAX_PAGE
from app.tenants.actions import tenants as actions
from app.tenants.commands import CreateTenant, CreateUser
from app.tenants.reads import tenants as reads
from app.tenants.tenant import Tenant as Row
from app.tenants.tenant import whole


@strawberry.type(description="A company that bills its customers with this installation.")
class Tenant(Node):
    name: str = strawberry.field(description="As invoices show it.")
    metadata: Metadata = strawberry.field(description="Your own notes.")
    status: TenantStatus = strawberry.field(
        description="Whether it can be changed; a suspended one can only be read."
    )
    created_at: datetime = strawberry.field(description="When it was created.")
    updated_at: datetime = strawberry.field(description="When it last changed.")
    suspended_at: datetime | None = strawberry.field(
        description="When it was suspended; null while it is active."
    )

    @classmethod
    def of(cls, row: Row) -> Self:
        return cls(
            id=strawberry.ID(row.id),
            name=row.name,
            metadata=Metadata(row.metadata),
            status=row.status,
            created_at=row.created_at,
            updated_at=row.updated_at,
            suspended_at=row.suspended_at,
        )


@strawberry.type(description="A new tenant with what it starts with.")
class CreatedTenant:
    tenant: Tenant = strawberry.field(description="The tenant.")
    production: Environment = strawberry.field(description="For real customers and money.")
    development: Environment = strawberry.field(description="For trying things out.")
    owner: User | None = strawberry.field(description="Its first user, if one was given.")


@strawberry.input(description="The first user of a new tenant.")
class OwnerInput:
    email: str = strawberry.field(description="Signs in with it; unique in the installation.")
    name: str = strawberry.field(description="As others see it.")
    password: str = strawberry.field(description="12 to 256 characters.")


@strawberry.input(description="A new tenant.")
class TenantCreateInput:
    name: str = strawberry.field(description="As invoices will show it.")
    metadata: Metadata | None = strawberry.field(description="Your own notes.", default=None)
    owner: OwnerInput | None = strawberry.field(
        description="Who can sign in at once; null: nobody, only keys work.", default=None
    )

    def command(self) -> CreateTenant:
        owner = None
        if self.owner is not None:
            owner = CreateUser(
                email=self.owner.email, name=self.owner.name, password=self.owner.password
            )
        return CreateTenant(name=self.name, metadata=self.metadata or {}, owner=owner)


@strawberry.input(
    description="Changes to your tenant. A field that is absent stays as it is; null clears."
)
class TenantUpdateInput:
    name: strawberry.Maybe[str | None] = strawberry.field(description="As invoices will show it.")
    metadata: strawberry.Maybe[Metadata | None] = strawberry.field(
        description="Your own notes; replaces all of them."
    )

    def patch(self) -> dict[str, Any]:
        return present(self)


@strawberry.input(description="The tenant to suspend.")
class TenantSuspendInput:
    id: strawberry.ID = strawberry.field(description="Which tenant.")


@strawberry.input(description="The suspended tenant to let change again.")
class TenantReactivateInput:
    id: strawberry.ID = strawberry.field(description="Which tenant.")


TenantResult = Annotated[
    Tenant | Rejected,
    strawberry.union(
        "TenantResult", description="The tenant as it is now, or why nothing was changed."
    ),
]
TenantCreateResult = Annotated[
    CreatedTenant | AlreadyExists | Rejected,
    strawberry.union(
        "TenantCreateResult", description="The new tenant, or why nothing was created."
    ),
]


@strawberry.type
class TenantQuery:
    @strawberry.field(
        description="The tenant that the credentials belong to.",
        extensions=[requires("tenant:read")],
    )
    async def tenant(self, info: Info) -> Tenant:
        return Tenant.of(await reads.get(info.context.tenant_scope))

    @strawberry.field(
        description="All tenants of the installation, by id. Takes a system key.",
        extensions=[authenticated()],
    )
    async def tenants(
        self,
        info: Info,
        first: Annotated[
            int, strawberry.argument(description=f"How many: 1 to {MAX_PAGE}.")
        ] = MAX_PAGE,
        after: Annotated[
            strawberry.ID | None,
            strawberry.argument(description="The id after which to go on; null: from the start."),
        ] = None,
    ) -> list[Tenant]:
        info.context.caller.require_system()
        if not 1 <= first <= MAX_PAGE:
            raise Invalid(f"first: from 1 to {MAX_PAGE}, got {first}", field="first")
        return [Tenant.of(row) for row in await reads.everywhere(after=after or "", limit=first)]


@strawberry.type
class TenantMutation:
    @strawberry.mutation(description="Change your tenant.", extensions=[requires("tenant:write")])
    async def tenant_update(
        self,
        info: Info,
        input: Annotated[TenantUpdateInput, strawberry.argument(description="The changes.")],
    ) -> TenantResult:
        ctx = info.context
        return Tenant.of(await actions.update(ctx.tenant_scope, input.patch(), **recording(ctx)))

    @strawberry.mutation(
        description="Create a tenant with a production and a development environment. Takes a "
        "system key.",
        extensions=[authenticated()],
    )
    async def tenant_create(
        self,
        info: Info,
        input: Annotated[TenantCreateInput, strawberry.argument(description="The tenant.")],
    ) -> TenantCreateResult:
        info.context.caller.require_system()
        made = await actions.create(input.command(), **recording(info.context))
        return CreatedTenant(
            tenant=Tenant.of(made.tenant),
            production=Environment.of(made.production),
            development=Environment.of(made.development),
            owner=None if made.owner is None else User.of(made.owner),
        )

    @strawberry.mutation(
        description="From now on the tenant can be read and not changed. Takes a system key.",
        extensions=[authenticated()],
    )
    async def tenant_suspend(
        self,
        info: Info,
        input: Annotated[TenantSuspendInput, strawberry.argument(description="Which one.")],
    ) -> TenantResult:
        info.context.caller.require_system()
        return Tenant.of(await actions.suspend(whole(input.id), **recording(info.context)))

    @strawberry.mutation(
        description="Let a suspended tenant change again. Takes a system key.",
        extensions=[authenticated()],
    )
    async def tenant_reactivate(
        self,
        info: Info,
        input: Annotated[TenantReactivateInput, strawberry.argument(description="Which one.")],
    ) -> TenantResult:
        info.context.caller.require_system()
        return Tenant.of(await actions.reactivate(whole(input.id), **recording(info.context)))


async def _load(context: Context, tenant_id: str) -> Tenant | None:
    scope = context.tenant_scope
    return Tenant.of(await reads.get(scope)) if tenant_id == scope.tenant_id else None


KINDS = (Kind("ten", "tenant:read", _load),)
