"""What falls due on an advancing test clock, in its order, each at its own instant.

The order is by instant, then by the kind's place in the registry, then by subject. The clock shows
an instant before anything is done at it, and moves on when nothing is due there any more, so
whatever breaks off goes on where it was. How far one advance goes at once makes no difference to
what is done.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog

from app.clocks import actions, reads
from app.clocks.test_clock import ClockStatus, TestClock
from app.infra import due
from app.infra.crash import point
from app.infra.due import Kind, Page, Tally
from app.kernel.clock import Clock
from app.kernel.copies import replace
from app.kernel.scope import Scope

log = structlog.get_logger(__name__)

# Why work is noted as failed whose page function neither did nor refused it.
_UNDONE = "due, and neither done nor refused"


@dataclass(frozen=True, slots=True)
class Advance:
    """A clock that is being advanced. `watermark`: accepted events before it are counted.

    `limit` bounds a page of work. `machine` tells when the clock's row was written.
    """

    scope: Scope
    clock_id: str
    watermark: datetime
    limit: int
    kinds: Sequence[Kind]
    machine: Clock

    def page(self, clock: TestClock) -> Page:
        return Page(
            self.scope, clock.frozen_at, self.watermark, self.limit, clock_id=clock.due_clock_id
        )


class Draining:
    """One spell of an advance: `step` by `step`, until it is over or whoever asks has enough."""

    def __init__(self, advance: Advance) -> None:
        self._advance = advance
        self._names = [kind.name for kind in advance.kinds]
        self._retried = False
        self.tally = Tally()

    async def step(self) -> bool:
        """Do the work of one kind at one instant. False once there is no more to do.

        Raises: NotFound, Unavailable.
        """
        advance = self._advance
        clock = await reads.get(advance.scope, advance.clock_id)
        if clock.status is not ClockStatus.ADVANCING or clock.advancing_to is None:
            return False
        if not self._retried:
            # What was refused before may be right by now; within a spell it is left alone.
            self._retried = True
            await self._again(clock)
        found = await due.earliest(advance.scope, self._names, clock_id=clock.due_clock_id)
        coming = {
            name: max(at, clock.frozen_at) for name, at in found.items() if at <= clock.advancing_to
        }
        if not coming:
            return await self._arrive(clock, clock.advancing_to)
        return await self._work(clock, coming)

    async def _again(self, clock: TestClock) -> None:
        refused = await due.refused(
            self._advance.scope, self._names, at=clock.frozen_at, clock_id=clock.due_clock_id
        )
        for kind in self._advance.kinds:
            if kind.name in refused:
                await self._do(kind, clock)

    async def _work(self, clock: TestClock, coming: Mapping[str, datetime]) -> bool:
        """The first kind of those that are due at the next instant."""
        instant = min(coming.values())
        if instant > clock.frozen_at:
            at = self._advance.machine.now()
            if not await actions.move(self._advance.scope, clock.id, instant, at=at):
                return True  # somebody else is on it; see where it stands now
            point("clocks.moved")
            clock = replace(clock, frozen_at=instant)
        kind = next(each for each in self._advance.kinds if coming.get(each.name) == instant)
        if not await self._do(kind, clock):
            await self._give_up(kind, clock)
        point("clocks.worked")
        return True

    async def _do(self, kind: Kind, clock: TestClock) -> int:
        """All pages of a kind at the present; how many subjects were done or refused."""
        page, count = self._advance.page(clock), 0
        while True:
            done = await kind.do(page)
            self.tally += done.tally
            count += done.tally.total()
            if done.after is None:
                return count
            page = replace(page, after=done.after)

    async def _give_up(self, kind: Kind, clock: TestClock) -> None:
        """Note what nobody did as failed, or the clock would stand at this instant for ever."""
        left = await due.give_up(
            self._advance.scope,
            kind.name,
            _UNDONE,
            at=clock.frozen_at,
            clock_id=clock.due_clock_id,
        )
        if left:
            log.error("due_work_left_undone", kind=kind.name, subjects=left)

    async def _arrive(self, clock: TestClock, to: datetime) -> bool:
        point("clocks.drained")
        await actions.arrive(self._advance.scope, clock.id, to, at=self._advance.machine.now())
        point("clocks.arrived")
        return False
