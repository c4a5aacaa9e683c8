"""From the outbox through Kafka to whoever reacts, in order and at least once."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from app.infra.kafka import SYSTEM_EVENTS, Batch, Message, Plan, open_producer
from app.infra.kafka.consumer import Consumer
from app.infra.outbox import Entry
from app.kernel.errors import NotFound, Unavailable
from app.kernel.ids import new_id
from app.kernel.scope import Scope
from app.reactions import REACTIONS, Reactions, tell

HANDS: Any = object()


class Catching:
    """Stands for the producer, and keeps what is sent."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    async def send(self, _topic: str, value: bytes, *, key: bytes) -> None:
        self.sent.append(value)


async def as_sent(*entries: Entry) -> list[bytes]:
    """The messages that tell these entries."""
    catching: Any = Catching()
    await tell(catching, entries)
    return list(catching.sent)


def entry(scope: Scope, number: int, name: str = "meter.created") -> Entry:
    at = datetime(2024, 1, 1, tzinfo=UTC)
    return Entry(scope, number, name, f"mtr_{number}", at, {"amount": "1.50"})


def batch(*values: bytes) -> Batch:
    messages = [Message(SYSTEM_EVENTS, 0, n, value, {}, 0) for n, value in enumerate(values)]
    return Batch(SYSTEM_EVENTS, messages)


async def test_what_is_told_is_heard_whole_and_in_order(topics: Any, scope: Scope) -> None:
    told = [entry(scope, number) for number in range(1, 201)]
    heard: list[Entry] = []
    stop = asyncio.Event()

    async def hear(_hands: Any, one: Entry) -> None:
        if one.scope == scope:
            heard.append(one)
        if len(heard) == len(told):
            stop.set()

    plan = Plan(
        topic=SYSTEM_EVENTS,
        group=new_id("run"),
        dead_letters=f"{SYSTEM_EVENTS}_dlq",
        max_rows=50,
        max_wait_seconds=0.05,
    )
    async with asyncio.timeout(40), open_producer(topics.kafka) as producer:
        await tell(producer, told)
        reactions = Reactions(HANDS, {"meter.created": (hear,)})
        await Consumer(topics.kafka, plan, handler=reactions.handle, producer=producer).run(stop)
    assert heard == told


async def test_an_event_that_nobody_reacts_to_is_passed_over(scope: Scope) -> None:

    sent = await as_sent(entry(scope, 1, "customer.created"))
    assert await Reactions(HANDS).handle(batch(*sent)) == []


async def test_what_is_no_event_is_put_aside_and_the_rest_is_heard(scope: Scope) -> None:
    heard: list[int] = []

    async def hear(_hands: Any, one: Entry) -> None:
        heard.append(one.sequence)

    sent = await as_sent(entry(scope, 1), entry(scope, 2))
    reactions = Reactions(HANDS, {"meter.created": (hear,)})
    poison = await reactions.handle(batch(sent[0], b"{", b'{"name": 1}', sent[1]))
    assert heard == [1, 2]
    assert [(part.message.offset, part.reason) for part in poison] == [
        (1, "NOT_AN_EVENT"),
        (2, "NOT_AN_EVENT"),
    ]


@pytest.mark.parametrize(
    ("outcome", "raised"),
    [(NotFound("meter", "mtr_1"), False), (Unavailable("S3", "gone"), True), (KeyError("x"), True)],
)
async def test_a_refusal_is_the_end_of_it_and_a_failure_comes_again(
    scope: Scope, outcome: Exception, raised: bool
) -> None:

    async def fails(_hands: Any, _one: Entry) -> None:
        raise outcome

    sent = await as_sent(entry(scope, 1))
    reactions = Reactions(HANDS, {"meter.created": (fails,)})
    if raised:
        with pytest.raises(type(outcome)):
            await reactions.handle(batch(*sent))
    else:
        assert await reactions.handle(batch(*sent)) == []


def test_a_new_meter_is_reacted_to() -> None:
    assert list(REACTIONS) == ["meter.created"]
