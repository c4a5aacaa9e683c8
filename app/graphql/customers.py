"""Customers in the graph. Every other domain's file is made like this one."""

from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any, Self

import strawberry
from strawberry import UNSET

from app.customers import actions, reads
from app.customers.customer import Address as AddressRow
from app.customers.customer import CreateCustomer, CustomerStatus
from app.customers.customer import Customer as Row
from app.graphql import invoice_types, subscriptions
from app.graphql.context import Context, Info
from app.graphql.errors import AlreadyExists, Rejected
from app.graphql.filters import (
    DateTimeFilter,
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
from app.graphql.scalars import Metadata

if TYPE_CHECKING:
    from app.graphql.invoice_types import Invoice
    from app.graphql.subscriptions import Subscription

strawberry.enum(CustomerStatus, description="Whether a customer is in use.")


@strawberry.type(description="Where invoices are addressed to.")
class Address:
    line1: str | None = strawberry.field(description="Street and number.")
    line2: str | None = strawberry.field(description="Floor, suite or department.")
    city: str | None = strawberry.field(description="City or town.")
    state: str | None = strawberry.field(description="State, province or region.")
    postal_code: str | None = strawberry.field(description="As the country writes it.")
    country: str | None = strawberry.field(description="ISO 3166-1 alpha-2 code, such as US.")

    @classmethod
    def of(cls, row: AddressRow) -> Self:
        return cls(
            line1=row.line1,
            line2=row.line2,
            city=row.city,
            state=row.state,
            postal_code=row.postal_code,
            country=row.country,
        )


@strawberry.type(description="Whom usage and invoices belong to.")
class Customer(Node):
    external_id: str = strawberry.field(
        description="Your own name for the customer; events carry it. Unique among the customers "
        "of the environment that are not archived."
    )
    name: str = strawberry.field(description="As invoices show it.")
    email: str | None = strawberry.field(description="Where invoices are sent.")
    timezone: str = strawberry.field(
        description="IANA zone, which subscriptions get that are made without one."
    )
    currency: str | None = strawberry.field(
        description="ISO 4217 code of the invoices; null until one is chosen."
    )
    address: Address = strawberry.field(description="Where invoices are addressed to.")
    metadata: Metadata = strawberry.field(description="Your own notes.")
    status: CustomerStatus = strawberry.field(description="Whether it is in use.")
    created_at: datetime = strawberry.field(description="When it was created.")
    updated_at: datetime = strawberry.field(description="When it last changed.")
    archived_at: datetime | None = strawberry.field(
        description="When it was taken out of use; null while it is in use."
    )

    @strawberry.field(
        description="Its subscriptions, those that are over included, the newest first.",
        extensions=[requires("subscription:read")],
    )
    async def subscriptions(
        self,
        info: Info,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[Annotated["Subscription", strawberry.lazy("app.graphql.subscriptions")]]:
        request = page_request(info, first=first, after=after, last=last, before=before)
        page = await info.context.load.subscriptions_of_customer.load((self.id, request))
        return Connection.of(page, subscriptions.Subscription.of)

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
        page = await info.context.load.invoices_of_customer.load((self.id, request))
        return Connection.of(page, invoice_types.Invoice.of)

    @classmethod
    def of(cls, row: Row) -> Self:
        return cls(
            id=strawberry.ID(row.id),
            external_id=row.external_id,
            name=row.name,
            email=row.email,
            timezone=row.timezone,
            currency=row.currency,
            address=Address.of(row.address),
            metadata=Metadata(row.metadata),
            status=row.status,
            created_at=row.created_at,
            updated_at=row.updated_at,
            archived_at=row.archived_at,
        )


@strawberry.input(description="Which customers to list; all conditions given must hold.")
class CustomerFilter:
    id: IdFilter | None = strawberry.field(description="By id.", default=UNSET)
    external_id: StringFilter | None = strawberry.field(
        description="By your own name for them.", default=UNSET
    )
    name: StringFilter | None = strawberry.field(description="By name.", default=UNSET)
    email: StringFilter | None = strawberry.field(description="By e-mail address.", default=UNSET)
    currency: StringFilter | None = strawberry.field(description="By currency.", default=UNSET)
    timezone: StringFilter | None = strawberry.field(description="By zone.", default=UNSET)
    status: EnumFilter[CustomerStatus] | None = strawberry.field(
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
    and_: list["CustomerFilter"] | None = and_filters()
    or_: list["CustomerFilter"] | None = or_filters()
    not_: "CustomerFilter | None" = not_filter()


@strawberry.enum(description="What customers can be ordered by.")
class CustomerOrderField(Enum):
    CREATED_AT = strawberry.enum_value("created_at", description="When they were created.")
    UPDATED_AT = strawberry.enum_value("updated_at", description="When they last changed.")
    NAME = strawberry.enum_value("name", description="Their name.")
    EXTERNAL_ID = strawberry.enum_value("external_id", description="Your own name for them.")
    ID = strawberry.enum_value("id", description="Their id.")


@strawberry.input(description="One key of the order of customers.")
class CustomerOrder:
    field: CustomerOrderField = strawberry.field(description="What to order by.")
    direction: Direction = strawberry.field(description="Which way.", default=Direction.ASC)


@strawberry.input(description="Where invoices are addressed to.")
class AddressInput:
    line1: str | None = strawberry.field(description="Street and number.", default=None)
    line2: str | None = strawberry.field(description="Floor, suite or department.", default=None)
    city: str | None = strawberry.field(description="City or town.", default=None)
    state: str | None = strawberry.field(description="State, province or region.", default=None)
    postal_code: str | None = strawberry.field(
        description="As the country writes it.", default=None
    )
    country: str | None = strawberry.field(
        description="ISO 3166-1 alpha-2 code, such as US.", default=None
    )

    def row(self) -> AddressRow:
        return AddressRow(**vars(self))


@strawberry.input(description="A new customer.")
class CustomerCreateInput:
    external_id: str = strawberry.field(
        description="Your own name for the customer, as events will carry it."
    )
    name: str = strawberry.field(description="As invoices will show it.")
    email: str | None = strawberry.field(description="Where to send invoices.", default=None)
    timezone: str = strawberry.field(description="IANA zone.", default="UTC")
    currency: str | None = strawberry.field(description="ISO 4217 code.", default=None)
    address: AddressInput | None = strawberry.field(
        description="Where to address invoices to.", default=None
    )
    metadata: Metadata | None = strawberry.field(description="Your own notes.", default=None)

    def command(self) -> CreateCustomer:
        return CreateCustomer(
            external_id=self.external_id,
            name=self.name,
            email=self.email,
            timezone=self.timezone,
            currency=self.currency,
            address=self.address.row() if self.address else AddressRow(),
            metadata=self.metadata or {},
        )


@strawberry.input(
    description="Changes to a customer. A field that is absent stays as it is; null clears what "
    "may be empty."
)
class CustomerUpdateInput:
    id: strawberry.ID = strawberry.field(description="Which customer.")
    external_id: strawberry.Maybe[str | None] = strawberry.field(
        description="Your own name for the customer. Events already sent keep the old one."
    )
    name: strawberry.Maybe[str | None] = strawberry.field(description="As invoices will show it.")
    email: strawberry.Maybe[str | None] = strawberry.field(description="Where to send invoices.")
    timezone: strawberry.Maybe[str | None] = strawberry.field(description="IANA zone.")
    currency: strawberry.Maybe[str | None] = strawberry.field(description="ISO 4217 code.")
    address: strawberry.Maybe[AddressInput | None] = strawberry.field(
        description="Where to address invoices to; replaces the whole address."
    )
    metadata: strawberry.Maybe[Metadata | None] = strawberry.field(
        description="Your own notes; replaces all of them."
    )

    def patch(self) -> dict[str, Any]:
        changes = present(self, without=("id",))
        if isinstance(changes.get("address"), AddressInput):
            changes["address"] = changes["address"].row()
        return changes


@strawberry.input(description="The customer to take out of use.")
class CustomerArchiveInput:
    id: strawberry.ID = strawberry.field(description="Which customer.")


@strawberry.input(description="The archived customer to put back into use.")
class CustomerRestoreInput:
    id: strawberry.ID = strawberry.field(description="Which customer.")


CustomerResult = Annotated[
    Customer | AlreadyExists | Rejected,
    strawberry.union(
        "CustomerResult", description="The customer as it is now, or why nothing was changed."
    ),
]


@strawberry.type
class CustomerQuery:
    @strawberry.field(
        description="A customer by id; null when the environment has none with it.",
        extensions=[requires("customer:read")],
    )
    async def customer(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="The customer's id.")],
    ) -> Customer | None:
        return await _load(info.context, id)

    @strawberry.field(
        description="A customer that is not archived, by your own name for it; null when there "
        "is none.",
        extensions=[requires("customer:read")],
    )
    async def customer_by_external_id(
        self,
        info: Info,
        external_id: Annotated[str, strawberry.argument(description="As events carry it.")],
    ) -> Customer | None:
        row = await info.context.load.customer_by_external_id.load(external_id)
        return None if row is None else Customer.of(row)

    customers = listed(
        Customer,
        reads.page,
        filter=CustomerFilter,
        order=CustomerOrder,
        permission="customer:read",
        description="Customers, archived ones included unless the filter says otherwise. "
        "The newest first unless ordered.",
    )


@strawberry.type
class CustomerMutation:
    @strawberry.mutation(description="Create a customer.", extensions=[requires("customer:write")])
    async def customer_create(
        self,
        info: Info,
        input: Annotated[CustomerCreateInput, strawberry.argument(description="The customer.")],
    ) -> CustomerResult:
        ctx = info.context
        row = await actions.create(ctx.scope, input.command(), by=ctx.actor, at=ctx.now())
        return Customer.of(row)

    @strawberry.mutation(
        description="Change a customer that is not archived.",
        extensions=[requires("customer:write")],
    )
    async def customer_update(
        self,
        info: Info,
        input: Annotated[CustomerUpdateInput, strawberry.argument(description="The changes.")],
    ) -> CustomerResult:
        ctx = info.context
        row = await actions.update(ctx.scope, input.id, input.patch(), by=ctx.actor, at=ctx.now())
        return Customer.of(row)

    @strawberry.mutation(
        description="Take a customer out of use. Its external id becomes free for another.",
        extensions=[requires("customer:write")],
    )
    async def customer_archive(
        self,
        info: Info,
        input: Annotated[CustomerArchiveInput, strawberry.argument(description="Which one.")],
    ) -> CustomerResult:
        ctx = info.context
        return Customer.of(await actions.archive(ctx.scope, input.id, by=ctx.actor, at=ctx.now()))

    @strawberry.mutation(
        description="Put an archived customer back into use.",
        extensions=[requires("customer:write")],
    )
    async def customer_restore(
        self,
        info: Info,
        input: Annotated[CustomerRestoreInput, strawberry.argument(description="Which one.")],
    ) -> CustomerResult:
        ctx = info.context
        return Customer.of(await actions.restore(ctx.scope, input.id, by=ctx.actor, at=ctx.now()))


async def _load(context: Context, customer_id: str) -> Customer | None:
    row = await context.load.customer.load(customer_id)
    return None if row is None else Customer.of(row)


KINDS = (Kind("cus", "customer:read", _load),)
