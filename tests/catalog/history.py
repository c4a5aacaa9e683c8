"""What the audit log and the outbox say, and what a refusal must leave alone."""

from contextlib import asynccontextmanager

import orjson
import pytest

from app.infra.postgres import fetch

TABLES = (
    "catalog_groups",
    "features",
    "plans",
    "plan_versions",
    "addons",
    "price_units",
    "prices",
    "entitlements",
    "coupons",
    "tax_rates",
    "subscriptions",
    "subscription_holdings",
    "subscription_line_items",
    "subscription_pauses",
    "due_items",
    "outbox",
    "audit_entries",
)


async def audited(scope, entity_id):
    """The actions on an entity, the oldest first."""
    rows = await fetch(
        scope, "SELECT action FROM audit_entries WHERE entity_id = $1 ORDER BY id", entity_id
    )
    return [row["action"] for row in rows]


async def changes(scope, entity_id):
    """The last entry of the audit log on an entity, as (before, after)."""
    rows = await fetch(
        scope,
        "SELECT before, after FROM audit_entries WHERE entity_id = $1 ORDER BY id DESC LIMIT 1",
        entity_id,
    )
    return tuple(None if value is None else orjson.loads(value) for value in rows[0])


async def told(scope, entity_id):
    """The events of an entity with their payloads, the oldest first."""
    rows = await fetch(
        scope, "SELECT name, payload FROM outbox WHERE entity_id = $1 ORDER BY position", entity_id
    )
    return [(row["name"], orjson.loads(row["payload"])) for row in rows]


async def everything(scope):
    """Every row of the scope, as text."""
    return {
        table: sorted(
            row["row"]
            for row in await fetch(scope, f"SELECT t::text AS row FROM {table} AS t")  # noqa: S608
        )
        for table in TABLES
    }


@asynccontextmanager
async def refused(scope, error, code, field=None):
    """The block is refused so, and nothing has changed after it."""
    before = await everything(scope)
    with pytest.raises(error) as caught:
        yield
    assert (caught.value.code, caught.value.field) == (code, field)
    assert await everything(scope) == before
