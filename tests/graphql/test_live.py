"""Live operations: WebSockets, event streams, and what they share."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import astuple
from decimal import Decimal
from typing import Any

import httpx
import pytest
import pytest_asyncio
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from websockets.exceptions import InvalidStatus

from app.config import Settings
from app.graphql import live, usage_updates
from app.graphql.hub import Hub
from app.graphql.live import usage_key
from app.graphql.service import Service
from app.graphql.streams import QUEUED, Ended, Reader
from app.graphql.websocket import MAX_OPERATIONS, Socket
from app.infra.clickhouse import ClickHouse
from app.infra.kafka import ensure_topics, open_producer
from app.kernel.clock import SystemClock
from app.kernel.errors import Unavailable
from app.kernel.ids import new_id
from app.kernel.scope import SYSTEM, Scope
from app.metering import actions as meters
from app.metering.aggregations import Count
from app.metering.meter import CreateMeter, Meter
from app.metering.usage import Usage
from app.metering.usage_updates import announce, hints
from app.tenants.actions import api_keys
from app.tenants.role import PERMISSIONS
from tests.graphql.server import Served, served
from tests.graphql.sockets import socket
from tests.metering.make import Stored, store
from tests.tenants import make

USAGE = """subscription ($meter: ID!) {
  usageUpdated(meterId: $meter, externalCustomerId: "acme") { quantity eventCount end }
}"""


@pytest_asyncio.fixture
async def meter(place: Scope) -> Meter:
    command = CreateMeter(name="Calls", event_name="call", aggregation=Count())
    return await meters.create(place, command, by=SYSTEM, at=SystemClock().now())


async def calls(clickhouse: ClickHouse, scope: Scope, count: int) -> None:
    at = SystemClock().now()
    await store(clickhouse, scope, [Stored(at=at, ingested_at=at) for _ in range(count)])


def figure(message: dict[str, Any]) -> tuple[str, str]:
    assert message["type"] == "next", message
    found = message["payload"]["data"]["usageUpdated"]
    assert found["end"] is None
    return message["id"], found["quantity"]


async def test_usage_is_told_at_once_and_again_whenever_it_has_changed(
    server: Served,
    service: Service,
    clickhouse: ClickHouse,
    key: str,
    place: Scope,
    meter: Meter,
) -> None:
    async with socket(server) as client:
        await client.init(key)
        await client.subscribe(USAGE, meter=meter.id)
        assert figure(await client.receive()) == ("1", "0")
        for expected in (3, 5):
            await calls(clickhouse, place, 3 if expected == 3 else 2)
            service.hub.hint(usage_key(place, "acme", "call"))
            assert figure(await client.receive()) == ("1", str(expected))
        service.hub.hint(usage_key(place, "acme", "call"))
        service.hub.hint(usage_key(place, "other", "call"))
        assert await client.quiet(0.6)
        await client.send({"id": "1", "type": "complete"})
        await calls(clickhouse, place, 1)
        service.hub.hint(usage_key(place, "acme", "call"))
        assert await client.quiet(0.6)
    assert service.hub.watched() == 0


async def test_a_hint_from_kafka_reaches_the_subscriber(
    server: Served,
    settings: Settings,
    clickhouse: ClickHouse,
    key: str,
    place: Scope,
    meter: Meter,
) -> None:
    await ensure_topics(settings)
    async with open_producer(settings.kafka) as producer, socket(server) as client:
        await client.init(key)
        await client.subscribe(USAGE, meter=meter.id)
        assert figure(await client.receive()) == ("1", "0")
        await calls(clickhouse, place, 4)
        async with asyncio.timeout(30):
            while True:  # the service may still be waiting for the topic to appear
                await announce(producer, hints([(*astuple(place), "acme", "call")]))
                try:
                    message = await client.receive(1.0)
                    break
                except TimeoutError:
                    continue
        assert figure(message) == ("1", "4")


async def test_identical_subscriptions_are_read_once_and_get_the_same_bytes(
    server: Served, service: Service, key: str, place: Scope, meter: Meter,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    reads = 0

    async def totals(_scope: Scope, _clickhouse: Any, _meter: Meter, spans: Any) -> Any:
        nonlocal reads
        reads += 1
        return {span: Usage(Decimal(reads), reads, None) for span in spans}

    monkeypatch.setattr(usage_updates.usage, "totals", totals)
    other = (await make.key(place, SystemClock(), permissions=PERMISSIONS)).secret.text
    async with socket(server) as a, socket(server) as b, socket(server) as c:
        for client, secret in ((a, key), (b, key), (c, other)):
            await client.init(secret)
            await client.subscribe(USAGE, meter=meter.id)
            assert figure(await client.receive()) == ("1", "1")
        await a.subscribe(USAGE, "second", meter=meter.id)
        assert figure(await a.receive()) == ("second", "1")
        assert len(service.streams._groups) == 1
        service.hub.hint(usage_key(place, "acme", "call"))
        texts = [await client.text() for client in (b, c)]
        assert texts[0] == texts[1]
        assert json.loads(texts[0])["payload"]["data"]["usageUpdated"]["quantity"] == "2"
        assert {figure(await a.receive()) for _ in range(2)} == {("1", "2"), ("second", "2")}
        assert reads == 2
        weaker = (await make.key(place, SystemClock(), permissions=("usage:read",))).secret.text
        async with socket(server) as d:
            await d.init(weaker)
            await d.subscribe(USAGE, meter=meter.id)
            assert figure(await d.receive()) == ("1", "3")
            assert len(service.streams._groups) == 2
    await settled(lambda: not service.streams._groups)


async def settled(condition: Any, seconds: float = 3.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - the end of a connection tells nobody
            await asyncio.sleep(0.01)


async def test_queries_and_mutations_run_over_a_socket_too(
    server: Served, key: str, place: Scope
) -> None:
    async with socket(server) as client:
        await client.init(key)
        await client.subscribe(
            'mutation { customerCreate(input: {externalId: "a", name: "A"}) { __typename } }'
        )
        assert await client.receive() == {
            "id": "1",
            "type": "next",
            "payload": {"data": {"customerCreate": {"__typename": "Customer"}}},
        }
        assert await client.receive() == {"id": "1", "type": "complete"}
        await client.subscribe("{ customers { totalCount } }")  # the id is free again
        assert (await client.receive())["payload"] == {"data": {"customers": {"totalCount": 1}}}
        assert await client.receive() == {"id": "1", "type": "complete"}


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        ({"query": "{"}, "GRAPHQL_PARSE_FAILED"),
        ({"query": "subscription { nope }"}, "GRAPHQL_VALIDATION_FAILED"),
        ({"query": USAGE}, "BAD_USER_INPUT"),
        ({"query": USAGE, "variables": {"meter": "mtr_nope"}}, "NOT_FOUND"),
        ({"query": "{ " + "customers { totalCount } " * 30 + "}"}, "QUERY_TOO_COMPLEX"),
        ({}, "BAD_REQUEST"),
        (None, "BAD_REQUEST"),
        ("x", "BAD_REQUEST"),
    ],
)
async def test_an_operation_that_cannot_run_is_an_error_of_its_id_and_the_socket_lives(
    server: Served, key: str, payload: Any, code: str
) -> None:
    async with socket(server) as client:
        await client.init(key)
        await client.send({"id": "bad", "type": "subscribe", "payload": payload})
        message = await client.receive()
        assert (message["id"], message["type"]) == ("bad", "error")
        assert [error["extensions"]["code"] for error in message["payload"]] == [code]
        await client.subscribe("{ __typename }", "good")
        assert (await client.receive())["payload"] == {"data": {"__typename": "Query"}}


async def test_a_subscription_needs_its_permission(
    server: Served, place: Scope, meter: Meter
) -> None:
    secret = (await make.key(place, SystemClock(), permissions=("meter:read",))).secret.text
    async with socket(server) as client:
        await client.init(secret)
        await client.subscribe(USAGE, meter=meter.id)
        message = await client.receive()
        assert message["type"] == "error"
        assert message["payload"][0]["extensions"]["code"] == "FORBIDDEN"


async def test_a_foreign_meter_and_an_unknown_one_look_the_same(
    server: Served, key: str, meter: Meter
) -> None:
    elsewhere = make.production(await make.tenant(SystemClock()))
    foreign = (await make.key(elsewhere, SystemClock(), permissions=PERMISSIONS)).secret.text
    async with socket(server) as client:
        await client.init(foreign)
        answers = []
        for id_ in (meter.id, new_id("mtr")):
            await client.subscribe(USAGE, meter=id_)
            message = await client.receive()
            answers.append(json.dumps(message["payload"]).replace(id_, "ID"))
        codes = [json.loads(answer)[0]["extensions"]["code"] for answer in answers]
        assert codes == ["NOT_FOUND", "NOT_FOUND"]


INIT = {"type": "connection_init", "payload": {}}
BREACHES: dict[str, tuple[list[Any], int, str]] = {
    "binary": ([b"{}"], 4400, "Messages are text frames"),
    "not json": (["{"], 4400, "Messages are JSON objects"),
    "not an object": (["[]"], 4400, "Invalid message type"),
    "no type": (["{}"], 4400, "Invalid message type"),
    "unknown type": ([{"type": "start"}], 4400, "Invalid message type"),
    "payload is a list": (
        [{"type": "connection_init", "payload": []}],
        4400,
        "ConnectionInit: the payload must be an object",
    ),
    "subscribe first": (
        [{"type": "subscribe", "id": "1", "payload": {"query": "{ a }"}}],
        4401,
        "Unauthorized",
    ),
    "no credentials": ([INIT], 4403, "Forbidden"),
    "wrong credentials": (
        [{"type": "connection_init", "payload": {"x-api-key": "tk_live_nope"}}],
        4403,
        "Forbidden",
    ),
}


@pytest.mark.parametrize("name", BREACHES)
async def test_a_breach_of_the_protocol_closes_with_its_code(server: Served, name: str) -> None:
    messages, code, reason = BREACHES[name]
    async with socket(server) as client:
        for message in messages:
            await client.send(message)
        assert await client.closed() == (code, reason)


@pytest.mark.parametrize(
    ("messages", "code", "reason"),
    [
        ([INIT], 4429, "Too many initialisation requests"),
        ([{"type": "subscribe", "payload": {}}], 4400, "id: a string of 1 to 128 characters"),
        ([{"type": "subscribe", "id": "", "payload": {}}], 4400, "id: a string of 1 to"),
        ([{"type": "subscribe", "id": "x" * 129}], 4400, "id: a string of 1 to"),
        ([{"type": "complete", "id": 1}], 4400, "id: a string of 1 to"),
        ([b"\x00"], 4400, "Messages are text frames"),
    ],
)
async def test_a_breach_after_the_handshake_closes_too(
    server: Served, key: str, messages: list[Any], code: int, reason: str
) -> None:
    async with socket(server) as client:
        await client.init(key)
        for message in messages:
            await client.send(message)
        closed = await client.closed()
        assert closed[0] == code
        assert closed[1].startswith(reason)


async def test_an_id_in_use_closes_with_4409(server: Served, key: str, meter: Meter) -> None:
    async with socket(server) as client:
        await client.init(key)
        await client.subscribe(USAGE, meter=meter.id)
        await client.receive()
        await client.subscribe(USAGE, meter=meter.id)
        assert await client.closed() == (4409, "Subscriber for 1 already exists")


async def test_no_init_in_time_closes_with_4408(service: Service) -> None:
    async def impatient(websocket: Any) -> None:
        await Socket(service, websocket, init_seconds=0.2).serve()

    app = Starlette(routes=[WebSocketRoute("/graphql", impatient)])
    async with served(app) as server, socket(server) as client:
        await client.send({"type": "ping"})
        assert await client.receive() == {"type": "pong"}
        assert await client.closed() == (4408, "Connection initialisation timeout")


@pytest.mark.parametrize("protocol", [None, "graphql-ws"])
async def test_another_subprotocol_closes_with_4406(server: Served, protocol: str | None) -> None:
    async with socket(server, protocol=protocol) as client:
        assert await client.closed() == (4406, "Subprotocol not acceptable")


async def test_pings_are_answered_and_pongs_ignored(server: Served, key: str) -> None:
    async with socket(server) as client:
        await client.init(key)
        await client.send({"type": "pong"})
        await client.send({"type": "ping", "payload": {"a": 1}})
        assert await client.receive() == {"type": "pong"}


async def test_credentials_in_the_handshake_do_as_well(server: Served, key: str) -> None:
    for headers in ({"x-api-key": key}, {"authorization": f"Bearer {key}"}):
        async with socket(server, additional_headers=headers) as client:
            await client.init(None)


async def test_a_page_of_another_site_cannot_connect(server: Served, key: str) -> None:
    with pytest.raises(InvalidStatus) as refused:
        await connected(server, "https://evil.example")
    assert refused.value.response.status_code == 403
    await connected(server, f"http://{server.host}:{server.port}")


async def connected(server: Served, origin: str) -> None:
    async with socket(server, origin=origin):
        pass


async def test_so_many_operations_run_on_one_socket(
    server: Served, key: str, meter: Meter, service: Service
) -> None:
    async with socket(server) as client:
        await client.init(key)
        for number in range(MAX_OPERATIONS + 1):
            await client.subscribe(USAGE, str(number), meter=meter.id)
        messages = [await client.receive() for _ in range(MAX_OPERATIONS + 1)]
        refused = [message for message in messages if message["type"] == "error"]
        assert [message["id"] for message in refused] == [str(MAX_OPERATIONS)]
        assert refused[0]["payload"][0]["extensions"]["code"] == "TOO_MANY_OPERATIONS"
    await settled(lambda: not service.streams._groups)


async def test_a_revoked_key_is_hung_up_on_within_about_a_second(
    server: Served, place: Scope, meter: Meter
) -> None:
    clock = SystemClock()
    doomed = await make.key(place, clock, permissions=PERMISSIONS)
    spared = await make.key(place, clock, permissions=PERMISSIONS)
    async with socket(server) as a, socket(server) as b, events(server, doomed, meter) as stream:
        await a.init(doomed.secret.text)
        await b.init(spared.secret.text)
        await a.subscribe(USAGE, meter=meter.id)
        await a.receive()
        assert (await stream.next())[0] == "next"
        await api_keys.revoke(place, doomed.key.id, by=SYSTEM, at=clock.now())
        assert await a.closed(2.0) == (4403, "Forbidden")
        kind, body = await stream.next()
        assert kind == "next"
        assert body["errors"][0]["extensions"]["code"] == "REVOKED"
        assert (await stream.next())[0] == "complete"
        await b.subscribe("{ __typename }")
        assert (await b.receive())["type"] == "next"


class Events:
    def __init__(self, response: httpx.Response) -> None:
        self._lines = response.aiter_lines()

    async def next(self) -> tuple[str, Any]:
        """The next event's name and data; comments are skipped."""
        name = data = ""
        async with asyncio.timeout(5):
            async for line in self._lines:
                if line.startswith("event: "):
                    name = line.removeprefix("event: ")
                elif line.startswith("data:"):
                    data = line.removeprefix("data:").strip()
                elif not line and name:
                    return name, json.loads(data) if data else None
        raise AssertionError("the stream ended without an event")


@asynccontextmanager
async def events(
    server: Served, made: Any, meter: Meter, text: str = USAGE
) -> AsyncIterator[Events]:
    headers = {"accept": "text/event-stream", "x-api-key": made.secret.text}
    body = {"query": text, "variables": {"meter": meter.id} if "$meter" in text else {}}
    async with (
        httpx.AsyncClient() as http,
        http.stream("POST", server.url, json=body, headers=headers) as response,
    ):
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        assert response.headers["cache-control"] == "no-store"
        yield Events(response)


async def test_a_stream_of_events_tells_usage_as_a_socket_does(
    server: Served, service: Service, clickhouse: ClickHouse, place: Scope, meter: Meter
) -> None:
    made = await make.key(place, SystemClock(), permissions=PERMISSIONS)
    async with events(server, made, meter) as stream:
        kind, body = await stream.next()
        assert (kind, body["data"]["usageUpdated"]["quantity"]) == ("next", "0")
        await calls(clickhouse, place, 2)
        service.hub.hint(usage_key(place, "acme", "call"))
        kind, body = await stream.next()
        assert (kind, body["data"]["usageUpdated"]["quantity"]) == ("next", "2")
    await settled(lambda: not service.streams._groups)
    assert service.hub.watched() == 0


async def test_a_query_as_a_stream_is_one_event_and_the_end(
    server: Served, place: Scope, meter: Meter
) -> None:
    made = await make.key(place, SystemClock(), permissions=PERMISSIONS)
    async with events(server, made, meter, "{ __typename }") as stream:
        assert await stream.next() == ("next", {"data": {"__typename": "Query"}})
        assert await stream.next() == ("complete", None)


async def test_a_reader_that_is_slow_gets_the_latest_answers() -> None:
    reader = Reader()
    for number in range(QUEUED + 5):
        reader.offer(str(number).encode())
    reader.end(Ended())
    got = [await reader.next() for _ in range(QUEUED)]
    assert got == [str(number).encode() for number in range(5, QUEUED + 5)]
    with pytest.raises(Ended):
        await reader.next()


async def test_hints_that_come_together_wake_once() -> None:
    hub = Hub(seconds=0.05)
    woken = 0

    async def watch() -> None:
        nonlocal woken
        with hub.watch("key", at_least_every=60) as wake_ups:
            async for _ in wake_ups:
                woken += 1

    watching = asyncio.create_task(watch())
    await asyncio.sleep(0)
    for _ in range(100):
        hub.hint("key")
        hub.hint("nobody's")
    await asyncio.sleep(0.15)
    assert woken == 1
    hub.hint_all()
    await asyncio.sleep(0.15)
    assert woken == 2
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    assert hub.watched() == 0
    hub.hint("key")
    assert hub._pending == set()


async def test_a_watcher_is_woken_without_hints_too() -> None:
    hub = Hub()
    with hub.watch("key", at_least_every=0.02) as wake_ups:
        async with asyncio.timeout(1):
            await anext(wake_ups)
            await anext(wake_ups)


async def test_the_feed_survives_an_outage_of_kafka(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = 0

    @asynccontextmanager
    async def flaky(_settings: Any) -> AsyncIterator[Any]:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise Unavailable("Kafka", "down")

        async def values() -> AsyncIterator[Any]:
            await asyncio.Event().wait()
            yield

        yield values()

    monkeypatch.setattr(live, "usage_hints", flaky)
    monkeypatch.setattr(live, "_FIRST_PAUSE_SECONDS", 0.01)
    hub = Hub(seconds=0.01)
    with hub.watch("anything", at_least_every=60) as wake_ups:
        feeding = asyncio.create_task(live.feed(hub, settings.kafka))
        async with asyncio.timeout(5):
            await anext(wake_ups)  # once connected, everybody looks
    feeding.cancel()
    await asyncio.gather(feeding, return_exceptions=True)
    assert tries == 3
