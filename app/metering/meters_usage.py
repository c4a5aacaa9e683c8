"""How much was used of many meters, each with periods of its own, in one query.

For questions that are asked often and must be answered at once. Exact like `usage`: a meter that
is not backfilled yet is asked by itself, from the events.

Most of the time of so small a query goes into planning it. Where one customer is asked about, and
every meter once, the query is plain, which takes a third less than the general one with its join.
"""

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from msgspec import Struct

from app.infra.clickhouse import ClickHouse
from app.infra.clickhouse_parameters import MAX_BYTES, size
from app.kernel.scope import Scope
from app.metering import usage
from app.metering.counted_rows import OPEN, unix_milliseconds
from app.metering.derivation import Query
from app.metering.figure import NOTHING, Span, Usage
from app.metering.meter import Meter

# What is asked: a meter's id, and a span of its usage.
Asked = tuple[str, Span]

_WHERE = (
    "tenant_id = {tenant:String} AND environment_id = {environment:String} "
    "AND meter_id IN {meters:Array(String)} "
    "AND external_customer_id IN {customers:Array(String)} "
    "AND timestamp >= fromUnixTimestamp64Milli({earliest:Int64}, 'UTC') "
    "AND timestamp < fromUnixTimestamp64Milli({latest:Int64}, 'UTC') "
    f"AND {OPEN}"
)
# The bounds of the part of each meter, where it has one.
_WITHIN = (
    "toUnixTimestamp64Milli(timestamp) >= "
    "transform(meter_id, {meters:Array(String)}, {starts:Array(Int64)}, toInt64(0)) "
    "AND toUnixTimestamp64Milli(timestamp) < "
    "transform(meter_id, {meters:Array(String)}, {ends:Array(Int64)}, toInt64(0))"
)
# One row per part of what is asked.
_PARTS = (
    "SELECT asked.1 AS place, {meters:Array(String)}[asked.2] AS meter, "
    "{customers:Array(String)}[asked.3] AS customer, "
    "fromUnixTimestamp64Milli(asked.4, 'UTC') AS period_start, "
    "fromUnixTimestamp64Milli(asked.5, 'UTC') AS period_end FROM (SELECT arrayJoin(arrayZip("
    "{places:Array(UInt32)}, {counted:Array(UInt32)}, {owners:Array(UInt32)}, "
    "{starts:Array(Int64)}, {ends:Array(Int64)})) AS asked)"
)


class _Row(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    place: int
    totals: list[Decimal]
    event_count: int
    watermark: datetime


async def totals(
    scope: Scope, clickhouse: ClickHouse, meters: Mapping[str, Meter], asked: Iterable[Asked]
) -> dict[Asked, Usage]:
    """One figure for each; no usage is a figure of 0. `meters` has those asked, by their ids.

    One query for all meters that are backfilled, and one for each other. Raises: Unavailable.
    """
    distinct = list(dict.fromkeys(asked))
    ready = [each for each in distinct if meters[each[0]].backfilled_at is not None]
    others: dict[str, list[Span]] = {}
    for meter_id, span in distinct:
        if meters[meter_id].backfilled_at is None:
            others.setdefault(meter_id, []).append(span)
    together, *apart = await asyncio.gather(
        _together(scope, clickhouse, meters, ready),
        *(_alone(scope, clickhouse, meters[key], spans) for key, spans in others.items()),
    )
    found = {key: figure for answer in (together, *apart) for key, figure in answer.items()}
    return {each: found.get(each, NOTHING) for each in distinct}


async def _alone(
    scope: Scope, clickhouse: ClickHouse, meter: Meter, spans: Sequence[Span]
) -> dict[Asked, Usage]:
    found = await usage.totals(scope, clickhouse, meter, spans)
    return {(meter.id, span): figure for span, figure in found.items()}


async def _together(
    scope: Scope, clickhouse: ClickHouse, meters: Mapping[str, Meter], asked: Sequence[Asked]
) -> dict[Asked, Usage]:
    found: dict[Asked, Usage] = {}
    for portion in _portions([each for each in asked if not each[1].is_empty], room=MAX_BYTES):
        statement, totals_sql = query(scope, meters, portion)
        for row in await clickhouse.select(statement.sql, statement.parameters, row=_Row):
            meter_id, span = portion[row.place]
            total = row.totals[totals_sql.index(meters[meter_id].aggregation.total_sql)]
            found[meter_id, span] = Usage(total, row.event_count, row.watermark)
    return found


def query(
    scope: Scope, meters: Mapping[str, Meter], asked: Sequence[Asked]
) -> tuple[Query, list[str]]:
    """One row for each place in `asked` with events; the aggregates that each row has of them."""
    totals_sql = list(dict.fromkeys(meters[key].aggregation.total_sql for key, _ in asked))
    parameters = {
        "tenant": scope.tenant_id,
        "environment": scope.environment_id,
        **_parameters(asked),
    }
    once = len(parameters["meters"]) == len(parameters["places"])
    statement = _plain if once and len(parameters["customers"]) == 1 else _joined
    figures = f"[{', '.join(totals_sql)}], count(), max(ingested_at)"
    return Query(statement(figures), parameters), totals_sql


def _plain(figures: str) -> str:
    return (
        f"SELECT indexOf({{meters:Array(String)}}, meter_id) - 1 AS place, {figures} "  # noqa: S608
        f"FROM processed_events FINAL WHERE {_WHERE} AND {_WITHIN} GROUP BY meter_id"
    )


def _joined(figures: str) -> str:
    rows = (
        "SELECT meter_id, external_customer_id, timestamp, event_id, quantity, unique_value, "  # noqa: S608
        f"ingested_at FROM processed_events FINAL WHERE {_WHERE}"
    )
    return (
        f"SELECT place, {figures} FROM ({rows}) AS counted INNER JOIN ({_PARTS}) AS parts "  # noqa: S608
        "ON counted.meter_id = parts.meter AND counted.external_customer_id = parts.customer "
        "WHERE timestamp >= period_start AND timestamp < period_end GROUP BY place"
    )


def _parameters(asked: Sequence[Asked]) -> dict[str, Any]:
    """Meters, customers and parts in the order asked; places and owners count from 0 and 1."""
    meters = list(dict.fromkeys(meter_id for meter_id, _ in asked))
    meter_at = {meter_id: index for index, meter_id in enumerate(meters, start=1)}
    parts = [
        (place, meter_id, customer, part)
        for place, (meter_id, span) in enumerate(asked)
        for customer, part in span.parts
    ]
    customers = list(dict.fromkeys(customer for _, _, customer, _ in parts))
    customer_at = {customer: index for index, customer in enumerate(customers, start=1)}
    starts = [unix_milliseconds(part.start) for *_, part in parts]
    ends = [unix_milliseconds(part.end) for *_, part in parts]
    return {
        "meters": meters,
        "customers": customers,
        "places": [place for place, *_ in parts],
        "counted": [meter_at[meter_id] for _, meter_id, _, _ in parts],
        "owners": [customer_at[customer] for _, _, customer, _ in parts],
        "starts": starts,
        "ends": ends,
        "earliest": min(starts),
        "latest": max(ends),
    }


def _portions(asked: list[Asked], *, room: int) -> Iterator[list[Asked]]:
    """What is asked in as many parts as the size of a request asks for."""
    if not asked:
        return
    if len(asked) == 1 or size(_parameters(asked)) <= room - 1_000:
        yield asked
        return
    middle = len(asked) // 2
    yield from _portions(asked[:middle], room=room)
    yield from _portions(asked[middle:], room=room)
