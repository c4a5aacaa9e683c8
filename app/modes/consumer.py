"""Mode `consumer`: events from Kafka to ClickHouse, the outbox to Kafka, and reactions.

Scales out up to the partitions of the topics. HTTP answers probes alone.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any, Final

import asyncpg
import structlog
from tortoise import connections

from app.config import EventProcessing, Settings
from app.infra.kafka import SYSTEM_EVENTS, Consumer, Plan
from app.infra.outbox import relay_once
from app.infra.outbox.write import CHANNEL
from app.kernel.errors import Unavailable
from app.metering.consumer import EventStore, consume_events
from app.metering.dead_letters import keep_dead_letters
from app.modes.probes import probes
from app.modes.serving import Service, http, run_services, signalled
from app.reactions import Hands, Reactions, tell
from app.runtime import Need, Runtime, open_runtime

log = structlog.get_logger(__name__)

NEEDS: Final[frozenset[Need]] = frozenset({"postgres", "clickhouse", "kafka"})

_POLL_SECONDS: Final = 1.0  # for news whose notification was lost
_RETRY_SECONDS: Final = 1.0
_TELL_SECONDS: Final = 30.0


async def run(settings: Settings) -> None:
    """Serve until signalled."""
    with signalled(settings) as stop:
        async with open_runtime(settings, needs=NEEDS) as runtime:
            app = probes(runtime, needs=NEEDS, mode="consumer")
            port = settings.server.metrics_port
            await run_services(
                http(app, host=settings.server.host, port=port, settings=settings),
                *services(runtime),
                stop=stop,
                settings=settings,
            )


def services(runtime: Runtime) -> list[Service]:
    """What this mode does, besides answering probes."""
    settings = runtime.settings
    both = (settings.event_processing, settings.event_processing_lazy)
    lanes = [lane for lane in both if lane.enabled]
    return [
        *(partial(_consume, runtime, lane) for lane in lanes),
        *(partial(_keep_dead_letters, runtime, lane) for lane in lanes),
        partial(relay, runtime),
        partial(react, runtime),
    ]


async def _consume(runtime: Runtime, lane: EventProcessing, stop: asyncio.Event) -> None:
    store = EventStore(runtime.clickhouse, runtime.producer, clock=runtime.clock)
    await consume_events(runtime.settings, lane, store=store, producer=runtime.producer, stop=stop)


async def _keep_dead_letters(runtime: Runtime, lane: EventProcessing, stop: asyncio.Event) -> None:
    await keep_dead_letters(
        runtime.settings, lane, clickhouse=runtime.clickhouse, producer=runtime.producer, stop=stop
    )


async def react(runtime: Runtime, stop: asyncio.Event) -> None:
    """Let reactions hear what happened, until `stop` is set."""
    settings = runtime.settings
    plan = Plan(
        topic=SYSTEM_EVENTS,
        group=f"{settings.kafka.topic_prefix}reactions",
        dead_letters=f"{SYSTEM_EVENTS}_dlq",
        max_rows=100,
        max_wait_seconds=0.05,
    )
    hands = Hands(clickhouse=runtime.clickhouse, clock=runtime.clock)
    consumer = Consumer(
        settings.kafka, plan, handler=Reactions(hands).handle, producer=runtime.producer
    )
    await consumer.run(stop)


async def relay(runtime: Runtime, stop: asyncio.Event) -> None:
    """Tell what the outbox holds, as soon as it is committed, until `stop` is set."""
    while not stop.is_set():
        try:
            async with _news() as news:
                await _relay(runtime, news, stop)
        except (Unavailable, asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
            log.warning("relay_retries", reason=str(error))
            await _wait(stop, _RETRY_SECONDS)


async def _relay(runtime: Runtime, news: asyncio.Event, stop: asyncio.Event) -> None:
    while not stop.is_set():
        news.clear()
        async with asyncio.timeout(_TELL_SECONDS):
            told = await relay_once(partial(tell, runtime.producer))
        if not told:
            await _either(news, stop, _POLL_SECONDS)


@asynccontextmanager
async def _news() -> AsyncIterator[asyncio.Event]:
    """An event that is set when something is committed to the outbox, here or elsewhere."""
    news = asyncio.Event()

    def heard(*_: Any) -> None:
        news.set()

    async with connections.get("default").acquire_connection() as connection:
        await connection.add_listener(CHANNEL, heard)
        connection.add_termination_listener(heard)
        try:
            yield news
        finally:
            connection.remove_termination_listener(heard)
            if not connection.is_closed():
                await connection.remove_listener(CHANNEL, heard)


async def _either(one: asyncio.Event, two: asyncio.Event, seconds: float) -> None:
    """Return when either is set, or after so many seconds."""
    waiting = [asyncio.create_task(event.wait()) for event in (one, two)]
    try:
        await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in waiting:
            task.cancel()


async def _wait(event: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
