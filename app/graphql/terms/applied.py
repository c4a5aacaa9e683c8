"""What was applied to invoices between their lines and the amount due, in the graph.

Each of the interfaces is had in two ways: of an invoice, where it is stored with its shares, and
of a preview.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, Self

import strawberry

from app.graphql import invoice_types
from app.graphql.catalog import coupons, tax_rates
from app.graphql.context import Context, Info
from app.graphql.lists import listed
from app.graphql.node import Kind, Node
from app.graphql.permissions import requires
from app.graphql.scalars import JSON, Money
from app.graphql.terms.applied_inputs import (
    InvoiceDiscountFilter,
    InvoiceDiscountOrder,
    InvoiceTaxFilter,
    InvoiceTaxOrder,
)
from app.invoicing.applied import parts as rows
from app.invoicing.applied import reads
from app.invoicing.terms.taxation import TaxTreatment

if TYPE_CHECKING:
    from app.graphql.catalog.coupons import Coupon
    from app.graphql.catalog.tax_rates import TaxRate
    from app.graphql.invoice_types import Invoice


@strawberry.type(description="The part of something that falls on one line of its invoice.")
class InvoiceLineShare:
    invoice_line_id: strawberry.ID = strawberry.field(description="Which line.")
    amount: Money = strawberry.field(description="Its part; all of them sum to the whole.")


@strawberry.interface(description="A coupon as it is taken off.")
class AppliedDiscount:
    position: int = strawberry.field(description="Its place in the order, from 1.")
    coupon_id: strawberry.ID = strawberry.field(description="Which coupon.")
    coupon_attachment_id: strawberry.ID = strawberry.field(description="By whom it was had.")
    description: str = strawberry.field(description="As printed.")
    amount: Money = strawberry.field(description="What it takes off.")
    base: Money = strawberry.field(description="What the lines that it covers had left before it.")
    coupon_snapshot: JSON = strawberry.field(description="The coupon as it was.")


@strawberry.type(description="A coupon as it was taken off an invoice.")
class InvoiceDiscount(Node, AppliedDiscount):
    invoice_id: strawberry.ID = strawberry.field(description="Off which invoice.")
    shares: list[InvoiceLineShare] = strawberry.field(description="What falls on each line.")

    @strawberry.field(description="Off which invoice.")
    async def invoice(
        self, info: Info
    ) -> Annotated["Invoice", strawberry.lazy("app.graphql.invoice_types")] | None:
        return await _invoice(info, self.invoice_id)

    @strawberry.field(description="The coupon as it is now.", extensions=[requires("coupon:read")])
    async def coupon(
        self, info: Info
    ) -> Annotated["Coupon", strawberry.lazy("app.graphql.catalog.coupons")] | None:
        row = await info.context.load.coupon.load(self.coupon_id)
        return None if row is None else coupons.Coupon.of(row)

    @classmethod
    def of(cls, row: rows.InvoiceDiscount) -> Self:
        return cls(**_stored(row), **_discount(row))


@strawberry.type(description="A coupon as it would be taken off.")
class InvoicePreviewDiscount(AppliedDiscount):
    @classmethod
    def of(cls, row: rows.InvoiceDiscount) -> Self:
        return cls(**_discount(row))


@strawberry.interface(description="A tax as it is asked for, or why it is not.")
class AppliedTax:
    position: int = strawberry.field(description="Its place in the order, from 1.")
    tax_rate_id: strawberry.ID = strawberry.field(description="Which rate.")
    tax_association_id: strawberry.ID = strawberry.field(description="What asked for it.")
    tax_exemption_id: strawberry.ID | None = strawberry.field(
        description="What spares the customer; null where the tax is asked for."
    )
    description: str = strawberry.field(description="As printed.")
    percent: Decimal | None = strawberry.field(description="19 is 19 %; null for a fixed amount.")
    included: bool = strawberry.field(description="Whether the lines hold it already.")
    treatment: TaxTreatment = strawberry.field(description="What became of it.")
    taxable: Money = strawberry.field(
        description="What it is taken on, without included taxes; shown also where the customer "
        "is spared."
    )
    amount: Money = strawberry.field(description="What it comes to.")
    tax_rate_snapshot: JSON = strawberry.field(description="The rate as it was.")


@strawberry.type(description="A tax as it was asked for on an invoice, or why it was not.")
class InvoiceTax(Node, AppliedTax):
    invoice_id: strawberry.ID = strawberry.field(description="On which invoice.")
    shares: list[InvoiceLineShare] = strawberry.field(description="What falls on each line.")

    @strawberry.field(description="On which invoice.")
    async def invoice(
        self, info: Info
    ) -> Annotated["Invoice", strawberry.lazy("app.graphql.invoice_types")] | None:
        return await _invoice(info, self.invoice_id)

    @strawberry.field(description="The rate as it is now.", extensions=[requires("tax:read")])
    async def tax_rate(
        self, info: Info
    ) -> Annotated["TaxRate", strawberry.lazy("app.graphql.catalog.tax_rates")] | None:
        row = await info.context.load.tax_rate.load(self.tax_rate_id)
        return None if row is None else tax_rates.TaxRate.of(row)

    @classmethod
    def of(cls, row: rows.InvoiceTax) -> Self:
        return cls(**_stored(row), **_tax(row))


@strawberry.type(description="A tax as it would be asked for.")
class InvoicePreviewTax(AppliedTax):
    @classmethod
    def of(cls, row: rows.InvoiceTax) -> Self:
        return cls(**_tax(row))


@strawberry.interface(description="What a prepaid balance pays.")
class AppliedPrepaid:
    position: int = strawberry.field(description="Its place in the order, from 1.")
    balance_id: str = strawberry.field(description="Which balance, as whoever keeps it calls it.")
    amount: Money = strawberry.field(description="What it pays.")


@strawberry.type(description="What a prepaid balance pays of an invoice.")
class InvoicePrepaidApplication(AppliedPrepaid):
    id: strawberry.ID = strawberry.field(description="Of the entry.")
    invoice_id: strawberry.ID = strawberry.field(description="Of which invoice.")
    shares: list[InvoiceLineShare] = strawberry.field(description="What falls on each line.")

    @classmethod
    def of(cls, row: rows.InvoicePrepaid) -> Self:
        return cls(**_stored(row), **_prepaid(row))


@strawberry.type(description="What a prepaid balance would pay.")
class InvoicePreviewPrepaidApplication(AppliedPrepaid):
    @classmethod
    def of(cls, row: rows.InvoicePrepaid) -> Self:
        return cls(**_prepaid(row))


@strawberry.type
class AppliedQuery:
    @strawberry.field(
        description="A discount of an invoice by id; null when the environment has none with it.",
        extensions=[requires("invoice:read")],
    )
    async def invoice_discount(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="The discount's id.")],
    ) -> InvoiceDiscount | None:
        return await _load_discount(info.context, id)

    invoice_discounts = listed(
        InvoiceDiscount,
        reads.page_of_discounts,
        filter=InvoiceDiscountFilter,
        order=InvoiceDiscountOrder,
        permission="invoice:read",
        description="Coupons as they were taken off invoices, drafts and void ones included. The "
        "newest first unless ordered.",
        search=False,
    )

    @strawberry.field(
        description="A tax of an invoice by id; null when the environment has none with it.",
        extensions=[requires("invoice:read")],
    )
    async def invoice_tax(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="The tax's id.")],
    ) -> InvoiceTax | None:
        return await _load_tax(info.context, id)

    invoice_taxes = listed(
        InvoiceTax,
        reads.page_of_taxes,
        filter=InvoiceTaxFilter,
        order=InvoiceTaxOrder,
        permission="invoice:read",
        description="Taxes as they were asked for on invoices, drafts and void ones included. The "
        "newest first unless ordered.",
        search=False,
    )


def _discount(row: rows.InvoiceDiscount) -> dict[str, Any]:
    return {
        "position": row.position,
        "coupon_id": strawberry.ID(row.coupon_id),
        "coupon_attachment_id": strawberry.ID(row.attachment_id),
        "description": row.description,
        "amount": Money(amount=row.amount, currency=row.currency),
        "base": Money(amount=row.base, currency=row.currency),
        "coupon_snapshot": JSON(row.coupon),
    }


def _tax(row: rows.InvoiceTax) -> dict[str, Any]:
    exemption = row.exemption_id
    return {
        "position": row.position,
        "tax_rate_id": strawberry.ID(row.tax_rate_id),
        "tax_association_id": strawberry.ID(row.association_id),
        "tax_exemption_id": None if exemption is None else strawberry.ID(exemption),
        "description": row.description,
        "percent": row.percent,
        "included": row.included,
        "treatment": row.treatment,
        "taxable": Money(amount=row.taxable, currency=row.currency),
        "amount": Money(amount=row.amount, currency=row.currency),
        "tax_rate_snapshot": JSON(row.rate),
    }


def _prepaid(row: rows.InvoicePrepaid) -> dict[str, Any]:
    return {
        "position": row.position,
        "balance_id": row.balance_id,
        "amount": Money(amount=row.amount, currency=row.currency),
    }


def _stored(row: rows.InvoiceDiscount | rows.InvoiceTax | rows.InvoicePrepaid) -> dict[str, Any]:
    return {
        "id": strawberry.ID(row.id),
        "invoice_id": strawberry.ID(row.invoice_id),
        "shares": _shares(row.shares, row.currency),
    }


def _shares(shares: Mapping[str, Decimal], currency: str) -> list[InvoiceLineShare]:
    return [
        InvoiceLineShare(
            invoice_line_id=strawberry.ID(line_id), amount=Money(amount=amount, currency=currency)
        )
        for line_id, amount in shares.items()
    ]


async def _invoice(info: Info, invoice_id: str) -> "Invoice | None":
    row = await info.context.load.invoice.load(invoice_id)
    return None if row is None else invoice_types.Invoice.of(row)


async def _load_discount(context: Context, discount_id: str) -> InvoiceDiscount | None:
    row = await context.load.invoice_discount.load(discount_id)
    return None if row is None else InvoiceDiscount.of(row)


async def _load_tax(context: Context, tax_id: str) -> InvoiceTax | None:
    row = await context.load.invoice_tax.load(tax_id)
    return None if row is None else InvoiceTax.of(row)


KINDS = (
    Kind("invd", "invoice:read", _load_discount),
    Kind("invt", "invoice:read", _load_tax),
)
