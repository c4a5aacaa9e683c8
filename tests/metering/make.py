"""Events as the consumer stores them, and meters without a database behind them."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from app.kernel.ids import new_id
from app.kernel.period import Period
from app.kernel.scope import Scope
from app.metering import derivation
from app.metering.aggregations import Count
from app.metering.filters import Filters
from app.metering.meter import Meter, MeterStatus
from app.metering.usage import Span

T0 = datetime(2024, 3, 1, tzinfo=UTC)
MARCH = Period(T0, datetime(2024, 4, 1, tzinfo=UTC))


@dataclass
class Stored:
    """`properties` is the JSON text of the object, exactly as sent."""

    properties: str = "{}"
    at: datetime = T0 + timedelta(hours=1)
    customer: str = "acme"
    event_id: str = field(default_factory=lambda: new_id("evt"))
    name: str = "call"
    source: str = ""
    ingested_at: datetime = T0 + timedelta(days=60)


def row(scope, event: Stored, batch: str) -> bytes:
    envelope = {
        "tenant_id": scope.tenant_id,
        "environment_id": scope.environment_id,
        "event_id": event.event_id,
        "event_name": event.name,
        "external_customer_id": event.customer,
        "timestamp": _instant(event.at),
        "source": event.source,
        "ingested_at": _instant(event.ingested_at),
        "batch": batch,
    }
    raw = event.properties.encode()
    return orjson.dumps(envelope)[:-1] + b',"properties":' + raw + b',"fields":' + raw + b"}"


async def store(clickhouse, scope, events, *, batch: str | None = None) -> str:
    """Insert raw events in one batch and answer its id."""
    batch = batch or new_id("evt")
    body = b"\n".join(row(scope, event, batch) for event in events)
    if body:
        await clickhouse.insert("events", body, token=batch)
    return batch


async def process(clickhouse, scope, meters, events) -> None:
    """What the consumer does with a batch."""
    batch = await store(clickhouse, scope, events)
    await derivation.derive_batch(clickhouse, {scope: meters}, batch_ids=[batch])


def meter(aggregation=None, **fields: Any) -> Meter:
    """A backfilled meter of the events named `call`."""
    defaults: dict[str, Any] = {
        "id": new_id("mtr"),
        "name": "calls",
        "description": None,
        "event_name": "call",
        "aggregation": Count() if aggregation is None else aggregation,
        "filters": Filters(),
        "dimensions": (),
        "metadata": {},
        "status": MeterStatus.ACTIVE,
        "version": 1,
        "backfilled_at": T0,
        "created_at": T0,
        "updated_at": T0,
        "archived_at": None,
    }
    return Meter(**defaults | fields)


def span(customer: str = "acme", period: Period = MARCH) -> Span:
    return Span(customer, period)


def strangers(scope) -> list[Scope]:
    """Scopes that share one half with `scope`, and must see nothing of it."""
    return [
        Scope(scope.tenant_id, new_id("env")),
        Scope(new_id("ten"), scope.environment_id),
    ]


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
