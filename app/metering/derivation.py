"""From events to metered rows, in SQL: one form for the stream, the backfill and the count.

A metered row says that one version of an event counts for one meter, with which quantity, and
from when until when. It is a function of the version and the meter alone, so deriving it twice
gives equal rows, which collapse; derived anew of a version that has been superseded meanwhile, it
takes the place of the row that was open. Voided versions have none.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from msgspec import Struct

from app.infra.clickhouse import ClickHouse
from app.infra.clickhouse_parameters import MAX_BYTES, Parameter, Places, size
from app.kernel.scope import Scope
from app.metering.filters import Match
from app.metering.meter import Meter

# One statement derives for so many meters at most, each by a scan of its own events.
MAX_METERS = 40
BACKFILL_SECONDS = 3600.0

_COLUMNS = (
    "tenant_id, environment_id, meter_id, external_customer_id, timestamp, event_id, quantity, "
    "unique_value, dimensions, ingested_at, version, superseded_at"
)
_INSERT = f"INSERT INTO processed_events ({_COLUMNS})\n"


@dataclass(frozen=True, slots=True)
class Query:
    """SQL with the values of its parameters."""

    sql: str
    parameters: Mapping[str, Parameter]


class _Month(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    month: int


def metered_rows(
    scope: Scope, meter: Meter, where: str = "1", *, final: bool = False, prefix: str = "m_"
) -> Query:
    """SELECT of the metered rows of the versions of the meter's events that meet `where`.

    `where` is SQL of ours over the columns of `events`; its parameters are the caller's.
    `final` collapses the copies of an event first.
    """
    places = Places(prefix)
    name = meter.aggregation.property
    value = "''" if name is None else _field(name, places)
    dimensions = "CAST(map(), 'Map(String, Nullable(String))')"
    if meter.dimensions:
        names = places.add(list(meter.dimensions), "Array(String)")
        dimensions = f"mapFilter((k, v) -> has({names}, k), fields)"
    predicates = [
        f"tenant_id = {places.add(scope.tenant_id, 'String')}",
        f"environment_id = {places.add(scope.environment_id, 'String')}",
        f"event_name = {places.add(meter.event_name, 'String')}",
        "kind != 'voided'",
        f"({where})",
        *_filters(meter, places),
    ]
    sql = (
        "SELECT tenant_id, environment_id, "
        f"{places.add(meter.id, 'String')} AS meter_id, external_customer_id, timestamp, event_id, "
        "assumeNotNull(counted) AS quantity, unique_value, dimensions, ingested_at, version, "
        "superseded_at\n"
        "FROM (SELECT tenant_id, environment_id, external_customer_id, timestamp, event_id, "
        f"ingested_at, version, superseded_at, {meter.aggregation.quantity_sql(value)} AS counted, "
        f"{meter.aggregation.unique_sql(value)} AS unique_value, {dimensions} AS dimensions\n"
        f"FROM events{' FINAL' if final else ''} WHERE {' AND '.join(predicates)})\n"
        "WHERE isNotNull(counted)"
    )
    return Query(sql, places.values)


async def derive_batch(
    clickhouse: ClickHouse,
    meters: Mapping[Scope, Sequence[Meter]],
    *,
    batch_ids: Sequence[str],
) -> None:
    """Store the metered rows of the events that came with these batches, and of no others.

    `meters` must have been read after the batches were inserted: a meter created meanwhile
    backfills them itself. Harmless when it runs twice. Raises: Unavailable.
    """
    if not batch_ids:
        return
    batches: dict[str, Parameter] = {"batches": list(batch_ids)}
    where = "batch IN {batches:Array(String)}"
    selects = (
        metered_rows(scope, meter, where, prefix=f"m{index}_")
        for index, (scope, meter) in enumerate(
            (scope, meter) for scope, group in meters.items() for meter in group
        )
    )
    for statement in unions(selects, room=MAX_BYTES - size(batches)):
        await clickhouse.execute(_INSERT + statement.sql, {**statement.parameters, **batches})


async def backfill(scope: Scope, clickhouse: ClickHouse, meter: Meter) -> None:
    """Store the metered rows of all events stored so far, month by month.

    Harmless when it runs twice, or beside the stream. Raises: Unavailable.
    """
    months = await clickhouse.select(
        "SELECT DISTINCT toYYYYMM(timestamp) AS month FROM events WHERE "
        "tenant_id = {tenant:String} AND environment_id = {environment:String} "
        "AND event_name = {event_name:String} ORDER BY month",
        {
            "tenant": scope.tenant_id,
            "environment": scope.environment_id,
            "event_name": meter.event_name,
        },
        row=_Month,
    )
    select = metered_rows(scope, meter, "toYYYYMM(timestamp) = {month:UInt32}")
    for row in months:
        await clickhouse.execute(
            _INSERT + select.sql,
            {**select.parameters, "month": row.month},
            seconds=BACKFILL_SECONDS,
        )


def _filters(meter: Meter, places: Places) -> Iterator[str]:
    """The predicates of the meter's filters; each is true or false, never NULL."""
    filters = meter.filters
    for match in filters.include:
        yield _match(match, places)
    for entry in filters.exclude:
        yield "NOT (" + " AND ".join(_match(match, places) for match in entry) + ")"
    for name in filters.present:
        yield f"isNotNull({_field(name, places)})"
    for name in filters.absent:
        yield f"isNull({_field(name, places)})"


def _field(name: str, places: Places) -> str:
    """The text of a property; NULL where it is absent or null."""
    return f"fields[{places.add(name, 'String')}]"


def _match(match: Match, places: Places) -> str:
    values = places.add(list(match.values), "Array(String)")
    return f"ifNull({_field(match.property, places)} IN {values}, 0)"


def unions(selects: Iterator[Query], *, room: int) -> Iterator[Query]:
    """As few statements as their parameters' size and the number of meters allow."""
    parts: list[str] = []
    parameters: dict[str, Parameter] = {}
    for select in selects:
        full = len(parts) == MAX_METERS or size({**parameters, **select.parameters}) > room
        if parts and full:
            yield Query("\nUNION ALL\n".join(parts), parameters)
            parts, parameters = [], {}
        parts.append(select.sql)
        parameters.update(select.parameters)
    if parts:
        yield Query("\nUNION ALL\n".join(parts), parameters)
