"""What the verbs share: the row under lock, and the traces that a change leaves."""

from datetime import datetime
from typing import Any

import asyncpg

from app.clocks.events import TestClockEvent
from app.clocks.reads import row_of
from app.clocks.test_clock import TestClock
from app.kernel.errors import NotFound
from app.kernel.scope import Actor, Scope
from app.tenants.actions.journal import note

_LOCKED = (
    "SELECT * FROM test_clocks WHERE tenant_id = $1 AND environment_id = $2 AND id = $3 FOR UPDATE"
)


async def locked(connection: asyncpg.Connection, scope: Scope, clock_id: str) -> TestClock:
    """The clock as it stays until the transaction ends. Raises: NotFound."""
    row = await connection.fetchrow(_LOCKED, scope.tenant_id, scope.environment_id, clock_id)
    if row is None:
        raise NotFound("test clock", clock_id, field="id")
    return row_of(row)


async def changed(
    connection: asyncpg.Connection, scope: Scope, clock: TestClock, at: datetime, **values: Any
) -> TestClock:
    """Write columns of a locked clock's row; the names are ours. Returns it as it is now."""
    columns = {**values, "updated_at": at}
    written = ", ".join(f"{name} = ${number}" for number, name in enumerate(columns, start=4))
    row = await connection.fetchrow(
        f"UPDATE test_clocks SET {written} "  # noqa: S608
        "WHERE tenant_id = $1 AND environment_id = $2 AND id = $3 RETURNING *",
        scope.tenant_id,
        scope.environment_id,
        clock.id,
        *columns.values(),
    )
    return row_of(row)


async def noted(
    scope: Scope,
    by: Actor,
    verb: str,
    event: TestClockEvent,
    *,
    before: TestClock | None = None,
    after: TestClock,
) -> None:
    """One audit entry and the event, in the transaction that changed the clock."""
    action = f"test_clock.{verb}"
    await note(scope, by, action, event, at=event.occurred_at, before=before, after=after)
