"""Queries of what was applied to invoices. Every one takes the scope first."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import Any

import asyncpg

from app.infra import listing
from app.infra.listing import Column, Listing, Order, Page, PageRequest
from app.infra.rows import having, json_of
from app.invoicing.applied.parts import Applied, InvoiceDiscount, InvoicePrepaid, InvoiceTax
from app.invoicing.terms.taxation import TaxTreatment
from app.kernel.quantity import EXACT
from app.kernel.scope import Scope

DISCOUNTS = Listing(
    table="invoice_discounts",
    columns=(
        Column("id", "id", sortable=True),
        Column("invoice_id", "id"),
        Column("customer_id", "id"),
        Column("subscription_id", "id", nullable=True),
        Column("coupon_id", "id"),
        Column("coupon_attachment_id", "id", sql="attachment_id"),
        Column("amount", "decimal", sortable=True),
        Column("currency", "string"),
        Column("created_at", "datetime", sortable=True),
    ),
    default_order=(Order("created_at", descending=True),),
)
TAXES = Listing(
    table="invoice_taxes",
    columns=(
        Column("id", "id", sortable=True),
        Column("invoice_id", "id"),
        Column("customer_id", "id"),
        Column("tax_rate_id", "id"),
        Column("treatment", "enum"),
        Column("included", "boolean"),
        Column("taxable", "decimal", sortable=True),
        Column("amount", "decimal", sortable=True),
        Column("currency", "string"),
        Column("created_at", "datetime", sortable=True),
    ),
    default_order=(Order("created_at", descending=True),),
)


async def page_of_discounts(scope: Scope, request: PageRequest) -> Page[InvoiceDiscount]:
    return (await listing.page(scope, DISCOUNTS, request)).map(discount_of)


async def discounts_by_ids(scope: Scope, ids: Collection[str]) -> dict[str, InvoiceDiscount]:
    """The discounts with these ids; absent ids are absent from the result."""
    rows = await having(scope, "invoice_discounts", "id", ids)
    return {row["id"]: discount_of(row) for row in rows}


async def discounts_of_invoices(
    scope: Scope, invoice_ids: Collection[str]
) -> dict[str, list[InvoiceDiscount]]:
    """Each invoice's discounts in their order; an invoice without is absent."""
    return _grouped(
        [discount_of(row) for row in await _of_invoices(scope, "invoice_discounts", invoice_ids)]
    )


async def prepaid_of_invoices(
    scope: Scope, invoice_ids: Collection[str]
) -> dict[str, list[InvoicePrepaid]]:
    """What prepaid balances pay of each invoice; an invoice without is absent."""
    return _grouped(
        [prepaid_of(row) for row in await _of_invoices(scope, "invoice_prepaid", invoice_ids)]
    )


async def of_invoices(scope: Scope, invoice_ids: Collection[str]) -> dict[str, Applied]:
    """All that was applied to each invoice, but for credits; every invoice is a key."""
    discounts = await discounts_of_invoices(scope, invoice_ids)
    prepaid = await prepaid_of_invoices(scope, invoice_ids)
    taxes = await taxes_of_invoices(scope, invoice_ids)
    return {
        id_: Applied(
            discounts=tuple(discounts.get(id_, ())),
            prepaid=tuple(prepaid.get(id_, ())),
            taxes=tuple(taxes.get(id_, ())),
        )
        for id_ in invoice_ids
    }


async def page_of_taxes(scope: Scope, request: PageRequest) -> Page[InvoiceTax]:
    return (await listing.page(scope, TAXES, request)).map(tax_of)


async def taxes_by_ids(scope: Scope, ids: Collection[str]) -> dict[str, InvoiceTax]:
    """The taxes of invoices with these ids; absent ids are absent from the result."""
    rows = await having(scope, "invoice_taxes", "id", ids)
    return {row["id"]: tax_of(row) for row in rows}


async def taxes_of_invoices(
    scope: Scope, invoice_ids: Collection[str]
) -> dict[str, list[InvoiceTax]]:
    """Each invoice's taxes in their order; an invoice without is absent."""
    rows = await having(
        scope, "invoice_taxes", "invoice_id", invoice_ids, also="ORDER BY invoice_id, position"
    )
    found: defaultdict[str, list[InvoiceTax]] = defaultdict(list)
    for row in rows:
        found[row["invoice_id"]].append(tax_of(row))
    return dict(found)


def discount_of(row: asyncpg.Record) -> InvoiceDiscount:
    return InvoiceDiscount(
        id=row["id"],
        invoice_id=row["invoice_id"],
        position=row["position"],
        coupon_id=row["coupon_id"],
        attachment_id=row["attachment_id"],
        description=row["description"],
        amount=row["amount"],
        base=row["base"],
        currency=row["currency"],
        coupon=json_of(row["coupon"]),
        shares=shares_of(row["shares"]),
        subscription_id=row["subscription_id"],
    )


def prepaid_of(row: asyncpg.Record) -> InvoicePrepaid:
    return InvoicePrepaid(
        id=row["id"],
        invoice_id=row["invoice_id"],
        position=row["position"],
        balance_id=row["balance_id"],
        amount=row["amount"],
        currency=row["currency"],
        shares=shares_of(row["shares"]),
    )


def shares_of(value: Any) -> dict[str, Any]:
    """Amounts by the id of a line, which are stored as text."""
    return {line_id: EXACT.create_decimal(amount) for line_id, amount in json_of(value).items()}


async def _of_invoices(
    scope: Scope, table: str, invoice_ids: Collection[str]
) -> list[asyncpg.Record]:
    return await having(
        scope, table, "invoice_id", invoice_ids, also="ORDER BY invoice_id, position"
    )


def _grouped(rows: Sequence[Any]) -> dict[str, list[Any]]:
    found: defaultdict[str, list[Any]] = defaultdict(list)
    for row in rows:
        found[row.invoice_id].append(row)
    return dict(found)


def tax_of(row: asyncpg.Record) -> InvoiceTax:
    return InvoiceTax(
        id=row["id"],
        invoice_id=row["invoice_id"],
        position=row["position"],
        tax_rate_id=row["tax_rate_id"],
        association_id=row["association_id"],
        exemption_id=row["exemption_id"],
        description=row["description"],
        percent=row["percent"],
        included=row["included"],
        treatment=TaxTreatment(row["treatment"]),
        taxable=row["taxable"],
        amount=row["amount"],
        currency=row["currency"],
        rate=json_of(row["rate"]),
        shares=shares_of(row["shares"]),
    )
