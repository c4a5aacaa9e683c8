"""Puts an answer on the wire: whole where it is small, in a stream where it is not.

As with the server, an answer that fails before its first megabyte has the right status code.
One that fails later ends in the exception's text, and the connection is cut before the body's
end, so that a client which checks can tell.
"""

import json
import zlib
from collections.abc import Callable, MutableMapping
from typing import Any

from app.embedded.clickhouse.codes import EngineError
from app.embedded.clickhouse.engine import Summary
from app.embedded.clickhouse.request import Request

_BUFFER_BYTES = 1_048_576


class Answer:
    """The answer to one request. `push` sends one ASGI message, and blocks."""

    def __init__(
        self, push: Callable[[MutableMapping[str, Any]], None], headers: dict[str, str]
    ) -> None:
        self._push, self._headers = push, headers
        self._pending: list[bytes] = []
        self._pending_bytes = 0
        self._streaming = False
        self._wait_for_the_end = False
        self._compressor: Any = None

    def describe(self, request: Request, form: str, content_type: str) -> None:
        """Say whose answer it is and in what format it comes."""
        self._headers |= {
            "X-ClickHouse-Query-Id": request.query_id,
            "X-ClickHouse-Format": form,
            "Content-Type": content_type,
        }
        self._wait_for_the_end = request.wait_end_of_query
        if request.compress:
            self._headers["Content-Encoding"] = "gzip"
            self._compressor = zlib.compressobj(3, zlib.DEFLATED, zlib.MAX_WBITS | 16)

    def write(self, chunk: bytes, summary: Summary) -> None:
        """Add to the body; it is sent at the end, or once it passes a megabyte."""
        self._add(chunk)
        if self._pending_bytes >= _BUFFER_BYTES and not self._wait_for_the_end:
            if not self._streaming:
                self._start(200, summary)
            self._flush(more=True)

    def finish(self, summary: Summary) -> None:
        """Send what there is, and the end."""
        if self._compressor is not None:
            self._keep(self._compressor.flush())
        if not self._streaming:
            self._start(200, summary, length=self._pending_bytes)
        self._flush(more=False)

    def fail(self, error: EngineError, version: str) -> None:
        """Send the exception instead of the body, or at the end of what has been sent."""
        text = error.text(version).encode()
        if self._streaming:
            self._fail_late(text)
            return
        self._pending, self._pending_bytes, self._compressor = [], 0, None
        self._headers.pop("Content-Encoding", None)
        self._headers["Content-Type"] = "text/plain; charset=UTF-8"
        self._headers["X-ClickHouse-Exception-Code"] = str(error.code)
        self._keep(text)
        self._start(error.status, Summary(), length=len(text))
        self._flush(more=False)

    def _fail_late(self, text: bytes) -> None:
        tag = self._headers["X-ClickHouse-Exception-Tag"].encode()
        self._add(
            b"__exception__\r\n%b\r\n%b%d %b\r\n__exception__\r\n" % (tag, text, len(text), tag)
        )
        if self._compressor is not None:
            self._keep(self._compressor.flush())
        self._flush(more=True)  # and never the end: the server cuts the connection

    def _add(self, chunk: bytes) -> None:
        self._keep(self._compressor.compress(chunk) if self._compressor is not None else chunk)

    def _keep(self, chunk: bytes) -> None:
        self._pending.append(chunk)
        self._pending_bytes += len(chunk)

    def _start(self, status: int, summary: Summary, length: int | None = None) -> None:
        self._streaming = True
        self._headers["X-ClickHouse-Summary"] = _summary(summary)
        if length is not None:
            self._headers["Content-Length"] = str(length)
        headers = [(k.lower().encode(), v.encode()) for k, v in self._headers.items()]
        self._push({"type": "http.response.start", "status": status, "headers": headers})

    def _flush(self, *, more: bool) -> None:
        body = b"".join(self._pending)
        self._pending, self._pending_bytes = [], 0
        self._push({"type": "http.response.body", "body": body, "more_body": more})


def _summary(summary: Summary) -> str:
    return json.dumps(
        {
            "read_rows": str(summary.read_rows),
            "read_bytes": str(summary.read_bytes),
            "written_rows": str(summary.written_rows),
            "written_bytes": str(summary.written_bytes),
            "total_rows_to_read": str(summary.read_rows),
            "result_rows": str(summary.result_rows),
            "result_bytes": str(summary.result_bytes),
            "elapsed_ns": str(summary.elapsed_ns),
        },
        separators=(",", ":"),
    )
