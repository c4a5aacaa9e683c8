"""Voiding and amending over REST: what is accepted, what is refused, and what then counts."""

import msgspec
import pytest

from app.infra.kafka import open_producer
from app.infra.postgres import fetch
from app.kernel.ids import is_id
from app.kernel.scope import SYSTEM
from app.metering import actions, dead_letters
from app.metering.aggregations import Sum
from app.metering.meter import CreateMeter
from tests.metering.streams import event, own_topics
from tests.rest.event_server import opened

JUNE = {"start_time": "2024-06-01T00:00:00Z", "end_time": "2024-07-01T00:00:00Z"}


@pytest.fixture
async def own(database, settings):
    return await own_topics(settings)


@pytest.fixture
async def door(own, clickhouse, clock):
    async with open_producer(own.kafka) as producer, opened(own, clickhouse, producer, clock) as it:
        yield it


@pytest.fixture
async def three(door, clickhouse, clock):
    """e1, e2 and e3 of acme, with 1, 2 and 3 tokens, stored; and a meter that sums them up."""
    command = CreateMeter(name="Tokens", event_name="request", aggregation=Sum("tokens"))
    meter = await actions.create(door.scope, command, by=SYSTEM, at=clock.now())
    await actions.backfill(door.scope, clickhouse, meter.id, at=clock.now())
    await door.post("/v1/events/bulk", {"events": [event(n) for n in (1, 2, 3)]})
    await door.store()

    async def used(customer="acme"):
        asked = {"meter_id": meter.id, "external_customer_id": customer, **JUNE}
        answer = await door.post("/v1/events/usage/meter", asked)
        return answer.json()["value"]

    return used


async def audited(door):
    sql = "SELECT action, entity_id, after FROM audit_entries WHERE environment_id = $1 ORDER BY id"
    rows = await fetch(door.scope, sql, door.scope.environment_id)
    events = [row for row in rows if row["action"].startswith("event.")]
    return [(row["action"], row["entity_id"], msgspec.json.decode(row["after"])) for row in events]


async def test_a_voided_event_counts_no_more(door, three):
    answer = await door.post("/v1/events/e2/void", {"reason": "sent by a test"})
    assert answer.status_code == 202
    body = answer.json()
    assert is_id(body.pop("correction_id"), "cor")
    assert body == {"message": "Correction accepted for processing", "event_id": "e2"}
    assert await three() == "6"  # it waits in the broker
    await door.store()
    assert await three() == "4"
    listed = (await door.get("/v1/events", **JUNE)).json()["events"]
    assert sorted(one["id"] for one in listed) == ["e1", "e3"]
    found = (await door.get("/v1/events/e2")).json()
    assert (found["event"]["kind"], found["event"]["version"]) == ("voided", 2)
    assert (found["status"], found["processed_events"]) == ("processed", [])


async def test_an_amended_event_counts_as_it_says_now(door, three):
    changes = {
        "properties": {"tokens": 0.100000000000000001},
        "external_customer_id": "globex",
        "timestamp": "2024-06-02T00:00:00+02:00",
        "reason": "it was theirs",
        "correction_id": "fix-1",
    }
    raw = msgspec.json.encode(changes).replace(b"0.1", b"0.100000000000000001")
    answer = await door.post("/v1/events/e2/amend", raw)
    assert (answer.status_code, answer.json()["correction_id"]) == (202, "fix-1")
    await door.store()
    assert (await three(), await three("globex")) == ("4", "0.100000000000000001")
    found = (await door.get("/v1/events/e2")).json()["event"]
    assert (found["timestamp"], found["kind"]) == ("2024-06-01T22:00:00.000Z", "amended")
    assert await audited(door) == [
        (
            "event.amend",
            "e2",
            {
                "correction_id": "fix-1",
                "reason": "it was theirs",
                "external_customer_id": "globex",
                "timestamp": "2024-06-01 22:00:00.000",
                "properties": '{"tokens":0.100000000000000001}',
            },
        )
    ]


async def test_a_correction_that_is_repeated_counts_once(door, three):
    void = {"reason": "once", "correction_id": "c1"}
    for _ in range(3):
        assert (await door.post("/v1/events/e2/void", void)).status_code == 202
    await door.store()
    assert (await door.post("/v1/events/e2/void", void)).status_code == 202
    amend = {"reason": "back", "correction_id": "c2", "properties": {"tokens": 5}}
    assert (await door.post("/v1/events/e2/amend", amend)).status_code == 202
    await door.store()
    assert await three() == "9"
    assert (await door.get("/v1/events/e2")).json()["event"]["version"] == 3


@pytest.mark.parametrize(
    ("path", "body", "status", "code", "field"),
    [
        ("e9/void", {"reason": "x"}, 404, "NOT_FOUND", "event_id"),
        ("e9/amend", {"reason": "x", "event_name": "y"}, 404, "NOT_FOUND", "event_id"),
        ("e1/void", {}, 400, "MISSING_FIELD", "reason"),
        ("e1/void", {"reason": ""}, 400, "INVALID_REASON", "reason"),
        ("e1/void", {"reason": "x" * 1001}, 400, "INVALID_REASON", "reason"),
        ("e1/void", {"reason": "x\u0000"}, 400, "INVALID_REASON", "reason"),
        ("e1/void", {"reason": "x", "event_name": "y"}, 400, "UNKNOWN_FIELD", "event_name"),
        (
            "e1/void",
            {"reason": "x", "correction_id": " y"},
            400,
            "INVALID_CORRECTION_ID",
            "correction_id",
        ),
        ("e1/void", b'{"reason":"x","reason":"y"}', 400, "DUPLICATE_KEY", "reason"),
        ("e1/void", b"{", 400, "MALFORMED_JSON", None),
        ("e1/amend", {"reason": "x"}, 400, "NOTHING_TO_AMEND", None),
        ("e1/amend", {"reason": "x", "properties": None}, 400, "NOTHING_TO_AMEND", None),
        ("e1/amend", {"reason": "x", "properties": [1]}, 400, "NOT_AN_OBJECT", "properties"),
        (
            "e1/amend",
            {"reason": "x", "event_name": "a\u0007"},
            400,
            "INVALID_EVENT_NAME",
            "event_name",
        ),
        (
            "e1/amend",
            {"reason": "x", "external_customer_id": ""},
            400,
            "INVALID_EXTERNAL_CUSTOMER_ID",
            "external_customer_id",
        ),
        (
            "e1/amend",
            {"reason": "x", "timestamp": "2030-01-01T00:00:00Z"},
            400,
            "TIMESTAMP_IN_FUTURE",
            "timestamp",
        ),
        (
            "e1/amend",
            {"reason": "x", "timestamp": "2024-01-01T00:00:00"},
            400,
            "INVALID_BODY",
            "timestamp",
        ),
        (
            "e1/amend",
            b'{"reason":"x","properties":{"a":1,"a":2}}',
            400,
            "DUPLICATE_KEY",
            "properties",
        ),
    ],
)
async def test_what_is_wrong_is_named_and_nothing_is_sent(
    door, three, path, body, status, code, field
):
    before = len(await door.sent())
    answer = await door.post(f"/v1/events/{path}", body)
    found = answer.json()
    assert (answer.status_code, found["code"], found["field"]) == (status, code, field)
    assert len(await door.sent()) == before
    assert await audited(door) == []


async def test_a_voided_event_is_not_voided_again(door, three):
    await door.post("/v1/events/e1/void", {"reason": "x"})
    await door.store()
    before = len(await door.sent())
    answer = await door.post("/v1/events/e1/void", {"reason": "x"})
    assert (answer.status_code, answer.json()["code"]) == (409, "EVENT_ALREADY_VOIDED")
    assert len(await door.sent()) == before


async def test_many_are_corrected_together_or_not_at_all(door, three):
    wanted = [
        {"event_id": "e1", "reason": "x", "correction_id": "a"},
        {"event_id": "e9", "reason": "x"},
        {"event_id": "e3", "reason": ""},
        {"event_id": "e2", "reason": "x", "correction_id": "b"},
        {"reason": "x"},
    ]
    before = len(await door.sent())
    path = "/v1/events/void/bulk"
    answer = await door.post(path, {"events": wanted[:2]})
    assert (answer.status_code, answer.json()["code"]) == (400, "NOT_FOUND")
    assert [one["index"] for one in answer.json()["errors"]] == [1]
    assert (len(await door.sent()), await audited(door)) == (before, [])

    answer = await door.post(path, {"events": wanted}, params={"partial": "true"})
    assert answer.status_code == 202
    body = answer.json()
    assert (body["message"], body["accepted"]) == ("2 corrections accepted for processing", "2")
    assert body["corrections"] == [
        {"index": 0, "event_id": "e1", "correction_id": "a"},
        {"index": 3, "event_id": "e2", "correction_id": "b"},
    ]
    assert [(one["index"], one["code"]) for one in body["rejected"]] == [
        (1, "NOT_FOUND"),
        (2, "INVALID_REASON"),
        (4, "MISSING_FIELD"),
    ]
    await door.store()
    assert await three() == "3"
    assert [entry[:2] for entry in await audited(door)] == [
        ("event.void", "e1"),
        ("event.void", "e2"),
    ]


async def test_many_are_amended_in_the_order_of_the_request(door, three):
    wanted = [
        {"event_id": "e1", "reason": "x", "properties": {"tokens": 10}},
        {"event_id": "e2", "reason": "x", "properties": {"tokens": 20}},
        {"event_id": "e1", "reason": "x", "properties": {"tokens": 30}},
    ]
    answer = await door.post("/v1/events/amend/bulk", {"events": wanted})
    assert (answer.status_code, answer.json()["accepted"]) == (202, "3")
    await door.store()
    assert await three() == "53"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"events": []}, "NO_EVENTS"),
        ({"events": [{}] * 1001}, "TOO_MANY_EVENTS"),
        ({"corrections": []}, "UNKNOWN_FIELD"),
        ({}, "MISSING_FIELD"),
        ([], "INVALID_BODY"),
    ],
)
async def test_a_wrong_request_for_many_is_refused_as_a_whole(door, body, code):
    answer = await door.post("/v1/events/amend/bulk", body)
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert await door.sent() == []


async def test_ids_with_slashes_are_ids_like_others(door, three, clickhouse):
    ids = ["a/b", "void", "bulk", "void/bulk", "x/void"]
    await door.post("/v1/events/bulk", {"events": [event(5, event_id=one) for one in ids]})
    await door.store()
    assert await three() == "31"
    for one in ids:
        answer = await door.post(f"/v1/events/{one}/void", {"reason": "x"})
        assert (answer.status_code, answer.json()["event_id"]) == (202, one)
    await door.store()
    assert await three() == "6"


async def test_a_correction_that_could_not_be_stored_is_sent_again_as_it_is(
    door, three, clickhouse, clock
):
    await door.post("/v1/events/e1/void", {"reason": "x", "correction_id": "c1"})
    (text,) = [line for line in await door.sent() if b"correction_id" in line]
    letter = dead_letters._row(
        door.scope,
        dead_letters.DeadLetter(
            "letter", "events", 0, 0, "UNKNOWN_EVENT", "", text.decode(), "text",
            clock.now(), "open", clock.now(),
        ),
    )  # fmt: skip
    await clickhouse.insert("dead_letters", msgspec.json.encode(letter))
    path = "/v1/events/dead_letters/letter/replay"
    mended = {"event": {"event_name": "x", "external_customer_id": "y"}}
    answer = await door.post(path, mended)
    assert (answer.status_code, answer.json()["code"]) == (400, "MENDED_EVENT_REFUSED")
    assert (await door.post(path, {})).status_code == 202
    assert [line for line in await door.sent() if b"correction_id" in line] == [text, text]
    await door.store()
    assert await three() == "5"
