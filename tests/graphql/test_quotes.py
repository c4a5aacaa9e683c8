"""`priceQuote`: what a price asks for usage that somebody imagines."""

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from app.catalog.prices import Adjustments, Graduated, Percentage, Tier
from app.infra.postgres import fetch
from app.invoicing import explanation
from app.kernel.ids import new_id
from app.kernel.scope import Scope
from tests.catalog import make

QUOTE = """
query ($price: QuotedPriceInput!, $usage: QuotedUsageInput!) {
  priceQuote(price: $price, usage: $usage) {
    __typename
    ... on PriceQuote {
      amount { amount currency } exact explanation { index parent rule inputs result }
    }
    ... on Problem { code field }
  }
}
"""


async def quoted(ask: Any, price: dict[str, Any], **usage: Any) -> dict[str, Any]:
    answer = await ask(QUOTE, {"price": price, "usage": usage})
    assert "errors" not in answer, answer
    found: dict[str, Any] = answer["data"]["priceQuote"]
    return found


def terms(model: dict[str, Any], **given: Any) -> dict[str, Any]:
    return {"terms": {"model": model, "currency": "USD"} | given}


def evaluated(steps: list[dict[str, Any]]) -> Decimal:
    """The amount that the shown steps lead to, put together again as a tree."""
    trees = {
        each["index"]: {key: each[key] for key in ("rule", "inputs", "result")} | {"parts": []}
        for each in steps
    }
    for each in steps:
        if each["parent"] is not None:
            trees[each["parent"]]["parts"].append(trees[each["index"]])
    return explanation.evaluate(trees[0])


MATCH = [{"dimension": "cloud", "values": ["aws"]}]
MATRIX = {
    "rows": [{"match": MATCH, "price": {"package": {"packageAmount": "5", "size": "100"}}}],
    "default": {"perUnit": {"unitAmount": "0.12"}},
}
FORMULA = {
    "expression": "input * 0.003[USD/token] + graduated(runs, 10[run]: 1[USD/run], 0.333[USD/run])",
    "variables": [{"name": "input", "unit": "token"}, {"name": "runs", "unit": "run"}],
}
TIERS = {"tiers": [{"upTo": "10", "unitAmount": "1"}, {"upTo": None, "unitAmount": "0.5"}]}


@pytest.mark.parametrize(
    ("price", "usage", "exact"),
    [
        (terms({"graduated": TIERS}), {"quantity": "15.5"}, "12.75"),
        (terms({"graduated": TIERS}), {"amounts": ["5", "10.5"]}, "12.75"),
        (terms({"flat": {"flatAmount": "9.99"}}, charge="FIXED"), {"quantity": "3"}, "29.97"),
        (terms({"percentage": {"ratePercent": "2.9", "fixedPerEvent": "0.3"}}),
         {"amounts": ["4", "0"]}, "0.716"),
        (terms({"matrix": MATRIX}), {"cells": [
            {"dimensions": [{"dimension": "cloud", "value": "aws"}], "quantity": "60"},
            {"dimensions": [{"dimension": "cloud", "value": "aws"}], "quantity": "60"},
            {"dimensions": [], "quantity": "10"}]}, "11.2"),
        (terms({"matrix": MATRIX | {"cells": "APART"}}), {"cells": [
            {"dimensions": [{"dimension": "cloud", "value": "aws"}], "quantity": "60"},
            {"dimensions": [{"dimension": "cloud"}], "quantity": "10"}]}, "6.2"),
        (terms({"formula": FORMULA}), {"meters": [
            {"variable": "input", "quantity": "1000"}, {"variable": "runs", "quantity": "11"}]},
         "13.333"),
        (terms({"formula": FORMULA}), {"meters": []}, "0"),
        (terms({"volume": TIERS}, adjustments={"bucket": "DAY"}), {"windows": ["5", "0", "11"]},
         "10.5"),
        (terms({"perUnit": {"unitAmount": "1"}}, adjustments={"transform": {"divideBy": "3"}}),
         {"quantity": "1"}, "1/3"),
        (terms({"perUnit": {"unitAmount": "1"}}, adjustments={"minimum": "7"}),
         {"quantity": "-4"}, "7"),
    ],
)  # fmt: skip
async def test_terms_are_quoted_exactly_rounded_and_explained(
    ask: Any, price: dict[str, Any], usage: dict[str, Any], exact: str
) -> None:
    found = await quoted(ask, price, **usage)
    assert found["exact"] == exact
    amount = Decimal(found["amount"]["amount"])
    assert abs(Fraction(exact) - Fraction(amount)) <= Fraction(1, 200)
    assert found["amount"]["currency"] == "USD"
    assert evaluated(found["explanation"]) == amount
    assert found["explanation"][0]["rule"] == "line"


async def test_a_price_that_is_sold_is_quoted_by_its_terms(
    ask: Any, scope: Scope, clock: Any
) -> None:
    plan = await make.plan(scope, clock)
    sold = await make.usage_price(
        scope,
        clock,
        plan.id,
        model=Graduated((Tier(Decimal(100), Decimal("0.1")), Tier(None, Decimal("0.05")))),
        adjustments=Adjustments(free_units=Decimal(50), maximum=Decimal(12)),
    )
    assert (await quoted(ask, {"id": sold.id}, quantity="170"))["exact"] == "11"
    assert (await quoted(ask, {"id": sold.id}, quantity="1000"))["exact"] == "12"
    fees = await make.usage_price(scope, clock, plan.id, model=Percentage(Decimal(2)))
    assert (await quoted(ask, {"id": fees.id}, amounts=["10", "5"]))["exact"] == "0.3"
    refused = await quoted(ask, {"id": fees.id}, quantity="15")
    assert (refused["code"], refused["field"]) == ("QUOTE_USAGE", "usage.amounts")
    refused = await quoted(ask, {"id": new_id("pri")}, quantity="15")
    assert (refused["code"], refused["field"]) == ("NOT_FOUND", "priceId")


async def test_a_price_in_a_unit_of_ones_own_is_quoted_in_its_currency(
    ask: Any, scope: Scope, clock: Any
) -> None:
    plan = await make.plan(scope, clock)
    unit = await make.price_unit(scope, clock)  # a credit worth a cent
    tiers = (Tier(Decimal(100), Decimal(3)), Tier(None, Decimal("0.5")))
    sold = await make.usage_price(
        scope, clock, plan.id, model=Graduated(tiers), price_unit_id=unit.id
    )
    found = await quoted(ask, {"id": sold.id}, quantity="150")
    assert (found["exact"], found["amount"]) == ("3.25", {"amount": "3.25", "currency": "USD"})
    assert evaluated(found["explanation"]) == Decimal("3.25")


@pytest.mark.parametrize(
    ("price", "usage", "field", "code"),
    [
        (terms({"graduated": {"tiers": [{"upTo": "1"}]}}), {"quantity": "1"},
         "price.terms.model.graduated.tiers[0].upTo", "LAST_TIER_NOT_OPEN"),
        (terms({"graduated": TIERS}, currency="XXXX"), {"quantity": "1"},
         "price.terms.currency", "INVALID_CURRENCY"),
        (terms({"formula": FORMULA}, currency="EUR"), {"meters": []},
         "price.terms.model.formula.expression", "FORMULA_UNITS"),
        (terms({"matrix": MATRIX}, adjustments={"freeUnits": "1"}), {"cells": []},
         "price.terms.adjustments.freeUnits", "ADJUSTMENT_NOT_ALLOWED"),
        (terms({"matrix": MATRIX}, charge="FIXED"), {"cells": []},
         "price.terms.model.matrix", "USAGE_MODEL"),
        (terms({"matrix": MATRIX}), {"quantity": "1"}, "usage.cells", "QUOTE_USAGE"),
        (terms({"formula": FORMULA}), {"quantity": "1"}, "usage.meters", "QUOTE_USAGE"),
        (terms({"graduated": TIERS}), {"windows": ["1"]}, "usage.quantity", "QUOTE_USAGE"),
        (terms({"graduated": TIERS}, adjustments={"bucket": "HOUR"}), {"quantity": "1"},
         "usage.windows", "QUOTE_USAGE"),
        (terms({"matrix": MATRIX}),
         {"cells": [{"dimensions": [{"dimension": "planet"}], "quantity": "1"}]},
         "usage.cells[0].dimensions", "UNKNOWN_DIMENSION"),
        (terms({"formula": FORMULA}), {"meters": [{"variable": "x", "quantity": "1"}]},
         "usage.meters", "UNKNOWN_VARIABLE"),
        (terms({"graduated": TIERS}), {"amounts": ["1"] * 1001}, "usage.amounts", "TOO_MANY_PARTS"),
    ],
)  # fmt: skip
async def test_what_cannot_be_quoted_says_why(
    ask: Any, price: dict[str, Any], usage: dict[str, Any], field: str, code: str
) -> None:
    refused = await quoted(ask, price, **usage)
    assert (refused["__typename"], refused["code"], refused["field"]) == ("Rejected", code, field)


async def test_a_quote_leaves_nothing_behind(ask: Any, scope: Scope) -> None:
    tables = ("prices", "invoices", "audit_entries", "outbox")
    before = {name: await fetch(scope, f"SELECT * FROM {name}") for name in tables}  # noqa: S608
    await quoted(ask, terms({"graduated": TIERS}), quantity="1")
    assert before == {
        name: await fetch(scope, f"SELECT * FROM {name}")  # noqa: S608
        for name in tables
    }
