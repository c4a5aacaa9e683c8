"""Changes of running subscriptions through the graph."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from app.catalog.price import ChargeKind, InvoiceTiming
from app.catalog.prices import PerUnit
from app.kernel.scope import SYSTEM, Scope
from app.subscriptions import reads
from app.subscriptions.subscription import Held
from app.tenants.actions import tenants
from app.tenants.commands import CreateTenant
from tests.catalog import make as catalog
from tests.invoicing.test_billing import everything as written
from tests.invoicing.world import JAN
from tests.statements import statements
from tests.subscriptions import make

MONEY = "{ amount currency }"
CHANGE = """
    id subscriptionId kind status mode proration effectiveAt appliedAt canceledAt direction
    failure { code } terms { lineItemId quantity planId quantities { priceId quantity } }
    subscription { planId } closedLines { id quantity endsAt } opened: openedLines {
      quantity startsAt lineKey changeId replacesId }
    invoice { reason total { amount } } creditNotes { total { amount } reason }
"""
PREVIEW = f"""
    effectiveAt direction
    invoice {{ total {MONEY} lines {{ description amount {MONEY} }} }}
    creditNotes {{ total {MONEY} adjusted {MONEY} lines {{ description amount {MONEY} }} }}
    nextInvoice {{ reason periodEnd total {MONEY} }}
"""


class World:
    """What the helpers of billing's tests take."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope


@pytest.fixture
async def scope(database: Any) -> Scope:
    made = await tenants.create(CreateTenant(name="Acme"), by=SYSTEM, at=JAN)
    return Scope(made.tenant.id, made.production.id)


@pytest.fixture
async def team(scope: Scope, clock: Any) -> dict[str, str]:
    """A subscription with two seats at 30 a month in advance, from now on."""
    plan = await catalog.plan(scope, clock)
    seats = await catalog.price(
        scope,
        clock,
        plan.id,
        display_name="Seats",
        model=PerUnit(Decimal(30)),
        charge=ChargeKind.FIXED,
        timing=InvoiceTiming.ADVANCE,
    )
    made = await make.subscription(
        scope, clock, plan_id=plan.id, quantities=(Held(seats.id, Decimal(2)),)
    )
    line = (await reads.line_items(scope, [made.id]))[made.id][0]
    return {"id": made.id, "plan": plan.id, "line": line.id}


@pytest.fixture
def do(ask: Any) -> Any:
    async def call(name: str, **given: Any) -> dict[str, Any]:
        kind = name[0].upper() + name[1:] + "Input"
        text = f"""mutation ($input: {kind}!) {{ {name}(input: $input) {{ __typename
          ... on SubscriptionChange {{ {CHANGE} }} ... on Problem {{ code field message }} }} }}"""
        answer = await ask(text, {"input": given})
        assert "errors" not in answer, answer
        result: dict[str, Any] = answer["data"][name]
        return result

    return call


async def half_way(clock: Any) -> None:
    clock.at += timedelta(days=15)  # of 30: from 15 June


async def test_more_seats_cost_the_rest_of_the_period(do: Any, team: Any, clock: Any) -> None:
    await half_way(clock)
    made = await do(
        "subscriptionQuantityChange", id=team["id"], lineItemId=team["line"], quantity="4"
    )
    assert (made["kind"], made["status"], made["mode"]) == ("QUANTITY", "APPLIED", "NOW")
    assert (made["proration"], made["direction"]) == ("CREATE_PRORATIONS", "UPGRADE")
    assert made["effectiveAt"] == made["appliedAt"] == "2024-06-30T12:00:00Z"
    assert made["terms"]["quantity"] == "4"
    assert made["closedLines"] == [
        {"id": team["line"], "quantity": "2", "endsAt": "2024-06-30T12:00:00Z"}
    ]
    (opened,) = made["opened"]
    assert opened == {
        "quantity": "4",
        "startsAt": "2024-06-30T12:00:00Z",
        "lineKey": team["line"],
        "changeId": made["id"],
        "replacesId": team["line"],
    }
    assert made["invoice"] == {"reason": "SUBSCRIPTION_UPDATE", "total": {"amount": "60"}}
    assert made["creditNotes"] == [{"total": {"amount": "30"}, "reason": "SUBSCRIPTION_CHANGE"}]


async def test_a_change_to_come_is_listed_and_taken_back(
    ask: Any, do: Any, team: Any, clock: Any
) -> None:
    await half_way(clock)
    made = await do(
        "subscriptionQuantityChange", id=team["id"], lineItemId=team["line"], quantity="4",
        mode="PERIOD_END", proration="NONE",
    )  # fmt: skip
    assert (made["status"], made["effectiveAt"]) == ("SCHEDULED", "2024-07-15T12:00:00Z")
    text = """query ($id: ID!, $change: ID!) {
      subscription(id: $id) { scheduledChanges { kind at cancelable changeId }
        changes { nodes { id status } } }
      subscriptionChange(id: $change) { id }
      node(id: $change) { id __typename }
      subscriptionChanges(filter: {status: {eq: SCHEDULED}, subscriptionId: {eq: $id}},
        orderBy: [{field: EFFECTIVE_AT}]) { nodes { id } } }"""
    asked = {"id": team["id"], "change": made["id"]}
    found = (await ask(text, asked))["data"]
    assert found["subscription"] == {
        "scheduledChanges": [
            {
                "kind": "QUANTITY",
                "at": "2024-07-15T12:00:00Z",
                "cancelable": True,
                "changeId": made["id"],
            }
        ],
        "changes": {"nodes": [{"id": made["id"], "status": "SCHEDULED"}]},
    }
    assert found["node"] == {"id": made["id"], "__typename": "SubscriptionChange"}
    assert found["subscriptionChange"]["id"] == made["id"]
    assert found["subscriptionChanges"]["nodes"] == [{"id": made["id"]}]

    take_back = """mutation ($input: SubscriptionCancelChangeInput!) {
      subscriptionCancelChange(input: $input) { __typename
        ... on Subscription { scheduledChanges { kind } } ... on Problem { code field } } }"""
    given = {"id": team["id"], "kind": "QUANTITY", "changeId": made["id"]}
    other = await ask(take_back, {"input": given | {"kind": "PLAN", "changeId": None}})
    assert other["data"]["subscriptionCancelChange"]["code"] == "NOTHING_PENDING"
    gone = await ask(take_back, {"input": given})
    assert gone["data"]["subscriptionCancelChange"]["scheduledChanges"] == []
    again = await ask(take_back, {"input": given})
    assert again["data"]["subscriptionCancelChange"] == {
        "__typename": "Rejected", "code": "NOTHING_PENDING", "field": "changeId",
    }  # fmt: skip


async def test_a_preview_shows_the_money_and_writes_nothing(
    ask: Any, team: Any, scope: Scope, clock: Any
) -> None:
    await half_way(clock)
    before = await written(World(scope))
    text = f"""query ($input: SubscriptionChangePreviewInput!) {{
      subscriptionChangePreview(input: $input) {{ __typename
        ... on SubscriptionChangePreview {{ {PREVIEW} }} ... on Problem {{ code field }} }} }}"""
    quantity = {"id": team["id"], "lineItemId": team["line"], "quantity": "4"}
    seen = (await ask(text, {"input": {"quantity": quantity}}))["data"]["subscriptionChangePreview"]
    assert seen["direction"] == "UPGRADE"
    assert seen["invoice"]["total"] == {"amount": "60", "currency": "USD"}
    (note,) = seen["creditNotes"]
    assert (note["total"]["amount"], note["adjusted"]["amount"]) == ("30", "30")
    assert [line["description"] for line in note["lines"]] == ["Seats"]
    assert seen["nextInvoice"] == {
        "reason": "SUBSCRIPTION_CYCLE",
        "periodEnd": "2024-07-15T12:00:00Z",
        "total": {"amount": "120", "currency": "USD"},
    }
    cancel = {"id": team["id"], "mode": "NOW"}
    gone = (await ask(text, {"input": {"cancel": cancel}}))["data"]["subscriptionChangePreview"]
    assert (gone["direction"], gone["invoice"], gone["creditNotes"]) == (None, None, [])
    refused = await ask(text, {"input": {"plan": {"id": team["id"], "planId": team["plan"]}}})
    assert refused["data"]["subscriptionChangePreview"] == {
        "__typename": "Rejected", "code": "NOTHING_CHANGES", "field": "planId",
    }  # fmt: skip
    assert await written(World(scope)) == before


async def test_what_cannot_be_changed_is_refused_with_its_reason(do: Any, team: Any) -> None:
    cases = [
        ({"quantity": "2"}, "NOTHING_CHANGES", "quantity"),
        ({"quantity": "-1"}, "NEGATIVE_AMOUNT", "quantity"),
        ({"quantity": "3", "mode": "AT"}, "INVALID_AT", "at"),
        ({"quantity": "3", "lineItemId": "sli_0"}, "NOT_FOUND", "lineItemId"),
        ({"quantity": "3", "id": "sub_0"}, "NOT_FOUND", "id"),
    ]
    for given, code, field in cases:
        asked = {"id": team["id"], "lineItemId": team["line"], **given}
        refused = await do("subscriptionQuantityChange", **asked)
        assert (refused["__typename"], refused["code"], refused["field"]) == (
            "Rejected", code, field,
        )  # fmt: skip
    nothing = await do("subscriptionPlanChange", id=team["id"])
    assert (nothing["code"], nothing["field"]) == ("REQUIRED", "planId")


async def test_changes_of_a_page_are_read_together(
    ask: Any, do: Any, team: Any, scope: Scope, clock: Any
) -> None:
    await half_way(clock)
    line = team["line"]
    for quantity in ("4", "5", "6"):
        clock.at += timedelta(hours=1)
        await do("subscriptionQuantityChange", id=team["id"], lineItemId=line, quantity=quantity)
    text = f"{{ subscriptionChanges {{ nodes {{ {CHANGE} }} }} }}"
    seen = await statements(scope, lambda: ask(text))
    # The page, the subscription, the lines that ended and began, invoices, credit notes.
    assert len(seen) == 5, seen


async def test_a_line_is_charged_at_a_price_of_its_own_and_back(
    ask: Any, do: Any, team: Any, scope: Scope, clock: Any
) -> None:
    await half_way(clock)
    given = {"id": team["id"], "lineItemId": team["line"]}
    model = {"perUnit": {"unitAmount": "20"}}
    text = f"""query ($input: SubscriptionChangePreviewInput!) {{
      subscriptionChangePreview(input: $input) {{
        ... on SubscriptionChangePreview {{ {PREVIEW} }} }} }}"""
    seen = await ask(text, {"input": {"price": {**given, "model": model}}})
    made = await do("subscriptionPriceChange", **given, model=model)
    assert (made["kind"], made["direction"]) == ("PRICE", "DOWNGRADE")
    assert made["invoice"]["total"] == {"amount": "20"}
    shown = seen["data"]["subscriptionChangePreview"]
    assert shown["invoice"]["total"]["amount"] == "20"
    assert [note["total"]["amount"] for note in shown["creditNotes"]] == ["30"]
    clock.at += timedelta(hours=1)
    back = await do("subscriptionPriceRestore", **given, mode="PERIOD_END")
    assert (back["kind"], back["status"]) == ("PRICE", "SCHEDULED")
    text = """query ($id: ID!) { subscription(id: $id) { scheduledChanges { kind }
        lineItems { endsAt price { subscriptionId subscription { id } overridesId
          overrides { id } planId offered } overriddenPrice { id planId } }
        changes { nodes { terms { restoresPrice overrides { priceId } keepOverrides
          model { __typename ... on PerUnitModel { unitAmount } } } } } }
      prices(filter: {subscriptionId: {eq: $id}}) { nodes { id status } } }"""
    found = (await ask(text, {"id": team["id"]}))["data"]
    mine = found["subscription"]
    assert mine["scheduledChanges"] == [{"kind": "PRICE"}]
    listed, own = mine["lineItems"][0], mine["lineItems"][-1]
    assert (listed["overriddenPrice"], listed["price"]["subscription"]) == (None, None)
    assert own["price"]["subscription"]["id"] == own["price"]["subscriptionId"] == team["id"]
    assert own["overriddenPrice"] == {"id": own["price"]["overridesId"], "planId": team["plan"]}
    assert own["price"]["overrides"]["id"] == own["price"]["overridesId"]
    assert (own["price"]["planId"], own["price"]["offered"]) == (None, False)
    terms = [each["terms"] for each in mine["changes"]["nodes"]]
    assert [each["restoresPrice"] for each in terms] == [True, False]
    assert terms[1]["model"] == {"__typename": "PerUnitModel", "unitAmount": "20"}
    (price,) = found["prices"]["nodes"]
    text = """mutation ($id: ID!) { priceArchive(input: {id: $id}) {
      ... on Problem { code field } } }"""
    refused = await ask(text, {"id": price["id"]})
    assert refused["data"]["priceArchive"] == {"code": "PRICE_OF_SUBSCRIPTION", "field": "id"}
    cases = [
        ("subscriptionPriceChange", {}, "REQUIRED", "model"),
        ("subscriptionPriceChange", {"model": model}, "NOTHING_CHANGES", "lineItemId"),
        (
            "subscriptionPriceChange",
            {"model": {"perUnit": {"unitAmount": "-1"}}},
            "NEGATIVE_AMOUNT",
            "model.perUnit.unitAmount",
        ),
        ("subscriptionPriceRestore", {"mode": "AT"}, "INVALID_AT", "at"),
    ]
    for name, more, code, field in cases:
        refused = await do(name, **given, **more)
        assert (refused["__typename"], refused["code"], refused["field"]) == (
            "Rejected", code, field,
        )  # fmt: skip
