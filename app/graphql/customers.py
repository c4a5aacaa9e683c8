"""Customers in the graph; what they take is in `customer_inputs`. Every other domain's files are
made like these."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Optional, Self

import strawberry

from app.customers import reads
from app.customers.customer import Address as AddressRow
from app.customers.customer import Customer as Row
from app.customers.customer import ElectronicAddress as ElectronicAddressRow
from app.graphql import credit_note_types, invoice_types, subscription_types, test_clocks
from app.graphql.context import Context, Info
from app.graphql.customer_inputs import (
    CustomerArchiveInput,
    CustomerCreateInput,
    CustomerFilter,
    CustomerOrder,
    CustomerRestoreInput,
    CustomerStatus,
    CustomerTestClockSetInput,
    CustomerUpdateInput,
)
from app.graphql.errors import AlreadyExists, Rejected
from app.graphql.lists import listed
from app.graphql.node import Kind, Node
from app.graphql.paging import After, Before, Connection, First, Last, page_request
from app.graphql.permissions import requires
from app.graphql.scalars import Metadata
from app.graphql.terms import coupon_attachments, tax_associations, tax_exemptions
from app.subscriptions import actions as subscriptions

if TYPE_CHECKING:
    from app.graphql.credit_note_types import CreditNote
    from app.graphql.invoice_types import Invoice
    from app.graphql.subscription_types import Subscription
    from app.graphql.terms.coupon_attachments import CouponAttachment
    from app.graphql.terms.tax_associations import TaxAssociation
    from app.graphql.terms.tax_exemptions import TaxExemption
    from app.graphql.test_clocks import TestClock


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


@strawberry.type(description="Where electronic invoices are delivered.")
class ElectronicAddress:
    scheme: str = strawberry.field(description="ISO 6523 code of four digits, such as 9930.")
    id: str = strawberry.field(description="The address within the scheme.")

    @classmethod
    def of(cls, row: ElectronicAddressRow) -> Self:
        return cls(scheme=row.scheme, id=row.id)


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
    tax_id: str | None = strawberry.field(description="VAT or similar number, as invoices show it.")
    registration_number: str | None = strawberry.field(description="In the companies' register.")
    electronic_address: ElectronicAddress | None = strawberry.field(
        description="Where electronic invoices are delivered."
    )
    locale: str | None = strawberry.field(
        description="BCP 47 tag by which its documents are written; null: the environment's."
    )
    invoice_prefix: str | None = strawberry.field(
        description="What numbers of its invoices begin with; null: they are numbered with the "
        "others."
    )
    consolidate_invoices: bool | None = strawberry.field(
        description="Whether what falls due for it on one day becomes one invoice; null: as "
        "the environment says."
    )
    parent_id: strawberry.ID | None = strawberry.field(
        description="The customer that it belongs to; null: none."
    )
    parent_pays: bool = strawberry.field(
        description="Whether invoices of its subscriptions go to its parent, where the "
        "subscription says nothing else."
    )
    inherits: bool = strawberry.field(
        description="Whether subscriptions of its parent that count their family count its usage, "
        "and give to it what they give."
    )
    metadata: Metadata = strawberry.field(description="Your own notes.")
    status: CustomerStatus = strawberry.field(description="Whether it is in use.")
    created_at: datetime = strawberry.field(description="When it was created.")
    updated_at: datetime = strawberry.field(description="When it last changed.")
    archived_at: datetime | None = strawberry.field(
        description="When it was taken out of use; null while it is in use."
    )

    @strawberry.field(
        description="The test clock whose present it lives in; null: that of the environment.",
        extensions=[requires("test_clock:read")],
    )
    async def test_clock(
        self, info: Info
    ) -> Annotated["TestClock", strawberry.lazy("app.graphql.test_clocks")] | None:
        row = await info.context.load.test_clock_of_customer.load(self.id)
        return None if row is None else test_clocks.TestClock.of(row)

    @strawberry.field(description="The customer that it belongs to; null: none.")
    async def parent(self, info: Info) -> Optional["Customer"]:
        return None if self.parent_id is None else await _load(info.context, self.parent_id)

    @strawberry.field(
        description="The customers that belong to it, archived ones included, the newest first."
    )
    async def children(
        self,
        info: Info,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection["Customer"]:
        request = page_request(info, first=first, after=after, last=last, before=before)
        page = await info.context.load.children_of_customer.load((self.id, request))
        return Connection.of(page, Customer.of)

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
    ) -> Connection[Annotated["Subscription", strawberry.lazy("app.graphql.subscription_types")]]:
        request = page_request(info, first=first, after=after, last=last, before=before)
        page = await info.context.load.subscriptions_of_customer.load((self.id, request))
        return Connection.of(page, subscription_types.Subscription.of)

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

    @strawberry.field(
        description="The coupons that it and its subscriptions have or had, the newest first.",
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
        page = await info.context.load.attachments_of_customer.load((self.id, request))
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
        description="Why it is spared taxes; archived exemptions are left out.",
        extensions=[requires("tax:read")],
    )
    async def tax_exemptions(
        self, info: Info
    ) -> list[Annotated["TaxExemption", strawberry.lazy("app.graphql.terms.tax_exemptions")]]:
        rows = await info.context.load.tax_exemptions_of_customer.load(self.id)
        return [tax_exemptions.TaxExemption.of(row) for row in rows]

    @strawberry.field(
        description="Its credit notes, void ones included, the newest first.",
        extensions=[requires("credit_note:read")],
    )
    async def credit_notes(
        self,
        info: Info,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[Annotated["CreditNote", strawberry.lazy("app.graphql.credit_note_types")]]:
        request = page_request(info, first=first, after=after, last=last, before=before)
        page = await info.context.load.credit_notes_of_customer.load((self.id, request))
        return Connection.of(page, credit_note_types.CreditNote.of)

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
            tax_id=row.tax_id,
            registration_number=row.registration_number,
            electronic_address=(
                ElectronicAddress.of(row.electronic_address) if row.electronic_address else None
            ),
            locale=row.locale,
            invoice_prefix=row.invoice_prefix,
            consolidate_invoices=row.consolidate_invoices,
            parent_id=None if row.parent_id is None else strawberry.ID(row.parent_id),
            parent_pays=row.parent_pays,
            inherits=row.inherits,
            metadata=Metadata(row.metadata),
            status=row.status,
            created_at=row.created_at,
            updated_at=row.updated_at,
            archived_at=row.archived_at,
        )


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
        clock_id, parent_id = input.test_clock_id, input.parent_id
        of_parent = clock_id is None and parent_id is not None
        at = await (
            ctx.present.customer(parent_id or "") if of_parent else ctx.present.clock(clock_id)
        )
        row = await subscriptions.create_customer(ctx.scope, input.command(), by=ctx.actor, at=at)
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
        at = await ctx.present.customer(input.id)
        row = await subscriptions.update_customer(
            ctx.scope, input.id, input.patch(), by=ctx.actor, at=at
        )
        return Customer.of(row)

    @strawberry.mutation(
        description="Take a customer out of use. Its external id becomes free for another. "
        "Refused while customers in use belong to it.",
        extensions=[requires("customer:write")],
    )
    async def customer_archive(
        self,
        info: Info,
        input: Annotated[CustomerArchiveInput, strawberry.argument(description="Which one.")],
    ) -> CustomerResult:
        ctx = info.context
        at = await ctx.present.customer(input.id)
        row = await subscriptions.archive_customer(ctx.scope, input.id, by=ctx.actor, at=at)
        return Customer.of(row)

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
        at = await ctx.present.customer(input.id)
        row = await subscriptions.restore_customer(ctx.scope, input.id, by=ctx.actor, at=at)
        return Customer.of(row)

    @strawberry.mutation(
        description="Put a customer on a test clock, on another one, or back into the present of "
        "the environment: while it has no subscription and nothing scheduled.",
        extensions=[requires("customer:write")],
    )
    async def customer_test_clock_set(
        self,
        info: Info,
        input: Annotated[CustomerTestClockSetInput, strawberry.argument(description="Which one.")],
    ) -> CustomerResult:
        ctx = info.context
        at = await ctx.present.customer(input.id)
        row = await subscriptions.move_customer(
            ctx.scope, input.id, input.test_clock_id, by=ctx.actor, at=at
        )
        return Customer.of(row)


async def _load(context: Context, customer_id: str) -> Customer | None:
    row = await context.load.customer.load(customer_id)
    return None if row is None else Customer.of(row)


KINDS = (Kind("cus", "customer:read", _load),)
