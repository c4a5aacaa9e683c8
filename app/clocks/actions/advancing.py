"""An advance, from the clock's side: asked for, moved along, arrived or broken off.

Doing what falls due on the way is the work of `app.runs`; here is only where the clock stands.
Each step is a conditional write, so that of two who advance one clock neither takes it back.
"""

from datetime import datetime

from app.clocks.actions.rows import changed, locked, noted
from app.clocks.events import TestClockAdvancing, TestClockFailed, TestClockReady
from app.clocks.test_clock import ClockStatus, TestClock, check_advance
from app.infra.crash import point
from app.infra.postgres import writing
from app.kernel.scope import SYSTEM, Actor, Scope

_MOVE = (
    "UPDATE test_clocks SET frozen_at = $4, updated_at = $5 "
    "WHERE tenant_id = $1 AND environment_id = $2 AND id = $3 AND archived_at IS NULL "
    "AND state = 'advancing' AND frozen_at <= $4 AND advancing_to >= $4 RETURNING id"
)
_LONGEST_REASON = 1000


async def advance(
    scope: Scope, clock_id: str, to: datetime, *, by: Actor, at: datetime
) -> TestClock:
    """Ask for the clock to be advanced; `app.runs` takes it from there.

    One that failed goes on from where it stands.
    Raises: NotFound, Archived, ClockAdvancing, Invalid, ClockBackwards, AdvanceTooFar.
    """
    async with writing(scope) as connection:
        before = await locked(connection, scope, clock_id)
        check_advance(before, to)
        state = ClockStatus.ADVANCING.value
        after = await changed(
            connection, scope, before, at, state=state, advancing_to=to, failure=None
        )
        event = TestClockAdvancing(
            entity_id=clock_id, occurred_at=at, frozen_at=before.frozen_at, to=to
        )
        await noted(scope, by, "advance", event, before=before, after=after)
    return after


async def move(scope: Scope, clock_id: str, instant: datetime, *, at: datetime) -> bool:
    """Let an advancing clock show an instant on its way.

    False where it is not advancing that way any more, or has come farther.
    """
    async with writing(scope) as connection:
        moved = await connection.fetchval(
            _MOVE, scope.tenant_id, scope.environment_id, clock_id, instant, at
        )
    return moved is not None


async def arrive(scope: Scope, clock_id: str, to: datetime, *, at: datetime) -> bool:
    """All that fell due up to `to` is done: the clock stands there, ready.

    False where it is not on its way there any more. Raises: NotFound.
    """
    async with writing(scope) as connection:
        before = await locked(connection, scope, clock_id)
        if before.status is not ClockStatus.ADVANCING or before.advancing_to != to:
            return False
        state = ClockStatus.READY.value
        after = await changed(
            connection, scope, before, at, state=state, frozen_at=to, advancing_to=None
        )
        event = TestClockReady(entity_id=clock_id, occurred_at=at, frozen_at=to)
        await noted(scope, SYSTEM, "arrive", event, before=before, after=after)
        point("clocks.arriving")
    return True


async def fail(scope: Scope, clock_id: str, reason: str, *, at: datetime) -> bool:
    """The advance broke off: the clock stands where it is, and says why.

    False where it is not advancing any more. Raises: NotFound.
    """
    async with writing(scope) as connection:
        before = await locked(connection, scope, clock_id)
        if before.status is not ClockStatus.ADVANCING:
            return False
        state, why = ClockStatus.FAILED.value, reason[:_LONGEST_REASON]
        after = await changed(
            connection, scope, before, at, state=state, advancing_to=None, failure=why
        )
        event = TestClockFailed(
            entity_id=clock_id, occurred_at=at, frozen_at=after.frozen_at, reason=why
        )
        await noted(scope, SYSTEM, "fail", event, before=before, after=after)
    return True
