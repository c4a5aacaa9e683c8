"""A server that keeps what is posted to it: stands in for Sentry and for Pyroscope."""

import gzip
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Receiver:
    port: int
    posts: list[tuple[str, bytes]] = field(default_factory=list)
    arrived: threading.Condition = field(default_factory=threading.Condition)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def dsn(self) -> str:
        return f"http://public@127.0.0.1:{self.port}/1"

    def wait(self, count: int = 1, seconds: float = 15) -> None:
        """Return when that many posts have arrived."""
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self.posts) >= count, seconds), self.posts

    def events(self) -> list[dict[str, Any]]:
        """The error events of the Sentry envelopes received."""
        return [event for path, body in self.posts for event in _events(path, body)]


def _events(path: str, body: bytes) -> Iterator[dict[str, Any]]:
    assert path == "/api/1/envelope/"
    # An envelope: a header line, then per item a header line with its length, and the item.
    _, _, rest = body.partition(b"\n")
    while rest.strip():
        header, _, rest = rest.partition(b"\n")
        described = json.loads(header)
        length = described["length"]
        item, rest = rest[:length], rest[length + 1 :]
        if described["type"] == "event":
            yield json.loads(item)


@contextmanager
def receiver() -> Iterator[Receiver]:
    """A running server for as long as the block lasts."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            if "chunked" in self.headers.get("transfer-encoding", ""):
                body = b"".join(self._chunks())
            else:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            with received.arrived:
                received.posts.append((self.path, body))
                received.arrived.notify_all()
            self.send_response(200)
            self.send_header("content-length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def _chunks(self) -> Iterator[bytes]:
            while size := int(self.rfile.readline(), 16):
                yield self.rfile.read(size)
                self.rfile.readline()

        def log_message(self, format: str, *args: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    received = Receiver(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield received
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
