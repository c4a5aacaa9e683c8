"""Who is spared taxes, in the graph. What is taken is in `tax_exemption_inputs`."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Self

import strawberry

from app.graphql import customers
from app.graphql.catalog import tax_rates
from app.graphql.context import Context, Info
from app.graphql.errors import Rejected
from app.graphql.lists import listed
from app.graphql.node import Kind, Node
from app.graphql.permissions import requires
from app.graphql.terms.tax_exemption_inputs import (
    TaxExemptionArchiveInput,
    TaxExemptionCreateInput,
    TaxExemptionFilter,
    TaxExemptionKind,
    TaxExemptionOrder,
    TaxExemptionRestoreInput,
    TaxExemptionUpdateInput,
)
from app.invoicing.actions import tax_exemptions as actions
from app.invoicing.terms import tax_reads as reads
from app.invoicing.terms.taxation import TaxAssociationStatus
from app.invoicing.terms.taxation import TaxExemption as Row

if TYPE_CHECKING:
    from app.graphql.catalog.tax_rates import TaxRate
    from app.graphql.customers import Customer


@strawberry.type(description="Why a customer is not asked for tax, and what invoices say of it.")
class TaxExemption(Node):
    customer_id: strawberry.ID = strawberry.field(description="Who is spared.")
    kind: TaxExemptionKind = strawberry.field(description="Exempt or reverse charge.")
    reason: str = strawberry.field(description="Why.")
    certificate: str | None = strawberry.field(description="The number of what proves it.")
    legend: str | None = strawberry.field(
        description="What invoices say of it; null: the reason and the certificate, or the "
        "environment's legend of reverse charge."
    )
    tax_rate_ids: list[strawberry.ID] = strawberry.field(
        description="The rates that are spared; none: all of them."
    )
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

    @strawberry.field(description="Who is spared.", extensions=[requires("customer:read")])
    async def customer(
        self, info: Info
    ) -> Annotated["Customer", strawberry.lazy("app.graphql.customers")] | None:
        row = await info.context.load.customer.load(self.customer_id)
        return None if row is None else customers.Customer.of(row)

    @strawberry.field(description="The rates that are spared; none: all of them.")
    async def tax_rates(
        self, info: Info
    ) -> list[Annotated["TaxRate", strawberry.lazy("app.graphql.catalog.tax_rates")]]:
        rows = await info.context.load.tax_rate.load_many(self.tax_rate_ids)
        return [tax_rates.TaxRate.of(row) for row in rows if row is not None]

    @classmethod
    def of(cls, row: Row) -> Self:
        return cls(
            id=strawberry.ID(row.id),
            customer_id=strawberry.ID(row.customer_id),
            kind=TaxExemptionKind(row.kind.value),
            reason=row.reason,
            certificate=row.certificate,
            legend=row.legend,
            tax_rate_ids=[strawberry.ID(each) for each in row.tax_rate_ids],
            starts_at=row.starts_at,
            ends_at=row.ends_at,
            status=row.status,
            created_at=row.created_at,
            updated_at=row.updated_at,
            archived_at=row.archived_at,
        )


TaxExemptionResult = Annotated[
    TaxExemption | Rejected,
    strawberry.union(
        "TaxExemptionResult", description="The exemption as it is now, or why nothing was changed."
    ),
]


@strawberry.type
class TaxExemptionQuery:
    @strawberry.field(
        description="An exemption by id; null when the environment has none with it.",
        extensions=[requires("tax:read")],
    )
    async def tax_exemption(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="The exemption's id.")],
    ) -> TaxExemption | None:
        return await _load(info.context, id)

    tax_exemptions = listed(
        TaxExemption,
        reads.page_of_exemptions,
        filter=TaxExemptionFilter,
        order=TaxExemptionOrder,
        permission="tax:read",
        description="Who is spared taxes, archived ones included unless the filter says "
        "otherwise. The newest first unless ordered. `search` looks through certificates.",
    )


@strawberry.type
class TaxExemptionMutation:
    @strawberry.mutation(
        description="Spare a customer all taxes, or some, on what is drafted, computed or "
        "finalized next.",
        extensions=[requires("tax:write")],
    )
    async def tax_exemption_create(
        self,
        info: Info,
        input: Annotated[
            TaxExemptionCreateInput, strawberry.argument(description="Whom, and why.")
        ],
    ) -> TaxExemptionResult:
        ctx = info.context
        at = await ctx.present.customer(input.customer_id)
        row = await actions.create(ctx.scope, input.command(), by=ctx.actor, at=at)
        return TaxExemption.of(row)

    @strawberry.mutation(
        description="Change an exemption that is not archived. Issued invoices stay as they are.",
        extensions=[requires("tax:write")],
    )
    async def tax_exemption_update(
        self,
        info: Info,
        input: Annotated[TaxExemptionUpdateInput, strawberry.argument(description="The changes.")],
    ) -> TaxExemptionResult:
        ctx = info.context
        at = await ctx.present.owned(reads.customers_of_exemptions, input.id)
        row = await actions.change(ctx.scope, input.id, input.patch(), by=ctx.actor, at=at)
        return TaxExemption.of(row)

    @strawberry.mutation(
        description="Spare the customer no more.", extensions=[requires("tax:write")]
    )
    async def tax_exemption_archive(
        self,
        info: Info,
        input: Annotated[TaxExemptionArchiveInput, strawberry.argument(description="Which.")],
    ) -> TaxExemptionResult:
        ctx = info.context
        at = await ctx.present.owned(reads.customers_of_exemptions, input.id)
        row = await actions.archive(ctx.scope, input.id, by=ctx.actor, at=at)
        return TaxExemption.of(row)

    @strawberry.mutation(
        description="Put an archived exemption back into use.", extensions=[requires("tax:write")]
    )
    async def tax_exemption_restore(
        self,
        info: Info,
        input: Annotated[TaxExemptionRestoreInput, strawberry.argument(description="Which.")],
    ) -> TaxExemptionResult:
        ctx = info.context
        at = await ctx.present.owned(reads.customers_of_exemptions, input.id)
        row = await actions.restore(ctx.scope, input.id, by=ctx.actor, at=at)
        return TaxExemption.of(row)


async def _load(context: Context, exemption_id: str) -> TaxExemption | None:
    row = await context.load.tax_exemption.load(exemption_id)
    return None if row is None else TaxExemption.of(row)


KINDS = (Kind("txe", "tax:read", _load),)
