"""Whom taxes are asked of, in the graph. What is taken is in `tax_association_inputs`."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Self

import strawberry

from app.graphql import customers, invoice_types, subscription_types
from app.graphql.catalog import tax_rates
from app.graphql.context import Context, Info
from app.graphql.errors import Rejected
from app.graphql.lists import listed
from app.graphql.node import Kind, Node
from app.graphql.permissions import requires
from app.graphql.terms.tax_association_inputs import (
    TaxAssociationArchiveInput,
    TaxAssociationCreateInput,
    TaxAssociationFilter,
    TaxAssociationOrder,
    TaxAssociationRestoreInput,
    TaxAssociationUpdateInput,
)
from app.invoicing.actions import tax_associations as actions
from app.invoicing.terms import tax_reads as reads
from app.invoicing.terms.taxation import TaxAssociation as Row
from app.invoicing.terms.taxation import TaxAssociationStatus, TaxLevel

if TYPE_CHECKING:
    from app.graphql.catalog.tax_rates import TaxRate
    from app.graphql.customers import Customer
    from app.graphql.invoice_types import Invoice
    from app.graphql.subscription_types import Subscription


@strawberry.type(
    description="That a tax is asked of somebody. For an invoice the most specific level that "
    "has any association in force wins, with all of its rates."
)
class TaxAssociation(Node):
    tax_rate_id: strawberry.ID = strawberry.field(description="Which rate.")
    level: TaxLevel = strawberry.field(description="What it is with.")
    customer_id: strawberry.ID | None = strawberry.field(
        description="The customer it is with; null where it is with something else."
    )
    subscription_id: strawberry.ID | None = strawberry.field(
        description="The subscription it is with; null where it is with something else."
    )
    invoice_id: strawberry.ID | None = strawberry.field(
        description="The invoice it is with; null where it is with something else."
    )
    priority: int = strawberry.field(description="Lower numbers come first.")
    auto_apply: bool = strawberry.field(description="Whether the tax is asked.")
    starts_at: datetime | None = strawberry.field(
        description="In force at tax points from then on; null: at all of them."
    )
    ends_at: datetime | None = strawberry.field(
        description="In force at tax points before then; null: without an end."
    )
    status: TaxAssociationStatus = strawberry.field(description="Whether it is in use.")
    created_at: datetime = strawberry.field(description="When it was made.")
    updated_at: datetime = strawberry.field(description="When it last changed.")
    archived_at: datetime | None = strawberry.field(
        description="When it was archived; null while it is in use."
    )

    @strawberry.field(description="Which rate.")
    async def tax_rate(
        self, info: Info
    ) -> Annotated["TaxRate", strawberry.lazy("app.graphql.catalog.tax_rates")] | None:
        row = await info.context.load.tax_rate.load(self.tax_rate_id)
        return None if row is None else tax_rates.TaxRate.of(row)

    @strawberry.field(
        description="The customer it is with.", extensions=[requires("customer:read")]
    )
    async def customer(
        self, info: Info
    ) -> Annotated["Customer", strawberry.lazy("app.graphql.customers")] | None:
        if self.customer_id is None:
            return None
        row = await info.context.load.customer.load(self.customer_id)
        return None if row is None else customers.Customer.of(row)

    @strawberry.field(
        description="The subscription it is with.", extensions=[requires("subscription:read")]
    )
    async def subscription(
        self, info: Info
    ) -> Annotated["Subscription", strawberry.lazy("app.graphql.subscription_types")] | None:
        if self.subscription_id is None:
            return None
        row = await info.context.load.subscription.load(self.subscription_id)
        return None if row is None else subscription_types.Subscription.of(row)

    @strawberry.field(description="The invoice it is with.", extensions=[requires("invoice:read")])
    async def invoice(
        self, info: Info
    ) -> Annotated["Invoice", strawberry.lazy("app.graphql.invoice_types")] | None:
        if self.invoice_id is None:
            return None
        row = await info.context.load.invoice.load(self.invoice_id)
        return None if row is None else invoice_types.Invoice.of(row)

    @classmethod
    def of(cls, row: Row) -> Self:
        return cls(
            id=strawberry.ID(row.id),
            tax_rate_id=strawberry.ID(row.tax_rate_id),
            level=row.level,
            customer_id=_id(row.customer_id),
            subscription_id=_id(row.subscription_id),
            invoice_id=_id(row.invoice_id),
            priority=row.priority,
            auto_apply=row.auto_apply,
            starts_at=row.starts_at,
            ends_at=row.ends_at,
            status=row.status,
            created_at=row.created_at,
            updated_at=row.updated_at,
            archived_at=row.archived_at,
        )


TaxAssociationResult = Annotated[
    TaxAssociation | Rejected,
    strawberry.union(
        "TaxAssociationResult",
        description="The association as it is now, or why nothing was changed.",
    ),
]


@strawberry.type
class TaxAssociationQuery:
    @strawberry.field(
        description="An association with a tax by id; null when the environment has none with it.",
        extensions=[requires("tax:read")],
    )
    async def tax_association(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="The association's id.")],
    ) -> TaxAssociation | None:
        return await _load(info.context, id)

    tax_associations = listed(
        TaxAssociation,
        reads.page_of_associations,
        filter=TaxAssociationFilter,
        order=TaxAssociationOrder,
        permission="tax:read",
        description="Whom taxes are asked of, archived ones included unless the filter says "
        "otherwise. The newest first unless ordered.",
        search=False,
    )


@strawberry.type
class TaxAssociationMutation:
    @strawberry.mutation(
        description="Have a tax asked of everybody, a customer, a subscription or a draft. On the "
        "one draft it is asked at once; on others when they are computed or finalized next.",
        extensions=[requires("tax:write")],
    )
    async def tax_association_create(
        self,
        info: Info,
        input: Annotated[
            TaxAssociationCreateInput, strawberry.argument(description="Which tax, of whom.")
        ],
    ) -> TaxAssociationResult:
        ctx = info.context
        at = await _present(ctx, input)
        row = await actions.create(ctx.scope, input.command(), by=ctx.actor, at=at)
        return TaxAssociation.of(row)

    @strawberry.mutation(
        description="Change an association that is not archived. The rate and whom it is asked "
        "of never change.",
        extensions=[requires("tax:write")],
    )
    async def tax_association_update(
        self,
        info: Info,
        input: Annotated[
            TaxAssociationUpdateInput, strawberry.argument(description="The changes.")
        ],
    ) -> TaxAssociationResult:
        ctx = info.context
        at = await ctx.present.owned(reads.customers_of_associations, input.id)
        row = await actions.change(ctx.scope, input.id, input.patch(), by=ctx.actor, at=at)
        return TaxAssociation.of(row)

    @strawberry.mutation(
        description="Have a tax asked no more. Invoices that are issued keep it.",
        extensions=[requires("tax:write")],
    )
    async def tax_association_archive(
        self,
        info: Info,
        input: Annotated[TaxAssociationArchiveInput, strawberry.argument(description="Which.")],
    ) -> TaxAssociationResult:
        ctx = info.context
        at = await ctx.present.owned(reads.customers_of_associations, input.id)
        row = await actions.archive(ctx.scope, input.id, by=ctx.actor, at=at)
        return TaxAssociation.of(row)

    @strawberry.mutation(
        description="Have the tax of an archived association asked again.",
        extensions=[requires("tax:write")],
    )
    async def tax_association_restore(
        self,
        info: Info,
        input: Annotated[TaxAssociationRestoreInput, strawberry.argument(description="Which.")],
    ) -> TaxAssociationResult:
        ctx = info.context
        at = await ctx.present.owned(reads.customers_of_associations, input.id)
        row = await actions.restore(ctx.scope, input.id, by=ctx.actor, at=at)
        return TaxAssociation.of(row)


async def _present(ctx: Context, input: TaxAssociationCreateInput) -> datetime:
    """Of whom the tax is asked of; the environment's where that is everybody."""
    if input.invoice_id is not None:
        return await ctx.present.invoice(input.invoice_id)
    if input.subscription_id is not None:
        return await ctx.present.subscription(input.subscription_id)
    if input.customer_id is not None:
        return await ctx.present.customer(input.customer_id)
    return ctx.present.environment()


async def _load(context: Context, association_id: str) -> TaxAssociation | None:
    row = await context.load.tax_association.load(association_id)
    return None if row is None else TaxAssociation.of(row)


def _id(value: str | None) -> strawberry.ID | None:
    return None if value is None else strawberry.ID(value)


KINDS = (Kind("txa", "tax:read", _load),)
