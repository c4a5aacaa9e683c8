"""Access checks, and what subscriptions are given, through the graph."""

from decimal import Decimal
from typing import Any

import pytest

from app.catalog.entitlement import Overrides, OwnerKind
from app.catalog.entitlement_terms import Metered, Resets, Static
from app.catalog.feature import FeatureType
from app.graphql.context import Context
from app.graphql.execution import Graph
from app.graphql.schema import schema
from app.kernel.ids import new_id
from app.kernel.scope import Scope
from app.tenants.role import READS
from tests.catalog import make
from tests.graphql.conftest import caller_in, make_runtime
from tests.metering.make import Stored, store
from tests.statements import statements
from tests.subscriptions import make as subscriptions

ACCESS = """query ($features: [String!]!, $customer: ID, $name: String, $at: DateTime) {
  access(features: $features, customerId: $customer, externalCustomerId: $name, at: $at) {
    at watermark
    features {
      key allowed reason unlimited limit used remaining resetsAt soft value values type
      feature { lookupKey }
      balances { resets start end limit used remaining }
      sources { owner quantity startsAt endsAt subscriptionId entitlement { planId } }
    }
  }
}"""


async def checked(
    database: Any, clickhouse: Any, clock: Any, scope: Scope, variables: dict[str, Any]
) -> dict[str, Any]:
    context = Context(caller_in(scope), make_runtime(database, clock, clickhouse), new_id("req"))
    answer: dict[str, Any] = await Graph(schema).run(context, ACCESS, variables)
    return answer


async def test_access_is_asked_by_lookup_key_or_id(
    database: Any, clickhouse: Any, scope: Scope, clock: Any
) -> None:
    plan, customer = (
        await subscriptions.plan(scope, clock),
        await subscriptions.customer(scope, clock),
    )
    meter = await make.meter(scope, clock)
    calls = await make.feature(scope, clock, lookup_key="calls", meter_id=meter.id)
    terms = Metered(Decimal("100"), Resets.DAY, soft=True)
    await make.entitlement(scope, clock, plan.id, feature_id=calls.id, terms=terms)
    level = await make.feature(scope, clock, lookup_key="level", type=FeatureType.STATIC)
    await make.entitlement(scope, clock, plan.id, feature_id=level.id, terms=Static("gold"))
    one = await subscriptions.subscription(scope, clock, customer_id=customer.id, plan_id=plan.id)
    now = clock.now()
    await store(
        clickhouse,
        scope,
        [Stored('{"seconds": "2.5"}', now, customer.external_id, ingested_at=now)],
    )
    asked = {"features": ["calls", level.id, "none"], "at": "2024-06-15T13:00:00Z"}
    answer = await checked(database, clickhouse, clock, scope, asked | {"customer": customer.id})
    assert "errors" not in answer, answer
    found = answer["data"]["access"]
    assert (found["at"], found["watermark"]) == ("2024-06-15T13:00:00Z", "2024-06-15T12:00:00Z")
    metered, static, unknown = found["features"]
    assert metered == {
        "key": "calls",
        "allowed": True,
        "reason": "INCLUDED",
        "unlimited": False,
        "limit": "100",
        "used": "2.5",
        "remaining": "97.5",
        "resetsAt": "2024-06-16T00:00:00Z",
        "soft": True,
        "value": None,
        "values": [],
        "type": "METERED",
        "feature": {"lookupKey": "calls"},
        "balances": [
            {
                "resets": "DAY",
                "start": "2024-06-15T12:00:00Z",
                "end": "2024-06-16T00:00:00Z",
                "limit": "100",
                "used": "2.5",
                "remaining": "97.5",
            }
        ],
        "sources": [
            {
                "owner": "PLAN",
                "quantity": "1",
                "startsAt": "2024-06-15T12:00:00Z",
                "endsAt": None,
                "subscriptionId": one.id,
                "entitlement": {"planId": plan.id},
            }
        ],
    }
    assert (static["key"], static["value"], static["values"]) == (level.id, "gold", ["gold"])
    assert (unknown["allowed"], unknown["reason"], unknown["feature"]) == (
        False,
        "UNKNOWN_FEATURE",
        None,
    )
    by_name = await checked(
        database, clickhouse, clock, scope, asked | {"name": customer.external_id}
    )
    assert by_name == answer


@pytest.mark.parametrize(
    ("variables", "field", "code"),
    [
        ({}, "customerId", "ONE_CUSTOMER"),
        ({"customer": "a", "name": "b"}, "customerId", "ONE_CUSTOMER"),
        ({"customer": "cus_01J00000000000000000000000"}, "customerId", "NOT_FOUND"),
        ({"name": "nobody"}, "externalCustomerId", "NOT_FOUND"),
        ({"name": "nobody", "features": []}, "features", "INVALID_FEATURES"),
    ],
)
async def test_a_question_about_nobody_or_nothing_names_its_fault(
    ask: Any, variables: dict[str, Any], field: str, code: str
) -> None:
    answer = await ask(ACCESS, {"features": ["calls"]} | variables)
    (error,) = answer["errors"]
    assert (error["extensions"]["field"], error["extensions"]["code"]) == (field, code)


async def test_what_subscriptions_are_given_is_read_with_their_list(
    ask: Any, scope: Scope, clock: Any
) -> None:
    plan = await subscriptions.plan(scope, clock)
    row = await make.entitlement(scope, clock, plan.id)
    made = [await subscriptions.subscription(scope, clock, plan_id=plan.id) for _ in range(3)]
    await make.override(
        scope, clock, made[0].id, feature_id=row.feature_id, overrides=Overrides.NOTHING
    )
    text = """{ subscriptions(orderBy: [{field: ID}]) { nodes {
      entitlements { owner entitlementId } before: entitlements(at: "2024-01-01T00:00:00Z") {
        owner } } } }"""
    answers = []

    async def read() -> None:
        answers.append(await ask(text))

    seen = await statements(scope, read)
    assert len(seen) == 1 + 3, seen
    nodes = answers[0]["data"]["subscriptions"]["nodes"]
    owners = [[each["owner"] for each in node["entitlements"]] for node in nodes]
    assert owners == [[OwnerKind.SUBSCRIPTION.name, "PLAN"], ["PLAN"], ["PLAN"]]
    assert all(node["before"] == [] for node in nodes)


@pytest.mark.parametrize(
    "text",
    [
        '{ access(features: ["x"], externalCustomerId: "y") { at } }',
        "{ subscriptions { nodes { entitlements { owner } } } }",
        "{ subscriptions { nodes { ownEntitlements { id } } } }",
    ],
)
async def test_without_the_permission_nothing_is_told(
    ask: Any, scope: Scope, clock: Any, text: str
) -> None:
    await subscriptions.subscription(scope, clock)
    answer = await ask(text, permissions=READS - {"entitlement:read"})
    assert [error["extensions"]["code"] for error in answer["errors"]] == ["FORBIDDEN"]
