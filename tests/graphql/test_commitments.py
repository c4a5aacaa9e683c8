"""Commitments in the graph: given, shown, changed for the next period, billed, and refused."""

from typing import Any

import pytest

from app.catalog.prices import Adjustments
from app.infra.postgres import fetch
from app.kernel.scope import Scope
from tests.catalog import make as catalog
from tests.graphql.test_subscriptions import sold

_RESULT = """
  __typename
  ... on Subscription {
    id
    commitments {
      priceId amount quantity overageFactor trueUp windowed duration { unit count }
      timeOfDay {
        startHour endHour amount quantity overageFactor trueUp
        model { __typename ... on PerUnitModel { unitAmount } }
      }
      startsAt endsAt
    }
  }
  ... on Problem { code field }
"""


async def mutate(ask: Any, name: str, **given: Any) -> dict[str, Any]:
    type_ = name[0].upper() + name[1:] + "Input"
    text = f"mutation ($input: {type_}!) {{ {name}(input: $input) {{ {_RESULT} }} }}"
    answer = await ask(text, {"input": given})
    assert "errors" not in answer, answer
    result: dict[str, Any] = answer["data"][name]
    return result


async def test_commitments_are_given_shown_and_changed_for_the_next_period(
    ask: Any, scope: Scope, clock: Any
) -> None:
    given = await sold(scope, clock)
    year = {"unit": "YEAR", "count": 1}
    made = await mutate(
        ask,
        "subscriptionCreate",
        **given,
        commitments=[
            {"amount": "1200.50", "overageFactor": "1.5", "trueUp": True, "duration": year}
        ],
    )
    shown = {
        "priceId": None,
        "amount": "1200.5",
        "quantity": None,
        "overageFactor": "1.5",
        "trueUp": True,
        "windowed": False,
        "timeOfDay": [],
        "duration": year,
        "startsAt": None,
        "endsAt": None,
    }
    assert made["commitments"] == [shown]
    changed = await mutate(ask, "subscriptionUpdate", id=made["id"], commitments=[{"amount": "10"}])
    first, second = changed["commitments"]
    assert first == {**shown, "endsAt": second["startsAt"]}
    assert (second["amount"], second["duration"], second["endsAt"]) == ("10", None, None)
    unchanged = await mutate(ask, "subscriptionUpdate", id=made["id"], purchaseOrder="PO 1")
    assert unchanged["commitments"] == [first, second]
    coming = await ask(
        """query ($committed: Boolean) {
          subscriptions(filter: {committed: {eq: $committed}}) {
            nodes { scheduledChanges { kind at cancelable } } } }""",
        {"committed": True},
    )
    change = {"kind": "COMMITMENTS", "at": second["startsAt"], "cancelable": False}
    assert coming["data"]["subscriptions"]["nodes"] == [{"scheduledChanges": [change]}]
    uncommitted = "{ subscriptions(filter: {committed: {eq: false}}) { totalCount } }"
    assert (await ask(uncommitted))["data"]["subscriptions"]["totalCount"] == 0
    (*_, entry) = await fetch(
        scope, "SELECT after::text FROM audit_entries WHERE action = 'subscription.update' "
        "AND after::text LIKE '%commitments%' ORDER BY id",
    )  # fmt: skip
    assert '"1200.5' in entry["after"]


@pytest.mark.parametrize(
    ("given", "field", "code"),
    [
        ({}, "commitments[0]", "INVALID_COMMITMENT"),
        ({"amount": "1", "quantity": "1"}, "commitments[0]", "INVALID_COMMITMENT"),
        ({"amount": "0"}, "commitments[0].amount", "NOT_POSITIVE"),
        ({"amount": "-1"}, "commitments[0].amount", "INVALID_AMOUNT"),
        ({"quantity": "5"}, "commitments[0]", "COMMITMENT_NOT_APPLICABLE"),
        (
            {"amount": "1", "overageFactor": "0.5"},
            "commitments[0].overageFactor",
            "INVALID_OVERAGE_FACTOR",
        ),
        (
            {"amount": "1", "priceId": "pri_none"},
            "commitments[0].priceId",
            "INVALID_COMMITMENTS",
        ),
        (
            {"amount": "1", "duration": {"unit": "DAY", "count": 1}},
            "commitments[0].duration",
            "INVALID_COMMITMENT_DURATION",
        ),
        (
            {"timeOfDay": [{"startHour": 6, "endHour": 6}]},
            "commitments[0].timeOfDay[0]",
            "INVALID_TIME_OF_DAY",
        ),
        (
            {"timeOfDay": [{"startHour": 22, "endHour": 6, "trueUp": True}]},
            "commitments[0].timeOfDay[0]",
            "INVALID_COMMITMENT",
        ),
        (
            {"timeOfDay": [{"startHour": 22, "endHour": 6}, {"startHour": 5, "endHour": 7}]},
            "commitments[0].timeOfDay[1]",
            "INVALID_TIME_OF_DAY",
        ),
        (
            {"timeOfDay": [{"startHour": 22, "endHour": 6, "amount": "1"}]},
            "commitments[0].timeOfDay",
            "COMMITMENT_NOT_APPLICABLE",
        ),
    ],
)
async def test_a_refused_commitment_sells_nothing(
    ask: Any, scope: Scope, clock: Any, given: dict[str, Any], field: str, code: str
) -> None:
    refused = await mutate(
        ask, "subscriptionCreate", **await sold(scope, clock), commitments=[given]
    )
    assert (refused["__typename"], refused["field"], refused["code"]) == ("Rejected", field, code)
    for table in ("subscriptions", "subscription_line_items", "due_items"):
        assert await fetch(scope, f"SELECT 1 FROM {table}") == []  # noqa: S608


async def test_a_fixed_price_cannot_be_committed_to(ask: Any, scope: Scope, clock: Any) -> None:
    given = await sold(scope, clock)
    fee = await catalog.price(scope, clock, given["planId"], display_name="Seats")
    refused = await mutate(
        ask, "subscriptionCreate", **given, commitments=[{"priceId": fee.id, "amount": "1"}]
    )
    assert (refused["field"], refused["code"]) == (
        "commitments[0].priceId", "COMMITMENT_NOT_APPLICABLE",
    )  # fmt: skip


async def test_parts_of_the_day_are_given_and_shown(ask: Any, scope: Scope, clock: Any) -> None:
    given = await sold(scope, clock)
    hourly = await catalog.usage_price(
        scope, clock, given["planId"], adjustments=Adjustments(bucket="hour")
    )
    night = {"startHour": 22, "endHour": 6, "amount": "2", "overageFactor": "3", "trueUp": True}
    noon = {"startHour": 12, "endHour": 14, "model": {"perUnit": {"unitAmount": "0.5"}}}
    made = await mutate(
        ask,
        "subscriptionCreate",
        **given,
        commitments=[{"priceId": hourly.id, "windowed": True, "timeOfDay": [night, noon]}],
    )
    (held,) = made["commitments"]
    assert (held["amount"], held["windowed"]) == ("0", True)
    model = {"__typename": "PerUnitModel", "unitAmount": "0.5"}
    nothing = {"amount": "0", "quantity": None, "overageFactor": "1", "trueUp": False}
    assert held["timeOfDay"] == [
        {**night, "quantity": None, "model": None},
        {**noon, **nothing, "model": model},
    ]
