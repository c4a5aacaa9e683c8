"""A raw client of graphql-transport-ws: sends and receives exactly what the test says."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.graphql.server import Served

PROTOCOL = "graphql-transport-ws"


class Client:
    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    async def send(self, message: Any) -> None:
        raw = isinstance(message, str | bytes)
        await self._connection.send(message if raw else json.dumps(message))

    async def text(self, seconds: float = 5.0) -> str:
        """The next frame, which must be a text frame."""
        async with asyncio.timeout(seconds):
            frame = await self._connection.recv()
        assert isinstance(frame, str)
        return frame

    async def receive(self, seconds: float = 5.0) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(await self.text(seconds))
        return message

    async def quiet(self, seconds: float = 0.3) -> bool:
        """Whether nothing comes for so long."""
        try:
            await self.text(seconds)
        except TimeoutError:
            return True
        return False

    async def closed(self, seconds: float = 5.0) -> tuple[int, str]:
        """The code and reason of the server's closing; what comes before it is skipped."""
        with suppress(ConnectionClosed):
            while True:
                await self.text(seconds)
        code, reason = self._connection.close_code, self._connection.close_reason
        assert code is not None
        return code, reason or ""

    async def init(self, key: str | None) -> None:
        payload = {} if key is None else {"x-api-key": key}
        await self.send({"type": "connection_init", "payload": payload})
        assert await self.receive() == {"type": "connection_ack"}

    async def subscribe(self, text: str, id_: str = "1", **variables: Any) -> None:
        payload = {"query": text, "variables": variables}
        await self.send({"id": id_, "type": "subscribe", "payload": payload})


@asynccontextmanager
async def socket(
    server: Served, *, protocol: str | None = PROTOCOL, **options: Any
) -> AsyncIterator[Client]:
    protocols = None if protocol is None else [protocol]
    async with connect(server.socket_url, subprotocols=protocols, **options) as connection:  # type: ignore[arg-type]
        yield Client(connection)
