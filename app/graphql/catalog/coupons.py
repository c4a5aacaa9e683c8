"""Coupons in the graph. What they take is in `coupon_inputs`."""

from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Self

import strawberry

from app.catalog.actions import coupons as actions
from app.catalog.coupon import (
    Coupon as Row,
)
from app.catalog.coupon import (
    CouponDuration,
    CouponKind,
    CouponLevel,
    CouponStatus,
)
from app.catalog.coupon import Limits as LimitsRow
from app.catalog.reads import coupons as reads
from app.graphql.catalog.coupon_inputs import (
    CouponArchiveInput,
    CouponCreateInput,
    CouponFilter,
    CouponOrder,
    CouponRestoreInput,
    CouponUpdateInput,
)
from app.graphql.context import Context, Info
from app.graphql.errors import AlreadyExists, Rejected
from app.graphql.lists import listed
from app.graphql.node import Kind, Node
from app.graphql.paging import After, Before, Connection, First, Last, page_request
from app.graphql.permissions import requires
from app.graphql.scalars import Metadata, Money
from app.graphql.terms import coupon_attachments

if TYPE_CHECKING:
    from app.graphql.terms.coupon_attachments import CouponAttachment


@strawberry.type(
    description="What a coupon may be taken off: lines of any of these; nothing at all means "
    "every line."
)
class CouponLimits:
    plan_ids: list[strawberry.ID] = strawberry.field(description="Prices of these plans.")
    price_ids: list[strawberry.ID] = strawberry.field(description="These prices.")
    feature_ids: list[strawberry.ID] = strawberry.field(description="Usage of these features.")

    @classmethod
    def of(cls, row: LimitsRow) -> Self:
        return cls(
            plan_ids=[strawberry.ID(each) for each in row.plan_ids],
            price_ids=[strawberry.ID(each) for each in row.price_ids],
            feature_ids=[strawberry.ID(each) for each in row.feature_ids],
        )


@strawberry.type(description="Something off invoices, for those who redeem it.")
class Coupon(Node):
    name: str = strawberry.field(description="As people read it, also on invoices.")
    code: str = strawberry.field(
        description="What customers enter, in letters of any case. Never changes; unique among "
        "the coupons of the environment that are not archived."
    )
    kind: CouponKind = strawberry.field(description="How it says what it takes off.")
    percent_off: Decimal | None = strawberry.field(
        description="10 is 10 %; null for a fixed amount."
    )
    amount_off: Money | None = strawberry.field(description="Null for a percentage.")
    currency: str | None = strawberry.field(
        description="ISO 4217 code: it is taken off invoices in it alone; null: off any."
    )
    duration: CouponDuration = strawberry.field(description="On how many invoices.")
    periods: int | None = strawberry.field(
        description="On how many invoices of a subscription a repeated one is taken off."
    )
    level: CouponLevel = strawberry.field(description="What it is worked out on.")
    limits: CouponLimits = strawberry.field(description="What it may be taken off.")
    redeem_from: datetime | None = strawberry.field(description="It can be redeemed from then.")
    redeem_until: datetime | None = strawberry.field(
        description="It can be redeemed until before then."
    )
    max_redemptions: int | None = strawberry.field(
        description="How often it can be redeemed; null: as often as anybody wants."
    )
    redemptions: int = strawberry.field(description="How often it was redeemed.")
    metadata: Metadata = strawberry.field(description="Your own notes.")
    status: CouponStatus = strawberry.field(
        description="Whether it can be redeemed at all; who has an archived one keeps it."
    )
    created_at: datetime = strawberry.field(description="When it was created.")
    updated_at: datetime = strawberry.field(description="When it last changed.")
    archived_at: datetime | None = strawberry.field(
        description="When it was archived; null while it is in use."
    )

    @strawberry.field(description="Who has or had it, the newest first.")
    async def attachments(
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
        page = await info.context.load.attachments_of_coupon.load((self.id, request))
        return Connection.of(page, coupon_attachments.CouponAttachment.of)

    @classmethod
    def of(cls, row: Row) -> Self:
        off = None
        if row.amount_off is not None and row.currency is not None:
            off = Money(amount=row.amount_off, currency=row.currency)
        return cls(
            id=strawberry.ID(row.id),
            name=row.name,
            code=row.code,
            kind=row.kind,
            percent_off=row.percent_off,
            amount_off=off,
            currency=row.currency,
            duration=row.duration,
            periods=row.periods,
            level=row.level,
            limits=CouponLimits.of(row.limits),
            redeem_from=row.redeem_from,
            redeem_until=row.redeem_until,
            max_redemptions=row.max_redemptions,
            redemptions=row.redemptions,
            metadata=Metadata(row.metadata),
            status=row.status,
            created_at=row.created_at,
            updated_at=row.updated_at,
            archived_at=row.archived_at,
        )


CouponResult = Annotated[
    Coupon | AlreadyExists | Rejected,
    strawberry.union(
        "CouponResult", description="The coupon as it is now, or why nothing was changed."
    ),
]


@strawberry.type
class CouponQuery:
    @strawberry.field(
        description="A coupon by id; null when the environment has none with it.",
        extensions=[requires("coupon:read")],
    )
    async def coupon(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="The coupon's id.")],
    ) -> Coupon | None:
        return await _load(info.context, id)

    @strawberry.field(
        description="A coupon that is not archived, by its code in letters of any case; null "
        "when there is none.",
        extensions=[requires("coupon:read")],
    )
    async def coupon_by_code(
        self,
        info: Info,
        code: Annotated[str, strawberry.argument(description="As a customer enters it.")],
    ) -> Coupon | None:
        row = await info.context.load.coupon_by_code.load(code)
        return None if row is None else Coupon.of(row)

    coupons = listed(
        Coupon,
        reads.page,
        filter=CouponFilter,
        order=CouponOrder,
        permission="coupon:read",
        description="Coupons, archived ones included unless the filter says otherwise. "
        "The newest first unless ordered. `search` looks through names and codes.",
    )


@strawberry.type
class CouponMutation:
    @strawberry.mutation(
        description="Create a coupon; nobody has it yet.", extensions=[requires("coupon:write")]
    )
    async def coupon_create(
        self,
        info: Info,
        input: Annotated[CouponCreateInput, strawberry.argument(description="The coupon.")],
    ) -> CouponResult:
        ctx = info.context
        row = await actions.create(ctx.scope, input.command(), by=ctx.actor, at=ctx.now())
        return Coupon.of(row)

    @strawberry.mutation(
        description="Change a coupon that is not archived.", extensions=[requires("coupon:write")]
    )
    async def coupon_update(
        self,
        info: Info,
        input: Annotated[CouponUpdateInput, strawberry.argument(description="The changes.")],
    ) -> CouponResult:
        ctx = info.context
        row = await actions.update(ctx.scope, input.id, input.patch(), by=ctx.actor, at=ctx.now())
        return Coupon.of(row)

    @strawberry.mutation(
        description="Archive a coupon: nobody redeems it any more; who has it keeps it. Its "
        "code becomes free for another.",
        extensions=[requires("coupon:write")],
    )
    async def coupon_archive(
        self,
        info: Info,
        input: Annotated[CouponArchiveInput, strawberry.argument(description="Which one.")],
    ) -> CouponResult:
        ctx = info.context
        return Coupon.of(await actions.archive(ctx.scope, input.id, by=ctx.actor, at=ctx.now()))

    @strawberry.mutation(
        description="Put an archived coupon back into use.", extensions=[requires("coupon:write")]
    )
    async def coupon_restore(
        self,
        info: Info,
        input: Annotated[CouponRestoreInput, strawberry.argument(description="Which one.")],
    ) -> CouponResult:
        ctx = info.context
        return Coupon.of(await actions.restore(ctx.scope, input.id, by=ctx.actor, at=ctx.now()))


async def _load(context: Context, coupon_id: str) -> Coupon | None:
    row = await context.load.coupon.load(coupon_id)
    return None if row is None else Coupon.of(row)


KINDS = (Kind("cpn", "coupon:read", _load),)
