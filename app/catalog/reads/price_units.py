"""Queries of price units. Every one takes the scope first and finds nothing outside it."""

from collections.abc import Collection

import asyncpg

from app.catalog.price_unit import PriceUnit, PriceUnitStatus
from app.infra import listing
from app.infra.listing import Column, Listing, Order, Page, PageRequest
from app.infra.rows import ARCHIVABLE_STATUS, having, json_of, the
from app.kernel.scope import Scope

LISTING = Listing(
    table="price_units",
    columns=(
        Column("id", "id", sortable=True),
        Column("code", "string", sortable=True),
        Column("name", "string", sortable=True),
        Column("base_currency", "string"),
        Column("status", "enum", sql=ARCHIVABLE_STATUS),
        Column("metadata", "json"),
        Column("created_at", "datetime", sortable=True),
        Column("updated_at", "datetime", sortable=True),
    ),
    default_order=(Order("created_at", descending=True),),
    searchable=("name", "code"),
)


async def page(scope: Scope, request: PageRequest) -> Page[PriceUnit]:
    return (await listing.page(scope, LISTING, request)).map(row_of)


async def by_ids(scope: Scope, ids: Collection[str]) -> dict[str, PriceUnit]:
    """The units with these ids; absent ids are absent from the result."""
    rows = await having(scope, "price_units", "id", ids)
    return {row["id"]: row_of(row) for row in rows}


async def by_codes(scope: Scope, codes: Collection[str]) -> dict[str, PriceUnit]:
    """The units that are not archived, by their codes."""
    rows = await having(scope, "price_units", "code", codes, also="AND archived_at IS NULL")
    return {row["code"]: row_of(row) for row in rows}


async def get(scope: Scope, unit_id: str, *, field: str = "id") -> PriceUnit:
    """Raises: NotFound, which names `field` as the input at fault."""
    return the(await by_ids(scope, [unit_id]), "price unit", unit_id, field=field)


def row_of(record: asyncpg.Record) -> PriceUnit:
    archived = record["archived_at"] is not None
    return PriceUnit(
        id=record["id"],
        code=record["code"],
        name=record["name"],
        symbol=record["symbol"],
        base_currency=record["base_currency"],
        conversion_rate=record["conversion_rate"],
        description=record["description"],
        metadata=json_of(record["metadata"]),
        status=PriceUnitStatus.ARCHIVED if archived else PriceUnitStatus.ACTIVE,
        created_at=record["created_at"],
        updated_at=record["updated_at"],
        archived_at=record["archived_at"],
    )
