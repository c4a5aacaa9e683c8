"""The two meanings of an aggregation, in SQL and in Python, are one."""

import json
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, example, given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st
from msgspec import Struct

from app.kernel.ids import new_id
from app.kernel.quantity import EXACT
from app.kernel.scope import Scope
from app.metering import derivation, usage
from app.metering.aggregations import KINDS, Count, CountUnique, Sum
from app.metering.aggregations.counted import number, number_sql
from app.metering.fields import read_fields
from app.metering.filters import Filters, Match
from tests.metering.make import Stored, meter, process, span, store

REAL = hypothesis(
    deadline=None,
    max_examples=40,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

DIGITS = st.text("0123456789", max_size=45) | st.text("09", max_size=90)
NUMBERISH = st.builds(
    "".join,
    st.tuples(
        st.sampled_from(["", "-", "+", "--"]),
        DIGITS,
        st.sampled_from(["", "."]),
        DIGITS,
        st.sampled_from(
            [
                "",
                "",
                "e5",
                "E+12",
                "e-18",
                "e-40",
                "e-99",
                "e39",
                "e40",
                "e099",
                "e400",
                "e-400",
                "e",
                "e+",
                "e1.5",
                "e99999999999",
            ]
        ),
    ),
)
ODD = st.sampled_from(
    [
        "",
        " ",
        " 5",
        "5 ",
        "5\n",
        "0x10",
        "NaN",
        "nan",
        "inf",
        "Infinity",
        "-Infinity",
        "1_000",
        "1,000",
        "1,5",
        "٣",
        "½",
        "true",
        "null",
        "{}",
        "[1]",
        "1e",
        ".",
        "-",
        "+",
        "5.",
        ".5",
        "-.5e1",
        "0e39",
        "0e99",
        "00012",
        "-0",
        "-0.0",
        "1" * 38,
        "1" * 39,
        "9" * 64,
        "9" * 65,
        "1\0",
        "5\0",
    ]
)


class Value(Struct, array_like=True, frozen=True):
    value: Decimal | None


async def sql_numbers(clickhouse, texts):
    rows = await clickhouse.select(
        f"SELECT {number_sql('text')} "  # noqa: S608 - that is what is tested
        "FROM (SELECT arrayJoin(arrayZip({n:Array(UInt32)}, {texts:Array(Nullable(String))})) "
        "AS pair, pair.1 AS place, pair.2 AS text) ORDER BY place",
        {"texts": texts, "n": list(range(len(texts)))},
        row=Value,
    )
    return [row.value for row in rows]


@REAL
@given(st.lists(NUMBERISH | ODD | st.none(), min_size=1, max_size=60))
@example(["1e37", "9e37", "1e38", "-1e38", "1e39", "99999999999999999999999999999999999999.5"])
@example(["4" * 80 + "e-73", "4" * 60 + "e-53", "0." + "1" * 62, "0." + "1" * 63, "1" * 90])
async def test_a_number_in_sql_is_the_number_in_python(clickhouse, texts):
    assert await sql_numbers(clickhouse, texts) == [number(text) for text in texts]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1.10", "1.10"),
        ("0.1234567890123456789", "0.123456789012345678"),  # cut, not rounded
        ("-0.9999999999999999999", "-0.999999999999999999"),
        ("12345678901234567890.123456789012345678", "12345678901234567890.123456789012345678"),
        ("9007199254740993", "9007199254740993"),  # no double holds it
        ("1e3", "1000"),
        ("2.5E-3", "0.0025"),
        ("+5", "5"),
        (".5", "0.5"),
        ("5.", "5"),
        ("1e-99", "0"),
        ("1e37", "1" + "0" * 37),
        ("1e38", None),
        ("1e400", None),
        (" 5", None),
        ("5 ", None),
        ("0x10", None),
        ("NaN", None),
        ("Infinity", None),
        ("1,000", None),
        ("", None),
        (".", None),
        ("true", None),
        (None, None),
    ],
)
async def test_what_is_a_number_is_written_down(clickhouse, text, expected):
    value = None if expected is None else Decimal(expected)
    assert number(text) == value
    assert await sql_numbers(clickhouse, [text]) == [value]


# Whole events: nasty JSON, every aggregation, filters and dimensions.

NAMES = ["v", "w", "a.b", 'q"uote', "ключ", "v ", "V", "\\", "\n", "e\u0301"]
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8) | ODD | NUMBERISH
NUMBERS = st.sampled_from(
    [
        "0",
        "-0",
        "1",
        "5",
        "5.0",
        "5.00",
        "-3",
        "1e3",
        "1E+3",
        "1e-3",
        "1e400",
        "-1e400",
        "1e-400",
        "0.1",
        "0.30000000000000004",
        "0.1234567890123456789",
        "12345678901234567890123",
        "1e37",
        "9007199254740993",
        "18446744073709551616",
        "1" * 60,
        "0." + "1" * 70,
    ]
)
NESTED = st.sampled_from(
    ['{"v":7}', "[]", "{}", "[1, 2]", '{"a":{"v":"}"},"b":[{}]}', '["\\"]", {"v" : 1e400}]', "[ ]"]
)
VALUES = (
    NUMBERS
    | NESTED
    | st.sampled_from(["null", "true", "false"])
    | st.builds(json.dumps, TEXTS)
    | st.builds(lambda text: json.dumps(text, ensure_ascii=False), TEXTS)
)
BLANK = st.sampled_from(["", "", " ", "\t", "  "])


def written(members, blank):
    inner = f",{blank}".join(f"{blank}{name}{blank}:{blank}{value}" for name, value in members)
    return "{" + inner + blank + "}"


KEYS = st.sampled_from(NAMES).flatmap(
    lambda name: st.sampled_from(
        [json.dumps(name), "".join(['"', *(f"\\u{ord(c):04x}" for c in name), '"'])]
    )
)
OBJECTS = st.builds(
    written,
    st.lists(st.tuples(KEYS, VALUES), max_size=5, unique_by=lambda member: json.loads(member[0])),
    BLANK,
)
SOME_VALUES = st.lists(
    st.sampled_from(["5", "5.0", "true", "", "null", "1e3", "[1, 2]", '{"v":7}']) | TEXTS,
    min_size=1,
    max_size=3,
).map(tuple)
MATCHES = st.builds(Match, st.sampled_from(NAMES), SOME_VALUES)
FILTERS = st.just(Filters()) | st.builds(
    Filters,
    include=st.lists(MATCHES, max_size=1).map(tuple),
    exclude=st.lists(st.lists(MATCHES, min_size=1, max_size=2).map(tuple), max_size=2).map(tuple),
    present=st.lists(st.sampled_from(NAMES), max_size=1).map(tuple),
    absent=st.lists(st.sampled_from(NAMES), max_size=1).map(tuple),
)
AGGREGATIONS = (
    st.just(Count())
    | st.builds(Sum, st.sampled_from(NAMES))
    | st.builds(CountUnique, st.sampled_from(NAMES))
)


class Metered(Struct, array_like=True, frozen=True):
    event_id: str
    quantity: Decimal
    unique_value: str
    dimensions: dict[str, str | None]


async def metered(clickhouse, scope, one):
    rows = await clickhouse.select(
        "SELECT event_id, quantity, unique_value, dimensions FROM processed_events FINAL "
        "WHERE tenant_id = {tenant:String} AND meter_id = {meter:String} ORDER BY event_id",
        {"tenant": scope.tenant_id, "meter": one.id},
        row=Metered,
    )
    return {row.event_id: row for row in rows}


@REAL
@given(
    texts=st.lists(OBJECTS, max_size=12),
    parts=st.lists(st.tuples(AGGREGATIONS, FILTERS), min_size=1, max_size=4),
    dimensions=st.lists(st.sampled_from(NAMES), max_size=2, unique=True).map(tuple),
)
async def test_sql_counts_what_the_fold_counts(clickhouse, texts, parts, dimensions):
    scope = Scope(new_id("ten"), new_id("env"))
    events = [Stored(text) for text in texts]
    meters = [meter(kind, filters=filters, dimensions=dimensions) for kind, filters in parts]
    await process(clickhouse, scope, meters, events)
    for one in meters:
        fields = {event.event_id: read_fields(event.properties) for event in events}
        counted = {
            event_id: row
            for event_id, values in fields.items()
            if (row := one.counted(values)) is not None
        }
        rows = await metered(clickhouse, scope, one)
        assert {i: (r.quantity, r.unique_value) for i, r in rows.items()} == {
            i: (r.quantity, r.unique_value) for i, r in counted.items()
        }
        assert {i: r.dimensions for i, r in rows.items()} == {
            i: {k: v for k, v in fields[i].items() if k in dimensions} for i in counted
        }
        expected = one.aggregation.total(counted.values())
        for way in (one, meter(one.aggregation, filters=one.filters, backfilled_at=None)):
            figure = (await usage.totals(scope, clickhouse, way, [span()]))[span()]
            assert (figure.quantity, figure.event_count) == (expected, len(counted))


async def test_every_kind_is_in_the_registry_by_its_name():
    assert {name: kind.__name__ for name, kind in KINDS.items()} == {
        "count": "Count",
        "sum": "Sum",
        "count_unique": "CountUnique",
    }
    for name, kind in KINDS.items():
        assert (kind() if name == "count" else kind("v")).kind == name


async def total(clickhouse, scope, aggregation, *texts):
    one = meter(aggregation)
    await process(clickhouse, scope, [one], [Stored(text) for text in texts])
    return (await usage.totals(scope, clickhouse, one, [span()]))[span()].quantity


async def test_sums_are_exact_where_floats_are_not(clickhouse, scope):
    texts = ['{"v":0.1}'] * 3 + ['{"v":9007199254740993}', '{"v":"0.000000000000000001"}']
    expected = Decimal("9007199254740993.300000000000000001")
    assert await total(clickhouse, scope, Sum("v"), *texts) == expected


async def test_a_sum_of_the_largest_numbers_does_not_overflow(clickhouse, scope):
    largest = "9" * 38 + ".999999999999999999"
    texts = [f'{{"v":{largest}}}'] * 50
    assert await total(clickhouse, scope, Sum("v"), *texts) == EXACT.multiply(
        Decimal(largest), Decimal(50)
    )


async def test_distinct_values_are_compared_as_text(clickhouse, scope):
    texts = [
        '{"v":5}',
        '{"v":"5"}',
        '{"v":5.0}',
        '{"v":""}',
        '{"v":null}',
        "{}",
        '{"v":true}',
        '{"v":"true"}',
        '{"v":[5]}',
        '{"v":"null"}',
        '{"v":" 5"}',
        '{"w":"other"}',
    ]
    # 5, 5.0, "", true, [5], null as a text, and 5 after a blank
    assert await total(clickhouse, scope, CountUnique("v"), *texts) == 7


async def test_distinct_values_are_counted_exactly_and_not_estimated(clickhouse, scope):
    """More of them than the estimating aggregates of the server count exactly (65,536)."""
    texts = [f'{{"v":"user-{n % 100_003}"}}' for n in range(120_000)]
    assert await total(clickhouse, scope, CountUnique("v"), *texts) == 100_003


async def test_a_property_of_a_nested_object_is_another_property(clickhouse, scope):
    texts = ['{"meta":{"v":100},"v":1}', '{"v":2,"a":[{"v":50}]}', '{"meta":{"v":9}}']
    assert await total(clickhouse, scope, Sum("v"), *texts) == 3
    dotted = ['{"a.b":4,"a":{"b":100}}']
    assert await total(clickhouse, Scope(scope.tenant_id, "env_2"), Sum("a.b"), *dotted) == 4


async def test_one_value_that_is_no_number_does_not_hide_the_others(clickhouse, scope):
    texts = ['{"v":1,"w":1e400}', '{"v":2,"w":123456789012345678901234567890}', '{"v":1e400}']
    assert await total(clickhouse, scope, Sum("v"), *texts) == 3


async def test_of_a_name_twice_the_first_counts(clickhouse, scope):
    assert await total(clickhouse, scope, Sum("v"), '{"v":1,"v":2}') == 1
    assert read_fields('{"v":1,"v":2}') == {"v": "1"}


N123, N34 = Match("tailnum", ("N1", "N2", "N3")), Match("tailnum", ("N3", "N4"))
CANCELLED, N1 = Match("cancelled", ("true",)), Match("tailnum", ("N1",))


async def test_cancelled_flights_are_filtered_out(clickhouse, scope):
    flights = [
        Stored('{"tailnum":"N1","dep_time":517,"cancelled":false}'),
        Stored('{"tailnum":"N2","dep_time":533,"cancelled":false}'),
        Stored('{"tailnum":"N3","dep_time":null,"cancelled":true}'),
        Stored('{"tailnum":"N4","cancelled":"true"}'),
    ]
    ways = [
        meter(filters=Filters(exclude=((CANCELLED,),))),
        meter(filters=Filters(include=(Match("cancelled", ("false",)),))),
        meter(filters=Filters(present=("dep_time",))),
        meter(filters=Filters(include=(N123,), present=("dep_time",))),
        meter(filters=Filters(exclude=((N34,),))),
        meter(filters=Filters(exclude=((CANCELLED, N1),))),
        meter(filters=Filters(absent=("dep_time",))),
    ]
    await process(clickhouse, scope, ways, flights)
    answers = await usage.totals_of_meters(scope, clickhouse, ways, [span()])
    assert [answers[way.id][span()].quantity for way in ways] == [2, 2, 2, 2, 2, 4, 2]


async def test_events_without_their_fields_are_refused(clickhouse, scope):
    body = b'{"tenant_id":"t","event_id":"e","properties":{"v":1},"batch":"b"}'
    with pytest.raises(Exception, match="fields_say_what_properties_say"):
        await clickhouse.insert("events", body)


async def test_an_event_without_properties_counts(clickhouse, scope):
    assert await total(clickhouse, scope, Count(), "{}", "{ }") == 2


async def test_only_the_given_batches_are_derived(clickhouse, scope):
    one = meter()
    first = await store(clickhouse, scope, [Stored(), Stored()])
    second = await store(clickhouse, scope, [Stored()])
    await store(clickhouse, scope, [Stored() for _ in range(5)])
    await derivation.derive_batch(clickhouse, {scope: [one]}, batch_ids=[first, second])
    assert len(await metered(clickhouse, scope, one)) == 3


async def test_many_meters_take_few_statements_and_miss_none(clickhouse, scope):
    others = Scope(new_id("ten"), new_id("env"))
    long = Filters(exclude=((Match("w", tuple(f"{n}{'x' * 70}" for n in range(100))),),))
    mine = [meter(Sum("v"), filters=long) for _ in range(45)]
    theirs = [meter(Count()) for _ in range(50)]
    batch = await store(clickhouse, scope, [Stored('{"v":2}')] * 1)
    await store(clickhouse, others, [Stored(), Stored()], batch=batch + "-2")
    await derivation.derive_batch(
        clickhouse, {scope: mine, others: theirs}, batch_ids=[batch, batch + "-2"]
    )
    answers = await usage.totals_of_meters(scope, clickhouse, mine, [span()])
    assert [answers[one.id][span()].quantity for one in mine] == [2] * 45
    answers = await usage.totals_of_meters(others, clickhouse, theirs, [span()])
    assert [answers[one.id][span()].quantity for one in theirs] == [2] * 50
