"""Pages of a list: walked both ways on PostgreSQL against an oracle in plain Python."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import asyncpg
import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.infra import listing
from app.infra.listing import (
    And,
    Column,
    Condition,
    Listing,
    Not,
    Or,
    Order,
    Page,
    PageRequest,
    both,
)
from app.infra.postgres import fetch, tortoise_config, writing
from app.infra.tables import row_level_security
from app.kernel.errors import Invalid
from app.kernel.ids import new_id
from app.kernel.scope import Scope
from tests.statements import statements

# The collation is Python's, so that the oracle can sort.
THINGS = Listing(
    table="listing_things",
    columns=(
        Column("id", "id", sql='id COLLATE "C"', sortable=True),
        Column("name", "string", sql='name COLLATE "C"', sortable=True),
        Column("note", "string", sql='note COLLATE "C"', sortable=True, nullable=True),
        Column("amount", "decimal", sortable=True, nullable=True),
        Column("rank", "integer", sortable=True),
        Column("at", "datetime", sql='"at"', sortable=True),
        Column("live", "boolean", sortable=True),
        Column("kind", "enum", sql="(CASE WHEN live THEN 'on' ELSE 'off' END)"),
        Column("tags", "string_list"),
        Column("metadata", "json"),
    ),
    default_order=(Order("at", descending=True),),
    searchable=("name", "note"),
)
_TABLE = """
CREATE TABLE IF NOT EXISTS listing_things (
    id varchar(40) PRIMARY KEY, tenant_id varchar(40) NOT NULL,
    environment_id varchar(40) NOT NULL, name varchar(255) NOT NULL, note text,
    amount numeric(38, 12), rank integer NOT NULL, "at" timestamptz NOT NULL,
    live boolean NOT NULL, tags text[] NOT NULL, metadata jsonb NOT NULL)
"""
_INSERT = """
INSERT INTO listing_things (id, tenant_id, environment_id, name, note, amount, rank, "at", live,
                            tags, metadata)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11::jsonb)
"""
FIELDS = ("name", "note", "amount", "rank", "at", "live")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def things(settings: Any, database: None) -> AsyncIterator[None]:
    credentials = tortoise_config(settings.postgres, owner=True)["connections"]["default"][
        "credentials"
    ]
    owner = await asyncpg.connect(
        **{key: credentials[key] for key in ("host", "port", "user", "password", "database")}
    )
    await owner.execute("DROP TABLE IF EXISTS listing_things")
    await owner.execute(_TABLE)
    for statement in row_level_security("listing_things", environment=True):
        await owner.execute(statement)
    await owner.execute("GRANT SELECT, INSERT ON listing_things TO PUBLIC")
    yield
    await owner.execute("DROP TABLE listing_things")
    await owner.close()


def row(**values: Any) -> dict[str, Any]:
    return {
        "id": new_id("cus"),
        "name": "a",
        "note": None,
        "amount": None,
        "rank": 0,
        "at": datetime(2026, 1, 1, tzinfo=UTC),
        "live": True,
        "tags": [],
        "metadata": "{}",
        **values,
    }


async def store(rows: list[dict[str, Any]]) -> Scope:
    scope = Scope(new_id("ten"), new_id("env"))
    async with writing(scope) as connection:
        for thing in rows:
            identity, *values = (thing[name] for name in ("id", *FIELDS, "tags", "metadata"))
            await connection.execute(
                _INSERT, identity, scope.tenant_id, scope.environment_id, *values
            )
    return scope


async def page(scope: Scope, **request: Any) -> Page[asyncpg.Record]:
    return await listing.page(scope, THINGS, PageRequest(**request))


async def ids(scope: Scope, **request: Any) -> list[str]:
    return [found["id"] for found in (await page(scope, **request)).rows]


async def walk(scope: Scope, size: int, *, backwards: bool = False, **request: Any) -> list[str]:
    """All ids by following the cursors; checks what each page says about its neighbours."""
    found: list[str] = []
    cursor = None
    while True:
        if backwards:
            got = await page(scope, last=size, before=cursor, **request)
            found = [thing["id"] for thing in got.rows] + found
            assert got.has_next is (cursor is not None)
            more, cursor = got.has_previous, got.cursors[0] if got.rows else None
        else:
            got = await page(scope, first=size, after=cursor, **request)
            found += [thing["id"] for thing in got.rows]
            assert got.has_previous is (cursor is not None)
            more, cursor = got.has_next, got.cursors[-1] if got.rows else None
        if not more:
            return found
        assert len(got.rows) == size


def ordered(rows: list[dict[str, Any]], order: tuple[Order, ...]) -> list[str]:
    """The oracle: stable sorts from the last key to the first; null above every value."""
    keys = [*order, Order("id", descending=order[-1].descending if order else True)]
    if not order:
        keys = [Order("at", descending=True), *keys]
    result = list(rows)
    for key in reversed(keys):
        result.sort(
            key=lambda thing: (thing[key.field] is None, thing[key.field] or _zero(key.field)),
            reverse=key.descending,
        )
    return [thing["id"] for thing in result]


def _zero(field: str) -> Any:
    zeros = {"amount": Decimal(0), "rank": 0, "live": False}
    return zeros.get(field, "")


def meets(thing: dict[str, Any], where: Any) -> bool:
    """The oracle: two-valued logic, where a comparison with null is false."""
    match where:
        case And(parts):
            return all(meets(thing, part) for part in parts)
        case Or(parts):
            return any(meets(thing, part) for part in parts)
        case Not(part):
            return not meets(thing, part)
    value, operand = thing[where.field], where.value
    match where.op:
        case "is_null":
            return (value is None) is operand
        case "ne":
            return bool(value != operand)
        case "not_in":
            return value not in operand
    if value is None:
        return False
    tests: dict[str, Any] = {
        "eq": lambda: value == operand,
        "in": lambda: value in operand,
        "lt": lambda: value < operand,
        "lte": lambda: value <= operand,
        "gt": lambda: value > operand,
        "gte": lambda: value >= operand,
        "contains": lambda: operand.lower() in value.lower(),
        "starts_with": lambda: value.lower().startswith(operand.lower()),
    }
    return bool(tests[where.op]())


texts = st.text("abA%_\\", max_size=3)
amounts = st.decimals(-3, 3, places=1)
instants = st.integers(0, 3).map(lambda us: datetime(2026, 1, 1, microsecond=us, tzinfo=UTC))
ranks = st.integers(-2, 2)
rows_strategy = st.lists(
    st.fixed_dictionaries(
        {
            "name": texts,
            "note": st.none() | texts,
            "amount": st.none() | amounts,
            "rank": ranks,
            "at": instants,
            "live": st.booleans(),
        }
    ).map(lambda values: row(**values)),
    max_size=9,
)
orders = st.lists(
    st.builds(Order, st.sampled_from(FIELDS), st.booleans()),
    max_size=3,
    unique_by=lambda o: o.field,
).map(tuple)
_values = {"name": texts, "note": texts, "amount": amounts, "rank": ranks, "at": instants}


@st.composite
def conditions(draw: st.DrawFn) -> Condition:
    field = draw(st.sampled_from(sorted(_values)))
    ops = ["eq", "ne", "in", "not_in", "lt", "lte", "gt", "gte", "is_null"]
    if field in ("name", "note"):
        ops += ["contains", "starts_with"]
    op = draw(st.sampled_from(ops))
    if op == "is_null":
        return Condition(field, "is_null", draw(st.booleans()))
    if op in ("in", "not_in"):
        return Condition(field, op, draw(st.lists(_values[field], max_size=3)))  # type: ignore[arg-type]
    return Condition(field, op, draw(_values[field]))  # type: ignore[arg-type]


filters = st.recursive(
    conditions(),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda parts: And(tuple(parts)))
        | st.lists(inner, max_size=3).map(lambda parts: Or(tuple(parts)))
        | inner.map(Not)
    ),
    max_leaves=5,
)
slow = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


@slow
@given(rows=rows_strategy, order=orders, size=st.integers(1, 4))
async def test_walking_forwards_equals_walking_backwards_equals_sorting(
    things: None, rows: list[dict[str, Any]], order: tuple[Order, ...], size: int
) -> None:
    scope = await store(rows)
    expected = ordered(rows, order)
    assert await walk(scope, size, order=order) == expected
    assert await walk(scope, size, backwards=True, order=order) == expected


@slow
@given(rows=rows_strategy, where=filters)
async def test_a_filter_finds_what_its_meaning_in_python_finds(
    things: None, rows: list[dict[str, Any]], where: Any
) -> None:
    scope = await store(rows)
    expected = sorted(thing["id"] for thing in rows if meets(thing, where))
    found = await page(scope, first=100, where=where, with_total=True)
    assert sorted(thing["id"] for thing in found.rows) == expected
    assert found.total == len(expected)


async def test_a_row_written_meanwhile_neither_repeats_nor_hides_another(things: None) -> None:
    rows = [row(rank=rank) for rank in range(6)]
    scope = await store(rows)
    order = (Order("rank"),)
    first = await page(scope, first=3, order=order)
    async with writing(scope) as connection:
        await connection.execute(
            _INSERT, new_id("cus"), scope.tenant_id, scope.environment_id,
            "new", None, None, -1, datetime(2026, 1, 1, tzinfo=UTC), True, [], "{}",
        )  # fmt: skip
    rest = await ids(scope, first=10, after=first.cursors[-1], order=order)
    assert rest == [thing["id"] for thing in rows[3:]]


async def test_metadata_tags_and_expressions_can_be_filtered(things: None) -> None:
    tagged = row(tags=["red", "blue"], metadata='{"team": "x", "n": 1}', live=False)
    scope = await store([tagged, row(tags=["green"], metadata='{"team": "y"}')])
    for condition in (
        Condition("metadata", "contains", {"team": "x"}),
        Condition("tags", "contains", "blue"),
        Condition("kind", "eq", "off"),
        Condition("id", "in", [tagged["id"], new_id("cus")]),
        Condition("live", "ne", True),
    ):
        assert await ids(scope, where=condition) == [tagged["id"]], condition


async def test_a_search_finds_rows_that_have_every_word_somewhere(things: None) -> None:
    rows = [row(name="North Air", note="freight"), row(name="north"), row(name="Air 100%")]
    scope = await store(rows)
    assert await ids(scope, search="FREIGHT north") == [rows[0]["id"]]
    assert await ids(scope, search="0%") == [rows[2]["id"]]
    assert await ids(scope, search="n_rth") == []
    assert len(await ids(scope, search="  ")) == 3


async def test_another_scope_sees_nothing_and_its_cursor_gives_nothing_away(things: None) -> None:
    scope = await store([row(rank=rank) for rank in range(3)])
    other = await store([])
    cursor = (await page(scope, first=1)).cursors[0]
    found = await page(other, first=10, after=cursor, with_total=True)
    assert (found.rows, found.total, found.has_next) == ([], 0, False)


async def test_the_total_is_counted_only_when_asked_for_and_ignores_the_cursor(
    things: None,
) -> None:
    scope = await store([row() for _ in range(5)])
    first = await page(scope, first=2)
    assert first.total is None
    assert (await page(scope, first=2, after=first.cursors[-1], with_total=True)).total == 5
    none = await page(scope, first=0, with_total=True)
    assert (none.rows, none.total, list(none.cursors)) == ([], 5, [])


async def test_a_page_holds_at_most_a_hundred_and_twenty_by_default(things: None) -> None:
    scope = await store([row() for _ in range(101)])
    assert len(await ids(scope)) == 20
    assert len(await ids(scope, first=100)) == 100


@pytest.mark.parametrize(
    ("request_", "code", "field"),
    [
        ({"first": 101}, "INVALID_PAGE", "first"),
        ({"first": -1}, "INVALID_PAGE", "first"),
        ({"last": 101}, "INVALID_PAGE", "last"),
        ({"first": 1, "last": 1}, "INVALID_PAGE", "last"),
        ({"last": 1, "after": "x"}, "INVALID_PAGE", "after"),
        ({"first": 1, "before": "x"}, "INVALID_PAGE", "before"),
        ({"after": ""}, "INVALID_CURSOR", "after"),
        ({"after": "%%%"}, "INVALID_CURSOR", "after"),
        ({"after": "bm90IGpzb24"}, "INVALID_CURSOR", "after"),
        ({"after": "é"}, "INVALID_CURSOR", "after"),
        ({"after": "A" * 9000}, "INVALID_CURSOR", "after"),
        ({"last": 1, "before": "W10"}, "INVALID_CURSOR", "before"),
        ({"order": (Order("tags"),)}, "INVALID_ORDER", "orderBy"),
        ({"order": (Order("secret"),)}, "INVALID_ORDER", "orderBy"),
        ({"order": (Order("rank"), Order("rank", descending=True))}, "INVALID_ORDER", "orderBy"),
        ({"order": tuple(Order(f) for f in FIELDS)}, "INVALID_ORDER", "orderBy"),
        ({"search": "x" * 201}, "INVALID_SEARCH", "search"),
    ],
)
async def test_a_page_that_cannot_be_is_refused(
    things: None, request_: dict[str, Any], code: str, field: str
) -> None:
    scope = await store([row()])
    with pytest.raises(Invalid) as refused:
        await page(scope, **request_)
    assert (refused.value.code, refused.value.field) == (code, field)


async def test_a_cursor_of_another_order_or_with_a_changed_value_is_refused(things: None) -> None:
    scope = await store([row(rank=rank) for rank in range(3)])
    by_rank = (await page(scope, first=1, order=(Order("rank"),))).cursors[0]
    for request in (
        {"order": (Order("rank", descending=True),)},
        {"order": (Order("rank"), Order("at"))},
        {},
    ):
        with pytest.raises(Invalid) as refused:
            await page(scope, after=by_rank, **request)
        assert refused.value.code == "INVALID_CURSOR"


@pytest.mark.parametrize(
    "condition",
    [
        Condition("password", "eq", "x"),
        Condition("name; DROP TABLE things", "eq", "x"),
        Condition("name", "eq", 1),
        Condition("name", "eq", "a\x00b"),
        Condition("name", "eq", "\ud800"),
        Condition("name", "eq", None),
        Condition("name", "in", ["a", None]),
        Condition("name", "in", ["a"] * 501),
        Condition("name", "is_null", "yes"),
        Condition("amount", "gt", Decimal("NaN")),
        Condition("amount", "contains", "1"),
        Condition("rank", "eq", 2**63),
        Condition("rank", "eq", True),
        Condition("at", "lt", datetime(2026, 1, 1)),  # noqa: DTZ001
        Condition("id", "gt", "cus_"),
        Condition("live", "gt", True),
        Condition("metadata", "contains", {"a": [1]}),
        Condition("metadata", "contains", {"a\x00": "1"}),
        Condition("tags", "eq", "red"),
    ],
)
async def test_a_condition_that_makes_no_sense_is_refused_by_name(
    things: None, condition: Condition
) -> None:
    scope = await store([row()])
    with pytest.raises(Invalid) as refused:
        await page(scope, where=condition)
    assert refused.value.code == "INVALID_FILTER"
    assert refused.value.field == f"filter.{condition.field}"
    assert len(await fetch(scope, "SELECT id FROM listing_things")) == 1


@pytest.mark.parametrize("text", ["'", '"', "\\", "%", "_", "$1", "'; --", "{}", "a\nb", "é漢🙂"])
async def test_text_of_any_kind_is_only_text(things: None, text: str) -> None:
    scope = await store([row(name=text), row(name="other")])
    for op in ("eq", "contains", "starts_with"):
        found = await page(scope, where=Condition("name", op, text))
        assert [thing["name"] for thing in found.rows] == [text]


async def test_a_filter_has_bounds(things: None) -> None:
    scope = await store([])
    one: Any = Condition("rank", "eq", 1)
    wide = Or(tuple(one for _ in range(101)))
    deep = one
    for _ in range(9):
        deep = Not(deep)
    for where in (wide, deep):
        with pytest.raises(Invalid) as refused:
            await page(scope, where=where)
        assert refused.value.code == "FILTER_TOO_LARGE"


async def test_following_a_cursor_is_one_range_of_the_index_of_the_default_order(
    things: None,
) -> None:
    plain = Listing(
        table="listing_things",
        columns=(Column("id", "id"), Column("rank", "integer", sortable=True)),
        default_order=(Order("rank"),),
    )
    scope = await store([row(rank=rank) for rank in range(4)])
    first = await listing.page(scope, plain, PageRequest(first=2))
    seen: list[str] = []
    async with writing(scope) as connection:
        with connection.query_logger(lambda record: seen.append(record.query)):
            await listing.page(scope, plain, PageRequest(first=2, after=first.cursors[-1]))
    assert "(rank, id) > ($3::bigint, $4::text)" in seen[-1]


def test_a_listing_refuses_an_order_by_a_column_it_does_not_have() -> None:
    with pytest.raises(ValueError, match="rank"):
        Listing(table="t", columns=(Column("id", "id"),), default_order=(Order("rank"),))
    with pytest.raises(ValueError, match="id"):
        Listing(table="t", columns=(Column("rank", "integer"),), default_order=(Order("rank"),))


async def test_the_pages_of_many_parents_are_the_page_of_each(things: None) -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    rows = [
        row(name=name, rank=number % 3, note=None if number % 2 else str(number % 5), at=at)
        for name, count in (("a", 7), ("b", 1), ("c", 4))
        for number in range(count)
    ]
    scope = await store(rows)
    place = (await page(scope, where=Condition("name", "eq", "a"))).cursors[2]
    requests: list[dict[str, Any]] = [
        {},
        {"first": 3, "with_total": True},
        {"last": 3, "with_total": True},
        {"first": 0, "with_total": True},
        {"first": 2, "after": place},
        {"last": 2, "before": place},
        {"first": 4, "order": (Order("note"), Order("rank", descending=True))},
        {"last": 2, "order": (Order("note", descending=True),)},
        {"where": Condition("rank", "gt", 0), "with_total": True},
    ]
    for wanted in requests:
        request = PageRequest(**wanted)
        parents = ["b", "a", "none", "c", "a"]
        found = await listing.pages_of(scope, THINGS, request, column="name", parents=parents)
        assert list(found) == ["b", "a", "none", "c"]
        for parent, got in found.items():
            own = Condition("name", "eq", parent)
            alone = await page(scope, **wanted | {"where": both(own, request.where)})
            assert [thing["id"] for thing in got.rows] == [thing["id"] for thing in alone.rows]
            assert list(got.cursors) == list(alone.cursors)
            assert (got.has_next, got.has_previous) == (alone.has_next, alone.has_previous)
            assert got.total == alone.total


async def test_the_pages_of_many_parents_take_one_statement_and_stay_in_the_scope(
    things: None,
) -> None:
    scope = await store([row(name="a"), row(name="b")])
    stranger = await store([row(name="c")])

    async def read(total: bool) -> None:
        request = PageRequest(with_total=total)
        for parents in (["a"], ["a", "b", "c"]):
            found = await listing.pages_of(scope, THINGS, request, column="name", parents=parents)
            assert [len(found[name].rows) for name in parents] == [1, 1, 0][: len(parents)]

    assert len(await statements(scope, lambda: read(False))) == 2
    assert len(await statements(scope, lambda: read(True))) == 4
    request = PageRequest(first=1, after="nonsense")
    with pytest.raises(Invalid) as refused:
        await listing.pages_of(stranger, THINGS, request, column="name", parents=["c"])
    assert refused.value.code == "INVALID_CURSOR"
