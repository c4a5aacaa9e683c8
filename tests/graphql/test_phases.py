"""Phases of subscriptions through the graph."""

from typing import Any

from app.kernel.scope import Scope
from tests.graphql.test_subscription_changes import half_way, scope, team

__all__ = ["scope", "team"]  # fixtures

SEEN = """
    ... on Subscription { id endsAt scheduledChanges { kind at }
      phases { startsAt endsAt change { kind status subscriptionId terms { planVersionId
        quantities { quantity } overrides { model { __typename } } keepOverrides
        commitments { amount trueUp } } } } }
    ... on Problem { code field }
"""
AUGUST, SEPTEMBER, OCTOBER = (f"2024-{month:02}-15T12:00:00Z" for month in (8, 9, 10))


async def test_phases_are_agreed_on_looked_at_and_replaced(
    ask: Any, team: Any, scope: Scope, clock: Any
) -> None:
    text = "query ($id: ID!) { subscription(id: $id) { lineItems { priceId } } }"
    (line,) = (await ask(text, {"id": team["id"]}))["data"]["subscription"]["lineItems"]
    seat = line["priceId"]
    await half_way(clock)
    agreeing = f"""mutation ($input: SubscriptionPhasesSetInput!) {{
      subscriptionPhasesSet(input: $input) {{ {SEEN} }} }}"""

    async def agree(*phases: Any, **fields: Any) -> Any:
        given = {"id": team["id"], "phases": list(phases), **fields}
        return (await ask(agreeing, {"input": given}))["data"]["subscriptionPhasesSet"]

    more = {"startsAt": AUGUST, "quantities": [{"priceId": seat, "quantity": "5"}]}
    cheap = {"perUnit": {"unitAmount": "20"}}
    last = {
        "startsAt": SEPTEMBER, "endsAt": OCTOBER, "commitments": [{"amount": "9", "trueUp": True}],
        "overrides": [{"priceId": seat, "model": cheap}],
    }  # fmt: skip
    looked = """query ($input: SubscriptionChangePreviewInput!) {
      subscriptionChangePreview(input: $input) { ... on SubscriptionChangePreview {
        effectiveAt nextInvoice { total { amount } } } ... on Problem { code field } } }"""
    given = {"phases": {"id": team["id"], "phases": [more, last]}}
    seen = (await ask(looked, {"input": given}))["data"]["subscriptionChangePreview"]
    assert (seen["effectiveAt"], seen["nextInvoice"]["total"]) == (AUGUST, {"amount": "150"})
    given = {"phases": {"id": team["id"], "phases": []}}
    seen = (await ask(looked, {"input": given}))["data"]["subscriptionChangePreview"]
    assert seen == {"code": "REQUIRED", "field": "phases"}
    made = await agree(more, last, phasesEnd="CANCEL")
    assert made["endsAt"] == OCTOBER
    assert made["scheduledChanges"] == [
        {"kind": "PHASE", "at": AUGUST},
        {"kind": "PHASE", "at": SEPTEMBER},
        {"kind": "CANCEL", "at": OCTOBER},
    ]
    first, second = made["phases"]
    assert (first["startsAt"], first["endsAt"], second["endsAt"]) == (AUGUST, SEPTEMBER, OCTOBER)
    change = second["change"]
    assert (change["kind"], change["status"]) == ("PHASE", "SCHEDULED")
    assert (change["subscriptionId"], first["change"]["terms"]["commitments"]) == (team["id"], None)
    assert first["change"]["terms"]["quantities"] == [{"quantity": "5"}]
    assert change["terms"]["commitments"] == [{"amount": "9", "trueUp": True}]
    assert change["terms"]["overrides"] == [{"model": {"__typename": "PerUnitModel"}}]
    assert change["terms"]["keepOverrides"] is True
    refused = await agree(more, {"startsAt": AUGUST})
    assert refused == {"code": "INVALID_PHASES", "field": "phases[1].startsAt"}
    faulty = {"startsAt": SEPTEMBER, "commitments": [{}]}
    refused = await agree(more, faulty)
    assert refused == {"code": "INVALID_COMMITMENT", "field": "phases[1].commitments[0]"}
    made = await agree({**more, "startsAt": SEPTEMBER})
    assert (made["endsAt"], made["scheduledChanges"]) == (
        None, [{"kind": "PHASE", "at": SEPTEMBER}],
    )  # fmt: skip


async def test_a_subscription_is_created_with_phases(ask: Any, team: Any, clock: Any) -> None:
    text = "query ($id: ID!) { subscription(id: $id) { customerId planId } }"
    bought = (await ask(text, {"id": team["id"]}))["data"]["subscription"]
    create = f"""mutation ($input: SubscriptionCreateInput!) {{
      subscriptionCreate(input: $input) {{ {SEEN} }} }}"""
    given = {**bought, "phases": [{"startsAt": AUGUST, "endsAt": OCTOBER}], "phasesEnd": "CANCEL"}
    made = (await ask(create, {"input": given}))["data"]["subscriptionCreate"]
    assert (made["endsAt"], [each["endsAt"] for each in made["phases"]]) == (OCTOBER, [OCTOBER])
    for fields, field, code in [
        ({"phases": None}, "phases", "REQUIRED"),
        ({"draft": True}, "phases", "SUBSCRIPTION_DRAFT"),
        ({"phases": [{"startsAt": "2024-01-15T00:00:00Z", "endsAt": OCTOBER}]},
         "phases[0].startsAt", "INVALID_AT"),
    ]:  # fmt: skip
        refused = (await ask(create, {"input": {**given, **fields}}))["data"]["subscriptionCreate"]
        assert refused == {"code": code, "field": field}
