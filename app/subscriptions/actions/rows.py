"""What the verbs share: the row's lock, its conditional write, and when it is billed next."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import asyncpg

from app.infra import due, outbox
from app.kernel.copies import replace
from app.kernel.errors import Conflict
from app.kernel.events import Event
from app.kernel.scope import Actor, Scope
from app.subscriptions import reads
from app.subscriptions.changes.standing import refreshed
from app.subscriptions.models import SubscriptionTable
from app.subscriptions.periods import next_point
from app.subscriptions.records import columns
from app.subscriptions.subscription import OVER, Subscription, SubscriptionStatus
from app.tenants import audit

# The kind of due work that bills a subscription.
BILL = "subscription.bill"
# The kind of due work that looks whether usage has come to a subscription's threshold.
THRESHOLD = "subscription.threshold"
_LOCK = (
    "SELECT count(*) FROM (SELECT 1 FROM subscriptions WHERE tenant_id = $1 "
    "AND environment_id = $2 AND id = ANY($3) ORDER BY id FOR UPDATE) AS held"
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


async def save(
    scope: Scope,
    before: Subscription,
    after: Subscription,
    events: Sequence[Event],
    *,
    action: str,
    by: Actor,
    at: datetime,
) -> Subscription:
    """Write a locked subscription's change with its due work, audit entry and events."""
    after = replace(refreshed(after), revision=before.revision + 1, updated_at=at)
    await _store(scope, before, after)
    await schedule_billing(scope, after)
    if before.terms.auto_invoice_threshold is not None or watched(after, at):
        await schedule_threshold(scope, after, at=at)
    await audit.record(scope, by, action, after.id, at=at, before=before, after=after)
    await outbox.put_many(scope, events)
    return after


async def schedule_billing(scope: Scope, subscription: Subscription) -> None:
    """Move the due work to the subscription's next point, or remove it where there is none."""
    draft = subscription.status is SubscriptionStatus.DRAFT
    point = None if draft else next_point(subscription)
    if point is None:
        await due.cancel(scope, BILL, [subscription.id])
    else:
        await due.schedule(scope, BILL, bill_at(subscription, point.at))


async def schedule_threshold(scope: Scope, subscription: Subscription, *, at: datetime) -> None:
    """Look at the usage from when it is charged for, or not at all where there is no threshold."""
    if watched(subscription, at):
        item = bill_at(subscription, max(at, subscription.charged_from))
        await due.schedule(scope, THRESHOLD, item)
    else:
        await due.cancel(scope, THRESHOLD, [subscription.id])


def watched(subscription: Subscription, at: datetime) -> bool:
    """Whether its usage is compared with a threshold, now or once it is charged for."""
    status = subscription.status_at(at)
    unwatched = status in OVER or status is SubscriptionStatus.DRAFT
    return subscription.terms.auto_invoice_threshold is not None and not unwatched


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


async def _store(scope: Scope, before: Subscription, after: Subscription) -> None:
    row = columns(after)
    written = await SubscriptionTable.filter(
        tenant_id=scope.tenant_id,
        environment_id=scope.environment_id,
        id=row.pop("id"),
        revision=before.revision,
    ).update(**row)
    if not written:
        raise Conflict(f"subscription {after.id} was changed by someone else meanwhile")
