"""An environment with a plan of five metered prices, and many who are on it and due."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import orjson

from app.catalog.actions import features, plans, prices
from app.catalog.feature import CreateFeature, FeatureType
from app.catalog.plan import CreatePlan
from app.catalog.price import ChargeKind, CreatePrice
from app.catalog.prices import Adjustments, Graduated, Package, PerUnit, PriceModel, Tier, Volume
from app.customers import actions as customers
from app.customers.customer import CreateCustomer
from app.infra import due
from app.infra.clickhouse import ClickHouse
from app.infra.due import Page
from app.infra.postgres import fetch, writing
from app.invoicing.billing import Billing, bill_page
from app.invoicing.records import insert
from app.invoicing.work import BILL
from app.kernel.ids import new_id
from app.kernel.scope import SYSTEM, Scope
from app.metering import actions as meters
from app.metering.aggregations import Count, Sum
from app.metering.meter import CreateMeter
from app.subscriptions import actions as subscriptions
from app.subscriptions.subscription import CreateSubscription
from app.tenants.actions import tenants
from app.tenants.commands import CreateTenant

_D = Decimal
_TIERS = (Tier(_D(1_000), _D("0.02")), Tier(_D(5_000), _D("0.01")), Tier(None, _D("0.005"), _D(3)))
# What each meter's usage costs; the odd ones count events, the others sum an amount.
_MODELS: Sequence[tuple[PriceModel, Adjustments]] = (
    (PerUnit(_D("0.0013")), Adjustments()),
    (Graduated(_TIERS), Adjustments()),
    (Package(_D(2), _D(100)), Adjustments()),
    (Volume(_TIERS), Adjustments()),
    (PerUnit(_D("0.25")), Adjustments(free_units=_D(10))),
)
METERS = len(_MODELS)
_PORTION = 1_000
# The tables of a subscription: the prefix of their ids, and where another table has the id.
_TABLES: dict[str, tuple[str, str | None]] = {
    "customers": ("cus", "customer_id"),
    "subscriptions": ("sub", "subscription_id"),
    "subscription_line_items": ("sli", None),
    "subscription_holdings": ("hold", None),
}
Rows = dict[str, list[dict[str, Any]]]
_EVENTS = """INSERT INTO events (tenant_id, environment_id, event_id, event_name,
    external_customer_id, timestamp, source, properties, fields, ingested_at, batch)
  SELECT {tenant:String}, {environment:String}, concat({name:String}, '-', toString(number)),
    {name:String}, concat('customer-', toString(number % {customers:UInt32})) AS customer,
    fromUnixTimestamp64Milli({start:Int64} + intDiv(number * {milliseconds:Int64},
      {events:UInt32}), 'UTC') AS at, '', concat('{"amount":"', amount, '"}'),
    map('amount', amount), at, 'bench'
  FROM (SELECT number, toString(1 + number % 97) AS amount FROM numbers({events:UInt32}))"""


@dataclass(frozen=True)
class Place:
    scope: Scope
    subscriptions: int


async def filled(services: Billing, end: datetime, *, subscriptions: int, events: int) -> Place:
    """Everybody is due for the month that ended at `end`."""
    start = (end - timedelta(days=1)).replace(day=1)
    made = await tenants.create(CreateTenant(name="Bench billing"), by=SYSTEM, at=start)
    scope = Scope(made.tenant.id, made.production.id)
    plan = await plans.create(scope, CreatePlan(name="Pro", lookup_key="pro"), by=SYSTEM, at=start)
    spread = {
        "tenant": scope.tenant_id,
        "environment": scope.environment_id,
        "customers": subscriptions,
        "events": events // METERS,
        "start": int(start.timestamp() * 1000),
        "milliseconds": int((end - start) / timedelta(milliseconds=1)),
    }
    for number in range(METERS):
        name = f"meter-{number}"
        await services.clickhouse.execute(_EVENTS, {**spread, "name": name}, seconds=600)
        await _price(scope, services.clickhouse, plan.id, number, at=start)
    rows = await _first(scope, services, plan.id, start)
    for low in range(1, subscriptions, _PORTION):
        numbers = range(low, min(low + _PORTION, subscriptions))
        await _copies(scope, rows, numbers, due_at=end)
    return Place(scope, subscriptions)


async def _price(
    scope: Scope, clickhouse: ClickHouse, plan_id: str, number: int, *, at: datetime
) -> None:
    how = {"by": SYSTEM, "at": at}
    name, (model, adjustments) = f"meter-{number}", _MODELS[number]
    aggregation = Count() if number % 2 else Sum("amount")
    command = CreateMeter(name=name, event_name=name, aggregation=aggregation)
    meter = await meters.create(scope, command, **how)
    await meters.backfill(scope, clickhouse, meter.id, at=at)
    measured = CreateFeature(
        name=name, lookup_key=name, type=FeatureType.METERED, meter_id=meter.id
    )
    feature = await features.create(scope, measured, **how)
    price = CreatePrice(
        plan_id=plan_id,
        display_name=name,
        charge=ChargeKind.USAGE,
        model=model,
        adjustments=adjustments,
        currency="USD",
        feature_id=feature.id,
    )
    await prices.create(scope, price, **how)


async def _first(scope: Scope, services: Billing, plan_id: str, start: datetime) -> Rows:
    """The rows of one customer and their subscription, billed until `start`."""
    how = {"by": SYSTEM, "at": start}
    command = CreateCustomer(external_id="customer-0", name="Customer", currency="USD")
    customer = await customers.create(scope, command, **how)
    wanted = CreateSubscription(customer_id=customer.id, plan_id=plan_id, starts_at=start)
    await subscriptions.create(scope, wanted, **how)
    await bill_page(services, Page(scope, start, start, 1))
    return {
        table: [
            orjson.loads(row["row"])
            for row in await fetch(scope, f"SELECT to_json(t) AS row FROM {table} AS t")  # noqa: S608
        ]
        for table in _TABLES
    }


async def _copies(scope: Scope, rows: Rows, numbers: range, *, due_at: datetime) -> None:
    """More like the first, each on a line of its own in every table."""
    fresh: dict[str, list[dict[str, Any]]] = {table: [] for table in _TABLES}
    items = []
    for number in numbers:
        owner = {"customer_id": new_id("cus"), "subscription_id": new_id("sub")}
        external = {"external_id": f"customer-{number}"}
        for table, (prefix, own) in _TABLES.items():
            for row in rows[table]:
                changed = {name: owner[name] for name in owner.keys() & row.keys()}
                key = owner[own] if own else new_id(prefix)
                renamed = external if table == "customers" else {}
                fresh[table].append({**row, **changed, **renamed, "id": key})
        items.append(due.Item(owner["subscription_id"], due_at, owner["customer_id"]))
    async with writing(scope) as connection:
        for table, copies in fresh.items():
            await insert(connection, table, copies)
        await due.schedule_many(scope, BILL, items)
