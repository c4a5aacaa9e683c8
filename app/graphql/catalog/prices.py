"""Prices in the graph. What they take is in `price_inputs`."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Self

import strawberry

from app.catalog.actions import prices as actions
from app.catalog.price import Billing, ChargeKind, InvoiceTiming, PriceStatus
from app.catalog.price import Price as Row
from app.catalog.prices.warnings import warnings
from app.catalog.reads import prices as reads
from app.graphql import subscription_types
from app.graphql.cadences import Cadence
from app.graphql.catalog import addons, features, groups, plan_versions, plans
from app.graphql.catalog.adjustments import Adjustments
from app.graphql.catalog.price_inputs import (
    PriceArchiveInput,
    PriceCreateInput,
    PriceDeleteInput,
    PriceFilter,
    PriceOrder,
    PriceRestoreInput,
    PriceUpdateInput,
)
from app.graphql.catalog.price_models import PriceModel, PriceWarning, shown
from app.graphql.catalog.price_units import PriceConversion, PriceUnit
from app.graphql.context import Context, Info
from app.graphql.errors import AlreadyExists, Rejected
from app.graphql.lists import listed
from app.graphql.node import Kind, Node
from app.graphql.permissions import requires
from app.graphql.scalars import Metadata

if TYPE_CHECKING:
    from app.graphql.catalog.addons import Addon
    from app.graphql.catalog.features import Feature
    from app.graphql.catalog.groups import Group
    from app.graphql.catalog.plan_versions import PlanVersion
    from app.graphql.catalog.plans import Plan
    from app.graphql.subscription_types import Subscription


@strawberry.type(
    description="What one charge of a plan or an addon costs, in one currency and cadence; or "
    "what one subscription pays instead."
)
class Price(Node):
    plan_id: strawberry.ID | None = strawberry.field(
        description="The plan it belongs to; null: it belongs to something else."
    )
    plan_version_id: strawberry.ID | None = strawberry.field(
        description="The version of the plan it belongs to; null: it belongs to something else."
    )
    addon_id: strawberry.ID | None = strawberry.field(
        description="The addon it belongs to; null: it belongs to something else."
    )
    subscription_id: strawberry.ID | None = strawberry.field(
        description="The subscription whose own it is; null: it is for sale, of a plan or an addon."
    )
    overrides_id: strawberry.ID | None = strawberry.field(
        description="Of a subscription's own: the price that it is paid instead of."
    )
    offered: bool = strawberry.field(
        description="Whether new subscriptions can take it: it is an addon's, or of its plan's "
        "current version."
    )
    lineage_id: strawberry.ID = strawberry.field(
        description="The same for prices that replaced one another, and for their copies in "
        "later versions of the plan: the id of the first."
    )
    feature_id: strawberry.ID | None = strawberry.field(
        description="The feature that a usage charge measures; null for a fixed charge."
    )
    meter_id: strawberry.ID | None = strawberry.field(
        description="The meter that counts a usage charge; null for a fixed charge."
    )
    lookup_key: str | None = strawberry.field(
        description="As programs name it; unique among the prices without an end that are "
        "offered, and within a version."
    )
    display_name: str = strawberry.field(description="As invoices show it.")
    group_id: strawberry.ID | None = strawberry.field(
        description="What it is shown together with; null: no group."
    )
    charge: ChargeKind = strawberry.field(description="What the quantity is.")
    model: PriceModel = strawberry.field(description="How the quantity becomes an amount.")
    billing: Billing = strawberry.field(description="How often it is charged.")
    adjustments: Adjustments = strawberry.field(
        description="What is done to the quantity before the model and to the amount after it."
    )
    currency: str = strawberry.field(description="ISO 4217 code of what is charged.")
    price_unit_id: strawberry.ID | None = strawberry.field(
        description="The unit that its amounts are in; null: they are in the currency."
    )
    conversion: PriceConversion | None = strawberry.field(
        description="What the unit is worth in this price; null: its amounts are in the currency."
    )
    cadence: Cadence = strawberry.field(description="How often it is charged.")
    timing: InvoiceTiming = strawberry.field(description="On which invoice it is charged.")
    group_by: list[str] = strawberry.field(
        description="Dimensions of the meter: each combination of their values is priced on its "
        "own, on a line of its own."
    )
    trial_days: int = strawberry.field(
        description="For how many days from a line's start it is free."
    )
    metadata: Metadata = strawberry.field(description="Your own notes.")
    content_hash: str = strawberry.field(
        description="SHA-256 of the substance: equal for prices with equal terms."
    )
    replaces_id: strawberry.ID | None = strawberry.field(
        description="The price that this one took over from."
    )
    effective_from: datetime = strawberry.field(description="New subscriptions take it from then.")
    effective_until: datetime | None = strawberry.field(
        description="New subscriptions no longer take it from then; null: no end."
    )
    status: PriceStatus = strawberry.field(description="Whether it is without an end.")
    warnings: list[PriceWarning] = strawberry.field(
        description="What is allowed and may still not be meant."
    )
    created_at: datetime = strawberry.field(description="When it was created.")
    updated_at: datetime = strawberry.field(description="When it last changed.")

    @strawberry.field(
        description="The plan it belongs to; null: it belongs to something else.",
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
        description="The version of the plan it belongs to; null: it belongs to something else.",
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
        description="The addon it belongs to; null: it belongs to something else.",
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
        description="The subscription whose own it is; null: it is for sale.",
        extensions=[requires("subscription:read")],
    )
    async def subscription(
        self, info: Info
    ) -> Annotated["Subscription", strawberry.lazy("app.graphql.subscription_types")] | None:
        if self.subscription_id is None:
            return None
        row = await info.context.load.subscription.load(self.subscription_id)
        return None if row is None else subscription_types.Subscription.of(row)

    @strawberry.field(description="Of a subscription's own: the price that it is paid instead of.")
    async def overrides(
        self, info: Info
    ) -> Annotated["Price", strawberry.lazy("app.graphql.catalog.prices")] | None:
        return None if self.overrides_id is None else await _load(info.context, self.overrides_id)

    @strawberry.field(
        description="The unit that its amounts are in, as it is now; null: they are in the "
        "currency.",
        extensions=[requires("price_unit:read")],
    )
    async def price_unit(self, info: Info) -> PriceUnit | None:
        if self.price_unit_id is None:
            return None
        row = await info.context.load.price_unit.load(self.price_unit_id)
        return None if row is None else PriceUnit.of(row)

    @strawberry.field(
        description="The feature that a usage charge measures; null for a fixed charge.",
        extensions=[requires("feature:read")],
    )
    async def feature(
        self, info: Info
    ) -> Annotated["Feature", strawberry.lazy("app.graphql.catalog.features")] | None:
        if self.feature_id is None:
            return None
        row = await info.context.load.feature.load(self.feature_id)
        return None if row is None else features.Feature.of(row)

    @strawberry.field(
        description="What it is shown together with; null: no group.",
        extensions=[requires("group:read")],
    )
    async def group(
        self, info: Info
    ) -> Annotated["Group", strawberry.lazy("app.graphql.catalog.groups")] | None:
        if self.group_id is None:
            return None
        row = await info.context.load.group.load(self.group_id)
        return None if row is None else groups.Group.of(row)

    @classmethod
    def of(cls, row: Row) -> Self:
        return cls(
            id=strawberry.ID(row.id),
            plan_id=_id(row.plan_id),
            plan_version_id=_id(row.plan_version_id),
            addon_id=_id(row.addon_id),
            subscription_id=_id(row.subscription_id),
            overrides_id=_id(row.overrides_id),
            offered=row.offered,
            lineage_id=strawberry.ID(row.lineage_id),
            feature_id=_id(row.feature_id),
            meter_id=_id(row.meter_id),
            lookup_key=row.lookup_key,
            display_name=row.display_name,
            group_id=_id(row.group_id),
            charge=row.charge,
            model=shown(row.model),
            currency=row.currency,
            price_unit_id=None if row.conversion is None else _id(row.conversion.unit_id),
            conversion=None if row.conversion is None else PriceConversion.of(row.conversion),
            cadence=Cadence.of(row.cadence),
            timing=row.timing,
            billing=row.billing,
            adjustments=Adjustments.of(row.adjustments),
            group_by=list(row.group_by),
            trial_days=row.trial_days,
            metadata=Metadata(row.metadata),
            content_hash=row.content_hash,
            replaces_id=_id(row.replaces_id),
            effective_from=row.effective_from,
            effective_until=row.effective_until,
            status=row.status,
            warnings=[PriceWarning.of(each) for each in warnings(row.model)],
            created_at=row.created_at,
            updated_at=row.updated_at,
        )


PriceResult = Annotated[
    Price | AlreadyExists | Rejected,
    strawberry.union(
        "PriceResult", description="The price as it is now, or why nothing was changed."
    ),
]


@strawberry.type(description="A price that is no longer there.")
class PriceDeleted:
    price_id: strawberry.ID = strawberry.field(description="The id that it had.")


PriceDeleteResult = Annotated[
    PriceDeleted | Rejected,
    strawberry.union(
        "PriceDeleteResult", description="What was deleted, or why nothing was changed."
    ),
]


@strawberry.type
class PriceQuery:
    @strawberry.field(
        description="A price by id; null when the environment has none with it.",
        extensions=[requires("price:read")],
    )
    async def price(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="The price's id.")],
    ) -> Price | None:
        return await _load(info.context, id)

    @strawberry.field(
        description="A price without an end that is offered, by the name that programs use; null "
        "when there is none.",
        extensions=[requires("price:read")],
    )
    async def price_by_lookup_key(
        self,
        info: Info,
        lookup_key: Annotated[str, strawberry.argument(description="As programs name it.")],
    ) -> Price | None:
        row = await info.context.load.price_by_lookup_key.load(lookup_key)
        return None if row is None else Price.of(row)

    prices = listed(
        Price,
        reads.page,
        filter=PriceFilter,
        order=PriceOrder,
        permission="price:read",
        description="Prices, those with an end included unless the filter says otherwise. "
        "The newest first unless ordered.",
    )


@strawberry.type
class PriceMutation:
    @strawberry.mutation(
        description="Add a price to a plan or an addon that is not archived: to the version "
        "named, else to the plan's current version or its draft, whichever there is.",
        extensions=[requires("price:write")],
    )
    async def price_create(
        self,
        info: Info,
        input: Annotated[PriceCreateInput, strawberry.argument(description="The price.")],
    ) -> PriceResult:
        ctx = info.context
        row = await actions.create(ctx.scope, input.command(), by=ctx.actor, at=ctx.now())
        return Price.of(row)

    @strawberry.mutation(
        description="Change a price without an end. Names and notes change in place, and in a "
        "draft everything does. Else a change of what is charged ends it and returns the price "
        "that takes over; subscriptions stay on the one they bought.",
        extensions=[requires("price:write")],
    )
    async def price_update(
        self,
        info: Info,
        input: Annotated[PriceUpdateInput, strawberry.argument(description="The changes.")],
    ) -> PriceResult:
        ctx = info.context
        row = await actions.update(ctx.scope, input.id, input.patch(), by=ctx.actor, at=ctx.now())
        return Price.of(row)

    @strawberry.mutation(
        description="Give a price an end. Subscriptions that bought it stay on it.",
        extensions=[requires("price:write")],
    )
    async def price_archive(
        self,
        info: Info,
        input: Annotated[PriceArchiveInput, strawberry.argument(description="Which one.")],
    ) -> PriceResult:
        ctx = info.context
        row = await actions.archive(
            ctx.scope,
            input.id,
            by=ctx.actor,
            at=ctx.now(),
            effective_until=input.effective_until,
        )
        return Price.of(row)

    @strawberry.mutation(
        description="Take a price off a draft. What somebody may have bought is archived instead.",
        extensions=[requires("price:write")],
    )
    async def price_delete(
        self,
        info: Info,
        input: Annotated[PriceDeleteInput, strawberry.argument(description="Which one.")],
    ) -> PriceDeleteResult:
        ctx = info.context
        row = await actions.delete(ctx.scope, input.id, by=ctx.actor, at=ctx.now())
        return PriceDeleted(price_id=strawberry.ID(row.id))

    @strawberry.mutation(
        description="Take the end off a price that none has taken over from.",
        extensions=[requires("price:write")],
    )
    async def price_restore(
        self,
        info: Info,
        input: Annotated[PriceRestoreInput, strawberry.argument(description="Which one.")],
    ) -> PriceResult:
        ctx = info.context
        return Price.of(await actions.restore(ctx.scope, input.id, by=ctx.actor, at=ctx.now()))


def _id(value: str | None) -> strawberry.ID | None:
    return None if value is None else strawberry.ID(value)


async def _load(context: Context, price_id: str) -> Price | None:
    row = await context.load.price.load(price_id)
    return None if row is None else Price.of(row)


KINDS = (Kind("pri", "price:read", _load),)
