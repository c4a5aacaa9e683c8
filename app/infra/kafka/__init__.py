"""Kafka: acknowledged sending, consuming in batches with explicit offsets, topics and lag.

Names of topics are the logical ones everywhere in the program (`events`); the prefix of the
deployment is added here.
"""

from app.infra.kafka.consumer import Consumer, Handler
from app.infra.kafka.follow import follow
from app.infra.kafka.messages import Batch, Message, Poison
from app.infra.kafka.plan import Plan
from app.infra.kafka.producer import Producer, open_producer
from app.infra.kafka.topics import (
    INVOICE_UPDATES,
    POST_PROCESSING,
    SYSTEM_EVENTS,
    USAGE_UPDATES,
    ensure_topics,
    lag,
    topics,
)

__all__ = [
    "INVOICE_UPDATES",
    "POST_PROCESSING",
    "SYSTEM_EVENTS",
    "USAGE_UPDATES",
    "Batch",
    "Consumer",
    "Handler",
    "Message",
    "Plan",
    "Poison",
    "Producer",
    "ensure_topics",
    "follow",
    "lag",
    "open_producer",
    "topics",
]
