"""What a subscription looks like in the graph."""

from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Self

import strawberry

from app.catalog.entitlement import OwnerKind
from app.graphql import access, customers, invoice_types, subscription_change_types
from app.graphql.cadences import Cadence
from app.graphql.catalog import entitlements, plan_versions, plans
from app.graphql.context import Info
from app.graphql.node import Node
from app.graphql.paging import After, Before, Connection, First, Last, page_request
from app.graphql.permissions import requires
from app.graphql.prorate_by import ProrateBy
from app.graphql.scalars import Metadata
from app.graphql.subscription_addons import SubscriptionAddon
from app.graphql.subscription_commitments import SubscriptionCommitment
from app.graphql.subscription_inputs import BillingAlignment, CollectionMethod
from app.graphql.subscription_line_items import SubscriptionLineItem
from app.graphql.subscription_parts import (
    ScheduledChange,
    SubscriptionCancellation,
    SubscriptionFamilyUsage,
    SubscriptionTrial,
)
from app.graphql.subscription_pauses import SubscriptionPause
from app.graphql.terms import coupon_attachments, tax_associations
from app.subscriptions.change import SubscriptionChange as ChangeRow
from app.subscriptions.changes.pending import pending
from app.subscriptions.phases import spans
from app.subscriptions.subscription import Subscription as Row
from app.subscriptions.subscription import SubscriptionStatus

if TYPE_CHECKING:
    from app.graphql.access import GivenEntitlement
    from app.graphql.catalog.entitlements import Entitlement
    from app.graphql.catalog.plan_versions import PlanVersion
    from app.graphql.catalog.plans import Plan
    from app.graphql.customers import Customer
    from app.graphql.invoice_types import Invoice
    from app.graphql.subscription_change_types import SubscriptionChange, SubscriptionPhase
    from app.graphql.terms.coupon_attachments import CouponAttachment
    from app.graphql.terms.tax_associations import TaxAssociation


@strawberry.type(description="A customer on a plan, and the rhythm of its bills.")
class Subscription(Node):
    customer_id: strawberry.ID = strawberry.field(description="Whose it is.")
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
    trial: SubscriptionTrial | None = strawberry.field(
        description="The time that is free of fees, over or not; null where there is none."
    )
    cancellation: SubscriptionCancellation | None = strawberry.field(
        description="How it was, or is to be, canceled; null where it is not."
    )
    cancel_requested_at: datetime | None = strawberry.field(
        description="When it was canceled, for now or for later; null where it is not."
    )
    net_days: int | None = strawberry.field(
        description="Days from issue until its invoices are due; null: as the environment says."
    )
    collection_method: CollectionMethod = strawberry.field(
        description="How its invoices are to be paid."
    )
    purchase_order: str | None = strawberry.field(
        description="The customer's order number, printed on its invoices."
    )
    auto_invoice_threshold: Decimal | None = strawberry.field(
        description="Usage that comes to this amount before the period ends is billed at once; "
        "null: at the period's end."
    )
    parent_pays: bool | None = strawberry.field(
        description="Whether its invoices go to the customer's parent; null: as the customer says."
    )
    family_usage: list[SubscriptionFamilyUsage] = strawberry.field(
        description="When the usage of the customer's children counted, counts and will count with "
        "its own; empty: never."
    )
    commitments: list[SubscriptionCommitment] = strawberry.field(
        description="What the customer promised to use, before, now and from a later period on."
    )
    prorate_by: ProrateBy = strawberry.field(
        description="How parts of periods are measured, of which fixed charges cost a part; "
        "fixed when it was created."
    )
    row: strawberry.Private[Row]
    metadata: Metadata = strawberry.field(description="Your own notes.")
    created_at: datetime = strawberry.field(description="When it was created.")
    updated_at: datetime = strawberry.field(description="When it last changed.")

    @strawberry.field(description="Whose it is.", extensions=[requires("customer:read")])
    async def customer(
        self, info: Info
    ) -> Annotated["Customer", strawberry.lazy("app.graphql.customers")] | None:
        row = await info.context.load.customer.load(self.customer_id)
        return None if row is None else customers.Customer.of(row)

    @strawberry.field(
        description="Whom its invoices are addressed to from now on: its customer, or the parent "
        "of that.",
        extensions=[requires("customer:read")],
    )
    async def payer(
        self, info: Info
    ) -> Annotated["Customer", strawberry.lazy("app.graphql.customers")] | None:
        payer_id = await info.context.load.payer_of_subscription.load(self.id)
        row = await info.context.load.customer.load(payer_id or self.customer_id)
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

    @strawberry.field(
        description="What it is, was and will be charged for, in the order it was bought."
    )
    async def line_items(self, info: Info) -> list[SubscriptionLineItem]:
        rows = await info.context.load.line_items_of_subscription.load(self.id)
        return [SubscriptionLineItem.of(row) for row in rows]

    @strawberry.field(
        description="The addons that it holds, held and will hold, in the order they were bought; "
        "each time of one, where its quantity changed.",
    )
    async def addons(
        self,
        info: Info,
        at: Annotated[
            datetime | None,
            strawberry.argument(description="Only those held then; null: all, past ones too."),
        ] = None,
    ) -> list[SubscriptionAddon]:
        rows = await info.context.load.holdings_of_subscription.load(self.id)
        return [
            SubscriptionAddon.of(row)
            for row in rows
            if row.owner.kind is OwnerKind.ADDON and (at is None or row.covers(at))
        ]

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
        instant = at or await info.context.present.customer(self.customer_id)
        given = [] if entitled is None else entitled.in_force(instant)
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
        instant = at or await info.context.present.customer(self.customer_id)
        rows = await info.context.load.entitlements_of_subscription.load(self.id)
        return [entitlements.Entitlement.of(row) for row in rows if row.in_force(instant)]

    @strawberry.field(
        description="What is to come for it, the next first: its start, the end of its trial, "
        "pauses, resumptions, changes of quantity, price and plan, phases, and its end.",
    )
    async def scheduled_changes(self, info: Info) -> list[ScheduledChange]:
        at = await info.context.present.customer(self.customer_id)
        rows: list[ChangeRow] = []
        if self.row.next_change_at is not None:
            rows = await info.context.load.scheduled_changes_of_subscription.load(self.id)
        return [ScheduledChange.of(change) for change in pending(self.row, at, rows)]

    @strawberry.field(
        description="Its phases, begun and to come, in their order. What holds before the first is "
        "what it was bought with."
    )
    async def phases(
        self, info: Info
    ) -> list[
        Annotated["SubscriptionPhase", strawberry.lazy("app.graphql.subscription_change_types")]
    ]:
        rows = await info.context.load.phases_of_subscription.load(self.id)
        return [subscription_change_types.SubscriptionPhase.of(s) for s in spans(self.row, rows)]

    @strawberry.field(
        description="What was asked to change of its lines, to come and whatever became of it, "
        "the latest to take effect first."
    )
    async def changes(
        self,
        info: Info,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[
        Annotated["SubscriptionChange", strawberry.lazy("app.graphql.subscription_change_types")]
    ]:
        request = page_request(info, first=first, after=after, last=last, before=before)
        page = await info.context.load.changes_of_subscription.load((self.id, request))
        return Connection.of(page, subscription_change_types.SubscriptionChange.of)

    @strawberry.field(
        description="Its pauses, those that were taken back included, the latest first."
    )
    async def pauses(
        self,
        info: Info,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[SubscriptionPause]:
        request = page_request(info, first=first, after=after, last=last, before=before)
        page = await info.context.load.pauses_of_subscription.load((self.id, request))
        return Connection.of(page, SubscriptionPause.of)

    @strawberry.field(
        description="The coupons that it and its line items have or had, the newest first. Those "
        "of its customer as a whole are not among them.",
        extensions=[requires("coupon:read")],
    )
    async def coupon_attachments(
        self,
        info: Info,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[
        Annotated["CouponAttachment", strawberry.lazy("app.graphql.terms.coupon_attachments")]
    ]:
        request = page_request(info, first=first, after=after, last=last, before=before)
        page = await info.context.load.attachments_of_subscription.load((self.id, request))
        return Connection.of(page, coupon_attachments.CouponAttachment.of)

    @strawberry.field(
        description="The taxes that are associated with it; archived ones are left out.",
        extensions=[requires("tax:read")],
    )
    async def tax_associations(
        self, info: Info
    ) -> list[Annotated["TaxAssociation", strawberry.lazy("app.graphql.terms.tax_associations")]]:
        rows = await info.context.load.tax_associations_of_owner.load(self.id)
        return [tax_associations.TaxAssociation.of(row) for row in rows]

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
        canceled = row.cancellation
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
            trial=None if row.trial is None else SubscriptionTrial.of(row.trial),
            cancellation=(None if canceled is None else SubscriptionCancellation.of(canceled)),
            cancel_requested_at=None if canceled is None else canceled.requested_at,
            net_days=row.terms.net_days,
            collection_method=row.terms.collection_method,
            purchase_order=row.terms.purchase_order,
            auto_invoice_threshold=row.terms.auto_invoice_threshold,
            parent_pays=row.terms.parent_pays,
            family_usage=[SubscriptionFamilyUsage.of(each) for each in row.families],
            commitments=[SubscriptionCommitment.of(each) for each in row.commitments],
            prorate_by=row.prorate_by,
            metadata=Metadata(row.metadata),
            created_at=row.created_at,
            updated_at=row.updated_at,
            row=row,
        )
