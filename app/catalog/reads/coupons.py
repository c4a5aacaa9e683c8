"""Queries of coupons. Every one takes the scope first and finds nothing outside it."""

from collections.abc import Collection

import asyncpg

from app.catalog.coupon import (
    Coupon,
    CouponDuration,
    CouponKind,
    CouponLevel,
    CouponStatus,
    Limits,
)
from app.infra import listing
from app.infra.listing import Column, Listing, Order, Page, PageRequest
from app.infra.rows import ARCHIVABLE_STATUS, having, json_of, the
from app.kernel.scope import Scope

LISTING = Listing(
    table="coupons",
    columns=(
        Column("id", "id", sortable=True),
        Column("name", "string", sortable=True),
        Column("code", "string", sortable=True),
        Column("kind", "enum"),
        Column("duration", "enum"),
        Column("level", "enum"),
        Column("currency", "string", nullable=True),
        Column("redeem_from", "datetime", nullable=True),
        Column("redeem_until", "datetime", nullable=True),
        Column("redemptions", "integer", sortable=True),
        Column("status", "enum", sql=ARCHIVABLE_STATUS),
        Column("metadata", "json"),
        Column("created_at", "datetime", sortable=True),
        Column("updated_at", "datetime", sortable=True),
    ),
    default_order=(Order("created_at", descending=True),),
    searchable=("name", "code"),
)


async def page(scope: Scope, request: PageRequest) -> Page[Coupon]:
    return (await listing.page(scope, LISTING, request)).map(row_of)


async def by_ids(scope: Scope, ids: Collection[str]) -> dict[str, Coupon]:
    """The coupons with these ids; absent ids are absent from the result."""
    rows = await having(scope, "coupons", "id", ids)
    return {row["id"]: row_of(row) for row in rows}


async def by_codes(scope: Scope, codes: Collection[str]) -> dict[str, Coupon]:
    """The coupons that are not archived, by their codes as asked, in letters of any case."""
    folded = {folded_code(code) for code in codes}
    rows = await having(scope, "coupons", "folded_code", folded, also="AND archived_at IS NULL")
    found = {row["folded_code"]: row_of(row) for row in rows}
    return {code: found[folded_code(code)] for code in codes if folded_code(code) in found}


async def get(scope: Scope, coupon_id: str, *, field: str = "id") -> Coupon:
    """Raises: NotFound, which names `field` as the input at fault."""
    return the(await by_ids(scope, [coupon_id]), "coupon", coupon_id, field=field)


def folded_code(code: str) -> str:
    """What two spellings of one code have in common."""
    return code.strip().casefold()


def row_of(record: asyncpg.Record) -> Coupon:
    return Coupon(
        id=record["id"],
        name=record["name"],
        code=record["code"],
        kind=CouponKind(record["kind"]),
        percent_off=record["percent_off"],
        amount_off=record["amount_off"],
        currency=record["currency"],
        duration=CouponDuration(record["duration"]),
        periods=record["periods"],
        level=CouponLevel(record["level"]),
        limits=Limits(**{name: tuple(ids) for name, ids in json_of(record["limits"]).items()}),
        redeem_from=record["redeem_from"],
        redeem_until=record["redeem_until"],
        max_redemptions=record["max_redemptions"],
        redemptions=record["redemptions"],
        metadata=json_of(record["metadata"]),
        status=CouponStatus.ACTIVE if record["archived_at"] is None else CouponStatus.ARCHIVED,
        created_at=record["created_at"],
        updated_at=record["updated_at"],
        archived_at=record["archived_at"],
    )
