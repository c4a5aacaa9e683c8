"""Sets up a scenario's business through GraphQL: meters, features, plans, customers.

Everything has a key of its own, so a second demo in the same data directory finds what the
first one made and makes what is missing.
"""

from dataclasses import dataclass
from typing import Any

from app.cli.demo.client import Client
from app.cli.demo.scenario import MeterSpec, PlanSpec, PriceSpec, Scenario
from app.kernel.quantity import plain

_PROBLEM = "... on Problem { code message field }"


@dataclass(frozen=True, slots=True)
class Catalog:
    """Ids by the scenario's keys."""

    meters: dict[str, str]
    plans: dict[str, str]


async def open_catalog(client: Client, scenario: Scenario) -> Catalog:
    meters, features = {}, {}
    for spec in scenario.meters:
        meters[spec.key] = await _meter(client, spec)
        features[spec.key] = await _feature(client, spec, meters[spec.key])
    plans = {plan.key: await _plan(client, scenario, plan, features) for plan in scenario.plans}
    return Catalog(meters, plans)


async def subscribe(client: Client, scenario: Scenario, catalog: Catalog) -> dict[str, str]:
    """Create the customers, each with its subscription; their ids by external id."""
    found = {}
    for customer in scenario.customers:
        customer_id = await _customer(client, scenario, customer.external_id, customer.name)
        await _subscription(client, scenario, customer_id, catalog.plans[customer.plan])
        found[customer.external_id] = customer_id
    return found


async def _meter(client: Client, spec: MeterSpec) -> str:
    found = await client.query(
        "query($name: String!) { meters(filter: {name: {eq: $name}}) { nodes { id } } }",
        name=spec.name,
    )
    if found["meters"]["nodes"]:
        return str(found["meters"]["nodes"][0]["id"])
    made = await client.do(
        f"mutation($input: MeterCreateInput!) {{ meterCreate(input: $input) "
        f"{{ ... on Meter {{ id }} {_PROBLEM} }} }}",
        input={
            "name": spec.name,
            "eventName": spec.event_name,
            "aggregation": {"kind": spec.aggregation, "property": spec.value_property},
            "filters": {
                "include": [
                    {"property": name, "values": list(values)}
                    for name, values in spec.filters.items()
                ]
            },
            "dimensions": list(spec.dimensions),
        },
    )
    return str(made["id"])


async def _feature(client: Client, spec: MeterSpec, meter_id: str) -> str:
    found = await client.query(
        "query($key: String!) { features(filter: {lookupKey: {eq: $key}}) { nodes { id } } }",
        key=spec.key,
    )
    if found["features"]["nodes"]:
        return str(found["features"]["nodes"][0]["id"])
    made = await client.do(
        f"mutation($input: FeatureCreateInput!) {{ featureCreate(input: $input) "
        f"{{ ... on Feature {{ id }} {_PROBLEM} }} }}",
        input={
            "name": spec.name,
            "lookupKey": spec.key,
            "type": "METERED",
            "meterId": meter_id,
            "unitSingular": spec.unit,
            "unitPlural": spec.unit if spec.unit == "aircraft" else spec.unit + "s",
        },
    )
    return str(made["id"])


async def _plan(
    client: Client, scenario: Scenario, plan: PlanSpec, features: dict[str, str]
) -> str:
    found = await client.query(
        "query($key: String!) { plans(filter: {lookupKey: {eq: $key}}) { nodes { id } } }",
        key=plan.key,
    )
    if found["plans"]["nodes"]:
        return str(found["plans"]["nodes"][0]["id"])
    made = await client.do(
        f"mutation($input: PlanCreateInput!) {{ planCreate(input: $input) "
        f"{{ ... on Plan {{ id }} {_PROBLEM} }} }}",
        input={"name": plan.name, "lookupKey": plan.key},
    )
    for price in plan.prices:
        await _price(client, scenario, str(made["id"]), price, features=features)
    return str(made["id"])


async def _price(
    client: Client,
    scenario: Scenario,
    plan_id: str,
    price: PriceSpec,
    *,
    features: dict[str, str],
) -> None:
    await client.do(
        f"mutation($input: PriceCreateInput!) {{ priceCreate(input: $input) "
        f"{{ ... on Price {{ id }} {_PROBLEM} }} }}",
        input={
            "planId": plan_id,
            "displayName": price.name,
            "charge": "FIXED" if price.meter is None else "USAGE",
            "featureId": None if price.meter is None else features[price.meter],
            "currency": scenario.currency,
            "timing": "ARREARS",
            "groupBy": [] if price.group_by is None else [price.group_by],
            "model": _model(price),
            "effectiveFrom": scenario.starts_at.isoformat(),
        },
    )


def _model(price: PriceSpec) -> dict[str, Any]:
    if price.model == "flat":
        return {"flat": {"flatAmount": plain(price.amount)}}
    if price.model == "per_unit":
        return {"perUnit": {"unitAmount": plain(price.amount)}}
    if price.model == "package":
        return {"package": {"packageAmount": plain(price.amount), "size": plain(price.size)}}
    tiers = [
        {
            "upTo": None if tier.up_to is None else plain(tier.up_to),
            "unitAmount": plain(tier.unit_amount),
            "flatAmount": plain(tier.flat_amount),
        }
        for tier in price.tiers
    ]
    return {price.model: {"tiers": tiers}}


async def _customer(client: Client, scenario: Scenario, external_id: str, name: str) -> str:
    found = await client.query(
        "query($id: String!) { customerByExternalId(externalId: $id) { id } }", id=external_id
    )
    if found["customerByExternalId"]:
        return str(found["customerByExternalId"]["id"])
    made = await client.do(
        f"mutation($input: CustomerCreateInput!) {{ customerCreate(input: $input) "
        f"{{ ... on Customer {{ id }} {_PROBLEM} }} }}",
        input={
            "externalId": external_id,
            "name": name,
            "timezone": scenario.timezone,
            "currency": scenario.currency,
        },
    )
    return str(made["id"])


async def _subscription(client: Client, scenario: Scenario, customer_id: str, plan_id: str) -> None:
    found = await client.query(
        "query($id: ID!) { subscriptions(filter: {customerId: {eq: $id}}) { nodes { id } } }",
        id=customer_id,
    )
    if found["subscriptions"]["nodes"]:
        return
    await client.do(
        f"mutation($input: SubscriptionCreateInput!) {{ subscriptionCreate(input: $input) "
        f"{{ ... on Subscription {{ id }} {_PROBLEM} }} }}",
        input={
            "customerId": customer_id,
            "planId": plan_id,
            "alignment": "CALENDAR",
            "startsAt": scenario.starts_at.isoformat(),
            "endsAt": scenario.ends_at.isoformat(),
        },
    )
