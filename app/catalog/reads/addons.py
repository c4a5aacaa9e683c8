"""Queries of addons. Every one takes the scope first and finds nothing outside it."""

from collections.abc import Collection

import asyncpg

from app.catalog.addon import Addon, AddonStatus, AddonType
from app.infra import listing
from app.infra.listing import Column, Listing, Order, Page, PageRequest
from app.infra.rows import ARCHIVABLE_STATUS, having, json_of, the
from app.kernel.scope import Scope

LISTING = Listing(
    table="addons",
    columns=(
        Column("id", "id", sortable=True),
        Column("name", "string", sortable=True),
        Column("lookup_key", "string", sortable=True),
        Column("type", "enum"),
        Column("status", "enum", sql=ARCHIVABLE_STATUS),
        Column("metadata", "json"),
        Column("created_at", "datetime", sortable=True),
        Column("updated_at", "datetime", sortable=True),
    ),
    default_order=(Order("created_at", descending=True),),
    searchable=("name", "lookup_key"),
)


async def page(scope: Scope, request: PageRequest) -> Page[Addon]:
    return (await listing.page(scope, LISTING, request)).map(row_of)


async def by_ids(scope: Scope, ids: Collection[str]) -> dict[str, Addon]:
    """The addons with these ids; absent ids are absent from the result."""
    rows = await having(scope, "addons", "id", ids)
    return {row["id"]: row_of(row) for row in rows}


async def by_lookup_keys(scope: Scope, keys: Collection[str]) -> dict[str, Addon]:
    """The addons that are not archived, by the names that programs use for them."""
    rows = await having(scope, "addons", "lookup_key", keys, also="AND archived_at IS NULL")
    return {row["lookup_key"]: row_of(row) for row in rows}


async def get(scope: Scope, addon_id: str, *, field: str = "id") -> Addon:
    """Raises: NotFound, which names `field` as the input at fault."""
    return the(await by_ids(scope, [addon_id]), "addon", addon_id, field=field)


def row_of(record: asyncpg.Record) -> Addon:
    return Addon(
        id=record["id"],
        name=record["name"],
        lookup_key=record["lookup_key"],
        type=AddonType(record["type"]),
        description=record["description"],
        metadata=json_of(record["metadata"]),
        status=AddonStatus.ACTIVE if record["archived_at"] is None else AddonStatus.ARCHIVED,
        created_at=record["created_at"],
        updated_at=record["updated_at"],
        archived_at=record["archived_at"],
    )
