"""Queries of who has coupons, and of where they were taken off. Every one takes the scope first."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import Any

import asyncpg

from app.infra import listing
from app.infra.listing import Column, Listing, Order, Page, PageRequest
from app.infra.postgres import fetch
from app.infra.rows import having, json_of, the
from app.invoicing.applied import InvoiceDiscount, InvoicePrepaid
from app.invoicing.attachment import CouponAttachment
from app.kernel.quantity import EXACT
from app.kernel.scope import Scope

ATTACHMENTS = Listing(
    table="coupon_attachments",
    columns=(
        Column("id", "id", sortable=True),
        Column("coupon_id", "id"),
        Column("customer_id", "id"),
        Column("subscription_id", "id", nullable=True),
        Column("line_item_id", "id", nullable=True),
        Column("starts_at", "datetime", sortable=True),
        Column("ends_at", "datetime", sortable=True, nullable=True),
        Column("created_at", "datetime", sortable=True),
        Column("updated_at", "datetime", sortable=True),
    ),
    default_order=(Order("created_at", descending=True),),
)
DISCOUNTS = Listing(
    table="invoice_discounts",
    columns=(
        Column("id", "id", sortable=True),
        Column("invoice_id", "id"),
        Column("customer_id", "id"),
        Column("subscription_id", "id", nullable=True),
        Column("coupon_id", "id"),
        Column("attachment_id", "id"),
        Column("amount", "decimal", sortable=True),
        Column("currency", "string"),
        Column("created_at", "datetime", sortable=True),
    ),
    default_order=(Order("created_at", descending=True),),
)
# On how many invoices that are not void; those at hand, which are worked out again, not counted.
_USES = (
    "SELECT d.attachment_id, d.subscription_id, count(*) AS uses FROM invoice_discounts d "
    "JOIN invoices i ON i.id = d.invoice_id WHERE d.tenant_id = $1 AND d.environment_id = $2 "
    "AND d.attachment_id = ANY($3) AND d.invoice_id <> ALL($4) AND d.amount > 0 "
    "AND i.status <> 'void' GROUP BY d.attachment_id, d.subscription_id"
)


async def page(scope: Scope, request: PageRequest) -> Page[CouponAttachment]:
    return (await listing.page(scope, ATTACHMENTS, request)).map(attachment_of)


async def by_ids(scope: Scope, ids: Collection[str]) -> dict[str, CouponAttachment]:
    """The attachments with these ids; absent ids are absent from the result."""
    rows = await having(scope, "coupon_attachments", "id", ids)
    return {row["id"]: attachment_of(row) for row in rows}


async def get(scope: Scope, attachment_id: str) -> CouponAttachment:
    """Raises: NotFound."""
    return the(await by_ids(scope, [attachment_id]), "coupon attachment", attachment_id)


async def of_owners(scope: Scope, owner_ids: Collection[str]) -> list[CouponAttachment]:
    """What is attached to these very customers, subscriptions and lines, in the order of ids."""
    rows = await having(scope, "coupon_attachments", "owner_id", owner_ids, also="ORDER BY id")
    return [attachment_of(row) for row in rows]


async def pages_of_coupons(
    scope: Scope, coupon_ids: Collection[str], request: PageRequest
) -> dict[str, Page[CouponAttachment]]:
    """The page of who has each coupon; every coupon is a key."""
    return await _pages(scope, "coupon_id", coupon_ids, request)


async def pages_of_customers(
    scope: Scope, customer_ids: Collection[str], request: PageRequest
) -> dict[str, Page[CouponAttachment]]:
    """The page of what each customer has, subscriptions included; every customer is a key."""
    return await _pages(scope, "customer_id", customer_ids, request)


async def pages_of_subscriptions(
    scope: Scope, subscription_ids: Collection[str], request: PageRequest
) -> dict[str, Page[CouponAttachment]]:
    """The page of what each subscription has, its lines included; every one is a key."""
    return await _pages(scope, "subscription_id", subscription_ids, request)


async def uses(
    scope: Scope, attachment_ids: Collection[str], *, without: Collection[str] = ()
) -> dict[tuple[str, str | None], int]:
    """On how many invoices each was taken off that are not void, by subscription; `without`
    these invoices."""
    if not attachment_ids:
        return {}
    rows = await fetch(
        scope, _USES, scope.tenant_id, scope.environment_id, list(attachment_ids), list(without)
    )
    return {(row["attachment_id"], row["subscription_id"]): row["uses"] for row in rows}


async def times_used(scope: Scope, attachment_ids: Collection[str]) -> dict[str, int]:
    """On how many invoices each was taken off; one that was on none is absent."""
    found: defaultdict[str, int] = defaultdict(int)
    for (attachment_id, _), times in (await uses(scope, attachment_ids)).items():
        found[attachment_id] += times
    return dict(found)


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


def attachment_of(row: asyncpg.Record) -> CouponAttachment:
    return CouponAttachment(
        id=row["id"],
        coupon_id=row["coupon_id"],
        customer_id=row["customer_id"],
        subscription_id=row["subscription_id"],
        line_item_id=row["line_item_id"],
        starts_at=row["starts_at"],
        ends_at=row["ends_at"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )


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


async def _pages(
    scope: Scope, column: str, parents: Collection[str], request: PageRequest
) -> dict[str, Page[CouponAttachment]]:
    found = await listing.pages_of(scope, ATTACHMENTS, request, column=column, parents=parents)
    return {parent: rows.map(attachment_of) for parent, rows in found.items()}
