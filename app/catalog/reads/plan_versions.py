"""Queries of plan versions. Every one takes the scope first and finds nothing outside it."""

from collections.abc import Collection
from datetime import datetime

import asyncpg

from app.catalog.differences import Difference, difference
from app.catalog.plan_version import PlanVersion, status_of
from app.catalog.reads import prices
from app.infra import listing
from app.infra.listing import Column, Listing, Order, Page, PageRequest
from app.infra.postgres import fetch
from app.infra.rows import having, the
from app.kernel.scope import Scope

LISTING = Listing(
    table="plan_versions",
    columns=(
        Column("id", "id", sortable=True),
        Column("plan_id", "id"),
        Column("number", "integer", sortable=True),
        Column(
            "status",
            "enum",
            sql="(CASE WHEN archived_at IS NOT NULL THEN 'archived' "
            "WHEN published_at IS NULL THEN 'draft' ELSE 'published' END)",
        ),
        Column("current", "boolean"),
        Column("published_at", "datetime", nullable=True, sortable=True),
        Column("created_at", "datetime", sortable=True),
        Column("updated_at", "datetime", sortable=True),
    ),
    default_order=(Order("created_at", descending=True),),
)


async def page(scope: Scope, request: PageRequest) -> Page[PlanVersion]:
    return (await listing.page(scope, LISTING, request)).map(row_of)


async def pages_of_plans(
    scope: Scope, plan_ids: Collection[str], request: PageRequest
) -> dict[str, Page[PlanVersion]]:
    """The page of each plan's versions, whatever their status; every plan is a key."""
    found = await listing.pages_of(scope, LISTING, request, column="plan_id", parents=plan_ids)
    return {plan_id: rows.map(row_of) for plan_id, rows in found.items()}


async def by_ids(scope: Scope, ids: Collection[str]) -> dict[str, PlanVersion]:
    """The versions with these ids; absent ids are absent from the result."""
    rows = await having(scope, "plan_versions", "id", ids)
    return {row["id"]: row_of(row) for row in rows}


async def current_of_plans(scope: Scope, plan_ids: Collection[str]) -> dict[str, PlanVersion]:
    """What new subscriptions take of each plan; a plan of which nothing is for sale is absent."""
    rows = await having(scope, "plan_versions", "plan_id", plan_ids, also="AND current")
    return {row["plan_id"]: row_of(row) for row in rows}


async def all_of_plan(scope: Scope, plan_id: str) -> list[PlanVersion]:
    """Every version of the plan, the first first."""
    rows = await having(scope, "plan_versions", "plan_id", [plan_id], also="ORDER BY number")
    return [row_of(row) for row in rows]


async def get(scope: Scope, version_id: str, *, field: str = "id") -> PlanVersion:
    """Raises: NotFound, which names `field` as the input at fault."""
    return the(await by_ids(scope, [version_id]), "plan version", version_id, field=field)


async def compared(
    scope: Scope, before_id: str, after_id: str, *, at: datetime, fields: tuple[str, str]
) -> Difference:
    """What the second version charges differently from the first, now or later, as of `at`.

    Raises: NotFound, which names one of `fields` as the input at fault.
    """
    found = await by_ids(scope, [before_id, after_id])
    for version_id, field in zip((before_id, after_id), fields, strict=True):
        the(found, "plan version", version_id, field=field)
    sold = await prices.all_of_versions(scope, list(found))
    before, after = (
        [price for price in sold[version_id] if price.stands(at)]
        for version_id in (before_id, after_id)
    )
    return difference(before, after)


async def taken_keys(scope: Scope, plan_id: str) -> list[str]:
    """The lookup keys of the plan's prices that prices of other plans and of addons have."""
    rows = await fetch(
        scope,
        "SELECT DISTINCT mine.lookup_key FROM prices mine JOIN prices theirs "
        "ON theirs.tenant_id = mine.tenant_id AND theirs.environment_id = mine.environment_id "
        "AND theirs.lookup_key = mine.lookup_key AND theirs.offered "
        "AND theirs.effective_until IS NULL AND theirs.plan_id IS DISTINCT FROM mine.plan_id "
        "WHERE mine.tenant_id = $1 AND mine.environment_id = $2 AND mine.plan_id = $3 "
        "AND mine.effective_until IS NULL ORDER BY 1",
        scope.tenant_id,
        scope.environment_id,
        plan_id,
    )
    return [row["lookup_key"] for row in rows]


def row_of(record: asyncpg.Record) -> PlanVersion:
    return PlanVersion(
        id=record["id"],
        plan_id=record["plan_id"],
        number=record["number"],
        description=record["description"],
        status=status_of(record["published_at"], record["archived_at"]),
        current=record["current"],
        published_at=record["published_at"],
        archived_at=record["archived_at"],
        created_at=record["created_at"],
        updated_at=record["updated_at"],
    )
