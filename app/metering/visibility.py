"""Whether everything that was accepted before an instant counts by now."""

from collections.abc import Mapping
from datetime import datetime

from app.config import EventProcessing, Settings
from app.infra.kafka.positions import committed, ends

# Watermarks asked about at the same time; more than the runs one worker has open.
_REMEMBERED = 1_000


class EventVisibility:
    """Compares how far the topics of events reached with how far their consumers have come.

    Consumers commit an event's offset after it counts. Where the topics end is noted at the
    first question about a watermark, which is later than the watermark, so what was accepted
    before it lies below; events that arrive meanwhile are not waited for.
    """

    def __init__(self, settings: Settings) -> None:
        self._kafka = settings.kafka
        lanes = (settings.event_processing, settings.event_processing_lazy)
        self._lanes = [lane for lane in lanes if lane.enabled]
        self._goals: dict[datetime, Mapping[str, Mapping[int, int]]] = {}

    async def caught_up(self, watermark: datetime) -> bool:
        """Whether every event accepted before the instant is counted. Raises: Unavailable."""
        if watermark not in self._goals:
            found = {lane.topic: await ends(self._kafka, lane.topic) for lane in self._lanes}
            while len(self._goals) >= _REMEMBERED:
                del self._goals[next(iter(self._goals))]
            self._goals[watermark] = found
        goals = self._goals[watermark]
        for lane in self._lanes:
            if not await self._reached(lane, goals[lane.topic]):
                return False
        del self._goals[watermark]
        return True

    async def _reached(self, lane: EventProcessing, goal: Mapping[int, int]) -> bool:
        if not goal:
            return True
        group = f"{self._kafka.topic_prefix}{lane.group}"
        done = await committed(self._kafka, lane.topic, group)
        return all(done.get(partition, 0) >= end for partition, end in goal.items())
