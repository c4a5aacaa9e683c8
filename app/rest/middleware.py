"""What surrounds every request, as plain ASGI: no task and no copy of the body per layer.

From the outside in: the request's id, trace, log line and metrics; the answer to exceptions;
security headers; the body's limit; the deadline. Streams (SSE, WebSocket) have no deadline.
"""

import asyncio
import time
from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from typing import Final

import structlog
from prometheus_client import Counter, Histogram
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bind_contextvars, reset_contextvars

from app.config import Server
from app.infra.telemetry.context import accepted_request_id, accepted_trace
from app.infra.telemetry.metrics import (
    HTTP_IN_PROGRESS,
    HTTP_REQUESTS,
    HTTP_SECONDS,
    HTTP_STREAMS,
)
from app.rest.problems import DeadlineExceeded, TooLarge, problem

log = structlog.get_logger("app.access")

_METHODS: Final = {"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"}
_QUIET: Final = {"/health", "/ready", "/metrics"}  # asked every few seconds by machines
_SECURITY: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
_EVENT_STREAMS: Final = HTTP_STREAMS.labels("sse")
_WEBSOCKETS: Final = HTTP_STREAMS.labels("websocket")
_HSTS: Final = (b"strict-transport-security", b"max-age=31536000")


def surrounded(app: ASGIApp, server: Server, *, access_log: bool) -> ASGIApp:
    """`app` with everything that surrounds a request."""
    secure = server.public_url.startswith("https://")
    app = Deadline(app, server.request_seconds)
    app = Answered(BodyLimit(app, server.max_body_bytes), secure=secure)
    if server.allowed_origins:
        app = _cors(app, server.allowed_origins)
    return Observed(app, access_log=access_log)


def _cors(app: ASGIApp, origins: list[str]) -> ASGIApp:
    # Keys travel in headers, never in cookies, so no origin gets credentials.
    return CORSMiddleware(
        app,
        allow_origins=origins,
        allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
        allow_headers=[
            "authorization",
            "content-type",
            "idempotency-key",
            "traceparent",
            "x-api-key",
            "x-environment-id",
            "x-request-id",
            "x-tenant-id",
        ],
        expose_headers=[
            "graphql-cost",
            "idempotency-key-expires",
            "idempotency-replayed",
            "retry-after",
            "x-request-id",
        ],
        max_age=600,
    )


class Observed:
    """Names the request, and tells of it: one log line and the metrics."""

    def __init__(self, app: ASGIApp, *, access_log: bool) -> None:
        self.app, self.access_log = app, access_log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request_id = accepted_request_id(header(scope, b"x-request-id"))
        trace_id, span_id = accepted_trace(header(scope, b"traceparent"))
        scope.setdefault("state", {})["request_id"] = request_id
        tokens = bind_contextvars(request_id=request_id, trace_id=trace_id, span_id=span_id)
        try:
            if scope["type"] == "websocket":
                with _WEBSOCKETS.track_inprogress():
                    await self.app(scope, receive, send)
            else:
                await self._http(scope, receive, send)
        finally:
            reset_contextvars(**tokens)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        seen = _Seen(send, scope["state"]["request_id"])
        started = time.perf_counter()
        HTTP_IN_PROGRESS.inc()
        try:
            await self.app(scope, receive, seen.send)
        finally:
            HTTP_IN_PROGRESS.dec()
            seen.close()
            self._tell(scope, seen, time.perf_counter() - started)

    def _tell(self, scope: Scope, seen: "_Seen", seconds: float) -> None:
        route = template(scope)
        method = scope["method"] if scope["method"] in _METHODS else "OTHER"
        requests, duration = _series(method, route, seen.status)
        requests.inc()
        if not seen.stream:
            duration.observe(seconds)
        if self.access_log and route not in _QUIET:
            log.info(
                "http_request",
                method=method,
                route=route,
                status=seen.status,
                milliseconds=round(seconds * 1000, 2),
                bytes=seen.bytes,
            )


@cache  # as many as there are routes, methods and statuses
def _series(method: str, route: str, status: int) -> tuple[Counter, Histogram]:
    return HTTP_REQUESTS.labels(method, route, status), HTTP_SECONDS.labels(method, route)


class _Seen:
    """Watches an answer pass: its status and size, and whether it is a stream."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send, self._request_id = send, request_id.encode()
        # What the log says when the client left before there was an answer.
        self.status, self.bytes, self.stream = 499, 0, False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = [*message.get("headers", ()), (b"x-request-id", self._request_id)]
            if is_stream(message["headers"]):
                self.stream = True
                _EVENT_STREAMS.inc()
        elif message["type"] == "http.response.body":
            self.bytes += len(message.get("body", b""))
        await self._send(message)

    def close(self) -> None:
        if self.stream:
            _EVENT_STREAMS.dec()


class Answered:
    """Answers exceptions as problems, and adds the security headers to every answer."""

    def __init__(self, app: ASGIApp, *, secure: bool) -> None:
        self.app = app
        self.headers = [*_SECURITY, _HSTS] if secure else [*_SECURITY]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # Routing asks for an application only to know whether somebody answers exceptions.
        scope["app"] = self
        if scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
            return
        begun = False

        async def begin(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                message["headers"] = self._secured(message.get("headers", ()))
            await send(message)

        try:
            await self.app(scope, receive, begin)
        except Exception as error:
            answer = problem(error)
            if begun:
                # Too late for a status: an answer without its end tells the client to distrust it.
                log.warning("response_broken", reason=type(error).__name__)
                return
            await answer(scope, receive, begin)

    def _secured(self, headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        given = list(headers)
        present = {name.lower() for name, _ in given}
        return given + [pair for pair in self.headers if pair[0] not in present]

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self.app(scope, receive, send)
        except Exception:
            log.exception("websocket_failed")
            # 1011, "internal error": RFC 6455, section 7.4.1.
            with suppress(RuntimeError):  # the socket is closed already
                await send({"type": "websocket.close", "code": 1011, "reason": ""})


class BodyLimit:
    """Refuses a body above the limit: by its announced length, else while it arrives."""

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self.app, self.limit = app, limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        length = header(scope, b"content-length") or ""
        if length.isdecimal() and int(length) > self.limit:
            raise TooLarge(self.limit)
        received = 0

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self.limit:
                raise TooLarge(self.limit)
            return message

        await self.app(scope, counted, send)


class Deadline:
    """Gives up a request after so many seconds, unless it turned into a stream."""

    def __init__(self, app: ASGIApp, seconds: float) -> None:
        self.app, self.seconds = app, seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        deadline = asyncio.timeout(self.seconds)

        async def released(message: Message) -> None:
            if message["type"] == "http.response.start" and is_stream(message.get("headers", ())):
                deadline.reschedule(None)
            await send(message)

        try:
            async with deadline:
                await self.app(scope, receive, released)
        except TimeoutError as error:
            if deadline.expired():
                raise DeadlineExceeded(self.seconds) from error
            raise


def header(scope: Scope, wanted: bytes) -> str | None:
    """The first header of that (lower-case) name; servers pass names in lower case."""
    for name, value in scope["headers"]:
        if name == wanted:
            return str(value, "latin-1")
    return None


def is_stream(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether an answer's headers say that it is a stream of events."""
    for name, value in headers:
        if name.lower() == b"content-type":
            return value.startswith((b"text/event-stream", b"multipart/"))
    return False


def template(scope: Scope) -> str:
    """The template of the route that served the request, such as /v1/invoices/{id}/pdf."""
    path: str | None = getattr(scope.get("route"), "path", None)
    return path if path is not None else "unmatched"
