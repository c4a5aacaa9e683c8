"""A real HTTP and WebSocket server in the test's own loop."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

import uvicorn
from starlette.types import ASGIApp


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield  # signals are pytest's


@dataclass(frozen=True)
class Served:
    host: str
    port: int

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}/graphql"

    @property
    def socket_url(self) -> str:
        return f"ws://{self.host}:{self.port}/graphql"


@asynccontextmanager
async def served(app: ASGIApp) -> AsyncIterator[Served]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(
            app,
            loop="none",
            http="httptools",
            ws="websockets-sansio",
            lifespan="off",
            log_config=None,
            timeout_graceful_shutdown=2,
        )
        server = _Server(config)
        running = asyncio.create_task(server.serve([listener]))
        async with asyncio.timeout(5):
            while not server.started:  # noqa: ASYNC110 - uvicorn sets a plain attribute
                await asyncio.sleep(0.01)
        yield Served("127.0.0.1", listener.getsockname()[1])
        server.should_exit = True
        await running
