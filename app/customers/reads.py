"""Queries. Every one takes the scope first and finds nothing outside it."""

from collections import defaultdict
from collections.abc import Collection

import asyncpg
from msgspec import Struct

from app.customers.customer import Address, Customer, CustomerStatus, ElectronicAddress
from app.customers.family import Membership
from app.infra import listing
from app.infra.listing import Column, Listing, Order, Page, PageRequest
from app.infra.postgres import fetch
from app.infra.rows import ARCHIVABLE_STATUS, having, json_of, the
from app.kernel.scope import Scope

_MEMBERSHIPS = (
    "SELECT m.parent_id, m.customer_id, m.starts_at, m.ends_at, c.external_id "
    "FROM customer_memberships m JOIN customers c ON c.id = m.customer_id "
    "WHERE m.tenant_id = $1 AND m.environment_id = $2 AND m.parent_id = ANY($3) "
    "ORDER BY c.external_id, m.starts_at"
)
_CLOCK = "(SELECT m.clock_id FROM clock_members AS m WHERE m.owner_id = customers.id)"
LISTING = Listing(
    table="customers",
    columns=(
        Column("id", "id", sortable=True),
        Column("external_id", "string", sortable=True),
        Column("name", "string", sortable=True),
        Column("email", "string", nullable=True),
        Column("currency", "string", nullable=True),
        Column("timezone", "string"),
        Column("tax_id", "string", nullable=True),
        Column("parent_id", "id", nullable=True),
        Column(
            "status",
            "enum",
            sql=ARCHIVABLE_STATUS,
        ),
        Column("test_clock_id", "id", sql=_CLOCK, nullable=True),
        Column("metadata", "json"),
        Column("created_at", "datetime", sortable=True),
        Column("updated_at", "datetime", sortable=True),
    ),
    default_order=(Order("created_at", descending=True),),
    searchable=("name", "external_id", "email", "tax_id"),
)


async def page(scope: Scope, request: PageRequest) -> Page[Customer]:
    return (await listing.page(scope, LISTING, request)).map(row_of)


async def by_ids(scope: Scope, ids: Collection[str]) -> dict[str, Customer]:
    """The customers with these ids; absent ids are absent from the result."""
    rows = await having(scope, "customers", "id", ids)
    return {row["id"]: row_of(row) for row in rows}


class Parent(Struct, frozen=True):
    """Whom a customer belongs to, and whether its invoices go there unless a subscription says."""

    id: str
    pays: bool


async def parents_of(scope: Scope, ids: Collection[str]) -> dict[str, Parent]:
    """Those whom these customers belong to, by the customers' ids; most belong to nobody."""
    rows = await having(
        scope,
        "customers",
        "id",
        ids,
        also="AND parent_id IS NOT NULL",
        columns="id, parent_id, parent_pays",
    )
    return {row["id"]: Parent(row["parent_id"], row["parent_pays"]) for row in rows}


async def external_ids(scope: Scope, ids: Collection[str]) -> dict[str, str]:
    """The tenant's own names for the customers; absent ids are absent from the result."""
    rows = await having(scope, "customers", "id", ids, columns="id, external_id")
    return {row["id"]: row["external_id"] for row in rows}


async def zones_of_consolidating(
    scope: Scope, ids: Collection[str], *, unless_said: bool
) -> dict[str, str]:
    """The time zones of those customers who want one invoice of what falls due together; who does
    not say wants it if `unless_said`."""
    rows = await fetch(
        scope,
        "SELECT id, timezone FROM customers WHERE tenant_id = $1 AND environment_id = $2 "
        "AND id = ANY($3) AND coalesce(consolidate_invoices, $4)",
        scope.tenant_id,
        scope.environment_id,
        list(ids),
        unless_said,
    )
    return {row["id"]: row["timezone"] for row in rows}


async def by_external_ids(scope: Scope, external_ids: Collection[str]) -> dict[str, Customer]:
    """The customers that are not archived, by the tenant's own names for them."""
    rows = await having(
        scope, "customers", "external_id", external_ids, also="AND archived_at IS NULL"
    )
    return {row["external_id"]: row_of(row) for row in rows}


async def pages_of_clocks(
    scope: Scope, clock_ids: Collection[str], request: PageRequest
) -> dict[str, Page[Customer]]:
    """The page of the customers on each test clock; every clock is a key."""
    found = await listing.pages_of(scope, LISTING, request, column=_CLOCK, parents=clock_ids)
    return {clock_id: rows.map(row_of) for clock_id, rows in found.items()}


async def pages_of_parents(
    scope: Scope, parent_ids: Collection[str], request: PageRequest
) -> dict[str, Page[Customer]]:
    """The page of each customer's children, archived ones included; every parent is a key."""
    found = await listing.pages_of(scope, LISTING, request, column="parent_id", parents=parent_ids)
    return {parent_id: rows.map(row_of) for parent_id, rows in found.items()}


async def memberships_of(scope: Scope, parent_ids: Collection[str]) -> dict[str, list[Membership]]:
    """Who is and was in the family of each parent, and when; one without is absent."""
    rows = await fetch(scope, _MEMBERSHIPS, scope.tenant_id, scope.environment_id, list(parent_ids))
    found: defaultdict[str, list[Membership]] = defaultdict(list)
    for row in rows:
        found[row["parent_id"]].append(
            Membership(
                row["parent_id"],
                row["customer_id"],
                row["external_id"],
                row["starts_at"],
                row["ends_at"],
            )
        )
    return dict(found)


async def parents_ever(scope: Scope, customer_ids: Collection[str]) -> set[str]:
    """The ids of those in whose families any of the customers are or were."""
    rows = await having(
        scope, "customer_memberships", "customer_id", customer_ids, columns="DISTINCT parent_id"
    )
    return {row["parent_id"] for row in rows}


async def ids_of(scope: Scope, external_ids: Collection[str]) -> dict[str, str]:
    """The ids of the customers that are not archived, by the tenant's own names for them."""
    rows = await having(
        scope,
        "customers",
        "external_id",
        external_ids,
        also="AND archived_at IS NULL",
        columns="id, external_id",
    )
    return {row["external_id"]: row["id"] for row in rows}


async def get(scope: Scope, customer_id: str) -> Customer:
    """Raises: NotFound."""
    return the(await by_ids(scope, [customer_id]), "customer", customer_id)


def row_of(record: asyncpg.Record) -> Customer:
    return Customer(
        id=record["id"],
        external_id=record["external_id"],
        name=record["name"],
        email=record["email"],
        timezone=record["timezone"],
        currency=record["currency"],
        address=Address(**json_of(record["address"])),
        tax_id=record["tax_id"],
        registration_number=record["registration_number"],
        electronic_address=_electronic(json_of(record["electronic_address"])),
        locale=record["locale"],
        invoice_prefix=record["invoice_prefix"],
        consolidate_invoices=record["consolidate_invoices"],
        parent_id=record["parent_id"],
        parent_pays=record["parent_pays"],
        inherits=record["inherits"],
        metadata=json_of(record["metadata"]),
        status=CustomerStatus.ACTIVE if record["archived_at"] is None else CustomerStatus.ARCHIVED,
        created_at=record["created_at"],
        updated_at=record["updated_at"],
        archived_at=record["archived_at"],
    )


def _electronic(stored: dict[str, str] | None) -> ElectronicAddress | None:
    return None if stored is None else ElectronicAddress(**stored)
