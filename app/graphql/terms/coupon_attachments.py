"""Who has coupons, in the graph. What is taken is in `coupon_attachment_inputs`."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Self

import strawberry

from app.catalog.coupon import Problem as ProblemRow
from app.graphql import customers, subscription_line_items, subscription_types
from app.graphql.catalog import coupons
from app.graphql.context import Context, Info
from app.graphql.errors import Rejected
from app.graphql.lists import listed
from app.graphql.node import Kind, Node
from app.graphql.permissions import requires
from app.graphql.terms.coupon_attachment_inputs import (
    CouponAttachInput,
    CouponAttachmentFilter,
    CouponAttachmentOrder,
    CouponDetachInput,
)
from app.invoicing.actions import attaching as actions
from app.invoicing.terms import coupon_reads as reads
from app.invoicing.terms.attachment import CouponAttachment as Row
from app.subscriptions.reads import customers_of_line_items

if TYPE_CHECKING:
    from app.graphql.catalog.coupons import Coupon
    from app.graphql.customers import Customer
    from app.graphql.subscription_line_items import SubscriptionLineItem
    from app.graphql.subscription_types import Subscription


@strawberry.type(
    description="That somebody has a coupon: a customer for all invoices, one subscription, or "
    "one line item. Of several of one coupon the narrowest counts."
)
class CouponAttachment(Node):
    coupon_id: strawberry.ID = strawberry.field(description="Which coupon.")
    customer_id: strawberry.ID = strawberry.field(description="Whose invoices it is taken off.")
    subscription_id: strawberry.ID | None = strawberry.field(
        description="Off the invoices of this one; null: off all of the customer's."
    )
    subscription_line_item_id: strawberry.ID | None = strawberry.field(
        description="Off what this one is charged; null: off every line."
    )
    starts_at: datetime = strawberry.field(
        description="Taken off invoices whose tax point lies then or later."
    )
    ends_at: datetime | None = strawberry.field(
        description="Taken off invoices whose tax point lies before then; null: as long as the "
        "coupon lasts. Ending where it starts, it was taken away unused."
    )
    created_at: datetime = strawberry.field(description="When it was given.")
    updated_at: datetime = strawberry.field(description="When it last changed.")

    @strawberry.field(
        description="On how many invoices it was taken off, drafts included and void ones not."
    )
    async def times_used(self, info: Info) -> int:
        return await info.context.load.uses_of_attachment.load(self.id) or 0

    @strawberry.field(description="Which coupon.")
    async def coupon(
        self, info: Info
    ) -> Annotated["Coupon", strawberry.lazy("app.graphql.catalog.coupons")] | None:
        row = await info.context.load.coupon.load(self.coupon_id)
        return None if row is None else coupons.Coupon.of(row)

    @strawberry.field(
        description="Whose invoices it is taken off.", extensions=[requires("customer:read")]
    )
    async def customer(
        self, info: Info
    ) -> Annotated["Customer", strawberry.lazy("app.graphql.customers")] | None:
        row = await info.context.load.customer.load(self.customer_id)
        return None if row is None else customers.Customer.of(row)

    @strawberry.field(
        description="The subscription that it is for.", extensions=[requires("subscription:read")]
    )
    async def subscription(
        self, info: Info
    ) -> Annotated["Subscription", strawberry.lazy("app.graphql.subscription_types")] | None:
        if self.subscription_id is None:
            return None
        row = await info.context.load.subscription.load(self.subscription_id)
        return None if row is None else subscription_types.Subscription.of(row)

    @strawberry.field(
        description="The line item that it is for.", extensions=[requires("subscription:read")]
    )
    async def subscription_line_item(
        self, info: Info
    ) -> (
        Annotated["SubscriptionLineItem", strawberry.lazy("app.graphql.subscription_line_items")]
        | None
    ):
        if self.subscription_line_item_id is None:
            return None
        row = await info.context.load.line_item.load(self.subscription_line_item_id)
        return None if row is None else subscription_line_items.SubscriptionLineItem.of(row)

    @classmethod
    def of(cls, row: Row) -> Self:
        return cls(
            id=strawberry.ID(row.id),
            coupon_id=strawberry.ID(row.coupon_id),
            customer_id=strawberry.ID(row.customer_id),
            subscription_id=_id(row.subscription_id),
            subscription_line_item_id=_id(row.line_item_id),
            starts_at=row.starts_at,
            ends_at=row.ends_at,
            created_at=row.created_at,
            updated_at=row.updated_at,
        )


@strawberry.type(description="Why a coupon cannot be attached so.")
class CouponProblem:
    code: str = strawberry.field(description="Stable, such as COUPON_EXPIRED; switch on it.")
    message: str = strawberry.field(description="In words.")

    @classmethod
    def of(cls, row: ProblemRow) -> Self:
        return cls(code=row.code, message=row.message)


CouponAttachmentResult = Annotated[
    CouponAttachment | Rejected,
    strawberry.union(
        "CouponAttachmentResult",
        description="The attachment as it is now, or why nothing was changed.",
    ),
]


@strawberry.type
class CouponAttachmentQuery:
    @strawberry.field(
        description="An attachment of a coupon by id; null when the environment has none with it.",
        extensions=[requires("coupon:read")],
    )
    async def coupon_attachment(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="The attachment's id.")],
    ) -> CouponAttachment | None:
        return await _load(info.context, id)

    coupon_attachments = listed(
        CouponAttachment,
        reads.page,
        filter=CouponAttachmentFilter,
        order=CouponAttachmentOrder,
        permission="coupon:read",
        description="Who has or had which coupon. The newest first unless ordered.",
        search=False,
    )

    @strawberry.field(
        description="Whether a coupon could be attached so: everything that speaks against it, "
        "nothing where it could. What does not exist is an error.",
        extensions=[requires("coupon:read")],
    )
    async def coupon_attach_problems(
        self,
        info: Info,
        input: Annotated[CouponAttachInput, strawberry.argument(description="What, to whom.")],
    ) -> list[CouponProblem]:
        ctx = info.context
        at = await _present(ctx, input)
        found = await actions.problems(ctx.scope, input.command(), at=at)
        return [CouponProblem.of(each) for each in found]


@strawberry.type
class CouponAttachmentMutation:
    @strawberry.mutation(
        description="Redeem a coupon for a customer, a subscription or one of its line items. "
        "Drafts have it when they are computed or finalized next.",
        extensions=[requires("coupon:write")],
    )
    async def coupon_attach(
        self,
        info: Info,
        input: Annotated[CouponAttachInput, strawberry.argument(description="What, to whom.")],
    ) -> CouponAttachmentResult:
        ctx = info.context
        at = await _present(ctx, input)
        row = await actions.attach(ctx.scope, input.command(), by=ctx.actor, at=at)
        return CouponAttachment.of(row)

    @strawberry.mutation(
        description="Take a coupon away, now or at an instant. One that was taken off no invoice "
        "is as if it had never been given: the redemption is given back.",
        extensions=[requires("coupon:write")],
    )
    async def coupon_detach(
        self,
        info: Info,
        input: Annotated[CouponDetachInput, strawberry.argument(description="Which, and when.")],
    ) -> CouponAttachmentResult:
        ctx = info.context
        at = await ctx.present.owned(reads.customers_of, input.id)
        row = await actions.detach(ctx.scope, input.id, by=ctx.actor, at=at, ends_at=input.ends_at)
        return CouponAttachment.of(row)


async def _present(ctx: Context, input: CouponAttachInput) -> datetime:
    """Of whoever gets the coupon."""
    if input.subscription_line_item_id is not None:
        return await ctx.present.owned(customers_of_line_items, input.subscription_line_item_id)
    if input.subscription_id is not None:
        return await ctx.present.subscription(input.subscription_id)
    return await ctx.present.customer(input.customer_id or "")


async def _load(context: Context, attachment_id: str) -> CouponAttachment | None:
    row = await context.load.coupon_attachment.load(attachment_id)
    return None if row is None else CouponAttachment.of(row)


def _id(value: str | None) -> strawberry.ID | None:
    return None if value is None else strawberry.ID(value)


KINDS = (Kind("cpa", "coupon:read", _load),)
