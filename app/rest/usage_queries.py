"""Usage over REST, in the shapes that clients of the event API send.

Figures are exact, with decimals as text. A period that is not given ends now, and begins seven
days before it ends.
"""

from datetime import datetime, timedelta
from typing import Annotated, Any, Final, Literal

from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import Response

from app.clocks import reads as clocks
from app.customers import reads as customers
from app.infra.clickhouse_parameters import within
from app.kernel import checks
from app.kernel.errors import Invalid, NotFound
from app.kernel.period import Period
from app.kernel.quantity import plain
from app.kernel.scope import Scope
from app.metering import reads, usage
from app.metering.adhoc import adhoc_meter, filtered
from app.metering.meter import Meter
from app.metering.usage import Span, Usage
from app.metering.windows import Window
from app.rest.event_bodies import MAX_QUERY_BYTES, answer, decoded, read_body
from app.runtime import Runtime
from app.tenants.authentication import Caller
from app.tenants.tenant import EnvironmentType

_WEEK: Final = timedelta(days=7)
_Instant = Annotated[datetime, Meta(tz=True)]


class _Question(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """For whom, when, and in which windows. `filters` gives the texts each property may have."""

    external_customer_id: str | None = None
    customer_id: str | None = None
    start_time: _Instant | None = None
    end_time: _Instant | None = None
    filters: dict[str, list[str]] | None = None
    window_size: Literal["HOUR", "DAY", "WEEK", "MONTH"] | None = None
    timezone: str | None = None


class UsageQuestion(_Question, frozen=True, kw_only=True):
    """What events of a name add up to, without a meter for it."""

    event_name: str
    aggregation_type: str
    property_name: str | None = None


class MeterUsageQuestion(_Question, frozen=True, kw_only=True):
    """What a meter has counted."""

    meter_id: str


class UsageQueries:
    """Handles the routes about usage. Permissions have been checked by then."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    async def by_event_name(self, request: Request, caller: Caller) -> Response:
        """200: usage of one customer, counted from the events themselves."""
        scope = caller.environment_scope
        wanted = decoded(await read_body(request, MAX_QUERY_BYTES), UsageQuestion)
        meter = adhoc_meter(
            wanted.event_name,
            wanted.aggregation_type,
            wanted.property_name,
            at=self._runtime.clock.now(scope),
        )
        return await self._answered(caller, meter, wanted)

    async def by_meter(self, request: Request, caller: Caller) -> Response:
        """200: usage of one customer, as a meter counts it."""
        scope = caller.environment_scope
        wanted = decoded(await read_body(request, MAX_QUERY_BYTES), MeterUsageQuestion)
        meter = (await reads.by_ids(scope, [wanted.meter_id])).get(wanted.meter_id)
        if meter is None:
            raise NotFound("meter", wanted.meter_id, field="meter_id")
        return await self._answered(caller, meter, wanted)

    async def _answered(self, caller: Caller, meter: Meter, wanted: _Question) -> Response:
        scope, meter = caller.environment_scope, filtered(meter, wanted.filters or {})
        customer = await _customer(scope, wanted)
        now = await self._present(caller, customer)
        span = Span(customer, _period(wanted, now=now))
        total, parts = await self._figures(scope, meter, span, wanted)
        return answer(
            {
                "event_name": meter.event_name,
                "type": meter.aggregation.kind.upper(),
                "value": plain(total.quantity),
                "results": parts,
            }
        )

    async def _present(self, caller: Caller, external_id: str) -> datetime:
        """What time it is for the customer, who may live on a test clock."""
        scope, environment = caller.environment_scope, caller.environment
        if environment is not None and environment.type is EnvironmentType.DEVELOPMENT:
            ids = await customers.ids_of(scope, [external_id])
            for clock in (await clocks.of_customers(scope, list(ids.values()))).values():
                return clock.frozen_at
        return self._runtime.clock.now(scope)

    async def _figures(
        self, scope: Scope, meter: Meter, span: Span, wanted: _Question
    ) -> tuple[Usage, list[dict[str, Any]]]:
        """The total, and the figure of every window that has one."""
        clickhouse = self._runtime.clickhouse
        total = (await usage.totals(scope, clickhouse, meter, [span]))[span]
        if wanted.window_size is None:
            return total, []
        found = await usage.series(
            scope,
            clickhouse,
            meter,
            [span],
            window=Window(wanted.window_size.lower()),
            zone=checks.zone(checks.timezone(wanted.timezone or "UTC")),
        )
        return total, [
            {"window_size": _instant(part.window.start), "value": plain(part.quantity)}
            for part in found[span]
            if part.window is not None
        ]


async def _customer(scope: Scope, wanted: _Question) -> str:
    if wanted.external_customer_id:
        return wanted.external_customer_id
    if wanted.customer_id:
        found = (await customers.by_ids(scope, [wanted.customer_id])).get(wanted.customer_id)
        if found is None:
            raise NotFound("customer", wanted.customer_id, field="customer_id")
        return found.external_id
    raise Invalid(
        "say whose usage: external_customer_id, or customer_id",
        field="external_customer_id",
        code="MISSING_FIELD",
    )


def _period(wanted: _Question, *, now: datetime) -> Period:
    end = wanted.end_time or now
    start = wanted.start_time or within(end) - _WEEK
    if end < start:
        raise Invalid(
            f"end_time {end.isoformat()} is before start_time {start.isoformat()}",
            field="end_time",
            code="INVALID_PERIOD",
        )
    return Period(start, end)


def _instant(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")
