"""Questions about usage, put to ClickHouse: one statement for many customers and periods.

A question may split its figures by dimensions, by rows of matches (an event belongs to the
first row that holds for it), and by windows of time; and it may ask for the tally of a walk
through the single events of each figure.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from itertools import pairwise
from typing import TypeVar

from msgspec import Struct

from app.infra.clickhouse import ClickHouse
from app.infra.clickhouse_parameters import MAX_BYTES, Encoded, Parameter, Places, encode, size
from app.kernel.scope import Scope
from app.metering.counted_rows import counted_rows, unix_milliseconds
from app.metering.derivation import Query
from app.metering.errors import TooManyFigures, UnknownDimension
from app.metering.figure import Span, Usage
from app.metering.filters import Match
from app.metering.meter import Meter
from app.metering.walk import Tally, Walk, tally_sql
from app.metering.windows import Windows

T = TypeVar("T")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
# More are too long in any case: each takes a name in quotes and three numbers, with commas.
_MOST_SPANS = MAX_BYTES // 8
_WHERE = (
    "external_customer_id IN {customers:Array(String)} "
    "AND timestamp >= fromUnixTimestamp64Milli({earliest:Int64}, 'UTC') "
    "AND timestamp < fromUnixTimestamp64Milli({latest:Int64}, 'UTC')"
)
# One row per part of a span: the span's place in the question, its customer and the part's bounds.
# Most spans have the same bounds, and the length of a question is bounded: they are said once.
_SPANS = (
    "SELECT asked.1 AS span, {customers:Array(String)}[asked.2] AS customer, "
    "fromUnixTimestamp64Milli({starts:Array(Int64)}[asked.3], 'UTC') AS period_start, "
    "fromUnixTimestamp64Milli({ends:Array(Int64)}[asked.3], 'UTC') AS period_end "
    "FROM (SELECT arrayJoin(arrayZip({places:Array(UInt32)}, {owners:Array(UInt32)}, "
    "{bounds:Array(UInt32)})) AS asked)"
)
# Events in order within a figure, each with its place and the total it brings about.
_WALKED = (
    ", row_number() OVER figure AS place, sum(quantity) OVER figure AS running",
    " WINDOW figure AS (PARTITION BY span, values, row, start ORDER BY timestamp, event_id "
    "ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)",
)


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of a meter; every split given makes more figures per span."""

    spans: Sequence[Span]
    group_by: tuple[str, ...] = ()
    rows: tuple[tuple[Match, ...], ...] = ()
    walk: Walk | None = None
    windows: Windows | None = None
    at_most: int | None = None
    as_of: datetime | None = None


class _Row(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """The columns from `events` on are there where a walk is asked for."""

    span: int
    group: list[str | None]
    row: int
    window: int
    quantity: Decimal
    event_count: int
    watermark: datetime
    events: int = 0
    paying: int = 0
    at_minimum: int = 0
    at_maximum: int = 0
    paid: Decimal = Decimal(0)


async def ask(
    scope: Scope, clickhouse: ClickHouse, meter: Meter, question: Question
) -> dict[Span, list[Usage]]:
    """The figures of every span that has any, in order of window, values and row.

    Raises: UnknownDimension, TooManyFigures (more than `at_most`), Unavailable.
    """
    asked = (*question.group_by, *(m.property for row in question.rows for m in row))
    for name in asked:
        if name not in meter.dimensions:
            raise UnknownDimension(name, meter.id, meter.dimensions)
    query = _query(scope, meter, question)
    found: dict[Span, list[Usage]] = {}
    figures = 0
    distinct = tuple(dict.fromkeys(s for s in question.spans if not s.is_empty))
    for spans, about in _portions(distinct, room=MAX_BYTES - size(query.parameters)):
        rows = await clickhouse.select(query.sql, {**query.parameters, **about}, row=_Row)
        figures += len(rows)
        if question.at_most is not None and figures > question.at_most:
            raise TooManyFigures(question.at_most)
        for row in rows:
            span = spans[row.span]
            found.setdefault(span, []).append(_figure(row, span, question))
    return found


def _query(scope: Scope, meter: Meter, question: Question) -> Query:
    places = Places("q")
    # The rows that the question is about, and more of the same customers.
    source = counted_rows(scope, meter, _WHERE, as_of=question.as_of)
    figures, totals = _split(source.sql, question, places), meter.aggregation.total_sql
    tally = ""
    if question.walk is not None:
        place, order = _WALKED
        figures = f"SELECT *{place} FROM ({figures}){order}"  # noqa: S608 - no text of others
        tally = ", " + tally_sql(question.walk, places.add)
    limit = "" if question.at_most is None else f" LIMIT {question.at_most + 1:d}"
    sql = (
        f"SELECT span, values, row, start, {totals}, count(), max(ingested_at){tally} "  # noqa: S608
        f"FROM ({figures}) GROUP BY span, values, row, start "
        f"ORDER BY span, start, values, row{limit}"
    )
    return Query(sql, {**source.parameters, **places.values})


def _split(rows: str, question: Question, places: Places) -> str:
    """SELECT of the rows with the figure that each belongs to: span, values, row and start."""
    groups = [f"dimensions[{places.add(name, 'String')}]" for name in question.group_by]
    belongs = [
        f"{matches(row, places)}, {number}" for number, row in enumerate(question.rows, start=1)
    ]
    row = f"multiIf({', '.join(belongs)}, 0)" if belongs else "0"
    window = "0"
    if question.windows is not None:
        edges = [unix_milliseconds(edge) for edge in question.windows.edges]
        steps = [later - edge for edge, later in pairwise(edges)]
        window = (
            "roundDown(toUnixTimestamp64Milli(timestamp), CAST(arrayCumSum("
            f"{places.add([edges[0], *steps], 'Array(Int64)')}), 'Array(Int64)'))"
        )
    return (
        f"SELECT span, CAST([{', '.join(groups)}], 'Array(Nullable(String))') AS values, "  # noqa: S608
        f"{row} AS row, {window} AS start, quantity, unique_value, timestamp, event_id, "
        f"ingested_at, period_start, period_end FROM ({rows}) AS counted "
        f"INNER JOIN ({_SPANS}) AS spans ON counted.external_customer_id = spans.customer "
        "WHERE timestamp >= period_start AND timestamp < period_end"
    )


def matches(row: Sequence[Match], places: Places) -> str:
    """Whether all matches of a row hold; true or false, never NULL."""
    tests = (
        f"ifNull(dimensions[{places.add(match.property, 'String')}] "
        f"IN {places.add(list(match.values), 'Array(String)')}, 0)"
        for match in row
    )
    return f"({' AND '.join(tests)})"


@lru_cache(maxsize=8)
def _span_parameters(spans: tuple[Span, ...]) -> Mapping[str, Encoded]:
    """Asked of one meter after the other, the spans of a page are put into words once."""
    parts = [(i, customer, part) for i, span in enumerate(spans) for customer, part in span.parts]
    customers = _numbered(customer for _, customer, _ in parts)
    bounds = _numbered(part for _, _, part in parts)
    starts = [unix_milliseconds(part.start) for part in bounds]
    ends = [unix_milliseconds(part.end) for part in bounds]
    parameters: dict[str, Parameter] = {
        "customers": list(customers),
        "places": [index for index, _, _ in parts],
        "owners": [customers[customer] for _, customer, _ in parts],
        "bounds": [bounds[part] for _, _, part in parts],
        "starts": starts,
        "ends": ends,
        "earliest": min(starts),
        "latest": max(ends),
    }
    return {name: Encoded(encode(value)) for name, value in parameters.items()}


def _numbered(found: Iterable[T]) -> dict[T, int]:
    """Each with its place among those that differ, from 1."""
    return {each: place for place, each in enumerate(dict.fromkeys(found), start=1)}


def _portions(
    spans: tuple[Span, ...], *, room: int
) -> Iterator[tuple[Sequence[Span], Mapping[str, Encoded]]]:
    """The spans in as many parts as the size of a request asks for, each with its parameters."""
    if not spans:
        return
    if len(spans) <= _MOST_SPANS:
        parameters = _span_parameters(spans)
        if len(spans) == 1 or size(parameters) <= room:
            yield spans, parameters
            return
    middle = len(spans) // 2
    yield from _portions(spans[:middle], room=room)
    yield from _portions(spans[middle:], room=room)


def _figure(row: _Row, span: Span, question: Question) -> Usage:
    window = None
    if question.windows is not None:
        whole = question.windows.starting(_EPOCH + row.window * _MILLISECOND)
        window = whole.intersection(span.period)
    tally = None
    if question.walk is not None:
        tally = Tally(row.events, row.paying, row.at_minimum, row.at_maximum, row.paid)
    return Usage(
        row.quantity,
        row.event_count,
        row.watermark,
        tuple(row.group),
        window,
        row=row.row - 1 if row.row else None,
        tally=tally,
    )
