"""The events that were accepted, as they were sent: pages of them, how many, one by its id."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from msgspec import Struct

from app.infra.clickhouse import ClickHouse
from app.infra.clickhouse_parameters import Places
from app.infra.listing import Column, Listing, Order, Page, PageRequest
from app.infra.listing.cursors import Cursors, Key, decode, order_keys, signature
from app.kernel.errors import NotFound
from app.kernel.scope import Scope
from app.metering.history_filters import where_sql

LISTING = Listing(
    table="events",
    columns=(
        Column("id", "id", sql="event_id", sortable=True),
        Column("event_id", "string"),
        Column("event_name", "string", sortable=True),
        Column("external_customer_id", "string"),
        Column("source", "string"),
        Column("timestamp", "datetime", sortable=True),
        Column("ingested_at", "datetime", sortable=True),
        Column("properties", "json", sql="fields"),
    ),
    default_order=(Order("timestamp", descending=True),),
)
_TYPES = {"id": "String", "string": "String", "datetime": "DateTime64(6, 'UTC')"}


class StoredEvent(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """An accepted event. `properties` is the JSON object as it was sent, to the byte."""

    event_id: str
    event_name: str
    external_customer_id: str
    timestamp: datetime
    source: str
    properties: str
    ingested_at: datetime

    @property
    def id(self) -> str:
        return self.event_id


class _Count(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    value: int


_SELECT = (
    "SELECT event_id, event_name, external_customer_id, timestamp, source, properties, "
    "ingested_at FROM events"
)


async def page(scope: Scope, clickhouse: ClickHouse, request: PageRequest) -> Page[StoredEvent]:
    """One page of the events of the scope, the latest first unless ordered otherwise.

    A filter on `properties` takes `contains` with a mapping: the text of each property.
    Raises: Invalid (INVALID_PAGE, INVALID_CURSOR, INVALID_FILTER, FILTER_TOO_LARGE,
    INVALID_ORDER), Unavailable.
    """
    size, backwards = request.span()
    keys = order_keys(LISTING, request.order)
    places = Places()
    predicates = _predicates(scope, request, places)
    directed = [(column, down != backwards) for column, down in keys]
    cursor, field = (request.before, "before") if backwards else (request.after, "after")
    if cursor is not None:
        at = decode(LISTING, keys, cursor, field)
        predicates.append(_beyond(directed, at, places))
    found: list[StoredEvent] = []
    if size:
        found = await _distinct(clickhouse, predicates, directed, places, limit=size + 1)
    rows = found[:size][::-1] if backwards else found[:size]
    total = await count(scope, clickhouse, request) if request.with_total else None
    more = len(found) > size
    return Page(
        rows=rows,
        has_next=request.before is not None if backwards else more,
        has_previous=more if backwards else request.after is not None,
        total=total,
        cursors=Cursors(
            signature(LISTING, keys), [[getattr(row, c.field) for c, _ in keys] for row in rows]
        ),
    )


async def count(scope: Scope, clickhouse: ClickHouse, request: PageRequest) -> int:
    """How many events the request's filter finds. Raises: Invalid, Unavailable."""
    places = Places()
    where = " AND ".join(_predicates(scope, request, places))
    sql = f"SELECT count() FROM events FINAL WHERE {where}"  # noqa: S608 - values are parameters
    return (await clickhouse.select(sql, places.values, row=_Count))[0].value


async def get(scope: Scope, clickhouse: ClickHouse, event_id: str) -> StoredEvent:
    """Raises: NotFound, Unavailable."""
    places = Places()
    predicates = [*_scoped(scope, places), f"event_id = {places.add(event_id, 'String')}"]
    sql = f"{_SELECT} WHERE {' AND '.join(predicates)} ORDER BY ingested_at LIMIT 1"
    rows = await clickhouse.select(sql, places.values, row=StoredEvent)
    if not rows:
        raise NotFound("event", event_id, field="id")
    return rows[0]


async def _distinct(
    clickhouse: ClickHouse,
    predicates: Sequence[str],
    keys: Sequence[Key],
    places: Places,
    *,
    limit: int,
) -> list[StoredEvent]:
    """The first `limit` events in the order of the keys, copies of one event counted once."""
    where = " AND ".join(predicates)
    order = ", ".join(f"{column.expression} {'DESC' if down else 'ASC'}" for column, down in keys)
    rows: list[StoredEvent] = []
    # Copies are rare, and collapsing them on the server costs five times the page. Only a page
    # with more copies than events is asked for again in that way.
    for source, most in (("", 2 * limit), (" FINAL", limit)):
        sql = f"{_SELECT}{source} WHERE {where} ORDER BY {order} LIMIT {most}"
        found = await clickhouse.select(sql, places.values, row=StoredEvent)
        rows = list({row.event_id: row for row in found}.values())
        if len(rows) >= limit or len(found) < most:
            break
    return rows[:limit]


def _predicates(scope: Scope, request: PageRequest, places: Places) -> list[str]:
    predicates = _scoped(scope, places)
    if request.where is not None:
        predicates.append(f"({where_sql(LISTING, request.where, places)})")
    return predicates


def _scoped(scope: Scope, places: Places) -> list[str]:
    return [
        f"tenant_id = {places.add(scope.tenant_id, 'String')}",
        f"environment_id = {places.add(scope.environment_id, 'String')}",
    ]


def _beyond(keys: Sequence[Key], at: Sequence[Any], places: Places) -> str:
    """The rows after the one at which the keys have the values `at`."""
    predicate = "0"
    for (column, down), value in reversed(list(zip(keys, at, strict=True))):
        place = places.add(value, _TYPES[column.kind])
        after = f"{column.expression} {'<' if down else '>'} {place}"
        predicate = f"({after} OR ({column.expression} = {place} AND {predicate}))"
    return predicate
