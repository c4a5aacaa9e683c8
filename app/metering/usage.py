"""How much was used: exact totals of a meter for many customers and periods in one query.

Answers are exact under duplicates: rows are read with FINAL, which collapses the copies of a
metered row, and costs 3 to 4 times a plain sum here (measured: 27 ms against 10 ms for a month
of 500 customers out of 5 million rows; LIMIT 1 BY was as fast there, and slower on more rows).
Until a meter is backfilled the same question is put to the events themselves.
"""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from zoneinfo import ZoneInfo

from msgspec import Struct

from app.infra.clickhouse import ClickHouse
from app.infra.clickhouse_parameters import MAX_BYTES, Parameter, size
from app.kernel.period import Period
from app.kernel.scope import Scope
from app.metering.derivation import Query, metered_rows
from app.metering.errors import TooManyFigures, UnknownDimension
from app.metering.meter import Meter
from app.metering.windows import Window, Windows, windows

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_WHERE = (
    "external_customer_id IN {customers:Array(String)} "
    "AND timestamp >= fromUnixTimestamp64Milli({earliest:Int64}, 'UTC') "
    "AND timestamp < fromUnixTimestamp64Milli({latest:Int64}, 'UTC')"
)
_METERED = (  # noqa: S608 - values are parameters
    "SELECT external_customer_id, timestamp, event_id, quantity, unique_value, dimensions, "
    "ingested_at FROM processed_events FINAL WHERE tenant_id = {tenant:String} "
    "AND environment_id = {environment:String} AND meter_id = {meter:String} AND "
) + _WHERE
# One row per part of a span: the span's place in the question, its customer and the part's bounds.
_SPANS = (
    "SELECT asked.1 AS span, {customers:Array(String)}[asked.2] AS customer, "
    "fromUnixTimestamp64Milli(asked.3, 'UTC') AS period_start, "
    "fromUnixTimestamp64Milli(asked.4, 'UTC') AS period_end FROM (SELECT arrayJoin(arrayZip("
    "{places:Array(UInt32)}, {owners:Array(UInt32)}, {starts:Array(Int64)}, "
    "{ends:Array(Int64)})) AS asked)"
)
# Which rows a question with a watermark sees.
_ACCEPTED = " AND ingested_at < {as_of:DateTime64(6, 'UTC')}"
_EDGES = "CAST(arrayCumSum({edges:Array(Int64)}), 'Array(Int64)')"


@dataclass(frozen=True, slots=True)
class Span:
    """What is asked about: a customer's events from `period.start` until before `period.end`.

    Events of the gaps do not count. They are left out before anything is aggregated, so that a
    value which occurs on both sides of a gap is one unique value.
    """

    external_customer_id: str
    period: Period
    gaps: tuple[Period, ...] = ()


@dataclass(frozen=True, slots=True)
class Usage:
    """One figure. `event_count` events counted; the last of them was accepted at `watermark`.

    `group` has the values of the dimensions asked for, None where an event had none. `window`
    is the part of the span that the figure is of; None: all of it.
    """

    quantity: Decimal
    event_count: int
    watermark: datetime | None
    group: tuple[str | None, ...] = ()
    window: Period | None = None


NOTHING = Usage(Decimal(0), 0, None)


class _Row(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    span: int
    group: list[str | None]
    window: int
    quantity: Decimal
    event_count: int
    watermark: datetime


async def totals(
    scope: Scope,
    clickhouse: ClickHouse,
    meter: Meter,
    spans: Sequence[Span],
    *,
    as_of: datetime | None = None,
) -> dict[Span, Usage]:
    """One figure per span; no usage is a figure of 0. Raises: Unavailable.

    With `as_of`, here and below: only what had been accepted before that instant counts.
    """
    found = await _ask(scope, clickhouse, meter, _Question(spans, as_of=as_of))
    return {span: found[span][0] if span in found else NOTHING for span in spans}


async def totals_of_meters(
    scope: Scope,
    clickhouse: ClickHouse,
    meters: Sequence[Meter],
    spans: Sequence[Span],
    *,
    as_of: datetime | None = None,
) -> dict[str, dict[Span, Usage]]:
    """`totals` of many meters by the meter's id, one query each. Raises: Unavailable."""
    answers = await asyncio.gather(
        *(totals(scope, clickhouse, meter, spans, as_of=as_of) for meter in meters)
    )
    return {meter.id: answer for meter, answer in zip(meters, answers, strict=True)}


async def grouped(
    scope: Scope,
    clickhouse: ClickHouse,
    meter: Meter,
    spans: Sequence[Span],
    *,
    group_by: Sequence[str],
    at_most: int | None = None,
    as_of: datetime | None = None,
) -> dict[Span, list[Usage]]:
    """The figures per span and combination of values that occurred, in order of the values.

    Raises: UnknownDimension, TooManyFigures (more than `at_most`), Unavailable.
    """
    question = _Question(spans, tuple(group_by), at_most=at_most, as_of=as_of)
    found = await _ask(scope, clickhouse, meter, question)
    return {span: found.get(span, []) for span in spans}


async def series(
    scope: Scope,
    clickhouse: ClickHouse,
    meter: Meter,
    spans: Sequence[Span],
    *,
    window: Window,
    zone: ZoneInfo,
    group_by: Sequence[str] = (),
    at_most: int | None = None,
    as_of: datetime | None = None,
) -> dict[Span, list[Usage]]:
    """The figures per span, window and group, in order of time; windows without usage are left
    out, and the first and last are cut to the span.

    Raises: UnknownDimension, TooManyWindows, TooManyFigures (more than `at_most`), Unavailable.
    """
    if not spans:
        return {}
    whole = Period(min(s.period.start for s in spans), max(s.period.end for s in spans))
    question = _Question(spans, tuple(group_by), windows(window, zone, whole), at_most, as_of)
    found = await _ask(scope, clickhouse, meter, question)
    return {span: found.get(span, []) for span in spans}


@dataclass(frozen=True, slots=True)
class _Question:
    spans: Sequence[Span]
    group_by: tuple[str, ...] = ()
    windows: Windows | None = None
    at_most: int | None = None
    as_of: datetime | None = None


async def _ask(
    scope: Scope, clickhouse: ClickHouse, meter: Meter, question: _Question
) -> dict[Span, list[Usage]]:
    for name in question.group_by:
        if name not in meter.dimensions:
            raise UnknownDimension(name, meter.id, meter.dimensions)
    query = _query(scope, meter, question)
    found: dict[Span, list[Usage]] = {}
    figures = 0
    distinct = list(dict.fromkeys(s for s in question.spans if s.period.without(s.gaps)))
    for spans in _portions(distinct, room=MAX_BYTES - size(query.parameters)):
        parameters = {**query.parameters, **_span_parameters(spans)}
        rows = await clickhouse.select(query.sql, parameters, row=_Row)
        figures += len(rows)
        if question.at_most is not None and figures > question.at_most:
            raise TooManyFigures(question.at_most)
        for row in rows:
            span = spans[row.span]
            found.setdefault(span, []).append(_figure(row, span, question.windows))
    return found


def _query(scope: Scope, meter: Meter, question: _Question) -> Query:
    accepted = "" if question.as_of is None else _ACCEPTED
    if meter.backfilled_at is None:
        rows = metered_rows(scope, meter, _WHERE + accepted, final=True)
    else:
        key = {"tenant": scope.tenant_id, "environment": scope.environment_id, "meter": meter.id}
        rows = Query(_METERED + accepted, key)
    parameters = dict(rows.parameters)
    if question.as_of is not None:
        parameters["as_of"] = question.as_of
    groups = []
    for index, name in enumerate(question.group_by):
        parameters[f"group{index}"] = name
        groups.append(f"dimensions[{{group{index}:String}}]")
    window = "0"
    if question.windows is not None:
        edges = [_milliseconds(edge) for edge in question.windows.edges]
        steps = [later - edge for edge, later in pairwise(edges)]
        parameters["edges"] = [edges[0], *steps]
        window = f"roundDown(toUnixTimestamp64Milli(timestamp), {_EDGES})"
    group = f"CAST([{', '.join(groups)}], 'Array(Nullable(String))')"
    limit = "" if question.at_most is None else f" LIMIT {question.at_most + 1:d}"
    return Query(
        f"SELECT span, {group} AS values, {window} AS start, {meter.aggregation.total_sql}, "  # noqa: S608
        f"count(), max(ingested_at) FROM ({rows.sql}) AS counted "
        f"INNER JOIN ({_SPANS}) AS spans ON counted.external_customer_id = spans.customer "
        "WHERE timestamp >= period_start AND timestamp < period_end "
        f"GROUP BY span, values, start ORDER BY span, start, values{limit}",
        parameters,
    )


def _span_parameters(spans: Sequence[Span]) -> dict[str, Parameter]:
    customers = list(dict.fromkeys(span.external_customer_id for span in spans))
    place = {customer: index + 1 for index, customer in enumerate(customers)}
    parts = [(i, s, part) for i, s in enumerate(spans) for part in s.period.without(s.gaps)]
    starts = [_milliseconds(part.start) for _, _, part in parts]
    ends = [_milliseconds(part.end) for _, _, part in parts]
    return {
        "customers": customers,
        "places": [index for index, _, _ in parts],
        "owners": [place[span.external_customer_id] for _, span, _ in parts],
        "starts": starts,
        "ends": ends,
        "earliest": min(starts),
        "latest": max(ends),
    }


def _portions(spans: list[Span], *, room: int) -> Iterator[list[Span]]:
    """The spans in as many parts as the size of a request asks for."""
    if not spans:
        return
    if len(spans) == 1 or size(_span_parameters(spans)) <= room:
        yield spans
        return
    middle = len(spans) // 2
    yield from _portions(spans[:middle], room=room)
    yield from _portions(spans[middle:], room=room)


def _figure(row: _Row, span: Span, cut: Windows | None) -> Usage:
    window = None
    if cut is not None:
        whole = cut.starting(_EPOCH + row.window * _MILLISECOND)
        window = whole.intersection(span.period)
    return Usage(row.quantity, row.event_count, row.watermark, tuple(row.group), window)


def _milliseconds(at: datetime) -> int:
    """The first full millisecond at or after `at`: events have no finer time."""
    return -((_EPOCH - at) // _MILLISECOND)
