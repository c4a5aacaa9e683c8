"""What queries and mutations of credit notes take."""

from decimal import Decimal
from enum import Enum
from typing import Any

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
from app.graphql.patch import present
from app.graphql.scalars import Metadata
from app.invoicing.actions import NoteFileKind as NoteFileKind
from app.invoicing.credit_note import ApplicationKind as ApplicationKind
from app.invoicing.credit_note import Crediting, Part
from app.invoicing.credit_note import CreditNoteKind as CreditNoteKind
from app.invoicing.credit_note import CreditNoteReason as CreditNoteReason
from app.invoicing.credit_note import CreditNoteStatus as CreditNoteStatus
from app.invoicing.credit_note import RefundStatus as RefundStatus

strawberry.enum(CreditNoteStatus, description="Where a credit note is in its life.")
strawberry.enum(CreditNoteReason, description="Why something is given back.")
strawberry.enum(
    CreditNoteKind,
    description="What becomes of the money: an adjustment takes it off what remains of the "
    "invoice, a credit keeps it for the customer's next invoices, a refund is to be paid back.",
)
strawberry.enum(
    RefundStatus,
    name="CreditNoteRefundStatus",
    description="How paying back a refund stands; owed until somebody has.",
)
strawberry.enum(
    ApplicationKind,
    name="CreditNoteApplicationKind",
    description="What a balance went into: an invoice, or back out of one that was voided, or a "
    "refund.",
)
strawberry.enum(
    NoteFileKind, name="CreditNoteFileKind", description="What a credit note can be had as."
)


@strawberry.input(description="Which credit notes to list; all conditions given must hold.")
class CreditNoteFilter:
    id: IdFilter | None = strawberry.field(description="By id.", default=UNSET)
    number: StringFilter | None = strawberry.field(description="By number.", default=UNSET)
    customer_id: IdFilter | None = strawberry.field(description="By customer.", default=UNSET)
    invoice_id: IdFilter | None = strawberry.field(description="By invoice.", default=UNSET)
    subscription_id: IdFilter | None = strawberry.field(
        description="By the invoice's subscription.", default=UNSET
    )
    status: EnumFilter[CreditNoteStatus] | None = strawberry.field(
        description="By where they are in their life.", default=UNSET
    )
    kind: EnumFilter[CreditNoteKind] | None = strawberry.field(
        description="By what becomes of the money.", default=UNSET
    )
    reason: EnumFilter[CreditNoteReason] | None = strawberry.field(
        description="By why they were issued.", default=UNSET
    )
    refund_status: EnumFilter[RefundStatus] | None = strawberry.field(
        description="By how paying back stands.", default=UNSET
    )
    currency: StringFilter | None = strawberry.field(description="By currency.", default=UNSET)
    total: DecimalFilter | None = strawberry.field(
        description="By what they give back, whatever the currency.", default=UNSET
    )
    balance: DecimalFilter | None = strawberry.field(
        description="By what is left of them, whatever the currency.", default=UNSET
    )
    key: StringFilter | None = strawberry.field(description="By your own key.", default=UNSET)
    metadata: MetadataFilter | None = strawberry.field(
        description="By an entry of their metadata.", default=UNSET
    )
    issued_at: DateTimeFilter | None = strawberry.field(
        description="By when they were issued.", default=UNSET
    )
    created_at: DateTimeFilter | None = strawberry.field(
        description="By when they were made.", default=UNSET
    )
    updated_at: DateTimeFilter | None = strawberry.field(
        description="By when they last changed.", default=UNSET
    )
    and_: list["CreditNoteFilter"] | None = and_filters()
    or_: list["CreditNoteFilter"] | None = or_filters()
    not_: "CreditNoteFilter | None" = not_filter()


@strawberry.enum(description="What credit notes can be ordered by.")
class CreditNoteOrderField(Enum):
    CREATED_AT = strawberry.enum_value("created_at", description="When they were made.")
    UPDATED_AT = strawberry.enum_value("updated_at", description="When they last changed.")
    ISSUED_AT = strawberry.enum_value("issued_at", description="When they were issued.")
    NUMBER = strawberry.enum_value("number", description="Their number.")
    TOTAL = strawberry.enum_value("total", description="What they give back.")
    BALANCE = strawberry.enum_value("balance", description="What is left of them.")
    ID = strawberry.enum_value("id", description="Their id.")


@strawberry.input(description="One key of the order of credit notes.")
class CreditNoteOrder:
    field: CreditNoteOrderField = strawberry.field(description="What to order by.")
    direction: Direction = strawberry.field(description="Which way.", default=Direction.ASC)


@strawberry.input(description="Of which line of the invoice how much is given back.")
class CreditNoteLineInput:
    line_id: strawberry.ID = strawberry.field(description="Which line of the invoice.")
    amount: Decimal | None = strawberry.field(
        description="In major units, before its share of discount and tax; null: all that is "
        "left of the line.",
        default=None,
    )


@strawberry.input(description="What to give back of an invoice in force.")
class CreditNoteCreateInput:
    invoice_id: strawberry.ID = strawberry.field(description="Of which invoice.")
    reason: CreditNoteReason = strawberry.field(description="Why.")
    lines: list[CreditNoteLineInput] | None = strawberry.field(
        description="Of which lines; null: all that is left of all of them.", default=None
    )
    kind: CreditNoteKind | None = strawberry.field(
        description="What becomes of the money; null: what remains of the invoice is reduced, "
        "and what is more than that is kept for the next invoices.",
        default=None,
    )
    memo: str | None = strawberry.field(
        description="A note to the customer, printed on it; at most 2,000 characters.",
        default=None,
    )
    key: str | None = strawberry.field(
        description="Your own for this credit note: another with it is refused, until this one "
        "is void. At most 255 characters.",
        default=None,
    )
    metadata: Metadata | None = strawberry.field(description="Your own notes.", default=None)

    def wanted(self) -> Crediting:
        return Crediting(
            invoice_id=self.invoice_id,
            reason=self.reason,
            parts=tuple(Part(line.line_id, line.amount) for line in self.lines or ()),
            kind=self.kind,
            memo=self.memo,
            key=self.key,
            metadata=self.metadata or {},
        )


@strawberry.input(description="Changes to a credit note. What is absent stays as it is.")
class CreditNoteUpdateInput:
    id: strawberry.ID = strawberry.field(description="Which credit note.")
    metadata: strawberry.Maybe[Metadata | None] = strawberry.field(
        description="Your own notes; replaces all of them."
    )

    def patch(self) -> dict[str, Any]:
        return present(self, without=("id",))


@strawberry.input(description="The credit note to take back.")
class CreditNoteVoidInput:
    id: strawberry.ID = strawberry.field(description="Which credit note.")
    reason: str = strawberry.field(
        description="Why, as will be printed on it; 1 to 500 characters."
    )
