"""Bad input over HTTP, at an API that runs as production runs it.

Each is refused by a code that stays, names the field and says what would be right; and nothing
has changed in any table of the tenant, nor has anything been handed to Kafka.
"""

import asyncio
import io
import json
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio

from app.cli import keys
from app.config import Settings
from app.infra.kafka.positions import ends
from app.infra.postgres import system
from app.kernel.clock import SystemClock
from tests.e2e.bad_input import (
    BODIES,
    CREDENTIALS,
    INPUTS,
    MAX_BODY_BYTES,
    MEDIA_TYPES,
    QUERIES,
    event,
)
from tests.e2e.places import Answer, Caller, calling
from tests.e2e.services import Services
from tests.processes import Processes

JSON = {"content-type": "application/json"}
_SENT = re.compile(r"^tariff_kafka_sent_messages_total\{.*$", re.M)


@dataclass(frozen=True)
class Place:
    """An API, and a caller who may do everything in an environment that has a few things.

    `ids` are of these things, and of a stranger's.
    """

    url: str
    caller: Caller
    ids: Mapping[str, str]
    settings: Settings


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def place(
    topics: Settings, database: Settings, tmp_path_factory: Any
) -> AsyncIterator[Place]:
    processes = Processes(topics, tmp_path_factory.mktemp("bad-input"))
    services = Services(processes, {"TARIFF_SERVER_MAX_BODY_BYTES": str(MAX_BODY_BYTES)})
    try:
        await services.start("api")
        async with AsyncExitStack() as stack:
            caller, stranger = [
                await stack.enter_async_context(
                    calling(services.url, await keys.create(SystemClock(), tenant=tenant))
                )
                for tenant in ("Bad input", "Good input")
            ]
            ids = await _few_things(caller, "") | await _few_things(stranger, "foreign ")
            yield Place(services.url, caller, ids, topics)
        await services.stop()
    finally:
        await processes.close()


async def _few_things(caller: Caller, whose: str) -> dict[str, str]:
    customer = await caller.do(
        "customerCreate", "Customer", "id", externalId="taken", name="Taken", currency="USD"
    )
    aggregation = {"kind": "COUNT"}
    meter = await caller.do(
        "meterCreate", "Meter", "id", name="Calls", eventName="call", aggregation=aggregation
    )
    plan = await caller.do("planCreate", "Plan", "id", name="Basic", lookupKey="basic")
    tenant = (await caller.get("{ me { tenant { id } } }"))["me"]["tenant"]
    made = {"customer": customer, "meter": meter, "plan": plan, "tenant": tenant}
    return {f"{whose}{what}": thing["id"] for what, thing in made.items()}


async def state(place: Place) -> dict[str, Any]:
    """Every row of the tenant, and how many messages the API has sent."""
    found: dict[str, Any] = {}
    async with system() as connection:
        tables = await connection.fetch(
            "SELECT table_name FROM information_schema.columns "
            "WHERE column_name = 'tenant_id' AND table_schema = 'public'"
        )
        for (name,) in tables:
            rows = await connection.fetch(
                f"SELECT (to_jsonb(t) - 'last_used_at')::text FROM {name} AS t "  # noqa: S608
                "WHERE tenant_id = $1",
                place.ids["tenant"],
            )
            found[name] = sorted(row[0] for row in rows)
        found["tenants"] = await connection.fetchval("SELECT count(*) FROM tenants")
    metrics = (await place.caller.rest("GET", "/metrics")).body.decode()
    assert "tariff_graphql_sockets" in metrics
    found["sent"] = _SENT.findall(metrics)
    return found


@pytest_asyncio.fixture
async def unchanged(place: Place) -> AsyncIterator[None]:
    """What the test does must change nothing."""
    before = await state(place)
    yield
    assert await state(place) == before


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize(("path", "body", "status", "code", "field"), BODIES)
async def test_a_bad_body_is_refused(
    place: Place, path: str, body: bytes, status: int, code: str, field: str | None
) -> None:
    # As a stream: a body may be larger than the client likes to hold.
    answer = await place.caller.rest("POST", path, data=io.BytesIO(body), headers=JSON)
    assert (answer.status, _code(answer)) == (status, code), answer.body
    if path != "/graphql":
        assert answer.body["field"] == field
        assert answer.body["request_id"].startswith("req_")
        assert answer.body["message"]


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("path", ["/v1/events", "/graphql"])
@pytest.mark.parametrize("media_type", MEDIA_TYPES)
async def test_a_body_that_is_not_said_to_be_json_is_refused(
    place: Place, path: str, media_type: str
) -> None:
    body = json.dumps(event() if path == "/v1/events" else {"query": "{ me { actorId } }"})
    answer = await place.caller.rest("POST", path, data=body, headers={"content-type": media_type})
    assert (answer.status, _code(answer)) == (415, "UNSUPPORTED_MEDIA_TYPE")


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("headers", CREDENTIALS)
async def test_credentials_that_are_none_open_nothing(
    place: Place, headers: dict[str, str]
) -> None:
    sent = await place.caller.rest("POST", "/v1/events", json=event(), headers=headers)
    assert (sent.status, _code(sent)) == (401, "UNAUTHENTICATED")
    assert "www-authenticate" in sent.headers
    asked = {"query": 'mutation { customerArchive(input: {id: "x"}) { __typename } }'}
    answer = await place.caller.rest("POST", "/graphql", json=asked, headers=headers)
    assert _code(answer) == "UNAUTHENTICATED"
    assert answer.body.get("data") is None


async def test_a_key_that_has_expired_or_was_revoked_opens_nothing(place: Place) -> None:
    made = {}
    soon = datetime.now(UTC) + timedelta(seconds=1)
    for name, expires in (("expiring", soon.isoformat()), ("revoked", None)):
        made[name] = await place.caller.do(
            "apiKeyCreate", "NewApiKey", "secret apiKey { id }",
            name=name, permissions=["event:write"], expiresAt=expires,
        )  # fmt: skip
    for name, key in made.items():
        answer = await _sent_with(place, key["secret"], f"{name} in time")
        assert answer.status == 202, answer.body
    await place.caller.do("apiKeyRevoke", "ApiKey", "id", id=made["revoked"]["apiKey"]["id"])
    await asyncio.sleep(1.1)
    before = await state(place)
    assert before["sent"], "the metric that tells what was sent has another name"
    for key, code in (("expiring", "API_KEY_EXPIRED"), ("revoked", "API_KEY_REVOKED")):
        answer = await _sent_with(place, made[key]["secret"], "too late")
        assert (answer.status, _code(answer)) == (401, code), answer.body
    assert await state(place) == before


async def _sent_with(place: Place, key: str, event_id: str) -> Answer:
    async with calling(place.url, key) as caller:
        return await caller.rest("POST", "/v1/events", json=event(event_id=event_id))


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize(("mutation", "given", "code", "field"), INPUTS)
async def test_a_bad_input_of_a_mutation_is_refused(
    place: Place, mutation: str, given: dict[str, Any], code: str, field: str
) -> None:
    input_type = mutation[0].upper() + mutation[1:] + "Input"
    document = (
        f"mutation ($input: {input_type}!) {{ {mutation}(input: $input) "
        "{ ... on Problem { code message field } } }"
    )
    answer = await place.caller.ask(document, input=_with_ids(given, place.ids))
    if code == "BAD_USER_INPUT":
        (error,) = answer["errors"]
        assert error["extensions"]["code"] == code
        assert field in error["message"]
        return
    assert "errors" not in answer, answer
    problem = answer["data"][mutation]
    assert (problem["code"], problem["field"]) == (code, field), problem
    assert len(problem["message"]) > 15


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize(("query", "code", "field"), QUERIES)
async def test_a_bad_argument_of_a_query_is_refused(
    place: Place, query: str, code: str, field: str
) -> None:
    answer = await place.caller.ask(query)
    (error,) = answer["errors"]
    assert (error["extensions"]["code"], error["extensions"].get("field")) == (code, field)
    assert answer.get("data") is None


async def test_bulk_takes_all_or_nothing_or_what_is_right_if_asked(place: Place) -> None:
    topic = await ends(place.settings.kafka, "events")
    bulk = [
        event(event_id="bulk-0"),
        event(event_id="bulk-1", event_name=""),
        event(event_id="bulk-2", timestamp="yesterday", colour="red"),
        event(event_id="bulk-3"),
        "bulk-4",
    ]
    faults = [
        (1, "event_name", "INVALID_EVENT_NAME"),
        (2, "colour", "UNKNOWN_FIELD"),
        (2, "timestamp", "INVALID_TIMESTAMP"),
        (4, None, "NOT_AN_OBJECT"),
    ]
    refused = await place.caller.rest("POST", "/v1/events/bulk", json={"events": bulk})
    assert (refused.status, refused.body["code"]) == (400, "INVALID_EVENT_NAME")
    assert _faults(refused.body["errors"]) == faults
    assert await ends(place.settings.kafka, "events") == topic
    partly = await place.caller.rest(
        "POST", "/v1/events/bulk", params={"partial": "true"}, json={"events": bulk}
    )
    assert (partly.status, partly.body["accepted"]) == (202, "2")
    assert _faults(partly.body["rejected"]) == faults
    after = await ends(place.settings.kafka, "events")
    assert 1 <= sum(after.values()) - sum(topic.values()) <= 2  # a message for each partition


def _faults(told: list[dict[str, Any]]) -> list[tuple[int, str | None, str]]:
    assert all(fault["message"] for fault in told)
    return [(fault["index"], fault["field"], fault["code"]) for fault in told]


def _code(answer: Answer) -> str:
    """Of a REST problem, or of the only error of a GraphQL answer."""
    if "errors" in answer.body and "code" not in answer.body:
        (error,) = answer.body["errors"]
        return str(error["extensions"]["code"])
    return str(answer.body["code"])


def _with_ids(value: Any, ids: Mapping[str, str]) -> Any:
    """`value` with "<plan>" replaced by the plan's id, and so on."""
    if isinstance(value, dict):
        return {key: _with_ids(part, ids) for key, part in value.items()}
    if isinstance(value, list):
        return [_with_ids(part, ids) for part in value]
    if isinstance(value, str) and re.fullmatch(r"<[a-z ]+>", value):
        return ids[value[1:-1]]
    return value
