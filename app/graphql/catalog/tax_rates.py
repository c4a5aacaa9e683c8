"""Tax rates in the graph."""

from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any, Self

import strawberry
from strawberry import UNSET

from app.catalog.actions import tax_rates as actions
from app.catalog.reads import tax_rates as reads
from app.catalog.tax_rate import CreateTaxRate, TaxRateKind, TaxRateStatus
from app.catalog.tax_rate import TaxRate as Row
from app.graphql.context import Context, Info
from app.graphql.errors import AlreadyExists, Rejected
from app.graphql.filters import (
    BooleanFilter,
    DateTimeFilter,
    DecimalFilter,
    EnumFilter,
    IdFilter,
    MetadataFilter,
    StringFilter,
    and_filters,
    not_filter,
    or_filters,
)
from app.graphql.lists import listed
from app.graphql.node import Kind, Node
from app.graphql.paging import (
    After,
    Before,
    Connection,
    Direction,
    First,
    Last,
    page_request,
)
from app.graphql.patch import present
from app.graphql.permissions import requires
from app.graphql.scalars import Metadata, Money, MoneyInput
from app.graphql.terms import tax_associations

if TYPE_CHECKING:
    from app.graphql.terms.tax_associations import TaxAssociation

strawberry.enum(TaxRateKind, description="How a tax rate says what it comes to.")
strawberry.enum(TaxRateStatus, description="Whether a tax rate takes new associations.")


@strawberry.type(
    description="A tax on what is sold. Whom it is asked of is said by its associations."
)
class TaxRate(Node):
    name: str = strawberry.field(description="As printed on invoices, such as VAT.")
    code: str = strawberry.field(
        description="As programs name it. Never changes; unique among the rates of the "
        "environment that are not archived."
    )
    kind: TaxRateKind = strawberry.field(description="How it says what it comes to.")
    percent: Decimal | None = strawberry.field(description="19 is 19 %; null for a fixed amount.")
    amount: Money | None = strawberry.field(
        description="Once per invoice that has something to tax; null for a percentage."
    )
    inclusive: bool = strawberry.field(
        description="Whether prices hold the tax; otherwise it comes on top."
    )
    compound: bool = strawberry.field(
        description="Whether it is also taken on the taxes of a lower priority number."
    )
    description: str | None = strawberry.field(description="What it is.")
    metadata: Metadata = strawberry.field(description="Your own notes.")
    status: TaxRateStatus = strawberry.field(
        description="Whether it takes new associations; those of an archived rate stay."
    )
    created_at: datetime = strawberry.field(description="When it was created.")
    updated_at: datetime = strawberry.field(description="When it last changed.")
    archived_at: datetime | None = strawberry.field(
        description="When it was archived; null while it is in use."
    )

    @strawberry.field(
        description="Whom it is asked of, archived associations included, the newest first."
    )
    async def associations(
        self,
        info: Info,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[
        Annotated["TaxAssociation", strawberry.lazy("app.graphql.terms.tax_associations")]
    ]:
        request = page_request(info, first=first, after=after, last=last, before=before)
        page = await info.context.load.associations_of_tax_rate.load((self.id, request))
        return Connection.of(page, tax_associations.TaxAssociation.of)

    @classmethod
    def of(cls, row: Row) -> Self:
        amount = None
        if row.amount is not None and row.currency is not None:
            amount = Money(amount=row.amount, currency=row.currency)
        return cls(
            id=strawberry.ID(row.id),
            name=row.name,
            code=row.code,
            kind=row.kind,
            percent=row.percent,
            amount=amount,
            inclusive=row.inclusive,
            compound=row.compound,
            description=row.description,
            metadata=Metadata(row.metadata),
            status=row.status,
            created_at=row.created_at,
            updated_at=row.updated_at,
            archived_at=row.archived_at,
        )


@strawberry.input(description="Which tax rates to list; all conditions given must hold.")
class TaxRateFilter:
    id: IdFilter | None = strawberry.field(description="By id.", default=UNSET)
    name: StringFilter | None = strawberry.field(description="By name.", default=UNSET)
    code: StringFilter | None = strawberry.field(
        description="By the name that programs use.", default=UNSET
    )
    kind: EnumFilter[TaxRateKind] | None = strawberry.field(
        description="By how they say what they come to.", default=UNSET
    )
    percent: DecimalFilter | None = strawberry.field(description="By percentage.", default=UNSET)
    inclusive: BooleanFilter | None = strawberry.field(
        description="By whether prices hold them.", default=UNSET
    )
    currency: StringFilter | None = strawberry.field(
        description="By the currency of their amount.", default=UNSET
    )
    status: EnumFilter[TaxRateStatus] | None = strawberry.field(
        description="By whether they are in use.", default=UNSET
    )
    metadata: MetadataFilter | None = strawberry.field(
        description="By an entry of their metadata.", default=UNSET
    )
    created_at: DateTimeFilter | None = strawberry.field(
        description="By when they were created.", default=UNSET
    )
    updated_at: DateTimeFilter | None = strawberry.field(
        description="By when they last changed.", default=UNSET
    )
    and_: list["TaxRateFilter"] | None = and_filters()
    or_: list["TaxRateFilter"] | None = or_filters()
    not_: "TaxRateFilter | None" = not_filter()


@strawberry.enum(description="What tax rates can be ordered by.")
class TaxRateOrderField(Enum):
    CREATED_AT = strawberry.enum_value("created_at", description="When they were created.")
    UPDATED_AT = strawberry.enum_value("updated_at", description="When they last changed.")
    NAME = strawberry.enum_value("name", description="Their name.")
    CODE = strawberry.enum_value("code", description="The name that programs use.")
    PERCENT = strawberry.enum_value("percent", description="Their percentage.")
    ID = strawberry.enum_value("id", description="Their id.")


@strawberry.input(description="One key of the order of tax rates.")
class TaxRateOrder:
    field: TaxRateOrderField = strawberry.field(description="What to order by.")
    direction: Direction = strawberry.field(description="Which way.", default=Direction.ASC)


@strawberry.input(description="What a tax rate comes to: exactly one.", one_of=True)
class TaxRateValueInput:
    percent: strawberry.Maybe[Decimal] = strawberry.field(
        description="19 is 19 %; 0 to 1,000, with at most 6 decimals."
    )
    amount: strawberry.Maybe[MoneyInput] = strawberry.field(
        description="Once per invoice in its currency, in whole minor units; invoices in other "
        "currencies do not bear it."
    )


@strawberry.input(description="A new tax rate, asked of nobody yet.")
class TaxRateCreateInput:
    name: str = strawberry.field(description="As printed on invoices.")
    code: str = strawberry.field(
        description="As programs will name it: letters, digits and _ . : -; it never changes."
    )
    rate: TaxRateValueInput = strawberry.field(description="What it comes to.")
    inclusive: bool | None = strawberry.field(
        description="Whether prices hold the tax; null: as the environment's settings say.",
        default=None,
    )
    compound: bool = strawberry.field(
        description="Whether it is also taken on the taxes of a lower priority number.",
        default=False,
    )
    description: str | None = strawberry.field(description="What it is.", default=None)
    metadata: Metadata | None = strawberry.field(description="Your own notes.", default=None)

    def command(self) -> CreateTaxRate:
        percent, amount = self.rate.percent, self.rate.amount
        given = {name: value for name, value in vars(self).items() if name != "rate"}
        return CreateTaxRate(
            **given
            | {
                "percent": None if percent is None else percent.value,
                "amount": None if amount is None else amount.value.amount,
                "currency": None if amount is None else amount.value.currency,
                "metadata": self.metadata or {},
            }
        )


@strawberry.input(
    description="Changes to a tax rate. A field that is absent stays as it is; null clears. "
    "What it comes to never changes."
)
class TaxRateUpdateInput:
    id: strawberry.ID = strawberry.field(description="Which rate.")
    name: strawberry.Maybe[str] = strawberry.field(description="As printed on invoices.")
    description: strawberry.Maybe[str | None] = strawberry.field(description="What it is.")
    metadata: strawberry.Maybe[Metadata | None] = strawberry.field(
        description="Your own notes; replaces all of them."
    )

    def patch(self) -> dict[str, Any]:
        return present(self, without=("id",))


@strawberry.input(description="The tax rate to archive.")
class TaxRateArchiveInput:
    id: strawberry.ID = strawberry.field(description="Which rate.")


@strawberry.input(description="The archived tax rate to put back into use.")
class TaxRateRestoreInput:
    id: strawberry.ID = strawberry.field(description="Which rate.")


TaxRateResult = Annotated[
    TaxRate | AlreadyExists | Rejected,
    strawberry.union(
        "TaxRateResult", description="The tax rate as it is now, or why nothing was changed."
    ),
]


@strawberry.type
class TaxRateQuery:
    @strawberry.field(
        description="A tax rate by id; null when the environment has none with it.",
        extensions=[requires("tax:read")],
    )
    async def tax_rate(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="The rate's id.")],
    ) -> TaxRate | None:
        return await _load(info.context, id)

    @strawberry.field(
        description="A tax rate that is not archived, by the name that programs use; null when "
        "there is none.",
        extensions=[requires("tax:read")],
    )
    async def tax_rate_by_code(
        self,
        info: Info,
        code: Annotated[str, strawberry.argument(description="As programs name it.")],
    ) -> TaxRate | None:
        row = await info.context.load.tax_rate_by_code.load(code)
        return None if row is None else TaxRate.of(row)

    tax_rates = listed(
        TaxRate,
        reads.page,
        filter=TaxRateFilter,
        order=TaxRateOrder,
        permission="tax:read",
        description="Tax rates, archived ones included unless the filter says otherwise. "
        "The newest first unless ordered. `search` looks through names and codes.",
    )


@strawberry.type
class TaxRateMutation:
    @strawberry.mutation(
        description="Create a tax rate; associate it to have it asked.",
        extensions=[requires("tax:write")],
    )
    async def tax_rate_create(
        self,
        info: Info,
        input: Annotated[TaxRateCreateInput, strawberry.argument(description="The rate.")],
    ) -> TaxRateResult:
        ctx = info.context
        row = await actions.create(ctx.scope, input.command(), by=ctx.actor, at=ctx.now())
        return TaxRate.of(row)

    @strawberry.mutation(
        description="Change a tax rate that is not archived.", extensions=[requires("tax:write")]
    )
    async def tax_rate_update(
        self,
        info: Info,
        input: Annotated[TaxRateUpdateInput, strawberry.argument(description="The changes.")],
    ) -> TaxRateResult:
        ctx = info.context
        row = await actions.update(ctx.scope, input.id, input.patch(), by=ctx.actor, at=ctx.now())
        return TaxRate.of(row)

    @strawberry.mutation(
        description="Archive a tax rate: nothing new is associated with it; what is stays. Its "
        "code becomes free for another.",
        extensions=[requires("tax:write")],
    )
    async def tax_rate_archive(
        self,
        info: Info,
        input: Annotated[TaxRateArchiveInput, strawberry.argument(description="Which one.")],
    ) -> TaxRateResult:
        ctx = info.context
        return TaxRate.of(await actions.archive(ctx.scope, input.id, by=ctx.actor, at=ctx.now()))

    @strawberry.mutation(
        description="Put an archived tax rate back into use.", extensions=[requires("tax:write")]
    )
    async def tax_rate_restore(
        self,
        info: Info,
        input: Annotated[TaxRateRestoreInput, strawberry.argument(description="Which one.")],
    ) -> TaxRateResult:
        ctx = info.context
        return TaxRate.of(await actions.restore(ctx.scope, input.id, by=ctx.actor, at=ctx.now()))


async def _load(context: Context, tax_rate_id: str) -> TaxRate | None:
    row = await context.load.tax_rate.load(tax_rate_id)
    return None if row is None else TaxRate.of(row)


KINDS = (Kind("txr", "tax:read", _load),)
