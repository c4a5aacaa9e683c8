"""The subscriptions of bulk migrations, each changed as a change of plan changes it."""

from collections.abc import Sequence
from datetime import datetime

from app.infra.clickhouse import ClickHouse
from app.infra.crash import point
from app.infra.postgres import writing
from app.invoicing.actions.changing import caught_up, made
from app.kernel.errors import DomainError
from app.kernel.scope import Actor, Scope
from app.subscriptions import migration_reads
from app.subscriptions.actions import RequestChange, migrating
from app.subscriptions.change import ChangeMode, Failure, plan_of
from app.subscriptions.errors import BillingIsBehind
from app.subscriptions.migration import MigrationItemStatus, PlanMigration


async def migrate_many(
    scope: Scope, item_ids: Sequence[str], clickhouse: ClickHouse, *, by: Actor, at: datetime
) -> list[str]:
    """Give each its turn, in a transaction of its own; the ids. One that is refused is noted
    with the reason. Raises: BillingIsBehind, Unavailable."""
    found = await migration_reads.items_by_ids(scope, item_ids)
    of = {item.migration_id for item in found.values()}
    migrations = await migration_reads.by_ids(scope, of)
    for item_id in item_ids:
        item = found.get(item_id)
        if item is not None and item.status is MigrationItemStatus.PENDING:
            wanted = _wanted(migrations[item.migration_id], item.subscription_id)
            await _migrate(scope, item_id, wanted, clickhouse, by=by, at=at)
    return list(item_ids)


async def _migrate(
    scope: Scope,
    item_id: str,
    wanted: RequestChange,
    clickhouse: ClickHouse,
    *,
    by: Actor,
    at: datetime,
) -> None:
    waits = wanted.timing.mode is ChangeMode.NOW and not await caught_up(
        scope, wanted.subscription_id, clickhouse, by=by, at=at
    )
    try:
        async with writing(scope) as connection:
            item = await migrating.its_turn(connection, scope, item_id)
            if item is None:
                return
            change = await made(connection, scope, wanted, waits=waits, by=by, at=at)
            await migrating.note(connection, scope, item, change.id, by=by, at=at)
            point("invoicing.migrated")
        point("invoicing.migrated_committed")
    except BillingIsBehind:
        raise  # somebody else is on it
    except DomainError as error:
        async with writing(scope) as connection:
            item = await migrating.its_turn(connection, scope, item_id)
            if item is not None:
                failure = Failure(error.code, error.message)
                await migrating.note(connection, scope, item, failure, by=by, at=at)


def _wanted(migration: PlanMigration, subscription_id: str) -> RequestChange:
    return RequestChange(
        subscription_id=subscription_id,
        what=plan_of(migration.terms),
        timing=migration.timing,
        proration=migration.proration,
    )
