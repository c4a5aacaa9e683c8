"""Whether everything that was accepted before an instant counts by now."""

import asyncio
from datetime import datetime

from app.config import EventProcessing, Settings
from app.infra.kafka.connection import full_name
from app.infra.kafka.positions import ends, reached
from app.kernel.errors import Unavailable
from app.metering import watermarks
from app.metering.watermarks import Ends

# Instants asked about at the same time that nobody took; more than the runs one worker has open.
_REMEMBERED = 1_000


class EventVisibility:
    """Takes watermarks of the lanes of events, and tells when consumers have passed them."""

    def __init__(self, settings: Settings) -> None:
        self._kafka = settings.kafka
        lanes = (settings.event_processing, settings.event_processing_lazy)
        self._lanes = {full_name(self._kafka, lane.topic): lane for lane in lanes if lane.enabled}
        self._taking = asyncio.Lock()
        self._asked = self._covered = 0
        self._last: datetime
        self._covering: dict[datetime, datetime] = {}

    async def take(self) -> datetime:
        """A watermark: an instant of the machine's, to the millisecond.

        What was acknowledged before this was called counts as of it, once `caught_up`; what is
        sent after this has returned never does. Raises: Unavailable.
        """
        self._asked += 1
        mine = self._asked
        async with self._taking:
            # One that was begun after this was called will do, whoever asked for it.
            if self._covered < mine:
                covered = self._asked
                self._last = await self._take()
                self._covered = covered
            return self._last

    async def caught_up(self, watermark: datetime) -> bool:
        """Whether all that was accepted before the watermark counts, and nothing else ever will.

        For an instant that nobody took, one is taken at the first question about it that lies
        behind it; stamps decide then what was accepted before. Raises: Unavailable.
        """
        goals = await watermarks.taken_at(list(self._lanes), watermark)
        if goals:
            return await self._passed(watermark, goals)
        if watermark not in self._covering:
            taken = await self.take()
            if taken < watermark:
                return False
            while len(self._covering) >= _REMEMBERED:
                del self._covering[next(iter(self._covering))]
            self._covering[watermark] = taken
        covering = self._covering[watermark]
        goals = await watermarks.taken_at(list(self._lanes), covering)
        if not await self._passed(covering, goals):
            return False
        del self._covering[watermark]
        return True

    async def _take(self) -> datetime:
        begun = await watermarks.begin(list(self._lanes))
        try:
            found = await asyncio.gather(
                *(ends(self._kafka, lane.topic) for lane in self._lanes.values())
            )
        except Unavailable:
            await watermarks.abandon(begun)
            raise
        return await watermarks.finish(begun, dict(zip(self._lanes, found, strict=True)))

    async def _passed(self, watermark: datetime, goals: dict[str, Ends]) -> bool:
        for topic, goal in goals.items():
            if not await self._reached(self._lanes[topic], goal):
                return False
        waited = [topic for topic, goal in goals.items() if goal]
        if waited:
            await watermarks.passed(waited, watermark)
        return True

    async def _reached(self, lane: EventProcessing, goal: Ends) -> bool:
        if not any(goal.values()):
            return True
        group = f"{self._kafka.topic_prefix}{lane.group}"
        return await reached(self._kafka, lane.topic, group, goal)
