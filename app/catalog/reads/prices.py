"""Queries of prices. Every one takes the scope first and finds nothing outside it."""

from collections.abc import Collection
from datetime import datetime

import asyncpg
import orjson

from app.catalog.price import Billing, ChargeKind, InvoiceTiming, Price, PriceStatus
from app.catalog.prices import Conversion, adjustments_from_json, from_json
from app.infra import listing
from app.infra.listing import Column, Listing, Order, Page, PageRequest
from app.infra.postgres import fetch
from app.infra.rows import having, json_of, the
from app.kernel.period import Cadence
from app.kernel.scope import Scope

LISTING = Listing(
    table="prices",
    columns=(
        Column("id", "id", sortable=True),
        Column("plan_id", "id", nullable=True),
        Column("plan_version_id", "id", nullable=True),
        Column("addon_id", "id", nullable=True),
        Column("subscription_id", "id", nullable=True),
        Column("overrides_id", "id", nullable=True),
        Column("offered", "boolean"),
        Column("lineage_id", "id"),
        Column("feature_id", "id"),
        Column("meter_id", "id"),
        Column("group_id", "id", nullable=True),
        Column("lookup_key", "string"),
        Column("display_name", "string", sortable=True),
        Column("charge", "enum"),
        Column("billing", "enum"),
        Column("model", "enum", sql="(model->>'model')"),
        Column("currency", "string"),
        Column("price_unit_id", "id", nullable=True),
        Column("timing", "enum"),
        Column("cadence_unit", "enum"),
        Column("content_hash", "string"),
        Column(
            "status",
            "enum",
            sql="(CASE WHEN effective_until IS NULL THEN 'active' ELSE 'archived' END)",
        ),
        Column("metadata", "json"),
        Column("effective_from", "datetime", sortable=True),
        Column("effective_until", "datetime", nullable=True, sortable=True),
        Column("created_at", "datetime", sortable=True),
        Column("updated_at", "datetime", sortable=True),
    ),
    default_order=(Order("created_at", descending=True),),
    searchable=("display_name", "lookup_key"),
)


async def page(scope: Scope, request: PageRequest) -> Page[Price]:
    return (await listing.page(scope, LISTING, request)).map(row_of)


async def pages_of_groups(
    scope: Scope, group_ids: Collection[str], request: PageRequest
) -> dict[str, Page[Price]]:
    """The page of each group's prices, ended or not; every group is a key."""
    found = await listing.pages_of(scope, LISTING, request, column="group_id", parents=group_ids)
    return {group_id: rows.map(row_of) for group_id, rows in found.items()}


async def by_ids(scope: Scope, ids: Collection[str]) -> dict[str, Price]:
    """The prices with these ids; absent ids are absent from the result."""
    rows = await having(scope, "prices", "id", ids)
    return {row["id"]: row_of(row) for row in rows}


async def by_lookup_keys(scope: Scope, keys: Collection[str]) -> dict[str, Price]:
    """The prices without an end that are offered, by the names that programs use for them."""
    rows = await having(
        scope, "prices", "lookup_key", keys, also="AND offered AND effective_until IS NULL"
    )
    return {row["lookup_key"]: row_of(row) for row in rows}


async def offered_of_plans(scope: Scope, plan_ids: Collection[str]) -> dict[str, list[Price]]:
    """Every price of each plan's current version, the oldest first; every plan is a key."""
    return await _of(scope, "plan_id", plan_ids, also="AND offered")


async def of_plans(
    scope: Scope, plan_ids: Collection[str], *, at: datetime
) -> dict[str, list[Price]]:
    """What of each plan's current version is in force at `at`; see `offered_of_plans`."""
    found = await offered_of_plans(scope, plan_ids)
    return {plan: [price for price in sold if price.in_force(at)] for plan, sold in found.items()}


async def all_of_versions(scope: Scope, version_ids: Collection[str]) -> dict[str, list[Price]]:
    """Every price that each version ever had, the oldest first; every version is a key."""
    return await _of(scope, "plan_version_id", version_ids)


async def all_of_addons(scope: Scope, addon_ids: Collection[str]) -> dict[str, list[Price]]:
    """Every price that each addon ever had, the oldest first; every addon is a key."""
    return await _of(scope, "addon_id", addon_ids)


async def of_version(scope: Scope, version_id: str, *, at: datetime) -> list[Price]:
    """The prices of the version that are in force at `at`, the oldest first."""
    found = await all_of_versions(scope, [version_id])
    return [price for price in found[version_id] if price.in_force(at)]


async def _of(
    scope: Scope, column: str, owners: Collection[str], *, also: str = ""
) -> dict[str, list[Price]]:
    rows = await having(scope, "prices", column, owners, also=f"{also} ORDER BY id")
    found: dict[str, list[Price]] = {owner: [] for owner in owners}
    for row in rows:
        found[row[column]].append(row_of(row))
    return found


async def successors(scope: Scope, ids: Collection[str]) -> dict[str, Price]:
    """The price that replaces each of these, by the id of the one replaced."""
    rows = await having(scope, "prices", "replaces_id", ids)
    return {row["replaces_id"]: row_of(row) for row in rows}


async def count_without_end(scope: Scope, feature_id: str) -> int:
    """How many prices of the feature, formulas over it included, are not archived."""
    rows = await fetch(
        scope,
        "SELECT count(*) AS prices FROM prices WHERE tenant_id = $1 AND environment_id = $2 "
        "AND (feature_id = $3 OR model @> $4::jsonb) AND effective_until IS NULL",
        scope.tenant_id,
        scope.environment_id,
        feature_id,
        orjson.dumps({"variables": [{"feature_id": feature_id}]}).decode(),
    )
    return int(rows[0]["prices"])


async def get(scope: Scope, price_id: str, *, field: str = "id") -> Price:
    """Raises: NotFound, which names `field` as the input at fault."""
    return the(await by_ids(scope, [price_id]), "price", price_id, field=field)


def row_of(record: asyncpg.Record) -> Price:
    until = record["effective_until"]
    return Price(
        id=record["id"],
        plan_id=record["plan_id"],
        plan_version_id=record["plan_version_id"],
        addon_id=record["addon_id"],
        offered=record["offered"],
        lineage_id=record["lineage_id"],
        feature_id=record["feature_id"],
        meter_id=record["meter_id"],
        lookup_key=record["lookup_key"],
        display_name=record["display_name"],
        group_id=record["group_id"],
        charge=ChargeKind(record["charge"]),
        billing=Billing(record["billing"]),
        model=from_json(record["model"]),
        adjustments=adjustments_from_json(record["adjustments"]),
        currency=record["currency"],
        conversion=_conversion(record),
        cadence=Cadence(record["cadence_unit"], record["cadence_count"]),
        timing=InvoiceTiming(record["timing"]),
        group_by=tuple(json_of(record["group_by"])),
        trial_days=record["trial_days"],
        metadata=json_of(record["metadata"]),
        content_hash=record["content_hash"],
        replaces_id=record["replaces_id"],
        effective_from=record["effective_from"],
        effective_until=until,
        status=PriceStatus.ACTIVE if until is None else PriceStatus.ARCHIVED,
        created_at=record["created_at"],
        updated_at=record["updated_at"],
        subscription_id=record["subscription_id"],
        overrides_id=record["overrides_id"],
        instead_of_plan_id=record["instead_of_plan_id"],
    )


def _conversion(record: asyncpg.Record) -> Conversion | None:
    unit_id = record["price_unit_id"]
    if unit_id is None:
        return None
    return Conversion(unit_id, record["price_unit"], record["conversion_rate"])
