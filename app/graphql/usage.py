"""Usage in the graph: exact figures by meter, customer and period, grouped and in windows."""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Self

import strawberry

from app.catalog.feature import Feature, ReportingUnit
from app.graphql.context import Context, Info
from app.graphql.permissions import requires
from app.kernel import checks
from app.kernel.errors import Invalid, NotFound
from app.kernel.period import Period
from app.metering import reads, usage
from app.metering.errors import TooManyFigures
from app.metering.meter import Meter
from app.metering.usage import Span, Usage
from app.metering.windows import Window

MAX_METERS = 20
MAX_SPANS = 2_000  # customers × periods
MAX_FIGURES = 10_000

strawberry.enum(
    Window,
    name="UsageWindow",
    description="Cuts a period by the clock of a zone; weeks start on Monday.",
)


@strawberry.type(description="The value of a property that usage is grouped by.")
class DimensionValue:
    name: str = strawberry.field(description="The property.")
    value: str | None = strawberry.field(
        description="Its text; null for events that did not have it."
    )


@strawberry.type(description="A quantity in the reporting unit of a feature.")
class ReportedQuantity:
    feature_id: strawberry.ID = strawberry.field(description="The feature whose unit it is.")
    quantity: Decimal = strawberry.field(
        description="In that unit: exact, but for what lies beyond 18 decimals."
    )
    unit: str = strawberry.field(
        description="What so many are called, in the singular for exactly 1."
    )

    @classmethod
    def of(cls, feature: Feature, unit: ReportingUnit, quantity: Decimal) -> Self:
        shown = unit.of(quantity)
        return cls(
            feature_id=strawberry.ID(feature.id),
            quantity=shown,
            unit=unit.singular if shown == 1 else unit.plural,
        )


@strawberry.type(description="How much a customer used of a meter.")
class UsageFigure:
    meter_id: strawberry.ID = strawberry.field(description="Of which meter.")
    external_customer_id: str = strawberry.field(description="By whom, in your own name for it.")
    start: datetime = strawberry.field(
        description="Events from here on are counted: of the period, or of its window."
    )
    end: datetime = strawberry.field(description="Events before this are counted.")
    group: list[DimensionValue] = strawberry.field(
        description="Which events, in the order of `groupBy`; empty: all."
    )
    quantity: Decimal = strawberry.field(description="What the meter adds up to, exactly.")
    event_count: Decimal = strawberry.field(description="How many events counted; a whole number.")
    watermark: datetime | None = strawberry.field(
        description="When the latest of these events was accepted; null when there are none."
    )

    @strawberry.field(
        description="The quantity as features show it: in the reporting unit of each feature in "
        "use that the meter counts and that has one.",
        extensions=[requires("feature:read")],
    )
    async def reported(self, info: Info) -> list[ReportedQuantity]:
        counted = await info.context.load.reporting_features_of_meter.load(self.meter_id)
        return [
            ReportedQuantity.of(feature, feature.reporting_unit, self.quantity)
            for feature in counted
            if feature.reporting_unit is not None
        ]


@strawberry.input(description="From an instant until before another.")
class PeriodInput:
    start: datetime = strawberry.field(description="Included.")
    end: datetime = strawberry.field(description="Not included.")


AsOf = Annotated[
    datetime | None,
    strawberry.argument(
        description="Only what had been accepted before this instant, in the versions that held "
        "then: the answer stays the same whatever arrives later. Null: all, as it stands now."
    ),
]


@strawberry.type
class UsageQuery:
    @strawberry.field(
        description="How much customers used of meters, from the metered events themselves: "
        "exact, and each event once. Without `groupBy` and `window` there is one figure for "
        "every meter, customer and period, 0 where nothing was used; with them, one for every "
        f"group and window that has events. At most {MAX_FIGURES} figures.",
        extensions=[requires("usage:read")],
    )
    async def usage(
        self,
        info: Info,
        *,
        meter_ids: Annotated[
            list[strawberry.ID],
            strawberry.argument(description=f"Of which meters; at most {MAX_METERS}."),
        ],
        external_customer_ids: Annotated[
            list[str], strawberry.argument(description="By whom, in your own names for them.")
        ],
        periods: Annotated[
            list[PeriodInput],
            strawberry.argument(
                description=f"When; at most {MAX_SPANS} periods times customers. They may overlap."
            ),
        ],
        group_by: Annotated[
            list[str] | None,
            strawberry.argument(description="Dimensions that every one of the meters keeps."),
        ] = None,
        window: Annotated[
            Window | None, strawberry.argument(description="What to cut the periods into.")
        ] = None,
        timezone: Annotated[
            str, strawberry.argument(description="IANA zone whose clock cuts the windows.")
        ] = "UTC",
        as_of: AsOf = None,
    ) -> list[UsageFigure]:
        context = info.context
        spans = _spans(external_customer_ids, periods)
        meters = await _meters(context, meter_ids)
        question = _Question(
            spans, tuple(group_by or ()), window=window, zone=timezone, as_of=as_of
        )
        answers = await asyncio.gather(*(question.ask(context, meter) for meter in meters))
        return list(_bounded(figure for answer in answers for figure in answer))


class _Question:
    """What is asked of every meter."""

    def __init__(
        self,
        spans: Sequence[Span],
        group_by: tuple[str, ...],
        *,
        window: Window | None,
        zone: str,
        as_of: datetime | None,
    ) -> None:
        self.spans, self.group_by, self.window = spans, group_by, window
        self.zone = checks.zone(checks.timezone(zone))
        self.as_of = as_of

    async def ask(self, context: Context, meter: Meter) -> list[UsageFigure]:
        found = await self._found(context, meter)
        return [self._figure(meter, span, figure) for span in self.spans for figure in found[span]]

    async def _found(self, context: Context, meter: Meter) -> dict[Span, list[Usage]]:
        scope, clickhouse = context.scope, context.runtime.clickhouse
        if self.window is not None:
            return await usage.series(
                scope,
                clickhouse,
                meter,
                self.spans,
                window=self.window,
                zone=self.zone,
                group_by=self.group_by,
                at_most=MAX_FIGURES,
                as_of=self.as_of,
            )
        if self.group_by:
            return await usage.grouped(
                scope,
                clickhouse,
                meter,
                self.spans,
                group_by=self.group_by,
                at_most=MAX_FIGURES,
                as_of=self.as_of,
            )
        totals = await usage.totals(scope, clickhouse, meter, self.spans, as_of=self.as_of)
        return {span: [figure] for span, figure in totals.items()}

    def _figure(self, meter: Meter, span: Span, figure: Usage) -> UsageFigure:
        period = figure.window or span.period
        return UsageFigure(
            meter_id=strawberry.ID(meter.id),
            external_customer_id=span.external_customer_id,
            start=period.start,
            end=period.end,
            group=[
                DimensionValue(name=name, value=value)
                for name, value in zip(self.group_by, figure.group, strict=True)
            ],
            quantity=figure.quantity,
            event_count=Decimal(figure.event_count),
            watermark=figure.watermark,
        )


def _spans(customers: Sequence[str], periods: Sequence[PeriodInput]) -> list[Span]:
    count = len(customers) * len(periods)
    if count > MAX_SPANS:
        raise Invalid(
            f"periods: {len(customers)} customers × {len(periods)} periods are too many; at "
            f"most {MAX_SPANS} fit",
            field="periods",
            code="TOO_MANY_PERIODS",
        )
    for index, period in enumerate(periods):
        if period.end <= period.start:
            raise Invalid(
                f"periods[{index}].end: must be after its start",
                field=f"periods[{index}].end",
                code="INVALID_PERIOD",
            )
    cut = [Period(period.start, period.end) for period in periods]
    return [Span(customer, period) for customer in dict.fromkeys(customers) for period in cut]


async def _meters(context: Context, ids: Sequence[str]) -> list[Meter]:
    if len(ids) > MAX_METERS:
        raise Invalid(
            f"meterIds: {len(ids)} are too many; at most {MAX_METERS} fit",
            field="meterIds",
            code="TOO_MANY_METERS",
        )
    found = await reads.by_ids(context.scope, ids)
    for index, meter_id in enumerate(ids):
        if meter_id not in found:
            raise NotFound("meter", meter_id, field=f"meterIds[{index}]")
    return [found[meter_id] for meter_id in dict.fromkeys(ids)]


def _bounded(figures: Iterable[UsageFigure]) -> Iterator[UsageFigure]:
    for count, figure in enumerate(figures, start=1):
        if count > MAX_FIGURES:
            raise TooManyFigures(MAX_FIGURES)
        yield figure
