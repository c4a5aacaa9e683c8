"""What became of one event: whether it counts yet, and for which meters."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Literal

from msgspec import Struct

from app.infra.clickhouse import ClickHouse
from app.kernel.scope import Scope
from app.metering import history
from app.metering.event_versions import StoredEvent

Status = Literal["processed", "processing"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_METERED = (
    "SELECT meter_id, quantity, ingested_at FROM processed_events FINAL "
    "WHERE tenant_id = {tenant:String} AND environment_id = {environment:String} "
    "AND external_customer_id = {customer:String} "
    "AND timestamp = fromUnixTimestamp64Milli({at:Int64}, 'UTC') AND event_id = {id:String} "
    "AND version = {version:UInt32} AND superseded_at = toDateTime64(0, 3, 'UTC') "
    "ORDER BY meter_id"
)
_ACCEPTED = (
    "SELECT count() FROM event_ids WHERE tenant_id = {tenant:String} "
    "AND environment_id = {environment:String} AND event_id = {id:String}"
)


class Metered(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """The event counts for the meter with this quantity."""

    meter_id: str
    quantity: Decimal
    ingested_at: datetime


class _Count(Struct, array_like=True, frozen=True):
    value: int


@dataclass(frozen=True, slots=True)
class Trace:
    """`processing` while the batch that brought the event is not settled yet.

    `metered` is what its newest version counts for.
    """

    event: StoredEvent
    status: Status
    metered: list[Metered]


async def trace(scope: Scope, clickhouse: ClickHouse, event_id: str) -> Trace:
    """Raises: NotFound (never sent, or not stored yet), Unavailable."""
    event = await history.get(scope, clickhouse, event_id)
    key = {"tenant": scope.tenant_id, "environment": scope.environment_id, "id": event_id}
    [accepted] = await clickhouse.select(_ACCEPTED, key, row=_Count)
    metered = await clickhouse.select(
        _METERED,
        {
            **key,
            "customer": event.external_customer_id,
            "version": event.version,
            "at": (event.timestamp - _EPOCH) // timedelta(milliseconds=1),
        },
        row=Metered,
    )
    return Trace(event, "processed" if accepted.value else "processing", metered)
