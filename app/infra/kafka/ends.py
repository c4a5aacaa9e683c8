"""Where the partitions end."""

from collections.abc import Mapping, Sequence

from aiokafka import AIOKafkaConsumer, TopicPartition


async def seek_ends(
    client: AIOKafkaConsumer, partitions: Sequence[TopicPartition]
) -> Mapping[TopicPartition, tuple[int, int]]:
    """The first stored offset of each partition and the one after its last; seeks the latter.

    The ends are those that fetching reports. Not every broker counts the messages of the last
    batch when it is asked for its newest offsets.
    """
    starts = await client.beginning_offsets(partitions)
    for partition in partitions:
        client.seek(partition, starts[partition])
    while any(client.highwater(partition) is None for partition in partitions):
        await client.getmany(timeout_ms=200, max_records=1)
    found = {part: (starts[part], int(client.highwater(part))) for part in partitions}
    for partition, (_, end) in found.items():
        client.seek(partition, end)
    return found
