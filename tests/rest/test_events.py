"""The doors for events: what is accepted, what is refused, and that a refusal sends nothing."""

import asyncio
import gzip
import zlib
from contextlib import asynccontextmanager
from datetime import timedelta

import msgspec
import pytest

from app.infra.kafka import Producer, lag, open_producer
from app.kernel.scope import Scope
from app.metering.ingest import partition_of
from app.rest.events import POLICIES
from tests.metering.streams import event, own_topics
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


def rows(lines):
    return sorted((msgspec.json.decode(line) for line in lines), key=lambda row: row["event_id"])


async def test_an_event_is_acknowledged_by_the_broker_before_the_202(door):
    answer = await door.post("/v1/events", event(7))
    assert answer.status_code == 202
    assert answer.json() == {"message": "Event accepted for processing", "event_id": "e7"}
    (row,) = rows(await door.sent())
    assert row == {
        "tenant_id": door.scope.tenant_id,
        "environment_id": door.scope.environment_id,
        "event_id": "e7",
        "event_name": "request",
        "external_customer_id": "acme",
        "timestamp": "2024-06-01 00:00:00.123",
        "source": "test",
        "properties": {"tokens": 7},
        "ingested_at": "2024-06-15 12:00:00.000",
    }


async def test_what_may_be_left_out_is_filled_in(door):
    answer = await door.post("/v1/events", {"event_name": "n", "external_customer_id": "c"})
    assert answer.status_code == 202
    (row,) = rows(await door.sent())
    assert row["event_id"] == answer.json()["event_id"]
    assert row["event_id"].startswith("evt_")
    assert (row["timestamp"], row["source"], row["properties"]) == (
        "2024-06-15 12:00:00.000",
        "",
        {},
    )


async def test_nulls_are_as_good_as_left_out(door):
    nothing = dict.fromkeys(("event_id", "customer_id", "timestamp", "source", "properties"))
    answer = await door.post(
        "/v1/events", {"event_name": "n", "external_customer_id": "c", **nothing}
    )
    assert answer.status_code == 202
    assert rows(await door.sent())[0]["properties"] == {}


async def test_properties_keep_every_digit_and_come_on_one_line(door):
    body = (
        b'{"event_name": "n", "external_customer_id": "c", "event_id": "x",\n "properties": {\r\n'
        b'  "price": 0.1000000000000000055511151231257827,\n  "wei": 123456789012345678901234567890'
        b',\n  "text": "two\\nlines \\u00fc"\n}}'
    )
    assert (await door.post("/v1/events", body)).status_code == 202
    (line,) = await door.sent()
    assert b'"price": 0.1000000000000000055511151231257827,' in line
    assert b'"wei": 123456789012345678901234567890,' in line
    assert b'"text": "two\\nlines \\u00fc"' in line


async def test_timestamps_are_converted_to_utc_and_cut_to_the_millisecond(door):
    sent = [
        event(1, timestamp="2024-06-01T12:00:00.123999+05:30"),
        event(2, timestamp="2024-06-01T00:00:00-07:00"),
        event(3, timestamp="2024-02-29 23:59:59.9999Z"),
    ]
    assert (await door.post("/v1/events/bulk", {"events": sent})).status_code == 202
    assert [row["timestamp"] for row in rows(await door.sent())] == [
        "2024-06-01 06:30:00.123",
        "2024-06-01 07:00:00.000",
        "2024-02-29 23:59:59.999",
    ]


async def test_a_bulk_request_is_one_message_for_each_partition(door):
    answer = await door.post("/v1/events/bulk", {"events": [event(n) for n in range(1000)]})
    assert answer.status_code == 202
    assert answer.json() == {"message": "1000 events accepted for processing", "accepted": "1000"}
    sent = await door.sent()
    assert {row["event_id"] for row in rows(sent)} == {f"e{n}" for n in range(1000)}
    partitions = {partition_of(door.scope, f"e{n}", 2) for n in range(1000)}
    assert partitions == {0, 1}


def test_where_an_event_goes_never_changes():
    """A new formula would let copies of one event meet different consumers during a deployment."""
    scope = Scope("ten_1", "env_1")
    assert [partition_of(scope, f"e{n}", 4) for n in range(8)] == [
        zlib.crc32(f"ten_1\0env_1\0e{n}".encode()) % 4 for n in range(8)
    ]


async def test_of_two_events_with_one_id_in_a_request_the_first_is_taken(door):
    sent = [event(1), event(1, external_customer_id="globex"), event(2)]
    answer = await door.post("/v1/events/bulk", {"events": sent})
    assert (answer.status_code, answer.json()["accepted"]) == (202, "3")
    found = rows(await door.sent())
    assert [(row["event_id"], row["external_customer_id"]) for row in found] == [
        ("e1", "acme"),
        ("e2", "acme"),
    ]


async def test_tenants_with_a_lane_of_their_own_take_it(own, clickhouse, producer, clock):
    async with opened(own, clickhouse, producer, clock) as door:
        assert (await door.post("/v1/events", event(1))).status_code == 202
        own.event_processing_lazy.tenants.append(door.scope.tenant_id)
        try:
            assert (await door.post("/v1/events", event(2))).status_code == 202
        finally:
            own.event_processing_lazy.tenants.remove(door.scope.tenant_id)
        assert [row["event_id"] for row in rows(await door.sent("events"))] == ["e1"]
        assert [row["event_id"] for row in rows(await door.sent("events_lazy"))] == ["e2"]


FAULTS = [
    ({"event_name": ""}, "event_name", "INVALID_EVENT_NAME"),
    ({"event_name": " padded"}, "event_name", "INVALID_EVENT_NAME"),
    ({"event_name": 7}, "event_name", "INVALID_EVENT_NAME"),
    ({"event_name": None}, "event_name", "MISSING_FIELD"),
    ({"event_name": "x" * 256}, "event_name", "INVALID_EVENT_NAME"),
    ({"event_name": "a\u0000b"}, "event_name", "INVALID_EVENT_NAME"),
    ({"event_name": "a\u0085b"}, "event_name", "INVALID_EVENT_NAME"),
    ({"external_customer_id": ""}, "external_customer_id", "INVALID_EXTERNAL_CUSTOMER_ID"),
    ({"event_id": ""}, "event_id", "INVALID_EVENT_ID"),
    ({"event_id": "a\nb"}, "event_id", "INVALID_EVENT_ID"),
    ({"event_id": {"a": 1}}, "event_id", "INVALID_EVENT_ID"),
    ({"source": "x" * 256}, "source", "INVALID_SOURCE"),
    ({"source": "tab\t"}, "source", "INVALID_SOURCE"),
    ({"customer_id": 1}, "customer_id", "INVALID_CUSTOMER_ID"),
    ({"timestamp": "yesterday"}, "timestamp", "INVALID_TIMESTAMP"),
    ({"timestamp": 1717200000}, "timestamp", "INVALID_TIMESTAMP"),
    ({"timestamp": "2024-06-01T00:00:00"}, "timestamp", "INVALID_TIMESTAMP"),
    ({"timestamp": "2024-02-30T00:00:00Z"}, "timestamp", "INVALID_TIMESTAMP"),
    ({"timestamp": "2024-06-15T13:00:00.001Z"}, "timestamp", "TIMESTAMP_IN_FUTURE"),
    ({"timestamp": "1999-12-31T23:59:59.999Z"}, "timestamp", "TIMESTAMP_TOO_OLD"),
    ({"timestamp": "0001-01-01T00:00:00+14:00"}, "timestamp", "TIMESTAMP_TOO_OLD"),
    ({"properties": [1]}, "properties", "NOT_AN_OBJECT"),
    ({"properties": "text"}, "properties", "NOT_AN_OBJECT"),
    ({"properties": {"x": "y" * 65_536}}, "properties", "PROPERTIES_TOO_LARGE"),
    ({"evnt_name": "x"}, "evnt_name", "UNKNOWN_FIELD"),
]


@pytest.mark.parametrize(("change", "field", "code"), FAULTS)
async def test_a_faulty_event_is_refused_by_field_and_code(door, change, field, code):
    answer = await door.post("/v1/events", event(1, **change))
    body = answer.json()
    assert (answer.status_code, body["code"], body["field"]) == (400, code, field)
    assert body["errors"] == [
        {"index": 0, "field": field, "code": code, "message": body["message"]}
    ]
    assert body["request_id"].startswith("req_")
    assert await lag(door.runtime.settings.kafka, "events", "nobody") == {0: 0, 1: 0}


RAW_FAULTS = [
    (b'{"a":1,"a":2}', "DUPLICATE_KEY"),
    (b'{"a":{"b":[{"c":1,"\\u0063":2}]}}', "DUPLICATE_KEY"),
    (b'{"a":1,"a":"\\u003a"}', "DUPLICATE_KEY"),
    (b'{"a":"x:y","a":"x:y"}', "DUPLICATE_KEY"),
    (b'{"a":1e400}', "NUMBER_OUT_OF_RANGE"),
    (b'{"a":-1e999}', "NUMBER_OUT_OF_RANGE"),
    (b'{"a":%b}' % (b"9" * 4301), "NUMBER_OUT_OF_RANGE"),
    (b'{"a":' + b"[" * 32 + b"]" * 32 + b"}", "PROPERTIES_TOO_DEEP"),
]


@pytest.mark.parametrize(("properties", "code"), RAW_FAULTS)
async def test_properties_that_have_no_one_meaning_are_refused(door, properties, code):
    good = b'{"event_name":"n","external_customer_id":"c"}'
    bad = b'{"event_name":"n","external_customer_id":"c","properties":' + properties + b"}"
    answer = await door.post("/v1/events/bulk", b'{"events":[' + good + b"," + bad + b"]}")
    assert answer.status_code == 400
    (fault,) = answer.json()["errors"]
    assert (fault["index"], fault["field"], fault["code"]) == (1, "properties", code)


REPEATED = [
    (b'"event_name":"x","event_name":"y","external_customer_id":"c"', "event_name"),
    (b'"event_name":"x","external_customer_id":"c","event\\u005fname":"y"', "event_name"),
    (b'"event_name":"x","external_customer_id":"c","source":null,"source":"s"', "source"),
    (b'"properties":{"a":1},"event_name":"x","external_customer_id":"c","properties":{}', None),
]


@pytest.mark.parametrize(("pairs", "field"), REPEATED)
async def test_an_event_that_says_a_field_twice_is_refused(door, pairs, field):
    good = b'{"event_name":"n","external_customer_id":"c","source":null}'
    one = await door.post("/v1/events", b"{" + pairs + b"}")
    many = await door.post("/v1/events/bulk", b'{"events":[' + good + b",{" + pairs + b"}]}")
    for index, answer in enumerate((one, many)):
        assert answer.status_code == 400
        (fault,) = answer.json()["errors"]
        assert fault["code"] == "DUPLICATE_KEY"
        assert (fault["index"], fault["field"]) == (index, field or "properties")
    assert await door.sent() == []


@pytest.mark.parametrize("first", [b'[{"event_name":"n","external_customer_id":"c"}]', b"[]"])
async def test_a_request_with_two_lists_of_events_is_refused(door, first):
    second = b'[{"event_name":"m","external_customer_id":"c"}]'
    body = b'{"events":' + first + b',"events":' + second + b"}"
    answer = await door.post("/v1/events/bulk", body)
    assert (answer.status_code, answer.json()["code"]) == (400, "DUPLICATE_KEY")
    assert answer.json()["field"] == "events"
    assert await door.sent() == []


async def test_texts_that_look_like_keys_are_texts(door):
    sent = [
        event(0, source='"event_name":"event_name"', properties={"source": "s", "event_id": 1}),
        event(1, source=None, event_name="properties", external_customer_id="event_name"),
        event(2, event_name='{"events":[{"event_id":"'),
    ]
    answer = await door.post("/v1/events/bulk", {"events": sent})
    assert (answer.status_code, answer.json()["accepted"]) == (202, "3")
    assert (await door.post("/v1/events", sent[0])).status_code == 202


@pytest.mark.parametrize("number", ["9" * 401, "-" + "9" * 4299])
async def test_integers_of_thousands_of_digits_are_kept_as_sent(door, number):
    properties = f'{{"tokens":{number},"like":"1e400"}}'
    body = f'{{"event_name":"n","external_customer_id":"c","properties":{properties}}}'
    assert (await door.post("/v1/events", body.encode())).status_code == 202
    await door.store()
    sql = "SELECT properties, fields['tokens'] FROM events WHERE tenant_id = {tenant:String}"
    stored = await door.runtime.clickhouse.select(
        sql, {"tenant": door.scope.tenant_id}, row=tuple[str, str]
    )
    assert stored == [(properties, number)]


MALFORMED = [
    (b"", "MALFORMED_JSON"),
    (b"{", "MALFORMED_JSON"),
    (b'{"events":[{"event_name":"a",}]}', "MALFORMED_JSON"),
    (b'{"events":[{"event_name":"a","properties":{"x":NaN}}]}', "MALFORMED_JSON"),
    (b'{"events":[{"event_name":"a","properties":{"x":Infinity}}]}', "MALFORMED_JSON"),
    (b'{"events":[{"event_name":"a","properties":{"x":"\xff"}}]}', "MALFORMED_JSON"),
    (b'{"events":' + b"[" * 100_000, "MALFORMED_JSON"),
    (b'{"events":[]}', "NO_EVENTS"),
    (b'{"events":{}}', "INVALID_EVENTS"),
    (b"[]", "INVALID_EVENTS"),
    (b"{}", "INVALID_EVENTS"),
    (b'{"events":[],"more":1}', "UNKNOWN_FIELD"),
]


@pytest.mark.parametrize(("body", "code"), MALFORMED)
async def test_a_request_that_is_no_list_of_events_is_refused_as_a_whole(door, body, code):
    answer = await door.post("/v1/events/bulk", body)
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert "errors" not in answer.json()


async def test_broken_json_is_refused_with_its_place(door):
    answer = await door.post("/v1/events", b'{"event_name": nope}')
    assert answer.json()["message"] == "JSON is malformed: invalid character (byte 16)"


async def test_one_faulty_event_refuses_all_and_every_fault_is_named(door):
    sent = [event(0), event(1, event_name=""), event(2), event(3, timestamp="x", extra=1), 4]
    answer = await door.post("/v1/events/bulk", {"events": sent})
    assert answer.status_code == 400
    assert [(f["index"], f["field"], f["code"]) for f in answer.json()["errors"]] == [
        (1, "event_name", "INVALID_EVENT_NAME"),
        (3, "extra", "UNKNOWN_FIELD"),
        (3, "timestamp", "INVALID_TIMESTAMP"),
        (4, None, "NOT_AN_OBJECT"),
    ]
    assert await door.sent() == []


async def test_partial_acceptance_takes_the_others_and_says_which_not(door):
    sent = [event(0), event(1, event_name=""), event(2)]
    answer = await door.post("/v1/events/bulk?partial=true", {"events": sent})
    assert answer.status_code == 202
    body = answer.json()
    assert (body["accepted"], [f["index"] for f in body["rejected"]]) == ("2", [1])
    assert body["rejected"][0]["code"] == "INVALID_EVENT_NAME"
    assert [row["event_id"] for row in rows(await door.sent())] == ["e0", "e2"]


async def test_partial_acceptance_of_nothing_is_a_refusal(door):
    answer = await door.post("/v1/events/bulk?partial=true", {"events": [event(0, event_name="")]})
    assert answer.status_code == 400
    wrong = await door.post("/v1/events/bulk?partial=yes", {"events": [event(0)]})
    assert (wrong.status_code, wrong.json()["code"]) == (400, "INVALID_PARTIAL")
    assert await door.sent() == []


async def test_more_events_than_allowed_are_refused(door, own, clickhouse, producer, clock):
    ingest = msgspec.structs.replace(own.ingest, max_events=3)
    settings = msgspec.structs.replace(own, ingest=ingest)
    async with opened(settings, clickhouse, producer, clock) as small:
        answer = await small.post("/v1/events/bulk", {"events": [event(n) for n in range(4)]})
        assert (answer.status_code, answer.json()["code"]) == (400, "TOO_MANY_EVENTS")
        answer = await small.post("/v1/events/bulk", {"events": [event(n) for n in range(3)]})
        assert answer.status_code == 202


@asynccontextmanager
async def small_door(own, clickhouse, producer, clock):
    server = msgspec.structs.replace(own.server, max_body_bytes=10_000)
    settings = msgspec.structs.replace(own, server=server)
    async with opened(settings, clickhouse, producer, clock) as door:
        yield door


async def test_a_body_above_the_limit_is_413_before_it_is_read(own, clickhouse, producer, clock):
    read = 0

    async def endless():
        nonlocal read
        while True:
            read += 1000
            yield b" " * 1000

    async with small_door(own, clickhouse, producer, clock) as door:
        headers = {"x-api-key": door.key, "content-type": "application/json"}
        url = "/v1/events/bulk"
        answer = await door.client.post(url, content=b" " * 10_001, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (413, "TOO_LARGE")
        answer = await door.client.post(url, content=endless(), headers=headers)
        assert answer.status_code == 413
    assert read <= 12_000


async def test_a_packed_body_is_unpacked_and_a_bomb_is_413(own, clickhouse, producer, clock):
    async with small_door(own, clickhouse, producer, clock) as door:
        packed = {"content-encoding": "gzip"}
        body = msgspec.json.encode({"events": [event(n) for n in range(20)]})
        answer = await door.post("/v1/events/bulk", gzip.compress(body), headers=packed)
        assert answer.status_code == 202
        two = gzip.compress(body[:100]) + gzip.compress(body[100:])
        assert (await door.post("/v1/events/bulk", two, headers=packed)).status_code == 202
        small_bomb = gzip.compress(b" " * 5_000_000)
        assert len(small_bomb) < 10_000
        answer = await door.post("/v1/events/bulk", small_bomb, headers=packed)
        assert (answer.status_code, answer.json()["code"]) == (413, "TOO_LARGE")
        for broken in (b"not gzip", gzip.compress(body)[:-9], gzip.compress(body) + b"x"):
            answer = await door.post("/v1/events/bulk", broken, headers=packed)
            assert (answer.status_code, answer.json()["code"]) == (400, "MALFORMED_GZIP")
        answer = await door.post("/v1/events", body, headers={"content-encoding": "br"})
        assert answer.status_code == 415


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
async def test_what_does_not_say_it_is_json_is_415(door, kind):
    body = msgspec.json.encode(event(1))
    answer = await door.post("/v1/events", body, headers={"content-type": kind})
    assert (answer.status_code, answer.json()["code"]) == (415, "UNSUPPORTED_MEDIA_TYPE")


async def test_a_charset_beside_the_content_type_is_fine(door):
    headers = {"content-type": "Application/JSON; charset=UTF-8"}
    body = msgspec.json.encode(event(1))
    assert (await door.post("/v1/events", body, headers=headers)).status_code == 202


async def test_without_a_key_or_the_permission_nothing_is_read(door, clock):
    answer = await door.client.post("/v1/events", json=event(1))
    assert (answer.status_code, answer.json()["code"]) == (401, "UNAUTHENTICATED")
    wrong = await door.post("/v1/events", event(1), headers={"x-api-key": "tk_live_nope"})
    assert wrong.status_code == 401
    reader = await make.key(door.scope, clock, permissions=("event:read",))
    headers = {"x-api-key": reader.secret.text}
    refused = await door.post("/v1/events", event(1), headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (403, "FORBIDDEN")
    assert await door.sent() == []


async def test_an_expired_key_is_refused(door, clock):
    soon = clock.now() + timedelta(seconds=60)
    key = await make.key(door.scope, clock, expires_at=soon)
    headers = {"authorization": f"Bearer {key.secret.text}", "x-api-key": ""}
    assert (await door.post("/v1/events", event(1), headers=headers)).status_code == 202
    clock.at += timedelta(seconds=61)
    answer = await door.post("/v1/events", event(2), headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (401, "API_KEY_EXPIRED")
    assert len(await door.sent()) == 1


async def test_every_route_asks_for_its_permission(door, clock):
    nothing = await make.key(door.scope, clock, permissions=("customer:read",))
    for (method, path), permission in POLICIES.items():
        answer = await door.client.request(
            method,
            path.replace("{id}", "x").replace("{id:path}", "x"),
            headers={"x-api-key": nothing.secret.text, "content-type": "application/json"},
            content=b"{}",
        )
        assert (answer.status_code, answer.json()["code"]) == (403, "FORBIDDEN"), (method, path)
        assert permission in answer.json()["message"]


async def test_a_broker_that_does_not_acknowledge_is_503_and_not_a_loss(
    own, clickhouse, producer, clock
):
    async def swallow(reader, writer):
        await reader.read()
        writer.close()

    silent = await asyncio.start_server(swallow, "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    kafka = msgspec.structs.replace(
        own.kafka, brokers=[f"127.0.0.1:{port}"], ack_seconds=0.5, topic_prefix="nowhere_"
    )
    async with opened(own, clickhouse, Producer(kafka), clock) as door:
        answer = await door.post("/v1/events/bulk", {"events": [event(1), event(2)]})
        assert (answer.status_code, answer.json()["code"]) == (503, "UNAVAILABLE")
        assert int(answer.headers["retry-after"]) >= 1
        assert await door.runtime.producer.close() is None
    silent.close()
    async with opened(own, clickhouse, producer, clock) as door:
        answer = await door.post("/v1/events/bulk", {"events": [event(1), event(2)]})
        assert answer.status_code == 202
        assert [row["event_id"] for row in rows(await door.sent())] == ["e1", "e2"]


async def test_too_many_events_a_second_are_429(own, clickhouse, producer, clock):
    limits = msgspec.structs.replace(own.rate_limits, ingest_events_per_second=5)
    settings = msgspec.structs.replace(own, rate_limits=limits)
    async with opened(settings, clickhouse, producer, clock) as door:
        first = await door.post("/v1/events/bulk", {"events": [event(n) for n in range(15)]})
        assert first.status_code == 202
        second = await door.post("/v1/events", event(99))
        assert (second.status_code, second.json()["code"]) == (429, "RATE_LIMITED")
        assert second.headers["retry-after"] == "2"
        assert len(await door.sent()) == 15


async def test_two_hundred_requests_at_once_are_all_acknowledged(door):
    async def one(number):
        answer = await door.post("/v1/events", event(number))
        return answer.status_code

    assert set(await asyncio.gather(*map(one, range(200)))) == {202}
    assert {row["event_id"] for row in rows(await door.sent())} == {f"e{n}" for n in range(200)}
