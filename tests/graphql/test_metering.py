"""Meters, usage and events through the graph."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from app.catalog.feature import ReportingUnit
from app.graphql.context import Context
from app.graphql.metering import AggregationKind
from app.graphql.usage import MAX_FIGURES
from app.infra.postgres import fetch
from app.kernel.ids import new_id
from app.metering import actions, reads
from app.metering.aggregations import KINDS
from app.tenants.role import PERMISSIONS
from tests.catalog import make as catalog
from tests.graphql.conftest import caller_in, make_runtime
from tests.metering.make import T0, Stored, process, strangers
from tests.statements import statements

METER = """
__typename
... on Meter {
  id name description eventName aggregation { kind property } dimensions metadata status version
  filters { include { property values } exclude { property values } present absent }
  backfilledAt createdAt updatedAt archivedAt
}
... on Problem { code message field }
"""
CREATE = f"mutation ($input: MeterCreateInput!) {{ meterCreate(input: $input) {{ {METER} }} }}"
UPDATE = f"mutation ($input: MeterUpdateInput!) {{ meterUpdate(input: $input) {{ {METER} }} }}"
ARCHIVE = f"mutation ($input: MeterArchiveInput!) {{ meterArchive(input: $input) {{ {METER} }} }}"
RESTORE = f"mutation ($input: MeterRestoreInput!) {{ meterRestore(input: $input) {{ {METER} }} }}"
LIST = """
query ($filter: MeterFilter, $orderBy: [MeterOrder!], $search: String, $first: Int) {
  meters(filter: $filter, orderBy: $orderBy, search: $search, first: $first) {
    nodes { name } totalCount pageInfo { hasNextPage }
  }
}
"""
USAGE = """
query ($meters: [ID!]!, $customers: [String!]!, $periods: [PeriodInput!]!, $groupBy: [String!],
       $window: UsageWindow, $timezone: String! = "UTC") {
  usage(meterIds: $meters, externalCustomerIds: $customers, periods: $periods, groupBy: $groupBy,
        window: $window, timezone: $timezone) {
    meterId externalCustomerId start end group { name value } quantity eventCount watermark
  }
}
"""
EVENTS = """
query ($filter: EventFilter, $orderBy: [EventOrder!], $first: Int, $after: String) {
  events(filter: $filter, orderBy: $orderBy, first: $first, after: $after) {
    nodes { eventId } totalCount pageInfo { hasNextPage endCursor }
  }
}
"""
MARCH = {"start": "2024-03-01T00:00:00Z", "end": "2024-04-01T00:00:00Z"}


@pytest.fixture
def ask(database, clickhouse, scope, clock, graph):
    """`await ask(query, variables, …)`: the data, or with `errors=True` the errors."""
    runtime = make_runtime(database, clock, clickhouse)

    async def run(text, variables=None, *, scope=scope, permissions=PERMISSIONS, errors=False):
        context = Context(caller_in(scope, permissions), runtime, new_id("req"))
        answer = await graph.run(context, text, variables)
        assert bool(answer.get("errors")) == errors, answer
        return answer["errors"] if errors else answer["data"]

    return run


async def create(ask, **fields):
    given = {
        "name": "Miles flown",
        "eventName": "call",
        "aggregation": {"kind": "SUM", "property": "v"},
    }
    return (await ask(CREATE, {"input": given | fields}))["meterCreate"]


async def test_a_meter_is_created_and_read_back_as_given(ask, scope):
    filters = {
        "include": [{"property": "carrier", "values": ["UA", "AA"]}],
        "exclude": [
            [{"property": "cancelled", "values": ["true"]}],
            [{"property": "a", "values": ["1"]}, {"property": "b", "values": ["2"]}],
        ],
        "present": ["dep_time"],
        "absent": ["diverted"],
    }
    made = await create(
        ask, filters=filters, dimensions=["origin"], description="Long", metadata={"a": "b"}
    )
    assert made == {
        "__typename": "Meter",
        "id": made["id"],
        "name": "Miles flown",
        "description": "Long",
        "eventName": "call",
        "aggregation": {"kind": "SUM", "property": "v"},
        "dimensions": ["origin"],
        "metadata": {"a": "b"},
        "status": "ACTIVE",
        "version": 1,
        "filters": filters,
        "backfilledAt": None,
        "createdAt": "2024-06-15T12:00:00Z",
        "updatedAt": "2024-06-15T12:00:00Z",
        "archivedAt": None,
    }
    query = "query ($id: ID!) { meter(id: $id) { name } node(id: $id) { __typename id } }"
    found = await ask(query, {"id": made["id"]})
    assert found == {
        "meter": {"name": "Miles flown"},
        "node": {"__typename": "Meter", "id": made["id"]},
    }
    for stranger in strangers(scope):
        assert await ask(query, {"id": made["id"]}, scope=stranger) == {"meter": None, "node": None}


async def test_the_kinds_are_those_of_the_registry(ask):
    assert {kind.name.lower() for kind in AggregationKind} == set(KINDS)
    made = await create(ask, aggregation={"kind": "COUNT"})
    assert made["aggregation"] == {"kind": "COUNT", "property": None}


@pytest.mark.parametrize(
    ("fields", "field", "code"),
    [
        ({"aggregation": {"kind": "SUM"}}, "aggregation.property", "REQUIRED"),
        ({"aggregation": {"kind": "COUNT_UNIQUE"}}, "aggregation.property", "REQUIRED"),
        (
            {"aggregation": {"kind": "COUNT", "property": "v"}},
            "aggregation.property",
            "INVALID_PROPERTY",
        ),
        ({"name": " "}, "name", "INVALID_NAME"),
        ({"dimensions": ["a", "a"]}, "dimensions[1]", "INVALID_DIMENSIONS"),
        (
            {"filters": {"include": [{"property": "a", "values": []}]}},
            "filters.include[0].values",
            "INVALID_VALUES",
        ),
    ],
)
async def test_a_refusal_is_data_and_changes_nothing(ask, scope, fields, field, code):
    refused = await create(ask, **fields)
    assert (refused["__typename"], refused["field"], refused["code"]) == ("Rejected", field, code)
    assert (await fetch(scope, "SELECT count(*) FROM meters"))[0]["count"] == 0


async def test_a_meter_is_renamed_archived_and_restored(ask):
    made = await create(ask, description="old")
    changes = {"id": made["id"], "name": "Miles", "description": None}
    updated = (await ask(UPDATE, {"input": changes}))["meterUpdate"]
    assert updated == made | {"name": "Miles", "description": None, "version": 2}
    which = {"input": {"id": made["id"]}}
    assert (await ask(ARCHIVE, which))["meterArchive"]["status"] == "ARCHIVED"
    assert (await ask(ARCHIVE, which))["meterArchive"]["code"] == "METER_ARCHIVED"
    assert (await ask(RESTORE, which))["meterRestore"]["status"] == "ACTIVE"
    assert (await ask(RESTORE, which))["meterRestore"]["code"] == "METER_NOT_ARCHIVED"


async def test_the_definition_has_no_place_in_an_update(ask):
    made = await create(ask)
    [error] = await ask(UPDATE, {"input": {"id": made["id"], "eventName": "x"}}, errors=True)
    assert "eventName" in error["message"]


async def test_meters_are_listed(ask):
    for name, kind in (("Alpha", "SUM"), ("Beta", "COUNT_UNIQUE"), ("Gamma", "SUM")):
        await create(ask, name=name, aggregation={"kind": kind, "property": "v"})
    by_name = [{"field": "NAME", "direction": "DESC"}]
    found = await ask(
        LIST, {"filter": {"aggregation": {"eq": "SUM"}}, "orderBy": by_name, "first": 1}
    )
    assert found["meters"] == {
        "nodes": [{"name": "Gamma"}],
        "totalCount": 2,
        "pageInfo": {"hasNextPage": True},
    }
    assert (await ask(LIST, {"search": "bet"}))["meters"]["nodes"] == [{"name": "Beta"}]
    status = {"filter": {"status": {"in": ["ARCHIVED"]}}}
    assert (await ask(LIST, status))["meters"]["nodes"] == []


@pytest.mark.parametrize(
    ("text", "needed"),
    [
        ("{ meters { totalCount } }", "meter:read"),
        ('{ meter(id: "mtr_x") { id } }', "meter:read"),
        ("{ events { totalCount } }", "event:read"),
        ('{ event(eventId: "x") { eventId } }', "event:read"),
        (
            "{ usage(meterIds: [], externalCustomerIds: [], periods: []) { quantity } }",
            "usage:read",
        ),
        ('mutation { meterArchive(input: {id: "x"}) { __typename } }', "meter:write"),
    ],
)
async def test_every_field_needs_its_permission(ask, text, needed):
    [error] = await ask(text, permissions=PERMISSIONS - {needed}, errors=True)
    assert error["extensions"]["code"] == "FORBIDDEN"
    assert needed in error["message"]


# Usage


@pytest.fixture
async def metered(ask, clickhouse, scope, clock):
    """A backfilled SUM of `v` with the dimension `region`, and two customers' events."""
    made = await create(ask, dimensions=["region"])
    meter = await actions.backfill(scope, clickhouse, made["id"], at=clock.now())
    events = [
        Stored('{"v":1.5,"region":"eu"}', at=T0),
        Stored('{"v":2,"region":"us"}', at=T0 + timedelta(days=1)),
        Stored('{"v":"0.000000000000000001"}', at=T0 + timedelta(days=1, hours=1)),
        Stored('{"v":7,"region":"eu"}', at=T0 + timedelta(days=2), customer="zeta"),
    ]
    await process(clickhouse, scope, [meter], events)
    return made["id"]


async def usage(ask, meter_id, **variables):
    given = {"meters": [meter_id], "customers": ["acme"], "periods": [MARCH]}
    return (await ask(USAGE, given | variables))["usage"]


async def test_usage_has_one_exact_figure_for_each_customer_and_period(ask, metered):
    april = {"start": MARCH["end"], "end": "2024-05-01T00:00:00Z"}
    found = await usage(ask, metered, customers=["acme", "zeta", "nobody"], periods=[MARCH, april])
    assert [(f["externalCustomerId"], f["start"][5:7], f["quantity"]) for f in found] == [
        ("acme", "03", "3.500000000000000001"),
        ("acme", "04", "0"),
        ("zeta", "03", "7"),
        ("zeta", "04", "0"),
        ("nobody", "03", "0"),
        ("nobody", "04", "0"),
    ]
    assert found[0] == {
        "meterId": metered,
        "externalCustomerId": "acme",
        "start": "2024-03-01T00:00:00Z",
        "end": "2024-04-01T00:00:00Z",
        "group": [],
        "quantity": "3.500000000000000001",
        "eventCount": "3",
        "watermark": "2024-04-30T00:00:00Z",
    }
    assert (found[5]["eventCount"], found[5]["watermark"]) == ("0", None)


async def test_usage_is_shown_in_the_reporting_units_of_its_features(ask, metered, scope, clock):
    query = USAGE.replace("watermark", "reported { featureId quantity unit }")
    given = {"meters": [metered], "customers": ["acme", "zeta", "nobody"], "periods": [MARCH]}
    assert [f["reported"] for f in (await ask(query, given))["usage"]] == [[], [], []]
    sevens = ReportingUnit("week", "weeks", divisor=Decimal(7))
    feature = await catalog.feature(scope, clock, meter_id=metered, reporting_unit=sevens)
    plain = await catalog.feature(scope, clock, meter_id=metered)
    asked = []

    async def read():
        asked.extend((await ask(query, given))["usage"])

    # However many figures there are: the meter, and the features of all of them.
    assert len(await statements(scope, read)) == 2
    assert [f["reported"] for f in asked] == [
        [{"featureId": feature.id, "quantity": "0.5", "unit": "weeks"}],
        [{"featureId": feature.id, "quantity": "1", "unit": "week"}],
        [{"featureId": feature.id, "quantity": "0", "unit": "weeks"}],
    ]
    assert plain.reporting_unit is None


async def test_usage_in_groups_and_windows(ask, metered):
    found = await usage(ask, metered, groupBy=["region"])
    groups = {figure["group"][0]["value"]: figure["quantity"] for figure in found}
    assert groups == {"eu": "1.5", "us": "2", None: "0.000000000000000001"}
    found = await usage(ask, metered, window="DAY", timezone="America/New_York")
    assert [(figure["start"], figure["end"], figure["quantity"]) for figure in found] == [
        ("2024-03-01T00:00:00Z", "2024-03-01T05:00:00Z", "1.5"),
        ("2024-03-01T05:00:00Z", "2024-03-02T05:00:00Z", "2.000000000000000001"),
    ]


async def test_usage_of_another_scope_is_not_found(ask, metered, scope):
    for stranger in strangers(scope):
        variables = {"meters": [metered], "customers": ["acme"], "periods": [MARCH]}
        [error] = await ask(USAGE, variables, scope=stranger, errors=True)
        assert error["message"] == f"meter {metered} does not exist"
        assert error["extensions"]["code"] == "NOT_FOUND"


BACKWARDS = {"start": MARCH["end"], "end": MARCH["start"]}
CENTURY = {"start": "2000-01-01T00:00:00Z", "end": "2100-01-01T00:00:00Z"}


@pytest.mark.parametrize(
    ("variables", "field", "code"),
    [
        ({"periods": [MARCH, BACKWARDS]}, "periods[1].end", "INVALID_PERIOD"),
        ({"periods": [MARCH] * 41, "customers": ["a"] * 50}, "periods", "TOO_MANY_PERIODS"),
        ({"meters": ["mtr_x"] * 21}, "meterIds", "TOO_MANY_METERS"),
        ({"meters": ["mtr_x"]}, "meterIds[0]", "NOT_FOUND"),
        ({"groupBy": ["plan"]}, "groupBy", "UNKNOWN_DIMENSION"),
        ({"timezone": "Mars/Olympus"}, "timezone", "INVALID_TIMEZONE"),
        ({"periods": [CENTURY], "window": "HOUR"}, "window", "TOO_MANY_WINDOWS"),
    ],
)
async def test_a_wrong_question_about_usage_is_named(ask, metered, variables, field, code):
    given = {"meters": [metered], "customers": ["acme"], "periods": [MARCH]}
    [error] = await ask(USAGE, given | variables, errors=True)
    assert (error["extensions"]["field"], error["extensions"]["code"]) == (field, code)


async def test_too_many_figures_are_refused(ask, clickhouse, scope, metered):
    meter = await reads.get(scope, metered)
    many = [Stored(f'{{"v":1,"region":"{n}"}}', customer="many") for n in range(MAX_FIGURES)]
    await process(clickhouse, scope, [meter], many)
    found = await usage(ask, metered, customers=["many"], groupBy=["region"])
    assert len(found) == MAX_FIGURES
    given = {"meters": [metered], "customers": ["many", "acme"], "periods": [MARCH]}
    [error] = await ask(USAGE, given | {"groupBy": ["region"]}, errors=True)
    assert error["extensions"]["code"] == "TOO_MANY_FIGURES"


# Events


async def test_events_are_listed_filtered_and_paged(ask, clickhouse, scope):
    events = [
        Stored(f'{{"n":{n}.0}}', event_id=f"e{n}", at=T0 + timedelta(hours=n)) for n in range(5)
    ]
    await process(clickhouse, scope, [], events)
    page = (await ask(EVENTS, {"first": 3}))["events"]
    assert [node["eventId"] for node in page["nodes"]] == ["e4", "e3", "e2"]
    assert (page["totalCount"], page["pageInfo"]["hasNextPage"]) == (5, True)
    after = {"first": 3, "after": page["pageInfo"]["endCursor"]}
    assert [n["eventId"] for n in (await ask(EVENTS, after))["events"]["nodes"]] == ["e1", "e0"]
    wanted = {
        "or": [
            {"properties": {"name": "n", "eq": "3.0"}},
            {"timestamp": {"lt": (T0 + timedelta(hours=1)).isoformat()}},
        ]
    }
    ascending = [{"field": "TIMESTAMP"}]
    page = (await ask(EVENTS, {"filter": wanted, "orderBy": ascending}))["events"]
    assert [node["eventId"] for node in page["nodes"]] == ["e0", "e3"]
    for stranger in strangers(scope):
        assert (await ask(EVENTS, scope=stranger))["events"]["totalCount"] == 0


async def test_an_event_is_shown_as_it_was_sent(ask, clickhouse, scope):
    text = '{"exact":0.1234567890123456789,"huge":1e400,"big":123456789012345678901,"s":[null]}'
    at = datetime(2024, 3, 5, 6, 7, 8, 901_000, tzinfo=UTC)
    await process(clickhouse, scope, [], [Stored(text, event_id="one", at=at, source="app")])
    query = """
    query ($id: String!) { event(eventId: $id) {
      eventId eventName externalCustomerId timestamp source properties propertiesText ingestedAt
    } }
    """
    assert (await ask(query, {"id": "one"}))["event"] == {
        "eventId": "one",
        "eventName": "call",
        "externalCustomerId": "acme",
        "timestamp": "2024-03-05T06:07:08.901000Z",
        "source": "app",
        "properties": {
            "exact": 0.12345678901234568,
            "huge": "1e400",
            "big": 123456789012345678901,
            "s": [None],
        },
        "propertiesText": text,
        "ingestedAt": "2024-04-30T00:00:00Z",
    }
    assert (await ask(query, {"id": "none"}))["event"] is None
    for stranger in strangers(scope):
        assert (await ask(query, {"id": "one"}, scope=stranger))["event"] is None
