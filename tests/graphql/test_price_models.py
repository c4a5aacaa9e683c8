"""Price models and adjustments of usage through the graph."""

from typing import Any

import pytest

from app.infra.postgres import fetch
from app.kernel.scope import Scope
from app.metering.aggregations import Sum
from tests.catalog import make
from tests.graphql.test_catalog import mutate, plan_id

ROW = """
  __typename
  ... on PerUnitModel { unitAmount }
  ... on PackageModel { packageAmount }
  ... on GraduatedModel { tiers { upTo } }
  ... on VolumeModel { tiers { upTo } }
  ... on GraduatedPercentageModel { tiers { upTo ratePercent flatAmount } zeroUsage }
  ... on DynamicModel { multiplier }
"""
PRICE = f"""
  __typename
  ... on Price {{
    id featureId contentHash
    warnings {{ code message field }}
    adjustments {{
      transform {{ multiplyBy divideBy round precision }} freeUnits bucket minimum maximum tiersPer
    }}
    model {{
      {ROW}
      ... on PercentageModel {{
        ratePercent fixedPerEvent freeEvents freeAmount minPerEvent maxPerEvent
      }}
      ... on MatrixModel {{
        rows {{ match {{ dimension values }} price {{ {ROW} }} displayName }}
        default {{ {ROW} }} defaultName cells linePerRow
      }}
      ... on FormulaModel {{ expression variables {{ name unit featureId meterId }} }}
    }}
  }}
  ... on Problem {{ code field message }}
"""


@pytest.fixture
async def feature(scope: Scope, clock: Any) -> Any:
    meter = await make.meter(
        scope, clock, aggregation=Sum("seconds"), dimensions=("region", "model")
    )
    return await make.feature(scope, clock, meter_id=meter.id)


async def sell(ask: Any, feature: Any, model: Any, **given: Any) -> dict[str, Any]:
    fields = {
        "planId": await plan_id(ask),
        "displayName": "Calls",
        "charge": "USAGE",
        "featureId": feature.id,
        "currency": "USD",
        "model": model,
    }
    return await mutate(ask, "priceCreate", PRICE, **fields | given)


MATRIX = {
    "rows": [
        {
            "match": [
                {"dimension": "region", "values": ["eu", "us"]},
                {"dimension": "model", "values": ["large"]},
            ],
            "price": {"graduated": {"tiers": [{"upTo": "10", "unitAmount": "2"}, {"upTo": None}]}},
            "displayName": "Large",
        },
        {
            "match": [{"dimension": "region", "values": ["eu"]}],
            "price": {"dynamic": {"multiplier": "1.50"}},
        },
    ],
    "default": {"perUnit": {"unitAmount": "0.1"}},
    "defaultName": "Other",
    "cells": "APART",
    "linePerRow": True,
}


@pytest.mark.parametrize(
    ("model", "shown"),
    [
        (
            {
                "graduatedPercentage": {
                    "tiers": [{"upTo": "100", "ratePercent": "1.50"}, {"upTo": None}],
                    "zeroUsage": "FIRST_TIER_FLAT",
                }
            },
            {
                "__typename": "GraduatedPercentageModel",
                "tiers": [
                    {"upTo": "100", "ratePercent": "1.5", "flatAmount": "0"},
                    {"upTo": None, "ratePercent": "0", "flatAmount": "0"},
                ],
                "zeroUsage": "FIRST_TIER_FLAT",
            },
        ),
        ({"dynamic": {}}, {"__typename": "DynamicModel", "multiplier": "1"}),
        (
            {"percentage": {"ratePercent": "2.9", "freeEvents": 3, "maxPerEvent": "12"}},
            {
                "__typename": "PercentageModel",
                "ratePercent": "2.9",
                "fixedPerEvent": "0",
                "freeEvents": 3,
                "freeAmount": None,
                "minPerEvent": None,
                "maxPerEvent": "12",
            },
        ),
        (
            {"matrix": MATRIX},
            {
                "__typename": "MatrixModel",
                "rows": [
                    {
                        "match": MATRIX["rows"][0]["match"],
                        "price": {
                            "__typename": "GraduatedModel",
                            "tiers": [{"upTo": "10"}, {"upTo": None}],
                        },
                        "displayName": "Large",
                    },
                    {
                        "match": MATRIX["rows"][1]["match"],
                        "price": {"__typename": "DynamicModel", "multiplier": "1.5"},
                        "displayName": None,
                    },
                ],
                "default": {"__typename": "PerUnitModel", "unitAmount": "0.1"},
                "defaultName": "Other",
                "cells": "APART",
                "linePerRow": True,
            },
        ),
    ],
    ids=lambda value: next(iter(value)),
)
async def test_every_model_of_usage_is_written_and_read_back(
    ask: Any, feature: Any, model: dict[str, Any], shown: dict[str, Any]
) -> None:
    assert (await sell(ask, feature, model))["model"] == shown


async def test_a_formula_is_shown_in_its_canonical_spelling_with_its_meters(
    ask: Any, feature: Any
) -> None:
    made = await sell(
        ask,
        feature,
        {
            "formula": {
                "expression": "( spoken*0.01 [USD / s] ) - 1[USD]",
                "variables": [{"name": "spoken", "unit": "s", "featureId": feature.id}],
            }
        },
    )
    assert made["model"] == {
        "__typename": "FormulaModel",
        "expression": "spoken * 0.01[USD/s] - 1[USD]",
        "variables": [
            {"name": "spoken", "unit": "s", "featureId": feature.id, "meterId": feature.meter_id}
        ],
    }
    assert [each["code"] for each in made["warnings"]] == ["FORMULA_MAY_BE_NEGATIVE"]


async def test_adjustments_are_written_and_read_back(ask: Any, feature: Any) -> None:
    given = {
        "transform": {"divideBy": "60", "round": "UP", "precision": 1},
        "freeUnits": "10",
        "bucket": "DAY",
        "minimum": "1",
        "maximum": "99.90",
        "tiersPer": "TOTAL",
    }
    made = await sell(
        ask, feature, {"perUnit": {"unitAmount": "1"}}, adjustments=given, groupBy=["region"]
    )
    transform = {"multiplyBy": None, "divideBy": "60", "round": "UP", "precision": 1}
    assert made["adjustments"] == given | {"transform": transform, "maximum": "99.9"}


async def test_a_volume_price_that_falls_has_a_warning(ask: Any, feature: Any) -> None:
    tiers = [{"upTo": "10", "unitAmount": "1"}, {"upTo": None, "unitAmount": "0.5"}]
    made = await sell(ask, feature, {"volume": {"tiers": tiers}})
    assert made["warnings"] == [
        {
            "code": "VOLUME_NOT_MONOTONE",
            "message": "just above 10 units the total falls from 10 to 5",
            "field": "model.volume.tiers[1]",
        }
    ]


def nested(price: dict[str, Any]) -> dict[str, Any]:
    match = [{"dimension": "region", "values": ["eu"]}]
    return {"matrix": {"rows": [{"match": match, "price": price}], "default": {"dynamic": {}}}}


def wrong_formula(expression: str) -> dict[str, Any]:
    variables = [{"name": "x", "unit": "s"}]
    return {"formula": {"expression": expression, "variables": variables}}


@pytest.mark.parametrize(
    ("model", "field", "code"),
    [
        (
            nested({"volume": {"tiers": [{"upTo": "5"}]}}),
            "model.matrix.rows[0].price.volume.tiers[0].upTo",
            "LAST_TIER_NOT_OPEN",
        ),
        (
            {"matrix": {"rows": [], "default": {"dynamic": {"multiplier": "-1"}}}},
            "model.matrix.default.dynamic.multiplier",
            "NEGATIVE_AMOUNT",
        ),
        ({"matrix": {"rows": [], "default": {"dynamic": {}}}}, "model.matrix.rows", "INVALID_ROWS"),
        (
            {"percentage": {"ratePercent": "1", "freeEvents": -1}},
            "model.percentage.freeEvents",
            "INVALID_COUNT",
        ),
        (wrong_formula("x * "), "model.formula.expression", "FORMULA_SYNTAX"),
        (wrong_formula("1[USD] / x"), "model.formula.expression", "FORMULA_DIVISION"),
        (wrong_formula("x"), "model.formula.variables[0].featureId", "FEATURE_REQUIRED"),
    ],
)
async def test_a_refused_model_names_the_path_of_its_fault_and_makes_no_price(
    ask: Any, scope: Scope, feature: Any, model: dict[str, Any], field: str, code: str
) -> None:
    refused = await sell(ask, feature, model)
    assert (refused["__typename"], refused["field"], refused["code"]) == ("Rejected", field, code)
    assert await fetch(scope, "SELECT id FROM prices") == []
