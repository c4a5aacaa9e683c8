"""GraphQL over WebSockets: the protocol graphql-transport-ws.

Source: PROTOCOL.md of the graphql-ws project. Messages are text frames. Close codes:

    4400  a message that is not one of the protocol       4408  no ConnectionInit in time
    4401  Subscribe before ConnectionAck                  4409  an id that is in use
    4403  the credentials are refused, or end             4429  a second ConnectionInit
    4406  another subprotocol                             4500  a fault of ours
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

import orjson
import structlog
from starlette.websockets import WebSocket, WebSocketDisconnect

from app.graphql.encoding import encoded
from app.graphql.errors import RequestRefused, refusal
from app.graphql.execution import is_subscription
from app.graphql.metrics import SOCKETS
from app.graphql.service import Service, Visit
from app.graphql.streams import Ended
from app.graphql.wire import from_message
from app.kernel.copies import replace
from app.kernel.ids import new_id

log = structlog.get_logger(__name__)

SUBPROTOCOL: Final = "graphql-transport-ws"
INIT_SECONDS: Final = 10.0
SEND_SECONDS: Final = 30.0
MAX_OPERATIONS: Final = 100
MAX_ID_CHARACTERS: Final = 128
CLOSE_SECONDS: Final = 5.0

_TYPES: Final = {"connection_init", "subscribe", "complete", "ping", "pong"}
_PONG: Final = b'{"type":"pong"}'
_TOO_MANY: Final = refusal(
    f"one connection runs at most {MAX_OPERATIONS} operations at a time", "TOO_MANY_OPERATIONS"
)


class Close(Exception):
    """End the connection with a code and a reason."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code, self.reason = code, reason


class Socket:
    """One connection: its handshake, and the operations that run on it."""

    def __init__(
        self, service: Service, websocket: WebSocket, *, init_seconds: float = INIT_SECONDS
    ) -> None:
        self._service, self._websocket = service, websocket
        self._init_seconds = init_seconds
        self._operations: dict[str, asyncio.Task[None]] = {}
        self._over: asyncio.Future[Close] = asyncio.get_running_loop().create_future()

    async def serve(self) -> None:
        """Accept the connection and serve it until either side ends it."""
        if SUBPROTOCOL not in self._websocket.scope.get("subprotocols", ()):
            await self._websocket.accept()
            await self._websocket.close(4406, "Subprotocol not acceptable")
            return
        await self._websocket.accept(SUBPROTOCOL)
        with SOCKETS.track_inprogress():
            async with asyncio.TaskGroup() as tasks:
                reading = tasks.create_task(self._reading(tasks))
                close = await self._over
                for task in (reading, *self._operations.values()):
                    task.cancel()
        with suppress(RuntimeError, WebSocketDisconnect, TimeoutError):  # the client is gone
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._websocket.close(close.code, close.reason)

    def end(self, close: Close) -> None:
        """End the connection; the first reason counts."""
        if not self._over.done():
            self._over.set_result(close)

    async def _reading(self, tasks: asyncio.TaskGroup) -> None:
        """The tasks of a socket end it instead of raising, so that its group never fails."""
        try:
            await self._conversation(tasks)
        except Close as close:
            self.end(close)
        except WebSocketDisconnect:
            self.end(Close(1000, ""))
        except Exception:
            log.exception("websocket_failed")
            self.end(Close(4500, "Internal server error"))

    async def _conversation(self, tasks: asyncio.TaskGroup) -> None:
        try:
            async with asyncio.timeout(self._init_seconds):
                payload = await self._init()
        except TimeoutError as error:
            raise Close(4408, "Connection initialisation timeout") from error
        visit = await self._visit(payload)
        if visit is None or visit.caller is None:
            raise Close(4403, "Forbidden")

        def revoked() -> None:
            self.end(Close(4403, "Forbidden"))

        with self._service.watch.over(visit.credentials, visit.caller, revoked):
            await self._send(b'{"type":"connection_ack"}')
            while True:
                await self._obey(await self._received(), visit, tasks)

    async def _init(self) -> Mapping[str, Any]:
        """The payload of ConnectionInit; nothing but pings may come before it."""
        while True:
            message = await self._received()
            match message["type"]:
                case "connection_init":
                    payload = message.get("payload")
                    if payload is not None and not isinstance(payload, dict):
                        raise Close(4400, "ConnectionInit: the payload must be an object")
                    return payload or {}
                case "subscribe":
                    raise Close(4401, "Unauthorized")
                case "ping":
                    await self._send(_PONG)

    async def _visit(self, payload: Mapping[str, Any]) -> Visit | None:
        """Who connects: by the handshake's headers, or the payload, which browsers can set."""
        given = {name.lower(): value for name, value in payload.items() if isinstance(value, str)}
        headers = {**self._websocket.headers, **given}
        try:
            return await self._service.visit(headers, new_id("req"))
        except RequestRefused as refused:
            if refused.status == 503:
                raise Close(1013, "Try again later") from refused
            return None

    async def _obey(
        self, message: Mapping[str, Any], visit: Visit, tasks: asyncio.TaskGroup
    ) -> None:
        match message["type"]:
            case "subscribe":
                id_ = _id(message)
                if id_ in self._operations:
                    raise Close(4409, f"Subscriber for {id_} already exists")
                if len(self._operations) >= MAX_OPERATIONS:
                    await self._finish(id_, _TOO_MANY.errors)
                    return
                operating = self._operating(id_, message.get("payload"), visit)
                self._operations[id_] = tasks.create_task(operating)
            case "complete":
                operation = self._operations.pop(_id(message), None)
                if operation is not None:
                    operation.cancel()
            case "ping":
                await self._send(_PONG)
            case "connection_init":
                raise Close(4429, "Too many initialisation requests")

    async def _operating(self, id_: str, payload: object, visit: Visit) -> None:
        try:
            await self._operate(id_, payload, replace(visit, request_id=new_id("req")))
        except RequestRefused as refused:
            await self._finish(id_, refused.errors)
        except Ended as ended:
            await self._finish(id_, ended.errors)
        except Close as close:
            self.end(close)
        except Exception:
            log.exception("websocket_operation_failed")
            self.end(Close(4500, "Internal server error"))

    async def _operate(self, id_: str, payload: object, visit: Visit) -> None:
        prepared = self._service.prepare(from_message(payload))
        self._service.admit(prepared, visit)
        context = self._service.context(visit)
        head = b'{"id":' + orjson.dumps(id_) + b',"type":"next","payload":'
        if is_subscription(prepared):
            async with self._service.streams.join(prepared, context) as reader:
                while True:
                    await self._send(head + await reader.next() + b"}")
        body = await self._service.execute(prepared, context)
        await self._send(head + encoded(body) + b"}")
        raise Ended

    async def _finish(self, id_: str, errors: list[dict[str, Any]] | None) -> None:
        # First, so that the client may use the id again as soon as it hears.
        self._operations.pop(id_, None)
        message: dict[str, Any] = {"id": id_, "type": "complete"}
        if errors is not None:
            message |= {"type": "error", "payload": errors}
        try:
            await self._send(encoded(message))
        except Close as close:
            self.end(close)

    async def _received(self) -> Mapping[str, Any]:
        """The next message. Raises: Close (4400), WebSocketDisconnect."""
        frame = await self._websocket.receive()
        if frame["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(frame.get("code", 1005))
        text = frame.get("text")
        if text is None:
            raise Close(4400, "Messages are text frames")
        try:
            message = orjson.loads(text)
        except orjson.JSONDecodeError as error:
            raise Close(4400, "Messages are JSON objects") from error
        if not isinstance(message, dict) or message.get("type") not in _TYPES:
            raise Close(4400, "Invalid message type")
        return message

    async def _send(self, message: bytes) -> None:
        """Raises: Close when the client has not taken a message for too long, or is gone."""
        try:
            async with asyncio.timeout(SEND_SECONDS):
                await self._websocket.send_text(message.decode())
        except TimeoutError as error:
            raise Close(1013, "Too slow") from error
        except (WebSocketDisconnect, RuntimeError) as error:
            raise Close(1000, "") from error


def _id(message: Mapping[str, Any]) -> str:
    id_ = message.get("id")
    if not isinstance(id_, str) or not 0 < len(id_) <= MAX_ID_CHARACTERS:
        raise Close(4400, f"id: a string of 1 to {MAX_ID_CHARACTERS} characters")
    return id_
