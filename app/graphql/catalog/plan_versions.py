"""Versions of plans in the graph. What they take is in `plan_version_inputs`."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Self

import strawberry
from strawberry.utils.str_converters import to_camel_case

from app.catalog.actions import plan_versions as actions
from app.catalog.differences import Difference
from app.catalog.plan_version import PlanVersion as Row
from app.catalog.plan_version import PlanVersionStatus
from app.catalog.reads import plan_versions as reads
from app.graphql import subscription_types
from app.graphql.catalog import entitlements, plans, prices
from app.graphql.catalog.plan_version_inputs import (
    PlanVersionArchiveInput,
    PlanVersionCreateInput,
    PlanVersionFilter,
    PlanVersionOrder,
    PlanVersionPublishInput,
    PlanVersionRestoreInput,
    PlanVersionUpdateInput,
)
from app.graphql.context import Context, Info
from app.graphql.errors import AlreadyExists, Rejected
from app.graphql.lists import listed
from app.graphql.node import Kind, Node
from app.graphql.paging import After, Before, Connection, First, Last, page_request
from app.graphql.permissions import requires

if TYPE_CHECKING:
    from app.graphql.catalog.entitlements import Entitlement
    from app.graphql.catalog.plans import Plan
    from app.graphql.catalog.prices import Price
    from app.graphql.subscription_types import Subscription


@strawberry.type(description="A set of prices that a plan sells, sold or will sell.")
class PlanVersion(Node):
    plan_id: strawberry.ID = strawberry.field(description="The plan it is a version of.")
    number: int = strawberry.field(description="Counts from 1 within the plan.")
    description: str | None = strawberry.field(description="What is new in it.")
    status: PlanVersionStatus = strawberry.field(description="Where it is in its life.")
    current: bool = strawberry.field(
        description="Whether new subscriptions take it: it was published last of the plan's "
        "versions that are not archived."
    )
    published_at: datetime | None = strawberry.field(
        description="When it was published; null: never, so that nobody can have bought it."
    )
    archived_at: datetime | None = strawberry.field(
        description="When it was taken off sale; null: it was not."
    )
    created_at: datetime = strawberry.field(description="When it was created.")
    updated_at: datetime = strawberry.field(description="When it last changed.")

    @strawberry.field(description="The plan it is a version of.")
    async def plan(
        self, info: Info
    ) -> Annotated["Plan", strawberry.lazy("app.graphql.catalog.plans")] | None:
        row = await info.context.load.plan.load(self.plan_id)
        return None if row is None else plans.Plan.of(row)

    @strawberry.field(
        description="Its prices in force at an instant, the oldest first; of a draft, those that "
        "would be.",
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
        rows = await info.context.load.prices_of_plan_version.load(self.id)
        return [prices.Price.of(row) for row in rows if row.in_force(instant)]

    @strawberry.field(
        description="What it gives to whoever buys it at an instant, the oldest first; of a draft, "
        "what it would.",
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
        rows = await info.context.load.entitlements_of_plan_version.load(self.id)
        return [entitlements.Entitlement.of(row) for row in rows if row.in_force(instant)]

    @strawberry.field(
        description="How many subscriptions on it are not over.",
        extensions=[requires("subscription:read")],
    )
    async def subscription_count(self, info: Info) -> int:
        return await info.context.load.subscription_count_of_plan_version.load(self.id) or 0

    @strawberry.field(
        description="The subscriptions on it, over or not, the newest first.",
        extensions=[requires("subscription:read")],
    )
    async def subscriptions(
        self,
        info: Info,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[Annotated["Subscription", strawberry.lazy("app.graphql.subscription_types")]]:
        request = page_request(info, first=first, after=after, last=last, before=before)
        page = await info.context.load.subscriptions_of_plan_version.load((self.id, request))
        return Connection.of(page, subscription_types.Subscription.of)

    @classmethod
    def of(cls, row: Row) -> Self:
        return cls(
            id=strawberry.ID(row.id),
            plan_id=strawberry.ID(row.plan_id),
            number=row.number,
            description=row.description,
            status=row.status,
            current=row.current,
            published_at=row.published_at,
            archived_at=row.archived_at,
            created_at=row.created_at,
            updated_at=row.updated_at,
        )


PlanVersionResult = Annotated[
    PlanVersion | AlreadyExists | Rejected,
    strawberry.union(
        "PlanVersionResult", description="The version as it is now, or why nothing was changed."
    ),
]


@strawberry.type(description="The same charge on other terms.")
class PriceChange:
    before: Annotated["Price", strawberry.lazy("app.graphql.catalog.prices")] = strawberry.field(
        description="As the first version has it."
    )
    after: Annotated["Price", strawberry.lazy("app.graphql.catalog.prices")] = strawberry.field(
        description="As the second version has it."
    )
    fields: list[str] = strawberry.field(
        description="Which fields of what is charged differ, such as `model`."
    )


@strawberry.type(
    description="What a version charges differently from another: prices that have not ended, "
    "paired by lineage, lookup key, terms, or what they charge for."
)
class PlanVersionDiff:
    added: list[Annotated["Price", strawberry.lazy("app.graphql.catalog.prices")]] = (
        strawberry.field(description="In the second version alone.")
    )
    ended: list[Annotated["Price", strawberry.lazy("app.graphql.catalog.prices")]] = (
        strawberry.field(description="In the first version alone.")
    )
    changed: list[PriceChange] = strawberry.field(description="In both, on other terms.")
    kept: list[Annotated["Price", strawberry.lazy("app.graphql.catalog.prices")]] = (
        strawberry.field(description="In both, on the same terms, as the second has them.")
    )

    @classmethod
    def of(cls, row: Difference) -> Self:
        return cls(
            added=[prices.Price.of(price) for price in row.added],
            ended=[prices.Price.of(price) for price in row.ended],
            changed=[
                PriceChange(
                    before=prices.Price.of(change.before),
                    after=prices.Price.of(change.after),
                    fields=[to_camel_case(name) for name in change.fields],
                )
                for change in row.changed
            ],
            kept=[prices.Price.of(after) for _, after in row.kept],
        )


@strawberry.type
class PlanVersionQuery:
    @strawberry.field(
        description="What one version of a plan charges differently from another, of the same "
        "plan or not.",
        extensions=[requires("price:read")],
    )
    async def plan_version_diff(
        self,
        info: Info,
        from_id: Annotated[strawberry.ID, strawberry.argument(description="The first version.")],
        to_id: Annotated[strawberry.ID, strawberry.argument(description="The second version.")],
    ) -> PlanVersionDiff:
        ctx = info.context
        found = await reads.compared(
            ctx.scope, from_id, to_id, at=ctx.now(), fields=("fromId", "toId")
        )
        return PlanVersionDiff.of(found)

    @strawberry.field(
        description="A version of a plan by id; null when the environment has none with it.",
        extensions=[requires("plan:read")],
    )
    async def plan_version(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="The version's id.")],
    ) -> PlanVersion | None:
        return await _load(info.context, id)

    plan_versions = listed(
        PlanVersion,
        reads.page,
        filter=PlanVersionFilter,
        order=PlanVersionOrder,
        permission="plan:read",
        description="Versions of plans, archived ones included unless the filter says otherwise. "
        "The newest first unless ordered.",
        search=False,
    )


@strawberry.type
class PlanVersionMutation:
    @strawberry.mutation(
        description="Begin a draft of a plan with what its newest version sells. A plan has one "
        "draft at a time. The prices of a draft change freely.",
        extensions=[requires("plan:write")],
    )
    async def plan_version_create(
        self,
        info: Info,
        input: Annotated[PlanVersionCreateInput, strawberry.argument(description="The draft.")],
    ) -> PlanVersionResult:
        ctx = info.context
        row = await actions.create(
            ctx.scope, input.plan_id, by=ctx.actor, at=ctx.now(), description=input.description
        )
        return PlanVersion.of(row)

    @strawberry.mutation(
        description="Change the notes of a version that is not archived.",
        extensions=[requires("plan:write")],
    )
    async def plan_version_update(
        self,
        info: Info,
        input: Annotated[PlanVersionUpdateInput, strawberry.argument(description="The changes.")],
    ) -> PlanVersionResult:
        ctx = info.context
        row = await actions.update(ctx.scope, input.id, input.patch(), by=ctx.actor, at=ctx.now())
        return PlanVersion.of(row)

    @strawberry.mutation(
        description="Put a draft up for sale. New subscriptions take it; those there are stay on "
        "the version they bought.",
        extensions=[requires("plan:write")],
    )
    async def plan_version_publish(
        self,
        info: Info,
        input: Annotated[PlanVersionPublishInput, strawberry.argument(description="Which one.")],
    ) -> PlanVersionResult:
        ctx = info.context
        row = await actions.publish(
            ctx.scope, input.id, by=ctx.actor, at=ctx.now(), allow_empty=input.allow_empty
        )
        return PlanVersion.of(row)

    @strawberry.mutation(
        description="Take a version off sale, or throw a draft away; subscriptions on it stay. "
        "If it was the current one, the version published last before it is again.",
        extensions=[requires("plan:write")],
    )
    async def plan_version_archive(
        self,
        info: Info,
        input: Annotated[PlanVersionArchiveInput, strawberry.argument(description="Which one.")],
    ) -> PlanVersionResult:
        ctx = info.context
        row = await actions.archive(ctx.scope, input.id, by=ctx.actor, at=ctx.now())
        return PlanVersion.of(row)

    @strawberry.mutation(
        description="Put an archived version back: as a draft if it was never published, else up "
        "for sale if none was published later.",
        extensions=[requires("plan:write")],
    )
    async def plan_version_restore(
        self,
        info: Info,
        input: Annotated[PlanVersionRestoreInput, strawberry.argument(description="Which one.")],
    ) -> PlanVersionResult:
        ctx = info.context
        row = await actions.restore(ctx.scope, input.id, by=ctx.actor, at=ctx.now())
        return PlanVersion.of(row)


async def _load(context: Context, version_id: str) -> PlanVersion | None:
    row = await context.load.plan_version.load(version_id)
    return None if row is None else PlanVersion.of(row)


KINDS = (Kind("plv", "plan:read", _load),)
