"""What has to be known of a customer to say what it may use: four statements, however much.

They share one look at the database, so that what they say is of one moment.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

import asyncpg

from app.catalog.feature import Feature
from app.catalog.reads import entitlements, features
from app.infra.postgres import reading
from app.kernel.errors import NotFound
from app.kernel.scope import Scope
from app.metering import reads as meters
from app.metering.meter import Meter
from app.subscriptions.entitlements import Entitled, Given, put_together
from app.subscriptions.records import subscription_of
from app.subscriptions.subscription import Subscription

# {column}: `id` or `external_id`.
CUSTOMER = (
    "SELECT c.external_id AS customer_external_id, c.id AS asked_id, s.* FROM customers c "
    "LEFT JOIN subscriptions s ON s.tenant_id = c.tenant_id "
    "AND s.environment_id = c.environment_id "
    "AND s.customer_id = ANY(ARRAY[c.id, CASE WHEN c.inherits THEN c.parent_id END]) "
    "AND (s.customer_id = c.id OR c.archived_at IS NULL AND s.families <> '[]') "
    "WHERE c.tenant_id = $1 AND c.environment_id = $2 AND c.{column} = $3"
)
# A key means what is in use; where nothing has it any more, what had it last.
FEATURES = (
    "SELECT * FROM features WHERE tenant_id = $1 AND environment_id = $2 "
    "AND (id = ANY($3) OR lookup_key = ANY($3)) ORDER BY archived_at DESC NULLS FIRST, id DESC"
)
GIVEN = (
    "SELECT e.*, h.subscription_id AS held_by, h.quantity AS held, h.starts_at AS held_from, "
    "h.ends_at AS held_until FROM subscription_holdings h "
    "CROSS JOIN LATERAL jsonb_array_elements_text(h.entitlement_ids) AS bought(id) "
    "JOIN entitlements e ON e.id = bought.id "
    "WHERE h.tenant_id = $1 AND h.environment_id = $2 AND h.subscription_id = ANY($3) "
    "AND e.tenant_id = $1 AND e.environment_id = $2 AND e.feature_id = ANY($4) UNION ALL "
    "SELECT e.*, e.subscription_id, 1, e.effective_from, e.effective_until FROM entitlements e "
    "WHERE e.tenant_id = $1 AND e.environment_id = $2 AND e.subscription_id = ANY($3) "
    "AND e.feature_id = ANY($4)"
)
METERS = "SELECT * FROM meters WHERE tenant_id = $1 AND environment_id = $2 AND id = ANY($3)"


@dataclass(frozen=True, slots=True)
class Whose:
    """A customer, by its id or by the tenant's own name for it."""

    column: Literal["id", "external_id"]
    value: str

    @property
    def field(self) -> str:
        """The input that names it."""
        return "customerId" if self.column == "id" else "externalCustomerId"


@dataclass(frozen=True, slots=True)
class Facts:
    """`features` are by what they were asked for as; `entitled` has all of the subscriptions: the
    customer's, and those of its parent that ever counted a family."""

    customer_id: str
    external_customer_id: str
    subscriptions: Sequence[Subscription]
    features: Mapping[str, Feature]
    entitled: Mapping[str, Entitled]
    meters: Mapping[str, Meter]


async def facts(scope: Scope, whose: Whose, keys: Sequence[str]) -> Facts:
    """Raises: NotFound (the customer)."""
    async with reading(scope) as connection:
        customer_id, external_id, subscriptions = await _customer(connection, scope, whose)
        found = await _features(connection, scope, keys)
        ids = {feature.id for feature in found.values()}
        given = await _given(connection, scope, subscriptions, ids)
        meter_ids = {each.meter_id for each in found.values() if each.meter_id is not None}
        rows = await connection.fetch(
            METERS, scope.tenant_id, scope.environment_id, list(meter_ids)
        )
    entitled = {each.id: put_together(each, given[each.id]) for each in subscriptions}
    counted = {row["id"]: meters.row_of(row) for row in rows}
    return Facts(customer_id, external_id, subscriptions, found, entitled, counted)


async def _customer(
    connection: asyncpg.Connection, scope: Scope, whose: Whose
) -> tuple[str, str, list[Subscription]]:
    rows = await connection.fetch(
        CUSTOMER.format(column=whose.column), scope.tenant_id, scope.environment_id, whose.value
    )
    if not rows:
        raise NotFound("customer", whose.value, field=whose.field)
    subscriptions = [subscription_of(row) for row in rows if row["id"] is not None]
    return rows[0]["asked_id"], rows[0]["customer_external_id"], subscriptions


async def _features(
    connection: asyncpg.Connection, scope: Scope, keys: Sequence[str]
) -> dict[str, Feature]:
    rows = await connection.fetch(FEATURES, scope.tenant_id, scope.environment_id, list(keys))
    found = [features.row_of(row) for row in rows]
    by_key: dict[str, Feature] = {}
    for each in found:
        by_key.setdefault(each.lookup_key, each)
    by_id = {each.id: each for each in found}
    named = {key: by_key.get(key) or by_id.get(key) for key in keys}
    return {key: feature for key, feature in named.items() if feature is not None}


async def _given(
    connection: asyncpg.Connection,
    scope: Scope,
    subscriptions: Sequence[Subscription],
    feature_ids: Collection[str],
) -> dict[str, list[Given]]:
    of = {each.id: each for each in subscriptions}
    rows = await connection.fetch(
        GIVEN, scope.tenant_id, scope.environment_id, list(of), list(feature_ids)
    )
    found: dict[str, list[Given]] = {key: [] for key in of}
    for row in rows:
        subscription = of[row["held_by"]]
        given = Given.cut(
            subscription,
            entitlements.row_of(row),
            quantity=Decimal(row["held"]),
            start=row["held_from"],
            end=row["held_until"],
        )
        found[subscription.id] += [] if given is None else [given]
    return found
