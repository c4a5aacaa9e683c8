"""Errors, scalars, loaders and the number of statements: the grammar beneath every domain."""

import asyncio
import inspect
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import asyncpg
import pytest
import strawberry
from graphql import GraphQLError, GraphQLObjectType, get_named_type, is_leaf_type
from hypothesis import given
from hypothesis import strategies as st
from strawberry.schema.config import StrawberryConfig
from structlog.testing import capture_logs

from app.config import Settings
from app.customers import reads
from app.customers.models import CustomerTable
from app.graphql.context import Context
from app.graphql.customer_inputs import CustomerOrderField
from app.graphql.errors import HANDLERS, Rejected
from app.graphql.execution import Graph
from app.graphql.loaders import many, one, required
from app.graphql.patch import plain, present
from app.graphql.scalars import (
    JSON,
    SCALARS,
    Metadata,
    Money,
    parse_date,
    parse_exact,
    parse_instant,
    show_instant,
)
from app.graphql.schema import Schema, schema
from app.kernel import money
from app.kernel.errors import Conflict, Denied, Invalid, NotFound, Unavailable
from app.kernel.ids import new_id
from app.kernel.scope import Scope
from tests.graphql.conftest import caller_in, make_runtime
from tests.graphql.test_customers import create

SECRET = "postgresql://owner:hunter2@db-7.internal/tariff"


@strawberry.type
class Broken:
    @strawberry.field
    def leaf(self) -> str:
        raise RuntimeError(SECRET)

    @strawberry.field
    async def later(self) -> str | None:
        raise KeyError(SECRET)

    @strawberry.field
    def absent(self) -> str:
        return None  # type: ignore[return-value]

    @strawberry.field
    def amount(self) -> Decimal | None:
        return SECRET  # type: ignore[return-value]

    @strawberry.field
    def whole(self) -> int | None:
        return 2**40

    @strawberry.field
    def naive(self) -> datetime | None:
        return datetime(2026, 1, 1)  # noqa: DTZ001

    @strawberry.field
    def raised(self) -> str | None:
        raise GraphQLError(SECRET)

    @strawberry.field
    def invalid(self) -> str | None:
        raise Invalid("size: must be even", field="size", code="ODD")

    @strawberry.field
    def denied(self) -> str | None:
        raise Denied("not you")

    @strawberry.field
    def away(self) -> str | None:
        raise Unavailable("ClickHouse", SECRET, retry_after_seconds=7)

    @strawberry.field
    def slow(self) -> str | None:
        raise TimeoutError


@strawberry.type
class Fine:
    value: str


@strawberry.type
class Query:
    @strawberry.field
    def broken(self) -> Broken | None:
        return Broken()

    @strawberry.field
    def echo(
        self,
        decimal: Decimal | None = None,
        instant: datetime | None = None,
        day: date | None = None,
        json: JSON | None = None,
        metadata: Metadata | None = None,
    ) -> list[str]:
        return [repr(v) for v in (decimal, instant, day, json, metadata) if v is not None]

    @strawberry.field
    def values(self) -> "Values":
        return Values(
            decimal=Decimal("1E+3"),
            instant=datetime(2026, 1, 31, 12, tzinfo=timezone(timedelta(hours=2))),
            day=date(2026, 1, 31),
            json=JSON({"n": 10**30, "list": [1, None]}),
            price=Money.of(money.Money(Decimal("19.90"), "EUR")),
        )


@strawberry.type
class Values:
    decimal: Decimal
    instant: datetime
    day: date
    json: JSON
    price: Money


@strawberry.type
class Mutation:
    @strawberry.mutation
    async def refused(self, how: str) -> Fine | Rejected:
        raise {
            "conflict": Conflict("in the way", code="IN_THE_WAY"),
            "denied": Denied("not you"),
            "bug": ValueError(SECRET),
            "away": Unavailable("Kafka", SECRET),
        }[how]


@pytest.fixture(scope="session")
def fragile() -> Graph:
    return Graph(
        Schema(
            query=Query,
            mutation=Mutation,
            config=StrawberryConfig(scalar_map=SCALARS),
            exception_handlers=HANDLERS,
        )
    )


@pytest.fixture
def context(database: Settings, scope: Scope, clock: Any) -> Context:
    return Context(caller_in(scope), make_runtime(database, clock), "req_test")


@pytest.mark.parametrize("field", ["leaf", "later", "absent", "amount", "whole", "naive", "raised"])
async def test_a_bug_is_masked_and_logged_once_with_its_request_id(
    fragile: Graph, context: Context, field: str
) -> None:
    with capture_logs() as logs:
        body = await fragile.run(context, f"{{ broken {{ {field} }} }}")
    (error,) = body["errors"]
    assert error["message"] == "internal error"
    assert error["path"] == ["broken", field]
    assert error["extensions"] == {"code": "INTERNAL", "requestId": "req_test"}
    assert not re.search("postgres|hunter2|internal/|Error|None", str(error))
    assert [(log["event"], log["request_id"], log["path"]) for log in logs] == [
        ("resolver_failed", "req_test", ["broken", field])
    ]
    assert logs[0]["exc_info"] is not None


@pytest.mark.parametrize(
    ("field", "message", "extensions"),
    [
        ("invalid", "size: must be even", {"code": "ODD", "field": "size"}),
        ("denied", "not you", {"code": "FORBIDDEN"}),
        (
            "away",
            "ClickHouse is unavailable; try again",
            {"code": "UNAVAILABLE", "retryAfterSeconds": 7},
        ),
        ("slow", "this took too long", {"code": "TIMEOUT"}),
    ],
)
async def test_what_the_caller_can_act_on_keeps_its_code(
    fragile: Graph, context: Context, field: str, message: str, extensions: dict[str, Any]
) -> None:
    with capture_logs() as logs:
        body = await fragile.run(context, f"{{ broken {{ {field} }} }}")
    (error,) = body["errors"]
    assert error["message"] == message
    assert error["extensions"] == {**extensions, "requestId": "req_test"}
    assert not [log for log in logs if log["log_level"] == "error"]


async def test_refusals_are_data_and_denials_bugs_and_outages_are_errors(
    fragile: Graph, context: Context
) -> None:
    text = "mutation ($how: String!) { refused(how: $how) { ... on Problem { code message } } }"
    refused = await fragile.run(context, text, {"how": "conflict"})
    assert refused == {"data": {"refused": {"code": "IN_THE_WAY", "message": "in the way"}}}
    for how, code in (("denied", "FORBIDDEN"), ("bug", "INTERNAL"), ("away", "UNAVAILABLE")):
        with capture_logs():
            body = await fragile.run(context, text, {"how": how})
        assert body["data"] is None
        assert [error["extensions"]["code"] for error in body["errors"]] == [code]
        assert "hunter2" not in str(body)


async def test_a_slow_request_is_given_up(context: Context) -> None:
    @strawberry.type
    class Slow:
        @strawberry.field
        async def query(self) -> str:
            async with never():
                return ""

    body = await Graph(Schema(query=Slow), seconds=0.05).run(context, "{ query }")
    assert [error["extensions"]["code"] for error in body["errors"]] == ["TIMEOUT"]
    assert "data" not in body


@asynccontextmanager
async def never() -> AsyncIterator[None]:
    await asyncio.Event().wait()
    yield


async def test_values_travel_exactly(fragile: Graph, context: Context) -> None:
    body = await fragile.run(
        context, "{ values { decimal instant day json price { amount currency } } }"
    )
    assert body == {
        "data": {
            "values": {
                "decimal": "1000",
                "instant": "2026-01-31T10:00:00Z",
                "day": "2026-01-31",
                "json": {"n": 10**30, "list": [1, None]},
                "price": {"amount": "19.9", "currency": "EUR"},
            }
        }
    }


@pytest.mark.parametrize(
    ("argument", "value", "read"),
    [
        ("decimal", "0.1", "Decimal('0.1')"),
        ("decimal", "-12.500", "Decimal('-12.500')"),
        ("decimal", 7, "Decimal('7')"),
        ("decimal", "9" * 38 + "." + "9" * 18, f"Decimal('{'9' * 38}.{'9' * 18}')"),
        ("decimal", "0" * 60 + "1", "Decimal('1')"),
        ("day", "2024-02-29", "datetime.date(2024, 2, 29)"),
        ("json", {"a": [1, 2.5, None]}, "{'a': [1, 2.5, None]}"),
        ("metadata", {"a": "b"}, "{'a': 'b'}"),
    ],
)
async def test_input_is_read_exactly(
    fragile: Graph, context: Context, argument: str, value: Any, read: str
) -> None:
    kind = {"decimal": "Decimal", "day": "Date", "json": "JSON", "metadata": "Metadata"}[argument]
    text = f"query ($v: {kind}) {{ echo({argument}: $v) }}"
    assert await fragile.run(context, text, {"v": value}) == {"data": {"echo": [read]}}


WRONG: list[tuple[str, Any]] = [
    *(
        ("Decimal", value)
        for value in (
            0.1, True, "NaN", "Infinity", "-inf", "1e3", "", " 1", "1 ", "1,5", ".5", "1.", "+1",
            "0x10", "١", "9" * 39, "0." + "1" * 19, "1" * 200, [], {}, 10**38,
        )
    ),
    *(
        ("DateTime", value)
        for value in (
            "2026-01-31", "2026-01-31T09:30:00", "2026-01-31 09:30:00Z", "2026-13-01T00:00:00Z",
            "2026-02-30T00:00:00Z", "2026-01-31T09:30Z", "2026-01-31T24:00:01Z",
            "2026-01-31T23:59:60Z", "2026-01-31T09:30:00.1234567Z", "2026-W05-1T00:00:00Z",
            "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", 1767225600, "",
        )
    ),
    *(("Date", value) for value in ("2026-02-29", "20260131", "2026-W01-1", 5, "")),
    *(("Metadata", value) for value in ({"a": 1}, {"a": None}, [], "x", 1)),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "value"), WRONG)
async def test_wrong_input_is_refused_by_variable_with_what_would_be_right(
    fragile: Graph, context: Context, kind: str, value: Any
) -> None:
    argument = {"Decimal": "decimal", "DateTime": "instant", "Date": "day"}.get(kind, "metadata")
    text = f"query ($v: {kind}) {{ echo({argument}: $v) }}"
    body = await fragile.run(context, text, {"v": value})
    assert "data" not in body
    (error,) = body["errors"]
    assert error["extensions"] == {"code": "BAD_USER_INPUT"}
    assert "$v" in error["message"]
    assert "expected" in error["message"]
    assert len(error["message"]) < 300


async def test_a_float_literal_is_no_decimal_and_infinity_no_json(
    fragile: Graph, context: Context
) -> None:
    for text in ("{ echo(decimal: 0.1) }", "{ echo(json: {a: 1e999}) }", "{ echo(json: [1e999]) }"):
        body = await fragile.run(context, text)
        assert "data" not in body
        assert body["errors"][0]["extensions"]["code"] == "GRAPHQL_VALIDATION_FAILED"
    assert (await fragile.run(context, '{ echo(decimal: "0.10") }'))["data"] == {
        "echo": ["Decimal('0.10')"]
    }


@given(st.decimals(-(10**19), 10**19, places=18))
def test_a_decimal_survives_the_round_trip(value: Decimal) -> None:
    shown = SCALARS[Decimal].serialize(value)  # type: ignore[misc]
    assert parse_exact(shown) == value


@given(st.datetimes(timezones=st.timezones()))
def test_an_instant_survives_the_round_trip(value: datetime) -> None:
    try:
        in_utc = value.astimezone(UTC)
    except OverflowError:
        return
    assert parse_instant(show_instant(in_utc)) == in_utc
    assert show_instant(value) == show_instant(in_utc)
    assert show_instant(in_utc).endswith("Z")


@given(st.dates())
def test_a_date_survives_the_round_trip(value: date) -> None:
    assert parse_date(value.isoformat()) == value


@strawberry.input
class Inner:
    a: strawberry.Maybe[str | None]
    b: strawberry.Maybe[int | None]


@strawberry.input
class Patch:
    id: strawberry.ID
    name: strawberry.Maybe[str | None]
    inner: strawberry.Maybe[Inner | None]
    items: strawberry.Maybe[list[Inner] | None]


def test_a_patch_holds_what_was_sent_and_only_that() -> None:
    empty = Patch(id=strawberry.ID("x"), name=None, inner=None, items=None)
    assert present(empty, without=("id",)) == {}
    inner = Inner(a=strawberry.Some(None), b=None)
    full = Patch(
        id=strawberry.ID("x"),
        name=strawberry.Some("n"),
        inner=strawberry.Some(inner),
        items=strawberry.Some([inner]),
    )
    assert present(full, without=("id",)) == {"name": "n", "inner": inner, "items": [inner]}
    assert plain(full) == {"id": "x", "name": "n", "inner": {"a": None}, "items": [{"a": None}]}
    with pytest.raises(TypeError):
        present({"a": 1})


async def test_loaders_keep_the_order_of_keys_and_read_once(scope: Scope) -> None:
    asked: list[tuple[Scope, list[int]]] = []

    async def read(where: Scope, keys: Any) -> dict[int, str]:
        asked.append((where, sorted(keys)))
        return {key: f"row {key}" for key in keys if key % 2}

    async def read_many(where: Scope, keys: Any) -> dict[int, list[str]]:
        return {key: ["a", "b"] for key in keys if key % 2}

    loader = one(read, scope)
    assert await loader.load_many([3, 2, 1, 3]) == ["row 3", None, "row 1", "row 3"]
    assert asked == [(scope, [1, 2, 3])]
    assert await many(read_many, scope).load_many([2, 1]) == [[], ["a", "b"]]
    strict = required(read, scope, "thing")
    assert await strict.load(1) == "row 1"
    with pytest.raises(NotFound, match="thing 2 does not exist"):
        await strict.load(2)


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every query that asyncpg runs from here on, whatever the connection."""
    seen: list[str] = []
    real = asyncpg.Connection._execute

    async def execute(self: Any, query: str, *args: Any, **kwargs: Any) -> Any:
        seen.append(query)
        return await real(self, query, *args, **kwargs)

    monkeypatch.setattr(asyncpg.Connection, "_execute", execute)
    return seen


QUERIES = {
    "a page": ("{ customers(first: 100) { nodes { id name address { city } metadata } } }", 1),
    "a page with its total": (
        "{ customers(first: 100) { totalCount edges { cursor node { id } } } }",
        2,
    ),
    "the total in a fragment, under another name": (
        "{ customers(first: 0) { ...F } } fragment F on CustomerConnection { n: totalCount }",
        1,
    ),
    "nodes by id": ("query ($ids: [ID!]!) { nodes(ids: $ids) { id } }", 1),
    "the same nodes twice": (
        "query ($ids: [ID!]!) { a: nodes(ids: $ids) { id } b: nodes(ids: $ids) { id } }",
        1,
    ),
}


@pytest.mark.parametrize("name", QUERIES)
async def test_the_number_of_statements_does_not_grow_with_the_rows(
    ask: Any, statements: list[str], name: str
) -> None:
    text, expected = QUERIES[name]
    counts = {}
    for rows in (10, 100):
        ids = []
        for number in range(rows):
            ids.append((await create(ask, f"{rows}-{number}-{new_id('cus')}"))["id"])
        statements.clear()
        body = await ask(text, {"ids": ids[:100]} if "$ids" in text else None)
        assert "errors" not in body, body
        counts[rows] = len([sql for sql in statements if "customers" in sql])
    assert counts == {10: expected, 100: expected}


async def test_a_list_makes_no_orm_instance(
    ask: Any, scope: Scope, monkeypatch: pytest.MonkeyPatch
) -> None:
    await create(ask)

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("an ORM instance was made")

    monkeypatch.setattr(CustomerTable, "__init__", refuse)
    monkeypatch.setattr(CustomerTable, "_init_from_db", refuse)
    body = await ask("{ customers { nodes { id name } } }")
    assert len(body["data"]["customers"]["nodes"]) == 1


# Scalars that take work of their own and are asked for one object at a time, or that a loader
# counts for all objects of a list together.
WORKED_OUT = {
    "CreditNote.fileUrl",
    "Invoice.fileUrl",
    "Invoice.pdfUrl",
    "PlanVersion.subscriptionCount",
    "SubscriptionPause.status",
}


def test_no_scalar_of_any_type_is_resolved_by_a_coroutine() -> None:
    found = set()
    for type_ in schema._schema.type_map.values():
        if isinstance(type_, GraphQLObjectType) and not type_.name.startswith("__"):
            for name, field in type_.fields.items():
                leaf = is_leaf_type(get_named_type(field.type))
                if leaf and inspect.iscoroutinefunction(field.resolve):
                    found.add(f"{type_.name}.{name}")
    assert found == WORKED_OUT


def test_reads_declare_what_the_graph_orders_by() -> None:
    sortable = {column.field for column in reads.LISTING.columns if column.sortable}
    assert {field.value for field in CustomerOrderField} == sortable
