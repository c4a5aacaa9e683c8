"""The HTTP interface: an ASGI application in front of the engine.

Each request runs on a thread of the pool, which pulls the body from the event loop and pushes
the answer to it, so that neither a large insert nor a large result is ever whole in memory.
"""

import asyncio
import secrets
import string
import threading
import time
import zlib
from collections.abc import Callable, Coroutine, Iterator, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

from app.embedded.clickhouse import request as requests
from app.embedded.clickhouse.answer import Answer
from app.embedded.clickhouse.codes import (
    INCORRECT_DATA,
    QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING,
    EngineError,
)
from app.embedded.clickhouse.engine import Engine, Summary
from app.embedded.clickhouse.request import Request
from app.embedded.clickhouse.statement import Statement, parse

T = TypeVar("T")
Receive = Callable[[], Coroutine[Any, Any, MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Coroutine[Any, Any, None]]

_PLAIN = {"/ping": b"Ok.\n", "/replicas_status": b"Ok.\n"}


class ClientLeft(Exception):
    """The client closed the connection before its request was whole or answered."""


class Interface:
    """The ASGI application. `password` is what the user `default` must give."""

    def __init__(self, engine: Engine, *, password: str = "", threads: int = 32) -> None:
        self._engine, self._password = engine, password
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="query")
        self._running: dict[str, Request] = {}
        self._guard = threading.Lock()

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        method, path = scope["method"], scope["path"]
        if path in _PLAIN or (path == "/" and method == "GET" and not scope["query_string"]):
            await _plain(send, 200, _PLAIN.get(path, b"Ok.\n"))
        elif path != "/":
            await _plain(send, 404, f"There is no handle {path}\n".encode())
        elif method not in ("GET", "POST"):
            await _plain(send, 501, f"Method {method} is not supported\n".encode())
        else:
            exchange = Exchange(asyncio.get_running_loop(), receive, send)
            try:
                await exchange.loop.run_in_executor(self._threads, self._serve, scope, exchange)
            finally:
                exchange.stop_watching()

    def interrupt(self) -> None:
        """Cancel every query that runs."""
        with self._guard:
            running = list(self._running.values())
        for request in running:
            self._engine.cancel(request)

    def close(self, *, seconds: float) -> bool:
        """Take no more; whether the queries that still run have ended within `seconds`."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self.interrupt()
        deadline = time.monotonic() + seconds
        while self._running and time.monotonic() < deadline:
            time.sleep(0.02)
        return not self._running

    def _serve(self, scope: MutableMapping[str, Any], exchange: "Exchange") -> None:
        headers = {k.decode("latin-1"): v.decode("latin-1") for k, v in scope["headers"]}
        answer = Answer(exchange.push, _common_headers(self._engine))
        try:
            requests.authenticate(
                scope["query_string"], headers, user="default", password=self._password
            )
            request = requests.read(scope["method"], scope["query_string"], headers)
            # Who has the whole answer may use the id again, so it is free before the end is sent.
            with self._registered(request):
                summary = self._run(request, exchange, answer)
            answer.finish(summary)
        except EngineError as error:
            answer.fail(error, self._engine.version)
        except ClientLeft:
            pass

    def _run(self, request: Request, exchange: "Exchange", answer: Answer) -> Summary:
        body = _decompressed(exchange.body(), request.encoding)
        statement, data = _statement(request, body)
        if statement.kind != "insert":
            exchange.watch(lambda: self._engine.cancel(request))
        summary = Summary()
        form = statement.format or request.default_format
        content_type = self._engine.content_types.get(form, "text/plain; charset=UTF-8")
        answer.describe(request, form, content_type)
        chunks = self._engine.answer(request, statement, data, summary)
        try:
            for chunk in chunks:
                answer.write(chunk, summary)
        finally:
            chunks.close()  # type: ignore[attr-defined] # a generator: lets go of the connection
        return summary

    @contextmanager
    def _registered(self, request: Request) -> Iterator[None]:
        """No two queries of the same id run at a time. Raises: EngineError."""
        with self._guard:
            if request.query_id in self._running:
                raise EngineError(
                    QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING,
                    f"Query with id = {request.query_id} is already running",
                )
            self._running[request.query_id] = request
        try:
            yield
        finally:
            with self._guard:
                del self._running[request.query_id]


class Exchange:
    """One request and its answer, for the thread that serves it."""

    def __init__(self, loop: asyncio.AbstractEventLoop, receive: Receive, send: Send) -> None:
        self.loop, self._receive, self._send = loop, receive, send
        self._watcher: asyncio.Task[None] | None = None

    def body(self) -> Iterator[bytes]:
        """The chunks of the body, as they arrive. Raises: ClientLeft."""
        more = True
        while more:
            message = self._wait(self._receive())
            if message["type"] == "http.disconnect":
                raise ClientLeft
            more = message.get("more_body", False)
            if chunk := message.get("body", b""):
                yield chunk

    def push(self, message: MutableMapping[str, Any]) -> None:
        """Send one message, when the client has taken the ones before it."""
        self._wait(self._send(message))

    def watch(self, left: Callable[[], None]) -> None:
        """Call `left` on a thread should the client leave; the body has been read."""
        self.loop.call_soon_threadsafe(self._start_watching, left)

    def stop_watching(self) -> None:
        if self._watcher is not None:
            self._watcher.cancel()

    def _start_watching(self, left: Callable[[], None]) -> None:
        async def watching() -> None:
            while (await self._receive())["type"] != "http.disconnect":
                pass
            await asyncio.to_thread(left)

        self._watcher = self.loop.create_task(watching())

    def _wait(self, awaited: Coroutine[Any, Any, T]) -> T:
        if self.loop.is_closed():  # the server stopped without us
            raise ClientLeft
        return asyncio.run_coroutine_threadsafe(awaited, self.loop).result()


def _statement(request: Request, body: Iterator[bytes]) -> tuple[Statement, Iterator[bytes]]:
    """The statement of URL and body together, and the data of an INSERT."""
    source = request.query
    if source:
        statement = parse(source)
        if statement.kind == "insert":
            return statement, _rest(source, statement.data_at, body)
        source += b"\n"  # as the server joins the two
    source += b"".join(body)
    statement = parse(source)
    if statement.kind == "insert":
        return statement, _rest(source, statement.data_at, iter(()))
    return statement, iter(())


def _rest(source: bytes, data_at: int | None, body: Iterator[bytes]) -> Iterator[bytes]:
    if data_at is not None and data_at < len(source):
        yield source[data_at:]
        yield b"\n"
    yield from body


def _decompressed(body: Iterator[bytes], encoding: str) -> Iterator[bytes]:
    """The body without its Content-Encoding. Raises: EngineError."""
    if not encoding:
        yield from body
        return
    window = zlib.MAX_WBITS | 16 if encoding == "gzip" else zlib.MAX_WBITS
    stream, begun = zlib.decompressobj(window), False
    try:
        for received in body:
            chunk = received
            while chunk:
                if stream.eof:  # gzip files can follow one another
                    stream = zlib.decompressobj(window)
                begun = True
                yield stream.decompress(chunk)
                chunk = stream.unused_data
    except zlib.error as error:
        raise EngineError(INCORRECT_DATA, f"Cannot decompress the body: {error}") from None
    if begun and not stream.eof:
        raise EngineError(INCORRECT_DATA, f"The {encoding} body ends too early")


def _common_headers(engine: Engine) -> dict[str, str]:
    return {
        "X-ClickHouse-Server-Display-Name": engine.host,
        "X-ClickHouse-Timezone": engine.timezone,
        # Marks the text of an exception that comes after the first rows.
        "X-ClickHouse-Exception-Tag": "".join(
            secrets.choice(string.ascii_lowercase) for _ in range(16)
        ),
    }


async def _plain(send: Send, status: int, body: bytes) -> None:
    headers = [(b"content-type", b"text/html; charset=UTF-8")]
    headers.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
