"""What the graph shows of credit notes."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Self, cast

import strawberry

from app.graphql import customers, invoice_types
from app.graphql.context import Info
from app.graphql.credit_note_inputs import (
    ApplicationKind,
    CreditNoteKind,
    CreditNoteReason,
    CreditNoteStatus,
    NoteFileKind,
    RefundStatus,
)
from app.graphql.invoice_parties import InvoiceParty
from app.graphql.node import Node
from app.graphql.permissions import requires
from app.graphql.scalars import Metadata, Money
from app.graphql.tenants.document_settings import DocumentLayout
from app.invoicing import actions
from app.invoicing.credit_note import Amounts
from app.invoicing.credit_note import Application as ApplicationRow
from app.invoicing.credit_note import CreditNote as Row
from app.invoicing.credit_note import CreditNoteLine as LineRow
from app.tenants.settings import Layout

if TYPE_CHECKING:
    from app.graphql.customers import Customer
    from app.graphql.invoice_types import Invoice


@strawberry.type(description="What is given back of one line of an invoice.")
class CreditNoteLine:
    id: strawberry.ID = strawberry.field(description="Of the line.")
    position: int = strawberry.field(description="Its place on the credit note, from 1.")
    invoice_line_id: strawberry.ID = strawberry.field(description="Of which line of the invoice.")
    description: str = strawberry.field(description="As printed.")
    amount: Money = strawberry.field(description="Before discount and tax.")
    discount: Money = strawberry.field(description="Its share of what discounts took off.")
    tax: Money = strawberry.field(description="Its share of the tax.")
    tax_included: Money = strawberry.field(description="The part of it that the amount holds.")
    total: Money = strawberry.field(description="What is given back of the line.")

    @classmethod
    def of(cls, row: LineRow) -> Self:
        return cls(
            id=strawberry.ID(row.id),
            position=row.position,
            invoice_line_id=strawberry.ID(row.invoice_line_id),
            description=row.description,
            **_amounts(row.amounts, row.currency),
        )


@strawberry.type(
    description="An entry of the account of a credit note: what went out of its balance, or came "
    "back. Entries are only added."
)
class CreditNoteApplication:
    id: strawberry.ID = strawberry.field(description="Of the entry.")
    credit_note_id: strawberry.ID = strawberry.field(description="Of which credit note.")
    invoice_id: strawberry.ID | None = strawberry.field(description="The invoice that it paid.")
    kind: ApplicationKind = strawberry.field(description="What it went into.")
    amount: Money = strawberry.field(description="What went out; below zero it came back.")
    created_at: datetime = strawberry.field(description="When it was added.")

    @classmethod
    def of(cls, row: ApplicationRow) -> Self:
        return cls(
            id=strawberry.ID(row.id),
            credit_note_id=strawberry.ID(row.credit_note_id),
            invoice_id=None if row.invoice_id is None else strawberry.ID(row.invoice_id),
            kind=row.kind,
            amount=Money(amount=row.amount, currency=row.currency),
            created_at=row.created_at,
        )


@strawberry.type(
    description="What is given back of an issued invoice. Once issued it does not change."
)
class CreditNote(Node):
    number: str = strawberry.field(description="Without gaps, apart from those of invoices.")
    customer_id: strawberry.ID = strawberry.field(description="Whose it is.")
    invoice_id: strawberry.ID = strawberry.field(description="Of which invoice.")
    status: CreditNoteStatus = strawberry.field(description="Where it is in its life.")
    kind: CreditNoteKind = strawberry.field(description="What becomes of the money.")
    reason: CreditNoteReason = strawberry.field(description="Why it was issued.")
    memo: str | None = strawberry.field(description="A note to the customer, printed on it.")
    key: str | None = strawberry.field(description="Your own.")
    timezone: str = strawberry.field(description="IANA zone whose days are printed on it.")
    amount: Money = strawberry.field(description="The sum of its lines, before discount and tax.")
    discount: Money = strawberry.field(description="The share of what discounts took off.")
    tax: Money = strawberry.field(description="The share of the tax.")
    tax_included: Money = strawberry.field(description="The part of it that the lines hold.")
    total: Money = strawberry.field(description="What is given back.")
    adjusted: Money = strawberry.field(description="What came off what remained of the invoice.")
    balance: Money = strawberry.field(
        description="What is left of the rest for the customer's next invoices, or of a refund "
        "to be paid back."
    )
    refund_status: RefundStatus | None = strawberry.field(
        description="How paying back stands; null where it is no refund."
    )
    seller: InvoiceParty = strawberry.field(description="Who it is from.")
    bill_to: InvoiceParty = strawberry.field(description="Who it is to.")
    issued_at: datetime = strawberry.field(description="When it was issued.")
    voided_at: datetime | None = strawberry.field(description="When it was taken back.")
    void_reason: str | None = strawberry.field(description="Why it was taken back.")
    metadata: Metadata = strawberry.field(description="Your own notes.")
    created_at: datetime = strawberry.field(description="When it was made.")
    updated_at: datetime = strawberry.field(description="When it last changed.")
    row: strawberry.Private[Row]

    @strawberry.field(description="Whose it is.", extensions=[requires("customer:read")])
    async def customer(
        self, info: Info
    ) -> Annotated["Customer", strawberry.lazy("app.graphql.customers")] | None:
        row = await info.context.load.customer.load(self.customer_id)
        return None if row is None else customers.Customer.of(row)

    @strawberry.field(description="Of which invoice.", extensions=[requires("invoice:read")])
    async def invoice(
        self, info: Info
    ) -> Annotated["Invoice", strawberry.lazy("app.graphql.invoice_types")] | None:
        row = await info.context.load.invoice.load(self.invoice_id)
        return None if row is None else invoice_types.Invoice.of(row)

    @strawberry.field(description="What is given back of which line.")
    async def lines(self, info: Info) -> list[CreditNoteLine]:
        rows = await info.context.load.lines_of_credit_note.load(self.id)
        return [CreditNoteLine.of(row) for row in rows]

    @strawberry.field(description="The account of its balance, the oldest entry first.")
    async def applications(self, info: Info) -> list[CreditNoteApplication]:
        rows = await info.context.load.applications_of_credit_note.load(self.id)
        return [CreditNoteApplication.of(row) for row in rows]

    @strawberry.field(
        description="A link to it as a file that anyone can open for a while; null once it is "
        "void. Void ones: GET /v1/credit_notes/{id}/pdf, json. UBL is an electronic credit note "
        "after EN 16931, and refused (E_INVOICE_UNSUPPORTED) where the norm cannot tell it."
    )
    async def file_url(
        self,
        info: Info,
        kind: Annotated[NoteFileKind, strawberry.argument(description="Which kind of file.")],
        layout: Annotated[
            DocumentLayout | None,
            strawberry.argument(description="How a PDF is laid out; null: as it was issued."),
        ] = None,
    ) -> str | None:
        ctx = info.context
        chosen = cast("Layout | None", None if layout is None else layout.value)
        storage = ctx.runtime.storage
        return await actions.link_note(ctx.scope, self.row, kind, storage, layout=chosen)

    @classmethod
    def of(cls, row: Row) -> Self:
        return cls(
            id=strawberry.ID(row.id),
            number=row.number,
            customer_id=strawberry.ID(row.customer_id),
            invoice_id=strawberry.ID(row.invoice_id),
            status=row.status,
            kind=row.kind,
            reason=row.reason,
            memo=row.memo,
            key=row.key,
            timezone=row.timezone,
            adjusted=Money(amount=row.adjusted, currency=row.currency),
            balance=Money(amount=row.balance, currency=row.currency),
            refund_status=row.refund_status,
            seller=InvoiceParty.of(row.seller),
            bill_to=InvoiceParty.of(row.bill_to),
            issued_at=row.issued_at,
            voided_at=row.voided_at,
            void_reason=row.void_reason,
            metadata=Metadata(row.metadata),
            created_at=row.created_at,
            updated_at=row.updated_at,
            row=row,
            **_amounts(row.amounts, row.currency),
        )


def _amounts(amounts: Amounts, currency: str) -> dict[str, Money]:
    return {
        name: Money(amount=getattr(amounts, name), currency=currency)
        for name in ("amount", "discount", "tax", "tax_included", "total")
    }
