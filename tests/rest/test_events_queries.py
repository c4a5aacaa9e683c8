"""Reading events, usage and dead letters over REST."""

import asyncio

import msgspec
import pytest

from app.infra.kafka import lag, open_producer
from app.kernel.scope import SYSTEM
from app.metering import actions
from app.metering.aggregations import Sum
from app.metering.dead_letters import GROUP, keep_dead_letters
from app.metering.meter import CreateMeter
from tests.metering.streams import event, own_topics, until
from tests.rest.event_server import opened
from tests.tenants import make


@pytest.fixture
async def own(database, settings):
    return await own_topics(settings)


@pytest.fixture
async def producer(own):
    async with open_producer(own.kafka) as producer:
        yield producer


@pytest.fixture
async def door(own, clickhouse, producer, clock):
    async with opened(own, clickhouse, producer, clock) as door:
        yield door


async def fill(door, count=12):
    sent = [
        event(
            n,
            timestamp=f"2024-06-{n + 1:02}T00:00:00Z",
            external_customer_id="acme" if n % 3 else "globex",
            properties={"tokens": n, "region": "eu" if n % 2 else "us"},
        )
        for n in range(count)
    ]
    assert (await door.post("/v1/events/bulk", {"events": sent})).status_code == 202
    await door.store()


def found(answer):
    assert answer.status_code == 200, answer.text
    return [one["id"] for one in answer.json()["events"]]


WIDE = {"start_time": "2024-06-01T00:00:00Z"}


async def test_events_of_the_last_seven_days_come_latest_first(door):
    await fill(door)
    assert found(await door.get("/v1/events")) == ["e11", "e10", "e9", "e8"]


async def test_events_are_found_by_what_they_say(door):
    await fill(door)
    asked = [
        ({"external_customer_id": "globex"}, ["e9", "e6", "e3", "e0"]),
        ({"event_id": "e4"}, ["e4"]),
        ({"event_name": "nothing"}, []),
        ({"source": "test", "end_time": "2024-06-03T00:00:00Z"}, ["e1", "e0"]),
        ({"property_filters": "region:eu;tokens:1,3,4"}, ["e3", "e1"]),
        ({"order": "asc", "page_size": 3}, ["e0", "e1", "e2"]),
        ({"offset": 10}, ["e1", "e0"]),
        ({"offset": 500}, []),
    ]
    for params, expected in asked:
        assert found(await door.get("/v1/events", **WIDE, **params)) == expected, params
    body = {**WIDE, "property_filters": {"region": ["eu"], "tokens": ["1", "3", "4"]}}
    answer = await door.post("/v1/events/query", {**body, "count_total": True})
    assert (found(answer), answer.json()["total_count"]) == (["e3", "e1"], 2)


async def test_pages_go_on_and_back_by_their_keys(door):
    await fill(door)
    first = await door.get("/v1/events", **WIDE, page_size=5)
    assert (found(first), first.json()["has_more"]) == (["e11", "e10", "e9", "e8", "e7"], True)
    key = first.json()["iter_last_key"]
    second = await door.get("/v1/events", **WIDE, page_size=5, iter_last_key=key)
    assert found(second) == ["e6", "e5", "e4", "e3", "e2"]
    key = second.json()["iter_first_key"]
    back = await door.get("/v1/events", **WIDE, page_size=3, iter_first_key=key)
    assert (found(back), back.json()["has_more"]) == (["e9", "e8", "e7"], True)


async def test_an_event_is_shown_as_it_was_sent(door):
    body = b'{"event_name":"n","external_customer_id":"c","event_id":"a/b c","properties":'
    body += b'{"price":0.10000000000000000555}}'
    assert (await door.post("/v1/events", body)).status_code == 202
    await door.store()
    answer = await door.get("/v1/events/a/b c")
    assert b'"properties":{"price":0.10000000000000000555}' in answer.content
    assert answer.json()["event"] | {"properties": None} == {
        "id": "a/b c",
        "event_name": "n",
        "external_customer_id": "c",
        "environment_id": door.scope.environment_id,
        "timestamp": "2024-06-15T12:00:00.000Z",
        "source": "",
        "properties": None,
        "ingested_at": "2024-06-15T12:00:00.000Z",
        "kind": "original",
        "version": 1,
    }


async def test_an_event_says_which_meters_count_it(door, clock, clickhouse):
    command = CreateMeter(name="Tokens", event_name="request", aggregation=Sum("tokens"))
    meter = await actions.create(door.scope, command, by=SYSTEM, at=clock.now())
    await fill(door, 3)
    answer = (await door.get("/v1/events/lookup", id="e2", external_customer_id="acme")).json()
    assert answer["status"] == "processed"
    assert answer["processed_events"] == [
        {"meter_id": meter.id, "qty_total": "2", "processed_at": "2024-06-15T12:00:00.000Z"}
    ]
    wrong = await door.get("/v1/events/lookup", id="e2", external_customer_id="globex")
    assert (wrong.status_code, wrong.json()["code"]) == (404, "NOT_FOUND")


REFUSED = [
    ("page_size=0", "page_size", "INVALID_BODY"),
    ("page_size=101", "page_size", "INVALID_BODY"),
    ("offset=1001", "offset", "INVALID_BODY"),
    ("colour=red", "colour", "UNKNOWN_FIELD"),
    ("start_time=yesterday", "start_time", "INVALID_BODY"),
    ("start_time=2024-06-01T00:00:00", "start_time", "INVALID_BODY"),
    ("property_filters=region", "property_filters", "INVALID_FILTER"),
    ("iter_last_key=nonsense", None, "INVALID_CURSOR"),
    ("sort=source", "sort", "INVALID_BODY"),
]


@pytest.mark.parametrize(("query", "field", "code"), REFUSED)
async def test_a_question_that_cannot_be_answered_is_refused(door, query, field, code):
    answer = await door.get("/v1/events", **dict([query.split("=", 1)]))
    assert (answer.status_code, answer.json()["code"]) == (400, code), answer.text
    if field is not None:
        assert answer.json()["field"] == field


async def test_usage_is_exact_and_filtered(door):
    sent = [event(n, properties={"tokens": "0.1", "m": str(n % 2)}) for n in range(30)]
    assert (await door.post("/v1/events/bulk", {"events": sent})).status_code == 202
    await door.store()
    asked = {"event_name": "request", "external_customer_id": "acme", **WIDE}
    total = {**asked, "aggregation_type": "SUM", "property_name": "tokens"}
    answer = (await door.post("/v1/events/usage", total)).json()
    assert (answer["value"], answer["results"]) == ("3", [])
    odd = {**total, "filters": {"m": ["1"]}, "window_size": "MONTH", "timezone": "Asia/Tokyo"}
    answer = (await door.post("/v1/events/usage", odd)).json()
    assert answer["value"] == "1.5"
    assert answer["results"] == [{"window_size": "2024-06-01T00:00:00Z", "value": "1.5"}]
    unique = {**asked, "aggregation_type": "COUNT_UNIQUE", "property_name": "m"}
    assert (await door.post("/v1/events/usage", unique)).json()["value"] == "2"


USAGE_REFUSED = [
    ({"aggregation_type": "MEDIAN"}, "aggregation_type", "INVALID_AGGREGATION"),
    ({"aggregation_type": "SUM"}, None, "REQUIRED"),
    ({"external_customer_id": None}, "external_customer_id", "MISSING_FIELD"),
    ({"timezone": "Mars/Olympus", "window_size": "DAY"}, "timezone", "INVALID_TIMEZONE"),
    ({"end_time": "2024-05-01T00:00:00Z"}, "end_time", "INVALID_PERIOD"),
    ({"window_size": "FORTNIGHT"}, "window_size", "INVALID_BODY"),
    ({"event_name": 7}, "event_name", "INVALID_BODY"),
    ({"multiplier": "2"}, "multiplier", "UNKNOWN_FIELD"),
]


@pytest.mark.parametrize(("change", "field", "code"), USAGE_REFUSED)
async def test_a_question_about_usage_that_makes_no_sense_is_refused(door, change, field, code):
    asked = {
        "event_name": "request",
        "aggregation_type": "COUNT",
        "external_customer_id": "acme",
        **WIDE,
        **change,
    }
    answer = await door.post("/v1/events/usage", asked)
    assert (answer.status_code, answer.json()["code"]) == (400, code), answer.text
    if field is not None:
        assert answer.json()["field"] == field


async def test_a_meter_of_another_tenant_is_as_good_as_none(door, clock):
    other = make.production(await make.tenant(clock))
    command = CreateMeter(name="Tokens", event_name="request", aggregation=Sum("tokens"))
    foreign = await actions.create(other, command, by=SYSTEM, at=clock.now())
    for meter_id in (foreign.id, "mtr_unknown"):
        asked = {"meter_id": meter_id, "external_customer_id": "acme"}
        answer = await door.post("/v1/events/usage/meter", asked)
        assert (answer.status_code, answer.json()["code"]) == (404, "NOT_FOUND")
        assert answer.json()["message"] == f"meter {meter_id} does not exist"


async def buried(door, value, *, reason=b"NOT_AN_EVENT"):
    """A dead letter of the door's scope, brought into the table."""
    own, producer = door.runtime.settings, door.runtime.producer
    headers = {
        "tenant_id": door.scope.tenant_id.encode(),
        "environment_id": door.scope.environment_id.encode(),
        "reason": reason,
        "error": b"it is wrong",
        "source_topic": b"events",
        "source_partition": b"1",
        "source_offset": b"42",
    }
    await producer.send("events_dlq", value, headers=list(headers.items()))
    stop = asyncio.Event()
    keeper = keep_dead_letters(
        own,
        own.event_processing,
        clickhouse=door.runtime.clickhouse,
        producer=producer,
        stop=stop,
    )
    task = asyncio.create_task(keeper)
    await until(lambda: kept(own))
    stop.set()
    await task
    return (await door.get("/v1/events/dead_letters")).json()["dead_letters"][0]


async def kept(own):
    group = f"{own.kafka.topic_prefix}{GROUP}.{own.event_processing.dlq}"
    return not any((await lag(own.kafka, "events_dlq", group)).values())


async def test_a_dead_letter_is_listed_mended_and_sent_again(door):
    letter = await buried(door, b'{"event_name": 7}')
    assert (letter["reason"], letter["error"], letter["value"]) == (
        "NOT_AN_EVENT",
        "it is wrong",
        '{"event_name": 7}',
    )
    assert (letter["source_topic"], letter["source_partition"], letter["source_offset"]) == (
        "events",
        1,
        42,
    )
    path = f"/v1/events/dead_letters/{letter['id']}"
    assert (await door.get(path)).json() == letter
    for body, code in (
        ({}, "MENDED_EVENT_REQUIRED"),
        ({"event": {"event_name": ""}}, "INVALID_EVENT_NAME"),
        ({"event": 1}, "NOT_AN_OBJECT"),
    ):
        refused = await door.post(f"{path}/replay", body)
        assert (refused.status_code, refused.json()["code"]) == (400, code)
        assert refused.json()["field"].startswith("event")
    assert await door.sent() == []
    mended = event(1) | {"event_id": None}
    done = await door.post(f"{path}/replay", {"event": mended})
    assert (done.status_code, done.json()["status"]) == (202, "replayed")
    (row,) = [msgspec.json.decode(line) for line in await door.sent()]
    assert (row["event_id"], row["properties"]) == (letter["id"], {"tokens": 1})
    again = await door.post(f"{path}/replay", {"event": mended})
    assert (again.status_code, again.json()["code"]) == (409, "ALREADY_REPLAYED")
    assert (await door.get("/v1/events/dead_letters", status="open")).json()["dead_letters"] == []


async def test_a_readable_dead_letter_goes_back_as_it_was(door):
    await door.post("/v1/events", event(5))
    (line,) = await door.sent()
    letter = await buried(door, line, reason=b"REFUSED_BY_STORE")
    done = await door.post(f"/v1/events/dead_letters/{letter['id']}/replay", {})
    assert done.status_code == 202
    assert await door.sent() == [line, line]
    await door.store()
    assert found(await door.get("/v1/events", **WIDE)) == ["e5"]


async def test_dead_letters_of_another_scope_are_not_there(door, clock):
    letter = await buried(door, b"\xff\xfe")
    assert (letter["value"], letter["encoding"]) == ("//4=", "base64")
    stranger = make.production(await make.tenant(clock))
    key = await make.key(stranger, clock, permissions=("event:read", "event:write"))
    path = f"/v1/events/dead_letters/{letter['id']}"
    headers = {"x-api-key": key.secret.text}
    answer = await door.client.get(path, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (404, "NOT_FOUND")
    listed = await door.client.get("/v1/events/dead_letters", headers=headers)
    assert listed.json() == {"dead_letters": []}
    replay = await door.post(f"{path}/replay", {"event": event(1)}, headers=headers)
    assert replay.status_code == 404
    assert await door.sent() == []


@pytest.mark.parametrize(
    ("asked", "ids"),
    [
        ({"start_time": "0001-01-01T00:00:00Z"}, ["e1", "e0"]),
        ({"start_time": "0001-01-01T00:00:00+14:00"}, ["e1", "e0"]),
        ({**WIDE, "end_time": "9999-12-31T23:59:59-14:00"}, ["e1", "e0"]),
        ({"start_time": "9999-12-31T23:59:59Z"}, []),
        ({"end_time": "0001-01-01T00:00:00Z"}, []),
    ],
)
async def test_instants_at_the_ends_of_time_are_compared_like_others(door, asked, ids):
    await fill(door, 2)
    assert found(await door.get("/v1/events", **asked)) == ids
