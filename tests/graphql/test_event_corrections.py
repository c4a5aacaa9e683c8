"""Events voided and amended through the graph, and the events behind a figure."""

import json
from datetime import timedelta

import pytest

from app.graphql.context import Context
from app.infra.kafka import Batch, open_producer
from app.kernel.ids import is_id, new_id
from app.kernel.scope import SYSTEM
from app.metering import actions
from app.metering.aggregations import Sum
from app.metering.consumer import EventStore
from app.metering.ingest import ingest
from app.metering.meter import CreateMeter
from app.runtime import Runtime
from app.tenants.role import PERMISSIONS
from tests.graphql.conftest import caller_in
from tests.metering.make import strangers
from tests.metering.streams import event, own_topics, read_all, submitted

ANSWER = """{ __typename
  ... on EventCorrection { eventId correctionId kind acceptedAt } ... on Problem { code field }
}"""
VOID = f"mutation ($input: EventVoidInput!) {{ it: eventVoid(input: $input) {ANSWER} }}"
AMEND = f"mutation ($input: EventAmendInput!) {{ it: eventAmend(input: $input) {ANSWER} }}"
MANY = f"""{{ __typename
  ... on EventCorrections {{ accepted results {ANSWER} }} ... on Problem {{ code field }}
}}"""
VOIDS = f"mutation ($input: EventsVoidInput!) {{ it: eventsVoid(input: $input) {MANY} }}"
AMENDS = f"mutation ($input: EventsAmendInput!) {{ it: eventsAmend(input: $input) {MANY} }}"
VERSION = """version kind reason correctionId actorKind actorId propertiesText
  externalCustomerId supersededAt ingestedAt"""
EVENT = f"query ($id: String!) {{ event(eventId: $id) {{ {VERSION} versions {{ {VERSION} }} }} }}"
KINDS = """query ($filter: EventFilter) {
  events(filter: $filter) { nodes { eventId kind versions { version } } }
}"""
JUNE = '{start: "2024-06-01T00:00:00Z", end: "2024-07-01T00:00:00Z"}'
USAGE = f"""query ($meter: ID!, $asOf: DateTime) {{
  usage(meterIds: [$meter], externalCustomerIds: ["acme"], periods: [{JUNE}], asOf: $asOf) {{
    quantity eventCount watermark
  }}
}}"""
BEHIND = f"""query ($meter: ID!, $group: [DimensionValueInput!], $asOf: DateTime, $first: Int,
  $after: String, $last: Int, $before: String) {{
  usageEvents(meterId: $meter, externalCustomerId: "acme", period: {JUNE}, group: $group,
      asOf: $asOf, first: $first, after: $after, last: $last, before: $before) {{
    totalCount pageInfo {{ hasNextPage hasPreviousPage endCursor startCursor }}
    nodes {{ eventId quantity version event {{ kind propertiesText }} }}
  }}
}}"""


@pytest.fixture
async def own(database, settings):
    return await own_topics(settings)


@pytest.fixture
async def producer(own):
    async with open_producer(own.kafka) as producer:
        yield producer


@pytest.fixture
def ask(own, clickhouse, producer, scope, clock, graph):
    """`await ask(query, variables, …)`: the data, or with `errors=True` the errors."""
    absent = None
    runtime = Runtime(own, clock, clickhouse, producer, absent, absent)

    async def run(text, variables=None, *, scope=scope, permissions=PERMISSIONS, errors=False):
        context = Context(caller_in(scope, permissions), runtime, new_id("req"))
        answer = await graph.run(context, text, variables)
        assert bool(answer.get("errors")) == errors, answer
        return answer["errors"] if errors else answer["data"]

    return run


@pytest.fixture
async def consume(own, clickhouse, producer, clock):
    """`await consume()`: what reached the topic is stored, as often as it is called."""

    async def run():
        store = EventStore(clickhouse, producer, clock=clock)
        for message in await read_all(own, "events"):
            await store.handle(Batch("events", [message]))

    return run


@pytest.fixture
async def meter(own, scope, clickhouse, producer, clock, consume):
    """Sums the tokens of e1, e2 and e3: 1, 2 and 3."""
    command = CreateMeter(
        name="T", event_name="request", aggregation=Sum("tokens"), dimensions=("model",)
    )
    made = await actions.create(scope, command, by=SYSTEM, at=clock.now())
    await actions.backfill(scope, clickhouse, made.id, at=clock.now())
    sent = [event(n, properties={"tokens": n, "model": "a" if n < 3 else "b"}) for n in (1, 2, 3)]
    await ingest(own, producer, scope, submitted(sent), at=clock.now())
    await consume()
    clock.at += timedelta(minutes=1)
    return made.id


async def used(ask, meter, **question):
    [figure] = (await ask(USAGE, {"meter": meter, **question}))["usage"]
    return figure["quantity"], figure["eventCount"]


async def test_an_event_is_voided_and_amended_and_every_version_is_shown(
    ask, consume, meter, clock
):
    void = {"eventId": "e3", "reason": "sent twice"}
    answer = (await ask(VOID, {"input": void}))["it"]
    assert is_id(answer.pop("correctionId"), "cor")
    now = clock.now().isoformat().replace("+00:00", "Z")
    assert answer == {
        "__typename": "EventCorrection",
        "eventId": "e3",
        "kind": "VOIDED",
        "acceptedAt": now,
    }
    amend = {
        "eventId": "e2",
        "reason": "more",
        "correctionId": "mine",
        "propertiesText": ' {"tokens": 20.50,\n "model":"a"} ',
    }
    assert (await ask(AMEND, {"input": amend}))["it"]["correctionId"] == "mine"
    await consume()
    assert await used(ask, meter) == ("21.5", "2")
    assert await used(ask, meter, asOf=now) == ("6", "3")
    found = (await ask(EVENT, {"id": "e2"}))["event"]
    first, second = found.pop("versions")
    assert second == found
    assert (first["version"], first["kind"], first["reason"], first["actorKind"]) == (
        1,
        "ORIGINAL",
        None,
        None,
    )
    assert (first["supersededAt"], first["ingestedAt"]) == (now, "2024-06-15T12:00:00Z")
    assert second["propertiesText"] == '{"tokens": 20.50, "model":"a"}'
    assert (second["correctionId"], second["reason"], second["kind"], second["supersededAt"]) == (
        "mine",
        "more",
        "AMENDED",
        None,
    )
    assert second["actorKind"] is not None
    wanted = {"filter": {"kind": {"ne": "ORIGINAL"}}}
    nodes = (await ask(KINDS, wanted))["events"]["nodes"]
    assert sorted((node["eventId"], node["kind"], len(node["versions"])) for node in nodes) == [
        ("e2", "AMENDED", 2),
        ("e3", "VOIDED", 2),
    ]


async def test_the_versions_of_a_page_of_events_are_one_query(ask, meter, clickhouse, monkeypatch):
    asked = []
    select = type(clickhouse).select

    async def counting(self, sql, *args, **options):
        asked.append(sql)
        return await select(self, sql, *args, **options)

    monkeypatch.setattr(type(clickhouse), "select", counting)
    assert len((await ask(KINDS))["events"]["nodes"]) == 3
    assert len(asked) == 2
    asked.clear()
    assert len((await ask(BEHIND, {"meter": meter}))["usageEvents"]["nodes"]) == 3
    assert len(asked) == 3  # the page, how many, and the versions


async def test_a_refusal_changes_nothing(ask, own, consume, meter):
    before = len(await read_all(own, "events"))
    for input_, code, field in (
        ({"eventId": "e9", "reason": "x"}, "NOT_FOUND", "eventId"),
        ({"eventId": "e1", "reason": " "}, "INVALID_REASON", "reason"),
        (
            {"eventId": "e1", "reason": "x", "correctionId": ""},
            "INVALID_CORRECTION_ID",
            "correctionId",
        ),
    ):
        answer = (await ask(VOID, {"input": input_}))["it"]
        assert (answer["code"], answer["field"]) == (code, field)
    amend = {"eventId": "e1", "reason": "x", "propertiesText": "[]"}
    answer = (await ask(AMEND, {"input": amend}))["it"]
    assert (answer["code"], answer["field"]) == ("NOT_AN_OBJECT", "propertiesText")
    assert len(await read_all(own, "events")) == before
    assert await used(ask, meter) == ("6", "3")


async def test_many_are_answered_one_by_one_and_accepted_together(ask, own, consume, meter):
    wanted = [
        {"eventId": "e1", "reason": "x", "correctionId": "a"},
        {"eventId": "e9", "reason": "x"},
        {"eventId": "e2", "reason": ""},
    ]
    before = len(await read_all(own, "events"))
    answer = (await ask(VOIDS, {"input": {"corrections": wanted}}))["it"]
    assert answer["accepted"] == 0
    assert [(one["code"], one["field"]) for one in answer["results"]] == [
        ("HELD_BACK", "corrections[0]"),
        ("NOT_FOUND", "corrections[1].eventId"),
        ("INVALID_REASON", "corrections[2].reason"),
    ]
    assert len(await read_all(own, "events")) == before
    answer = (await ask(VOIDS, {"input": {"corrections": wanted, "partial": True}}))["it"]
    assert answer["accepted"] == 1
    assert [one.get("correctionId") for one in answer["results"]] == ["a", None, None]
    amends = [
        {"eventId": "e2", "reason": "x", "propertiesText": json.dumps({"tokens": "7"})},
        {"eventId": "e3", "reason": "x", "timestamp": "2024-05-01T00:00:00Z"},
    ]
    answer = (await ask(AMENDS, {"input": {"corrections": amends}}))["it"]
    assert answer["accepted"] == 2
    await consume()
    assert await used(ask, meter) == ("7", "1")


async def test_the_events_behind_a_figure_page_both_ways(ask, consume, meter, clock):
    await ask(VOID, {"input": {"eventId": "e1", "reason": "x"}})
    await consume()
    whole = (await ask(BEHIND, {"meter": meter}))["usageEvents"]
    assert whole["totalCount"] == 2
    assert [(one["eventId"], one["quantity"]) for one in whole["nodes"]] == [
        ("e2", "2"),
        ("e3", "3"),
    ]
    before = {"meter": meter, "asOf": clock.now().isoformat()}
    page = (await ask(BEHIND, {**before, "first": 2}))["usageEvents"]
    assert (page["totalCount"], page["pageInfo"]["hasNextPage"]) == (3, True)
    assert [one["eventId"] for one in page["nodes"]] == ["e1", "e2"]
    # As of then the first version counted, and it is the one that is shown.
    assert (page["nodes"][0]["version"], page["nodes"][0]["event"]["kind"]) == (1, "ORIGINAL")
    rest = {**before, "first": 2, "after": page["pageInfo"]["endCursor"]}
    page = (await ask(BEHIND, rest))["usageEvents"]
    assert [one["eventId"] for one in page["nodes"]] == ["e3"]
    back = {**before, "last": 1, "before": page["pageInfo"]["startCursor"]}
    page = (await ask(BEHIND, back))["usageEvents"]
    assert [one["eventId"] for one in page["nodes"]] == ["e2"]
    assert page["pageInfo"]["hasPreviousPage"]
    assert page["pageInfo"]["hasNextPage"]
    group = {"meter": meter, "group": [{"name": "model", "value": "b"}]}
    page = (await ask(BEHIND, group))["usageEvents"]
    assert [one["eventId"] for one in page["nodes"]] == ["e3"]


@pytest.mark.parametrize(
    ("variables", "code"),
    [
        ({"meter": "mtr_none"}, "NOT_FOUND"),
        ({"group": [{"name": "tokens"}]}, "UNKNOWN_DIMENSION"),
        ({"group": [{"name": "model"}, {"name": "model", "value": "a"}]}, "INVALID_GROUP"),
        ({"first": 101}, "INVALID_PAGE"),
        ({"first": 1, "after": "x"}, "INVALID_CURSOR"),
    ],
)
async def test_wrong_questions_are_refused(ask, meter, variables, code):
    [error] = await ask(BEHIND, {"meter": meter, **variables}, errors=True)
    assert error["extensions"]["code"] == code


async def test_strangers_and_those_without_permission_get_nothing(ask, scope, meter):
    for stranger in strangers(scope):
        assert (await ask(EVENT, {"id": "e1"}, scope=stranger))["event"] is None
        answer = await ask(VOID, {"input": {"eventId": "e1", "reason": "x"}}, scope=stranger)
        assert answer["it"]["code"] == "NOT_FOUND"
        [error] = await ask(BEHIND, {"meter": meter}, scope=stranger, errors=True)
        assert error["extensions"]["code"] == "NOT_FOUND"
    for text, variables, missing in (
        (VOID, {"input": {"eventId": "e1", "reason": "x"}}, "event:write"),
        (BEHIND, {"meter": meter}, "usage:read"),
        (BEHIND, {"meter": meter}, "event:read"),
    ):
        errors = await ask(text, variables, permissions=PERMISSIONS - {missing}, errors=True)
        assert errors[0]["extensions"]["code"] == "FORBIDDEN"
