"""Queries of whom taxes are asked of, and of who is spared them."""

from collections import defaultdict
from collections.abc import Collection, Mapping

import asyncpg

from app.infra import listing
from app.infra.listing import Column, Listing, Order, Page, PageRequest
from app.infra.rows import ARCHIVABLE_STATUS, having, json_of, the
from app.invoicing import reads as invoices
from app.invoicing.terms.taxation import (
    TaxAssociation,
    TaxAssociationStatus,
    TaxExemption,
    TaxTreatment,
)
from app.kernel.scope import Scope
from app.subscriptions import reads as subscriptions

_LEVEL = (
    "(CASE WHEN invoice_id IS NOT NULL THEN 'invoice' WHEN subscription_id IS NOT NULL "
    "THEN 'subscription' WHEN customer_id IS NOT NULL THEN 'customer' ELSE 'environment' END)"
)
ASSOCIATIONS = Listing(
    table="tax_associations",
    columns=(
        Column("id", "id", sortable=True),
        Column("tax_rate_id", "id"),
        Column("customer_id", "id", nullable=True),
        Column("subscription_id", "id", nullable=True),
        Column("invoice_id", "id", nullable=True),
        Column("level", "enum", sql=_LEVEL),
        Column("priority", "integer", sortable=True),
        Column("auto_apply", "boolean"),
        Column("starts_at", "datetime", nullable=True),
        Column("ends_at", "datetime", nullable=True),
        Column("status", "enum", sql=ARCHIVABLE_STATUS),
        Column("created_at", "datetime", sortable=True),
        Column("updated_at", "datetime", sortable=True),
    ),
    default_order=(Order("created_at", descending=True),),
)
EXEMPTIONS = Listing(
    table="tax_exemptions",
    columns=(
        Column("id", "id", sortable=True),
        Column("customer_id", "id"),
        Column("kind", "enum"),
        Column("certificate", "string", nullable=True),
        Column("starts_at", "datetime", nullable=True),
        Column("ends_at", "datetime", nullable=True),
        Column("status", "enum", sql=ARCHIVABLE_STATUS),
        Column("created_at", "datetime", sortable=True),
        Column("updated_at", "datetime", sortable=True),
    ),
    default_order=(Order("created_at", descending=True),),
    searchable=("certificate",),
)


async def page_of_associations(scope: Scope, request: PageRequest) -> Page[TaxAssociation]:
    return (await listing.page(scope, ASSOCIATIONS, request)).map(association_of)


async def associations_by_ids(scope: Scope, ids: Collection[str]) -> dict[str, TaxAssociation]:
    """The associations with these ids; absent ids are absent from the result."""
    rows = await having(scope, "tax_associations", "id", ids)
    return {row["id"]: association_of(row) for row in rows}


async def association(scope: Scope, association_id: str) -> TaxAssociation:
    """Raises: NotFound."""
    found = await associations_by_ids(scope, [association_id])
    return the(found, "tax association", association_id)


async def associations_of(scope: Scope, owner_ids: Collection[str]) -> list[TaxAssociation]:
    """Those that are not archived of these customers, subscriptions, invoices, environments."""
    rows = await having(
        scope,
        "tax_associations",
        "owner_id",
        owner_ids,
        also="AND archived_at IS NULL ORDER BY id",
    )
    return [association_of(row) for row in rows]


async def associations_of_owners(
    scope: Scope, owner_ids: Collection[str]
) -> dict[str, list[TaxAssociation]]:
    """`associations_of`, by the owner's id; an owner without is absent."""
    found: defaultdict[str, list[TaxAssociation]] = defaultdict(list)
    for each in await associations_of(scope, owner_ids):
        found[each.owner_id or scope.environment_id].append(each)
    return dict(found)


async def pages_of_rates(
    scope: Scope, rate_ids: Collection[str], request: PageRequest
) -> dict[str, Page[TaxAssociation]]:
    """The page of what each rate is associated with; every rate is a key."""
    found = await listing.pages_of(
        scope, ASSOCIATIONS, request, column="tax_rate_id", parents=rate_ids
    )
    return {rate_id: rows.map(association_of) for rate_id, rows in found.items()}


async def customers_of_associations(scope: Scope, ids: Collection[str]) -> dict[str, str]:
    """The ids of the customers that associations are with, directly or by their subscription or
    invoice; one with the environment is absent, like an absent id."""
    found = (await associations_by_ids(scope, ids)).values()
    subscribed = await subscriptions.customers_of(
        scope, {each.subscription_id for each in found if each.subscription_id is not None}
    )
    billed = await invoices.customers_of(
        scope, {each.invoice_id for each in found if each.invoice_id is not None}
    )
    owners = {each.id: _customer(each, subscribed, billed) for each in found}
    return {id_: owner for id_, owner in owners.items() if owner is not None}


def _customer(
    association: TaxAssociation, subscribed: Mapping[str, str], billed: Mapping[str, str]
) -> str | None:
    if association.subscription_id is not None:
        return subscribed.get(association.subscription_id)
    if association.invoice_id is not None:
        return billed.get(association.invoice_id)
    return association.customer_id


async def page_of_exemptions(scope: Scope, request: PageRequest) -> Page[TaxExemption]:
    return (await listing.page(scope, EXEMPTIONS, request)).map(exemption_of)


async def exemptions_by_ids(scope: Scope, ids: Collection[str]) -> dict[str, TaxExemption]:
    """The exemptions with these ids; absent ids are absent from the result."""
    rows = await having(scope, "tax_exemptions", "id", ids)
    return {row["id"]: exemption_of(row) for row in rows}


async def exemption(scope: Scope, exemption_id: str) -> TaxExemption:
    """Raises: NotFound."""
    return the(await exemptions_by_ids(scope, [exemption_id]), "tax exemption", exemption_id)


async def customers_of_exemptions(scope: Scope, ids: Collection[str]) -> dict[str, str]:
    """The ids of the customers that exemptions belong to, by theirs; absent ids are absent."""
    rows = await having(scope, "tax_exemptions", "id", ids, columns="id, customer_id")
    return {row["id"]: row["customer_id"] for row in rows}


async def exemptions_of_customers(
    scope: Scope, customer_ids: Collection[str]
) -> dict[str, list[TaxExemption]]:
    """Those that are not archived, by customer; a customer without is absent."""
    rows = await having(
        scope,
        "tax_exemptions",
        "customer_id",
        customer_ids,
        also="AND archived_at IS NULL ORDER BY id",
    )
    found: defaultdict[str, list[TaxExemption]] = defaultdict(list)
    for row in rows:
        found[row["customer_id"]].append(exemption_of(row))
    return dict(found)


def _status(row: asyncpg.Record) -> TaxAssociationStatus:
    archived = row["archived_at"] is not None
    return TaxAssociationStatus.ARCHIVED if archived else TaxAssociationStatus.ACTIVE


def association_of(row: asyncpg.Record) -> TaxAssociation:
    return TaxAssociation(
        id=row["id"],
        tax_rate_id=row["tax_rate_id"],
        customer_id=row["customer_id"],
        subscription_id=row["subscription_id"],
        invoice_id=row["invoice_id"],
        priority=row["priority"],
        auto_apply=row["auto_apply"],
        starts_at=row["starts_at"],
        ends_at=row["ends_at"],
        status=_status(row),
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        archived_at=row["archived_at"],
    )


def exemption_of(row: asyncpg.Record) -> TaxExemption:
    return TaxExemption(
        id=row["id"],
        customer_id=row["customer_id"],
        kind=TaxTreatment(row["kind"]),
        tax_rate_ids=tuple(json_of(row["tax_rate_ids"])),
        reason=row["reason"],
        certificate=row["certificate"],
        legend=row["legend"],
        starts_at=row["starts_at"],
        ends_at=row["ends_at"],
        status=_status(row),
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        archived_at=row["archived_at"],
    )
