"""Writing what a change does: its own row, and the lines that end and begin."""

from collections.abc import Iterable
from datetime import datetime

import asyncpg

from app.infra import due
from app.infra.rows import the
from app.kernel.copies import fields_of, replace
from app.kernel.scope import Scope
from app.subscriptions import reads
from app.subscriptions.actions.rows import lock
from app.subscriptions.change import SubscriptionChange, SubscriptionChangeStatus
from app.subscriptions.models import LineItemTable, SubscriptionChangeTable
from app.subscriptions.records import change_columns
from app.subscriptions.subscription import LineItem

# The kind of due work that lets a scheduled change take effect.
CHANGE = "subscription.change"
# The kind of due work that gives back what a change left unused, once its invoice is issued.
CREDIT = "subscription.credit"


async def add(scope: Scope, change: SubscriptionChange) -> None:
    owner = {"tenant_id": scope.tenant_id, "environment_id": scope.environment_id}
    await SubscriptionChangeTable.create(**(owner | change_columns(change)))


async def write(scope: Scope, change: SubscriptionChange) -> None:
    """Store a change that is there, whose subscription is locked."""
    row = change_columns(change)
    await SubscriptionChangeTable.filter(
        tenant_id=scope.tenant_id, environment_id=scope.environment_id, id=row.pop("id")
    ).update(**row)


async def locked(
    connection: asyncpg.Connection, scope: Scope, change_id: str
) -> SubscriptionChange:
    """The change as it stays while its subscription is locked. Raises: NotFound."""
    found = the(await reads.changes_by_ids(scope, [change_id]), "subscription change", change_id)
    await lock(connection, scope, [found.subscription_id])
    return (await reads.changes_by_ids(scope, [change_id]))[change_id]


async def schedule(scope: Scope, change: SubscriptionChange) -> None:
    """Let the change fall due when it takes effect, or no more where it is not to come."""
    if change.status is SubscriptionChangeStatus.SCHEDULED:
        item = due.Item(change.id, change.effective_at, change.customer_id)
        await due.schedule(scope, CHANGE, item)
    else:
        await due.cancel(scope, CHANGE, [change.id])


async def unschedule(scope: Scope, change: SubscriptionChange) -> None:
    """Let the change not fall due, until it is scheduled again."""
    await due.cancel(scope, CHANGE, [change.id])


async def swap_lines(
    scope: Scope,
    closed: Iterable[LineItem],
    opened: Iterable[LineItem],
    *,
    ends_at: datetime,
    at: datetime,
) -> None:
    """Let lines end at an instant, and add those that begin."""
    owner = {"tenant_id": scope.tenant_id, "environment_id": scope.environment_id}
    ids = [line.id for line in closed]
    if ids:
        await LineItemTable.filter(**owner, id__in=ids).update(ends_at=ends_at, updated_at=at)
    dated = [replace(line, created_at=at, updated_at=at) for line in opened]
    await LineItemTable.bulk_create(LineItemTable(**owner, **fields_of(line)) for line in dated)
