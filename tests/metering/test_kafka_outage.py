"""The broker is killed while events come in: clients repeat what was refused, and all of it is
counted once."""

import asyncio
import os
import signal
from datetime import UTC, datetime
from decimal import Decimal

import msgspec
import pytest

from app.config import EventProcessing, Kafka
from app.embedded.stack import running_stack
from app.infra.kafka import ensure_topics, open_producer
from app.kernel.errors import Unavailable
from app.kernel.period import Period
from app.kernel.scope import SYSTEM
from app.metering import actions, ingest, usage
from app.metering.aggregations import Sum
from app.metering.consumer import EventStore, consume_events
from app.metering.meter import CreateMeter
from app.metering.usage import Span
from tests.metering.streams import AT, event, submitted, until

JUNE = Period(datetime(2024, 6, 1, tzinfo=UTC), datetime(2024, 7, 1, tzinfo=UTC))
BATCHES, SIZE = 60, 25


@pytest.fixture
async def stack(settings, tmp_path):
    """A broker of the test's own, kept on disk, which a supervisor starts again."""
    brokerless = msgspec.structs.replace(settings, kafka=Kafka(ack_seconds=1.0))
    async with running_stack(brokerless, tmp_path) as stack:
        await ensure_topics(stack.settings)
        yield stack


async def test_a_broker_that_is_killed_loses_nothing_that_was_acknowledged(
    database, stack, clickhouse, clock, scope
):
    command = CreateMeter(name="Tokens", event_name="request", aggregation=Sum("tokens"))
    meter = await actions.create(scope, command, by=SYSTEM, at=clock.now())
    meter = await actions.backfill(scope, clickhouse, meter.id, at=clock.now())
    span = Span("acme", JUNE)
    async with open_producer(stack.settings.kafka) as producer:
        stop = asyncio.Event()
        consuming = asyncio.create_task(
            consume_events(
                stack.settings,
                EventProcessing(max_wait_ms=50),
                store=EventStore(clickhouse, producer, clock=clock),
                producer=producer,
                stop=stop,
            )
        )
        refused = await _send_all(stack, producer, scope)

        async def all_counted():
            found = (await usage.totals(scope, clickhouse, meter, [span]))[span]
            return found.event_count >= BATCHES * SIZE

        await until(all_counted, 60)
        stop.set()
        await consuming
    found = (await usage.totals(scope, clickhouse, meter, [span]))[span]
    count = BATCHES * SIZE
    assert (found.quantity, found.event_count) == (Decimal(sum(range(count))), count)
    assert refused > 0


async def _send_all(stack, producer, scope):
    """Send every batch until it is acknowledged; how often one was refused.

    The broker stops answering first, so that one is refused for certain, and is then killed.
    """
    refused, frozen = 0, None
    for number in range(BATCHES):
        if number == BATCHES // 3:
            frozen = stack.pids["kafka"]
            os.kill(frozen, signal.SIGSTOP)
        part = submitted([event(n) for n in range(number * SIZE, (number + 1) * SIZE)])
        while True:
            try:
                await ingest.ingest(stack.settings, producer, scope, part, at=AT)
                break
            except Unavailable:
                refused += 1
                if frozen is not None:
                    os.kill(frozen, signal.SIGKILL)
                    frozen = None
                await asyncio.sleep(0.2)
    return refused
