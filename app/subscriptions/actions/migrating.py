"""Bulk migrations: starting and canceling them, and noting what came of each subscription.

A subscription's own change is made by whoever has its turn, in the transaction that notes it: so
each is changed at most once, whatever breaks off and however many work at it. Locks come in the
order item, subscription, migration.
"""

from datetime import datetime

import asyncpg

from app.clocks import reads as clocks
from app.infra import due, outbox
from app.infra.postgres import writing
from app.kernel.copies import replace
from app.kernel.ids import new_id
from app.kernel.scope import Actor, Scope
from app.subscriptions import migration_reads as reads
from app.subscriptions.actions.versions import with_version
from app.subscriptions.change import Failure, terms_of
from app.subscriptions.changes.timing import check_timing
from app.subscriptions.errors import MigrationIsOver, NothingToMigrate, TooManyToMigrate
from app.subscriptions.events import (
    PlanMigrationCanceled,
    PlanMigrationCompleted,
    PlanMigrationEvent,
    PlanMigrationStarted,
)
from app.subscriptions.migration import (
    MOST,
    MigratePlan,
    MigrationCounts,
    MigrationItem,
    MigrationItemStatus,
    MigrationStatus,
    PlanMigration,
)
from app.subscriptions.models import PlanMigrationTable
from app.tenants import audit

# The kind of due work that changes a subscription of a migration.
MIGRATE = "subscription.migrate"
_ADD = (
    "INSERT INTO plan_migration_items (id, tenant_id, environment_id, migration_id, "
    "subscription_id, customer_id, from_plan_version_id, status, created_at, updated_at) "
    "SELECT i, $1, $2, $3, s, c, v, 'pending', $4, $4 "
    "FROM unnest($5::text[], $6::text[], $7::text[], $8::text[]) AS row(i, s, c, v)"
)
_PENDING = (
    "SELECT * FROM plan_migration_items WHERE tenant_id = $1 AND environment_id = $2 "
    "AND id = $3 AND status = 'pending' FOR UPDATE"
)
_DONE = (
    "UPDATE plan_migration_items SET status = $4, change_id = $5, failure_code = $6, "
    "failure_message = $7, done_at = $8, updated_at = $8 "
    "WHERE tenant_id = $1 AND environment_id = $2 AND id = $3"
)
_CANCEL = (
    "WITH left_over AS (SELECT id FROM plan_migration_items WHERE tenant_id = $1 "
    "AND environment_id = $2 AND migration_id = $3 AND status = 'pending' ORDER BY id FOR UPDATE) "
    "UPDATE plan_migration_items AS i SET status = 'canceled', done_at = $4, updated_at = $4 "
    "FROM left_over WHERE i.id = left_over.id RETURNING i.id"
)
_COUNT = (
    "UPDATE plan_migrations SET pending = pending - $4 - $5 - $6, changed = changed + $4, "
    "refused = refused + $5, canceled = canceled + $6, updated_at = $7 "
    "WHERE tenant_id = $1 AND environment_id = $2 AND id = $3 RETURNING *"
)


async def start(scope: Scope, command: MigratePlan, *, by: Actor, at: datetime) -> PlanMigration:
    """Select the subscriptions, once and for all, and let each fall due at its own present.

    Raises: Invalid, NotFound, Archived, PlanNotPublished, NothingToMigrate, TooManyToMigrate.
    """
    check_timing(command.timing)
    async with writing(scope) as connection:
        what = await with_version(connection, scope, command.what)
        version_id = what.plan_version_id or ""
        rows = await reads.selected(scope, command.where, version_id, limit=MOST + 1)
        if not rows:
            raise NothingToMigrate(version_id)
        if len(rows) > MOST:
            raise TooManyToMigrate(MOST)
        migration = PlanMigration(
            id=new_id("plmg"),
            status=MigrationStatus.RUNNING,
            plan_id=what.plan_id or "",
            plan_version_id=version_id,
            mode=command.timing.mode,
            at=command.timing.at,
            proration=command.proration,
            terms=terms_of(what),
            counts=MigrationCounts(total=len(rows), pending=len(rows)),
            finished_at=None,
            created_at=at,
            updated_at=at,
        )
        await PlanMigrationTable.create(
            tenant_id=scope.tenant_id,
            environment_id=scope.environment_id,
            **reads.migration_columns(migration),
        )
        await _add(connection, scope, migration, rows, at=at)
        action = "plan_migration.start"
        await audit.record(scope, by, action, migration.id, at=at, after=migration)
        await outbox.put_many(scope, [_event(PlanMigrationStarted, migration, at=at)])
    return migration


async def cancel(scope: Scope, migration_id: str, *, by: Actor, at: datetime) -> PlanMigration:
    """Leave those alone whose turn has not come; what was changed until then stays changed, and
    changes to come are taken back one by one. Raises: NotFound, MigrationIsOver."""
    async with writing(scope) as connection:
        await reads.get(scope, migration_id)
        ids = (scope.tenant_id, scope.environment_id, migration_id)
        left = [row["id"] for row in await connection.fetch(_CANCEL, *ids, at)]
        await due.cancel(scope, MIGRATE, left)
        before = await reads.get(scope, migration_id)
        if not left:
            raise MigrationIsOver(migration_id, before.status.value)
        after = await _counted(connection, scope, migration_id, canceled=len(left), at=at)
        after = await _finished(scope, after, MigrationStatus.CANCELED, at=at)
        action = "plan_migration.cancel"
        await audit.record(scope, by, action, after.id, at=at, before=before, after=after)
        await outbox.put_many(scope, [_event(PlanMigrationCanceled, after, at=at)])
    return after


async def its_turn(
    connection: asyncpg.Connection, scope: Scope, item_id: str
) -> MigrationItem | None:
    """The item, held until the transaction ends; None where it is not pending any more."""
    ids = (scope.tenant_id, scope.environment_id, item_id)
    row = await connection.fetchrow(_PENDING, *ids)
    return None if row is None else reads.item_of(row)


async def note(
    connection: asyncpg.Connection,
    scope: Scope,
    item: MigrationItem,
    came: str | Failure,
    *,
    by: Actor,
    at: datetime,
) -> None:
    """Note what came of an item that has its turn: the id of its change, or why there is none."""
    refused = isinstance(came, Failure)
    status = MigrationItemStatus.REFUSED if refused else MigrationItemStatus.CHANGED
    change_id = None if isinstance(came, Failure) else came
    why = (came.code, came.message[:1000]) if isinstance(came, Failure) else (None, None)
    ids = (scope.tenant_id, scope.environment_id, item.id)
    await connection.execute(_DONE, *ids, status.value, change_id, *why, at)
    await due.cancel(scope, MIGRATE, [item.id])
    after = await _counted(
        connection, scope, item.migration_id, changed=not refused, refused=refused, at=at
    )
    if not after.counts.pending:
        done = await _finished(scope, after, MigrationStatus.COMPLETED, at=at)
        action = "plan_migration.complete"
        await audit.record(scope, by, action, done.id, at=at, before=after, after=done)
        await outbox.put_many(scope, [_event(PlanMigrationCompleted, done, at=at)])


async def _add(
    connection: asyncpg.Connection,
    scope: Scope,
    migration: PlanMigration,
    rows: list[asyncpg.Record],
    *,
    at: datetime,
) -> None:
    ids = [new_id("plmi") for _ in rows]
    owners = [row["customer_id"] for row in rows]
    await connection.execute(
        _ADD,
        scope.tenant_id,
        scope.environment_id,
        migration.id,
        at,
        ids,
        [row["id"] for row in rows],
        owners,
        [row["plan_version_id"] for row in rows],
    )
    # Who lives on a clock is asked as soon as that clock is looked at, wherever it stands.
    found = await clocks.of_customers(scope, set(owners))
    presents = {owner: clock.frozen_at for owner, clock in found.items()}
    await due.schedule_many(
        scope,
        MIGRATE,
        [due.Item(i, presents.get(owner, at), owner) for i, owner in zip(ids, owners, strict=True)],
    )


async def _counted(
    connection: asyncpg.Connection,
    scope: Scope,
    migration_id: str,
    *,
    changed: int = 0,
    refused: int = 0,
    canceled: int = 0,
    at: datetime,
) -> PlanMigration:
    """The migration with so many that are pending no more, held until the transaction ends."""
    ids = (scope.tenant_id, scope.environment_id, migration_id)
    row = await connection.fetchrow(_COUNT, *ids, int(changed), int(refused), canceled, at)
    return reads.migration_of(row)


async def _finished(
    scope: Scope, migration: PlanMigration, status: MigrationStatus, *, at: datetime
) -> PlanMigration:
    await PlanMigrationTable.filter(
        tenant_id=scope.tenant_id, environment_id=scope.environment_id, id=migration.id
    ).update(status=status.value, finished_at=at)
    return replace(migration, status=status, finished_at=at)


def _event(
    kind: type[PlanMigrationEvent], migration: PlanMigration, *, at: datetime
) -> PlanMigrationEvent:
    counts = migration.counts
    return kind(
        entity_id=migration.id,
        occurred_at=at,
        plan_id=migration.plan_id,
        plan_version_id=migration.plan_version_id,
        total=counts.total,
        changed=counts.changed,
        refused=counts.refused,
        canceled=counts.canceled,
    )
