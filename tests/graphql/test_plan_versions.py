"""Versions of plans, and addons, through the graph."""

from typing import Any

import pytest

from app.kernel.scope import Scope
from app.tenants.role import READS
from tests.catalog import make as catalog
from tests.graphql.test_catalog import fee, mutate, plan_id, rows
from tests.statements import statements
from tests.subscriptions import make

VERSION = """
  __typename
  ... on PlanVersion { id number status current description publishedAt archivedAt
                       plan { lookupKey } prices { id displayName planVersion { number } }
                       subscriptionCount subscriptions { totalCount } }
  ... on Problem { code field message }
"""
ADDON = """
  __typename
  ... on Addon { id name lookupKey type description metadata status archivedAt
                 prices { displayName addon { lookupKey } plan { id } planVersion { id } } }
  ... on Problem { code field message }
"""


async def test_a_version_lives_through_the_graph(ask: Any, scope: Scope, clock: Any) -> None:
    plan = await plan_id(ask)
    made = await fee(ask, plan, lookupKey="fee")
    await make.subscription(scope, clock, plan_id=plan)
    draft = await mutate(ask, "planVersionCreate", VERSION, planId=plan, description="Spring")
    [copy] = draft.pop("prices")
    version = draft.pop("id")
    assert draft == {
        "__typename": "PlanVersion",
        "number": 2,
        "status": "DRAFT",
        "current": False,
        "description": "Spring",
        "publishedAt": None,
        "archivedAt": None,
        "plan": {"lookupKey": "pro"},
        "subscriptionCount": 0,
        "subscriptions": {"totalCount": 0},
    }
    assert (copy["displayName"], copy["planVersion"]) == ("Fee", {"number": 2})
    seats = await fee(ask, plan, displayName="Seats", planVersionId=version)
    text = """mutation ($input: PriceDeleteInput!) { priceDelete(input: $input) {
      __typename ... on PriceDeleted { priceId } ... on Problem { code } } }"""
    gone = await ask(text, {"input": {"id": seats["id"]}})
    assert gone["data"]["priceDelete"] == {"__typename": "PriceDeleted", "priceId": seats["id"]}
    kept = await ask(text, {"input": {"id": made["id"]}})
    assert kept["data"]["priceDelete"] == {"__typename": "Rejected", "code": "PRICE_PUBLISHED"}
    said = await mutate(ask, "planVersionUpdate", VERSION, id=version, description=None)
    assert said["description"] is None
    published = await mutate(ask, "planVersionPublish", VERSION, id=version)
    assert (published["status"], published["current"], published["publishedAt"]) == (
        "PUBLISHED",
        True,
        "2024-06-15T12:00:00Z",
    )
    answer = await ask(
        """query ($plan: ID!, $version: ID!, $price: ID!) {
             plan(id: $plan) {
               currentVersion { number } prices { id }
               versions { nodes { number current subscriptionCount } totalCount }
             }
             planVersion(id: $version) { number }
             node(id: $version) { ... on PlanVersion { status } }
             planVersions(filter: {planId: {eq: $plan}}, orderBy: [{field: NUMBER}]) {
               nodes { number subscriptions { nodes { planVersion { number } } } }
             }
             offered: prices(filter: {planId: {eq: $plan}, offered: {eq: true}}) { nodes { id } }
             lineage: prices(filter: {lineageId: {eq: $price}}) { totalCount }
             of: prices(filter: {planVersionId: {eq: $version}}) { nodes { lineageId } }
             on: subscriptions(filter: {planVersionId: {eq: $version}}) { totalCount }
           }""",
        {"plan": plan, "version": version, "price": made["id"]},
    )
    assert answer["data"] == {
        "plan": {
            "currentVersion": {"number": 2},
            "prices": [{"id": copy["id"]}],
            "versions": {
                "nodes": [
                    {"number": 2, "current": True, "subscriptionCount": 0},
                    {"number": 1, "current": False, "subscriptionCount": 1},
                ],
                "totalCount": 2,
            },
        },
        "planVersion": {"number": 2},
        "node": {"status": "PUBLISHED"},
        "planVersions": {
            "nodes": [
                {
                    "number": 1,
                    "subscriptions": {"nodes": [{"planVersion": {"number": 1}}]},
                },
                {"number": 2, "subscriptions": {"nodes": []}},
            ]
        },
        "offered": {"nodes": [{"id": copy["id"]}]},
        "lineage": {"totalCount": 2},
        "of": {"nodes": [{"lineageId": made["id"]}]},
        "on": {"totalCount": 0},
    }
    archived = await mutate(ask, "planVersionArchive", VERSION, id=version)
    assert (archived["status"], archived["current"]) == ("ARCHIVED", False)
    back = await mutate(ask, "planVersionRestore", VERSION, id=version)
    assert (back["status"], back["current"]) == ("PUBLISHED", True)


DIFF = """query ($from: ID!, $to: ID!) { planVersionDiff(fromId: $from, toId: $to) {
  added { id } ended { id } kept { id } changed { before { id } after { id } fields } } }"""


async def test_two_versions_are_compared(ask: Any, scope: Scope, clock: Any) -> None:
    plan = await catalog.plan(scope, clock)
    fee, gone, same = [
        await catalog.price(scope, clock, plan.id, display_name=name) for name in "ABC"
    ]
    first = fee.plan_version_id
    draft = await mutate(ask, "planVersionCreate", VERSION, planId=plan.id)
    copies = {price["displayName"]: price["id"] for price in draft["prices"]}
    text = "__typename ... on Price { id } ... on Problem { code field }"
    await mutate(
        ask, "priceUpdate", text, id=copies["A"], model={"flat": {"flatAmount": "120"}}, trialDays=7
    )
    await ask(f'mutation {{ priceDelete(input: {{id: "{copies["B"]}"}}) {{ __typename }} }}')
    new = await fee_of(ask, draft["id"])
    found = await ask(DIFF, {"from": first, "to": draft["id"]})
    changed = {"before": {"id": fee.id}, "after": {"id": copies["A"]}}
    assert found["data"]["planVersionDiff"] == {
        "added": [{"id": new}],
        "ended": [{"id": gone.id}],
        "kept": [{"id": copies["C"]}],
        "changed": [changed | {"fields": ["model", "trialDays"]}],
    }
    assert same.display_name == "C"
    missing = await ask(DIFF, {"from": first, "to": "plv_01J00000000000000000000000"})
    [error] = missing["errors"]
    assert (error["extensions"]["code"], error["extensions"]["field"]) == ("NOT_FOUND", "toId")


async def fee_of(ask: Any, version: str) -> str:
    made = await mutate(
        ask, "priceCreate", "__typename ... on Price { id } ... on Problem { code field }",
        planVersionId=version, displayName="D", charge="FIXED", currency="USD",
        model={"flat": {"flatAmount": "5"}},
    )  # fmt: skip
    return str(made["id"])


async def test_prices_are_listed_by_when_they_are_in_force_and_when_they_end(
    ask: Any, scope: Scope, clock: Any
) -> None:
    plan = await plan_id(ask)
    open_, ending, sooner = [await fee(ask, plan, displayName=name) for name in "ABC"]
    for price, day in ((ending, 20), (sooner, 10)):
        text = "__typename ... on Price { status } ... on Problem { code }"
        until = f"2024-07-{day}T00:00:00Z"
        await mutate(ask, "priceArchive", text, id=price["id"], effectiveUntil=until)

    async def listed(filter_: str) -> list[str]:
        answer = await ask(
            f"{{ prices(filter: {filter_}, orderBy: [{{field: EFFECTIVE_UNTIL}}]) "
            "{ nodes { id } } }"
        )
        return [node["id"] for node in answer["data"]["prices"]["nodes"]]

    everything = [sooner["id"], ending["id"], open_["id"]]
    assert await listed('{inForce: {at: "2024-06-15T12:00:00Z"}}') == everything
    assert await listed('{inForce: {at: "2024-06-15T11:59:59Z"}}') == []
    assert await listed('{inForce: {at: "2024-07-10T00:00:00Z"}}') == everything[1:]
    assert await listed('{effectiveUntil: {gt: "2024-06-15T12:00:00Z"}}') == everything[:2]


async def test_a_plan_may_begin_as_a_draft(ask: Any, scope: Scope) -> None:
    text = "__typename ... on Plan { id currentVersion { id } versions { nodes { id status } } }"
    made = await mutate(ask, "planCreate", text, name="Pro", lookupKey="pro", publish=False)
    [draft] = made["versions"]["nodes"]
    assert (made["currentVersion"], draft["status"]) == (None, "DRAFT")
    before = await rows(scope)
    refused = await mutate(ask, "planVersionPublish", VERSION, id=draft["id"])
    assert (refused["__typename"], refused["code"], refused["field"]) == (
        "Rejected",
        "EMPTY_VERSION",
        "id",
    )
    assert await rows(scope) == before
    asked = await mutate(ask, "planVersionPublish", VERSION, id=draft["id"], allowEmpty=True)
    assert asked["status"] == "PUBLISHED"


async def test_an_addon_lives_through_the_graph(ask: Any) -> None:
    made = await mutate(ask, "addonCreate", ADDON, name="Support", lookupKey="support")
    assert (made["type"], made["prices"], made["metadata"]) == ("RECURRING", [], {})
    price = await mutate(
        ask,
        "priceCreate",
        "__typename ... on Price { id planId planVersionId addonId offered } "
        "... on Problem { code field }",
        addonId=made["id"],
        displayName="By night",
        charge="FIXED",
        currency="USD",
        model={"flat": {"flatAmount": "99"}},
    )
    assert (price["planId"], price["planVersionId"], price["addonId"], price["offered"]) == (
        None,
        None,
        made["id"],
        True,
    )
    changed = await mutate(ask, "addonUpdate", ADDON, id=made["id"], description="Day and night")
    assert changed["prices"] == [
        {
            "displayName": "By night",
            "addon": {"lookupKey": "support"},
            "plan": None,
            "planVersion": None,
        }
    ]
    archived = await mutate(ask, "addonArchive", ADDON, id=made["id"])
    assert (archived["status"], archived["archivedAt"]) == ("ARCHIVED", "2024-06-15T12:00:00Z")
    restored = await mutate(ask, "addonRestore", ADDON, id=made["id"])
    assert restored["status"] == "ACTIVE"
    answer = await ask(
        """query ($id: ID!) {
             addon(id: $id) { description }
             addonByLookupKey(lookupKey: "support") { id }
             node(id: $id) { ... on Addon { name } }
             addons(filter: {type: {eq: RECURRING}}, search: "supp") { nodes { id } totalCount }
             prices(filter: {addonId: {eq: $id}}) { nodes { displayName } }
           }""",
        {"id": made["id"]},
    )
    assert answer["data"] == {
        "addon": {"description": "Day and night"},
        "addonByLookupKey": {"id": made["id"]},
        "node": {"name": "Support"},
        "addons": {"nodes": [{"id": made["id"]}], "totalCount": 1},
        "prices": {"nodes": [{"displayName": "By night"}]},
    }


async def test_what_hangs_on_versions_and_addons_takes_one_statement_each(
    ask: Any, scope: Scope, clock: Any
) -> None:
    for _ in range(3):
        plan = await make.plan(scope, clock)
        await make.subscription(scope, clock, plan_id=plan.id)
        addon = await catalog.addon(scope, clock)
        await catalog.price(scope, clock, addon_id=addon.id)
    found: list[Any] = []

    async def read() -> None:
        answer = await ask(
            """{ plans { nodes { currentVersion { id plan { id } prices { id }
                                 subscriptionCount subscriptions { nodes { id } } }
                                 versions { nodes { number } } } }
                 addons { nodes { prices { addon { id } } } } }"""
        )
        assert "errors" not in answer, answer
        found.append(answer["data"])

    # Plans, their current versions, their versions, prices, counts, subscriptions; addons and
    # prices. A plan and an addon that were listed are looked up once more.
    assert len(await statements(scope, read)) == 10
    [data] = found
    for plan in data["plans"]["nodes"]:
        assert len(plan["currentVersion"]["prices"]) == 2
        assert plan["currentVersion"]["subscriptionCount"] == 1
        assert len(plan["currentVersion"]["subscriptions"]["nodes"]) == 1
    assert [len(addon["prices"]) for addon in data["addons"]["nodes"]] == [1, 1, 1]


@pytest.mark.parametrize(
    ("permissions", "text"),
    [
        (READS - {"plan:read"}, "{ planVersions { nodes { id } } }"),
        (READS - {"addon:read"}, "{ addons { nodes { id } } }"),
        (READS - {"price:read"}, "{ planVersions { nodes { prices { id } } } }"),
        (READS - {"price:read"}, "{ addons { nodes { prices { id } } } }"),
        (READS - {"plan:read"}, "{ prices { nodes { planVersion { id } } } }"),
        (READS - {"addon:read"}, "{ prices { nodes { addon { id } } } }"),
        (READS - {"subscription:read"}, "{ planVersions { nodes { subscriptionCount } } }"),
        (
            READS - {"subscription:read"},
            "{ planVersions { nodes { subscriptions { nodes { id } } } } }",
        ),
        (READS, 'mutation { planVersionPublish(input: {id: "x"}) { __typename } }'),
        (READS, 'mutation { planVersionCreate(input: {planId: "x"}) { __typename } }'),
        (READS, 'mutation { addonArchive(input: {id: "x"}) { __typename } }'),
        (READS, 'mutation { priceDelete(input: {id: "x"}) { __typename } }'),
    ],
)
async def test_what_the_caller_may_not_see_or_do_is_denied(
    ask: Any, scope: Scope, clock: Any, permissions: frozenset[str], text: str
) -> None:
    await fee(ask, await plan_id(ask))
    await catalog.addon(scope, clock)
    answer = await ask(text, permissions=permissions)
    assert {error["extensions"]["code"] for error in answer["errors"]} == {"FORBIDDEN"}
