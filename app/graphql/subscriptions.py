"""Subscriptions in the graph: customers on plans. What they take is in `subscription_inputs`."""

from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Self

import strawberry

from app.graphql import access, customers, invoice_types
from app.graphql.cadences import Cadence
from app.graphql.catalog import entitlements, plan_versions, plans, prices
from app.graphql.context import Context, Info
from app.graphql.errors import Rejected
from app.graphql.lists import listed
from app.graphql.node import Kind, Node
from app.graphql.paging import After, Before, Connection, First, Last, page_request
from app.graphql.permissions import requires
from app.graphql.scalars import Metadata
from app.graphql.subscription_inputs import (
    BillingAlignment,
    SubscriptionCancelInput,
    SubscriptionCreateInput,
    SubscriptionFilter,
    SubscriptionOrder,
    SubscriptionUpdateInput,
)
from app.subscriptions import actions, reads
from app.subscriptions.subscription import LineItem as LineItemRow
from app.subscriptions.subscription import Subscription as Row
from app.subscriptions.subscription import SubscriptionStatus

if TYPE_CHECKING:
    from app.graphql.access import GivenEntitlement
    from app.graphql.catalog.entitlements import Entitlement
    from app.graphql.catalog.plan_versions import PlanVersion
    from app.graphql.catalog.plans import Plan
    from app.graphql.catalog.prices import Price
    from app.graphql.customers import Customer
    from app.graphql.invoice_types import Invoice


@strawberry.type(description="One price that a subscription bought.")
class SubscriptionLineItem(Node):
    subscription_id: strawberry.ID = strawberry.field(description="The subscription it belongs to.")
    price_id: strawberry.ID = strawberry.field(description="The price that it bought.")
    quantity: Decimal | None = strawberry.field(
        description="What is held of a fixed charge, such as seats; null for usage."
    )
    starts_at: datetime = strawberry.field(description="Charged from then.")
    ends_at: datetime | None = strawberry.field(
        description="Charged until then; null: as long as the subscription runs."
    )

    @strawberry.field(
        description="The price that it bought, as it was then.",
        extensions=[requires("price:read")],
    )
    async def price(
        self, info: Info
    ) -> Annotated["Price", strawberry.lazy("app.graphql.catalog.prices")] | None:
        row = await info.context.load.price.load(self.price_id)
        return None if row is None else prices.Price.of(row)

    @classmethod
    def of(cls, row: LineItemRow) -> Self:
        return cls(
            id=strawberry.ID(row.id),
            subscription_id=strawberry.ID(row.subscription_id),
            price_id=strawberry.ID(row.price_id),
            quantity=row.quantity,
            starts_at=row.starts_at,
            ends_at=row.ends_at,
        )


@strawberry.type(description="A customer on a plan, and the rhythm of its bills.")
class Subscription(Node):
    customer_id: strawberry.ID = strawberry.field(description="Who is billed.")
    plan_id: strawberry.ID = strawberry.field(description="What was bought.")
    plan_version_id: strawberry.ID = strawberry.field(
        description="The version of the plan that was bought."
    )
    status: SubscriptionStatus = strawberry.field(description="Where it is in its life.")
    currency: str = strawberry.field(description="ISO 4217 code of its invoices.")
    timezone: str = strawberry.field(
        description="IANA zone in which its periods begin and end; fixed when it was created."
    )
    alignment: BillingAlignment = strawberry.field(description="Where its periods begin.")
    cadence: Cadence = strawberry.field(description="How long its periods are.")
    anchor: datetime = strawberry.field(
        description="The instant whose local date and time anniversary periods repeat."
    )
    starts_at: datetime = strawberry.field(description="Served from then.")
    ends_at: datetime | None = strawberry.field(
        description="Served until then; null: until it is canceled."
    )
    current_period_start: datetime = strawberry.field(
        description="Start of the period that billing has reached."
    )
    current_period_end: datetime = strawberry.field(
        description="End of the period that billing has reached, when the next invoice is due."
    )
    billed_until: datetime | None = strawberry.field(
        description="The last instant whose bill is done; null before the first."
    )
    cancel_requested_at: datetime | None = strawberry.field(
        description="When it was canceled, for now or for the period's end; null otherwise."
    )
    metadata: Metadata = strawberry.field(description="Your own notes.")
    created_at: datetime = strawberry.field(description="When it was created.")
    updated_at: datetime = strawberry.field(description="When it last changed.")

    @strawberry.field(description="Who is billed.", extensions=[requires("customer:read")])
    async def customer(
        self, info: Info
    ) -> Annotated["Customer", strawberry.lazy("app.graphql.customers")] | None:
        row = await info.context.load.customer.load(self.customer_id)
        return None if row is None else customers.Customer.of(row)

    @strawberry.field(description="What was bought.", extensions=[requires("plan:read")])
    async def plan(
        self, info: Info
    ) -> Annotated["Plan", strawberry.lazy("app.graphql.catalog.plans")] | None:
        row = await info.context.load.plan.load(self.plan_id)
        return None if row is None else plans.Plan.of(row)

    @strawberry.field(
        description="The version of the plan that was bought.", extensions=[requires("plan:read")]
    )
    async def plan_version(
        self, info: Info
    ) -> Annotated["PlanVersion", strawberry.lazy("app.graphql.catalog.plan_versions")] | None:
        row = await info.context.load.plan_version.load(self.plan_version_id)
        return None if row is None else plan_versions.PlanVersion.of(row)

    @strawberry.field(description="What it is charged for, in the order it was bought.")
    async def line_items(self, info: Info) -> list[SubscriptionLineItem]:
        rows = await info.context.load.line_items_of_subscription.load(self.id)
        return [SubscriptionLineItem.of(row) for row in rows]

    @strawberry.field(
        description="What it is given at an instant, by its plan, its addons and for itself, the "
        "most specific first within a feature. What is overridden is left out.",
        extensions=[requires("entitlement:read")],
    )
    async def entitlements(
        self,
        info: Info,
        at: Annotated[
            datetime | None, strawberry.argument(description="In force then; null: now.")
        ] = None,
    ) -> list[Annotated["GivenEntitlement", strawberry.lazy("app.graphql.access")]]:
        entitled = await info.context.load.entitled.load(self.id)
        given = [] if entitled is None else entitled.in_force(at or info.context.now())
        return [access.GivenEntitlement.of(each) for each in given]

    @strawberry.field(
        description="The entitlements that it has for itself at an instant, beside those of its "
        "plan and addons, the oldest first.",
        extensions=[requires("entitlement:read")],
    )
    async def own_entitlements(
        self,
        info: Info,
        at: Annotated[
            datetime | None, strawberry.argument(description="In force then; null: now.")
        ] = None,
    ) -> list[Annotated["Entitlement", strawberry.lazy("app.graphql.catalog.entitlements")]]:
        instant = at or info.context.now()
        rows = await info.context.load.entitlements_of_subscription.load(self.id)
        return [entitlements.Entitlement.of(row) for row in rows if row.in_force(instant)]

    @strawberry.field(
        description="Its invoices, drafts and void ones included, the newest first.",
        extensions=[requires("invoice:read")],
    )
    async def invoices(
        self,
        info: Info,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[Annotated["Invoice", strawberry.lazy("app.graphql.invoice_types")]]:
        request = page_request(info, first=first, after=after, last=last, before=before)
        page = await info.context.load.invoices_of_subscription.load((self.id, request))
        return Connection.of(page, invoice_types.Invoice.of)

    @classmethod
    def of(cls, row: Row) -> Self:
        return cls(
            id=strawberry.ID(row.id),
            customer_id=strawberry.ID(row.customer_id),
            plan_id=strawberry.ID(row.plan_id),
            plan_version_id=strawberry.ID(row.plan_version_id),
            status=row.status,
            currency=row.currency,
            timezone=row.timezone,
            alignment=BillingAlignment(row.alignment),
            cadence=Cadence.of(row.cadence),
            anchor=row.anchor,
            starts_at=row.starts_at,
            ends_at=row.ends_at,
            current_period_start=row.current_period.start,
            current_period_end=row.current_period.end,
            billed_until=row.billed_until,
            cancel_requested_at=row.cancel_requested_at,
            metadata=Metadata(row.metadata),
            created_at=row.created_at,
            updated_at=row.updated_at,
        )


SubscriptionResult = Annotated[
    Subscription | Rejected,
    strawberry.union(
        "SubscriptionResult",
        description="The subscription as it is now, or why nothing was changed.",
    ),
]


@strawberry.type
class SubscriptionQuery:
    @strawberry.field(
        description="A subscription by id; null when the environment has none with it.",
        extensions=[requires("subscription:read")],
    )
    async def subscription(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="The subscription's id.")],
    ) -> Subscription | None:
        return await _load(info.context, id)

    subscriptions = listed(
        Subscription,
        reads.page,
        filter=SubscriptionFilter,
        order=SubscriptionOrder,
        permission="subscription:read",
        description="Subscriptions, those that are over included unless the filter says "
        "otherwise. The newest first unless ordered.",
        search=False,
    )


@strawberry.type
class SubscriptionMutation:
    @strawberry.mutation(
        description="Put a customer on a plan: on its prices of the currency and cadence that "
        "are in force when the subscription starts, or now if it starts in the past. Periods "
        "that have passed are billed, one invoice each.",
        extensions=[requires("subscription:write")],
    )
    async def subscription_create(
        self,
        info: Info,
        input: Annotated[
            SubscriptionCreateInput, strawberry.argument(description="The subscription.")
        ],
    ) -> SubscriptionResult:
        ctx = info.context
        row = await actions.create(ctx.scope, input.command(), by=ctx.actor, at=ctx.now())
        return Subscription.of(row)

    @strawberry.mutation(
        description="Change the notes or the end of a subscription.",
        extensions=[requires("subscription:write")],
    )
    async def subscription_update(
        self,
        info: Info,
        input: Annotated[SubscriptionUpdateInput, strawberry.argument(description="The changes.")],
    ) -> SubscriptionResult:
        ctx = info.context
        row = await actions.update(ctx.scope, input.id, input.patch(), by=ctx.actor, at=ctx.now())
        return Subscription.of(row)

    @strawberry.mutation(
        description="End a subscription, now or with the current period. What was used until "
        "then is billed.",
        extensions=[requires("subscription:write")],
    )
    async def subscription_cancel(
        self,
        info: Info,
        input: Annotated[SubscriptionCancelInput, strawberry.argument(description="Which one.")],
    ) -> SubscriptionResult:
        ctx = info.context
        row = await actions.cancel(ctx.scope, input.id, input.mode, by=ctx.actor, at=ctx.now())
        return Subscription.of(row)


async def _load(context: Context, subscription_id: str) -> Subscription | None:
    row = await context.load.subscription.load(subscription_id)
    return None if row is None else Subscription.of(row)


async def _load_line_item(context: Context, line_item_id: str) -> SubscriptionLineItem | None:
    row = await context.load.line_item.load(line_item_id)
    return None if row is None else SubscriptionLineItem.of(row)


KINDS = (
    Kind("sub", "subscription:read", _load),
    Kind("sli", "subscription:read", _load_line_item),
)
