"""The very events behind a figure: pages of them, with what each adds to it.

They are the rows that the figure's own query aggregates, so their count is its count, and what
they add comes to its quantity.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal

from msgspec import Struct

from app.infra.clickhouse import ClickHouse
from app.infra.clickhouse_parameters import Parameter, Places
from app.infra.listing import Column, Listing, Order, Page, PageRequest
from app.kernel.scope import Scope
from app.metering.counted_rows import counted_rows, unix_milliseconds
from app.metering.derivation import Query
from app.metering.errors import UnknownDimension
from app.metering.figure import Span
from app.metering.filters import RowOf
from app.metering.keyset import sliced
from app.metering.meter import Meter
from app.metering.questions import matches

LISTING = Listing(
    table="usage_events",
    columns=(
        Column("id", "id", sql="event_id", sortable=True),
        Column("timestamp", "datetime", sortable=True),
    ),
    default_order=(Order("timestamp"),),
)
# A row counts where it lies in a part of one of the spans.
_WITHIN = (
    "external_customer_id IN {customers:Array(String)} AND arrayExists((owner, since, until) -> "
    "external_customer_id = {customers:Array(String)}[owner] "
    "AND timestamp >= fromUnixTimestamp64Milli(since, 'UTC') "
    "AND timestamp < fromUnixTimestamp64Milli(until, 'UTC'), "
    "{owners:Array(UInt32)}, {starts:Array(Int64)}, {ends:Array(Int64)}) "
    "AND timestamp >= fromUnixTimestamp64Milli({earliest:Int64}, 'UTC') "
    "AND timestamp < fromUnixTimestamp64Milli({latest:Int64}, 'UTC')"
)


class CountedEvent(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """An event that counts, by the version that does, and what it adds to the figure.

    The values of a COUNT_UNIQUE meter are added by the first event that has each, in the order
    of (timestamp, event_id); further ones add 0.
    """

    event_id: str
    timestamp: datetime
    external_customer_id: str
    quantity: Decimal
    version: int
    ingested_at: datetime

    @property
    def id(self) -> str:
        return self.event_id


class _Count(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    value: int


async def page(
    scope: Scope,
    clickhouse: ClickHouse,
    meter: Meter,
    spans: Sequence[Span],
    *,
    request: PageRequest,
    group: Mapping[str, str | None] | None = None,
    of: RowOf | None = None,
    as_of: datetime | None = None,
) -> Page[CountedEvent]:
    """One page of the events that the figure of the spans together is made of, by time and id.

    `group` gives dimensions the value that the events have, None where they had none; `of` names
    the row of matches that they belong to.
    Raises: UnknownDimension, Invalid (INVALID_PAGE, INVALID_CURSOR), Unavailable.
    """
    places = Places()
    part = sliced(LISTING, request, places)
    rows = _rows(scope, meter, spans, group or {}, of=of, as_of=as_of)
    found: list[CountedEvent] = []
    total = None
    if rows is not None and part.size:
        sql = (
            "SELECT event_id, timestamp, external_customer_id, contributed, version, "  # noqa: S608
            f"ingested_at FROM (SELECT *, {meter.aggregation.contribution_sql} AS contributed "
            f"FROM ({rows.sql})) WHERE {' AND '.join(part.predicates) or '1'} "
            f"ORDER BY {part.order} LIMIT {part.size + 1}"
        )
        parameters = {**rows.parameters, **places.values}
        found = await clickhouse.select(sql, parameters, row=CountedEvent)
    if request.with_total:
        total = 0 if rows is None else await _count(clickhouse, rows)
    return part.page(found, total)


async def _count(clickhouse: ClickHouse, rows: Query) -> int:
    sql = f"SELECT count() FROM ({rows.sql})"  # noqa: S608 - values are parameters
    return (await clickhouse.select(sql, rows.parameters, row=_Count))[0].value


def _rows(
    scope: Scope,
    meter: Meter,
    spans: Sequence[Span],
    group: Mapping[str, str | None],
    *,
    of: RowOf | None,
    as_of: datetime | None,
) -> Query | None:
    """The metered rows of the figure; None where the spans have no length."""
    places = Places("g")
    wanted = [] if of is None else list(_belongs(of, places))
    for name, value in group.items():
        if name not in meter.dimensions:
            raise UnknownDimension(name, meter.id, meter.dimensions, field="group")
        dimension = f"dimensions[{places.add(name, 'String')}]"
        if value is None:
            wanted.append(f"isNull({dimension})")
        else:
            wanted.append(f"ifNull({dimension} = {places.add(value, 'String')}, 0)")
    bounds = _bounds(spans)
    if bounds is None:
        return None
    rows = counted_rows(scope, meter, _WITHIN, as_of=as_of)
    return Query(
        f"SELECT * FROM ({rows.sql}) WHERE {' AND '.join(wanted) or '1'}",  # noqa: S608 - ours
        {**rows.parameters, **bounds, **places.values},
    )


def _belongs(of: RowOf, places: Places) -> Iterator[str]:
    before = of.rows if of.index is None else of.rows[: of.index]
    if of.index is not None:
        yield matches(of.rows[of.index], places)
    yield from (f"NOT {matches(row, places)}" for row in before)


def _bounds(spans: Sequence[Span]) -> dict[str, Parameter] | None:
    found = [each for span in spans for each in span.parts if each[1].length]
    customers = list(dict.fromkeys(customer for customer, _ in found))
    place = {customer: index + 1 for index, customer in enumerate(customers)}
    parts = [(place[customer], part) for customer, part in found]
    if not parts:
        return None
    starts = [unix_milliseconds(part.start) for _, part in parts]
    ends = [unix_milliseconds(part.end) for _, part in parts]
    return {
        "customers": customers,
        "owners": [owner for owner, _ in parts],
        "starts": starts,
        "ends": ends,
        "earliest": min(starts),
        "latest": max(ends),
    }
