"""`usageUpdated`: a customer's usage of a meter, live while events arrive.

The first answer comes at once, and each further one when the figure has changed. Every answer
holds the whole figure, so a client that reconnects has missed nothing.
"""

from collections.abc import AsyncGenerator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Annotated, Final, Self

import strawberry
import structlog

from app.graphql.context import Context, Info
from app.graphql.live import usage_key
from app.graphql.permissions import requires
from app.kernel.errors import Invalid, NotFound, Unavailable
from app.kernel.period import Period
from app.metering import reads as meters
from app.metering import usage
from app.metering.meter import Meter

log = structlog.get_logger(__name__)

# A hint can be lost, and the start of the present month moves, so the figure is read anew
# after so many seconds without a hint.
_AT_LEAST_EVERY_SECONDS: Final = 15.0
_AHEAD: Final = timedelta(days=1)  # events a little in the future are accepted, and counted


@strawberry.type(description="How much a customer has used of a meter in a period, so far.")
class UsageUpdate:
    external_customer_id: str = strawberry.field(description="Your own name for the customer.")
    meter_id: strawberry.ID = strawberry.field(description="The meter.")
    start: datetime = strawberry.field(description="Events from here on are counted.")
    end: datetime | None = strawberry.field(
        description="Events before this are counted; null: all so far."
    )
    quantity: Decimal = strawberry.field(description="What the meter adds up to.")
    event_count: Decimal = strawberry.field(description="How many events counted; a whole number.")
    watermark: datetime | None = strawberry.field(
        description="When the latest of these events was accepted; null when there are none."
    )

    @classmethod
    def of(cls, question: "_Question", period: Period, found: usage.Usage) -> Self:
        return cls(
            external_customer_id=question.customer,
            meter_id=strawberry.ID(question.meter.id),
            start=period.start,
            end=question.end,
            quantity=found.quantity,
            event_count=Decimal(found.event_count),
            watermark=found.watermark,
        )


class _Question:
    """What one subscription watches."""

    def __init__(
        self, customer: str, meter: Meter, start: datetime | None, end: datetime | None
    ) -> None:
        self.customer, self.meter, self.start, self.end = customer, meter, start, end

    async def answer(self, context: Context) -> UsageUpdate:
        now = await context.present.external_customer(self.customer)
        start = self.start or now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        period = Period(start, self.end or max(start, now + _AHEAD))
        span = usage.Span(self.customer, period)
        clickhouse = context.runtime.clickhouse
        found = await usage.totals(context.scope, clickhouse, self.meter, [span])
        return UsageUpdate.of(self, period, found[span])


@strawberry.type
class UsageSubscription:
    @strawberry.subscription(
        description="A customer's usage of a meter: at once, and whenever it has changed.",
        extensions=[requires("usage:read")],
    )
    async def usage_updated(
        self,
        info: Info,
        *,
        meter_id: Annotated[strawberry.ID, strawberry.argument(description="Of which meter.")],
        external_customer_id: Annotated[
            str | None,
            strawberry.argument(description="Whose, by your own name; or give `customerId`."),
        ] = None,
        customer_id: Annotated[
            strawberry.ID | None,
            strawberry.argument(description="Whose, by id; or give `externalCustomerId`."),
        ] = None,
        start: Annotated[
            datetime | None,
            strawberry.argument(
                description="From when on; null: from the start of the present month, in UTC."
            ),
        ] = None,
        end: Annotated[
            datetime | None, strawberry.argument(description="Until before when; null: no end.")
        ] = None,
    ) -> AsyncGenerator[UsageUpdate, None]:
        context = info.context
        if start is not None and end is not None and end <= start:
            raise Invalid("end: must be after start", field="end", code="INVALID_PERIOD")
        customer = await _customer(context, external_customer_id, customer_id)
        meter = (await meters.by_ids(context.scope, [meter_id])).get(meter_id)
        if meter is None:
            raise NotFound("meter", meter_id, field="meterId")
        question = _Question(customer, meter, start, end)
        key = usage_key(context.scope, customer, meter.event_name)
        with context.hub.watch(key, at_least_every=_AT_LEAST_EVERY_SECONDS) as wake_ups:
            shown = await question.answer(context)
            yield shown
            async for _ in wake_ups:
                try:
                    fresh = await question.answer(context)
                except Unavailable as error:
                    log.warning("usage_update_skipped", reason=error.message)
                    continue
                if fresh != shown:
                    shown = fresh
                    yield shown


async def _customer(context: Context, external_id: str | None, id_: str | None) -> str:
    """The customer's external id. Raises: Invalid unless exactly one is given; NotFound."""
    if (external_id is None) == (id_ is None):
        raise Invalid(
            "give either externalCustomerId or customerId",
            field="externalCustomerId",
            code="INVALID_CUSTOMER",
        )
    if external_id is not None:
        return external_id  # usage may come before the customer is created
    row = await context.load.customer.load(id_ or "")
    if row is None:
        raise NotFound("customer", id_, field="customerId")
    return row.external_id
