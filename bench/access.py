"""An access check: ten metered features of one customer, warm.

The floor is what the check asks of the servers, and nothing else: the same statements by asyncpg
on a connection of its own, and the same query by aiohttp, with nothing decided about the answers.
Both are asked in turn, so that whatever else the machine does hits both.
"""

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from statistics import median

import aiohttp
import asyncpg

from app.catalog.actions import features, plans, prices
from app.catalog.entitlement import CreateEntitlement
from app.catalog.entitlement_terms import Metered, Resets
from app.catalog.feature import CreateFeature, FeatureType
from app.catalog.plan import CreatePlan
from app.catalog.price import ChargeKind, CreatePrice
from app.catalog.prices import Flat
from app.config import Settings
from app.customers import actions as customers
from app.customers.customer import CreateCustomer
from app.infra.clickhouse import ClickHouse, open_clickhouse
from app.infra.clickhouse_parameters import encode_all
from app.infra.postgres import postgres
from app.kernel.clock import SystemClock
from app.kernel.scope import SYSTEM, Scope
from app.metering import actions as meters
from app.metering import meters_usage
from app.metering.aggregations import Count, Sum
from app.metering.derivation import Query
from app.metering.meter import CreateMeter
from app.metering.usage import Span
from app.subscriptions import access_reads as reads
from app.subscriptions import actions as subscriptions
from app.subscriptions.access import check
from app.subscriptions.access_reads import Whose, facts
from app.subscriptions.actions import entitling
from app.subscriptions.checking import access
from app.subscriptions.subscription import CreateSubscription
from app.tenants.actions import tenants
from app.tenants.commands import CreateTenant
from bench.result import Goal, Result

FEATURES = 10
CUSTOMERS = 500
EVENTS = 100_000  # of each meter, over a month and all customers
CALLS = 150
WARM_UP = 20
RHYTHMS = (Resets.DAY, Resets.WEEK, Resets.MONTH, Resets.BILLING_PERIOD, Resets.NEVER)
_FILL = """INSERT INTO processed_events SELECT {tenant:String}, {environment:String},
  {meter:String}, concat('customer-', toString(number % {customers:UInt32})),
  fromUnixTimestamp64Milli({start:Int64} + intDiv(number * {milliseconds:Int64}, {events:UInt32}),
  'UTC'), concat('event-', toString(number)), toDecimal256(1, 18), '', map(), now64(3)
  FROM numbers({events:UInt32})"""


@dataclass(frozen=True)
class Place:
    """An environment whose customers all hold a plan with ten metered features."""

    scope: Scope
    customer: Whose
    keys: list[str]


async def run(settings: Settings) -> Sequence[Result]:
    """Needs PostgreSQL and ClickHouse."""
    async with postgres(settings.postgres), open_clickhouse(settings.clickhouse) as clickhouse:
        now = SystemClock().now()
        place = await _filled(clickhouse, now)
        floor = await _floor(settings, clickhouse, place, now)

        async def checked() -> None:
            found = await access(place.scope, clickhouse, place.customer, place.keys, at=now)
            assert all(each.used for each in found.answers)

        try:
            ours, theirs = await _in_turn(checked, floor.ask)
        finally:
            await floor.close()
    return [
        Result(
            name="access",
            what=f"{FEATURES} metered features of one customer out of {CUSTOMERS}, "
            f"{FEATURES * EVENTS:,} events",
            value=ours,
            unit="ms",
            floor=theirs,
            floor_is="the same statements by asyncpg and the same query by aiohttp",
            seed=0,
            goal=Goal("at most", 2.0),
        )
    ]


async def _in_turn(
    ours: Callable[[], Awaitable[None]], theirs: Callable[[], Awaitable[None]]
) -> tuple[float, float]:
    """The median milliseconds of a call of each."""
    took: tuple[list[float], list[float]] = ([], [])
    for number in range(WARM_UP + CALLS):
        for call, times in zip((ours, theirs), took, strict=True):
            started = time.perf_counter()
            await call()
            if number >= WARM_UP:
                times.append((time.perf_counter() - started) * 1000)
    return median(took[0]), median(took[1])


class _Floor:
    """Connections by hand, and what to ask with them."""

    def __init__(
        self, connection: asyncpg.Connection, session: aiohttp.ClientSession, url: str
    ) -> None:
        self._connection, self._session, self._url = connection, session, url
        self.statements: list[tuple[str, tuple[object, ...]]] = []
        self.begin = ""
        self.query = b""
        self.parameters: dict[str, str] = {}

    async def ask(self) -> None:
        await self._connection.execute(self.begin)
        for sql, values in self.statements:
            await self._connection.fetch(sql, *values)
        await self._connection.execute("ROLLBACK")
        async with self._session.post(self._url, params=self.parameters, data=self.query) as answer:
            assert answer.status == 200, await answer.text()
            await answer.json(content_type=None)

    async def close(self) -> None:
        await self._connection.close()
        await self._session.close()


async def _floor(settings: Settings, clickhouse: ClickHouse, place: Place, at: datetime) -> _Floor:
    scope = place.scope
    owner = (scope.tenant_id, scope.environment_id)
    known = await facts(scope, place.customer, place.keys)
    (subscription,) = known.subscriptions
    feature_ids = [feature.id for feature in known.features.values()]
    url = settings.clickhouse.url
    floor = _Floor(
        await asyncpg.connect(settings.postgres.url), aiohttp.ClientSession(), url.rstrip("/") + "/"
    )
    floor.begin = (
        f"BEGIN READ ONLY; SELECT set_config('tariff.tenant_id', '{owner[0]}', true), "
        f"set_config('tariff.environment_id', '{owner[1]}', true)"
    )
    floor.statements = [
        (reads.CUSTOMER.format(column="id"), (*owner, place.customer.value)),
        (reads.FEATURES, (*owner, place.keys)),
        (reads.GIVEN, (*owner, [subscription.id], feature_ids)),
        (reads.METERS, (*owner, list(known.meters))),
    ]
    query = _query(place, known, at)
    floor.query = f"{query.sql}\nFORMAT JSONCompact".encode()
    floor.parameters = {
        "database": settings.clickhouse.database,
        "user": settings.clickhouse.user,
        "password": settings.clickhouse.password,
        "wait_end_of_query": "1",
        "do_not_merge_across_partitions_select_final": "1",
        **encode_all(query.parameters),
    }
    return floor


def _query(place: Place, known: reads.Facts, at: datetime) -> Query:
    """What the check asks ClickHouse."""
    entitled = list(known.entitled.values())
    asked = [
        (feature.meter_id or "", Span(known.external_customer_id, period))
        for key, feature in known.features.items()
        for period in check(key, feature, entitled, at).asked
    ]
    return meters_usage.query(place.scope, known.meters, asked)[0]


async def _filled(clickhouse: ClickHouse, now: datetime) -> Place:
    """Half of the meters count, half of them sum; what there is of each rhythm, twice."""
    start, how = now - timedelta(days=30), {"by": SYSTEM, "at": now - timedelta(days=30)}
    made = await tenants.create(CreateTenant(name="Bench access"), **how)
    scope = Scope(made.tenant.id, made.production.id)
    plan = await plans.create(scope, CreatePlan(name="Pro", lookup_key="pro"), **how)
    fee = CreatePrice(
        plan_id=plan.id,
        display_name="Fee",
        charge=ChargeKind.FIXED,
        model=Flat(Decimal(1)),
        currency="USD",
    )
    await prices.create(scope, fee, **how)
    keys = [f"feature-{number}" for number in range(FEATURES)]
    for number, key in enumerate(keys):
        await _feature(scope, clickhouse, key, number, plan.id, start, now)
    whose = CreateCustomer(external_id="customer-7", name="Customer", currency="USD")
    customer = await customers.create(scope, whose, **how)
    command = CreateSubscription(customer_id=customer.id, plan_id=plan.id, starts_at=start)
    await subscriptions.create(scope, command, **how)
    return Place(scope, Whose("id", customer.id), keys)


async def _feature(
    scope: Scope,
    clickhouse: ClickHouse,
    key: str,
    number: int,
    plan_id: str,
    start: datetime,
    now: datetime,
) -> None:
    how = {"by": SYSTEM, "at": start}
    aggregation = Count() if number % 2 else Sum("amount")
    meter = await meters.create(
        scope, CreateMeter(name=key, event_name=key, aggregation=aggregation), **how
    )
    await meters.backfill(scope, clickhouse, meter.id, at=start)
    feature = await features.create(
        scope,
        CreateFeature(name=key, lookup_key=key, type=FeatureType.METERED, meter_id=meter.id),
        **how,
    )
    terms = Metered(Decimal(1_000_000), RHYTHMS[number % len(RHYTHMS)])
    await entitling.create(
        scope, CreateEntitlement(plan_id=plan_id, feature_id=feature.id, terms=terms), **how
    )
    await clickhouse.execute(
        _FILL,
        {
            "tenant": scope.tenant_id,
            "environment": scope.environment_id,
            "meter": meter.id,
            "customers": CUSTOMERS,
            "events": EVENTS,
            "start": int(start.timestamp() * 1000),
            "milliseconds": int((now - start) / timedelta(milliseconds=1)),
        },
    )
