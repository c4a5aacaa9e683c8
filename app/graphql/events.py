"""Accepted events in the graph."""

import json
import math
from collections.abc import Iterator
from datetime import datetime
from enum import Enum
from typing import Annotated, Any, Self

import strawberry
from strawberry import UNSET

from app.graphql.context import Info
from app.graphql.filters import (
    DateTimeFilter,
    EnumFilter,
    StringFilter,
    and_filters,
    not_filter,
    or_filters,
)
from app.graphql.paging import After, Before, Connection, Direction, First, Last, page_request
from app.graphql.permissions import requires
from app.graphql.scalars import JSON
from app.graphql.tenants.audit_log import ActorKind
from app.kernel.errors import NotFound
from app.kernel.listing import Condition, Where
from app.metering import history
from app.metering.event_versions import StoredEvent

_DIGITS = 308


@strawberry.enum(description="How a version of an event came about.")
class EventKind(Enum):
    ORIGINAL = strawberry.enum_value("original", description="As it was sent.")
    AMENDED = strawberry.enum_value("amended", description="A correction changed it.")
    VOIDED = strawberry.enum_value("voided", description="A correction made it count no more.")


@strawberry.type(
    description="A version of an accepted event. Versions never change; the newest counts, and "
    "what counted at any instant can be asked for."
)
class Event:
    event_id: str = strawberry.field(
        description="Its identity in the environment: of several sent with it the first won."
    )
    event_name: str = strawberry.field(description="What happened; meters choose by it.")
    external_customer_id: str = strawberry.field(description="Whose, in your own name for it.")
    timestamp: datetime = strawberry.field(description="When it happened, to the millisecond.")
    source: str = strawberry.field(description="Where it came from, as sent; may be empty.")
    properties_text: str = strawberry.field(
        description="The JSON object of its properties as it was sent, to the byte."
    )
    ingested_at: datetime = strawberry.field(
        description="When this version was accepted; it counts from then on."
    )
    version: int = strawberry.field(description="1 as it was sent; each correction adds one.")
    kind: EventKind = strawberry.field(description="How this version came about.")
    superseded_at: datetime | None = strawberry.field(
        description="When the next version took its place; null: it is the newest."
    )
    correction_id: str | None = strawberry.field(
        description="The correction it comes from; null for the event as sent."
    )
    reason: str | None = strawberry.field(
        description="Why it was corrected; null for the event as sent."
    )
    actor_kind: ActorKind | None = strawberry.field(
        description="What kind of actor corrected it; null for the event as sent."
    )
    actor_id: str | None = strawberry.field(
        description="Who corrected it; null for the event as sent."
    )

    @strawberry.field(description="All its versions, from the first on.")
    async def versions(self, info: Info) -> list["Event"]:
        rows = await info.context.load.event_versions.load(self.event_id)
        return [Event.of(row) for row in rows]

    @strawberry.field(
        description="Its properties. Numbers go through what JSON libraries make of them; "
        "`propertiesText` has every digit, and meters count by it."
    )
    def properties(self) -> JSON:
        return JSON(json.loads(self.properties_text, parse_float=_number, parse_int=_integer))

    @classmethod
    def of(cls, row: StoredEvent) -> Self:
        return cls(
            event_id=row.event_id,
            event_name=row.event_name,
            external_customer_id=row.external_customer_id,
            timestamp=row.timestamp,
            source=row.source,
            properties_text=row.properties,
            ingested_at=row.ingested_at,
            version=row.version,
            kind=EventKind(row.kind),
            superseded_at=row.superseded_at,
            correction_id=row.correction_id or None,
            reason=row.reason or None,
            actor_kind=ActorKind(row.actor_kind) if row.actor_kind else None,
            actor_id=row.actor_id or None,
        )


@strawberry.input(description="A property that events must have.")
class PropertyFilter:
    name: str = strawberry.field(description="Its name, at the top level.")
    eq: str = strawberry.field(description="Its text; of a number, the digits as sent.")

    def conditions(self, column: str, path: str) -> Iterator[Where]:
        yield Condition(column, "contains", {self.name: self.eq})


@strawberry.input(description="Which events to list; all conditions given must hold.")
class EventFilter:
    event_id: StringFilter | None = strawberry.field(description="By id.", default=UNSET)
    event_name: StringFilter | None = strawberry.field(description="By name.", default=UNSET)
    external_customer_id: StringFilter | None = strawberry.field(
        description="By customer, in your own names for them.", default=UNSET
    )
    source: StringFilter | None = strawberry.field(
        description="By where they came from.", default=UNSET
    )
    timestamp: DateTimeFilter | None = strawberry.field(
        description="By when they happened.", default=UNSET
    )
    ingested_at: DateTimeFilter | None = strawberry.field(
        description="By when they were accepted.", default=UNSET
    )
    kind: EnumFilter[EventKind] | None = strawberry.field(
        description="By how the newest version came about.", default=UNSET
    )
    properties: PropertyFilter | None = strawberry.field(description="By property.", default=UNSET)
    and_: list["EventFilter"] | None = and_filters()
    or_: list["EventFilter"] | None = or_filters()
    not_: "EventFilter | None" = not_filter()


@strawberry.enum(description="What events can be ordered by.")
class EventOrderField(Enum):
    TIMESTAMP = strawberry.enum_value("timestamp", description="When they happened.")
    INGESTED_AT = strawberry.enum_value("ingested_at", description="When they were accepted.")
    EVENT_NAME = strawberry.enum_value("event_name", description="Their name.")
    EVENT_ID = strawberry.enum_value("id", description="Their id.")


@strawberry.input(description="One key of the order of events.")
class EventOrder:
    field: EventOrderField = strawberry.field(description="What to order by.")
    direction: Direction = strawberry.field(description="Which way.", default=Direction.ASC)


@strawberry.type
class EventQuery:
    @strawberry.field(
        description="An accepted event by its id, in its newest version; null when the "
        "environment has none with it.",
        extensions=[requires("event:read")],
    )
    async def event(
        self,
        info: Info,
        event_id: Annotated[str, strawberry.argument(description="As it was sent.")],
    ) -> Event | None:
        context = info.context
        try:
            row = await history.get(context.scope, context.runtime.clickhouse, event_id)
        except NotFound:
            return None
        return Event.of(row)

    @strawberry.field(
        description="Accepted events, each once, in its newest version; voided ones too. The "
        "latest first unless ordered.",
        extensions=[requires("event:read")],
    )
    async def events(
        self,
        info: Info,
        *,
        filter: Annotated[
            EventFilter | None, strawberry.argument(description="Which ones; null: all.")
        ] = None,
        order_by: Annotated[
            list[EventOrder] | None,
            strawberry.argument(description="Keys of the order, the weightiest first."),
        ] = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[Event]:
        context = info.context
        request = page_request(
            info,
            filter=filter,
            order_by=order_by,
            first=first,
            after=after,
            last=last,
            before=before,
        )
        page = await history.page(context.scope, context.runtime.clickhouse, request)
        return Connection.of(page, Event.of)


def _integer(text: str) -> Any:
    """A whole number; one beyond every fraction stays text like it."""
    return int(text) if len(text) <= _DIGITS else text


def _number(text: str) -> Any:
    """A fraction as JSON can carry it; one too large for that stays text."""
    value = float(text)
    return value if math.isfinite(value) else text
