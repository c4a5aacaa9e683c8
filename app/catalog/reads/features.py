"""Queries of features. Every one takes the scope first and finds nothing outside it."""

from collections.abc import Collection

import asyncpg

from app.catalog.feature import Feature, FeatureStatus, FeatureType, ReportingUnit
from app.infra import listing
from app.infra.listing import Column, Listing, Order, Page, PageRequest
from app.infra.rows import ARCHIVABLE_STATUS, having, json_of, the
from app.kernel.scope import Scope

LISTING = Listing(
    table="features",
    columns=(
        Column("id", "id", sortable=True),
        Column("name", "string", sortable=True),
        Column("lookup_key", "string", sortable=True),
        Column("type", "enum"),
        Column("meter_id", "id"),
        Column("group_id", "id", nullable=True),
        Column("status", "enum", sql=ARCHIVABLE_STATUS),
        Column("metadata", "json"),
        Column("created_at", "datetime", sortable=True),
        Column("updated_at", "datetime", sortable=True),
    ),
    default_order=(Order("created_at", descending=True),),
    searchable=("name", "lookup_key"),
)


async def page(scope: Scope, request: PageRequest) -> Page[Feature]:
    return (await listing.page(scope, LISTING, request)).map(row_of)


async def pages_of_groups(
    scope: Scope, group_ids: Collection[str], request: PageRequest
) -> dict[str, Page[Feature]]:
    """The page of each group's features, archived or not; every group is a key."""
    found = await listing.pages_of(scope, LISTING, request, column="group_id", parents=group_ids)
    return {group_id: rows.map(row_of) for group_id, rows in found.items()}


async def by_ids(scope: Scope, ids: Collection[str]) -> dict[str, Feature]:
    """The features with these ids; absent ids are absent from the result."""
    rows = await having(scope, "features", "id", ids)
    return {row["id"]: row_of(row) for row in rows}


async def by_lookup_keys(scope: Scope, keys: Collection[str]) -> dict[str, Feature]:
    """The features that are not archived, by the names that programs use for them."""
    rows = await having(scope, "features", "lookup_key", keys, also="AND archived_at IS NULL")
    return {row["lookup_key"]: row_of(row) for row in rows}


async def reporting_of_meters(scope: Scope, ids: Collection[str]) -> dict[str, list[Feature]]:
    """The features in use that show a meter's usage in a reporting unit, the oldest first.

    Every meter is a key.
    """
    rows = await having(
        scope,
        "features",
        "meter_id",
        ids,
        also="AND archived_at IS NULL AND reporting_unit IS NOT NULL ORDER BY id",
    )
    found: dict[str, list[Feature]] = {meter_id: [] for meter_id in ids}
    for row in rows:
        found[row["meter_id"]].append(row_of(row))
    return found


async def get(scope: Scope, feature_id: str, *, field: str = "id") -> Feature:
    """Raises: NotFound, which names `field` as the input at fault."""
    return the(await by_ids(scope, [feature_id]), "feature", feature_id, field=field)


def row_of(record: asyncpg.Record) -> Feature:
    reporting = record["reporting_unit"]
    return Feature(
        id=record["id"],
        name=record["name"],
        lookup_key=record["lookup_key"],
        type=FeatureType(record["type"]),
        meter_id=record["meter_id"],
        unit_singular=record["unit_singular"],
        unit_plural=record["unit_plural"],
        reporting_unit=None if reporting is None else ReportingUnit.from_json(json_of(reporting)),
        group_id=record["group_id"],
        description=record["description"],
        metadata=json_of(record["metadata"]),
        status=FeatureStatus.ACTIVE if record["archived_at"] is None else FeatureStatus.ARCHIVED,
        created_at=record["created_at"],
        updated_at=record["updated_at"],
        archived_at=record["archived_at"],
    )
