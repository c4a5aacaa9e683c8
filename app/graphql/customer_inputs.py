"""What queries and mutations of customers take."""

from enum import Enum
from typing import Any

import strawberry
from strawberry import UNSET

from app.customers.customer import Address as AddressRow
from app.customers.customer import CreateCustomer
from app.customers.customer import CustomerStatus as CustomerStatus
from app.customers.customer import ElectronicAddress as ElectronicAddressRow
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
from app.graphql.paging import Direction
from app.graphql.patch import present
from app.graphql.scalars import Metadata

strawberry.enum(CustomerStatus, description="Whether a customer is in use.")


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
    tax_id: StringFilter | None = strawberry.field(description="By tax number.", default=UNSET)
    status: EnumFilter[CustomerStatus] | None = strawberry.field(
        description="By whether they are in use.", default=UNSET
    )
    parent_id: IdFilter | None = strawberry.field(
        description="By the customer that they belong to.", default=UNSET
    )
    test_clock_id: IdFilter | None = strawberry.field(
        description="By the test clock that they live on.", default=UNSET
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


@strawberry.input(description="Where electronic invoices are delivered.")
class ElectronicAddressInput:
    scheme: str = strawberry.field(
        description="ISO 6523 code of four digits: 0088 for a GLN, 9930 for a German VAT number."
    )
    id: str = strawberry.field(description="The address within the scheme, such as DE123456789.")

    def row(self) -> ElectronicAddressRow:
        return ElectronicAddressRow(self.scheme, self.id)


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
    tax_id: str | None = strawberry.field(
        description="VAT number, its country first, or another number of the tax office; at most "
        "64 characters.",
        default=None,
    )
    registration_number: str | None = strawberry.field(
        description="In the companies' register; at most 64 characters.", default=None
    )
    electronic_address: ElectronicAddressInput | None = strawberry.field(
        description="Where electronic invoices are delivered.", default=None
    )
    locale: str | None = strawberry.field(
        description="BCP 47 tag by which its documents write numbers, money and days, such as "
        "de-DE; null: as the environment says.",
        default=None,
    )
    invoice_prefix: str | None = strawberry.field(
        description="Numbers its invoices apart from the others; letters, digits and `/ _ . -`, "
        "at most 20.",
        default=None,
    )
    consolidate_invoices: bool | None = strawberry.field(
        description="Whether what falls due for it on one day becomes one invoice; null: as "
        "the environment says.",
        default=None,
    )
    parent_id: strawberry.ID | None = strawberry.field(
        description="The customer that it belongs to: one that belongs to none itself.",
        default=None,
    )
    parent_pays: bool = strawberry.field(
        description="Whether invoices of its subscriptions go to its parent, where the "
        "subscription says nothing else.",
        default=False,
    )
    inherits: bool = strawberry.field(
        description="Whether subscriptions of its parent that count their family count its usage, "
        "and give to it what they give.",
        default=True,
    )
    test_clock_id: strawberry.ID | None = strawberry.field(
        description="The test clock that it lives on, one that governs customers; null: that of "
        "its parent, else it lives in the present of the environment.",
        default=None,
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
            tax_id=self.tax_id,
            registration_number=self.registration_number,
            electronic_address=self.electronic_address.row() if self.electronic_address else None,
            locale=self.locale,
            invoice_prefix=self.invoice_prefix,
            consolidate_invoices=self.consolidate_invoices,
            parent_id=self.parent_id,
            parent_pays=self.parent_pays,
            inherits=self.inherits,
            metadata=self.metadata or {},
            test_clock_id=self.test_clock_id,
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
    tax_id: strawberry.Maybe[str | None] = strawberry.field(
        description="VAT number, its country first, or another number of the tax office."
    )
    registration_number: strawberry.Maybe[str | None] = strawberry.field(
        description="In the companies' register."
    )
    electronic_address: strawberry.Maybe[ElectronicAddressInput | None] = strawberry.field(
        description="Where electronic invoices are delivered."
    )
    locale: strawberry.Maybe[str | None] = strawberry.field(
        description="BCP 47 tag; null: as the environment says."
    )
    invoice_prefix: strawberry.Maybe[str | None] = strawberry.field(
        description="Numbers its invoices apart; null: with the others."
    )
    consolidate_invoices: strawberry.Maybe[bool | None] = strawberry.field(
        description="Whether what falls due for it on one day becomes one invoice; null: as "
        "the environment says."
    )
    parent_id: strawberry.Maybe[strawberry.ID | None] = strawberry.field(
        description="The customer that it belongs to from now on; null: none."
    )
    parent_pays: strawberry.Maybe[bool | None] = strawberry.field(
        description="Whether what is drafted from now on goes to its parent, where the "
        "subscription says nothing else; not null."
    )
    inherits: strawberry.Maybe[bool | None] = strawberry.field(
        description="Whether subscriptions of its parent that count their family count its usage "
        "from now on, and give to it; not null."
    )
    metadata: strawberry.Maybe[Metadata | None] = strawberry.field(
        description="Your own notes; replaces all of them."
    )

    def patch(self) -> dict[str, Any]:
        changes = present(self, without=("id",))
        for name in ("address", "electronic_address"):
            if isinstance(changes.get(name), AddressInput | ElectronicAddressInput):
                changes[name] = changes[name].row()
        return changes


@strawberry.input(description="The customer to take out of use.")
class CustomerArchiveInput:
    id: strawberry.ID = strawberry.field(description="Which customer.")


@strawberry.input(description="The archived customer to put back into use.")
class CustomerRestoreInput:
    id: strawberry.ID = strawberry.field(description="Which customer.")


@strawberry.input(description="The test clock that a customer is to live on.")
class CustomerTestClockSetInput:
    id: strawberry.ID = strawberry.field(
        description="Which customer: one without subscriptions and without work scheduled."
    )
    test_clock_id: strawberry.ID | None = strawberry.field(
        description="One that governs customers; null: the present of the environment.",
        default=None,
    )
