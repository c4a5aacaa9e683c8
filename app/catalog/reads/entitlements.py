"""Queries of entitlements. Every one takes the scope first and finds nothing outside it."""

from collections.abc import Awaitable, Callable, Collection
from datetime import datetime

import asyncpg

from app.catalog.entitlement import Entitlement, Overrides, Owner, OwnerKind
from app.catalog.entitlement_terms import from_json
from app.infra import listing
from app.infra.listing import Column, Listing, Order, Page, PageRequest
from app.infra.postgres import fetch
from app.infra.rows import having, json_of, the
from app.kernel.scope import Scope

LISTING = Listing(
    table="entitlements",
    columns=(
        Column("id", "id", sortable=True),
        Column("plan_id", "id", nullable=True),
        Column("plan_version_id", "id", nullable=True),
        Column("addon_id", "id", nullable=True),
        Column("subscription_id", "id", nullable=True),
        Column("feature_id", "id"),
        Column("type", "enum", sql="(terms->>'type')"),
        Column("resets", "enum", sql="(terms->>'resets')", nullable=True),
        Column("enabled", "boolean"),
        Column("overrides", "enum", nullable=True),
        Column("content_hash", "string"),
        Column("metadata", "json"),
        Column("effective_from", "datetime", sortable=True),
        Column("effective_until", "datetime", nullable=True),
        Column("created_at", "datetime", sortable=True),
        Column("updated_at", "datetime", sortable=True),
    ),
    default_order=(Order("created_at", descending=True),),
)
_SELECT = "SELECT * FROM entitlements WHERE tenant_id = $1 AND environment_id = $2 AND "
_OFFERED = (
    "SELECT e.* FROM entitlements e JOIN plan_versions v ON v.id = e.plan_version_id AND v.current "
    "WHERE e.tenant_id = $1 AND e.environment_id = $2 AND v.tenant_id = $1 "
    "AND v.environment_id = $2 AND e.plan_id = ANY($3) ORDER BY e.id"
)
# The column that says whose an entitlement is: of a plan, which version's.
OWNER_COLUMN = {
    OwnerKind.PLAN: "plan_version_id",
    OwnerKind.ADDON: "addon_id",
    OwnerKind.SUBSCRIPTION: "subscription_id",
}
_IN_FORCE = "effective_from <= $4 AND (effective_until IS NULL OR effective_until > $4)"


async def page(scope: Scope, request: PageRequest) -> Page[Entitlement]:
    return (await listing.page(scope, LISTING, request)).map(row_of)


async def by_ids(scope: Scope, ids: Collection[str]) -> dict[str, Entitlement]:
    """The entitlements with these ids; absent ids are absent from the result."""
    rows = await having(scope, "entitlements", "id", ids)
    return {row["id"]: row_of(row) for row in rows}


async def get(scope: Scope, entitlement_id: str, *, field: str = "id") -> Entitlement:
    """Raises: NotFound, which names `field` as the input at fault."""
    found = await by_ids(scope, [entitlement_id])
    return the(found, "entitlement", entitlement_id, field=field)


def all_of(
    kind: OwnerKind,
) -> Callable[[Scope, Collection[str]], Awaitable[dict[str, list[Entitlement]]]]:
    """Reads every entitlement that owners of a kind ever had, the oldest first; every owner is
    a key. Of plans, their versions are the owners."""
    column = OWNER_COLUMN[kind]

    async def read(scope: Scope, ids: Collection[str]) -> dict[str, list[Entitlement]]:
        rows = await having(scope, "entitlements", column, ids, also="ORDER BY id")
        found: dict[str, list[Entitlement]] = {owner: [] for owner in ids}
        for row in rows:
            found[row[column]].append(row_of(row))
        return found

    return read


async def offered_of_plans(scope: Scope, plan_ids: Collection[str]) -> dict[str, list[Entitlement]]:
    """Every entitlement of each plan's current version, the oldest first; every plan is a key."""
    rows = await fetch(scope, _OFFERED, scope.tenant_id, scope.environment_id, list(plan_ids))
    found: dict[str, list[Entitlement]] = {plan_id: [] for plan_id in plan_ids}
    for row in rows:
        found[row["plan_id"]].append(row_of(row))
    return found


async def bought_or_own(
    scope: Scope, ids: Collection[str], subscription_ids: Collection[str]
) -> list[Entitlement]:
    """The entitlements with these ids, and those of these subscriptions, the oldest first."""
    rows = await fetch(
        scope,
        f"{_SELECT}(id = ANY($3) OR subscription_id = ANY($4)) ORDER BY id",
        scope.tenant_id,
        scope.environment_id,
        list(ids),
        list(subscription_ids),
    )
    return [row_of(row) for row in rows]


async def of_owner(scope: Scope, owner: Owner, *, at: datetime) -> list[Entitlement]:
    """The owner's entitlements in force at `at`, the oldest first."""
    rows = await fetch(
        scope,
        f"{_SELECT}{OWNER_COLUMN[owner.kind]} = $3 AND {_IN_FORCE} ORDER BY id",
        scope.tenant_id,
        scope.environment_id,
        owner.version_id or owner.id,
        at,
    )
    return [row_of(row) for row in rows]


async def of_owner_and_feature(scope: Scope, owner: Owner, feature_id: str) -> list[Entitlement]:
    """What the owner ever gave of a feature, the oldest first."""
    rows = await fetch(
        scope,
        f"{_SELECT}{OWNER_COLUMN[owner.kind]} = $3 AND feature_id = $4 ORDER BY id",
        scope.tenant_id,
        scope.environment_id,
        owner.version_id or owner.id,
        feature_id,
    )
    return [row_of(row) for row in rows]


async def successors(scope: Scope, ids: Collection[str]) -> dict[str, Entitlement]:
    """The entitlement that replaces each of these, by the id of the one replaced."""
    rows = await having(scope, "entitlements", "replaces_id", ids)
    return {row["replaces_id"]: row_of(row) for row in rows}


async def count_without_end(scope: Scope, feature_id: str) -> int:
    """How many entitlements to the feature have no end."""
    rows = await fetch(
        scope,
        "SELECT count(*) AS entitlements FROM entitlements WHERE tenant_id = $1 "
        "AND environment_id = $2 AND feature_id = $3 AND effective_until IS NULL",
        scope.tenant_id,
        scope.environment_id,
        feature_id,
    )
    return int(rows[0]["entitlements"])


def row_of(record: asyncpg.Record) -> Entitlement:
    overrides = record["overrides"]
    return Entitlement(
        id=record["id"],
        owner=_owner(record),
        feature_id=record["feature_id"],
        enabled=record["enabled"],
        terms=from_json(record["terms"]),
        overrides=None if overrides is None else Overrides(overrides),
        metadata=json_of(record["metadata"]),
        content_hash=record["content_hash"],
        replaces_id=record["replaces_id"],
        effective_from=record["effective_from"],
        effective_until=record["effective_until"],
        created_at=record["created_at"],
        updated_at=record["updated_at"],
    )


def _owner(record: asyncpg.Record) -> Owner:
    for kind in OwnerKind:
        if (id_ := record[f"{kind.value}_id"]) is not None:
            return Owner(kind, id_, record["plan_version_id"])
    raise ValueError(f"entitlement {record['id']} has no owner")
