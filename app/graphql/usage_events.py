"""The events behind a figure in the graph."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Self

import strawberry

from app.graphql.context import Info
from app.graphql.events import Event
from app.graphql.paging import After, Before, Connection, First, Last, page_request
from app.graphql.permissions import requires
from app.graphql.usage import AsOf, PeriodInput
from app.kernel.errors import Invalid, NotFound
from app.kernel.period import Period
from app.metering import reads, usage_events
from app.metering.usage import Span
from app.metering.usage_events import CountedEvent


@strawberry.type(description="An event that a figure counts, and what it adds to it.")
class UsageEvent:
    event_id: str = strawberry.field(description="Which event.")
    timestamp: datetime = strawberry.field(description="When it happened.")
    external_customer_id: str = strawberry.field(description="Whose it is, in your own name.")
    quantity: Decimal = strawberry.field(
        description="What it adds. Of a COUNT_UNIQUE meter the first event with a value adds 1, "
        "further ones 0."
    )
    version: int = strawberry.field(description="Which of its versions counts.")
    ingested_at: datetime = strawberry.field(description="When that version was accepted.")

    @strawberry.field(
        description="The version that counts, with its properties.",
        extensions=[requires("event:read")],
    )
    async def event(self, info: Info) -> Event:
        versions = await info.context.load.event_versions.load(self.event_id)
        return Event.of(next(one for one in versions if one.version == self.version))

    @classmethod
    def of(cls, row: CountedEvent) -> Self:
        return cls(
            event_id=row.event_id,
            timestamp=row.timestamp,
            external_customer_id=row.external_customer_id,
            quantity=row.quantity,
            version=row.version,
            ingested_at=row.ingested_at,
        )


@strawberry.input(description="The value that events have of a dimension.")
class DimensionValueInput:
    name: str = strawberry.field(description="A dimension that the meter keeps.")
    value: str | None = strawberry.field(
        description="Its text; null: events that did not have it.", default=None
    )


@strawberry.type
class UsageEventsQuery:
    @strawberry.field(
        description="The very events that a figure of `usage` is made of, by time and id: as "
        "many as its `eventCount`, and their quantities add up to its `quantity`.",
        extensions=[requires("usage:read")],
    )
    async def usage_events(
        self,
        info: Info,
        *,
        meter_id: Annotated[strawberry.ID, strawberry.argument(description="Of which meter.")],
        external_customer_id: Annotated[
            str, strawberry.argument(description="By whom, in your own name for them.")
        ],
        period: Annotated[PeriodInput, strawberry.argument(description="When.")],
        group: Annotated[
            list[DimensionValueInput] | None,
            strawberry.argument(
                description="Values of dimensions, as the figure's `group` has them; null: all."
            ),
        ] = None,
        as_of: AsOf = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[UsageEvent]:
        context = info.context
        request = page_request(info, first=first, after=after, last=last, before=before)
        if period.end <= period.start:
            raise Invalid(
                "period.end: must be after its start", field="period.end", code="INVALID_PERIOD"
            )
        meter = (await reads.by_ids(context.scope, [meter_id])).get(meter_id)
        if meter is None:
            raise NotFound("meter", meter_id, field="meterId")
        page = await usage_events.page(
            context.scope,
            context.runtime.clickhouse,
            meter,
            [Span(external_customer_id, Period(period.start, period.end))],
            request=request,
            group=_group(group or ()),
            as_of=as_of,
        )
        return Connection.of(page, UsageEvent.of)


def _group(given: Sequence[DimensionValueInput]) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for index, one in enumerate(given):
        if one.name in found:
            raise Invalid(
                f"group[{index}].name: {one.name!r} is named twice",
                field=f"group[{index}].name",
                code="INVALID_GROUP",
            )
        found[one.name] = one.value
    return found
