from datetime import timedelta

import pytest

from app.kernel.errors import Invalid, NotFound
from app.kernel.ids import new_id
from app.kernel.listing import And, Condition, Not, Or, Order, PageRequest
from app.kernel.scope import Scope
from app.metering import history
from tests.metering.make import T0, Stored, store

HOUR = timedelta(hours=1)


async def ids(clickhouse, scope, **request):
    page = await history.page(scope, clickhouse, PageRequest(**request))
    return [row.event_id for row in page.rows]


@pytest.fixture
async def seven(clickhouse, scope):
    """e0 … e6, an hour apart; e2 and e3 at the same instant."""
    events = [
        Stored(
            f'{{"n":{n},"kind":"{"even" if n % 2 == 0 else "odd"}"}}',
            event_id=f"e{n}",
            at=T0 + (n if n != 3 else 2) * HOUR,
            customer="Acme" if n < 4 else "Zeta",
            name="call" if n < 6 else "sms",
            source="" if n else "Import",
        )
        for n in range(7)
    ]
    await store(clickhouse, scope, events)


async def test_an_event_comes_back_as_it_was_sent(clickhouse, scope):
    text = '{ "v" : 1.50e3, "s":"\\u00e9",\t"o":{"a":[1, 2]}, "big":12345678901234567890.12 }'
    event = Stored(text, event_id="one", source="app")
    await store(clickhouse, scope, [event])
    found = await history.get(scope, clickhouse, "one")
    assert found == history.StoredEvent(
        "one", "call", "acme", event.at, "app", text, event.ingested_at
    )


async def test_the_latest_come_first(clickhouse, scope, seven):
    assert await ids(clickhouse, scope) == ["e6", "e5", "e4", "e3", "e2", "e1", "e0"]
    order = (Order("timestamp"), Order("id", descending=True))
    assert await ids(clickhouse, scope, order=order) == ["e0", "e1", "e3", "e2", "e4", "e5", "e6"]


async def test_pages_join_up_both_ways(clickhouse, scope, seven):
    everything = await ids(clickhouse, scope)
    forwards, after = [], None
    while True:
        page = await history.page(scope, clickhouse, PageRequest(first=2, after=after))
        forwards += [row.event_id for row in page.rows]
        assert page.has_previous == (after is not None)
        if not page.has_next:
            break
        after = page.cursors[-1]
    assert forwards == everything
    backwards, before = [], None
    while True:
        page = await history.page(scope, clickhouse, PageRequest(last=3, before=before))
        backwards = [row.event_id for row in page.rows] + backwards
        if not page.has_previous:
            break
        before = page.cursors[0]
    assert backwards == everything


async def test_copies_are_listed_and_counted_once(clickhouse, scope):
    events = [Stored(event_id=f"e{n}", at=T0 + n * HOUR) for n in range(5)]
    for turn in range(8):
        await store(clickhouse, scope, events[2:] if turn else events)
    assert await ids(clickhouse, scope, first=4) == ["e4", "e3", "e2", "e1"]
    page = await history.page(scope, clickhouse, PageRequest(first=2, with_total=True))
    assert ([row.event_id for row in page.rows], page.total) == (["e4", "e3"], 5)
    assert page.has_next


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        (Condition("event_name", "eq", "sms"), {6}),
        (Condition("event_name", "ne", "sms"), {0, 1, 2, 3, 4, 5}),
        (Condition("external_customer_id", "in", ["Zeta", "x"]), {4, 5, 6}),
        (Condition("external_customer_id", "not_in", ["Zeta", "x"]), {0, 1, 2, 3}),
        (Condition("external_customer_id", "in", []), set()),
        (Condition("external_customer_id", "contains", "CM"), {0, 1, 2, 3}),
        (Condition("external_customer_id", "starts_with", "zE"), {4, 5, 6}),
        (Condition("source", "eq", "Import"), {0}),
        (Condition("source", "is_null", True), set()),
        (Condition("event_id", "eq", "e5"), {5}),
        (Condition("timestamp", "gte", T0 + 2 * HOUR), {2, 3, 4, 5, 6}),
        (Condition("timestamp", "lt", T0 + timedelta(microseconds=1)), {0}),
        (Condition("timestamp", "eq", T0 + timedelta(microseconds=1)), set()),
        (Condition("properties", "contains", {"kind": "odd"}), {1, 3, 5}),
        (Condition("properties", "contains", {"kind": "odd", "n": "3"}), {3}),
        (Condition("properties", "contains", {"absent": ""}), set()),
        (Not(Condition("properties", "contains", {"absent": ""})), {0, 1, 2, 3, 4, 5, 6}),
        (Or((Condition("event_id", "eq", "e1"), Condition("event_id", "eq", "e2"))), {1, 2}),
        (And(()), {0, 1, 2, 3, 4, 5, 6}),
        (Or(()), set()),
    ],
)
async def test_filters_find_what_they_say(clickhouse, scope, seven, where, expected):
    assert {int(id_[1:]) for id_ in await ids(clickhouse, scope, where=where)} == expected
    assert await history.count(scope, clickhouse, PageRequest(where=where)) == len(expected)


@pytest.mark.parametrize(
    ("request_", "field", "code"),
    [
        ({"first": 101}, "first", "INVALID_PAGE"),
        ({"first": 1, "last": 1}, "last", "INVALID_PAGE"),
        ({"last": 1, "after": "x"}, "after", "INVALID_PAGE"),
        ({"before": "x"}, "before", "INVALID_PAGE"),
        ({"after": "bm90IGEgY3Vyc29y"}, "after", "INVALID_CURSOR"),
        ({"order": (Order("source"),)}, "orderBy", "INVALID_ORDER"),
        ({"where": Condition("batch", "eq", "x")}, "filter.batch", "INVALID_FILTER"),
        ({"where": Condition("source", "eq", 5)}, "filter.source", "INVALID_FILTER"),
        ({"where": Condition("timestamp", "eq", "now")}, "filter.timestamp", "INVALID_FILTER"),
        ({"where": Condition("timestamp", "contains", T0)}, "filter.timestamp", "INVALID_FILTER"),
        (
            {"where": Condition("properties", "contains", {"a": 1})},
            "filter.properties",
            "INVALID_FILTER",
        ),
        ({"where": Condition("source", "in", ["x"] * 501)}, "filter.source", "INVALID_FILTER"),
        ({"where": And((Condition("source", "eq", "x"),) * 200)}, "filter", "FILTER_TOO_LARGE"),
    ],
)
async def test_a_wrong_request_is_named(clickhouse, scope, request_, field, code):
    with pytest.raises(Invalid) as caught:
        await history.page(scope, clickhouse, PageRequest(**request_))
    assert (caught.value.field, caught.value.code) == (field, code)


async def test_another_scope_sees_no_event(clickhouse, scope, seven):
    for other in (
        Scope(scope.tenant_id, new_id("env")),
        Scope(new_id("ten"), scope.environment_id),
    ):
        assert await ids(clickhouse, other) == []
        assert await history.count(other, clickhouse, PageRequest()) == 0
        with pytest.raises(NotFound, match="event e1 does not exist"):
            await history.get(other, clickhouse, "e1")


async def test_no_rows_are_asked_for(clickhouse, scope, seven):
    page = await history.page(scope, clickhouse, PageRequest(first=0, with_total=True))
    assert (page.rows, page.total, page.has_next) == ([], 7, False)
