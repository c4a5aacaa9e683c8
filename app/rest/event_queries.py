"""Reading events over REST, in the shapes that clients of the event API send."""

from datetime import datetime, timedelta
from typing import Annotated, Any, Final, Literal

import orjson
from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import Response

from app.infra.clickhouse_parameters import within
from app.kernel.errors import Invalid, NotFound
from app.kernel.listing import And, Condition, Or, Order, Page, PageRequest, Where
from app.kernel.quantity import plain
from app.kernel.scope import Scope
from app.metering import history
from app.metering.event_trace import trace
from app.metering.event_versions import StoredEvent
from app.rest.event_bodies import MAX_QUERY_BYTES, answer, converted, decoded, read_body
from app.runtime import Runtime
from app.tenants.authentication import Caller

MAX_OFFSET: Final = 1_000
MAX_PAGE: Final = 100
_WEEK: Final = timedelta(days=7)

_Instant = Annotated[datetime, Meta(tz=True)]
_PageSize = Annotated[int, Meta(ge=1, le=MAX_PAGE)]
_Offset = Annotated[int, Meta(ge=0, le=MAX_OFFSET)]


class EventQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which events, of those that are not voided; the last seven days where no start is given.

    `iter_last_key` goes on after the page it came with, `iter_first_key` back before it.
    `property_filters` names properties, and for each the texts of which it must be one.
    """

    external_customer_id: str | None = None
    event_name: str | None = None
    event_id: str | None = None
    source: str | None = None
    start_time: _Instant | None = None
    end_time: _Instant | None = None
    property_filters: dict[str, list[str]] | None = None
    page_size: _PageSize = 50
    offset: _Offset = 0
    iter_first_key: str | None = None
    iter_last_key: str | None = None
    sort: Literal["timestamp", "ingested_at", "event_name"] = "timestamp"
    order: Literal["asc", "desc"] = "desc"
    count_total: bool = False


class LookUp(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One event, by `id` or, the same, `event_id`."""

    id: str | None = None
    event_id: str | None = None
    external_customer_id: str | None = None
    start_time: _Instant | None = None
    end_time: _Instant | None = None


class EventQueries:
    """Handles the reading routes. Permissions have been checked by then."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    async def page(self, request: Request, caller: Caller) -> Response:
        """200: a page of events, the latest first."""
        values: dict[str, Any] = dict(request.query_params)
        if "property_filters" in values:
            values["property_filters"] = _property_filters(values["property_filters"])
        return await self._page(caller.environment_scope, converted(values, EventQuery))

    async def search(self, request: Request, caller: Caller) -> Response:
        """200: the same, asked by a body."""
        body = await read_body(request, MAX_QUERY_BYTES)
        return await self._page(caller.environment_scope, decoded(body, EventQuery))

    async def get(self, request: Request, caller: Caller) -> Response:
        """200: one event and what became of it; 404 while it is not stored."""
        wanted = LookUp(id=request.path_params["id"])
        return await self._trace(caller.environment_scope, wanted)

    async def look_up(self, request: Request, caller: Caller) -> Response:
        """200: the same, by parameters."""
        wanted = converted(dict(request.query_params), LookUp)
        return await self._trace(caller.environment_scope, wanted)

    async def _trace(self, scope: Scope, wanted: LookUp) -> Response:
        event_id = wanted.id or wanted.event_id
        if not event_id:
            raise Invalid("id is required: the id of the event", field="id", code="MISSING_FIELD")
        found = await trace(scope, self._runtime.clickhouse, event_id)
        event = found.event
        if wanted.external_customer_id not in (None, event.external_customer_id):
            raise NotFound("event", event_id, field="id")
        metered = [
            {
                "meter_id": row.meter_id,
                "qty_total": plain(row.quantity),
                "processed_at": _instant(row.ingested_at),
            }
            for row in found.metered
        ]
        return answer(
            {"event": _shown(scope, event), "status": found.status, "processed_events": metered}
        )

    async def _page(self, scope: Scope, wanted: EventQuery) -> Response:
        where = _where(wanted, now=self._runtime.clock.now(scope))
        clickhouse = self._runtime.clickhouse
        after, ended = await self._skipped(scope, wanted, where)
        page: Page[StoredEvent] = Page([], False, False, None, [])
        if not ended:
            request = _request(wanted, where, after=after, size=wanted.page_size)
            page = await history.page(scope, clickhouse, request)
        total = None
        if wanted.count_total:
            total = await history.count(scope, clickhouse, PageRequest(where=where))
        return answer(
            {
                "events": [_shown(scope, row) for row in page.rows],
                "has_more": page.has_previous if wanted.iter_first_key else page.has_next,
                "iter_first_key": page.cursors[0] if page.rows else None,
                "iter_last_key": page.cursors[-1] if page.rows else None,
                "offset": wanted.offset,
                "total_count": total,
            }
        )

    async def _skipped(
        self, scope: Scope, wanted: EventQuery, where: Where
    ) -> tuple[str | None, bool]:
        """The cursor behind the first `offset` events, and whether there is nothing behind it.

        Walks there by pages, which the bound on the offset keeps few.
        """
        after, left = wanted.iter_last_key, wanted.offset
        while left:
            size = min(left, MAX_PAGE)
            request = _request(wanted, where, after=after, size=size)
            page = await history.page(scope, self._runtime.clickhouse, request)
            if not page.has_next:
                return None, True
            after, left = page.cursors[-1], left - size
        return after, False


def _where(wanted: EventQuery, *, now: datetime) -> Where:
    start = wanted.start_time or within(wanted.end_time or now) - _WEEK
    parts: list[Where] = [
        Condition("timestamp", "gte", start),
        Condition("kind", "ne", "voided"),
    ]
    if wanted.end_time is not None:
        parts.append(Condition("timestamp", "lt", wanted.end_time))
    for name in ("external_customer_id", "event_name", "event_id", "source"):
        if (value := getattr(wanted, name)) is not None:
            parts.append(Condition(name, "eq", value))
    for name, values in (wanted.property_filters or {}).items():
        wanted_texts = (Condition("properties", "contains", {name: text}) for text in values)
        parts.append(Or(tuple(wanted_texts)))
    return And(tuple(parts))


def _request(wanted: EventQuery, where: Where, *, after: str | None, size: int) -> PageRequest:
    order = (Order(wanted.sort, descending=wanted.order == "desc"),)
    if wanted.iter_first_key is None:
        return PageRequest(first=size, after=after, where=where, order=order)
    if wanted.iter_last_key is not None or wanted.offset:
        raise Invalid(
            "iter_first_key goes alone; leave out iter_last_key and offset",
            field="iter_first_key",
            code="INVALID_PAGE",
        )
    return PageRequest(last=size, before=wanted.iter_first_key, where=where, order=order)


def _property_filters(text: str) -> dict[str, list[str]]:
    """`name:value,value;name:value`, as the parameter of a query spells them."""
    filters: dict[str, list[str]] = {}
    for part in filter(None, text.split(";")):
        name, colon, values = part.partition(":")
        if not (name and colon and values):
            raise Invalid(
                f"{part!r} is not a filter; expected name:value,value;name:value",
                field="property_filters",
                code="INVALID_FILTER",
            )
        filters.setdefault(name, []).extend(values.split(","))
    return filters


def _shown(scope: Scope, event: StoredEvent) -> dict[str, Any]:
    return {
        "id": event.event_id,
        "event_name": event.event_name,
        "external_customer_id": event.external_customer_id,
        "environment_id": scope.environment_id,
        "timestamp": _instant(event.timestamp),
        "source": event.source,
        # As sent, to the digit: reading and writing it again would round its numbers.
        "properties": orjson.Fragment(event.properties),
        "ingested_at": _instant(event.ingested_at),
        "version": event.version,
        "kind": event.kind,
    }


def _instant(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
