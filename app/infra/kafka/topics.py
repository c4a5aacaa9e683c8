"""The topics of a deployment, and how far behind a group of consumers is."""

import asyncio

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from app.config import Kafka, Settings
from app.infra.kafka.connection import client_options, full_name
from app.infra.kafka.ends import seek_ends
from app.kernel.errors import Unavailable

SYSTEM_EVENTS = "system_events"
USAGE_UPDATES = "usage_updates"
INVOICE_UPDATES = "invoice_updates"
POST_PROCESSING = "events_post_processing"


def topics(settings: Settings) -> list[str]:
    """Every topic the deployment uses."""
    lanes = (settings.event_processing, settings.event_processing_lazy)
    return [
        *(lane.topic for lane in lanes),
        *(lane.dlq for lane in lanes),
        POST_PROCESSING,
        SYSTEM_EVENTS,
        f"{SYSTEM_EVENTS}_dlq",
        USAGE_UPDATES,
        INVOICE_UPDATES,
    ]


async def ensure_topics(settings: Settings) -> None:
    """Create the topics that do not exist yet; those that do are left as they are.

    Raises: Unavailable.
    """
    kafka = settings.kafka
    wanted = [
        NewTopic(full_name(kafka, topic), kafka.partitions, kafka.replication)
        for topic in dict.fromkeys(topics(settings))
    ]
    admin = AIOKafkaAdminClient(**client_options(kafka))
    try:
        await admin.start()
        answer = await admin.create_topics(wanted)
    except (KafkaError, OSError) as error:
        raise Unavailable("Kafka", f"the topics could not be created: {error}") from error
    finally:
        await admin.close()
    for name, code, *_ in answer.topic_errors:
        if code not in (0, TopicAlreadyExistsError.errno):
            raise Unavailable("Kafka", f"topic {name} could not be created: {for_code(code)}")


async def lag(settings: Kafka, topic: str, group: str) -> dict[int, int]:
    """Messages of each partition that `group` has not committed yet.

    A group that never committed has everything that is still stored ahead of it.
    Raises: Unavailable.
    """
    client = AIOKafkaConsumer(group_id=group, enable_auto_commit=False, **client_options(settings))
    name = full_name(settings, topic)
    try:
        async with asyncio.timeout(settings.ack_seconds):
            await client.start()
            # Nothing is subscribed, so the group does not notice this reader.
            await client._client._wait_on_metadata(name)
            parts = [TopicPartition(name, p) for p in client.partitions_for_topic(name) or ()]
            client.assign(parts)
            stored = await seek_ends(client, parts)
            done = {part: await client.committed(part) for part in parts}
    except (KafkaError, OSError, TimeoutError) as error:
        raise Unavailable("Kafka", str(error) or "no answer") from error
    finally:
        await client.stop()
    return {
        part.partition: max(0, end - (start if done[part] is None else done[part]))
        for part, (start, end) in stored.items()
    }
