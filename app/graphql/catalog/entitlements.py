"""Entitlements in the graph. What they take is in `entitlement_inputs`."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Self

import strawberry

from app.catalog.entitlement import Entitlement as Row
from app.catalog.entitlement import Overrides, OwnerKind
from app.catalog.reads import entitlements as reads
from app.graphql import subscription_types
from app.graphql.catalog import addons, plan_versions, plans
from app.graphql.catalog.entitlement_inputs import (
    EntitlementArchiveInput,
    EntitlementCreateInput,
    EntitlementFilter,
    EntitlementOrder,
    EntitlementRestoreInput,
    EntitlementUpdateInput,
)
from app.graphql.catalog.entitlement_terms import EntitlementTerms, shown
from app.graphql.catalog.features import Feature
from app.graphql.context import Context, Info
from app.graphql.errors import AlreadyExists, Rejected
from app.graphql.lists import listed
from app.graphql.node import Kind, Node
from app.graphql.permissions import requires
from app.graphql.scalars import Metadata
from app.subscriptions.actions import entitling as actions

if TYPE_CHECKING:
    from app.graphql.catalog.addons import Addon
    from app.graphql.catalog.plan_versions import PlanVersion
    from app.graphql.catalog.plans import Plan
    from app.graphql.subscription_types import Subscription

strawberry.enum(OwnerKind, name="EntitlementOwner", description="What gives an entitlement.")


@strawberry.type(
    description="What a plan or an addon gives of a feature to whoever buys it, or what one "
    "subscription has of it for itself."
)
class Entitlement(Node):
    plan_id: strawberry.ID | None = strawberry.field(
        description="The plan that gives it; null for another's."
    )
    plan_version_id: strawberry.ID | None = strawberry.field(
        description="The version of the plan that gives it; null for another's."
    )
    addon_id: strawberry.ID | None = strawberry.field(
        description="The addon that gives it; null for another's."
    )
    subscription_id: strawberry.ID | None = strawberry.field(
        description="The subscription that has it for itself; null for another's."
    )
    feature_id: strawberry.ID = strawberry.field(description="What is given.")
    enabled: bool = strawberry.field(
        description="Whether it gives anything; if not, it says that it does not."
    )
    terms: EntitlementTerms | None = strawberry.field(
        description="How much is given; null for boolean features, which are on."
    )
    overrides: Overrides | None = strawberry.field(
        description="What it takes the place of; null unless it is a subscription's."
    )
    metadata: Metadata = strawberry.field(description="Your own notes.")
    content_hash: str = strawberry.field(
        description="SHA-256 of the substance: equal for entitlements that give the same."
    )
    replaces_id: strawberry.ID | None = strawberry.field(
        description="The entitlement that this one took over from."
    )
    effective_from: datetime = strawberry.field(
        description="Given to whoever buys from then on; a subscription has its own from then on."
    )
    effective_until: datetime | None = strawberry.field(
        description="No longer from then on; null: no end."
    )
    created_at: datetime = strawberry.field(description="When it was created.")
    updated_at: datetime = strawberry.field(description="When it last changed.")

    @strawberry.field(description="What is given.", extensions=[requires("feature:read")])
    async def feature(self, info: Info) -> Feature | None:
        row = await info.context.load.feature.load(self.feature_id)
        return None if row is None else Feature.of(row)

    @strawberry.field(
        description="The plan that gives it; null for another's.",
        extensions=[requires("plan:read")],
    )
    async def plan(
        self, info: Info
    ) -> Annotated["Plan", strawberry.lazy("app.graphql.catalog.plans")] | None:
        if self.plan_id is None:
            return None
        row = await info.context.load.plan.load(self.plan_id)
        return None if row is None else plans.Plan.of(row)

    @strawberry.field(
        description="The version of the plan that gives it; null for another's.",
        extensions=[requires("plan:read")],
    )
    async def plan_version(
        self, info: Info
    ) -> Annotated["PlanVersion", strawberry.lazy("app.graphql.catalog.plan_versions")] | None:
        if self.plan_version_id is None:
            return None
        row = await info.context.load.plan_version.load(self.plan_version_id)
        return None if row is None else plan_versions.PlanVersion.of(row)

    @strawberry.field(
        description="The addon that gives it; null for another's.",
        extensions=[requires("addon:read")],
    )
    async def addon(
        self, info: Info
    ) -> Annotated["Addon", strawberry.lazy("app.graphql.catalog.addons")] | None:
        if self.addon_id is None:
            return None
        row = await info.context.load.addon.load(self.addon_id)
        return None if row is None else addons.Addon.of(row)

    @strawberry.field(
        description="The subscription that has it for itself; null for another's.",
        extensions=[requires("subscription:read")],
    )
    async def subscription(
        self, info: Info
    ) -> Annotated["Subscription", strawberry.lazy("app.graphql.subscription_types")] | None:
        if self.subscription_id is None:
            return None
        row = await info.context.load.subscription.load(self.subscription_id)
        return None if row is None else subscription_types.Subscription.of(row)

    @classmethod
    def of(cls, row: Row) -> Self:
        owned = {kind: row.owner.id if row.owner.kind is kind else None for kind in OwnerKind}
        return cls(
            id=strawberry.ID(row.id),
            plan_id=_id(owned[OwnerKind.PLAN]),
            plan_version_id=_id(row.owner.version_id),
            addon_id=_id(owned[OwnerKind.ADDON]),
            subscription_id=_id(owned[OwnerKind.SUBSCRIPTION]),
            feature_id=strawberry.ID(row.feature_id),
            enabled=row.enabled,
            terms=shown(row.terms),
            overrides=row.overrides,
            metadata=Metadata(row.metadata),
            content_hash=row.content_hash,
            replaces_id=_id(row.replaces_id),
            effective_from=row.effective_from,
            effective_until=row.effective_until,
            created_at=row.created_at,
            updated_at=row.updated_at,
        )


EntitlementResult = Annotated[
    Entitlement | AlreadyExists | Rejected,
    strawberry.union(
        "EntitlementResult", description="The entitlement as it is now, or why nothing was changed."
    ),
]


@strawberry.type
class EntitlementQuery:
    @strawberry.field(
        description="An entitlement by id; null when the environment has none with it.",
        extensions=[requires("entitlement:read")],
    )
    async def entitlement(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="The entitlement's id.")],
    ) -> Entitlement | None:
        return await _load(info.context, id)

    entitlements = listed(
        Entitlement,
        reads.page,
        filter=EntitlementFilter,
        order=EntitlementOrder,
        permission="entitlement:read",
        description="Entitlements, those with an end included unless the filter says otherwise. "
        "The newest first unless ordered.",
        search=False,
    )


@strawberry.type
class EntitlementMutation:
    @strawberry.mutation(
        description="Let a version of a plan or an addon give something of a feature to those who "
        "buy it from then on, or give it to one subscription. Each has one entitlement to a "
        "feature at a time.",
        extensions=[requires("entitlement:write")],
    )
    async def entitlement_create(
        self,
        info: Info,
        input: Annotated[
            EntitlementCreateInput, strawberry.argument(description="The entitlement.")
        ],
    ) -> EntitlementResult:
        ctx = info.context
        at = await ctx.present.subscription(input.subscription_id or "")
        row = await actions.create(ctx.scope, input.command(), by=ctx.actor, at=at)
        return Entitlement.of(row)

    @strawberry.mutation(
        description="Change an entitlement. Notes change in place. A change of anything else "
        "ends it and returns the one that takes over; subscriptions keep the one they bought. In a "
        "draft everything changes in place.",
        extensions=[requires("entitlement:write")],
    )
    async def entitlement_update(
        self,
        info: Info,
        input: Annotated[EntitlementUpdateInput, strawberry.argument(description="The changes.")],
    ) -> EntitlementResult:
        ctx = info.context
        at = await ctx.present.entitlement(input.id)
        row = await actions.update(ctx.scope, input.id, input.patch(), by=ctx.actor, at=at)
        return Entitlement.of(row)

    @strawberry.mutation(
        description="Give an entitlement an end. Subscriptions that bought it keep it; one that "
        "has it for itself no longer does.",
        extensions=[requires("entitlement:write")],
    )
    async def entitlement_archive(
        self,
        info: Info,
        input: Annotated[EntitlementArchiveInput, strawberry.argument(description="Which one.")],
    ) -> EntitlementResult:
        ctx = info.context
        at = await ctx.present.entitlement(input.id)
        row = await actions.archive(
            ctx.scope, input.id, by=ctx.actor, at=at, effective_until=input.effective_until
        )
        return Entitlement.of(row)

    @strawberry.mutation(
        description="Take the end off an entitlement that has not come to it yet.",
        extensions=[requires("entitlement:write")],
    )
    async def entitlement_restore(
        self,
        info: Info,
        input: Annotated[EntitlementRestoreInput, strawberry.argument(description="Which one.")],
    ) -> EntitlementResult:
        ctx = info.context
        at = await ctx.present.entitlement(input.id)
        row = await actions.restore(ctx.scope, input.id, by=ctx.actor, at=at)
        return Entitlement.of(row)


def _id(value: str | None) -> strawberry.ID | None:
    return None if value is None else strawberry.ID(value)


async def _load(context: Context, entitlement_id: str) -> Entitlement | None:
    row = await context.load.entitlement.load(entitlement_id)
    return None if row is None else Entitlement.of(row)


KINDS = (Kind("ent", "entitlement:read", _load),)
