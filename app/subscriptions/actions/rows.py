"""What the verbs share: the row's lock, and when it is billed next."""

from datetime import datetime
from typing import Any

import asyncpg

from app.infra import due
from app.kernel.commands import fields_of
from app.kernel.scope import Scope
from app.subscriptions import reads
from app.subscriptions.models import SubscriptionTable
from app.subscriptions.periods import next_point
from app.subscriptions.subscription import Subscription

# The kind of due work that bills a subscription.
BILL = "subscription.bill"
_LOCK = (
    "SELECT 1 FROM subscriptions WHERE tenant_id = $1 AND environment_id = $2 AND id = ANY($3) "
    "ORDER BY id FOR UPDATE"
)


async def lock(connection: asyncpg.Connection, scope: Scope, ids: list[str]) -> None:
    """Hold the rows, in the order of their ids, until the transaction ends."""
    await connection.execute(_LOCK, scope.tenant_id, scope.environment_id, ids)


async def locked(
    connection: asyncpg.Connection, scope: Scope, subscription_id: str
) -> Subscription:
    """The subscription as it stays until the transaction ends. Raises: NotFound."""
    await lock(connection, scope, [subscription_id])
    return await reads.get(scope, subscription_id)


async def schedule_billing(scope: Scope, subscription: Subscription) -> None:
    """Move the due work to the subscription's next point, or remove it after the last."""
    point = next_point(subscription)
    if point is None:
        await due.cancel(scope, BILL, [subscription.id])
    else:
        await due.schedule(scope, BILL, bill_at(subscription, point.at))


def bill_at(subscription: Subscription, at: datetime) -> due.Item:
    """The due work of billing the subscription's point at `at`."""
    return due.Item(subscription.id, at, subscription.customer_id)


def told(subscription: Subscription) -> dict[str, Any]:
    """What every event of a subscription carries."""
    return {
        "entity_id": subscription.id,
        "customer_id": subscription.customer_id,
        "plan_id": subscription.plan_id,
    }


def columns(subscription: Subscription) -> dict[str, Any]:
    """The subscription's row, without its scope."""
    row = fields_of(subscription)
    cadence, period = row.pop("cadence"), row.pop("current_period")
    return row | {
        "status": subscription.status.value,
        "metadata": dict(subscription.metadata),
        "cadence_unit": cadence.unit,
        "cadence_count": cadence.count,
        "current_period_start": period.start,
        "current_period_end": period.end,
    }


async def store(scope: Scope, subscription: Subscription) -> None:
    """Write a locked subscription's row."""
    row = columns(subscription)
    await SubscriptionTable.filter(
        tenant_id=scope.tenant_id, environment_id=scope.environment_id, id=row.pop("id")
    ).update(**row)
