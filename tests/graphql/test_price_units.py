"""Prices in units of one's own through the graph, down to the line of an invoice."""

from datetime import timedelta
from typing import Any

import pytest

from app.invoicing import actions as invoicing
from app.invoicing.drafts import Moment
from app.kernel.scope import SYSTEM, Scope
from app.subscriptions import reads as subscriptions
from app.tenants.role import READS
from tests.catalog import make as catalog
from tests.clocks.make import development
from tests.graphql.test_catalog import mutate, plan_id
from tests.statements import statements
from tests.subscriptions import make

UNIT = """
  __typename
  ... on PriceUnit { id code name symbol baseCurrency conversionRate description metadata status
                     archivedAt }
  ... on Problem { code field message }
"""
PRICE = """
  __typename
  ... on Price { id currency priceUnitId conversion { unit rate } priceUnit { name }
                 model { ... on FlatModel { flatAmount } } replacesId }
  ... on Problem { code field message }
"""
CREDITS = {
    "code": "CRD",
    "name": "Credits",
    "baseCurrency": "USD",
    "conversionRate": "0.015",
    "symbol": "¢",
}


@pytest.fixture
async def scope(database: Any) -> Scope:
    """Of an environment that is there: billing goes by its settings."""
    return await development()


async def fee(ask: Any, plan: str, **given: Any) -> dict[str, Any]:
    defaults = {
        "planId": plan,
        "displayName": "Fee",
        "charge": "FIXED",
        "timing": "ADVANCE",
        "model": {"flat": {"flatAmount": "1001"}},
        "currency": "USD",
    }
    return await mutate(ask, "priceCreate", PRICE, **defaults | given)


async def test_a_price_unit_lives_through_the_graph(ask: Any) -> None:
    made = await mutate(ask, "priceUnitCreate", UNIT, **CREDITS)
    assert made == {
        "__typename": "PriceUnit",
        "id": made["id"],
        **CREDITS,
        "description": None,
        "metadata": {},
        "status": "ACTIVE",
        "archivedAt": None,
    }
    changed = await mutate(
        ask, "priceUnitUpdate", UNIT, id=made["id"], symbol=None, conversionRate="0.02"
    )
    assert (changed["symbol"], changed["conversionRate"]) == (None, "0.02")
    taken = await mutate(ask, "priceUnitCreate", UNIT, **CREDITS)
    assert (taken["__typename"], taken["field"]) == ("AlreadyExists", "code")
    archived = await mutate(ask, "priceUnitArchive", UNIT, id=made["id"])
    assert (archived["status"], archived["archivedAt"]) == ("ARCHIVED", "2024-06-15T12:00:00Z")
    restored = await mutate(ask, "priceUnitRestore", UNIT, id=made["id"])
    assert restored["status"] == "ACTIVE"
    answer = await ask(
        """query ($id: ID!) {
             priceUnit(id: $id) { name }
             priceUnitByCode(code: "CRD") { id }
             node(id: $id) { ... on PriceUnit { code } }
             priceUnits(filter: {baseCurrency: {eq: "USD"}}, search: "cred") {
               nodes { id } totalCount
             }
           }""",
        {"id": made["id"]},
    )
    assert answer["data"] == {
        "priceUnit": {"name": "Credits"},
        "priceUnitByCode": {"id": made["id"]},
        "node": {"code": "CRD"},
        "priceUnits": {"nodes": [{"id": made["id"]}], "totalCount": 1},
    }


async def test_a_price_in_credits_is_billed_in_dollars(
    ask: Any, scope: Scope, clock: Any, clickhouse: Any
) -> None:
    plan = await plan_id(ask)
    unit = await mutate(ask, "priceUnitCreate", UNIT, **CREDITS)
    made = await fee(ask, plan, priceUnitId=unit["id"])
    price = made.pop("id")
    assert made == {
        "__typename": "Price",
        "currency": "USD",
        "priceUnitId": unit["id"],
        "conversion": {"unit": "CRD", "rate": "0.015"},
        "priceUnit": {"name": "Credits"},
        "model": {"flatAmount": "1001"},
        "replacesId": None,
    }
    plain = await fee(ask, plan)
    assert (plain["priceUnitId"], plain["conversion"], plain["priceUnit"]) == (None, None, None)
    sold = await make.subscription(scope, clock, plan_id=plan)
    due = await subscriptions.due_for_billing(scope, [sold.id], clock.now())
    moment = Moment(clock.now(), None, timedelta(days=1))
    await invoicing.bill(scope, due, clickhouse, moment=moment, most=1, by=SYSTEM)
    answer = await ask(
        """{ invoices { nodes { lines { priceId amount { amount currency }
             conversion { unit amount rate } explanation { rule inputs } } } } }"""
    )
    [invoice] = answer["data"]["invoices"]["nodes"]
    by_price = {line["priceId"]: line for line in invoice["lines"]}
    line = by_price[price]
    # 1,001 credits at 0.015 are 15.015.
    assert line["amount"] == {"amount": "15.02", "currency": "USD"}
    assert line["conversion"] == {"unit": "CRD", "amount": "1001", "rate": "0.015"}
    assert {"rule": "conversion", "inputs": {"unit": "CRD", "rate": "0.015"}} in line["explanation"]
    assert by_price[plain["id"]]["conversion"] is None

    await mutate(ask, "priceUnitUpdate", UNIT, id=unit["id"], conversionRate="0.02")
    fresh = await mutate(ask, "priceUpdate", PRICE, id=price, refreshRate=True)
    assert (fresh["replacesId"], fresh["conversion"]["rate"]) == (price, "0.02")
    euros = await fee(ask, plan, priceUnitId=unit["id"], currency="EUR")
    assert (euros["code"], euros["field"]) == ("PRICE_UNIT_CURRENCY", "currency")


async def test_the_units_of_many_prices_take_one_statement(
    ask: Any, scope: Scope, clock: Any
) -> None:
    plan = await catalog.plan(scope, clock)
    for code in ("CRD", "TOK"):
        unit = await catalog.price_unit(scope, clock, code=code)
        for _ in range(2):
            await catalog.price(scope, clock, plan.id, price_unit_id=unit.id)

    async def read() -> None:
        answer = await ask("{ prices { nodes { priceUnit { code } } } }")
        codes = [node["priceUnit"]["code"] for node in answer["data"]["prices"]["nodes"]]
        assert codes == ["TOK", "TOK", "CRD", "CRD"]

    assert len(await statements(scope, read)) == 2


@pytest.mark.parametrize(
    ("permissions", "text"),
    [
        (READS - {"price_unit:read"}, "{ priceUnits { nodes { id } } }"),
        (READS - {"price_unit:read"}, "{ prices { nodes { priceUnit { id } } } }"),
        (READS, 'mutation { priceUnitArchive(input: {id: "x"}) { __typename } }'),
    ],
)
async def test_what_the_caller_may_not_see_or_do_is_denied(
    ask: Any, permissions: frozenset[str], text: str
) -> None:
    unit = await mutate(ask, "priceUnitCreate", UNIT, **CREDITS)
    await fee(ask, await plan_id(ask), priceUnitId=unit["id"])
    answer = await ask(text, permissions=permissions)
    assert {error["extensions"]["code"] for error in answer["errors"]} == {"FORBIDDEN"}
