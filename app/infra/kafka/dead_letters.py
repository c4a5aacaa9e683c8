"""What can never be handled is kept aside, with what is known about it."""

import structlog
from prometheus_client import Counter

from app.infra.kafka.messages import Poison
from app.infra.kafka.producer import Producer

log = structlog.get_logger(__name__)

DEAD = Counter("tariff_dead_letters_total", "Sent to the dead letters.", ["topic", "reason"])
# What a dead letter says in its headers, besides those of the message it came from.
HEADERS = ("reason", "error", "source_topic", "source_partition", "source_offset")
_MAX_ERROR_BYTES = 4096


async def bury(producer: Producer, topic: str, poison: Poison) -> None:
    """Send a part of a message to the topic of dead letters. Raises: Unavailable."""
    origin = poison.message
    kept = [(name, value) for name, value in origin.headers.items() if name not in HEADERS]
    facts = (
        poison.reason.encode(),
        poison.error.encode(errors="replace")[:_MAX_ERROR_BYTES],
        origin.topic.encode(),
        b"%d" % origin.partition,
        b"%d" % origin.offset,
    )
    await producer.send(topic, poison.value, headers=[*kept, *zip(HEADERS, facts, strict=True)])
    DEAD.labels(origin.topic, poison.reason).inc()
    log.error(
        "message_dead_lettered",
        topic=origin.topic,
        partition=origin.partition,
        offset=origin.offset,
        reason=poison.reason,
        error=poison.error,
    )
