from datetime import timedelta

import pytest

from app.infra.listing import Condition, PageRequest
from app.infra.postgres import fetch
from app.kernel.copies import replace
from app.kernel.errors import Invalid, NotFound
from app.kernel.ids import new_id
from app.kernel.scope import SYSTEM, Scope
from app.metering import actions, reads, usage
from app.metering.aggregations import Count, CountUnique, Sum
from app.metering.errors import MeterDefinitionImmutable, MeterIsActive, MeterIsArchived
from app.metering.filters import Filters, Match
from app.metering.meter import CreateMeter, MeterStatus
from tests.metering.make import Stored, process, span, store

FILTERS = Filters(
    include=(Match("carrier", ("UA", "AA")),),
    exclude=((Match("cancelled", ("true",)), Match("origin", ("JFK",))),),
    present=("dep_time",),
    absent=("diverted",),
)


async def create(scope, clock, **fields):
    command = {"name": "Miles flown", "event_name": "flight", "aggregation": Sum("distance")}
    return await actions.create(scope, CreateMeter(**command | fields), by=SYSTEM, at=clock.now())


async def told(scope):
    rows = await fetch(scope, "SELECT name, entity_id FROM outbox ORDER BY position")
    return [(row["name"], row["entity_id"]) for row in rows]


async def audited(scope):
    rows = await fetch(scope, "SELECT action FROM audit_entries ORDER BY id")
    return [row["action"] for row in rows]


async def meters(scope):
    return (await fetch(scope, "SELECT count(*) FROM meters"))[0]["count"]


async def test_what_is_created_is_found(database, scope, clock):
    made = await create(
        scope,
        clock,
        description="Great-circle miles",
        filters=FILTERS,
        dimensions=("origin", "carrier"),
        metadata={"team": "ops"},
    )
    assert made.aggregation == Sum("distance")
    assert made.filters == FILTERS
    assert made.dimensions == ("origin", "carrier")
    assert (made.status, made.version, made.backfilled_at) == (MeterStatus.ACTIVE, 1, None)
    assert made.created_at == clock.now()
    assert await reads.get(scope, made.id) == made
    assert await told(scope) == [("meter.created", made.id)]
    assert await audited(scope) == ["meter.create"]


@pytest.mark.parametrize("aggregation", [Count(), Sum("a.b"), CountUnique("tail number")])
async def test_every_kind_of_aggregation_comes_back_as_it_was(database, scope, clock, aggregation):
    assert (await create(scope, clock, aggregation=aggregation)).aggregation == aggregation


@pytest.mark.parametrize(
    ("fields", "field", "code"),
    [
        ({"name": "  "}, "name", "INVALID_NAME"),
        ({"event_name": "a\x00b"}, "eventName", "INVALID_EVENT_NAME"),
        ({"aggregation": Sum("")}, "aggregation.property", "INVALID_PROPERTY"),
        ({"aggregation": CountUnique(" a")}, "aggregation.property", "INVALID_PROPERTY"),
        ({"aggregation": Sum("x" * 256)}, "aggregation.property", "INVALID_PROPERTY"),
        ({"dimensions": tuple("abcdefghijk")}, "dimensions", "INVALID_DIMENSIONS"),
        ({"dimensions": ("a", "b", "a")}, "dimensions[2]", "INVALID_DIMENSIONS"),
        ({"dimensions": ("a", "")}, "dimensions[1]", "INVALID_DIMENSIONS"),
        (
            {"filters": Filters(include=(Match("a", ("b",)), Match("c", ())))},
            "filters.include[1].values",
            "INVALID_VALUES",
        ),
        (
            {"filters": Filters(include=(Match("a", ("b",)), Match("a", ("c",))))},
            "filters.include[1].property",
            "INVALID_PROPERTY",
        ),
        (
            {"filters": Filters(include=(Match("a", ("ok", "x" * 256)),))},
            "filters.include[0].values[1]",
            "INVALID_VALUES",
        ),
        ({"filters": Filters(exclude=((),))}, "filters.exclude[0]", "INVALID_EXCLUDE"),
        (
            {"filters": Filters(exclude=((Match("a", ("b",)),), (Match("", ("b",)),)))},
            "filters.exclude[1][0].property",
            "INVALID_PROPERTY",
        ),
        ({"filters": Filters(present=("a", "a"))}, "filters.present[1]", "INVALID_PRESENT"),
        ({"filters": Filters(absent=("",))}, "filters.absent[0]", "INVALID_ABSENT"),
        (
            {"filters": Filters(include=(Match("a", tuple(f"{n:0200}" for n in range(50))),))},
            "filters",
            "INVALID_FILTERS",
        ),
        ({"metadata": {"": "x"}}, "metadata", "INVALID_METADATA"),
        ({"description": "x" * 1001}, "description", "INVALID_DESCRIPTION"),
    ],
)
async def test_a_wrong_input_is_named_and_nothing_is_made(
    database, scope, clock, fields, field, code
):
    with pytest.raises(Invalid) as caught:
        await create(scope, clock, **fields)
    assert (caught.value.field, caught.value.code) == (field, code)
    assert await meters(scope) == 0
    assert await told(scope) == []
    assert await audited(scope) == []


async def test_an_update_changes_what_it_names(database, scope, clock):
    made = await create(scope, clock, description="old", metadata={"a": "1"})
    clock.at += timedelta(hours=1)
    after = await actions.update(scope, made.id, {"name": "Miles"}, by=SYSTEM, at=clock.now())
    assert after == replace(made, name="Miles", version=2, updated_at=clock.now())
    cleared = {"description": None, "metadata": {}}
    after = await actions.update(scope, made.id, cleared, by=SYSTEM, at=clock.now())
    assert (after.description, after.metadata, after.version) == (None, {}, 3)
    assert await told(scope) == [
        ("meter.created", made.id),
        ("meter.updated", made.id),
        ("meter.updated", made.id),
    ]


@pytest.mark.parametrize(
    ("name", "value", "field"),
    [
        ("event_name", "other", "eventName"),
        ("aggregation", Count(), "aggregation"),
        ("filters", Filters(), "filters"),
        ("dimensions", (), "dimensions"),
    ],
)
async def test_a_definition_never_changes(database, scope, clock, name, value, field):
    made = await create(scope, clock, filters=FILTERS, dimensions=("origin",))
    with pytest.raises(MeterDefinitionImmutable) as caught:
        await actions.update(
            scope, made.id, {"name": "New", name: value}, by=SYSTEM, at=clock.now()
        )
    assert (caught.value.field, caught.value.code) == (field, "METER_DEFINITION_IMMUTABLE")
    assert "create a new meter" in caught.value.message
    assert await reads.get(scope, made.id) == made
    assert await told(scope) == [("meter.created", made.id)]


async def test_archived_and_restored(database, scope, clock):
    made = await create(scope, clock)
    archived = await actions.archive(scope, made.id, by=SYSTEM, at=clock.now())
    assert (archived.status, archived.archived_at) == (MeterStatus.ARCHIVED, clock.now())
    with pytest.raises(MeterIsArchived):
        await actions.archive(scope, made.id, by=SYSTEM, at=clock.now())
    with pytest.raises(MeterIsArchived):
        await actions.update(scope, made.id, {"name": "x"}, by=SYSTEM, at=clock.now())
    restored = await actions.restore(scope, made.id, by=SYSTEM, at=clock.now())
    assert (restored.status, restored.archived_at) == (MeterStatus.ACTIVE, None)
    with pytest.raises(MeterIsActive):
        await actions.restore(scope, made.id, by=SYSTEM, at=clock.now())
    assert await audited(scope) == ["meter.create", "meter.archive", "meter.restore"]
    assert [name for name, _ in await told(scope)] == [
        "meter.created",
        "meter.archived",
        "meter.restored",
    ]


async def test_another_scope_finds_and_changes_nothing(database, clickhouse, scope, clock):
    made = await create(scope, clock)
    for other in (
        Scope(scope.tenant_id, new_id("env")),
        Scope(new_id("ten"), scope.environment_id),
    ):
        assert await reads.by_ids(other, [made.id]) == {}
        assert (await reads.page(other, PageRequest())).rows == []
        for act in (
            lambda o=other: reads.get(o, made.id),
            lambda o=other: actions.update(o, made.id, {"name": "x"}, by=SYSTEM, at=clock.now()),
            lambda o=other: actions.archive(o, made.id, by=SYSTEM, at=clock.now()),
            lambda o=other: actions.restore(o, made.id, by=SYSTEM, at=clock.now()),
            lambda o=other: actions.backfill(o, clickhouse, made.id, at=clock.now()),
        ):
            with pytest.raises(NotFound) as caught:
                await act()
            assert caught.value.message == f"meter {made.id} does not exist"
    assert await reads.get(scope, made.id) == made


async def test_meters_are_listed_and_filtered(database, scope, clock):
    made = []
    for name, aggregation in (("a", Count()), ("b", Sum("v")), ("c", CountUnique("v"))):
        clock.at += timedelta(seconds=1)
        made.append(await create(scope, clock, name=name, aggregation=aggregation))
    await actions.archive(scope, made[2].id, by=SYSTEM, at=clock.now())
    page = await reads.page(scope, PageRequest(first=2, with_total=True))
    assert [row.name for row in page.rows] == ["c", "b"]
    assert (page.total, page.has_next) == (3, True)

    async def names(field, value):
        found = await reads.page(scope, PageRequest(where=Condition(field, "eq", value)))
        return [row.name for row in found.rows]

    assert await names("aggregation", "sum") == ["b"]
    assert await names("status", "archived") == ["c"]
    assert await names("event_name", "flight") == ["c", "b", "a"]


async def test_the_consumer_finds_meters_by_the_names_of_events(database, scope, clock):
    other = Scope(new_id("ten"), new_id("env"))
    mine = await create(scope, clock)
    archived = await create(scope, clock)
    archived = await actions.archive(scope, archived.id, by=SYSTEM, at=clock.now())
    await create(scope, clock, event_name="landing")
    theirs = await create(other, clock, event_name="landing")
    await create(other, clock, event_name="flight")
    found = await reads.by_event_names(
        {
            scope: ["flight", "unknown", "flight"],
            other: {"landing"},
            Scope("ten_x", "env_x"): ["flight"],
        }
    )
    assert found == {scope: [mine, archived], other: [theirs]}
    assert await reads.by_event_names({}) == {}


async def test_a_new_meter_counts_events_from_before_its_creation(
    database, clickhouse, scope, clock
):
    await store(clickhouse, scope, [Stored('{"distance":5}', name="flight") for _ in range(3)])
    made = await create(scope, clock)
    before = (await usage.totals(scope, clickhouse, made, [span()]))[span()]
    assert (before.quantity, before.event_count) == (15, 3)

    filled = await actions.backfill(scope, clickhouse, made.id, at=clock.now())
    assert filled.backfilled_at == clock.now()
    assert (await usage.totals(scope, clickhouse, filled, [span()]))[span()] == before
    # From here on the metered rows answer: what the stream has not derived is not counted.
    await store(clickhouse, scope, [Stored('{"distance":5}', name="flight")])
    assert (await usage.totals(scope, clickhouse, filled, [span()]))[span()] == before
    assert (await usage.totals(scope, clickhouse, made, [span()]))[span()].quantity == 20


async def test_backfill_and_stream_may_meet(database, clickhouse, scope, clock):
    """A batch is derived by the stream, by the backfill, or by both: it counts once."""
    made = await create(scope, clock)
    events = [Stored('{"distance":1}', name="flight", event_id=f"e{n}") for n in range(20)]
    await process(clickhouse, scope, [made], events[:10])
    await store(clickhouse, scope, events[10:])
    filled = await actions.backfill(scope, clickhouse, made.id, at=clock.now())
    await process(clickhouse, scope, [made], events[5:15])
    figure = (await usage.totals(scope, clickhouse, filled, [span()]))[span()]
    assert (figure.quantity, figure.event_count) == (20, 20)


async def test_a_second_backfill_changes_nothing(database, clickhouse, scope, clock):
    made = await create(scope, clock)
    first = await actions.backfill(scope, clickhouse, made.id, at=clock.now())
    clock.at += timedelta(hours=1)
    assert await actions.backfill(scope, clickhouse, made.id, at=clock.now()) == first
