"""Serves an ASGI application on loopback until SIGTERM or SIGINT."""

import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

_UNTOUCHED_SECONDS = 2.0
_AT_MOST_SECONDS = 5


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, interrupt: Callable[[], None]) -> None:
        super().__init__(config)
        self._timer = threading.Timer(_UNTOUCHED_SECONDS, interrupt)
        self._timer.daemon = True

    # Not in the signal's handler: a second signal would find the thread half started.
    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._timer.start()
        await super().shutdown(sockets)

    # uvicorn raises the signal again when it has served, which would end the process before
    # what stands behind the application is closed.
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        numbers = (signal.SIGINT, signal.SIGTERM)
        before = {number: signal.signal(number, self.handle_exit) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            self._timer.cancel()


def serve(
    application: Any, *, host: str, port: int, interrupt: Callable[[], None] = lambda: None
) -> None:
    """Serve. Requests in hand when the signal comes have 5 s to finish.

    After 2 of them `interrupt` is called, on a thread of its own, to hurry them.
    """
    config = uvicorn.Config(
        application,
        host=host,
        port=port,
        lifespan="off",
        ws="none",
        log_level="warning",
        access_log=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=_AT_MOST_SECONDS,
    )
    _Server(config, interrupt).run()
