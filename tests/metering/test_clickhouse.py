"""Reading, inserting and commanding ClickHouse: against the engine, and against liars."""

import asyncio
import json
import re
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal

import msgspec
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st
from msgspec import Struct

from app.config import ClickHouse as ClickHouseSettings
from app.infra.clickhouse import ClickHouseError, open_clickhouse
from app.infra.clickhouse_parameters import MAX_BYTES, size
from app.kernel.errors import Invalid, Unavailable
from app.kernel.ids import new_id


class Row(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    customer: str
    total: Decimal


class Text(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    value: str


class Count(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    value: int


class Encoded(Struct, array_like=True, frozen=True):
    one: str
    listed: list[str]
    paired: list[str]


ROWS = [[f"cus_{index}", "1.5"] for index in range(5)]
WHOLE = json.dumps({"meta": [], "data": ROWS, "rows": 5, "statistics": {}}).encode()
EXCEPTION = b"Code: 241. DB::Exception: Memory limit exceeded (MEMORY_LIMIT_EXCEEDED)"
SYNTAX = b"Code: 62. DB::Exception: Syntax error (SYNTAX_ERROR)"


class Liar:
    """An HTTP server that answers what it is told to, however wrong."""

    def __init__(self):
        self.answer = b""
        self.seconds = 0.0
        self.requests = []
        self.at_once = self.most_at_once = 0

    async def serve(self, reader, writer):
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = re.search(rb"content-length: (\d+)", head.lower())
                body = await reader.readexactly(int(length[1])) if length else b""
                self.requests.append((head, body))
                self.at_once += 1
                self.most_at_once = max(self.most_at_once, self.at_once)
                await asyncio.sleep(self.seconds)
                self.at_once -= 1
                writer.write(self.answer)
                await writer.drain()
                if b"keep-alive" not in self.answer:
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def lying(**options):
    liar = Liar()
    server = await asyncio.start_server(liar.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        settings = ClickHouseSettings(url=f"http://127.0.0.1:{port}", query_seconds=1, **options)
        async with open_clickhouse(settings) as client:
            yield liar, client
    finally:
        server.close()


def answer(body, *, status=200, length=None, headers=b"connection: close\r\n"):
    """A response that promises `length` bytes and ends with `body`."""
    length = len(body) if length is None else length
    return b"HTTP/1.1 %d X\r\n%scontent-length: %d\r\n\r\n%s" % (status, headers, length, body)


def chunked(*parts, closed=True):
    body = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts if part)
    head = b"HTTP/1.1 200 OK\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n"
    return head + body + (b"0\r\n\r\n" if closed else b"")


async def read(client):
    return await client.select("SELECT customer, total FROM t", row=Row)


async def test_a_whole_answer_is_believed():
    async with lying() as (liar, client):
        liar.answer = answer(WHOLE)
        assert await read(client) == [Row(f"cus_{index}", Decimal("1.5")) for index in range(5)]
        head, body = liar.requests[0]
        assert b"wait_end_of_query=1" in head
        assert b"&max_execution_time=1 HTTP" in head
        assert body == b"SELECT customer, total FROM t\nFORMAT JSONCompact"


@pytest.mark.parametrize("kept", range(0, len(WHOLE), 7))
async def test_an_answer_cut_anywhere_is_never_believed(kept):
    """Whether the server admits it by the length it promised, by the chunks, or not at all."""
    cut = WHOLE[:kept]
    async with lying() as (liar, client):
        for lie in (answer(cut), answer(cut, length=len(WHOLE)), chunked(cut)):
            liar.answer = lie
            with pytest.raises(Unavailable, match=r"broke off|ClientPayloadError"):
                await read(client)
        liar.answer = chunked(cut, closed=False)
        with pytest.raises(Unavailable):
            await read(client)


async def test_rows_missing_at_a_boundary_are_noticed():
    async with lying() as (liar, client):
        short = {"data": ROWS[:3], "rows": 5}
        liar.answer = answer(json.dumps(short).encode())
        with pytest.raises(Unavailable, match="holds 3 of 5 rows"):
            await read(client)


async def test_rows_without_a_count_are_not_believed():
    async with lying() as (liar, client):
        liar.answer = answer(json.dumps({"data": ROWS}).encode())
        with pytest.raises(ClickHouseError, match="rows"):
            await read(client)


async def test_an_exception_after_the_first_rows_is_an_exception():
    async with lying() as (liar, client):
        begun = b'{"meta":[],"data":[["cus_0","1.5"],["cus_1","1.5"],'
        liar.answer = answer(begun + EXCEPTION)
        with pytest.raises(Unavailable, match="Memory limit exceeded"):
            await read(client)
        liar.answer = answer(begun + SYNTAX)
        with pytest.raises(ClickHouseError, match="Syntax error") as caught:
            await read(client)
        assert caught.value.number == 62
        liar.answer = answer(WHOLE + b"\n" + SYNTAX)
        with pytest.raises(ClickHouseError):
            await read(client)


@pytest.mark.parametrize(
    "row", [["cus_0"], ["cus_0", "1.5", "more"], ["cus_0", None], [7, "1.5"], ["cus_0", "NaN-ish"]]
)
async def test_a_row_of_another_shape_is_a_fault(row):
    async with lying() as (liar, client):
        liar.answer = answer(json.dumps({"data": [row], "rows": 1}).encode())
        with pytest.raises(ClickHouseError, match="does not fit Row"):
            await read(client)


@pytest.mark.parametrize("status", [500, 502, 503, 504, 429, 404])
async def test_a_server_or_proxy_in_trouble_is_unavailable(status):
    async with lying() as (liar, client):
        liar.answer = answer(b"try later", status=status)
        for operation in (
            read(client),
            client.execute("OPTIMIZE TABLE t"),
            client.insert("t", b""),
        ):
            with pytest.raises(Unavailable, match="try later"):
                await operation


async def test_errors_are_told_apart_by_their_number():
    async with lying() as (liar, client):
        for number, expected in ((62, ClickHouseError), (60, ClickHouseError), (202, Unavailable)):
            head = b"connection: close\r\nX-ClickHouse-Exception-Code: %d\r\n" % number
            for status in (500, 200):  # 200: the status line was gone when it happened
                liar.answer = answer(b"no", status=status, headers=head)
                with pytest.raises(expected):
                    await read(client)
                with pytest.raises(expected):
                    await client.insert("t", b"{}")


async def test_a_command_that_fails_late_is_noticed():
    async with lying() as (liar, client):
        liar.answer = answer(SYNTAX)
        for operation in (lambda c: c.execute("SELECT 1"), lambda c: c.insert("t", b"{}")):
            with pytest.raises(ClickHouseError, match="Syntax error"):
                await operation(client)


async def test_no_answer_in_time_is_unavailable():
    async with lying() as (liar, client):
        liar.answer, liar.seconds = answer(WHOLE), 60
        started = asyncio.get_running_loop().time()
        with pytest.raises(Unavailable, match="no answer in 1 s"):
            await read(client)
        assert asyncio.get_running_loop().time() - started < 5


async def test_a_connection_dropped_or_refused_is_unavailable():
    async with lying() as (liar, client):
        liar.answer = b""
        with pytest.raises(Unavailable):
            await read(client)
    with pytest.raises(Unavailable, match=r"Cannot connect|Connect call failed"):
        async with open_clickhouse(ClickHouseSettings(url="http://127.0.0.1:1")) as client:
            await read(client)


async def test_connections_are_bounded():
    async with lying(connections=3) as (liar, client):
        liar.answer, liar.seconds = answer(WHOLE), 0.05
        await asyncio.gather(*(read(client) for _ in range(9)))
        assert liar.most_at_once == 3


async def test_the_secret_travels_in_a_header_and_not_in_the_address():
    async with lying(user="app", password="hush-hush") as (liar, client):
        liar.answer = answer(WHOLE)
        await read(client)
        head = liar.requests[0][0]
        assert b"X-ClickHouse-Key: hush-hush" in head
        assert head.count(b"hush") == 2


# Against the engine.


@hypothesis(
    deadline=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    texts=st.lists(
        st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
        | st.text(st.sampled_from("\\'\"`{}[](),:;%+&=?#\t\n\r\0\b\f \N{NO-BREAK SPACE}é😀nN-")),
        min_size=1,
        max_size=5,
    )
)
async def test_any_text_arrives_as_it_was_sent(clickhouse, texts):
    rows = await clickhouse.select(
        "SELECT base64Encode({one:String}), arrayMap(x -> base64Encode(x), {all:Array(String)}), "
        "arrayMap(x -> base64Encode(x.1), {pairs:Array(Tuple(String, Int64))})",
        {"one": texts[0], "all": texts, "pairs": [(text, 1) for text in texts]},
        row=Encoded,
    )
    encoded = [msgspec.to_builtins(text.encode()) for text in texts]
    assert rows == [Encoded(encoded[0], encoded, encoded)]


async def test_values_of_every_type_arrive_exactly(clickhouse):
    at = datetime(2024, 2, 29, 23, 59, 59, 999_999, tzinfo=UTC)
    big = Decimal("12345678901234567890123456789012345678.000000000000000001")

    class Answer(Struct, array_like=True, frozen=True):
        exact: Decimal
        whole: int
        yes: bool
        nothing: str | None
        some: list[str | None]
        at: datetime
        empty: list[int]

    rows = await clickhouse.select(
        "SELECT {exact:Decimal(76, 18)}, {whole:UInt64}, {yes:Bool}, {nothing:Nullable(String)}, "
        "{some:Array(Nullable(String))}, {at:DateTime64(3, 'UTC')}, {empty:Array(UInt32)}",
        {
            "exact": big,
            "whole": 2**64 - 1,
            "yes": True,
            "nothing": None,
            "some": ["NULL", None, "\\N"],
            "at": at,
            "empty": [],
        },
        row=Answer,
    )
    expected = at.replace(microsecond=999_000)
    assert rows == [Answer(big, 2**64 - 1, True, None, ["NULL", None, "\\N"], expected, [])]


async def test_a_value_is_never_part_of_the_query(clickhouse):
    attack = "'; DROP TABLE events; -- \\' {other:String} FORMAT Null"
    rows = await clickhouse.select("SELECT {value:String}", {"value": attack}, row=Text)
    assert rows == [Text(attack)]


async def test_text_that_is_not_unicode_is_refused_before_it_is_sent(clickhouse):
    with pytest.raises(Invalid) as caught:
        await clickhouse.select("SELECT {value:String}", {"value": "\ud800"}, row=Text)
    assert caught.value.code == "INVALID_TEXT"


async def test_parameters_of_the_largest_size_are_taken(clickhouse):
    texts = ["'\\%é" * 4] * 560
    assert 0.9 * MAX_BYTES < size({"all": texts}) <= MAX_BYTES
    rows = await clickhouse.select(
        "SELECT length(arrayFilter(x -> x = {one:String}, {all:Array(String)}))",
        {"all": texts, "one": texts[0]},
        row=Count,
    )
    assert rows == [Count(560)]


async def test_a_query_beyond_its_deadline_is_stopped(settings):
    hurried = msgspec.structs.replace(settings.clickhouse, query_seconds=0.5)
    async with open_clickhouse(hurried, database="default") as client:
        with pytest.raises(Unavailable):
            await client.select("SELECT sum(sleepEachRow(0.5)) FROM numbers(60)", row=Count)


async def test_the_engine_names_its_errors(clickhouse):
    with pytest.raises(ClickHouseError) as caught:
        await clickhouse.select("SELECT * FROM nowhere", row=Count)
    assert caught.value.number == 60
    with pytest.raises(ClickHouseError) as caught:
        await clickhouse.select("SELECT throwIf(number = 3, 'late') FROM numbers(9)", row=Count)
    assert caught.value.number == 395


@pytest.fixture
async def table(clickhouse):
    name = "t_" + new_id("req")
    await clickhouse.execute(
        f"CREATE TABLE {name} (a UInt64, b String, CONSTRAINT small CHECK a < 1000000) "
        "ENGINE = MergeTree ORDER BY a SETTINGS non_replicated_deduplication_window = 100"
    )
    yield name
    await clickhouse.execute(f"DROP TABLE {name} SYNC")


async def rows_of(clickhouse, table):
    return (await clickhouse.select("SELECT count() FROM {t:Identifier}", {"t": table}, row=Count))[
        0
    ].value


async def test_rows_are_inserted_in_the_format_they_have(clickhouse, table):
    await clickhouse.insert(table, b'{"a":1,"b":"x"}\n{"b":"y","a":2}\n')
    await clickhouse.insert(table, b"3\tx\n4\ty\n", format="TSV")
    await clickhouse.insert(table, (5).to_bytes(8, "little") + b"\x01z", format="RowBinary")
    await clickhouse.insert(table, b"only\n", format="TSV", columns=["b"])
    assert await rows_of(clickhouse, table) == 6


async def test_a_large_body_streams_in(clickhouse, table):
    async def pieces():
        for start in range(0, 200_000, 10_000):
            yield b"".join(b'{"a":%d,"b":"some text"}\n' % n for n in range(start, start + 10_000))

    await clickhouse.insert(table, pieces())
    await clickhouse.insert(table, b'{"a":7,"b":"%s"}' % (b"x" * 3_000_000))
    assert await rows_of(clickhouse, table) == 200_001


async def test_the_same_token_inserts_once(clickhouse, table):
    for body in (b'{"a":1}', b'{"a":1}', b'{"a":2}'):
        await clickhouse.insert(table, body, token="events/0/10-20")
    await clickhouse.insert(table, b'{"a":1}', token="events/0/21-30")
    assert await rows_of(clickhouse, table) == 2


@pytest.mark.parametrize(
    ("body", "number"),
    [
        (b'{"a":1}\n{"a":"x"}', {27, 72}),  # not a number
        (b'{"a":1,"c":2}', {117}),  # an unknown column
        (b'{"a":1}\n{"a":1000000}', {469}),  # a constraint
        (b'{"a":1}\n{"a":', {27, 32, 117}),  # cut off
    ],
)
async def test_an_insert_that_is_refused_stores_nothing(clickhouse, table, body, number):
    with pytest.raises(ClickHouseError) as caught:
        await clickhouse.insert(table, body)
    assert caught.value.number in number
    assert await rows_of(clickhouse, table) == 0


async def test_names_of_tables_are_plain(clickhouse):
    for name in ("events; DROP TABLE events", "a.b", "", "`a`"):
        with pytest.raises(ValueError, match="not a plain name"):
            await clickhouse.insert(name, b"")


async def test_many_at_once_do_not_mix_their_answers(clickhouse):
    answers = await asyncio.gather(
        *(
            clickhouse.select("SELECT {n:UInt32} + 0 * sleep(0.01)", {"n": n}, row=Count)
            for n in range(60)
        )
    )
    assert answers == [[Count(n)] for n in range(60)]


async def test_ping_says_whether_it_answers(clickhouse):
    await clickhouse.ping()


@pytest.mark.parametrize(
    ("sent", "arrived"),
    [
        ("0001-01-01T00:00:00+00:00", "1900-01-01 00:00:00.000000"),
        ("0001-01-01T00:00:00+14:00", "1900-01-01 00:00:00.000000"),
        ("1900-01-01T00:00:00.000001+00:00", "1900-01-01 00:00:00.000001"),
        ("9999-12-31T23:59:59-14:00", "2299-12-31 23:59:59.999999"),
    ],
)
async def test_an_instant_beyond_the_server_arrives_as_its_end(clickhouse, sent, arrived):
    sql = "SELECT toString({at:DateTime64(6, 'UTC')})"
    rows = await clickhouse.select(sql, {"at": datetime.fromisoformat(sent)}, row=Text)
    assert rows == [Text(arrived)]
