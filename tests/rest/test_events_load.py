"""`tariff events load`: a file through the real door, as the program runs it."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from app.cli.events import sender
from app.cli.events.files import JsonReader
from app.infra.kafka import open_producer
from tests.graphql.server import served
from tests.metering.streams import event, own_topics
from tests.processes import free_port
from tests.rest.event_server import Door, opened


@pytest.fixture
async def own(database, settings):
    return await own_topics(settings)


@pytest.fixture
async def door(own, clickhouse, clock) -> AsyncIterator[Door]:
    async with open_producer(own.kafka) as producer, opened(own, clickhouse, producer, clock) as it:
        yield it


async def load(door, file, *options, app=None):
    """Run the command; its exit code, and what it said on stderr."""
    async with served(app or door.app) as server:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "app", "events", "load", str(file)),
            *("--url", f"http://{server.host}:{server.port}", "--key", door.key, *options),
            cwd=Path(__file__).parents[2],
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(60):
            _, said = await process.communicate()
    return process.returncode, said.decode()


async def rows(door):
    found = [msgspec.json.decode(line) for line in await door.sent()]
    return {row["event_id"]: row for row in found}


def written(path, events):
    path.write_bytes(b"\n".join(msgspec.json.encode(one) for one in events) + b"\n")
    return path


async def test_lines_of_json_are_sent_in_batches(door, tmp_path):
    file = written(tmp_path / "events.ndjson", [event(n) for n in range(105)])
    code, said = await load(door, file, "--batch", "10")
    assert (code, said.split(" in ")[0]) == (0, "105 events accepted")
    assert set(await rows(door)) == {f"e{n}" for n in range(105)}
    assert [path.name for path in tmp_path.iterdir()] == ["events.ndjson"]


async def test_events_without_an_id_have_the_same_one_every_time(door, tmp_path):
    nameless = {"event_name": "n", "external_customer_id": "c"}
    file = written(tmp_path / "e.ndjson", [nameless, nameless, event(3)])
    for _ in range(2):
        assert (await load(door, file))[0] == 0
    assert len(await door.sent()) == 6
    found = await rows(door)
    assert len(found) == 3
    assert sum(event_id.startswith("file_") for event_id in found) == 2


async def test_columns_of_csv_become_fields_and_properties(door, tmp_path):
    file = tmp_path / "trips.csv"
    file.write_text(
        "\ufeffstarted_at,account,Tail Number,miles,empty\n"
        '2024-06-01T00:00:00Z,"acme, inc",N1,1.10,\n'
        "2024-06-02T00:00:00Z,globex,N2,2,\n",
        encoding="utf-8",
    )
    code, said = await load(
        door,
        file,
        *("--set", "event_name=trip", "--map", "timestamp=started_at"),
        *("--map", "external_customer_id=account", "--map", "properties.tail=Tail Number"),
    )
    assert code == 0, said
    found = sorted((await rows(door)).values(), key=lambda row: row["timestamp"])
    assert [row["external_customer_id"] for row in found] == ["acme, inc", "globex"]
    assert [row["properties"] for row in found] == [
        {"tail": "N1", "miles": "1.10"},
        {"tail": "N2", "miles": "2"},
    ]
    assert {row["event_name"] for row in found} == {"trip"}


async def test_a_refused_event_stops_the_load_and_names_its_line(door, tmp_path):
    events = [event(n) for n in range(30)]
    events[17]["event_name"] = ""
    file = written(tmp_path / "e.ndjson", events)
    code, said = await load(door, file, "--batch", "10", "--concurrency", "1")
    assert code == 1
    assert "line 18: event_name is empty" in said
    assert "10 events are in" in said
    assert set(await rows(door)) == {f"e{n}" for n in range(10)}


async def test_a_load_that_broke_off_goes_on_where_it_was(door, tmp_path):
    file = written(tmp_path / "e.ndjson", [event(n) for n in range(50)])
    fails_after = 3

    async def breaking(scope, receive, send):
        nonlocal fails_after
        fails_after -= 1
        if fails_after < 0:
            await send({"type": "http.response.start", "status": 403, "headers": []})
            await send({"type": "http.response.body", "body": b"{}"})
            return
        await door.app(scope, receive, send)

    options = ("--batch", "10", "--concurrency", "1")
    code, said = await load(door, file, *options, app=breaking)
    assert (code, "30 events are in" in said) == (1, True)
    code, said = await load(door, file, *options)
    assert (code, said.split(" in ")[0]) == (0, "20 events accepted")
    assert len(await door.sent()) == 50


async def test_faulty_lines_can_be_left_out(door, tmp_path):
    events = [event(n, event_name="" if n % 4 == 1 else "request") for n in range(8)]
    file = written(tmp_path / "e.ndjson", events)
    code, said = await load(door, file, "--skip-faulty", "--batch", "2")
    assert code == 1
    assert "6 events accepted" in said
    assert "line 2: " in said
    assert "line 6: " in said
    assert set(await rows(door)) == {"e0", "e2", "e3", "e4", "e6", "e7"}


async def test_a_server_that_is_away_for_a_while_is_waited_for(door, tmp_path):
    file = written(tmp_path / "e.ndjson", [event(n) for n in range(20)])
    away = 3

    async def returning(scope, receive, send):
        nonlocal away
        if away:
            away -= 1
            start = {"type": "http.response.start", "status": 503, "headers": []}
            with contextlib.suppress(OSError):
                await send(start)
                await send({"type": "http.response.body", "body": b"not json"})
            return
        await door.app(scope, receive, send)

    code, said = await load(door, file, app=returning)
    assert (code, said.split(" in ")[0]) == (0, "20 events accepted")
    assert len(await door.sent()) == 20


async def test_it_is_said_once_where_no_server_answers_and_why(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(sender, "_GIVE_UP_SECONDS", 1.5)
    url = f"http://127.0.0.1:{free_port()}"
    batch = next(JsonReader(written(tmp_path / "e", [event(1), event(2)])).batches(2))
    with pytest.raises(sender.SendingFailed) as failed:
        async with sender.Sender.open(url, "key", partial=False) as opened_sender:
            await opened_sender.send(batch)
    assert str(failed.value) == f"lines 1 to 2: no server answers at {url}: Connection refused"
    said = f"no server answers at {url} (Connection refused); trying again\n"
    assert capsys.readouterr().err == said


async def test_what_is_no_address_is_refused_at_once(tmp_path):
    batch = next(JsonReader(written(tmp_path / "e", [event(1)])).batches(1))
    with pytest.raises(sender.SendingFailed, match="expected http://HOST:PORT"):
        async with sender.Sender.open("localhost:8080", "key", partial=False) as opened_sender:
            await opened_sender.send(batch)


WRONG = [
    (b"nonsense\n", (), "line 1: expected one JSON object"),
    (b'{"a":1}\n[]\n', (), "line 2: expected one JSON object"),
    (b"{}\n", ("--map", "timestamp=at"), "--map and --set are for .csv files"),
]


@pytest.mark.parametrize(("content", "options", "message"), WRONG)
async def test_a_wrong_file_is_named_with_its_line(door, tmp_path, content, options, message):
    file = tmp_path / "e.ndjson"
    file.write_bytes(content)
    code, said = await load(door, file, *options)
    assert code == 2
    assert message in said
    assert await door.sent() == []


async def test_a_wrong_mapping_or_row_of_csv_is_named(door, tmp_path):
    file = tmp_path / "e.csv"
    file.write_text("a,b\n1,2\n3\n")
    for options, message in (
        (("--map", "timestamp=at"), "there is no such column; the header has a, b"),
        (("--map", "time=a"), "expected FIELD=…"),
        ((), "line 3: as many values are expected"),
    ):
        code, said = await load(door, file, *options)
        assert (code, message in said) == (2, True), said
    missing = await load(door, tmp_path / "missing.csv")
    assert (missing[0], "No such file" in missing[1]) == (2, True)
