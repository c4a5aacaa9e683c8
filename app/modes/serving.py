"""Runs services until told to stop.

A mode owns the signals; servers and consumers obey `stop`. The first SIGTERM or SIGINT asks
every service to finish what it has in hand, the second ends the process at once.
"""

import asyncio
import os
import signal
import socket
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final

import structlog
import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from app.config import ConfigError, Settings
from app.infra.telemetry.metrics import calm_collector, watch_loop
from app.kernel.errors import Unavailable
from app.rest.middleware import is_stream
from app.rest.problems import problem

log = structlog.get_logger(__name__)

Service = Callable[[asyncio.Event], Awaitable[None]]

# Of the time a process may take to stop, what its services get; the rest is for closing
# connections and sending the last reports.
_SERVICES_SHARE: Final = 0.75
_HTTP_SHARE: Final = 0.6
_BACKLOG: Final = 2048
# WebSockets get a second to answer that they close.
_CLOSING_PAUSE: Final = 0.02
_CLOSING_CHECKS: Final = 50


@contextmanager
def signalled(settings: Settings, *, at_most: float | None = None) -> Iterator[asyncio.Event]:
    """An event that the first SIGINT or SIGTERM sets; a second one ends the process at once.

    Entered before anything is opened and left after everything is closed. After the first
    signal all that must be done in `at_most` seconds (`deployment.shutdown_seconds` when not
    given), or the process ends with exit code 1.
    """
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    seconds = at_most or settings.deployment.shutdown_seconds
    with _watchdog(seconds) as watched:

        def heard(number: signal.Signals) -> None:
            if stop.is_set():
                log.warning("stopped_at_once", signal=number.name)
                os._exit(128 + number)
            log.info("stopping", signal=number.name, seconds=seconds)
            watched()
            stop.set()

        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, heard, number)
        try:
            yield stop
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)


@contextmanager
def _watchdog(seconds: float) -> Iterator[Callable[[], None]]:
    """Once called, the block has so many seconds to end, or the process ends with exit code 1."""
    # A thread, so that it works even when something blocks the event loop.
    timer = threading.Timer(seconds, _give_up, (seconds,))
    timer.daemon = True

    def start() -> None:
        if timer.ident is None:
            timer.start()

    try:
        yield start
    finally:
        timer.cancel()


def _give_up(seconds: float) -> None:
    log.error("stopped_unfinished", seconds=seconds)
    os._exit(1)


async def run_services(*services: Service, stop: asyncio.Event, settings: Settings) -> None:
    """Run every service until `stop` is set and all have finished what they had in hand.

    If one fails, `stop` is set for the others, and the failure is raised when they have ended.
    One that has not ended in its share of the time to stop is cancelled: what it left is taken
    up again by another process.
    """
    calm_collector()
    total = settings.deployment.shutdown_seconds
    failures: list[Exception] = []
    with _watchdog(total) as watched:

        async def attend(service: Service) -> None:
            try:
                await service(stop)
                _require_told(stop, service)
            except Exception as failure:
                failures.append(failure)
                watched()
                stop.set()

        try:
            await _all(attend, services, stop, seconds=total * _SERVICES_SHARE)
        except TimeoutError:
            log.warning("services_cancelled", seconds=total * _SERVICES_SHARE)
    if failures:
        raise failures[0] if len(failures) == 1 else ExceptionGroup("services failed", failures)


def _require_told(stop: asyncio.Event, service: Service) -> None:
    if not stop.is_set():
        raise RuntimeError(f"{service!r} ended without having been told to")


async def _all(
    attend: Callable[[Service], Coroutine[None, None, None]],
    services: Sequence[Service],
    stop: asyncio.Event,
    *,
    seconds: float,
) -> None:
    """Attend to all services; they end within `seconds` of `stop`. Raises: TimeoutError."""
    async with asyncio.timeout(None) as limit, asyncio.TaskGroup() as around:
        beside = [
            around.create_task(watch_loop()),
            around.create_task(_limit(limit, stop, seconds)),
        ]
        async with asyncio.TaskGroup() as group:
            for service in services:
                group.create_task(attend(service))
        for task in beside:
            task.cancel()


async def _limit(limit: asyncio.Timeout, stop: asyncio.Event, seconds: float) -> None:
    await stop.wait()
    limit.reschedule(asyncio.get_running_loop().time() + seconds)


class _Server(uvicorn.Server):
    # uvicorn re-raises SIGTERM after serving, which would kill the process before the runtime
    # closes its pools.
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def http(app: ASGIApp, *, host: str, port: int, settings: Settings) -> Service:
    """A service that answers HTTP and WebSockets with `app`; port 0 takes any free port.

    On stop it ends event streams properly and closes WebSockets with 1012 ("service restart"),
    then accepts no more and finishes the requests in hand.
    """

    async def serve(stop: asyncio.Event) -> None:
        draining = Draining(app)
        with _listening(host, port) as listener:
            server = _Server(_uvicorn(draining, settings.deployment.shutdown_seconds))
            log.info("listening", host=host, port=listener.getsockname()[1])
            async with asyncio.TaskGroup() as group:
                group.create_task(server.serve([listener]))
                await stop.wait()
                draining.end_streams()
                await _sockets_closed(server)
                server.should_exit = True

    return serve


async def _sockets_closed(server: uvicorn.Server) -> None:
    # uvicorn cuts what has not answered its close: with something left to read, the kernel
    # resets the connection, and the client may never see the code.
    connections = server.server_state.connections
    for _ in range(_CLOSING_CHECKS):
        if not any(isinstance(one, WebSocketsSansIOProtocol) for one in connections):
            return
        await asyncio.sleep(_CLOSING_PAUSE)


def _uvicorn(app: ASGIApp, shutdown_seconds: float) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        loop="none",
        http="httptools",
        ws="websockets-sansio",
        ws_max_size=1_048_576,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=75,  # longer than the idle time of common load balancers
        timeout_graceful_shutdown=max(1, int(shutdown_seconds * _HTTP_SHARE)),
    )


@contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise ConfigError(
            f"cannot listen on {host} port {port}: {error.strerror}. "
            "Choose another with TARIFF_SERVER_HOST and TARIFF_SERVER_PORT "
            "(TARIFF_SERVER_METRICS_PORT for consumer and temporal_worker)."
        ) from error
    with listener:
        yield listener


class Draining:
    """Ends open event streams and WebSockets when told to; their clients connect again, elsewhere.

    Without this an open stream keeps the server from ever finishing. A request that is cancelled
    because it took longer than there is time is answered with 503 where that is still possible.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self._streams: set[asyncio.Task[None]] = set()
        self._ending = False

    def end_streams(self) -> None:
        """End the streams that are open, and any that opens from now on."""
        self._ending = True
        for task in self._streams:
            task.cancel()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        task = asyncio.current_task()
        if scope["type"] not in ("http", "websocket") or task is None:
            await self.app(scope, receive, send)
            return
        begun = False

        async def watched(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)
            if message["type"] == "websocket.close":
                self._streams.discard(task)
            elif _opens_stream(message):
                self._streams.add(task)
                if self._ending:
                    task.cancel()

        try:
            await self.app(scope, receive, watched)
        except asyncio.CancelledError:
            if not self._ending:
                raise
            task.uncancel()
            if task in self._streams:
                await send(_LAST[scope["type"]])
            elif not begun and scope["type"] == "http":
                await problem(_RESTARTING)(scope, receive, send)
        finally:
            self._streams.discard(task)


def _opens_stream(message: Message) -> bool:
    if message["type"] == "http.response.start":
        return is_stream(message["headers"])
    opened: bool = message["type"] == "websocket.accept"
    return opened


_LAST: Final[Mapping[str, Message]] = {
    "http": {"type": "http.response.body", "body": b"", "more_body": False},
    "websocket": {"type": "websocket.close", "code": 1012, "reason": "service restart"},
}

_RESTARTING: Final = Unavailable("this server", "it stops, and the request took too long")
