"""The modes as processes: they come up, tell how they are, and end in order."""

import asyncio
import json
import signal
import time
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest

from app.kernel.scope import SYSTEM
from app.metering import actions as metering
from app.metering import reads as meters
from app.metering.aggregations import Count
from app.metering.meter import CreateMeter
from tests.modes.conftest import Key
from tests.processes import Mode, Processes, free_port

MODES = ("api", "consumer", "temporal_worker")
EVERYTHING = {"clickhouse", "clickhouse_migrations", "kafka", "postgres", "postgres_migrations"}
ASKED = {
    "api": EVERYTHING | {"s3", "temporal"},
    "consumer": EVERYTHING,
    "temporal_worker": EVERYTHING | {"s3", "temporal"},
}
TELLING = {
    "api": "tariff_http_requests_in_progress",
    "consumer": 'tariff_consumed_batch_rows_bucket{le="1.0",topic="system_events"}',
    "temporal_worker": "temporal_worker_task_slots_available{",
}


def lines(mode: Mode) -> list[dict[str, Any]]:
    """What the process has logged so far; every line must be an object."""
    return [json.loads(line) for line in mode.log.read_text().splitlines()]


def events(mode: Mode) -> list[str]:
    return [line["event"] for line in lines(mode)]


async def ended(mode: Mode) -> tuple[int, float]:
    """SIGTERM; the exit code, and how many seconds it took."""
    started = time.monotonic()
    code = await mode.terminate()
    return code, time.monotonic() - started


async def graphql(mode: Mode, key: Key, query: str, **variables: Any) -> Any:
    async with (
        aiohttp.ClientSession(headers=key.headers) as http,
        http.post(f"{mode.url}/graphql", json={"query": query, "variables": variables}) as answer,
    ):
        body = await answer.json()
    assert "errors" not in body, body
    return body["data"]


async def meter(key: Key, name: str) -> Any:
    command = CreateMeter(name=name, event_name=name, aggregation=Count())
    return await metering.create(key.scope, command, by=SYSTEM, at=datetime.now(UTC))


@pytest.mark.parametrize("name", MODES)
async def test_a_mode_is_ready_tells_how_it_is_and_ends_in_order(
    topics: Any, key: Key, processes: Processes, name: str
) -> None:
    if name == "consumer":
        await meter(key, "seen")  # something to relay and to react to
    mode = await processes.start_mode(name)
    async with aiohttp.ClientSession(mode.url) as http:
        async with http.get("/health") as answer:
            assert (answer.status, await answer.text()) == (200, "ok")
        async with http.get("/ready") as answer:
            body = await answer.json()
            assert (body["status"], body["mode"], body["failing"]) == ("ready", name, [])
            assert {check for check, outcome in body["checks"].items() if outcome["ok"]} == (
                ASKED[name]
            )
        await until_told(http, TELLING[name])
        async with http.get("/metrics") as answer:
            text = await answer.text()
            assert f'tariff_build_info{{mode="{name}",version="' in text
            assert 'tariff_dependency_up{dependency="clickhouse"} 1.0' in text
            assert 'tariff_postgres_connections{state="idle"}' in text
        async with http.get("/nowhere") as answer:
            assert (answer.status, (await answer.json())["code"]) == (404, "NOT_FOUND")
    code, seconds = await ended(mode)
    assert (code, seconds < 10) == (0, True)
    assert all(line["mode"] == name and "timestamp" in line for line in lines(mode))
    assert [line["event"] for line in lines(mode) if line["level"] != "info"] == []
    assert "stopping" in events(mode)


async def until_told(http: aiohttp.ClientSession, text: str) -> None:
    """Return when /metrics holds `text`."""
    async with asyncio.timeout(30):
        while True:
            async with http.get("/metrics") as answer:
                if text in await answer.text():
                    return
            await asyncio.sleep(0.2)


async def test_open_streams_and_sockets_end_properly_and_do_not_keep_the_api(
    topics: Any, key: Key, processes: Processes
) -> None:
    api = await processes.start_mode("api")
    watched = await meter(key, "watched")
    watch = 'usageUpdated(meterId: $m, externalCustomerId: "c") { __typename }'
    query = f"subscription($m: ID!) {{ {watch} }}"
    customer = 'mutation { customerCreate(input: {externalId: "c", name: "C"}) { __typename } }'
    await graphql(api, key, customer)
    asked = {"query": query, "variables": {"m": watched.id}}
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(aiohttp.ClientSession(headers=key.headers))
        streams = [
            await stack.enter_async_context(
                http.post(f"{api.url}/graphql", json=asked, headers={"accept": "text/event-stream"})
            )
            for _ in range(5)
        ]
        sockets = [
            await stack.enter_async_context(
                http.ws_connect(f"{api.url}/graphql", protocols=["graphql-transport-ws"])
            )
            for _ in range(5)
        ]
        for stream in streams:
            assert stream.status == 200
            await stream.content.readuntil(b"event: next")
        for socket in sockets:
            await socket.send_json({"type": "connection_init", "payload": key.headers})
            assert (await socket.receive_json())["type"] == "connection_ack"
            await socket.send_json({"type": "subscribe", "id": "1", "payload": asked})
            for _ in range(100):  # what is left unread must not cost the client the code
                await socket.send_json({"type": "ping"})
        idle = await stack.enter_async_context(http.get(f"{api.url}/health"))
        assert idle.status == 200
        ending = asyncio.create_task(ended(api))
        # Properly: a body that breaks off raises ClientPayloadError here.
        rests = await asyncio.gather(*(stream.content.read() for stream in streams))
        codes = [await closed(socket) for socket in sockets]
        code, seconds = await ending
    assert (code, seconds < 10) == (0, True)
    assert all(rest.startswith(b"\ndata: {") for rest in rests)
    assert codes == [1012] * 5
    assert "stopped_unfinished" not in events(api)
    assert [line["event"] for line in lines(api) if line["level"] in ("error", "critical")] == []
    streamed = [line for line in lines(api) if line["event"] == "http_request"]
    assert [line["status"] for line in streamed if line["route"] == "/graphql"].count(200) >= 6


async def closed(socket: aiohttp.ClientWebSocketResponse) -> int | None:
    """The code that the server closes with."""
    async with asyncio.timeout(10):
        while (await socket.receive()).type is aiohttp.WSMsgType.TEXT:
            pass
    return socket.close_code


async def test_a_new_meter_is_told_through_the_outbox_and_counts_what_was_before_it(
    topics: Any, key: Key, processes: Processes
) -> None:
    consumer = await processes.start_mode("consumer")
    made = await meter(key, "late")
    assert made.backfilled_at is None
    async with asyncio.timeout(30):
        while (await meters.get(key.scope, made.id)).backfilled_at is None:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    assert (await ended(consumer))[0] == 0


@pytest.mark.parametrize("name", MODES)
async def test_a_server_that_is_away_is_named_and_the_exit_code_is_1(
    processes: Processes, name: str
) -> None:
    gone = f"127.0.0.1:{free_port()}"
    environ = {"TARIFF_KAFKA_BROKERS": gone, "TARIFF_CLICKHOUSE_URL": f"http://{gone}"}
    mode = await processes.start_mode(name, environ=environ, ready=False)
    async with asyncio.timeout(30):
        assert await mode.process.wait() == 1
    last = mode.log.read_text().splitlines()[-1]
    assert last.startswith("tariff: ClickHouse and Kafka ") or last.startswith(
        "tariff: Kafka and ClickHouse "
    )
    assert "Traceback" not in mode.log.read_text()


async def test_a_port_that_is_taken_is_told_with_what_to_do(
    topics: Any, processes: Processes
) -> None:
    first = await processes.start_mode("consumer")
    second = await processes.start_mode(
        "consumer", port=int(first.url.rpartition(":")[2]), ready=False
    )
    async with asyncio.timeout(30):
        assert await second.process.wait() == 1
    last = second.log.read_text().splitlines()[-1]
    assert "Address already in use" in last
    assert "TARIFF_SERVER_METRICS_PORT" in last
    assert first.process.returncode is None


async def test_a_mode_is_not_ready_while_a_server_is_away_and_stays_alive(
    topics: Any, processes: Processes
) -> None:
    async with asyncio.timeout(60), _Gate(topics.clickhouse.url) as gate:
        consumer = await processes.start_mode(
            "consumer", environ={"TARIFF_CLICKHOUSE_URL": f"http://127.0.0.1:{gate.port}"}
        )
        async with aiohttp.ClientSession(consumer.url) as http:
            await gate.shut()
            await asyncio.sleep(0.6)  # the answer before may be half a second old
            async with http.get("/ready") as answer:
                body = await answer.json()
                assert answer.status == 503
                assert answer.headers["retry-after"] == "1"
                assert body["failing"] == ["clickhouse", "clickhouse_migrations"]
                assert str(gate.port) not in str(body)
            async with http.get("/health") as answer:
                assert answer.status == 200
            await gate.open()
            await consumer.wait_ready(10)
        assert events(consumer).count("dependency_down") == 2
        assert "dependency_up" in events(consumer)
        code, _ = await ended(consumer)
        assert code == 0, consumer.log.read_text()[-3000:]


class _Gate:
    """Passes connections on to a server, until it is shut."""

    def __init__(self, url: str) -> None:
        host, _, port = url.removeprefix("http://").rstrip("/").partition(":")
        self._target = (host, int(port))
        self.port = free_port()
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._pass, "127.0.0.1", self.port)

    async def shut(self) -> None:
        if self._server is not None:
            self._server.close()
        for writer in self._writers:
            writer.transport.abort()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back, forth = await asyncio.open_connection(*self._target)
        self._writers |= {writer, forth}

        async def copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
            try:
                while data := await source.read(65536):
                    target.write(data)
                    await target.drain()
            except OSError:
                pass
            finally:
                target.close()

        await asyncio.gather(copy(reader, forth), copy(back, writer))

    async def __aenter__(self) -> "_Gate":
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.shut()


async def test_sigint_ends_a_mode_in_order_too(topics: Any, processes: Processes) -> None:
    worker = await processes.start_mode("temporal_worker")
    worker.process.send_signal(signal.SIGINT)
    async with asyncio.timeout(10):
        assert await worker.process.wait() == 0
