"""ClickHouse: one way to read, one to insert, one to command, each with a deadline.

The client is aiochclient's: its address, credentials and HTTP session. Its own reading is not
used, because a stream that breaks off at the end of a row comes back from it as a short result
without an error. Here an answer is a closed document whose rows are counted, or it is refused.
"""

import io
import re
import time
from collections.abc import AsyncIterable, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import cache
from typing import Any, TypeVar

import aiohttp
import msgspec
from aiochclient import ChClient
from msgspec import Struct
from prometheus_client import Histogram
from yarl import URL

from app.config import ClickHouse as ClickHouseSettings
from app.infra.clickhouse_parameters import Parameter, encode_all, query_string
from app.kernel.errors import Unavailable

R = TypeVar("R", bound=Struct)
Body = bytes | bytearray | AsyncIterable[bytes]

_SECONDS = Histogram(
    "tariff_clickhouse_seconds", "Time of a ClickHouse request", ["operation", "outcome"]
)

# Beyond the server's own deadline: time for it to say that the deadline has passed.
_GRACE_SECONDS = 2.0
_CONNECT_SECONDS = 5.0

# Conditions of the server that pass: too slow or too long (159, 160), too many queries (202),
# the network (209, 210), aborted or cancelled (236, 394), memory (241), read-only table (242),
# disk space (243), too many parts (252), no quorum (285), outcome unknown (319), no thread
# (439), overload (745), keeper (999).
_PASSING = frozenset(
    {159, 160, 202, 209, 210, 236, 241, 242, 243, 252, 285, 319, 394, 439, 745, 999}
)
_EXCEPTION = re.compile(rb"Code: (\d+)\. DB::Exception: ")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

_SETTINGS = {
    # Nothing is sent before the whole answer is known, so an error is an HTTP error.
    "wait_end_of_query": "1",
    "output_format_json_quote_decimals": "1",
    "output_format_json_quote_64bit_integers": "0",  # msgspec reads integers of any size
    "date_time_output_format": "iso",
    # Copies of a row share its partition, so the months need not be merged with each other.
    "do_not_merge_across_partitions_select_final": "1",
}
_INSERT_SETTINGS = {
    "async_insert": "0",
    "date_time_input_format": "best_effort",
    "input_format_skip_unknown_fields": "0",
    # A lone surrogate stays the six characters it was sent as, and poisons no batch.
    "input_format_json_throw_on_bad_escape_sequence": "0",
}


class ClickHouseError(Exception):
    """The server refused a statement: a bug of ours, or a server set up otherwise.

    `number` is ClickHouse's own error number; 0 where the answer made no sense.
    """

    def __init__(self, number: int, message: str) -> None:
        super().__init__(message)
        self.number = number


class ClickHouse:
    """A database on a server; safe to share between tasks. Opened by `open_clickhouse`."""

    def __init__(self, client: ChClient, session: aiohttp.ClientSession, *, seconds: float) -> None:
        self._client = client
        self._session = session
        self._seconds = seconds

    @property
    def database(self) -> str:
        return str(self._client.params["database"])

    async def select(
        self,
        sql: str,
        parameters: Mapping[str, Parameter] | None = None,
        *,
        row: type[R],
    ) -> list[R]:
        """Every row of a query, decoded as `row` (an array-like Struct, columns in order).

        `sql` has no FORMAT clause and names its parameters as `{name:Type}`.
        Raises: Unavailable (no answer, no whole answer, deadline), ClickHouseError.
        """
        query = encode_all(parameters or {})
        answer = await self._post("select", query, f"{sql}\nFORMAT JSONCompact".encode())
        return _rows(answer, row)

    async def insert(
        self,
        table: str,
        body: Body,
        *,
        format: str = "JSONEachRow",
        token: str | None = None,
        columns: Sequence[str] | None = None,
    ) -> None:
        """Send rows as they are, in any format the server reads.

        With a `token` a second insert of the same token changes nothing; without one, the
        same rows sent twice are two inserts. After Unavailable the rows may be there or not:
        send the same body with the same token again.
        Raises: Unavailable, ClickHouseError.
        """
        into = _identifier(table)
        if columns is not None:
            into += " (" + ", ".join(_identifier(column) for column in columns) + ")"
        query = {"query": f"INSERT INTO {into} FORMAT {_identifier(format)}", **_INSERT_SETTINGS}
        if token is not None:
            query["insert_deduplication_token"] = token
        # A file object is sent in pieces; plain bytes would hold up the event loop.
        data = io.BytesIO(body) if isinstance(body, bytes | bytearray) else body
        _nothing_said_against(await self._post("insert", query, data))

    async def execute(
        self,
        sql: str,
        parameters: Mapping[str, Parameter] | None = None,
        *,
        seconds: float | None = None,
    ) -> None:
        """Run a statement whose answer is of no interest: DDL, or INSERT … SELECT.

        `seconds` replaces the configured deadline, for work that grows with the data.
        Raises: Unavailable, ClickHouseError.
        """
        query = encode_all(parameters or {})
        _nothing_said_against(await self._post("execute", query, sql.encode(), seconds=seconds))

    async def ping(self) -> None:
        """Raises: Unavailable, ClickHouseError."""
        await self.select("SELECT 1", row=_One)

    async def _post(
        self,
        operation: str,
        query: Mapping[str, str],
        data: Any,
        *,
        seconds: float | None = None,
    ) -> bytes:
        seconds = seconds or self._seconds
        everything = {**self._client.params, "max_execution_time": f"{seconds:g}", **query}
        address = URL(f"{self._client.url}?{query_string(everything)}", encoded=True)
        timeout = aiohttp.ClientTimeout(
            total=seconds + _GRACE_SECONDS, sock_connect=min(_CONNECT_SECONDS, seconds)
        )
        started, outcome = time.perf_counter(), "error"
        try:
            async with self._session.post(
                address, data=data, headers=self._client.headers, timeout=timeout
            ) as response:
                answer = await response.read()
            if response.status != 200 or "X-ClickHouse-Exception-Code" in response.headers:
                raise _refusal(answer, status=response.status, headers=response.headers)
            outcome = "ok"
        except TimeoutError as error:
            raise Unavailable("ClickHouse", f"no answer in {seconds:g} s") from error
        except aiohttp.ClientConnectorError as error:
            raise Unavailable("ClickHouse", str(error)) from error
        except (aiohttp.ClientError, OSError) as error:
            # Its text may repeat the address, and with it the parameters.
            raise Unavailable("ClickHouse", type(error).__name__) from error
        finally:
            _SECONDS.labels(operation, outcome).observe(time.perf_counter() - started)
        return answer


@asynccontextmanager
async def open_clickhouse(
    settings: ClickHouseSettings, *, database: str | None = None
) -> AsyncIterator[ClickHouse]:
    """A client of the configured database (or of `database`) while the block lasts.

    At most `settings.connections` requests are on their way at once; more wait their turn,
    and waiting counts towards the deadline. Connects when first asked something.
    """
    connector = aiohttp.TCPConnector(limit=settings.connections)
    async with aiohttp.ClientSession(connector=connector) as session:
        client = ChClient(
            session,
            url=settings.url.rstrip("/") + "/",
            user=settings.user,
            password=settings.password,
            database=database or settings.database,
            **_SETTINGS,
        )
        yield ClickHouse(client, session, seconds=settings.query_seconds)


class _One(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    value: int


class _Document(Struct, frozen=True):
    """What JSONCompact closes with after the data; without it the answer is not whole."""

    data: list[Any]
    rows: int


@cache
def _decoder(row: type[Struct]) -> msgspec.json.Decoder[Any]:
    shape = msgspec.defstruct("Document", [("data", list[row]), ("rows", int)], frozen=True)  # type: ignore[valid-type]
    return msgspec.json.Decoder(shape)


def _rows(answer: bytes, row: type[R]) -> list[R]:
    try:
        document: _Document = _decoder(row).decode(answer)
    except msgspec.ValidationError as error:
        raise ClickHouseError(0, f"the answer does not fit {row.__name__}: {error}") from error
    except msgspec.DecodeError as error:
        if match := _EXCEPTION.search(answer):
            raise _refusal(answer[match.start() :]) from error
        raise Unavailable("ClickHouse", f"the answer broke off: {error}") from error
    if document.rows != len(document.data):
        raise Unavailable(
            "ClickHouse", f"the answer holds {len(document.data)} of {document.rows} rows"
        )
    return document.data


def _nothing_said_against(answer: bytes) -> None:
    """A command that failed after its status line was sent says so in the body."""
    if match := _EXCEPTION.search(answer):
        raise _refusal(answer[match.start() :])


def _refusal(
    answer: bytes, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> Exception:
    match = _EXCEPTION.search(answer)
    number = int((headers or {}).get("X-ClickHouse-Exception-Code") or (match[1] if match else 0))
    message = answer[:2000].decode(errors="replace").strip() or f"HTTP status {status}"
    if number in _PASSING or number == 0:
        return Unavailable("ClickHouse", message)
    return ClickHouseError(number, message)


def _identifier(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is not a plain name")
    return name
