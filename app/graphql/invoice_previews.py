"""What the next invoice of a subscription would be, in the graph."""

from collections.abc import Collection
from datetime import datetime
from typing import Self

import strawberry

from app.graphql.explanations import ExplanationStep, steps_of
from app.graphql.invoice_inputs import BillingReason
from app.graphql.invoice_lines import InvoicePreviewLine
from app.graphql.invoice_types import amounts_of
from app.graphql.scalars import Money
from app.graphql.terms import applied
from app.invoicing import explaining
from app.invoicing.drafts import Drafted


@strawberry.type(
    description="What the next invoice of a subscription would be, by the code that bills. "
    "Nothing of it is stored."
)
class InvoicePreview:
    subscription_id: strawberry.ID = strawberry.field(description="Of which subscription.")
    customer_id: strawberry.ID = strawberry.field(description="Who would be billed.")
    reason: BillingReason = strawberry.field(description="Why there would be an invoice.")
    period_start: datetime = strawberry.field(description="Start of the period billed.")
    period_end: datetime = strawberry.field(description="When it falls due to be billed.")
    subtotal: Money = strawberry.field(description="The sum of the lines.")
    discount: Money = strawberry.field(description="What discounts would take off.")
    prepaid: Money = strawberry.field(description="What prepaid credits would pay.")
    tax: Money = strawberry.field(description="The tax, on top and included.")
    tax_included: Money = strawberry.field(
        description="The part of the tax that the lines hold already."
    )
    total: Money = strawberry.field(
        description="The subtotal less discounts and prepaid credits, with the tax on top."
    )
    credited: Money = strawberry.field(description="What credits of earlier invoices would pay.")
    amount_due: Money = strawberry.field(description="What would have to be paid.")
    lines: list[InvoicePreviewLine] = strawberry.field(description="What it would ask for.")
    discounts: list[applied.InvoicePreviewDiscount] = strawberry.field(
        description="The coupons that would be taken off, in their order."
    )
    prepaid_applications: list[applied.InvoicePreviewPrepaidApplication] = strawberry.field(
        description="What prepaid balances would pay, in their order."
    )
    taxes: list[applied.InvoicePreviewTax] = strawberry.field(
        description="The taxes that would be asked for, and those that the customer is spared."
    )
    tax_notes: list[str] = strawberry.field(
        description="What would have to be said about its taxes."
    )
    drafted: strawberry.Private[Drafted]

    @strawberry.field(
        description="How the amount due would come about, from the lines on: a tree as a list, "
        "every step after the one that builds on it."
    )
    def explanation(self) -> list[ExplanationStep]:
        return steps_of(explaining.of_invoice(self.drafted.invoice, self.drafted.lines))

    @classmethod
    def of(cls, drafted: Drafted, *, imagined: Collection[str] = ()) -> Self:
        """`imagined`: prices whose usage nobody has counted, so that no events are behind it."""
        row = drafted.invoice
        return cls(
            subscription_id=strawberry.ID(row.subscription_id or ""),
            customer_id=strawberry.ID(row.customer_id),
            reason=row.reason,
            period_start=row.period.start,
            period_end=row.period.end,
            lines=[
                InvoicePreviewLine.of(
                    line,
                    None if line.price_id in imagined else row.customer_id,
                    row.subscription_id,
                )
                for line in drafted.lines
            ],
            discounts=[
                applied.InvoicePreviewDiscount.of(each) for each in drafted.applied.discounts
            ],
            prepaid_applications=[
                applied.InvoicePreviewPrepaidApplication.of(each)
                for each in drafted.applied.prepaid
            ],
            taxes=[applied.InvoicePreviewTax.of(each) for each in drafted.applied.taxes],
            tax_notes=list(row.tax_notes),
            drafted=drafted,
            **amounts_of(row),
        )
