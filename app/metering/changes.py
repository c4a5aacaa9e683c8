"""Which figures may have changed between two watermarks: what arrived late, or was corrected.

One query for an environment. It finds every cell, a meter's usage by a customer on a day or in a
month, of which a version began or ceased to hold in between; a figure whose cells are all absent
is the same as of both.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Literal

from msgspec import Struct

from app.infra.clickhouse import ClickHouse
from app.infra.clickhouse_parameters import MAX_BYTES, Parameter, size
from app.kernel.period import Period, add_units
from app.kernel.scope import Scope
from app.metering.derivation import Query, metered_rows, unions
from app.metering.meter import Meter

By = Literal["day", "month"]

# A question with a watermark counts what was accepted before it, so a version counts as of the
# later one and not of the earlier where its instant lies in [since, until).
_TOUCHED = (
    "((ingested_at >= {since:DateTime64(6, 'UTC')} AND ingested_at < {until:DateTime64(6, 'UTC')}) "
    "OR (superseded_at >= {since:DateTime64(6, 'UTC')} "
    "AND superseded_at < {until:DateTime64(6, 'UTC')}))"
)
_CELL: dict[By, str] = {"day": "toDate(timestamp)", "month": "toStartOfMonth(timestamp)"}


@dataclass(frozen=True, slots=True)
class Cell:
    """A meter's usage by a customer in a day or month of UTC."""

    meter_id: str
    external_customer_id: str
    period: Period


class _Row(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    meter_id: str
    external_customer_id: str
    start: date


async def between(
    scope: Scope,
    clickhouse: ClickHouse,
    meters: Sequence[Meter],
    *,
    since: datetime,
    until: datetime,
    by: By = "day",
) -> list[Cell]:
    """The cells of the meters whose usage as of `until` may differ from that as of `since`.

    In order of meter, customer and time. Ask once `until` is caught up. One query, or a few
    where many meters are not backfilled yet. Raises: Unavailable.
    """
    bounds: dict[str, Parameter] = {"since": since, "until": until}
    found: set[Cell] = set()
    for part in unions(iter(_sources(scope, meters)), room=MAX_BYTES - size(bounds)):
        sql = (
            f"SELECT DISTINCT meter_id, external_customer_id, {_CELL[by]} AS start "  # noqa: S608
            f"FROM ({part.sql})"
        )
        rows = await clickhouse.select(sql, {**part.parameters, **bounds}, row=_Row)
        found |= {_cell(row, by) for row in rows}
    return sorted(found, key=lambda c: (c.meter_id, c.external_customer_id, c.period.start))


def _sources(scope: Scope, meters: Sequence[Meter]) -> list[Query]:
    """The metered rows that began or ceased to hold, copies included: cells are told once."""
    sources = []
    if ready := [meter.id for meter in meters if meter.backfilled_at is not None]:
        sources.append(
            Query(
                "SELECT meter_id, external_customer_id, timestamp FROM processed_events "  # noqa: S608
                "WHERE tenant_id = {tenant:String} AND environment_id = {environment:String} "
                f"AND meter_id IN {{meters:Array(String)}} AND {_TOUCHED}",
                {
                    "tenant": scope.tenant_id,
                    "environment": scope.environment_id,
                    "meters": ready,
                },
            )
        )
    others = [meter for meter in meters if meter.backfilled_at is None]
    for index, meter in enumerate(others):
        rows = metered_rows(scope, meter, _TOUCHED, prefix=f"c{index}_")
        sql = f"SELECT meter_id, external_customer_id, timestamp FROM ({rows.sql})"  # noqa: S608
        sources.append(Query(sql, rows.parameters))
    return sources


def _cell(row: _Row, by: By) -> Cell:
    start = datetime(row.start.year, row.start.month, row.start.day, tzinfo=UTC)
    end = add_units(start.replace(tzinfo=None), by, 1).replace(tzinfo=UTC)
    return Cell(row.meter_id, row.external_customer_id, Period(start, end))
