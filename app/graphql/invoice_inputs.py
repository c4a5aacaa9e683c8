"""What queries and mutations of invoices take."""

from collections.abc import Iterator
from datetime import datetime
from enum import Enum

import strawberry
from strawberry import UNSET

from app.graphql.filters import (
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
from app.graphql.paging import Direction
from app.invoicing.invoice import BillingReason as BillingReason
from app.invoicing.invoice import InvoiceStatus as InvoiceStatus
from app.invoicing.invoice import PaymentStatus as PaymentStatus
from app.kernel.listing import Condition, Where

strawberry.enum(InvoiceStatus, description="Where an invoice is in its life.")
strawberry.enum(BillingReason, description="Why there is an invoice.")
strawberry.enum(
    PaymentStatus,
    name="InvoicePaymentStatus",
    description="How an invoice in force stands. One that is settled has nothing left to pay and "
    "was not paid: it came to nothing, or was credited.",
)


@strawberry.input(
    description="Invoices in force that are not written off, of which something is still to be "
    "paid, and that were due before the instant."
)
class OverdueFilter:
    at: datetime = strawberry.field(description="The instant, such as now.")

    def conditions(self, column: str, path: str) -> Iterator[Where]:
        yield Condition("payment_status", "eq", PaymentStatus.OPEN.value)
        yield Condition("due_at", "lt", self.at)


@strawberry.input(description="Which invoices to list; all conditions given must hold.")
class InvoiceFilter:
    id: IdFilter | None = strawberry.field(description="By id.", default=UNSET)
    number: StringFilter | None = strawberry.field(description="By number.", default=UNSET)
    customer_id: IdFilter | None = strawberry.field(description="By customer.", default=UNSET)
    subscription_id: IdFilter | None = strawberry.field(
        description="By subscription.", default=UNSET
    )
    consolidated_into_id: IdFilter | None = strawberry.field(
        description="By the consolidated invoice that their lines are on.", default=UNSET
    )
    status: EnumFilter[InvoiceStatus] | None = strawberry.field(
        description="By where they are in their life.", default=UNSET
    )
    reason: EnumFilter[BillingReason] | None = strawberry.field(
        description="By why they were made.", default=UNSET
    )
    currency: StringFilter | None = strawberry.field(description="By currency.", default=UNSET)
    total: DecimalFilter | None = strawberry.field(
        description="By what they come to, whatever the currency.", default=UNSET
    )
    amount_due: DecimalFilter | None = strawberry.field(
        description="By what has to be paid, whatever the currency.", default=UNSET
    )
    amount_remaining: DecimalFilter | None = strawberry.field(
        description="By what is still to be paid, whatever the currency.", default=UNSET
    )
    payment_status: EnumFilter[PaymentStatus] | None = strawberry.field(
        description="By how they stand; only those in force do.", default=UNSET
    )
    overdue: OverdueFilter | None = strawberry.field(
        description="Those that are late at an instant.", default=UNSET
    )
    purchase_order: StringFilter | None = strawberry.field(
        description="By the customer's order number.", default=UNSET
    )
    key: StringFilter | None = strawberry.field(
        description="By your own key, of those made by hand.", default=UNSET
    )
    period_start: DateTimeFilter | None = strawberry.field(
        description="By the start of the period billed.", default=UNSET
    )
    period_end: DateTimeFilter | None = strawberry.field(
        description="By the end of the period billed.", default=UNSET
    )
    issued_at: DateTimeFilter | None = strawberry.field(
        description="By when they were issued.", default=UNSET
    )
    due_at: DateTimeFilter | None = strawberry.field(
        description="By when they have to be paid.", default=UNSET
    )
    finalized_at: DateTimeFilter | None = strawberry.field(
        description="By when they were finalized.", default=UNSET
    )
    voided_at: DateTimeFilter | None = strawberry.field(
        description="By when they were taken back.", default=UNSET
    )
    paid_at: DateTimeFilter | None = strawberry.field(
        description="By when they were paid in full.", default=UNSET
    )
    metadata: MetadataFilter | None = strawberry.field(
        description="By an entry of their metadata.", default=UNSET
    )
    created_at: DateTimeFilter | None = strawberry.field(
        description="By when they were drafted.", default=UNSET
    )
    updated_at: DateTimeFilter | None = strawberry.field(
        description="By when they last changed.", default=UNSET
    )
    and_: list["InvoiceFilter"] | None = and_filters()
    or_: list["InvoiceFilter"] | None = or_filters()
    not_: "InvoiceFilter | None" = not_filter()


@strawberry.enum(description="What invoices can be ordered by.")
class InvoiceOrderField(Enum):
    CREATED_AT = strawberry.enum_value("created_at", description="When they were drafted.")
    UPDATED_AT = strawberry.enum_value("updated_at", description="When they last changed.")
    ISSUED_AT = strawberry.enum_value("issued_at", description="When they were issued.")
    DUE_AT = strawberry.enum_value("due_at", description="When they have to be paid.")
    PERIOD_START = strawberry.enum_value("period_start", description="Start of the period billed.")
    PERIOD_END = strawberry.enum_value("period_end", description="End of the period billed.")
    NUMBER = strawberry.enum_value("number", description="Their number.")
    TOTAL = strawberry.enum_value("total", description="What they come to.")
    AMOUNT_DUE = strawberry.enum_value("amount_due", description="What has to be paid.")
    AMOUNT_REMAINING = strawberry.enum_value(
        "amount_remaining", description="What is still to be paid."
    )
    ID = strawberry.enum_value("id", description="Their id.")


@strawberry.input(description="One key of the order of invoices.")
class InvoiceOrder:
    field: InvoiceOrderField = strawberry.field(description="What to order by.")
    direction: Direction = strawberry.field(description="Which way.", default=Direction.ASC)


@strawberry.input(description="The draft to issue.")
class InvoiceFinalizeInput:
    id: strawberry.ID = strawberry.field(description="Which invoice.")


@strawberry.input(description="The draft to work out again.")
class InvoiceComputeInput:
    id: strawberry.ID = strawberry.field(description="Which invoice.")
    keep_edits: bool = strawberry.field(
        description="One that was edited by hand is worked out again only with this: lines "
        "written by hand stay, the others are replaced.",
        default=False,
    )


@strawberry.input(description="The invoice to take back.")
class InvoiceVoidInput:
    id: strawberry.ID = strawberry.field(description="Which invoice.")
    reason: str = strawberry.field(
        description="Why, as will be printed on it; 1 to 500 characters."
    )
