"""The events that were accepted, as they stand now: pages of them, how many, one by its id.

An event stands as its newest version says; all versions are in `event_versions.py`.
"""

from collections.abc import Iterator, Sequence

from msgspec import Struct

from app.infra.clickhouse import ClickHouse
from app.infra.clickhouse_parameters import Places
from app.infra.listing import Column, Listing, Order, Page, PageRequest
from app.kernel.errors import NotFound
from app.kernel.scope import Scope
from app.metering import event_versions
from app.metering.counted_rows import OPEN
from app.metering.event_versions import SELECT, StoredEvent
from app.metering.history_filters import where_sql
from app.metering.keyset import Slice, sliced

LISTING = Listing(
    table="events",
    columns=(
        Column("id", "id", sql="event_id", sortable=True),
        Column("event_id", "string"),
        Column("event_name", "string", sortable=True),
        Column("external_customer_id", "string"),
        Column("source", "string"),
        Column("kind", "enum", sql="toString(kind)"),
        Column("timestamp", "datetime", sortable=True),
        Column("ingested_at", "datetime", sortable=True),
        Column("properties", "json", sql="fields"),
    ),
    default_order=(Order("timestamp", descending=True),),
)


class _Count(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    value: int


async def page(scope: Scope, clickhouse: ClickHouse, request: PageRequest) -> Page[StoredEvent]:
    """One page of the events of the scope, the latest first unless ordered otherwise.

    A filter on `properties` takes `contains` with a mapping: the text of each property.
    Raises: Invalid (INVALID_PAGE, INVALID_CURSOR, INVALID_FILTER, FILTER_TOO_LARGE,
    INVALID_ORDER), Unavailable.
    """
    places = Places()
    part = sliced(LISTING, request, places)
    predicates = [*_newest(scope, places), *_predicates(scope, request, places), *part.predicates]
    found: list[StoredEvent] = []
    if part.size:
        found = await _distinct(clickhouse, part, predicates, places)
    total = await count(scope, clickhouse, request) if request.with_total else None
    return part.page(found, total)


async def count(scope: Scope, clickhouse: ClickHouse, request: PageRequest) -> int:
    """How many events the request's filter finds. Raises: Invalid, Unavailable."""
    places = Places()
    where = " AND ".join([OPEN, *_predicates(scope, request, places)])
    sql = f"SELECT count() FROM events FINAL WHERE {where}"  # noqa: S608 - values are parameters
    return (await clickhouse.select(sql, places.values, row=_Count))[0].value


async def get(scope: Scope, clickhouse: ClickHouse, event_id: str) -> StoredEvent:
    """Raises: NotFound, Unavailable."""
    versions = (await event_versions.by_event(scope, clickhouse, [event_id])).get(event_id)
    if not versions:
        raise NotFound("event", event_id, field="id")
    return versions[-1]


async def _distinct(
    clickhouse: ClickHouse, part: Slice, predicates: Sequence[str], places: Places
) -> list[StoredEvent]:
    """The events of the page and one more, copies of one event counted once."""
    where, limit = " AND ".join(predicates), part.size + 1
    rows: list[StoredEvent] = []
    # Copies are rare, and collapsing them on the server costs five times the page. Only a page
    # with more copies than events is asked for again in that way.
    for source, most in (("", 2 * limit), (" FINAL", limit)):
        sql = f"{SELECT}{source} WHERE {where} ORDER BY {part.order} LIMIT {most}"
        found = await clickhouse.select(sql, places.values, row=StoredEvent)
        rows = list(_each_once(found))
        if len(rows) >= limit or len(found) < most:
            break
    return rows[:limit]


def _each_once(rows: Sequence[StoredEvent]) -> Iterator[StoredEvent]:
    """The rows without copies; a version that another takes the place of just now counts as one."""
    newest: dict[str, int] = {}
    for row in rows:
        newest[row.event_id] = max(row.version, newest.get(row.event_id, 0))
    for row in rows:
        if newest.get(row.event_id) == row.version:
            del newest[row.event_id]
            yield row


def _newest(scope: Scope, places: Places) -> list[str]:
    """Which rows are newest versions, told without collapsing the copies of all others."""
    where = " AND ".join(_scoped(scope, places))
    return [
        OPEN,
        "(event_id, version) NOT IN (SELECT event_id, toUInt32(version - 1) "  # noqa: S608 - ours
        f"FROM event_corrections WHERE {where})",
    ]


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
