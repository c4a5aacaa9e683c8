"""Coupons and tax rates through the graph."""

from decimal import Decimal

from app.kernel.ids import new_id
from app.kernel.scope import Scope
from tests.catalog import make
from tests.graphql.test_catalog import mutate

COUPON = """
  __typename
  ... on Coupon { id name code kind percentOff amountOff { amount currency } currency duration
                  periods level limits { planIds priceIds featureIds } redeemFrom redeemUntil
                  maxRedemptions redemptions metadata status archivedAt }
  ... on Problem { code field message }
"""
TAX_RATE = """
  __typename
  ... on TaxRate { id name code kind percent amount { amount currency } inclusive compound
                   description metadata status archivedAt }
  ... on Problem { code field message }
"""


async def test_a_coupon_lives_in_the_graph(ask, scope, clock):
    plan = await make.plan(scope, clock)
    made = await mutate(
        ask, "couponCreate", COUPON, name="Summer", code="SUN",
        off={"amount": {"amount": "5.50", "currency": "EUR"}},
        duration="REPEATED", periods=3, level="LINE", limits={"planIds": [plan.id]},
        redeemUntil="2025-01-01T00:00:00Z", maxRedemptions=7, metadata={"a": "b"},
    )  # fmt: skip
    assert made["amountOff"] == {"amount": "5.5", "currency": "EUR"}
    assert (made["kind"], made["percentOff"], made["redemptions"]) == ("FIXED", None, 0)
    assert made["limits"] == {"planIds": [plan.id], "priceIds": [], "featureIds": []}
    changed = await mutate(ask, "couponUpdate", COUPON, id=made["id"], name="Sun", redeemUntil=None)
    assert (changed["name"], changed["redeemUntil"]) == ("Sun", None)
    found = await ask('{ couponByCode(code: "sun") { id } coupons(search: "su") { totalCount } }')
    assert found["data"]["couponByCode"] == {"id": made["id"]}
    assert found["data"]["coupons"] == {"totalCount": 1}
    again = await mutate(ask, "couponCreate", COUPON, name="x", code="Sun", off={"percent": "5"})
    assert (again["__typename"], again["field"]) == ("AlreadyExists", "code")
    archived = await mutate(ask, "couponArchive", COUPON, id=made["id"])
    assert archived["status"] == "ARCHIVED"
    assert (await mutate(ask, "couponRestore", COUPON, id=made["id"]))["status"] == "ACTIVE"
    wrong = await mutate(ask, "couponCreate", COUPON, name="x", code="x", off={"percent": "101"})
    assert (wrong["code"], wrong["field"]) == ("INVALID_PERCENT", "off.percent")


async def test_coupons_are_filtered_and_ordered(ask, scope, clock):
    await make.coupon(scope, clock, name="b")
    await make.coupon(scope, clock, name="a", amount_off=Decimal(1), currency="USD")
    query = """query ($filter: CouponFilter) {
      coupons(filter: $filter, orderBy: [{field: NAME}]) { nodes { name } } }"""
    everything = (await ask(query))["data"]["coupons"]["nodes"]
    assert [node["name"] for node in everything] == ["a", "b"]
    percentages = (await ask(query, {"filter": {"kind": {"eq": "PERCENTAGE"}}}))["data"]["coupons"]
    assert percentages["nodes"] == [{"name": "b"}]
    unused = (await ask(query, {"filter": {"redemptions": {"gt": 0}}}))["data"]["coupons"]
    assert unused["nodes"] == []


async def test_a_tax_rate_lives_in_the_graph(ask, scope, clock):
    made = await mutate(
        ask,
        "taxRateCreate",
        TAX_RATE,
        name="VAT",
        code="de-vat",
        rate={"percent": "19"},
        inclusive=True,
    )
    assert (made["kind"], made["percent"], made["inclusive"]) == ("PERCENTAGE", "19", True)
    fixed = await mutate(
        ask, "taxRateCreate", TAX_RATE, name="Stamp", code="stamp",
        rate={"amount": {"amount": "2", "currency": "EUR"}},
        inclusive=False, compound=True,
    )  # fmt: skip
    assert fixed["amount"] == {"amount": "2", "currency": "EUR"}
    named = await mutate(ask, "taxRateUpdate", TAX_RATE, id=made["id"], name="MwSt.")
    assert (named["name"], named["percent"]) == ("MwSt.", "19")
    query = """{ taxRateByCode(code: "de-vat") { name }
      taxRates(filter: {inclusive: {eq: false}}, orderBy: [{field: PERCENT}]) {
        nodes { code } } }"""
    found = (await ask(query))["data"]
    assert found["taxRateByCode"] == {"name": "MwSt."}
    assert found["taxRates"]["nodes"] == [{"code": "stamp"}]
    assert (await mutate(ask, "taxRateArchive", TAX_RATE, id=made["id"]))["status"] == "ARCHIVED"
    assert (await mutate(ask, "taxRateRestore", TAX_RATE, id=made["id"]))["status"] == "ACTIVE"


async def test_both_are_nodes_and_strangers_see_none(ask, scope, clock):
    coupon, rate = await make.coupon(scope, clock), await make.tax_rate(scope, clock)
    query = """query ($ids: [ID!]!, $id: ID!) {
      nodes(ids: $ids) { __typename id } coupon(id: $id) { id } taxRate(id: $id) { id } }"""
    variables = {"ids": [coupon.id, rate.id], "id": coupon.id}
    found = (await ask(query, variables))["data"]
    assert [node["__typename"] for node in found["nodes"]] == ["Coupon", "TaxRate"]
    assert (found["coupon"], found["taxRate"]) == ({"id": coupon.id}, None)
    stranger = Scope(scope.tenant_id, new_id("env"))
    hidden = (await ask(query, variables, scope=stranger))["data"]
    assert hidden == {"nodes": [None, None], "coupon": None, "taxRate": None}
