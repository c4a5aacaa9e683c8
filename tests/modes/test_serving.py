"""Signals and services: who is told to stop, how long it may take, and what a failure does."""

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import aiohttp
import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route, Router

from app.config import ConfigError, Deployment, Settings
from app.modes.serving import http, run_services
from tests.processes import free_port

_PROGRAM = """
import asyncio, sys, time
from app.config import Deployment, Settings
from app.modes.serving import run_services, signalled
async def obeys(stop):
    print("up", flush=True)
    await stop.wait()
async def clings(stop):
    try:
        await asyncio.sleep(60)
    finally:
        print("cancelled", flush=True)
async def blocks(stop):
    await stop.wait()
    time.sleep(60)
async def fails_later(stop):
    await asyncio.sleep(0.3)
    raise LookupError("broke")
async def main():
    settings = Settings(deployment=Deployment(shutdown_seconds=float(sys.argv[1])))
    with signalled(settings) as stop:
        services = [globals()[name] for name in sys.argv[2:]]
        await run_services(*services, stop=stop, settings=settings)
    print("closed", flush=True)
asyncio.run(main())
"""


@contextmanager
def program(seconds: float, *services: str) -> Iterator["subprocess.Popen[str]"]:
    """A process that runs services of `_PROGRAM`, once they are up."""
    command = [sys.executable, "-c", _PROGRAM, str(seconds), *services]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            assert process.stdout is not None
            while process.stdout.readline() != "up\n":
                assert process.poll() is None
            yield process
        finally:
            process.kill()


def rest(process: "subprocess.Popen[str]") -> list[str]:
    assert process.stdout is not None
    lines = process.stdout.read().splitlines()
    return [line for line in lines if not line.startswith("20")]  # without log lines


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_the_services_and_then_everything_closes(number: signal.Signals) -> None:
    with program(10, "obeys") as process:
        process.send_signal(number)
        assert process.wait(5) == 0
        assert rest(process) == ["closed"]


def test_a_service_that_does_not_stop_is_cancelled_in_time_to_close() -> None:
    with program(2, "obeys", "clings") as process:
        started = time.monotonic()
        process.terminate()
        assert process.wait(5) == 0
        assert 1.4 < time.monotonic() - started < 2
        assert rest(process) == ["cancelled", "closed"]


def test_a_second_signal_ends_the_process_at_once() -> None:
    with program(30, "obeys", "clings") as process:
        process.terminate()
        time.sleep(0.3)
        assert process.poll() is None
        started = time.monotonic()
        process.terminate()
        assert process.wait(5) == 128 + signal.SIGTERM
        assert time.monotonic() - started < 1


def test_a_process_that_hangs_ends_by_itself() -> None:
    with program(1, "obeys", "blocks") as process:
        started = time.monotonic()
        process.terminate()
        assert process.wait(5) == 1
        assert time.monotonic() - started < 2


async def test_a_service_that_fails_stops_the_others_in_order() -> None:
    ended = []

    async def fails(_stop: asyncio.Event) -> None:
        await asyncio.sleep(0)
        raise LookupError("broke")

    async def other(stop: asyncio.Event) -> None:
        await stop.wait()
        await asyncio.sleep(0.1)
        ended.append("finished")

    with pytest.raises(LookupError, match="broke"):
        await run_services(fails, other, stop=asyncio.Event(), settings=Settings())
    assert ended == ["finished"]


async def test_services_that_fail_together_are_all_told() -> None:
    async def fails(_stop: asyncio.Event) -> None:
        raise LookupError("broke")

    async def fails_too(stop: asyncio.Event) -> None:
        await stop.wait()
        raise KeyError("too")

    with pytest.raises(ExceptionGroup) as failure:
        await run_services(fails, fails_too, stop=asyncio.Event(), settings=Settings())
    assert {type(one) for one in failure.value.exceptions} == {LookupError, KeyError}


async def test_a_service_that_ends_by_itself_is_a_failure() -> None:
    async def gives_up(_stop: asyncio.Event) -> None:
        return

    with pytest.raises(RuntimeError, match="without having been told to"):
        await run_services(gives_up, stop=asyncio.Event(), settings=Settings())


def test_a_failure_ends_the_process_even_when_another_service_hangs() -> None:
    with program(1, "obeys", "blocks", "fails_later") as process:
        started = time.monotonic()
        assert process.wait(10) == 1
        assert time.monotonic() - started < 3


async def slow(_request: Request) -> PlainTextResponse:
    await asyncio.sleep(0.5)
    return PlainTextResponse("done")


async def endless(_request: Request) -> StreamingResponse:
    async def parts() -> AsyncIterator[bytes]:
        while True:
            yield b"data: x\n\n"
            await asyncio.sleep(0.05)

    return StreamingResponse(parts(), media_type="text/event-stream")


async def stuck(_request: Request) -> PlainTextResponse:
    await asyncio.sleep(60)
    return PlainTextResponse("never")


async def serve_and_stop(path: str, seconds: float = 10) -> tuple[object, float]:
    """Ask for `path`, stop the server meanwhile; what came of it, and how long stopping took."""
    settings, port = Settings(deployment=Deployment(shutdown_seconds=seconds)), free_port()
    app = Router([Route("/slow", slow), Route("/endless", endless), Route("/stuck", stuck)])
    stop = asyncio.Event()
    serving = asyncio.create_task(http(app, host="127.0.0.1", port=port, settings=settings)(stop))
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as client:
        await asyncio.sleep(0.3)
        asked = asyncio.create_task(_asked(client, path))
        await asyncio.sleep(0.2)
        started = time.monotonic()
        stop.set()
        result = await asked
        await serving
    return result, time.monotonic() - started


async def _asked(client: aiohttp.ClientSession, path: str) -> object:
    async with client.get(path) as answer:
        if answer.status != 200:
            message = (await answer.json())["message"].encode()
            return answer.status, answer.headers["retry-after"], message
        return await answer.read()


async def test_a_request_in_hand_is_finished() -> None:
    result, seconds = await serve_and_stop("/slow")
    assert result == b"done"
    assert seconds < 2


async def test_an_open_event_stream_is_ended_properly() -> None:
    result, seconds = await serve_and_stop("/endless")
    assert isinstance(result, bytes)
    assert result.startswith(b"data: x\n\n")
    assert result.endswith(b"\n\n")
    assert seconds < 2


async def test_a_request_that_does_not_end_is_broken_off_in_time() -> None:
    result, seconds = await serve_and_stop("/stuck", seconds=3)
    assert result == (503, "1", b"this server is unavailable; try again")
    assert seconds < 3


async def test_a_port_that_is_taken_is_a_wrong_setting() -> None:
    port = free_port()
    app, settings = Router([]), Settings()
    stop = asyncio.Event()
    first = asyncio.create_task(http(app, host="127.0.0.1", port=port, settings=settings)(stop))
    await asyncio.sleep(0.3)
    with pytest.raises(ConfigError, match=f"cannot listen on 127.0.0.1 port {port}"):
        await http(app, host="127.0.0.1", port=port, settings=settings)(stop)
    stop.set()
    await first
