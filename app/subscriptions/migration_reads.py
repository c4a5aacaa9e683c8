"""Queries of bulk migrations. Every one takes the scope first and finds nothing outside it."""

from collections.abc import Collection
from typing import Any

import asyncpg

from app.infra import listing
from app.infra.listing import And, Column, Condition, Listing, Order, Page, PageRequest, Where
from app.infra.rows import having, json_of, the
from app.kernel.copies import fields_of
from app.kernel.scope import Scope
from app.subscriptions.change import ChangeMode, Failure, Proration
from app.subscriptions.migration import (
    MigrationCounts,
    MigrationItem,
    MigrationItemStatus,
    MigrationStatus,
    PlanMigration,
)
from app.subscriptions.reads import LISTING as SUBSCRIPTIONS
from app.subscriptions.subscription import OVER

MIGRATIONS = Listing(
    table="plan_migrations",
    columns=(
        Column("id", "id", sortable=True),
        Column("status", "enum"),
        Column("plan_id", "id"),
        Column("plan_version_id", "id"),
        Column("mode", "enum"),
        Column("finished_at", "datetime", sortable=True, nullable=True),
        Column("created_at", "datetime", sortable=True),
        Column("updated_at", "datetime", sortable=True),
    ),
    default_order=(Order("created_at", descending=True),),
)
ITEMS = Listing(
    table="plan_migration_items",
    columns=(
        Column("id", "id", sortable=True),
        Column("migration_id", "id"),
        Column("subscription_id", "id"),
        Column("customer_id", "id"),
        Column("status", "enum"),
        Column("from_plan_version_id", "id"),
        Column("failure_code", "string", nullable=True),
        Column("done_at", "datetime", sortable=True, nullable=True),
        Column("created_at", "datetime", sortable=True),
        Column("updated_at", "datetime", sortable=True),
    ),
    default_order=(Order("id"),),
)


async def selected(
    scope: Scope, where: Where | None, version_id: str, *, limit: int
) -> list[asyncpg.Record]:
    """The first `limit` subscriptions of the filter, by id, that are neither over nor on the
    version: `id`, `customer_id` and `plan_version_id`. Raises: Invalid (INVALID_FILTER, …)."""
    going = And(
        (
            Condition("status", "not_in", [status.value for status in OVER]),
            Condition("plan_version_id", "ne", version_id),
            *(() if where is None else (where,)),
        )
    )
    columns = "id, customer_id, plan_version_id"
    return await listing.first(scope, SUBSCRIPTIONS, going, columns=columns, limit=limit)


async def page(scope: Scope, request: PageRequest) -> Page[PlanMigration]:
    return (await listing.page(scope, MIGRATIONS, request)).map(migration_of)


async def by_ids(scope: Scope, ids: Collection[str]) -> dict[str, PlanMigration]:
    """The migrations with these ids; absent ids are absent from the result."""
    rows = await having(scope, "plan_migrations", "id", ids)
    return {row["id"]: migration_of(row) for row in rows}


async def get(scope: Scope, migration_id: str) -> PlanMigration:
    """Raises: NotFound."""
    return the(await by_ids(scope, [migration_id]), "plan migration", migration_id)


async def items_page(scope: Scope, request: PageRequest) -> Page[MigrationItem]:
    return (await listing.page(scope, ITEMS, request)).map(item_of)


async def items_by_ids(scope: Scope, ids: Collection[str]) -> dict[str, MigrationItem]:
    """The items with these ids; absent ids are absent from the result."""
    rows = await having(scope, "plan_migration_items", "id", ids)
    return {row["id"]: item_of(row) for row in rows}


async def pages_of_items(
    scope: Scope, migration_ids: Collection[str], request: PageRequest
) -> dict[str, Page[MigrationItem]]:
    """The page of each migration's items, in the order of their turns; every migration is a
    key."""
    found = await listing.pages_of(
        scope, ITEMS, request, column="migration_id", parents=migration_ids
    )
    return {key: rows.map(item_of) for key, rows in found.items()}


def migration_of(record: asyncpg.Record) -> PlanMigration:
    return PlanMigration(
        id=record["id"],
        status=MigrationStatus(record["status"]),
        plan_id=record["plan_id"],
        plan_version_id=record["plan_version_id"],
        mode=ChangeMode(record["mode"]),
        at=record["at"],
        proration=Proration(record["proration"]),
        terms=json_of(record["terms"]),
        counts=MigrationCounts(
            total=record["total"],
            pending=record["pending"],
            changed=record["changed"],
            refused=record["refused"],
            canceled=record["canceled"],
        ),
        finished_at=record["finished_at"],
        created_at=record["created_at"],
        updated_at=record["updated_at"],
    )


def migration_columns(migration: PlanMigration) -> dict[str, Any]:
    """The migration's row, without its scope."""
    row = fields_of(migration)
    return (
        row
        | fields_of(row.pop("counts"))
        | {
            "terms": dict(migration.terms),
            **{name: row[name].value for name in ("status", "mode", "proration")},
        }
    )


def item_of(record: asyncpg.Record) -> MigrationItem:
    code = record["failure_code"]
    return MigrationItem(
        id=record["id"],
        migration_id=record["migration_id"],
        subscription_id=record["subscription_id"],
        customer_id=record["customer_id"],
        status=MigrationItemStatus(record["status"]),
        from_plan_version_id=record["from_plan_version_id"],
        change_id=record["change_id"],
        failure=None if code is None else Failure(code, record["failure_message"]),
        done_at=record["done_at"],
        created_at=record["created_at"],
        updated_at=record["updated_at"],
    )
