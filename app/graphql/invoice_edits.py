"""What mutations that write invoices by hand take."""

from datetime import datetime
from decimal import Decimal
from typing import Any

import strawberry

from app.graphql.patch import present
from app.graphql.scalars import Metadata
from app.invoicing.manual import CreateInvoice, Edits, ManualLine


@strawberry.input(description="A line written by hand.")
class InvoiceLineInput:
    description: str = strawberry.field(description="As printed; 1 to 500 characters.")
    unit_amount: Decimal = strawberry.field(
        description="For one, in major units of the invoice's currency; not negative."
    )
    quantity: Decimal = strawberry.field(
        description="How many; more than 0.", default_factory=lambda: Decimal(1)
    )
    service_start: datetime | None = strawberry.field(
        description="For what was served from then; goes with `serviceEnd`. Null: the invoice's "
        "period.",
        default=None,
    )
    service_end: datetime | None = strawberry.field(
        description="For what was served until before then.", default=None
    )
    section: str | None = strawberry.field(
        description="The heading it is printed under; at most 255 characters.", default=None
    )

    def row(self) -> ManualLine:
        return ManualLine(**vars(self))


@strawberry.input(description="Changes to a line written by hand. What is absent stays as it is.")
class InvoiceLineChange:
    id: strawberry.ID = strawberry.field(description="Which line.")
    description: strawberry.Maybe[str | None] = strawberry.field(description="As printed.")
    unit_amount: strawberry.Maybe[Decimal | None] = strawberry.field(description="For one.")
    quantity: strawberry.Maybe[Decimal | None] = strawberry.field(description="How many.")
    service_start: strawberry.Maybe[datetime | None] = strawberry.field(
        description="For what was served from then."
    )
    service_end: strawberry.Maybe[datetime | None] = strawberry.field(
        description="For what was served until before then."
    )
    section: strawberry.Maybe[str | None] = strawberry.field(
        description="The heading it is printed under; null: that of lines without one."
    )


@strawberry.input(description="An invoice for what no subscription sells.")
class InvoiceCreateInput:
    customer_id: strawberry.ID = strawberry.field(description="Who is billed.")
    lines: list[InvoiceLineInput] = strawberry.field(description="1 to 1,000 of them.")
    key: str | None = strawberry.field(
        description="Your own for this invoice: another with it is refused, until this one is "
        "void. At most 255 characters.",
        default=None,
    )
    currency: str | None = strawberry.field(
        description="ISO 4217 code; null: the customer's.", default=None
    )
    due_at: datetime | None = strawberry.field(
        description="When it has to be paid; null: as many days after issue as the settings say.",
        default=None,
    )
    memo: str | None = strawberry.field(
        description="A note to the customer, printed on it; at most 2,000 characters.",
        default=None,
    )
    purchase_order: str | None = strawberry.field(
        description="The customer's order number; at most 64 characters.", default=None
    )
    metadata: Metadata | None = strawberry.field(description="Your own notes.", default=None)
    finalize: bool = strawberry.field(
        description="Issue it at once; else it is a draft until `invoiceFinalize`.", default=False
    )

    def command(self) -> CreateInvoice:
        return CreateInvoice(
            customer_id=self.customer_id,
            lines=tuple(line.row() for line in self.lines),
            key=self.key,
            currency=self.currency,
            due_at=self.due_at,
            memo=self.memo,
            purchase_order=self.purchase_order,
            metadata=self.metadata or {},
        )


@strawberry.input(
    description="Changes to an invoice. A draft takes all of them; one in force another due date "
    "and other notes; any other, other notes. What is absent stays as it is, null clears."
)
class InvoiceUpdateInput:
    id: strawberry.ID = strawberry.field(description="Which invoice.")
    due_at: strawberry.Maybe[datetime | None] = strawberry.field(
        description="When it has to be paid. Of a draft, null: as the settings say."
    )
    memo: strawberry.Maybe[str | None] = strawberry.field(
        description="A note to the customer, printed on it; at most 2,000 characters."
    )
    purchase_order: strawberry.Maybe[str | None] = strawberry.field(
        description="The customer's order number; at most 64 characters."
    )
    metadata: strawberry.Maybe[Metadata | None] = strawberry.field(
        description="Your own notes; replaces all of them."
    )
    add_lines: list[InvoiceLineInput] = strawberry.field(
        description="Lines to write.", default_factory=list
    )
    change_lines: list[InvoiceLineChange] = strawberry.field(
        description="Lines written by hand to change.", default_factory=list
    )
    remove_lines: list[strawberry.ID] = strawberry.field(
        description="Lines written by hand to remove.", default_factory=list
    )

    def edits(self) -> Edits:
        lines = ("add_lines", "change_lines", "remove_lines")
        fields: dict[str, Any] = present(self, without=("id", *lines))
        return Edits(
            fields=fields,
            add=[line.row() for line in self.add_lines],
            change=[(line.id, present(line, without=("id",))) for line in self.change_lines],
            remove=list(self.remove_lines),
        )


@strawberry.input(description="The invoice to take back and draft again.")
class InvoiceReissueInput:
    id: strawberry.ID = strawberry.field(
        description="Which invoice: issued, skipped or void, and not yet replaced."
    )
    reason: str = strawberry.field(
        description="Why, as will be printed on the one taken back; 1 to 500 characters."
    )


@strawberry.input(description="The invoice to expect nothing more of.")
class InvoiceWriteOffInput:
    id: strawberry.ID = strawberry.field(description="Which invoice.")
    reason: str = strawberry.field(description="Why; 1 to 500 characters.")


@strawberry.input(description="The invoice to expect the rest of after all.")
class InvoiceWriteOffReverseInput:
    id: strawberry.ID = strawberry.field(description="Which invoice.")
    reason: str = strawberry.field(description="Why; 1 to 500 characters.")
