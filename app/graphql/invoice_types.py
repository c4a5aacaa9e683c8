"""What the graph shows of invoices. Their lines are in `invoice_lines`."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Optional, Self, cast

import strawberry

from app.graphql import credit_note_types, customers, subscription_types
from app.graphql.context import Info
from app.graphql.explanations import ExplanationStep, steps_of
from app.graphql.invoice_inputs import BillingReason, InvoiceStatus, PaymentStatus
from app.graphql.invoice_lines import InvoiceLine
from app.graphql.invoice_parties import InvoiceParty
from app.graphql.node import Node
from app.graphql.permissions import requires
from app.graphql.scalars import Metadata, Money
from app.graphql.subscription_inputs import CollectionMethod
from app.graphql.tenants.document_settings import DocumentLayout
from app.graphql.terms import applied, tax_associations
from app.invoicing import actions, explaining
from app.invoicing.actions import FileKind
from app.invoicing.invoice import Invoice as Row
from app.invoicing.invoice import Settlement as SettlementRow
from app.invoicing.invoice import SettlementKind
from app.kernel.copies import fields_of
from app.tenants.settings import Layout

if TYPE_CHECKING:
    from app.graphql.credit_note_types import CreditNote, CreditNoteApplication
    from app.graphql.customers import Customer
    from app.graphql.subscription_types import Subscription
    from app.graphql.terms.applied import (
        InvoiceDiscount,
        InvoicePrepaidApplication,
        InvoiceTax,
    )
    from app.graphql.terms.tax_associations import TaxAssociation


strawberry.enum(FileKind, name="InvoiceFileKind", description="What an invoice can be had as.")
strawberry.enum(
    SettlementKind,
    name="InvoiceSettlementKind",
    description="Why less is asked for than was due, or more again.",
)


@strawberry.type(
    description="An entry of the account of an invoice: what came off the amount due, or was put "
    "back. Entries are only added."
)
class InvoiceSettlement:
    id: strawberry.ID = strawberry.field(description="Of the entry.")
    kind: SettlementKind = strawberry.field(description="Why.")
    amount: Money = strawberry.field(description="What comes off; below zero it was put back.")
    source_id: str | None = strawberry.field(
        description="Of the payment, credit note or entry that caused it."
    )
    reason: str | None = strawberry.field(description="As was said.")
    created_at: datetime = strawberry.field(description="When it was added.")

    @classmethod
    def of(cls, row: SettlementRow) -> Self:
        return cls(
            id=strawberry.ID(row.id),
            kind=row.kind,
            amount=Money(amount=row.amount, currency=row.currency),
            source_id=row.source_id,
            reason=row.reason,
            created_at=row.created_at,
        )


@strawberry.type(description="What a customer is asked to pay for a period.")
class Invoice(Node):
    number: str | None = strawberry.field(
        description="Without gaps in its environment; null until it is issued."
    )
    customer_id: strawberry.ID = strawberry.field(description="Who is billed.")
    subscription_id: strawberry.ID | None = strawberry.field(
        description="For which subscription; null for several, or for none."
    )
    subscription_ids: list[strawberry.ID] = strawberry.field(
        description="Of a consolidated invoice, the subscriptions whose lines it has; else none."
    )
    consolidated_into_id: strawberry.ID | None = strawberry.field(
        description="The consolidated invoice that asks for what this one would have asked for."
    )
    status: InvoiceStatus = strawberry.field(description="Where it is in its life.")
    reason: BillingReason = strawberry.field(description="Why it was made.")
    period_start: datetime = strawberry.field(description="Start of the period billed.")
    period_end: datetime = strawberry.field(
        description="End of the period billed. Fees in advance carry their own on the line."
    )
    timezone: str = strawberry.field(description="IANA zone whose days are printed on it.")
    subtotal: Money = strawberry.field(description="The sum of its lines.")
    discount: Money = strawberry.field(description="What discounts take off.")
    prepaid: Money = strawberry.field(description="What prepaid credits pay.")
    tax: Money = strawberry.field(description="The tax, on top and included.")
    tax_included: Money = strawberry.field(
        description="The part of the tax that the lines hold already."
    )
    total: Money = strawberry.field(
        description="The subtotal less discounts and prepaid credits, with the tax on top."
    )
    credited: Money = strawberry.field(
        description="What credits of earlier invoices paid when it was issued."
    )
    amount_due: Money = strawberry.field(description="What has to be paid: the total less credits.")
    amount_remaining: Money = strawberry.field(
        description="What is still to be paid: of an invoice in force, what is due less what was "
        "paid, credited and written off; else nothing."
    )
    payment_status: PaymentStatus | None = strawberry.field(
        description="How it stands; null unless it is in force."
    )
    paid_at: datetime | None = strawberry.field(description="When it was paid in full.")
    uncollectible_at: datetime | None = strawberry.field(
        description="Since when nothing more is expected; null while it is."
    )
    uncollectible_reason: str | None = strawberry.field(description="Why nothing more is.")
    key: str | None = strawberry.field(description="Your own, of one made by hand.")
    net_days: int | None = strawberry.field(
        description="Days from issue until it is due; null: as the environment says."
    )
    collection_method: CollectionMethod | None = strawberry.field(
        description="How it is to be paid; null where no subscription says."
    )
    purchase_order: str | None = strawberry.field(description="The customer's order number.")
    memo: str | None = strawberry.field(description="A note to the customer, printed on it.")
    edited: bool = strawberry.field(
        description="Whether lines were written into it by hand, so that it is not computed "
        "again by itself."
    )
    replaces_id: strawberry.ID | None = strawberry.field(
        description="The invoice that it was drafted in place of."
    )
    replaced_by_id: strawberry.ID | None = strawberry.field(
        description="The invoice that was drafted in its place."
    )
    issued_at: datetime | None = strawberry.field(description="When it was issued.")
    due_at: datetime | None = strawberry.field(description="When it has to be paid.")
    finalize_at: datetime | None = strawberry.field(
        description="When a draft's wait for late events ends, and it is issued."
    )
    finalized_at: datetime | None = strawberry.field(
        description="When it was finalized; from then on it does not change."
    )
    voided_at: datetime | None = strawberry.field(description="When it was taken back.")
    void_reason: str | None = strawberry.field(description="Why it was taken back.")
    seller: InvoiceParty | None = strawberry.field(
        description="Who it is from, as it was then; null until it is issued."
    )
    bill_to: InvoiceParty | None = strawberry.field(
        description="Who it is to, as it was then; null until it is issued."
    )
    engine_version: str = strawberry.field(description="Of the rules that rated it.")
    catalog_hash: str = strawberry.field(description="Of the prices that rated it.")
    zone_data: str = strawberry.field(
        description="The version of the IANA time-zone data that its periods were computed by."
    )
    usage_watermark: datetime | None = strawberry.field(
        description="Every event accepted before then was counted; null where that is unknown."
    )
    tax_notes: list[str] = strawberry.field(
        description="What has to be said about its taxes, such as whose the reverse charge is."
    )
    metadata: Metadata = strawberry.field(description="Your own notes.")
    created_at: datetime = strawberry.field(description="When it was drafted.")
    updated_at: datetime = strawberry.field(description="When it last changed.")
    row: strawberry.Private[Row]

    @strawberry.field(description="Who is billed.", extensions=[requires("customer:read")])
    async def customer(
        self, info: Info
    ) -> Annotated["Customer", strawberry.lazy("app.graphql.customers")] | None:
        row = await info.context.load.customer.load(self.customer_id)
        return None if row is None else customers.Customer.of(row)

    @strawberry.field(
        description="For which subscription.", extensions=[requires("subscription:read")]
    )
    async def subscription(
        self, info: Info
    ) -> Annotated["Subscription", strawberry.lazy("app.graphql.subscription_types")] | None:
        if self.subscription_id is None:
            return None
        row = await info.context.load.subscription.load(self.subscription_id)
        return None if row is None else subscription_types.Subscription.of(row)

    @strawberry.field(
        description="The consolidated invoice that asks for what this one would have asked for."
    )
    async def consolidated_into(self, info: Info) -> Optional["Invoice"]:
        return await _other(info, self.consolidated_into_id)

    @strawberry.field(
        description="Of a consolidated invoice, those that hold the places of its periods, by "
        "subscription; void ones included."
    )
    async def consolidates(self, info: Info) -> list["Invoice"]:
        rows = await info.context.load.consolidated_into.load(self.id)
        return [Invoice.of(row) for row in rows]

    @strawberry.field(description="The invoice that it was drafted in place of.")
    async def replaces(self, info: Info) -> Optional["Invoice"]:
        return await _other(info, self.replaces_id)

    @strawberry.field(description="The invoice that was drafted in its place.")
    async def replaced_by(self, info: Info) -> Optional["Invoice"]:
        return await _other(info, self.replaced_by_id)

    @strawberry.field(
        description="What was given back of it, the oldest first, void ones included.",
        extensions=[requires("credit_note:read")],
    )
    async def credit_notes(
        self, info: Info
    ) -> list[Annotated["CreditNote", strawberry.lazy("app.graphql.credit_note_types")]]:
        rows = await info.context.load.credit_notes_of_invoice.load(self.id)
        return [credit_note_types.CreditNote.of(row) for row in rows]

    @strawberry.field(
        description="What credit notes of earlier invoices paid of it, the oldest entry first.",
        extensions=[requires("credit_note:read")],
    )
    async def credits_applied(
        self, info: Info
    ) -> list[Annotated["CreditNoteApplication", strawberry.lazy("app.graphql.credit_note_types")]]:
        rows = await info.context.load.applications_to_invoice.load(self.id)
        return [credit_note_types.CreditNoteApplication.of(row) for row in rows]

    @strawberry.field(description="Its account, the oldest entry first.")
    async def settlements(self, info: Info) -> list[InvoiceSettlement]:
        rows = await info.context.load.settlements_of_invoice.load(self.id)
        return [InvoiceSettlement.of(row) for row in rows]

    @strawberry.field(description="What it asks for, in the order printed.")
    async def lines(self, info: Info) -> list[InvoiceLine]:
        rows = await info.context.load.lines_of_invoice.load(self.id)
        return [InvoiceLine.of(row) for row in rows]

    @strawberry.field(description="The coupons that were taken off, in their order.")
    async def discounts(
        self, info: Info
    ) -> list[Annotated["InvoiceDiscount", strawberry.lazy("app.graphql.terms.applied")]]:
        rows = await info.context.load.discounts_of_invoice.load(self.id)
        return [applied.InvoiceDiscount.of(row) for row in rows]

    @strawberry.field(description="What prepaid balances pay of it, in their order.")
    async def prepaid_applications(
        self, info: Info
    ) -> list[Annotated["InvoicePrepaidApplication", strawberry.lazy("app.graphql.terms.applied")]]:
        rows = await info.context.load.prepaid_of_invoice.load(self.id)
        return [applied.InvoicePrepaidApplication.of(row) for row in rows]

    @strawberry.field(
        description="The taxes that were asked for, and those that the customer is spared, in "
        "their order."
    )
    async def taxes(
        self, info: Info
    ) -> list[Annotated["InvoiceTax", strawberry.lazy("app.graphql.terms.applied")]]:
        rows = await info.context.load.taxes_of_invoice.load(self.id)
        return [applied.InvoiceTax.of(row) for row in rows]

    @strawberry.field(
        description="The taxes that are associated with it alone; archived ones are left out.",
        extensions=[requires("tax:read")],
    )
    async def tax_associations(
        self, info: Info
    ) -> list[Annotated["TaxAssociation", strawberry.lazy("app.graphql.terms.tax_associations")]]:
        rows = await info.context.load.tax_associations_of_owner.load(self.id)
        return [tax_associations.TaxAssociation.of(row) for row in rows]

    @strawberry.field(
        description="How the amount due came about, from the lines on: a tree as a list, every "
        "step after the one that builds on it. The first step's result is the amount due; a line "
        "goes on in its own explanation."
    )
    async def explanation(self, info: Info) -> list[ExplanationStep]:
        load = info.context.load
        lines = await load.lines_of_invoice.load(self.id)
        entries = await load.applications_to_invoice.load(self.id)
        return steps_of(explaining.of_invoice(self.row, lines, entries))

    @strawberry.field(
        description="A link to its PDF that anyone can open for a while; null unless it is "
        "issued and in force. Drafts and void invoices: GET /v1/invoices/{id}/pdf."
    )
    async def pdf_url(self, info: Info) -> str | None:
        return await _link(info, self.row, FileKind.PDF, None)

    @strawberry.field(
        description="A link to it as a file that anyone can open for a while; null unless it is "
        "issued and in force. Drafts and void invoices: GET /v1/invoices/{id}/pdf, csv, json. "
        "UBL is an electronic invoice after EN 16931, and refused (E_INVOICE_UNSUPPORTED) where "
        "the norm cannot tell what the invoice says."
    )
    async def file_url(
        self,
        info: Info,
        kind: Annotated[FileKind, strawberry.argument(description="Which kind of file.")],
        layout: Annotated[
            DocumentLayout | None,
            strawberry.argument(description="How a PDF is laid out; null: as it was issued."),
        ] = None,
    ) -> str | None:
        return await _link(info, self.row, kind, layout)

    @classmethod
    def of(cls, row: Row) -> Self:
        return cls(
            id=strawberry.ID(row.id),
            number=row.number,
            customer_id=strawberry.ID(row.customer_id),
            subscription_id=_id(row.subscription_id),
            subscription_ids=[strawberry.ID(each) for each in row.subscription_ids],
            consolidated_into_id=_id(row.consolidated_into_id),
            status=row.status,
            reason=row.reason,
            period_start=row.period.start,
            period_end=row.period.end,
            timezone=row.timezone,
            payment_status=row.payment_status,
            paid_at=row.paid_at,
            uncollectible_at=row.uncollectible_at,
            uncollectible_reason=row.uncollectible_reason,
            key=row.source_id,
            net_days=row.net_days,
            collection_method=row.collection_method,
            purchase_order=row.purchase_order,
            memo=row.memo,
            edited=row.edited,
            replaces_id=_id(row.replaces_id),
            replaced_by_id=_id(row.replaced_by_id),
            amount_remaining=Money(amount=row.amount_remaining, currency=row.currency),
            issued_at=row.issued_at,
            due_at=row.due_at,
            finalize_at=row.finalize_at,
            finalized_at=row.finalized_at,
            voided_at=row.voided_at,
            void_reason=row.void_reason,
            seller=None if row.seller is None else InvoiceParty.of(row.seller),
            bill_to=None if row.bill_to is None else InvoiceParty.of(row.bill_to),
            engine_version=row.engine_version,
            catalog_hash=row.catalog_hash,
            zone_data=row.zone_data,
            usage_watermark=row.usage_watermark,
            tax_notes=list(row.tax_notes),
            metadata=Metadata(row.metadata),
            created_at=row.created_at,
            updated_at=row.updated_at,
            row=row,
            **amounts_of(row),
        )


async def _link(info: Info, row: Row, kind: FileKind, layout: DocumentLayout | None) -> str | None:
    ctx = info.context
    chosen = cast("Layout | None", None if layout is None else layout.value)
    storage = ctx.runtime.storage
    at = await ctx.present.customer(row.customer_id)
    return await actions.link(ctx.scope, row, kind, storage, at=at, layout=chosen)


async def _other(info: Info, invoice_id: str | None) -> Invoice | None:
    if invoice_id is None:
        return None
    row = await info.context.load.invoice.load(invoice_id)
    return None if row is None else Invoice.of(row)


def _id(value: str | None) -> strawberry.ID | None:
    return None if value is None else strawberry.ID(value)


def amounts_of(row: Row) -> dict[str, Money]:
    return {
        name: Money(amount=amount, currency=row.currency)
        for name, amount in fields_of(row.totals).items()
    }
