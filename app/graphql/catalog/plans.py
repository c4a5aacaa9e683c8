"""Plans in the graph. What they take is in `plan_inputs`."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Self

import strawberry

from app.catalog.actions import clones
from app.catalog.actions import plans as actions
from app.catalog.plan import Plan as Row
from app.catalog.plan import PlanStatus
from app.catalog.reads import plans as reads
from app.graphql.catalog import entitlements, plan_versions, prices
from app.graphql.catalog.plan_inputs import (
    PlanArchiveInput,
    PlanCloneInput,
    PlanCreateInput,
    PlanFilter,
    PlanOrder,
    PlanRestoreInput,
    PlanUpdateInput,
)
from app.graphql.context import Context, Info
from app.graphql.errors import AlreadyExists, Rejected
from app.graphql.lists import listed
from app.graphql.node import Kind, Node
from app.graphql.paging import After, Before, Connection, First, Last, page_request
from app.graphql.permissions import requires
from app.graphql.scalars import Metadata
from app.kernel.errors import Denied
from app.kernel.scope import Scope
from app.tenants.reads import environments
from app.tenants.tenant import EnvironmentStatus

if TYPE_CHECKING:
    from app.graphql.catalog.entitlements import Entitlement
    from app.graphql.catalog.plan_versions import PlanVersion
    from app.graphql.catalog.prices import Price


@strawberry.type(description="What is sold, in versions that each are a set of prices.")
class Plan(Node):
    name: str = strawberry.field(description="As people read it.")
    lookup_key: str = strawberry.field(
        description="As programs name it. Never changes; unique among the plans of the "
        "environment that are not archived."
    )
    description: str | None = strawberry.field(description="What it is.")
    metadata: Metadata = strawberry.field(description="Your own notes.")
    status: PlanStatus = strawberry.field(
        description="Whether it is in use; an archived plan keeps its subscriptions."
    )
    created_at: datetime = strawberry.field(description="When it was created.")
    updated_at: datetime = strawberry.field(description="When it last changed.")
    archived_at: datetime | None = strawberry.field(
        description="When it was taken out of use; null while it is in use."
    )

    @strawberry.field(
        description="What new subscriptions take of it; null: nothing of it is for sale."
    )
    async def current_version(
        self, info: Info
    ) -> Annotated["PlanVersion", strawberry.lazy("app.graphql.catalog.plan_versions")] | None:
        row = await info.context.load.current_version_of_plan.load(self.id)
        return None if row is None else plan_versions.PlanVersion.of(row)

    @strawberry.field(description="Its versions, archived ones included, the newest first.")
    async def versions(
        self,
        info: Info,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[Annotated["PlanVersion", strawberry.lazy("app.graphql.catalog.plan_versions")]]:
        request = page_request(info, first=first, after=after, last=last, before=before)
        page = await info.context.load.versions_of_plan.load((self.id, request))
        return Connection.of(page, plan_versions.PlanVersion.of)

    @strawberry.field(
        description="The prices of its current version that are in force at an instant, the "
        "oldest first.",
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
        rows = await info.context.load.prices_of_plan.load(self.id)
        return [prices.Price.of(row) for row in rows if row.in_force(instant)]

    @strawberry.field(
        description="What its current version gives to whoever buys it at an instant, the oldest "
        "first.",
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
        rows = await info.context.load.entitlements_of_plan.load(self.id)
        return [entitlements.Entitlement.of(row) for row in rows if row.in_force(instant)]

    @classmethod
    def of(cls, row: Row) -> Self:
        return cls(
            id=strawberry.ID(row.id),
            name=row.name,
            lookup_key=row.lookup_key,
            description=row.description,
            metadata=Metadata(row.metadata),
            status=row.status,
            created_at=row.created_at,
            updated_at=row.updated_at,
            archived_at=row.archived_at,
        )


PlanResult = Annotated[
    Plan | AlreadyExists | Rejected,
    strawberry.union(
        "PlanResult", description="The plan as it is now, or why nothing was changed."
    ),
]


@strawberry.type
class PlanQuery:
    @strawberry.field(
        description="A plan by id; null when the environment has none with it.",
        extensions=[requires("plan:read")],
    )
    async def plan(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="The plan's id.")],
    ) -> Plan | None:
        return await _load(info.context, id)

    @strawberry.field(
        description="A plan that is not archived, by the name that programs use; null when "
        "there is none.",
        extensions=[requires("plan:read")],
    )
    async def plan_by_lookup_key(
        self,
        info: Info,
        lookup_key: Annotated[str, strawberry.argument(description="As programs name it.")],
    ) -> Plan | None:
        row = await info.context.load.plan_by_lookup_key.load(lookup_key)
        return None if row is None else Plan.of(row)

    plans = listed(
        Plan,
        reads.page,
        filter=PlanFilter,
        order=PlanOrder,
        permission="plan:read",
        description="Plans, archived ones included unless the filter says otherwise. "
        "The newest first unless ordered.",
    )


@strawberry.type
class PlanMutation:
    @strawberry.mutation(
        description="Create a plan with its first version, which can be bought at once unless "
        "`publish` says otherwise.",
        extensions=[requires("plan:write")],
    )
    async def plan_create(
        self,
        info: Info,
        input: Annotated[PlanCreateInput, strawberry.argument(description="The plan.")],
    ) -> PlanResult:
        ctx = info.context
        return Plan.of(await actions.create(ctx.scope, input.command(), by=ctx.actor, at=ctx.now()))

    @strawberry.mutation(
        description="Make another plan that sells what the plan's current version does, or else "
        "its draft, here or in another environment of the tenant. There, features and groups are "
        "found by their lookup keys and price units by their codes; where one is missing nothing "
        "is cloned. The lookup keys of prices go along to another environment alone.",
        extensions=[requires("plan:write")],
    )
    async def plan_clone(
        self,
        info: Info,
        input: Annotated[PlanCloneInput, strawberry.argument(description="Which one.")],
    ) -> PlanResult:
        ctx = info.context
        into = await _entered(ctx, input.environment_id)
        row = await clones.clone(
            ctx.scope,
            input.command(),
            into=into,
            by=ctx.actor,
            at=ctx.now(),
            then=ctx.runtime.clock.now(into),
        )
        return Plan.of(row)

    @strawberry.mutation(
        description="Change a plan that is not archived.", extensions=[requires("plan:write")]
    )
    async def plan_update(
        self,
        info: Info,
        input: Annotated[PlanUpdateInput, strawberry.argument(description="The changes.")],
    ) -> PlanResult:
        ctx = info.context
        row = await actions.update(ctx.scope, input.id, input.patch(), by=ctx.actor, at=ctx.now())
        return Plan.of(row)

    @strawberry.mutation(
        description="Take a plan out of use: no new subscriptions and prices; those there are "
        "stay. Its lookup key becomes free for another.",
        extensions=[requires("plan:write")],
    )
    async def plan_archive(
        self,
        info: Info,
        input: Annotated[PlanArchiveInput, strawberry.argument(description="Which one.")],
    ) -> PlanResult:
        ctx = info.context
        return Plan.of(await actions.archive(ctx.scope, input.id, by=ctx.actor, at=ctx.now()))

    @strawberry.mutation(
        description="Put an archived plan back into use.", extensions=[requires("plan:write")]
    )
    async def plan_restore(
        self,
        info: Info,
        input: Annotated[PlanRestoreInput, strawberry.argument(description="Which one.")],
    ) -> PlanResult:
        ctx = info.context
        return Plan.of(await actions.restore(ctx.scope, input.id, by=ctx.actor, at=ctx.now()))


async def _entered(context: Context, environment_id: str | None) -> Scope:
    """The environment named, else the caller's own.

    Raises: Denied, alike for one that the credentials do not open and one that is not there.
    """
    here = context.scope
    if environment_id in (None, here.environment_id):
        return here
    found = await environments.by_ids(context.tenant_scope, [str(environment_id)])
    for environment in found.values():
        is_open = environment.status is EnvironmentStatus.ACTIVE
        if is_open and context.caller.reaches(environment.id):
            return Scope(here.tenant_id, environment.id)
    raise Denied(
        "environmentId: there is no such environment here, or your credentials do not open it",
        field="environmentId",
        code="ENVIRONMENT_FORBIDDEN",
    )


async def _load(context: Context, plan_id: str) -> Plan | None:
    row = await context.load.plan.load(plan_id)
    return None if row is None else Plan.of(row)


KINDS = (Kind("plan", "plan:read", _load),)
