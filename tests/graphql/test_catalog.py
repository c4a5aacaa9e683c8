"""Features, plans and prices through the graph."""

from typing import Any

import pytest

from app.infra.postgres import fetch
from app.kernel.scope import Scope
from app.tenants.role import READS
from tests.catalog import make

GROUP = """
  __typename
  ... on Group { id name lookupKey kind description metadata status archivedAt
                 features { nodes { lookupKey } totalCount } }
  ... on Problem { code field message }
"""
FEATURE = """
  __typename
  ... on Feature { id name lookupKey type meterId unitSingular unitPlural description metadata
                   status archivedAt reportingUnit { singular plural factor divisor }
                   group { lookupKey } }
  ... on Problem { code field message }
"""
PLAN = """
  __typename
  ... on Plan { id name lookupKey description metadata status prices { displayName } }
  ... on Problem { code field message }
"""
MODEL = """
  __typename
  ... on FlatModel { flatAmount }
  ... on PerUnitModel { unitAmount }
  ... on PackageModel { packageAmount size rounding freeUnits }
  ... on GraduatedModel { tiers { upTo unitAmount flatAmount } zeroUsage }
  ... on VolumeModel { tiers { upTo unitAmount flatAmount } zeroUsage }
"""
PRICE = f"""
  __typename
  ... on Price {{
    id displayName lookupKey charge model {{ {MODEL} }} currency cadence {{ unit count }} timing
    billing trialDays adjustments {{ freeUnits minimum maximum }} 
    groupBy metadata status effectiveFrom effectiveUntil replacesId
    plan {{ id }} feature {{ lookupKey }}
  }}
  ... on Problem {{ code field message }}
"""
TIERS = [
    {"upTo": "100", "unitAmount": "0.10", "flatAmount": "0"},
    {"upTo": None, "unitAmount": "0.05", "flatAmount": "3"},
]


async def mutate(ask: Any, mutation: str, fields: str, /, **given: Any) -> dict[str, Any]:
    type_ = mutation[0].upper() + mutation[1:] + "Input"
    text = f"mutation ($input: {type_}!) {{ {mutation}(input: $input) {{ {fields} }} }}"
    answer = await ask(text, {"input": given})
    assert "errors" not in answer, answer
    result: dict[str, Any] = answer["data"][mutation]
    return result


async def plan_id(ask: Any) -> str:
    made = await mutate(ask, "planCreate", PLAN, name="Pro", lookupKey="pro")
    return str(made["id"])


async def fee(ask: Any, plan: str, **given: Any) -> dict[str, Any]:
    defaults = {
        "planId": plan,
        "displayName": "Fee",
        "charge": "FIXED",
        "model": {"flat": {"flatAmount": "99"}},
        "currency": "USD",
    }
    return await mutate(ask, "priceCreate", PRICE, **defaults | given)


async def rows(scope: Scope) -> int:
    counted = "SELECT (SELECT count(*) FROM prices) + (SELECT count(*) FROM plans) AS rows"
    return int((await fetch(scope, counted))[0]["rows"])


async def test_a_feature_lives_through_the_graph(ask: Any, scope: Scope, clock: Any) -> None:
    meter = await make.meter(scope, clock)
    made = await mutate(
        ask,
        "featureCreate",
        FEATURE,
        name="Calls",
        lookupKey="calls",
        type="METERED",
        meterId=meter.id,
        unitSingular="call",
        unitPlural="calls",
        reportingUnit={"singular": "thousand", "plural": "thousands", "divisor": 1000},
    )
    assert made == {
        "__typename": "Feature",
        "id": made["id"],
        "name": "Calls",
        "lookupKey": "calls",
        "type": "METERED",
        "meterId": meter.id,
        "unitSingular": "call",
        "unitPlural": "calls",
        "description": None,
        "metadata": {},
        "status": "ACTIVE",
        "archivedAt": None,
        "reportingUnit": {
            "singular": "thousand",
            "plural": "thousands",
            "factor": "1",
            "divisor": "1000",
        },
        "group": None,
    }
    changed = await mutate(
        ask,
        "featureUpdate",
        FEATURE,
        id=made["id"],
        name="Voice",
        unitPlural=None,
        reportingUnit={"singular": "M", "plural": "M", "factor": "0.000001"},
    )
    assert changed["reportingUnit"]["factor"] == "0.000001"
    assert (changed["name"], changed["unitSingular"], changed["unitPlural"]) == (
        "Voice",
        "call",
        None,
    )
    archived = await mutate(ask, "featureArchive", FEATURE, id=made["id"])
    assert (archived["status"], archived["archivedAt"]) == ("ARCHIVED", "2024-06-15T12:00:00Z")
    restored = await mutate(ask, "featureRestore", FEATURE, id=made["id"])
    assert restored["status"] == "ACTIVE"
    answer = await ask(
        """query ($id: ID!) {
             feature(id: $id) { lookupKey }
             featureByLookupKey(lookupKey: "calls") { id }
             node(id: $id) { ... on Feature { name } }
             features(filter: {type: {eq: METERED}, status: {eq: ACTIVE}}, search: "voi") {
               nodes { id } totalCount
             }
           }""",
        {"id": made["id"]},
    )
    assert answer == {
        "data": {
            "feature": {"lookupKey": "calls"},
            "featureByLookupKey": {"id": made["id"]},
            "node": {"name": "Voice"},
            "features": {"nodes": [{"id": made["id"]}], "totalCount": 1},
        }
    }


async def test_a_group_lives_through_the_graph(ask: Any) -> None:
    made = await mutate(
        ask, "groupCreate", GROUP, name="Compute", lookupKey="compute", kind="FEATURE"
    )
    assert (made["kind"], made["features"]) == ("FEATURE", {"nodes": [], "totalCount": 0})
    feature = {"name": "GPU", "lookupKey": "gpu", "type": "BOOLEAN", "groupId": made["id"]}
    joined = await mutate(ask, "featureCreate", FEATURE, **feature)
    assert joined["group"] == {"lookupKey": "compute"}
    renamed = await mutate(ask, "groupUpdate", GROUP, id=made["id"], name="Machines")
    assert renamed["features"] == {"nodes": [{"lookupKey": "gpu"}], "totalCount": 1}
    archived = await mutate(ask, "groupArchive", GROUP, id=made["id"])
    assert (archived["status"], archived["archivedAt"]) == ("ARCHIVED", "2024-06-15T12:00:00Z")
    refused = await mutate(ask, "featureCreate", FEATURE, **feature | {"lookupKey": "cpu"})
    assert (refused["code"], refused["field"]) == ("GROUP_ARCHIVED", "groupId")
    await mutate(ask, "groupRestore", GROUP, id=made["id"])
    answer = await ask(
        """query ($id: ID!) {
             group(id: $id) { name }
             groupByLookupKey(lookupKey: "compute") { id }
             node(id: $id) { ... on Group { lookupKey } }
             groups(filter: {kind: {eq: FEATURE}}, search: "mach") { nodes { id } totalCount }
             features(filter: {groupId: {eq: $id}}) { nodes { lookupKey } }
           }""",
        {"id": made["id"]},
    )
    assert answer["data"] == {
        "group": {"name": "Machines"},
        "groupByLookupKey": {"id": made["id"]},
        "node": {"lookupKey": "compute"},
        "groups": {"nodes": [{"id": made["id"]}], "totalCount": 1},
        "features": {"nodes": [{"lookupKey": "gpu"}]},
    }


async def test_a_plan_lives_through_the_graph(ask: Any) -> None:
    made = await mutate(ask, "planCreate", PLAN, name="Pro", lookupKey="pro", metadata={"a": "b"})
    assert (made["__typename"], made["prices"], made["metadata"]) == ("Plan", [], {"a": "b"})
    changed = await mutate(ask, "planUpdate", PLAN, id=made["id"], description="For teams")
    assert (changed["name"], changed["description"]) == ("Pro", "For teams")
    taken = await mutate(ask, "planCreate", PLAN, name="Other", lookupKey="pro")
    assert (taken["__typename"], taken["code"], taken["field"]) == (
        "AlreadyExists",
        "ALREADY_EXISTS",
        "lookupKey",
    )
    archived = await mutate(ask, "planArchive", PLAN, id=made["id"])
    assert archived["status"] == "ARCHIVED"
    refused = await mutate(ask, "planUpdate", PLAN, id=made["id"], name="x")
    assert (refused["__typename"], refused["code"]) == ("Rejected", "PLAN_ARCHIVED")
    restored = await mutate(ask, "planRestore", PLAN, id=made["id"])
    assert restored["status"] == "ACTIVE"
    answer = await ask(
        """{ planByLookupKey(lookupKey: "pro") { name }
             plans(orderBy: [{field: NAME}]) { nodes { lookupKey } } }"""
    )
    assert answer["data"] == {
        "planByLookupKey": {"name": "Pro"},
        "plans": {"nodes": [{"lookupKey": "pro"}]},
    }


@pytest.mark.parametrize(
    ("model", "shown"),
    [
        (
            {"perUnit": {"unitAmount": "0.000001"}},
            {"__typename": "PerUnitModel", "unitAmount": "0.000001"},
        ),
        (
            {"package": {"packageAmount": "5.00", "size": 1000}},
            {
                "__typename": "PackageModel",
                "packageAmount": "5",
                "size": "1000",
                "rounding": "UP",
                "freeUnits": "0",
            },
        ),
        (
            {"graduated": {"tiers": TIERS}},
            {
                "__typename": "GraduatedModel",
                "tiers": [TIERS[0] | {"unitAmount": "0.1"}, TIERS[1]],
                "zeroUsage": "ZERO",
            },
        ),
        (
            {"volume": {"tiers": TIERS, "zeroUsage": "FIRST_TIER_FLAT"}},
            {
                "__typename": "VolumeModel",
                "tiers": [TIERS[0] | {"unitAmount": "0.1"}, TIERS[1]],
                "zeroUsage": "FIRST_TIER_FLAT",
            },
        ),
    ],
    ids=lambda value: next(iter(value)),
)
async def test_every_model_is_written_and_read_back(
    ask: Any, scope: Scope, clock: Any, model: dict[str, Any], shown: dict[str, Any]
) -> None:
    feature = await make.feature(scope, clock, lookup_key="calls")
    plan = await plan_id(ask)
    made = await fee(
        ask, plan, charge="USAGE", featureId=feature.id, groupBy=["region"], model=model
    )
    assert made["model"] == shown
    assert (made["charge"], made["timing"], made["groupBy"]) == ("USAGE", "ARREARS", ["region"])
    assert (made["plan"], made["feature"]) == ({"id": plan}, {"lookupKey": "calls"})


async def test_a_price_lives_through_the_graph(ask: Any) -> None:
    plan = await plan_id(ask)
    made = await fee(
        ask, plan, timing="ADVANCE", cadence={"unit": "QUARTER", "count": 2}, lookupKey="fee"
    )
    assert made["model"] == {"__typename": "FlatModel", "flatAmount": "99"}
    assert made["cadence"] == {"unit": "QUARTER", "count": 2}
    assert (made["billing"], made["trialDays"], made["groupBy"]) == ("RECURRING", 0, [])
    assert (made["feature"], made["status"], made["effectiveFrom"]) == (
        None,
        "ACTIVE",
        "2024-06-15T12:00:00Z",
    )
    renamed = await mutate(ask, "priceUpdate", PRICE, id=made["id"], displayName="Base fee")
    assert (renamed["id"], renamed["displayName"]) == (made["id"], "Base fee")
    dearer = await mutate(
        ask,
        "priceUpdate",
        PRICE,
        id=made["id"],
        model={"flat": {"flatAmount": "120"}},
        effectiveFrom="2024-07-01T00:00:00Z",
    )
    assert (dearer["replacesId"], dearer["effectiveFrom"]) == (made["id"], "2024-07-01T00:00:00Z")
    answer = await ask(
        """query ($id: ID!, $new: ID!) {
             plan(id: $id) {
               now: prices { displayName model { ... on FlatModel { flatAmount } } }
               later: prices(at: "2024-07-01T00:00:00Z") { id }
             }
             price(id: $new) { lookupKey }
             priceByLookupKey(lookupKey: "fee") { id }
             node(id: $new) { id }
             prices(filter: {planId: {eq: $id}, status: {eq: ARCHIVED}, model: {eq: FLAT}}) {
               nodes { effectiveUntil }
             }
           }""",
        {"id": plan, "new": dearer["id"]},
    )
    assert answer["data"] == {
        "plan": {
            "now": [{"displayName": "Base fee", "model": {"flatAmount": "99"}}],
            "later": [{"id": dearer["id"]}],
        },
        "price": {"lookupKey": "fee"},
        "priceByLookupKey": {"id": dearer["id"]},
        "node": {"id": dearer["id"]},
        "prices": {"nodes": [{"effectiveUntil": "2024-07-01T00:00:00Z"}]},
    }
    ended = await mutate(
        ask, "priceArchive", PRICE, id=dearer["id"], effectiveUntil="2024-08-01T00:00:00Z"
    )
    assert (ended["status"], ended["effectiveUntil"]) == ("ARCHIVED", "2024-08-01T00:00:00Z")
    restored = await mutate(ask, "priceRestore", PRICE, id=dearer["id"])
    assert (restored["status"], restored["effectiveUntil"]) == ("ACTIVE", None)


@pytest.mark.parametrize(
    ("given", "field", "code"),
    [
        (
            {"model": {"graduated": {"tiers": [{"upTo": "5"}, {"upTo": "4"}, {"upTo": None}]}}},
            "model.graduated.tiers[1].upTo",
            "TIERS_NOT_ASCENDING",
        ),
        (
            {"model": {"volume": {"tiers": [{"upTo": "5"}]}}},
            "model.volume.tiers[0].upTo",
            "LAST_TIER_NOT_OPEN",
        ),
        (
            {"model": {"perUnit": {"unitAmount": "-1"}}},
            "model.perUnit.unitAmount",
            "NEGATIVE_AMOUNT",
        ),
        (
            {"model": {"package": {"packageAmount": "1", "size": "0"}}},
            "model.package.size",
            "NOT_POSITIVE",
        ),
        ({"cadence": {"unit": "MONTH", "count": 0}}, "cadence.count", "INVALID_CADENCE"),
        ({"adjustments": {"freeUnits": "-1"}}, "adjustments.freeUnits", "NEGATIVE_AMOUNT"),
        (
            {"adjustments": {"minimum": "2", "maximum": "1"}},
            "adjustments.minimum",
            "MINIMUM_ABOVE_MAXIMUM",
        ),
        ({"trialDays": 7, "billing": "ONE_TIME"}, "trialDays", "TRIAL_NOT_ALLOWED"),
        ({"charge": "USAGE"}, "featureId", "FEATURE_REQUIRED"),
        ({"currency": "EURO"}, "currency", "INVALID_CURRENCY"),
    ],
)
async def test_a_refused_price_names_the_path_of_its_fault_and_changes_nothing(
    ask: Any, scope: Scope, given: dict[str, Any], field: str, code: str
) -> None:
    plan = await plan_id(ask)
    before = await rows(scope)
    refused = await fee(ask, plan, **given)
    assert (refused["__typename"], refused["field"], refused["code"]) == ("Rejected", field, code)
    assert refused["message"].startswith(field)
    assert await rows(scope) == before


@pytest.mark.parametrize(
    "model",
    [
        {},
        {"flat": None},
        {"flat": {"flatAmount": "1"}, "perUnit": {"unitAmount": "1"}},
        {"flat": {"flatAmount": 1.5}},
        {"flat": {"flatAmount": "NaN"}},
        {"percentage": {"rate": "1"}},
    ],
    ids=str,
)
async def test_a_model_that_is_not_exactly_one_of_exact_numbers_is_no_request(
    ask: Any, scope: Scope, model: dict[str, Any]
) -> None:
    plan = await plan_id(ask)
    before = await rows(scope)
    given = {
        "planId": plan,
        "displayName": "x",
        "charge": "FIXED",
        "currency": "USD",
        "model": model,
    }
    answer = await ask(
        "mutation ($input: PriceCreateInput!) { priceCreate(input: $input) { __typename } }",
        {"input": given},
    )
    assert answer["errors"]
    assert await rows(scope) == before


@pytest.mark.parametrize(
    ("permissions", "text"),
    [
        (READS - {"price:read"}, "{ plans { nodes { prices { id } } } }"),
        (READS - {"plan:read"}, "{ prices { nodes { plan { id } } } }"),
        (READS - {"feature:read"}, "{ prices { nodes { feature { id } } } }"),
        (READS - {"feature:read"}, "{ features { nodes { id } } }"),
        (READS - {"group:read"}, "{ groups { nodes { id } } }"),
        (READS, 'mutation { groupArchive(input: {id: "x"}) { __typename } }'),
        (READS, 'mutation { planArchive(input: {id: "x"}) { __typename } }'),
        (READS, 'mutation { priceArchive(input: {id: "x"}) { __typename } }'),
        (READS, 'mutation { featureArchive(input: {id: "x"}) { __typename } }'),
    ],
)
async def test_what_the_caller_may_not_see_or_do_is_denied(
    ask: Any, permissions: frozenset[str], text: str
) -> None:
    await fee(ask, await plan_id(ask))
    answer = await ask(text, permissions=permissions)
    assert [error["extensions"]["code"] for error in answer["errors"]] == ["FORBIDDEN"]


async def test_a_stranger_finds_nothing(ask: Any) -> None:
    plan = await plan_id(ask)
    price = await fee(ask, plan, lookupKey="fee")
    answer = await ask(
        """query ($plan: ID!, $price: ID!) {
             plan(id: $plan) { id } price(id: $price) { id } node(id: $price) { id }
             planByLookupKey(lookupKey: "pro") { id } priceByLookupKey(lookupKey: "fee") { id }
             plans { nodes { id } } prices { nodes { id } }
           }""",
        {"plan": plan, "price": price["id"]},
        scope=Scope("ten_01J00000000000000000000000", "env_01J00000000000000000000000"),
    )
    assert answer["data"] == {
        "plan": None,
        "price": None,
        "node": None,
        "planByLookupKey": None,
        "priceByLookupKey": None,
        "plans": {"nodes": []},
        "prices": {"nodes": []},
    }


async def test_adjustments_grouping_and_trial_are_kept_changed_and_taken_off(
    ask: Any, scope: Scope, clock: Any
) -> None:
    plan = await plan_id(ask)
    made = await fee(ask, plan, trialDays=14, adjustments={"freeUnits": "2", "maximum": "50.00"})
    assert (made["trialDays"], made["adjustments"]) == (
        14,
        {"freeUnits": "2", "minimum": None, "maximum": "50"},
    )
    same = await mutate(ask, "priceUpdate", PRICE, id=made["id"], trialDays=14)
    assert same["id"] == made["id"]
    bare = await mutate(ask, "priceUpdate", PRICE, id=made["id"], adjustments=None)
    assert (bare["replacesId"], bare["trialDays"]) == (made["id"], 14)
    assert bare["adjustments"] == {"freeUnits": "0", "minimum": None, "maximum": None}
    once = await fee(ask, plan, billing="ONE_TIME")
    feature = await make.feature(scope, clock)
    grouped = await fee(
        ask,
        plan,
        charge="USAGE",
        featureId=feature.id,
        groupBy=["region"],
        model={"perUnit": {"unitAmount": "1"}},
    )
    plain = await mutate(ask, "priceUpdate", PRICE, id=grouped["id"], groupBy=None)
    assert (grouped["groupBy"], plain["groupBy"]) == (["region"], [])
    found = await ask(
        "{ prices(filter: {billing: {eq: ONE_TIME}}) { nodes { id } } }",
    )
    assert found["data"]["prices"]["nodes"] == [{"id": once["id"]}]
