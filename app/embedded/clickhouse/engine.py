"""The engine: runs one request on a connection of its own.

A connection per request costs 0.3 ms and keeps requests apart for certain: no database,
setting, parameter or temporary table of one can be seen by the next.
"""

import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chdb import _chdb

from app.embedded.clickhouse.codes import UNKNOWN_FORMAT, UNKNOWN_SETTING, EngineError, engine_error
from app.embedded.clickhouse.request import Request
from app.embedded.clickhouse.statement import Statement

# chdb.connect wraps this in a cursor and progress bars that a server has no use for.
_connect: Callable[[str], Any] = _chdb.connect  # type: ignore[attr-defined]

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*")
_FORMAT = re.compile(r"[A-Za-z][A-Za-z0-9]*")

# Formats whose blocks can be sent one after the other, and how many lines of header each block
# repeats. The other formats (JSON, Parquet, …) are one document, made when all rows are there.
_STREAMABLE = {
    "tabseparated": 0,
    "tsv": 0,
    "tabseparatedraw": 0,
    "tsvraw": 0,
    "csv": 0,
    "jsoneachrow": 0,
    "jsonlines": 0,
    "ndjson": 0,
    "jsoncompacteachrow": 0,
    "rowbinary": 0,
    "native": 0,
    "tabseparatedwithnames": 1,
    "tsvwithnames": 1,
    "tabseparatedwithnamesandtypes": 2,
    "tsvwithnamesandtypes": 2,
    "jsoncompacteachrowwithnames": 1,
    "jsoncompacteachrowwithnamesandtypes": 2,
}


@dataclass(slots=True)
class Summary:
    """What the engine did, for the header X-ClickHouse-Summary. Grows while an answer runs."""

    read_rows: int = 0
    read_bytes: int = 0
    written_rows: int = 0
    written_bytes: int = 0
    result_rows: int = 0
    result_bytes: int = 0
    elapsed_ns: int = 0

    def count(self, result: Any) -> bytes:
        """Add one result of chdb; its bytes."""
        body: bytes = result.bytes()
        self.read_rows += result.storage_rows_read()
        self.read_bytes += result.storage_bytes_read()
        self.written_rows += result.rows_written()
        self.written_bytes += result.bytes_written()
        self.result_rows += result.rows_read()
        self.result_bytes += len(body)
        return body


class Engine:
    """The embedded ClickHouse over one data directory. Safe to use from many threads.

    Beside the directory, `staging` holds the data of inserts while they run.
    """

    def __init__(self, data_dir: Path) -> None:
        self._staging = data_dir.parent / "staging"
        shutil.rmtree(self._staging, ignore_errors=True)
        self._staging.mkdir()
        # Holding one connection keeps the engine loaded between requests.
        self._path = str(data_dir)
        self._root = _connect(self._path)
        self.version = self._value("SELECT version()")
        self.timezone = self._value("SELECT timezone()")
        self.host = self._value("SELECT hostName()")
        self.content_types = dict(
            line.split("\t")
            for line in self._value("SELECT name, content_type FROM system.formats").splitlines()
        )

    def close(self) -> None:
        """Flush and let go of the data directory."""
        self._root.close()

    def answer(
        self, request: Request, statement: Statement, data: Iterator[bytes], summary: Summary
    ) -> Iterator[bytes]:
        """Run `statement`, and yield the answer's bytes as they come. `data` are an INSERT's.

        Raises: EngineError, possibly after the first bytes.
        """
        started = time.monotonic_ns()
        try:
            with self._connection(request) as connection:
                if statement.kind == "insert":
                    self._insert(connection, request, statement, data, summary=summary)
                elif statement.kind == "select" and _streams(request, statement):
                    yield from self._stream(connection, request, statement, summary)
                else:
                    yield self._whole(connection, request, statement, summary)
                summary.elapsed_ns = time.monotonic_ns() - started
        except RuntimeError as error:
            raise engine_error(str(error), self.version) from None

    def cancel(self, request: Request) -> None:
        """Stop what `request` is running, if it still runs."""
        killer = _connect(self._path)
        try:
            killer.query(
                f"KILL QUERY WHERE Settings['log_comment'] = '{request.marker}' ASYNC", "Null"
            )
        finally:
            killer.close()

    @contextmanager
    def _connection(self, request: Request) -> Iterator[Any]:
        connection = _connect(self._path)
        try:
            if request.database:
                connection.query(f"USE {_quoted(request.database, '`')}", "Null")
            connection.query(_settings(request), "Null")
            yield connection
        finally:
            connection.close()

    def _whole(
        self, connection: Any, request: Request, statement: Statement, summary: Summary
    ) -> bytes:
        return summary.count(
            connection.query(
                statement.text, request.default_format, params=dict(request.parameters)
            )
        )

    def _stream(
        self, connection: Any, request: Request, statement: Statement, summary: Summary
    ) -> Iterator[bytes]:
        lines = _STREAMABLE[_form(request, statement).lower()]
        stream = connection.send_query(
            statement.text, request.default_format, params=dict(request.parameters)
        )
        header: bytes | None = None
        more = True
        try:
            while more:
                result = connection.streaming_fetch_result(stream)
                more = result is not None and result.rows_read() > 0
                body = summary.count(result) if result is not None else b""
                if header is None and body:
                    header = _first_lines(body, lines)
                    yield body
                elif body:
                    yield body.removeprefix(header or b"")
        finally:
            if more:  # the reader left
                connection.streaming_cancel_query(stream)
        if header is None and lines:  # no block, no header: the whole result is one
            yield self._whole(connection, request, statement, summary)

    def _insert(
        self,
        connection: Any,
        request: Request,
        statement: Statement,
        data: Iterator[bytes],
        *,
        summary: Summary,
    ) -> None:
        # By way of a file: the engine's own way for data in pieces, `send_insert`, does not
        # check constraints. And a client that leaves half-way has inserted nothing.
        staged = self._staging / request.marker
        try:
            with staged.open("wb") as opened:
                for chunk in data:
                    opened.write(chunk)
            text = b"%b FROM INFILE %b COMPRESSION 'none' %b FORMAT %b" % (
                statement.text.rstrip(),
                _quoted(str(staged)).encode(),
                statement.settings,
                _form(request, statement).encode(),
            )
            done = connection.query(text, "Null", params=dict(request.parameters))
        finally:
            staged.unlink(missing_ok=True)
        summary.written_rows, summary.written_bytes = done.rows_written(), done.bytes_written()

    def _value(self, sql: str) -> str:
        text: str = self._root.query(sql, "TabSeparated").bytes().decode()
        return text.rstrip("\n")


def _settings(request: Request) -> str:
    """One SET statement. `implicit_select` is on in chdb, and off in the server."""
    given = {
        "implicit_select": "0",
        **request.settings,
        # By this the query is found in system.processes, so that it can be cancelled.
        "log_comment": request.marker,
    }
    if request.read_only:  # as the server does for GET; after it nothing can be set
        given["readonly"] = "2"
    return "SET " + ", ".join(f"{_checked(k)} = {_quoted(v)}" for k, v in given.items())


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise EngineError(UNKNOWN_SETTING, f"Unknown setting '{name}'")
    return name


def _quoted(text: str, quote: str = "'") -> str:
    return quote + text.replace("\\", "\\\\").replace(quote, "\\" + quote) + quote


def _form(request: Request, statement: Statement) -> str:
    form = statement.format or request.default_format
    if not _FORMAT.fullmatch(form):
        raise EngineError(UNKNOWN_FORMAT, f"Unknown format {form}")
    return form


def _streams(request: Request, statement: Statement) -> bool:
    # An array around all rows is a setting that makes a document of a stream of rows.
    return _form(request, statement).lower() in _STREAMABLE and (
        request.settings.get("output_format_json_array_of_rows", "0") == "0"
    )


def _first_lines(body: bytes, count: int) -> bytes:
    end = 0
    for _ in range(count):
        end = body.index(b"\n", end) + 1
    return body[:end]
