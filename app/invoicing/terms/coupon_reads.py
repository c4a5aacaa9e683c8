"""Queries of who has coupons, and of how often they were taken off."""

from collections import defaultdict
from collections.abc import Collection

import asyncpg

from app.infra import listing
from app.infra.listing import Column, Listing, Order, Page, PageRequest
from app.infra.postgres import fetch
from app.infra.rows import having, the
from app.invoicing.terms.attachment import CouponAttachment
from app.kernel.scope import Scope

ATTACHMENTS = Listing(
    table="coupon_attachments",
    columns=(
        Column("id", "id", sortable=True),
        Column("coupon_id", "id"),
        Column("customer_id", "id"),
        Column("subscription_id", "id", nullable=True),
        Column("subscription_line_item_id", "id", sql="line_item_id", nullable=True),
        Column("starts_at", "datetime", sortable=True),
        Column("ends_at", "datetime", sortable=True, nullable=True),
        Column("created_at", "datetime", sortable=True),
        Column("updated_at", "datetime", sortable=True),
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


async def customers_of(scope: Scope, ids: Collection[str]) -> dict[str, str]:
    """The ids of the customers that attachments belong to, by theirs; absent ids are absent."""
    rows = await having(scope, "coupon_attachments", "id", ids, columns="id, customer_id")
    return {row["id"]: row["customer_id"] for row in rows}


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


async def _pages(
    scope: Scope, column: str, parents: Collection[str], request: PageRequest
) -> dict[str, Page[CouponAttachment]]:
    found = await listing.pages_of(scope, ATTACHMENTS, request, column=column, parents=parents)
    return {parent: rows.map(attachment_of) for parent, rows in found.items()}
