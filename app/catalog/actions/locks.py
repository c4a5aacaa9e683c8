"""Row locks of the catalogue.

Taken in this order: plan, addon, group, price unit, feature, price, coupon, tax rate. A plan's
row stands for its versions too: they have no locks of their own.
"""

from collections.abc import Collection
from typing import Literal

import asyncpg

from app.kernel.scope import Scope

Table = Literal[
    "plans",
    "addons",
    "catalog_groups",
    "price_units",
    "features",
    "prices",
    "coupons",
    "tax_rates",
]


async def lock(
    connection: asyncpg.Connection,
    scope: Scope,
    table: Table,
    entity_id: str,
    *,
    shared: bool = False,
) -> None:
    """Hold the row until the transaction ends; `shared` keeps others only from changing it."""
    await connection.execute(
        f"SELECT 1 FROM {table} WHERE tenant_id = $1 AND environment_id = $2 AND id = $3 "  # noqa: S608
        f"FOR {'SHARE' if shared else 'UPDATE'}",
        scope.tenant_id,
        scope.environment_id,
        entity_id,
    )


async def lock_all(
    connection: asyncpg.Connection, scope: Scope, table: Table, ids: Collection[str]
) -> None:
    """Keep others from changing the rows until the transaction ends, in the order of their ids."""
    await connection.execute(
        f"SELECT 1 FROM {table} WHERE tenant_id = $1 AND environment_id = $2 AND id = ANY($3) "  # noqa: S608
        "ORDER BY id FOR SHARE",
        scope.tenant_id,
        scope.environment_id,
        list(ids),
    )
