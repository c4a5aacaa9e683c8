"""Starting the advances that were asked for.

Asking only writes where a clock is to go, in one transaction; workers look for clocks on their
way about twice a second and start the workflow. So an advance begins whatever broke off in
between, and none begins for a transaction that did not commit.
"""

import asyncio
import time
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final

import asyncpg
import structlog
from temporalio.client import Client
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError

from app.clocks import reads as clocks
from app.clocks.present import LOOK_SECONDS
from app.clocks.reads import Placed
from app.clocks.test_clock import ClockStatus
from app.kernel.errors import Unavailable
from app.runs.commands import AdvanceClock
from app.runs.workflows import ClockAdvance, advance_id

log = structlog.get_logger(__name__)

_DEADLINE: Final = timedelta(seconds=10)
# How long a clock is left alone whose workflow was found to be open.
_PAUSE_SECONDS: Final = 3.0


class Advances:
    """Sees to it that the workflow of every clock on its way is open."""

    def __init__(self, client: Client, *, task_queue: str) -> None:
        self._client, self._task_queue = client, task_queue
        # By clock: where it is going, and until when it is left alone.
        self._seen: dict[str, tuple[datetime | None, float]] = {}

    async def run(self, stop: asyncio.Event) -> None:
        """Look again and again, until `stop` is set."""
        while not stop.is_set():
            try:
                await self.look()
            except (Unavailable, RPCError, asyncpg.PostgresError, OSError) as error:
                log.warning("advances_not_started", reason=str(error))
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await stop.wait()

    async def look(self) -> list[str]:
        """Start what is not open; the ids of the clocks. Raises: Unavailable, RPCError."""
        placed = await clocks.in_state(ClockStatus.ADVANCING)
        self._seen = {
            each.clock.id: self._seen[each.clock.id]
            for each in placed
            if each.clock.id in self._seen
        }
        return [each.clock.id for each in placed if await self._start(each)]

    async def _start(self, placed: Placed) -> bool:
        scope, clock = placed.scope, placed.clock
        to, until = self._seen.get(clock.id, (None, 0.0))
        now = time.monotonic()
        if to == clock.advancing_to and now < until:
            return False
        try:
            await self._client.start_workflow(
                ClockAdvance.run,
                AdvanceClock(scope.tenant_id, scope.environment_id, clock.id),
                id=advance_id(clock.id),
                task_queue=self._task_queue,
                rpc_timeout=_DEADLINE,
            )
        except WorkflowAlreadyStartedError:
            # Perhaps the one that is about to close after the advance before: look once more.
            known = to == clock.advancing_to
            self._seen[clock.id] = (clock.advancing_to, now + _PAUSE_SECONDS if known else now)
            return False
        self._seen[clock.id] = (clock.advancing_to, now + _PAUSE_SECONDS)
        log.info("clock_advance_started", clock=clock.id, environment=scope.environment_id)
        return True
