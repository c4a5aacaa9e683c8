"""Queries of tax rates. Every one takes the scope first and finds nothing outside it."""

from collections.abc import Collection

import asyncpg

from app.catalog.tax_rate import TaxRate, TaxRateKind, TaxRateStatus
from app.infra import listing
from app.infra.listing import Column, Listing, Order, Page, PageRequest
from app.infra.rows import ARCHIVABLE_STATUS, having, json_of, the
from app.kernel.scope import Scope

LISTING = Listing(
    table="tax_rates",
    columns=(
        Column("id", "id", sortable=True),
        Column("name", "string", sortable=True),
        Column("code", "string", sortable=True),
        Column("kind", "enum"),
        Column("percent", "decimal", sortable=True, nullable=True),
        Column("inclusive", "boolean"),
        Column("currency", "string", nullable=True),
        Column("status", "enum", sql=ARCHIVABLE_STATUS),
        Column("metadata", "json"),
        Column("created_at", "datetime", sortable=True),
        Column("updated_at", "datetime", sortable=True),
    ),
    default_order=(Order("created_at", descending=True),),
    searchable=("name", "code"),
)


async def page(scope: Scope, request: PageRequest) -> Page[TaxRate]:
    return (await listing.page(scope, LISTING, request)).map(row_of)


async def by_ids(scope: Scope, ids: Collection[str]) -> dict[str, TaxRate]:
    """The rates with these ids; absent ids are absent from the result."""
    rows = await having(scope, "tax_rates", "id", ids)
    return {row["id"]: row_of(row) for row in rows}


async def by_codes(scope: Scope, codes: Collection[str]) -> dict[str, TaxRate]:
    """The rates that are not archived, by the names that programs use for them."""
    rows = await having(scope, "tax_rates", "code", codes, also="AND archived_at IS NULL")
    return {row["code"]: row_of(row) for row in rows}


async def get(scope: Scope, tax_rate_id: str, *, field: str = "id") -> TaxRate:
    """Raises: NotFound, which names `field` as the input at fault."""
    return the(await by_ids(scope, [tax_rate_id]), "tax rate", tax_rate_id, field=field)


def row_of(record: asyncpg.Record) -> TaxRate:
    return TaxRate(
        id=record["id"],
        name=record["name"],
        code=record["code"],
        kind=TaxRateKind(record["kind"]),
        percent=record["percent"],
        amount=record["amount"],
        currency=record["currency"],
        inclusive=record["inclusive"],
        compound=record["compound"],
        description=record["description"],
        metadata=json_of(record["metadata"]),
        status=TaxRateStatus.ACTIVE if record["archived_at"] is None else TaxRateStatus.ARCHIVED,
        created_at=record["created_at"],
        updated_at=record["updated_at"],
        archived_at=record["archived_at"],
    )
