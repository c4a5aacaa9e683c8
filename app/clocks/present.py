"""The clock of a process: the machine's, and the test clocks that environments live on.

Every process looks at the clocks about twice a second, so a change is in force everywhere within
a second. Who needs it to the instant reads the clock (`reads.of_environment`, `of_customers`).
"""

import asyncio
from collections.abc import Mapping
from datetime import datetime

import asyncpg
import structlog

from app.clocks import reads
from app.clocks.reads import Presents
from app.clocks.test_clock import Governs, TestClock
from app.kernel.clock import Clock
from app.kernel.errors import Unavailable
from app.kernel.scope import Scope

log = structlog.get_logger(__name__)

LOOK_SECONDS = 0.4
_NONE = Presents(None, None, None)


class EnvironmentClocks:
    """A `Clock` over another: `now(scope)` is the present of the scope's environment."""

    def __init__(self, machine: Clock) -> None:
        self._machine = machine
        self._known: Mapping[str, Presents] = {}

    def now(self, scope: Scope | None = None) -> datetime:
        if scope is None:
            return self._machine.now()
        known = self._known.get(scope.environment_id, _NONE)
        return known.present or self._machine.now(scope)

    def presents(self, scope: Scope) -> tuple[datetime, datetime]:
        now, known = self.now(scope), self._known.get(scope.environment_id, _NONE)
        return min(now, known.earliest or now), max(now, known.latest or now)

    def learn(self, scope: Scope, clock: TestClock) -> None:
        """Take a clock's new instant at once, without waiting for the next look."""
        known = self._known.get(scope.environment_id, _NONE)
        at, to = clock.frozen_at, clock.advancing_to or clock.frozen_at
        if clock.governs is Governs.ENVIRONMENT:
            known = Presents(at, known.earliest, known.latest)
        else:
            earliest, latest = known.earliest or at, known.latest or to
            known = Presents(known.present, min(earliest, at), max(latest, to))
        self._known = {**self._known, scope.environment_id: known}

    async def look(self) -> None:
        """Read where all clocks stand. Raises: Unavailable."""
        self._known = await reads.presents()

    async def follow(self) -> None:
        """Look again and again, until cancelled; what is known holds while nobody answers."""
        while True:
            try:
                await self.look()
            except (Unavailable, asyncpg.PostgresError, OSError) as error:
                log.warning("clocks_not_read", reason=str(error))
            await asyncio.sleep(LOOK_SECONDS)
