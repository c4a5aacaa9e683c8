"""A consumer as a process of its own: runs until it has committed everything that was sent."""

import asyncio
import sys
from pathlib import Path

import msgspec

from app.config import EventProcessing, Settings
from app.infra.clickhouse import open_clickhouse
from app.infra.kafka import lag, open_producer
from app.infra.postgres import postgres
from app.kernel.clock import SystemClock
from app.metering.consumer import EventStore, consume_events
from tests.metering.streams import until


async def drained(settings: Settings, group: str) -> bool:
    return not any((await lag(settings.kafka, "events", group)).values())


async def main(settings: Settings) -> None:
    group = "crashing"
    plan = EventProcessing(group=group, max_rows=1000, max_wait_ms=300)
    async with (
        postgres(settings.postgres),
        open_clickhouse(settings.clickhouse) as clickhouse,
        open_producer(settings.kafka) as producer,
        asyncio.TaskGroup() as tasks,
    ):
        store, stop = EventStore(clickhouse, producer, clock=SystemClock()), asyncio.Event()
        tasks.create_task(consume_events(settings, plan, store=store, producer=producer, stop=stop))
        full = f"{settings.kafka.topic_prefix}{group}"
        await until(lambda: drained(settings, full), 50)
        stop.set()


if __name__ == "__main__":
    asyncio.run(main(msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=Settings)))
