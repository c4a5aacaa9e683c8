"""Sending and consuming against a real broker."""

import asyncio
import socket

import msgspec
import pytest

from app.infra.kafka import Consumer, Poison, Producer, follow, lag, open_producer
from app.infra.kafka.producer import cut_at_lines
from app.kernel.errors import Unavailable
from tests.metering.streams import Seen, consuming, own_topics, plan, read_all, until


@pytest.fixture
async def own(settings):
    return await own_topics(settings)


@pytest.fixture
async def producer(own):
    async with open_producer(own.kafka) as producer:
        yield producer


async def test_what_is_sent_is_read_once_and_then_committed(own, producer):
    for number in range(20):
        await producer.send_envelopes("events", {number % 2: b"line %d\n" % number})
    seen, details = Seen(), plan(own)
    async with consuming(Consumer(own.kafka, details, handler=seen, producer=producer)):
        await until(lambda: len(seen.values) == 20)
        await until(lambda: lag_is(own, details, {0: 0, 1: 0}))
    assert sorted(seen.values) == sorted(b"line %d\n" % n for n in range(20))


async def lag_is(own, details, expected):
    return await lag(own.kafka, details.topic, details.group) == expected


async def test_the_lag_of_a_group_that_never_read_is_everything(own, producer):
    for _ in range(3):
        await producer.send_envelopes("events", {0: b"x\n"})
    assert await lag(own.kafka, "events", "nobody") == {0: 3, 1: 0}


async def test_a_batch_ends_at_its_rows(own, producer):
    for number in range(12):
        await producer.send_envelopes("events", {0: b"%d\n" % number})
    seen = Seen()
    details = plan(own, max_rows=5, max_wait_seconds=1.0)
    async with consuming(Consumer(own.kafka, details, handler=seen, producer=producer)):
        await until(lambda: len(seen.values) == 12)
    assert [len(batch.messages) for batch in seen.batches] == [5, 5, 2]


async def test_an_envelope_above_the_size_of_a_message_is_cut_at_its_lines(own, producer):
    kafka = msgspec.structs.replace(own.kafka, max_batch_bytes=8192)
    lines = [b"%05d" % n + b"x" * 995 + b"\n" for n in range(20)]
    async with open_producer(kafka) as small:
        await small.send_envelopes("events", {1: b"".join(lines)})
    found = await read_all(own, "events")
    assert [len(message.value) for message in found] == [4004, 4004, 4004, 4004, 4004]
    assert b"".join(message.value for message in found) == b"".join(lines)


def test_cutting_keeps_every_byte():
    value = b"aa\nbbbbbb\nc\n\ndd"
    for limit in range(1, 20):
        parts = list(cut_at_lines(value, limit))
        assert b"".join(parts) == value
        assert all(len(part) <= limit or part.count(b"\n") <= 1 for part in parts)


async def test_a_failing_batch_is_tried_again_and_nothing_behind_it_overtakes_it(own, producer):
    for number in range(30):
        await producer.send_envelopes("events", {0: b"%d\n" % number})
    order, failures = [], 0

    async def handler(batch):
        nonlocal failures
        if failures < 3:
            failures += 1
            raise Unavailable("the store", "it is being restarted")
        order.extend(int(message.value) for message in batch.messages)
        return []

    details = plan(own, max_rows=7)
    async with consuming(Consumer(own.kafka, details, handler=handler, producer=producer)):
        await until(lambda: len(order) == 30)
        await until(lambda: lag_is(own, details, {0: 0, 1: 0}))
    assert order == list(range(30))
    assert failures == 3


async def test_a_failing_partition_does_not_hold_up_the_others(own, producer):
    for number in range(10):
        await producer.send_envelopes("events", {0: b"bad\n", 1: b"%d\n" % number})
    healthy, broken = [], True

    async def handler(batch):
        if broken and any(message.partition == 0 for message in batch.messages):
            raise Unavailable("the store", "not for partition 0")
        healthy.extend(message.value for message in batch.messages if message.partition == 1)
        return []

    details = plan(own)
    async with consuming(Consumer(own.kafka, details, handler=handler, producer=producer)):
        await until(lambda: len(healthy) == 10)
        await until(lambda: lag_is(own, details, {0: 10, 1: 0}))
        broken = False
        await until(lambda: lag_is(own, details, {0: 0, 1: 0}))
    assert healthy == [b"%d\n" % number for number in range(10)]


async def test_poison_goes_to_the_dead_letters_with_its_origin(own, producer):
    await producer.send_envelopes("events", {1: b"fine\n"})
    await producer.send_envelopes("events", {1: b"poison\n"}, headers=[("tenant_id", b"ten_1")])

    async def handler(batch):
        return [
            Poison(message, b"poison", "NOT_AN_EVENT", "it is poison")
            for message in batch.messages
            if message.value == b"poison\n"
        ]

    details = plan(own)
    async with consuming(Consumer(own.kafka, details, handler=handler, producer=producer)):
        await until(lambda: lag_is(own, details, {0: 0, 1: 0}))
    (letter,) = await read_all(own, "events_dlq")
    assert letter.value == b"poison"
    assert letter.headers == {
        "tenant_id": b"ten_1",
        "reason": b"NOT_AN_EVENT",
        "error": b"it is poison",
        "source_topic": b"events",
        "source_partition": b"1",
        "source_offset": b"1",
    }


async def test_a_message_that_always_fails_is_isolated_and_buried(own, producer, monkeypatch):
    monkeypatch.setattr("app.infra.kafka.consumer.backoff_seconds", lambda failures: 0.01)
    for number in range(6):
        await producer.send_envelopes("events", {0: b"%d\n" % number})
    handled = []

    async def handler(batch):
        if any(message.value == b"3\n" for message in batch.messages):
            raise ZeroDivisionError("a bug that this message finds")
        handled.extend(message.value for message in batch.messages)
        return []

    details = plan(own)
    async with consuming(Consumer(own.kafka, details, handler=handler, producer=producer)):
        await until(lambda: lag_is(own, details, {0: 0, 1: 0}))
    assert handled == [b"0\n", b"1\n", b"2\n", b"4\n", b"5\n"]
    (letter,) = await read_all(own, "events_dlq")
    assert (letter.value, letter.headers["reason"]) == (b"3\n", b"HANDLER_FAILED")
    assert letter.headers["error"] == b"ZeroDivisionError: a bug that this message finds"


async def test_a_second_consumer_takes_over_half_and_nothing_is_lost(own, producer):
    first, second = Seen(), Seen()
    details = plan(own)
    async with consuming(Consumer(own.kafka, details, handler=first, producer=producer)):
        await producer.send_envelopes("events", {0: b"a0\n", 1: b"a1\n"})
        await until(lambda: len(first.values) == 2)
        async with consuming(Consumer(own.kafka, details, handler=second, producer=producer)):
            async with asyncio.timeout(40):
                while not second.values:
                    await producer.send_envelopes("events", {0: b"b\n", 1: b"b\n"})
                    await asyncio.sleep(0.2)
            shared = {m.partition for batch in second.batches for m in batch.messages}
            assert len(shared) == 1
        await producer.send_envelopes("events", {0: b"c0\n", 1: b"c1\n"})
        await until(lambda: {b"c0\n", b"c1\n"} <= {*first.values, *second.values}, 40)
    sent = {(message.partition, message.offset) for message in await read_all(own, "events")}
    handled = [
        (message.partition, message.offset)
        for seen in (first, second)
        for batch in seen.batches
        for message in batch.messages
    ]
    assert set(handled) == sent


async def test_a_batch_at_work_when_the_partitions_go_is_finished_first(own, producer):
    entered, gate, handled = asyncio.Event(), asyncio.Event(), []

    async def slow(batch):
        entered.set()
        await gate.wait()
        handled.extend(message.value for message in batch.messages)
        return []

    seen, details = Seen(), plan(own)
    await producer.send_envelopes("events", {0: b"a\n", 1: b"b\n"})
    async with consuming(Consumer(own.kafka, details, handler=slow, producer=producer)):
        await entered.wait()
        async with consuming(Consumer(own.kafka, details, handler=seen, producer=producer)):
            await asyncio.sleep(4)  # the group is waiting for the first to let go
            gate.set()
            await until(lambda: lag_is(own, details, {0: 0, 1: 0}), 40)
    assert sorted(handled) == [b"a\n", b"b\n"]
    assert seen.values == []


async def test_a_follower_hears_what_is_said_from_now_on(own, producer):
    await producer.send("usage_updates", b"before")
    async with follow(own.kafka, "usage_updates") as values:
        await producer.send("usage_updates", b"after")
        async with asyncio.timeout(10):
            assert await anext(values) == b"after"


async def test_without_a_broker_opening_a_producer_says_so(own):
    kafka = msgspec.structs.replace(own.kafka, brokers=[f"127.0.0.1:{free_port()}"])
    with pytest.raises(Unavailable, match="Kafka is unavailable"):
        async with open_producer(kafka):
            pass


async def test_no_more_than_the_bound_is_in_flight(own, producer):
    kafka = msgspec.structs.replace(own.kafka, buffer_bytes=1000, linger_ms=500)
    async with open_producer(kafka) as bounded:
        waiting = asyncio.create_task(bounded.send_envelopes("events", {0: b"x" * 900}))
        await until(lambda: bounded.bytes_in_flight == 900)
        with pytest.raises(Unavailable, match="900 bytes wait"):
            await bounded.send_envelopes("events", {1: b"y" * 200})
        await waiting
        assert bounded.bytes_in_flight == 0
        await bounded.send_envelopes("events", {1: b"z" * 200})
    found = await read_all(own, "events")
    assert {message.value for message in found} == {b"x" * 900, b"z" * 200}


async def test_a_silent_broker_is_unavailable_at_the_deadline(own):
    async def swallow(reader, writer):
        await reader.read()
        writer.close()

    server = await asyncio.start_server(swallow, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    kafka = msgspec.structs.replace(own.kafka, brokers=[f"127.0.0.1:{port}"], ack_seconds=1.0)
    silent = Producer(kafka)
    with pytest.raises(Unavailable, match="not acknowledged"):
        await silent.send_envelopes("events", {0: b"x\n"})
    assert silent.bytes_in_flight == 0
    await silent.close()
    server.close()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
