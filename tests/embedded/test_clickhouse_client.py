"""The ClickHouse interface as aiochclient meets it."""

import asyncio
import datetime as dt
import io
from decimal import Decimal
from uuid import UUID

import aiohttp
import pytest
import pytest_asyncio
from aiochclient import ChClient, ChClientError

from tests.embedded.conftest import PASSWORD


@pytest_asyncio.fixture
async def client(interface):
    async with aiohttp.ClientSession() as session:
        yield ChClient(session, url=interface.url, password=PASSWORD)


@pytest_asyncio.fixture
async def everything(client):
    await client.execute("DROP TABLE IF EXISTS everything")
    await client.execute(
        "CREATE TABLE everything (n UInt64, s String, d Date, t DateTime64(3, 'UTC'), "
        "m Decimal(38, 18), u UUID, a Array(String), o Nullable(Int32), b Bool, "
        "x Map(LowCardinality(String), String)) ENGINE = MergeTree ORDER BY n "
        "SETTINGS non_replicated_deduplication_window = 100"
    )


ROW = (
    7,
    'it\'s a \\ "quoted"\ttab\nline {x} é',
    dt.date(2024, 2, 29),
    dt.datetime(2024, 2, 29, 23, 59, 59, 123000),  # noqa: DTZ001 - as aiochclient has them
    Decimal("12345678901234567890.123456789012345678"),
    UUID("61f0c404-5cb3-11e7-907b-a6006ad3dba0"),
    ["a'b", "c,d"],
    None,
    True,
    {"k": "v"},
)


async def test_the_server_is_alive(client):
    assert await client.is_alive()


async def test_rows_of_every_type_come_back_as_they_went_in(client, everything):
    await client.execute("INSERT INTO everything VALUES", ROW)
    assert tuple((await client.fetchrow("SELECT * FROM everything")).values()) == ROW


async def test_rows_go_in_as_json(client, everything):
    await client.execute(
        "INSERT INTO everything (n, s) FORMAT JSONEachRow",
        {"n": 1, "s": "a'\"\\"},
        {"s": "b", "n": 2},
    )
    rows = await client.fetch("SELECT n, s FROM everything ORDER BY n", json=True)
    assert [dict(row) for row in rows] == [{"n": 1, "s": "a'\"\\"}, {"n": 2, "s": "b"}]


async def test_rows_go_in_from_files(client, everything):
    for form, body in (
        ("TSV", b"1\tone\n2\ttwo\n"),
        ("CSV", b'3,"three"\n'),
        ("RowBinary", (4).to_bytes(8, "little") + b"\x04four"),
    ):
        await client.insert_file(f"INSERT INTO everything (n, s) FORMAT {form}", io.BytesIO(body))
    rows = await client.fetch("SELECT n, s FROM everything ORDER BY n")
    assert [tuple(row.values()) for row in rows] == [
        (1, "one"),
        (2, "two"),
        (3, "three"),
        (4, "four"),
    ]


async def test_parameters_are_values_not_sql(client):
    hostile = "x'; DROP TABLE everything; --\\"
    assert await client.fetchval("SELECT {text}", params={"text": hostile}) == hostile
    assert await client.fetchval("SELECT {n} + 1", params={"n": 41}) == 42


async def test_a_long_answer_is_read_row_by_row(client):
    total = count = 0
    async for row in client.iterate("SELECT number, 'some text' FROM numbers(300000)"):
        total += row[0]
        count += 1
    assert (count, total) == (300_000, 300_000 * 299_999 // 2)


async def test_an_answer_without_rows_still_has_its_columns(client):
    assert await client.fetch("SELECT 1 AS a WHERE 0") == []
    assert await client.fetchrow("SELECT 1 AS a WHERE 0") is None


async def test_other_statements_answer_rows(client, everything):
    assert [row[0] for row in await client.fetch("SHOW TABLES LIKE 'everything'")] == ["everything"]
    assert await client.fetchval("EXISTS TABLE everything") == 1
    assert (await client.fetchrow("DESCRIBE TABLE everything"))["name"] == "n"


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("SELECT * FROM nothing_here", r"^Code: 60\. .*\(UNKNOWN_TABLE\) \(version 26"),
        ("SELECT nothing_here", r"^Code: 47\. .*\(UNKNOWN_IDENTIFIER\)"),
        ("SELECT throwIf(1, 'on purpose')", r"^Code: 395\. .*on purpose"),
        ("SELECT (1", r"^Code: 62\. .*Syntax error"),
        ("INSERT INTO nothing_here VALUES (1)", r"^Code: 60\. "),
    ],
)
async def test_exceptions_come_with_their_code_and_words(client, query, said):
    with pytest.raises(ChClientError, match=said):
        await client.fetch(query)


async def test_a_refused_insert_inserts_nothing(client, everything):
    with pytest.raises(ChClientError, match=r"^Code: 27\. .*\(at row 2\)"):
        await client.insert_file(
            "INSERT INTO everything (n) FORMAT JSONEachRow", io.BytesIO(b'{"n":1}\n{"n":"x"}\n')
        )
    assert await client.fetchval("SELECT count() FROM everything") == 0


async def test_compressed_answers_are_the_same_answers(interface):
    async with aiohttp.ClientSession() as session:
        client = ChClient(session, url=interface.url, password=PASSWORD, compress_response=True)
        rows = await client.fetch("SELECT number FROM numbers(100000)")
    assert [row[0] for row in rows] == list(range(100_000))


async def test_many_queries_at_once_get_their_own_answers(client):
    async def one(n):
        return await client.fetchval("SELECT {n} + sleep(0.05)", params={"n": n})

    async with asyncio.timeout(10):
        assert await asyncio.gather(*map(one, range(100))) == list(range(100))


async def test_a_token_inserts_once(interface, everything):
    async with aiohttp.ClientSession() as session:
        for token, n in (("one", 1), ("one", 1), ("one", 2), ("two", 1)):
            client = ChClient(
                session, url=interface.url, password=PASSWORD, insert_deduplication_token=token
            )
            await client.execute("INSERT INTO everything (n) VALUES", (n,))
        assert await client.fetchval("SELECT count() FROM everything") == 2


async def test_settings_of_the_client_reach_the_query(interface):
    async with aiohttp.ClientSession() as session:
        client = ChClient(session, url=interface.url, password=PASSWORD, max_block_size=17)
        assert await client.fetchval("SELECT getSetting('max_block_size')") == 17
