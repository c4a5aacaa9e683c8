"""The ClickHouse interface to the letter: headers, status codes, limits, faults."""

import asyncio
import gzip
import json
import subprocess
import time
import zlib

import aiohttp
import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.embedded.environment import of_a_python_server
from tests.embedded.conftest import PASSWORD, clickhouse_command, start_interface


async def ask(http, interface, query, *, body=None, headers=None, **params):
    """Status, headers and body of a POST."""
    params = {"query": query, **params} if body is not None else params
    data = query.encode() if body is None else body
    async with http.post(interface.url, params=params, data=data, headers=headers) as answer:
        return answer.status, answer.headers, await answer.read()


async def value(http, interface, query, **params):
    status, _, body = await ask(http, interface, query, **params)
    assert status == 200, body
    return body.decode().rstrip("\n")


async def drain(answer, received):
    async for chunk in answer.content.iter_any():
        received += chunk


async def until(look, wanted, seconds=5.0):
    async with asyncio.timeout(seconds):
        while await look() != wanted:  # noqa: ASYNC110 - another process decides
            await asyncio.sleep(0.05)


async def test_an_answer_says_who_gave_it_and_what_it_cost(http, interface):
    status, headers, body = await ask(
        http, interface, "SELECT number FROM numbers(10)", query_id="mine-1"
    )
    assert (status, body) == (200, b"".join(b"%d\n" % n for n in range(10)))
    assert headers["X-ClickHouse-Query-Id"] == "mine-1"
    assert headers["X-ClickHouse-Format"] == "TabSeparated"
    assert headers["X-ClickHouse-Timezone"]
    assert headers["X-ClickHouse-Server-Display-Name"]
    assert headers["Content-Type"] == "text/tab-separated-values; charset=UTF-8"
    summary = json.loads(headers["X-ClickHouse-Summary"])
    assert (summary["read_rows"], summary["result_rows"]) == ("10", "10")
    assert int(summary["elapsed_ns"]) > 0


async def test_an_insert_says_what_it_wrote(http, interface):
    await value(http, interface, "CREATE TABLE IF NOT EXISTS wrote (a UInt8) ENGINE = Memory")
    _, headers, _ = await ask(http, interface, "INSERT INTO wrote FORMAT TSV", body=b"1\n2\n")
    summary = json.loads(headers["X-ClickHouse-Summary"])
    assert (summary["written_rows"], summary["written_bytes"]) == ("2", "2")


async def test_query_and_default_format_may_come_in_the_url(http, interface):
    params = {"query": "SELECT 1 AS a", "default_format": "JSONEachRow"}
    async with http.get(interface.url, params=params) as answer:
        assert await answer.read() == b'{"a":1}\n'
        assert answer.headers["Content-Type"] == "application/x-ndjson; charset=UTF-8"


async def test_part_of_the_query_may_come_in_the_url(http, interface):
    status, _, body = await ask(http, interface, "SELECT", body=b"1 + 1")
    assert (status, body) == (200, b"2\n")


async def test_the_server_says_that_it_is_there(http, interface):
    for path in ("ping", "", "replicas_status"):
        async with http.get(interface.url + path) as answer:
            assert (answer.status, await answer.read()) == (200, b"Ok.\n")
    async with http.get(interface.url + "nothing") as answer:
        assert answer.status == 404


async def test_a_get_cannot_change_anything(http, interface):
    params = {"query": "CREATE TABLE sneaked (a UInt8) ENGINE = Memory"}
    async with http.get(interface.url, params=params) as answer:
        assert answer.status == 500
        assert answer.headers["X-ClickHouse-Exception-Code"] == "164"
    assert await value(http, interface, "EXISTS TABLE sneaked") == "0"


@pytest.mark.parametrize(
    ("query", "params", "status", "code"),
    [
        ("SELECT * FROM nothing_here", {}, 404, "60"),
        ("SELECT 1", {"database": "nothing_here"}, 404, "81"),
        ("SELECT 1", {"no_such_setting": "1"}, 404, "115"),
        ("SELECT 1", {"max_threads; DROP": "1"}, 404, "115"),
        ("SELECT 1", {"default_format": "Nope"}, 404, "73"),
        ("SELECT {x:UInt8}", {"param_x": "many"}, 500, "457"),
        ("SELECT {x:UInt8}", {}, 500, "456"),
        ("SELEC 1", {}, 400, "62"),
        ("SELECT 1; SELECT 2", {}, 400, "62"),
        ("SELECT toDate('x')", {}, 400, "38"),
        ("SELECT sleepEachRow(1) FROM numbers(3)", {"max_execution_time": "1"}, 408, "159"),
        ("SELECT 1", {"session_id": "x"}, 501, "48"),
    ],
)
async def test_a_refusal_has_the_servers_status_and_code(
    http, interface, query, params, status, code
):
    got, headers, body = await ask(http, interface, query, **params)
    assert (got, headers.get("X-ClickHouse-Exception-Code")) == (status, code)
    assert body.startswith(f"Code: {code}. DB::Exception: ".encode())
    assert body.endswith(b")\n")


async def test_the_password_is_asked_for(interface):
    refused = (
        {},
        {"X-ClickHouse-Key": "wrong"},
        {"X-ClickHouse-User": "someone", "X-ClickHouse-Key": PASSWORD},
    )
    async with aiohttp.ClientSession() as session:
        for headers in refused:
            status, answered, body = await ask(session, interface, "SELECT 1", headers=headers)
            assert (status, answered["X-ClickHouse-Exception-Code"]) == (403, "516")
            assert PASSWORD.encode() not in body
        assert (await ask(session, interface, "SELECT 1", password=PASSWORD))[0] == 200
        basic = {"Authorization": aiohttp.encode_basic_auth("default", PASSWORD)}
        assert (await ask(session, interface, "SELECT 1", headers=basic))[0] == 200


async def test_nothing_of_one_request_is_seen_by_another(http, interface):
    for name in "ab":
        await value(http, interface, f"CREATE DATABASE IF NOT EXISTS place_{name}")

    async def look(n):
        name, size = "ab"[n % 2], 10 + n
        seen = await value(
            http,
            interface,
            "SELECT currentDatabase(), getSetting('max_block_size')",
            database=f"place_{name}",
            max_block_size=str(size),
        )
        assert seen == f"place_{name}\t{size}"

    await asyncio.gather(*map(look, range(100)))
    await value(http, interface, "SET max_block_size = 3")
    await value(http, interface, "CREATE TEMPORARY TABLE mine (a UInt8)")
    await value(http, interface, "USE place_a")
    seen = await value(http, interface, "SELECT currentDatabase(), getSetting('max_block_size')")
    assert seen == "default\t65409"
    assert (await ask(http, interface, "SELECT * FROM mine"))[0] == 404


async def test_bodies_may_be_compressed(http, interface):
    await value(http, interface, "CREATE TABLE IF NOT EXISTS packed (a UInt32) ENGINE = Memory")
    rows = b"".join(b"%d\n" % n for n in range(50_000))
    two_files = gzip.compress(rows[:1000]) + gzip.compress(rows[1000:])
    for encoding, body in (("gzip", two_files), ("deflate", zlib.compress(rows))):
        status, _, said = await ask(
            http,
            interface,
            "INSERT INTO packed FORMAT TSV",
            body=body,
            headers={"Content-Encoding": encoding},
        )
        assert status == 200, said
    assert await value(http, interface, "SELECT count(), sum(a) FROM packed") == (
        f"100000\t{50_000 * 49_999}"
    )


@pytest.mark.parametrize(
    "body", [b"not gzip", gzip.compress(b"1\n" * 1000)[:-9]], ids=["other", "cut"]
)
async def test_a_broken_compressed_body_inserts_nothing(http, interface, body):
    await value(http, interface, "CREATE TABLE IF NOT EXISTS broken (a UInt32) ENGINE = Memory")
    status, headers, _ = await ask(
        http,
        interface,
        "INSERT INTO broken FORMAT TSV",
        body=body,
        headers={"Content-Encoding": "gzip"},
    )
    assert (status, headers["X-ClickHouse-Exception-Code"]) == (400, "117")
    assert await value(http, interface, "SELECT count() FROM broken") == "0"


async def test_answers_are_compressed_on_request(http, interface):
    query = "SELECT number FROM numbers(100000)"
    _, headers, body = await ask(
        http,
        interface,
        query,
        enable_http_compression="1",
        headers={"Accept-Encoding": "gzip"},
    )
    assert headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(body) == b"".join(b"%d\n" % n for n in range(100_000))


async def test_constraints_of_a_table_hold_for_inserted_data(http, interface):
    await value(
        http,
        interface,
        "CREATE TABLE IF NOT EXISTS limited (a UInt8, CONSTRAINT small CHECK a < 10) "
        "ENGINE = MergeTree ORDER BY a",
    )
    status, headers, _ = await ask(
        http, interface, "INSERT INTO limited FORMAT TSV", body=b"1\n99\n"
    )
    assert (status, headers["X-ClickHouse-Exception-Code"]) == (500, "469")
    assert await value(http, interface, "SELECT count() FROM limited") == "0"


async def test_a_failure_after_the_first_rows_breaks_the_answer_off(http, interface):
    query = "SELECT number, throwIf(number = 2000000) FROM numbers(3000000)"
    async with http.post(interface.url, data=query.encode()) as answer:
        assert answer.status == 200
        tag = answer.headers["X-ClickHouse-Exception-Tag"].encode()
        received = bytearray()
        with pytest.raises(aiohttp.ClientPayloadError):
            await drain(answer, received)
    _, _, ending = received.partition(b"__exception__\r\n" + tag + b"\r\n")
    assert ending.startswith(b"Code: 395. DB::Exception: ")


async def test_who_waits_for_the_end_gets_the_failure_as_a_status(http, interface):
    query = "SELECT number, throwIf(number = 2000000) FROM numbers(3000000)"
    status, headers, _ = await ask(http, interface, query, wait_end_of_query="1")
    assert (status, headers["X-ClickHouse-Exception-Code"]) == (500, "395")


async def test_two_queries_of_one_id_do_not_run_at_once(http, interface):
    slow = asyncio.create_task(ask(http, interface, "SELECT sleep(1)", query_id="twin"))
    await asyncio.sleep(0.3)
    status, headers, _ = await ask(http, interface, "SELECT 1", query_id="twin")
    assert (status, headers["X-ClickHouse-Exception-Code"]) == (500, "216")
    assert (await slow)[0] == 200
    assert (await ask(http, interface, "SELECT 1", query_id="twin"))[0] == 200


async def test_the_query_of_a_client_that_left_is_stopped(http, interface):
    endless = "SELECT count() FROM numbers(1000000000000) WHERE number % 7 = 1"
    running = "SELECT count() FROM system.processes WHERE query LIKE '%WHERE number % 7 = 1'"

    asking = asyncio.create_task(ask(http, interface, endless))
    await until(lambda: value(http, interface, running), "1")
    asking.cancel()
    await until(lambda: value(http, interface, running), "0")


async def test_a_client_that_leaves_in_the_middle_of_an_insert_inserts_nothing(http, interface):
    await value(http, interface, "CREATE TABLE IF NOT EXISTS half (a UInt32) ENGINE = Memory")

    async def rows():
        for n in range(1000):
            yield b"%d\n" % n * 1000
            if n == 500:
                raise ConnectionAbortedError

    with pytest.raises(aiohttp.ClientOSError):
        await ask(http, interface, "INSERT INTO half FORMAT TSV", body=rows())
    await asyncio.sleep(0.3)
    assert await value(http, interface, "SELECT count() FROM half") == "0"
    assert not list((interface.data_dir / "staging").iterdir())


async def test_a_large_answer_does_not_stay_in_memory(http, interface):
    process = psutil.Process(interface.process.pid)
    before, size = process.memory_info().rss, 0
    query = "SELECT number, repeat('x', 100) FROM numbers(4000000) FORMAT JSONEachRow"
    async with http.post(interface.url, data=query.encode()) as answer:
        async for chunk in answer.content.iter_any():
            size += len(chunk)
    assert size > 500_000_000
    assert process.memory_info().rss - before < size / 2  # it does not grow with the answer


TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=60)


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(text=TEXT)
async def test_any_text_passes_through_parameters_and_data(http, interface, text):
    escaped = text.translate(
        {0x5C: "\\\\", 0x09: "\\t", 0x0A: "\\n", 0x0D: "\\r", 0x08: "\\b", 0x0C: "\\f", 0x27: "\\'"}
    )
    query = "SELECT {x:String} AS x FORMAT JSONEachRow"
    answer = await value(http, interface, query, param_x=escaped)
    assert json.loads(answer) == {"x": text}
    await value(http, interface, "CREATE TABLE IF NOT EXISTS texts (x String) ENGINE = Memory")
    await value(http, interface, "TRUNCATE TABLE texts")
    row = json.dumps({"x": text}).encode()
    assert (await ask(http, interface, "INSERT INTO texts FORMAT JSONEachRow", body=row))[0] == 200
    assert json.loads(await value(http, interface, "SELECT x FROM texts FORMAT JSONEachRow")) == {
        "x": text
    }


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.10", "example.com"])  # noqa: S104
def test_it_refuses_to_listen_beyond_this_machine(tmp_path, host):
    command = clickhouse_command("--data-dir", str(tmp_path), "--port", "1", "--host", host)
    done = subprocess.run(command, capture_output=True, env=of_a_python_server(), check=False)
    assert done.returncode == 2
    assert f"{host} is not a loopback address".encode() in done.stderr
    assert not list(tmp_path.iterdir())


def test_one_process_owns_a_data_directory(interface):
    command = clickhouse_command("--data-dir", str(interface.data_dir), "--port", "1")
    done = subprocess.run(command, capture_output=True, env=of_a_python_server(), check=False)
    assert done.returncode == 1
    assert f"is in use by process {interface.process.pid}".encode() in done.stderr


async def test_what_was_inserted_survives_kill_9(http, tmp_path):
    first = await start_interface(tmp_path)
    await value(
        http,
        first,
        "CREATE TABLE kept (a UInt64) ENGINE = MergeTree ORDER BY a "
        "SETTINGS non_replicated_deduplication_window = 100",
    )
    rows = b"".join(b"%d\n" % n for n in range(100_000))
    token = {"insert_deduplication_token": "only"}
    await ask(http, first, "INSERT INTO kept FORMAT TSV", body=rows, **token)
    first.kill()
    second = await start_interface(tmp_path)
    try:
        await ask(http, second, "INSERT INTO kept FORMAT TSV", body=rows, **token)
        assert await value(http, second, "SELECT count(), uniqExact(a) FROM kept") == (
            "100000\t100000"
        )
    finally:
        assert second.stop() == 0


async def test_it_stops_in_time_whatever_still_runs(http, tmp_path):
    started = await start_interface(tmp_path)
    endless = "SELECT count() FROM numbers(1000000000000) WHERE number % 7 = 1"
    running = "SELECT count() FROM system.processes WHERE query LIKE '%WHERE number % 7 = 1'"
    asking = asyncio.create_task(ask(http, started, endless))
    await until(lambda: value(http, started, running), "1")
    since = time.monotonic()
    assert await asyncio.to_thread(started.stop) == 0
    assert time.monotonic() - since < 8
    status, headers, _ = await asking
    assert (status, headers["X-ClickHouse-Exception-Code"]) == (500, "394")  # cancelled
