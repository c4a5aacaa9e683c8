"""Entitlements through the graph."""

from typing import Any

import pytest

from app.catalog.feature import FeatureType
from app.infra.postgres import fetch
from app.kernel.scope import Scope
from app.tenants.role import READS
from tests.catalog import make
from tests.graphql.test_catalog import mutate, plan_id
from tests.subscriptions import make as subscriptions

ENTITLEMENT = """
  __typename
  ... on Entitlement {
    id planId addonId subscriptionId featureId enabled overrides metadata replacesId
    effectiveFrom effectiveUntil feature { lookupKey } plan { id } subscription { id }
    terms {
      __typename
      ... on MeteredTerms { limit resets window soft }
      ... on StaticTerms { text: value }
      ... on ConfigTerms { config }
    }
  }
  ... on Problem { code field message }
"""


async def rows(scope: Scope) -> int:
    return int((await fetch(scope, "SELECT count(*) AS rows FROM entitlements"))[0]["rows"])


async def test_an_entitlement_lives_through_the_graph(ask: Any, scope: Scope, clock: Any) -> None:
    feature = await make.feature(scope, clock, lookup_key="calls")
    plan = await plan_id(ask)
    made = await mutate(
        ask, "entitlementCreate", ENTITLEMENT, planId=plan, featureId=feature.id,
        terms={"metered": {"limit": "1000.50", "resets": "BILLING_PERIOD", "soft": True}},
        metadata={"a": "b"},
    )  # fmt: skip
    assert made == {
        "__typename": "Entitlement",
        "id": made["id"],
        "planId": plan,
        "addonId": None,
        "subscriptionId": None,
        "featureId": feature.id,
        "enabled": True,
        "overrides": None,
        "metadata": {"a": "b"},
        "replacesId": None,
        "effectiveFrom": "2024-06-15T12:00:00Z",
        "effectiveUntil": None,
        "feature": {"lookupKey": "calls"},
        "plan": {"id": plan},
        "subscription": None,
        "terms": {
            "__typename": "MeteredTerms",
            "limit": "1000.5",
            "resets": "BILLING_PERIOD",
            "window": None,
            "soft": True,
        },
    }
    begin = "2024-07-01T00:00:00Z"
    after = await mutate(
        ask, "entitlementUpdate", ENTITLEMENT, id=made["id"], effectiveFrom=begin,
        terms={"metered": {"limit": None}},
    )  # fmt: skip
    assert (after["replacesId"], after["effectiveFrom"]) == (made["id"], begin)
    assert after["terms"]["limit"] is None
    ended = await mutate(
        ask, "entitlementArchive", ENTITLEMENT, id=after["id"],
        effectiveUntil="2024-08-01T00:00:00Z",
    )  # fmt: skip
    assert ended["effectiveUntil"] == "2024-08-01T00:00:00Z"
    restored = await mutate(ask, "entitlementRestore", ENTITLEMENT, id=after["id"])
    assert restored["effectiveUntil"] is None
    answer = await ask(
        """query ($plan: ID!, $id: ID!, $feature: ID!) {
             plan(id: $plan) {
               now: entitlements { id }
               later: entitlements(at: "2024-07-01T00:00:00Z") { id }
             }
             entitlement(id: $id) { replacesId }
             node(id: $id) { id }
             entitlements(
               filter: {featureId: {eq: $feature}, resets: {eq: BILLING_PERIOD}}
               orderBy: [{field: EFFECTIVE_FROM}]
             ) { nodes { id } totalCount }
           }""",
        {"plan": plan, "id": after["id"], "feature": feature.id},
    )
    assert answer["data"] == {
        "plan": {"now": [{"id": made["id"]}], "later": [{"id": after["id"]}]},
        "entitlement": {"replacesId": made["id"]},
        "node": {"id": after["id"]},
        "entitlements": {"nodes": [{"id": made["id"]}], "totalCount": 1},
    }


@pytest.mark.parametrize(
    ("type_", "terms", "shown"),
    [
        (FeatureType.BOOLEAN, None, None),
        (
            FeatureType.STATIC,
            {"static": {"value": " gold "}},
            {"__typename": "StaticTerms", "text": "gold"},
        ),
        (
            FeatureType.CONFIG,
            {"config": {"value": {"regions": ["eu"], "seats": 3}}},
            {"__typename": "ConfigTerms", "config": {"regions": ["eu"], "seats": 3}},
        ),
        (
            FeatureType.METERED,
            {"metered": {"limit": 0, "resets": "SLIDING", "window": "P30D"}},
            {
                "__typename": "MeteredTerms",
                "limit": "0",
                "resets": "SLIDING",
                "window": "P30D",
                "soft": False,
            },
        ),
    ],
    ids=lambda value: str(value) if isinstance(value, FeatureType) else "",
)
async def test_the_terms_of_every_type_are_written_and_read_back(
    ask: Any, scope: Scope, clock: Any, type_: FeatureType, terms: Any, shown: Any
) -> None:
    feature = await make.feature(scope, clock, type=type_)
    made = await mutate(
        ask, "entitlementCreate", ENTITLEMENT, planId=await plan_id(ask), featureId=feature.id,
        terms=terms,
    )  # fmt: skip
    assert made["terms"] == shown


async def test_versions_and_addons_give_what_is_theirs(ask: Any, scope: Scope, clock: Any) -> None:
    feature, addon = await make.feature(scope, clock), await make.addon(scope, clock)
    plan = await make.plan(scope, clock)
    draft = await make.draft(scope, clock, plan.id)
    of_draft, of_addon = [
        await mutate(
            ask, "entitlementCreate", ENTITLEMENT, featureId=feature.id,
            terms={"metered": {"limit": 5}}, **owner,
        )
        for owner in ({"planVersionId": draft.id}, {"addonId": addon.id})
    ]  # fmt: skip
    answer = await ask(
        """query ($plan: ID!, $draft: ID!, $addon: ID!) {
             plan(id: $plan) { entitlements { id } }
             planVersion(id: $draft) { entitlements { id planVersion { number } } }
             addon(id: $addon) { entitlements { id addon { id } planVersion { id } } }
             entitlements(filter: {planVersionId: {eq: $draft}}) { nodes { id } }
           }""",
        {"plan": plan.id, "draft": draft.id, "addon": addon.id},
    )
    assert answer["data"] == {
        "plan": {"entitlements": []},
        "planVersion": {"entitlements": [{"id": of_draft["id"], "planVersion": {"number": 2}}]},
        "addon": {
            "entitlements": [{"id": of_addon["id"], "addon": {"id": addon.id}, "planVersion": None}]
        },
        "entitlements": {"nodes": [{"id": of_draft["id"]}]},
    }


async def test_a_subscription_has_some_for_itself(ask: Any, scope: Scope, clock: Any) -> None:
    feature = await make.feature(scope, clock)
    one = await subscriptions.subscription(scope, clock)
    made = await mutate(
        ask, "entitlementCreate", ENTITLEMENT, subscriptionId=one.id, featureId=feature.id,
        terms={"metered": {"limit": 5}}, overrides="PLAN", effectiveUntil="2024-07-01T00:00:00Z",
    )  # fmt: skip
    assert (made["subscription"], made["overrides"]) == ({"id": one.id}, "PLAN")
    off = await mutate(ask, "entitlementUpdate", ENTITLEMENT, id=made["id"], enabled=False)
    assert (off["enabled"], off["effectiveUntil"]) == (False, "2024-07-01T00:00:00Z")
    answer = await ask(
        """query ($id: ID!) { subscription(id: $id) {
             now: ownEntitlements { id }
             later: ownEntitlements(at: "2024-07-01T00:00:00Z") { id }
           } }""",
        {"id": one.id},
    )
    assert answer["data"]["subscription"] == {"now": [{"id": off["id"]}], "later": []}


@pytest.mark.parametrize(
    ("given", "field", "code"),
    [
        ({"subscriptionId": "sub_01J00000000000000000000000"}, "subscriptionId", "OWNER_AMBIGUOUS"),
        ({"planId": None}, "planId", "OWNER_REQUIRED"),
        ({"terms": None}, "terms", "TERMS_NOT_OF_FEATURE"),
        ({"terms": {"static": {"value": "x"}}}, "terms", "TERMS_NOT_OF_FEATURE"),
        ({"terms": {"metered": {}}}, "terms.metered.limit", "REQUIRED"),
        ({"terms": {"metered": {"limit": "-1"}}}, "terms.metered.limit", "NEGATIVE_AMOUNT"),
        (
            {"terms": {"metered": {"limit": "1", "resets": "SLIDING"}}},
            "terms.metered.window",
            "WINDOW_REQUIRED",
        ),
        (
            {"terms": {"metered": {"limit": None, "resets": "SLIDING"}}},
            "terms.metered.resets",
            "UNLIMITED_SLIDING",
        ),
        ({"terms": {"static": {"value": " "}}}, "terms.static.value", "INVALID_VALUE"),
        ({"overrides": "ALL"}, "overrides", "OVERRIDES_NOT_ALLOWED"),
        ({"addonId": "addon_01J00000000000000000000000"}, "addonId", "OWNER_AMBIGUOUS"),
        ({"effectiveFrom": "2024-06-15T11:59:59Z"}, "effectiveFrom", "EFFECTIVE_IN_PAST"),
        (
            {"effectiveUntil": "2024-06-15T12:00:00Z"},
            "effectiveUntil",
            "INVALID_EFFECTIVE_UNTIL",
        ),
    ],
)
async def test_a_refused_entitlement_names_its_fault_and_changes_nothing(
    ask: Any, scope: Scope, clock: Any, given: dict[str, Any], field: str, code: str
) -> None:
    feature = await make.feature(scope, clock)
    right = {
        "planId": await plan_id(ask),
        "featureId": feature.id,
        "terms": {"metered": {"limit": "1"}},
    }
    refused = await mutate(ask, "entitlementCreate", ENTITLEMENT, **right | given)
    assert (refused["__typename"], refused["field"], refused["code"]) == ("Rejected", field, code)
    assert refused["message"].startswith(field)
    assert await rows(scope) == 0


@pytest.mark.parametrize(
    ("permissions", "text"),
    [
        (READS - {"entitlement:read"}, "{ entitlements { nodes { id } } }"),
        (READS - {"entitlement:read"}, "{ plans { nodes { entitlements { id } } } }"),
        (READS - {"feature:read"}, "{ entitlements { nodes { feature { id } } } }"),
        (READS - {"plan:read"}, "{ entitlements { nodes { plan { id } } } }"),
        (READS - {"plan:read"}, "{ entitlements { nodes { planVersion { id } } } }"),
        (READS - {"addon:read"}, "{ entitlements { nodes { addon { id } } } }"),
        (READS - {"subscription:read"}, "{ entitlements { nodes { subscription { id } } } }"),
        (READS, 'mutation { entitlementArchive(input: {id: "x"}) { __typename } }'),
    ],
)
async def test_what_the_caller_may_not_see_or_do_is_denied(
    ask: Any, scope: Scope, clock: Any, permissions: frozenset[str], text: str
) -> None:
    await make.entitlement(scope, clock, (await make.plan(scope, clock)).id)
    answer = await ask(text, permissions=permissions)
    assert [error["extensions"]["code"] for error in answer["errors"]] == ["FORBIDDEN"]
