"""Queries. Every one takes the scope first and finds nothing outside it."""

from collections.abc import Collection
from typing import Any

import asyncpg
import orjson

from app.customers.customer import Address, Customer, CustomerStatus
from app.infra import listing
from app.infra.listing import Column, Listing, Order, Page, PageRequest
from app.infra.postgres import fetch
from app.kernel.errors import NotFound
from app.kernel.scope import Scope

LISTING = Listing(
    table="customers",
    columns=(
        Column("id", "id", sortable=True),
        Column("external_id", "string", sortable=True),
        Column("name", "string", sortable=True),
        Column("email", "string"),
        Column("currency", "string"),
        Column("timezone", "string"),
        Column(
            "status",
            "enum",
            sql="(CASE WHEN archived_at IS NULL THEN 'active' ELSE 'archived' END)",
        ),
        Column("metadata", "json"),
        Column("created_at", "datetime", sortable=True),
        Column("updated_at", "datetime", sortable=True),
    ),
    default_order=(Order("created_at", descending=True),),
)
_SELECT = "SELECT * FROM customers WHERE tenant_id = $1 AND environment_id = $2 AND "


async def page(scope: Scope, request: PageRequest) -> Page[Customer]:
    return (await listing.page(scope, LISTING, request)).map(row_of)


async def by_ids(scope: Scope, ids: Collection[str]) -> dict[str, Customer]:
    """The customers with these ids; absent ids are absent from the result."""
    rows = await fetch(
        scope, _SELECT + "id = ANY($3)", scope.tenant_id, scope.environment_id, list(ids)
    )
    return {row["id"]: row_of(row) for row in rows}


async def by_external_ids(scope: Scope, external_ids: Collection[str]) -> dict[str, Customer]:
    """The customers that are not archived, by the tenant's own names for them."""
    rows = await fetch(
        scope,
        _SELECT + "external_id = ANY($3) AND archived_at IS NULL",
        scope.tenant_id,
        scope.environment_id,
        list(external_ids),
    )
    return {row["external_id"]: row_of(row) for row in rows}


async def get(scope: Scope, customer_id: str) -> Customer:
    """Raises: NotFound."""
    found = await by_ids(scope, [customer_id])
    if customer_id not in found:
        raise NotFound("customer", customer_id, field="id")
    return found[customer_id]


def row_of(record: asyncpg.Record) -> Customer:
    return Customer(
        id=record["id"],
        external_id=record["external_id"],
        name=record["name"],
        email=record["email"],
        timezone=record["timezone"],
        currency=record["currency"],
        address=Address(**_json(record["address"])),
        metadata=_json(record["metadata"]),
        status=CustomerStatus.ACTIVE if record["archived_at"] is None else CustomerStatus.ARCHIVED,
        created_at=record["created_at"],
        updated_at=record["updated_at"],
        archived_at=record["archived_at"],
    )


def _json(value: Any) -> Any:
    # asyncpg hands jsonb over as text unless a codec is set on the connection.
    return orjson.loads(value) if isinstance(value, str) else value
