"""What queries of discounts and taxes as they were applied take."""

from enum import Enum

import strawberry
from strawberry import UNSET

from app.graphql.filters import (
    BooleanFilter,
    DateTimeFilter,
    DecimalFilter,
    EnumFilter,
    IdFilter,
    StringFilter,
    and_filters,
    not_filter,
    or_filters,
)
from app.graphql.paging import Direction
from app.invoicing.terms.taxation import TaxTreatment


@strawberry.input(description="Which discounts to list; all conditions given must hold.")
class InvoiceDiscountFilter:
    id: IdFilter | None = strawberry.field(description="By id.", default=UNSET)
    invoice_id: IdFilter | None = strawberry.field(description="By invoice.", default=UNSET)
    customer_id: IdFilter | None = strawberry.field(description="By customer.", default=UNSET)
    subscription_id: IdFilter | None = strawberry.field(
        description="By the invoice's subscription.", default=UNSET
    )
    coupon_id: IdFilter | None = strawberry.field(description="By coupon.", default=UNSET)
    coupon_attachment_id: IdFilter | None = strawberry.field(
        description="By the attachment of the coupon.", default=UNSET
    )
    amount: DecimalFilter | None = strawberry.field(
        description="By what was taken off, in major units.", default=UNSET
    )
    currency: StringFilter | None = strawberry.field(description="By currency.", default=UNSET)
    created_at: DateTimeFilter | None = strawberry.field(
        description="By when they were worked out.", default=UNSET
    )
    and_: list["InvoiceDiscountFilter"] | None = and_filters()
    or_: list["InvoiceDiscountFilter"] | None = or_filters()
    not_: "InvoiceDiscountFilter | None" = not_filter()


@strawberry.enum(description="What discounts can be ordered by.")
class InvoiceDiscountOrderField(Enum):
    CREATED_AT = strawberry.enum_value("created_at", description="When they were worked out.")
    AMOUNT = strawberry.enum_value("amount", description="What was taken off, in major units.")
    ID = strawberry.enum_value("id", description="Their id.")


@strawberry.input(description="One key of the order of discounts.")
class InvoiceDiscountOrder:
    field: InvoiceDiscountOrderField = strawberry.field(description="What to order by.")
    direction: Direction = strawberry.field(description="Which way.", default=Direction.ASC)


@strawberry.input(description="Which taxes to list; all conditions given must hold.")
class InvoiceTaxFilter:
    id: IdFilter | None = strawberry.field(description="By id.", default=UNSET)
    invoice_id: IdFilter | None = strawberry.field(description="By invoice.", default=UNSET)
    customer_id: IdFilter | None = strawberry.field(description="By customer.", default=UNSET)
    tax_rate_id: IdFilter | None = strawberry.field(description="By tax rate.", default=UNSET)
    treatment: EnumFilter[TaxTreatment] | None = strawberry.field(
        description="By what became of them.", default=UNSET
    )
    included: BooleanFilter | None = strawberry.field(
        description="By whether the lines hold them.", default=UNSET
    )
    taxable: DecimalFilter | None = strawberry.field(
        description="By what they were taken on, in major units.", default=UNSET
    )
    amount: DecimalFilter | None = strawberry.field(
        description="By what they come to, in major units.", default=UNSET
    )
    currency: StringFilter | None = strawberry.field(description="By currency.", default=UNSET)
    created_at: DateTimeFilter | None = strawberry.field(
        description="By when they were worked out.", default=UNSET
    )
    and_: list["InvoiceTaxFilter"] | None = and_filters()
    or_: list["InvoiceTaxFilter"] | None = or_filters()
    not_: "InvoiceTaxFilter | None" = not_filter()


@strawberry.enum(description="What taxes of invoices can be ordered by.")
class InvoiceTaxOrderField(Enum):
    CREATED_AT = strawberry.enum_value("created_at", description="When they were worked out.")
    TAXABLE = strawberry.enum_value("taxable", description="What they were taken on.")
    AMOUNT = strawberry.enum_value("amount", description="What they come to, in major units.")
    ID = strawberry.enum_value("id", description="Their id.")


@strawberry.input(description="One key of the order of taxes of invoices.")
class InvoiceTaxOrder:
    field: InvoiceTaxOrderField = strawberry.field(description="What to order by.")
    direction: Direction = strawberry.field(description="Which way.", default=Direction.ASC)
