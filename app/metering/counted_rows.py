"""The metered rows that a figure is made of: each event once, by the version that holds.

A version holds from its acceptance until before that of the next one. So what held at any
instant can be asked for ever after, whatever has arrived since.
"""

from datetime import UTC, datetime, timedelta

from app.infra.clickhouse_parameters import Parameter
from app.kernel.scope import Scope
from app.metering.derivation import Query, metered_rows
from app.metering.meter import Meter

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Of rows without copies: the versions that hold now.
OPEN = "superseded_at = toDateTime64(0, 3, 'UTC')"
_HELD = (
    "ingested_at < {as_of:DateTime64(6, 'UTC')} "
    f"AND ({OPEN} OR superseded_at >= {{as_of:DateTime64(6, 'UTC')}})"
)
_METERED = (
    "SELECT external_customer_id, timestamp, event_id, quantity, unique_value, dimensions, "
    "ingested_at, version FROM processed_events FINAL WHERE tenant_id = {tenant:String} "
    "AND environment_id = {environment:String} AND meter_id = {meter:String} AND "
)


def unix_milliseconds(at: datetime) -> int:
    """The first full millisecond at or after `at`: events have no finer time."""
    return -((_EPOCH - at) // timedelta(milliseconds=1))


def holding(as_of: datetime | None) -> Query:
    """The predicate of the versions that hold now, or held as of a watermark.

    Over `ingested_at` and `superseded_at`, of rows without copies: read with FINAL.
    """
    return Query(OPEN, {}) if as_of is None else Query(_HELD, {"as_of": as_of})


def counted_rows(scope: Scope, meter: Meter, where: str, *, as_of: datetime | None = None) -> Query:
    """SELECT of the rows that meet `where`, with at least the columns of a metered row beyond
    scope and meter. `where` is SQL of ours over `external_customer_id`, `timestamp` and
    `event_id`; its parameters are the caller's.

    Until the meter is backfilled they come from the events themselves.
    """
    held = holding(as_of)
    where = f"{where} AND {held.sql}"
    if meter.backfilled_at is None:
        rows = metered_rows(scope, meter, where, final=True)
        return Query(rows.sql, {**rows.parameters, **held.parameters})
    key: dict[str, Parameter] = {
        "tenant": scope.tenant_id,
        "environment": scope.environment_id,
        "meter": meter.id,
    }
    return Query(_METERED + where, {**key, **held.parameters})
