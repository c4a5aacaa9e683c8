"""What the graph shows of corrections of billed usage, and what lists and mutations take."""

from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Self

import strawberry
from strawberry import UNSET

from app.graphql import invoice_types
from app.graphql.context import Info
from app.graphql.explanations import Behind, ExplanationStep, steps_of
from app.graphql.filters import (
    DateTimeFilter,
    DecimalFilter,
    EnumFilter,
    IdFilter,
    StringFilter,
    and_filters,
    not_filter,
    or_filters,
)
from app.graphql.invoice_correction_policy import CorrectionPolicy
from app.graphql.node import Node
from app.graphql.paging import Direction
from app.graphql.scalars import Money
from app.graphql.usage import DimensionValue
from app.invoicing import explanation
from app.invoicing.correction import Correction as Row
from app.invoicing.correction import CorrectionApplied, CorrectionStatus

if TYPE_CHECKING:
    from app.graphql.invoice_types import Invoice

strawberry.enum(
    CorrectionStatus,
    name="InvoiceCorrectionStatus",
    description="Whether a correction is billed: open ones are, or will be; those in review wait "
    "for somebody; dismissed ones are not.",
)


@strawberry.type(description="Where a correction is billed, or a part of it.")
class InvoiceCorrectionApplication:
    amount: Money = strawberry.field(description="How much of it; below zero it is given back.")
    invoice_id: strawberry.ID | None = strawberry.field(
        description="The invoice with a line of it; null: a credit note."
    )
    credit_note_id: strawberry.ID | None = strawberry.field(
        description="The credit note that gives it back; null: an invoice."
    )

    @classmethod
    def of(cls, row: CorrectionApplied) -> Self:
        return cls(
            amount=Money(amount=row.amount, currency=row.currency),
            invoice_id=_id(row.invoice_id),
            credit_note_id=_id(row.credit_note_id),
        )


@strawberry.type(
    description="By how much billed usage differs, as of a watermark, from what was billed and "
    "corrected of it before: events arrived late, or were voided or amended."
)
class InvoiceCorrection(Node):
    customer_id: strawberry.ID = strawberry.field(description="Whose it is.")
    subscription_id: strawberry.ID = strawberry.field(description="Of which subscription.")
    invoice_id: strawberry.ID = strawberry.field(description="The invoice that it corrects.")
    invoice_line_id: strawberry.ID | None = strawberry.field(
        description="Its line; null where it has none, such as of a group that did not occur."
    )
    subscription_line_item_id: strawberry.ID = strawberry.field(
        description="What the subscription bought."
    )
    price_id: strawberry.ID = strawberry.field(description="By which price, as it was.")
    meter_id: strawberry.ID | None = strawberry.field(description="What counted the usage.")
    description: str = strawberry.field(description="Of the line, as printed.")
    group: list[DimensionValue] = strawberry.field(
        description="Which events of a grouped price; empty: all of them."
    )
    quantity: Decimal = strawberry.field(description="By how much the usage differs.")
    amount: Money = strawberry.field(
        description="By how much the amount differs, before discounts and taxes."
    )
    service_start: datetime = strawberry.field(description="Of usage from then.")
    service_end: datetime = strawberry.field(description="Of usage until before then.")
    as_of: datetime = strawberry.field(description="The watermark as of which it was counted.")
    policy: CorrectionPolicy = strawberry.field(description="How it is billed.")
    status: CorrectionStatus = strawberry.field(description="Whether it is billed.")
    reason: str | None = strawberry.field(description="Why it was dismissed.")
    decided_at: datetime | None = strawberry.field(description="When somebody decided on it.")
    created_at: datetime = strawberry.field(description="When it was booked.")
    updated_at: datetime = strawberry.field(description="When it last changed.")
    row: strawberry.Private[Row]

    @strawberry.field(description="The invoice that it corrects.")
    async def invoice(
        self, info: Info
    ) -> Annotated["Invoice", strawberry.lazy("app.graphql.invoice_types")] | None:
        row = await info.context.load.invoice.load(self.invoice_id)
        return None if row is None else invoice_types.Invoice.of(row)

    @strawberry.field(
        description="Where it is billed, or was given back; void invoices and credit notes are "
        "left out. What their amounts leave of it waits for the next invoice."
    )
    async def applications(self, info: Info) -> list[InvoiceCorrectionApplication]:
        rows = await info.context.load.applications_of_correction.load(self.id)
        return [InvoiceCorrectionApplication.of(row) for row in rows]

    @strawberry.field(
        description="How the difference came about: a tree as a list, every step after the one "
        "that builds on it."
    )
    def explanation(self) -> list[ExplanationStep]:
        behind = Behind(self.row.price, invoice_id=self.row.invoice_id)
        return steps_of(explanation.from_json(self.row.explanation), behind)

    @classmethod
    def of(cls, row: Row) -> Self:
        return cls(
            id=strawberry.ID(row.id),
            customer_id=strawberry.ID(row.customer_id),
            subscription_id=strawberry.ID(row.subscription_id),
            invoice_id=strawberry.ID(row.invoice_id),
            invoice_line_id=_id(row.invoice_line_id),
            subscription_line_item_id=strawberry.ID(row.line_item_id),
            price_id=strawberry.ID(row.price_id),
            meter_id=_id(row.meter_id),
            description=row.description,
            group=[DimensionValue(name=name, value=v) for name, v in row.group.items()],
            quantity=row.quantity,
            amount=Money(amount=row.amount, currency=row.currency),
            service_start=row.service.start,
            service_end=row.service.end,
            as_of=row.as_of,
            policy=row.policy,
            status=row.status,
            reason=row.reason,
            decided_at=row.decided_at,
            created_at=row.created_at,
            updated_at=row.updated_at,
            row=row,
        )


@strawberry.input(description="Which corrections to list; all conditions given must hold.")
class InvoiceCorrectionFilter:
    id: IdFilter | None = strawberry.field(description="By id.", default=UNSET)
    customer_id: IdFilter | None = strawberry.field(description="By customer.", default=UNSET)
    subscription_id: IdFilter | None = strawberry.field(
        description="By subscription.", default=UNSET
    )
    invoice_id: IdFilter | None = strawberry.field(
        description="By the invoice that is corrected.", default=UNSET
    )
    invoice_line_id: IdFilter | None = strawberry.field(
        description="By the line that is corrected.", default=UNSET
    )
    meter_id: IdFilter | None = strawberry.field(description="By meter.", default=UNSET)
    policy: EnumFilter[CorrectionPolicy] | None = strawberry.field(
        description="By how they are billed.", default=UNSET
    )
    status: EnumFilter[CorrectionStatus] | None = strawberry.field(
        description="By whether they are billed.", default=UNSET
    )
    currency: StringFilter | None = strawberry.field(description="By currency.", default=UNSET)
    amount: DecimalFilter | None = strawberry.field(
        description="By how much the amount differs, whatever the currency.", default=UNSET
    )
    service_start: DateTimeFilter | None = strawberry.field(
        description="By when the usage began.", default=UNSET
    )
    service_end: DateTimeFilter | None = strawberry.field(
        description="By when the usage ended.", default=UNSET
    )
    as_of: DateTimeFilter | None = strawberry.field(description="By the watermark.", default=UNSET)
    created_at: DateTimeFilter | None = strawberry.field(
        description="By when they were booked.", default=UNSET
    )
    updated_at: DateTimeFilter | None = strawberry.field(
        description="By when they last changed.", default=UNSET
    )
    and_: list["InvoiceCorrectionFilter"] | None = and_filters()
    or_: list["InvoiceCorrectionFilter"] | None = or_filters()
    not_: "InvoiceCorrectionFilter | None" = not_filter()


@strawberry.enum(description="What corrections can be ordered by.")
class InvoiceCorrectionOrderField(Enum):
    CREATED_AT = strawberry.enum_value("created_at", description="When they were booked.")
    UPDATED_AT = strawberry.enum_value("updated_at", description="When they last changed.")
    AS_OF = strawberry.enum_value("as_of", description="Their watermark.")
    AMOUNT = strawberry.enum_value("amount", description="How much the amount differs.")
    SERVICE_START = strawberry.enum_value("service_start", description="When the usage began.")
    SERVICE_END = strawberry.enum_value("service_end", description="When the usage ended.")
    ID = strawberry.enum_value("id", description="Their id.")


@strawberry.input(description="One key of the order of corrections.")
class InvoiceCorrectionOrder:
    field: InvoiceCorrectionOrderField = strawberry.field(description="What to order by.")
    direction: Direction = strawberry.field(description="Which way.", default=Direction.ASC)


@strawberry.input(description="Bill a correction that is in review.")
class InvoiceCorrectionAcceptInput:
    id: strawberry.ID = strawberry.field(description="Which one.")
    policy: CorrectionPolicy = strawberry.field(
        description="How: on the next invoice, or by a note at once.",
        default=CorrectionPolicy.NEXT_INVOICE,
    )


@strawberry.input(description="Leave a correction that is in review unbilled.")
class InvoiceCorrectionDismissInput:
    id: strawberry.ID = strawberry.field(description="Which one.")
    reason: str = strawberry.field(description="Why; 1 to 500 characters.")


def _id(value: str | None) -> strawberry.ID | None:
    return None if value is None else strawberry.ID(value)
