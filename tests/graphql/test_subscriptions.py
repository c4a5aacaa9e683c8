"""Subscriptions through the graph."""

import re
from datetime import timedelta
from typing import Any

import pytest

from app.infra.postgres import fetch
from app.kernel.scope import Scope
from app.tenants.role import READS
from tests.catalog import make as catalog
from tests.statements import statements
from tests.subscriptions import make

SELECTED = """
    id customerId planId status currency timezone alignment cadence { unit count } anchor startsAt
    endsAt currentPeriodStart currentPeriodEnd billedUntil cancelRequestedAt metadata
    customer { name } plan { name }
    lineItems { priceId quantity startsAt endsAt price { displayName } }
"""
SUBSCRIPTION = f"""
  __typename
  ... on Subscription {{ {SELECTED} }}
  ... on Problem {{ code field message }}
"""


async def mutate(ask: Any, name: str, **given: Any) -> dict[str, Any]:
    type_ = name[0].upper() + name[1:] + "Input"
    text = f"mutation ($input: {type_}!) {{ {name}(input: $input) {{ {SUBSCRIPTION} }} }}"
    answer = await ask(text, {"input": given})
    assert "errors" not in answer, answer
    result: dict[str, Any] = answer["data"][name]
    return result


async def sold(scope: Scope, clock: Any) -> dict[str, str]:
    """A customer and a plan to put it on."""
    customer = await make.customer(scope, clock, name="Acme", timezone="Europe/Berlin")
    return {"customerId": customer.id, "planId": (await make.plan(scope, clock)).id}


async def test_a_subscription_is_created_with_its_lines(ask: Any, scope: Scope, clock: Any) -> None:
    given = await sold(scope, clock)
    seats = await catalog.price(scope, clock, given["planId"], display_name="Seats")
    made = await mutate(
        ask,
        "subscriptionCreate",
        **given,
        alignment="CALENDAR",
        startsAt="2024-06-01T00:00:00+02:00",
        endsAt="2025-06-01T00:00:00+02:00",
        quantities=[{"priceId": seats.id, "quantity": "25"}],
        metadata={"deal": "9"},
    )
    lines = made.pop("lineItems")
    assert made == {
        "__typename": "Subscription",
        "id": made["id"],
        "customerId": given["customerId"],
        "planId": given["planId"],
        "status": "ACTIVE",
        "currency": "USD",
        "timezone": "Europe/Berlin",
        "alignment": "CALENDAR",
        "cadence": {"unit": "MONTH", "count": 1},
        "anchor": "2024-05-31T22:00:00Z",
        "startsAt": "2024-05-31T22:00:00Z",
        "endsAt": "2025-05-31T22:00:00Z",
        "currentPeriodStart": "2024-05-31T22:00:00Z",
        "currentPeriodEnd": "2024-06-30T22:00:00Z",
        "billedUntil": None,
        "cancelRequestedAt": None,
        "metadata": {"deal": "9"},
        "customer": {"name": "Acme"},
        "plan": {"name": "Pro"},
    }
    assert [(line["price"]["displayName"], line["quantity"]) for line in lines] == [
        ("Platform fee", "1"),
        ("Calls", None),
        ("Seats", "25"),
    ]
    assert {(line["startsAt"], line["endsAt"]) for line in lines} == {
        ("2024-05-31T22:00:00Z", None)
    }


async def test_a_subscription_is_changed_and_canceled(ask: Any, scope: Scope, clock: Any) -> None:
    made = await mutate(ask, "subscriptionCreate", **await sold(scope, clock))
    ending = await mutate(
        ask, "subscriptionUpdate", id=made["id"], endsAt="2024-12-31T00:00:00Z", metadata={"a": "b"}
    )
    assert (ending["endsAt"], ending["metadata"]) == ("2024-12-31T00:00:00Z", {"a": "b"})
    open_ = await mutate(ask, "subscriptionUpdate", id=made["id"], endsAt=None)
    assert (open_["endsAt"], open_["metadata"]) == (None, {"a": "b"})
    leaving = await mutate(ask, "subscriptionCancel", id=made["id"])
    assert (leaving["status"], leaving["endsAt"], leaving["cancelRequestedAt"]) == (
        "ACTIVE",
        "2024-07-15T12:00:00Z",
        "2024-06-15T12:00:00Z",
    )
    again = await mutate(ask, "subscriptionCancel", id=made["id"], mode="PERIOD_END")
    assert (again["__typename"], again["code"], again["field"]) == (
        "Rejected",
        "CANCELLATION_PENDING",
        "mode",
    )
    gone = await mutate(ask, "subscriptionCancel", id=made["id"], mode="NOW")
    assert (gone["status"], gone["endsAt"]) == ("CANCELED", "2024-06-15T12:00:00Z")
    over = await mutate(ask, "subscriptionCancel", id=made["id"], mode="NOW")
    assert (over["code"], over["field"]) == ("SUBSCRIPTION_OVER", "id")


async def test_subscriptions_are_listed_by_customer_and_found_by_id(
    ask: Any, scope: Scope, clock: Any
) -> None:
    first = await mutate(ask, "subscriptionCreate", **await sold(scope, clock))
    await mutate(ask, "subscriptionCreate", **await sold(scope, clock))
    answer = await ask(
        """query ($customer: ID!, $id: ID!) {
             subscriptions(filter: {customerId: {eq: $customer}, status: {eq: ACTIVE},
                                    cadenceUnit: {eq: MONTH}, alignment: {eq: ANNIVERSARY}},
                           orderBy: [{field: CURRENT_PERIOD_END}]) {
               nodes { id } totalCount
             }
             subscription(id: $id) { id lineItems { id } }
             node(id: $id) { id ... on Subscription { status } }
           }""",
        {"customer": first["customerId"], "id": first["id"]},
    )
    data = answer["data"]
    assert data["subscriptions"] == {"nodes": [{"id": first["id"]}], "totalCount": 1}
    assert data["node"] == {"id": first["id"], "status": "ACTIVE"}
    line = data["subscription"]["lineItems"][0]["id"]
    found = await ask(
        "query ($id: ID!) { node(id: $id) { ... on SubscriptionLineItem { subscriptionId } } }",
        {"id": line},
    )
    assert found["data"]["node"] == {"subscriptionId": first["id"]}


@pytest.mark.parametrize(
    ("given", "field", "code"),
    [
        ({"planId": "plan_none"}, "planId", "NOT_FOUND"),
        ({"customerId": "cus_none"}, "customerId", "NOT_FOUND"),
        ({"currency": "EUR"}, "planId", "NO_MATCHING_PRICE"),
        ({"timezone": "Nowhere"}, "timezone", "INVALID_TIMEZONE"),
        ({"cadence": {"unit": "DAY", "count": 1000}}, "cadence.count", "INVALID_CADENCE"),
        ({"endsAt": "2024-06-15T12:00:00Z"}, "endsAt", "INVALID_ENDS_AT"),
        (
            {"quantities": [{"priceId": "pri_none", "quantity": "1"}]},
            "quantities[0].priceId",
            "INVALID_QUANTITIES",
        ),
    ],
)
async def test_a_refused_subscription_changes_nothing(
    ask: Any, scope: Scope, clock: Any, given: dict[str, Any], field: str, code: str
) -> None:
    refused = await mutate(ask, "subscriptionCreate", **await sold(scope, clock) | given)
    assert (refused["__typename"], refused["field"], refused["code"]) == ("Rejected", field, code)
    for table in ("subscriptions", "subscription_line_items", "due_items"):
        assert await fetch(scope, f"SELECT 1 FROM {table}") == []  # noqa: S608


@pytest.mark.parametrize(
    ("missing", "text"),
    [
        ("subscription:read", "{ subscriptions { nodes { id } } }"),
        ("customer:read", "{ subscriptions { nodes { customer { id } } } }"),
        ("plan:read", "{ subscriptions { nodes { plan { id } } } }"),
        ("price:read", "{ subscriptions { nodes { lineItems { price { id } } } } }"),
        ("", 'mutation { subscriptionCancel(input: {id: "x"}) { __typename } }'),
    ],
)
async def test_what_the_caller_may_not_see_or_do_is_denied(
    ask: Any, scope: Scope, clock: Any, missing: str, text: str
) -> None:
    await make.subscription(scope, clock)
    answer = await ask(text, permissions=READS - {missing})
    assert {error["extensions"]["code"] for error in answer["errors"]} == {"FORBIDDEN"}


async def test_a_page_with_all_its_edges_takes_five_statements(
    ask: Any, scope: Scope, clock: Any
) -> None:
    for _ in range(4):
        await make.subscription(scope, clock)
    text = f"""query ($first: Int) {{
      subscriptions(first: $first) {{ nodes {{ {SELECTED} }} }}
    }}"""
    for first in (1, 4):
        lines: list[int] = []

        async def read(first: int = first, lines: list[int] = lines) -> None:
            answer = await ask(text, {"first": first})
            nodes = answer["data"]["subscriptions"]["nodes"]
            lines += [len(node["lineItems"]) for node in nodes]

        seen = await statements(scope, read)
        assert lines == [2] * first
        tables = sorted(re.search(r"FROM (\w+)", query)[1] for query in seen)
        assert tables == [
            "customers",
            "plans",
            "prices",
            "subscription_line_items",
            "subscriptions",
        ]


LIFE = """
  __typename
  ... on Subscription {
    id status startsAt endsAt netDays collectionMethod purchaseOrder autoInvoiceThreshold
    trial { endsAt days billsUsage plannedEnd }
    cancellation { mode finalInvoice reason comment }
    scheduledChanges { kind at cancelable }
    pauses { nodes { status startsAt endsAt behaviour reason } totalCount }
  }
  ... on Problem { code field message }
"""


async def live(ask: Any, verb: str, **given: Any) -> dict[str, Any]:
    name = f"subscription{verb}"
    type_ = f"Subscription{verb}Input"
    text = f"mutation ($input: {type_}!) {{ {name}(input: $input) {{ {LIFE} }} }}"
    answer = await ask(text, {"input": given})
    assert "errors" not in answer, answer
    result: dict[str, Any] = answer["data"][name]
    return result


async def test_a_draft_is_edited_and_activated(ask: Any, scope: Scope, clock: Any) -> None:
    draft = await live(ask, "Create", **await sold(scope, clock), draft=True, netDays=14)
    assert (draft["status"], draft["netDays"]) == ("DRAFT", 14)
    edited = await live(
        ask, "Update", id=draft["id"], startsAt="2024-07-01T00:00:00Z", trialDays=10,
        purchaseOrder="PO-7", collectionMethod="SEND_INVOICE", autoInvoiceThreshold="99.5",
    )  # fmt: skip
    assert edited["trial"] == {
        "endsAt": "2024-07-11T00:00:00Z", "days": 10, "billsUsage": False, "plannedEnd": None,
    }  # fmt: skip
    assert (edited["purchaseOrder"], edited["collectionMethod"]) == ("PO-7", "SEND_INVOICE")
    assert edited["autoInvoiceThreshold"] == "99.5"
    active = await live(ask, "Activate", id=draft["id"])
    assert (active["status"], active["startsAt"]) == ("SCHEDULED", "2024-07-01T00:00:00Z")
    assert active["scheduledChanges"] == [
        {"kind": "START", "at": "2024-07-01T00:00:00Z", "cancelable": False},
        {"kind": "TRIAL_END", "at": "2024-07-11T00:00:00Z", "cancelable": False},
    ]
    again = await live(ask, "Activate", id=draft["id"])
    assert (again["code"], again["field"]) == ("SUBSCRIPTION_NOT_DRAFT", "id")


async def test_it_is_paused_and_resumed_and_its_pauses_are_listed(
    ask: Any, scope: Scope, clock: Any
) -> None:
    made = await live(ask, "Create", **await sold(scope, clock))
    paused = await live(
        ask, "Pause", id=made["id"], mode="AT", at="2024-07-01T00:00:00Z",
        resumesAt="2024-08-01T00:00:00Z", reason="Holidays",
    )  # fmt: skip
    assert paused["pauses"] == {
        "nodes": [
            {
                "status": "SCHEDULED",
                "startsAt": "2024-07-01T00:00:00Z",
                "endsAt": "2024-08-01T00:00:00Z",
                "behaviour": "KEEP",
                "reason": "Holidays",
            }
        ],
        "totalCount": 1,
    }
    assert [change["kind"] for change in paused["scheduledChanges"]] == ["PAUSE", "RESUME"]
    second = await live(ask, "Pause", id=made["id"])
    assert (second["code"], second["field"]) == ("PAUSE_PENDING", "id")
    back = await live(ask, "CancelChange", id=made["id"], kind="PAUSE")
    assert back["scheduledChanges"] == []
    assert (await live(ask, "Pause", id=made["id"]))["status"] == "PAUSED"
    clock.at += timedelta(days=1)
    resumed = await live(ask, "Resume", id=made["id"])
    assert resumed["status"] == "ACTIVE"
    statuses = [pause["status"] for pause in resumed["pauses"]["nodes"]]
    assert sorted(statuses) == ["CANCELED", "COMPLETED"]
    answer = await ask(
        """query ($id: ID!) {
             subscriptionPauses(filter: {subscriptionId: {eq: $id}, canceledAt: {isNull: true}},
                                orderBy: [{field: STARTS_AT}]) { nodes { id subscriptionId } }
           }""",
        {"id": made["id"]},
    )
    (pause,) = answer["data"]["subscriptionPauses"]["nodes"]
    found = await ask(
        "query ($id: ID!) { subscriptionPause(id: $id) { id } node(id: $id) { __typename id } }",
        {"id": pause["id"]},
    )
    assert found["data"] == {
        "subscriptionPause": {"id": pause["id"]},
        "node": {"__typename": "SubscriptionPause", "id": pause["id"]},
    }


async def test_a_cancellation_says_why_and_is_taken_back(
    ask: Any, scope: Scope, clock: Any
) -> None:
    made = await live(ask, "Create", **await sold(scope, clock), endsAt="2025-06-15T12:00:00Z")
    leaving = await live(
        ask, "Cancel", id=made["id"], mode="AT", at="2024-08-01T00:00:00Z", finalInvoice=False,
        reason="TOO_EXPENSIVE", comment="Next year again",
    )  # fmt: skip
    assert leaving["cancellation"] == {
        "mode": "AT", "finalInvoice": False, "reason": "TOO_EXPENSIVE",
        "comment": "Next year again",
    }  # fmt: skip
    assert leaving["scheduledChanges"] == [
        {"kind": "CANCEL", "at": "2024-08-01T00:00:00Z", "cancelable": True}
    ]
    back = await live(ask, "Uncancel", id=made["id"])
    assert (back["endsAt"], back["cancellation"]) == ("2025-06-15T12:00:00Z", None)
    again = await live(ask, "Uncancel", id=made["id"])
    assert (again["code"], again["field"]) == ("NOTHING_PENDING", "id")
    wrong = await live(ask, "Cancel", id=made["id"], mode="AT")
    assert (wrong["code"], wrong["field"]) == ("INVALID_AT", "at")


async def test_a_trial_ends_sooner_and_statuses_are_counted(
    ask: Any, scope: Scope, clock: Any
) -> None:
    given = await sold(scope, clock)
    made = await live(ask, "Create", **given, trialDays=30, billTrialUsage=True)
    assert (made["status"], made["trial"]["billsUsage"]) == ("TRIALING", True)
    clock.at += timedelta(days=3)
    ended = await live(ask, "SetTrialEnd", id=made["id"])
    assert (ended["status"], ended["trial"]["endsAt"], ended["trial"]["plannedEnd"]) == (
        "ACTIVE", "2024-06-18T12:00:00Z", "2024-07-15T12:00:00Z",
    )  # fmt: skip
    await live(ask, "Create", **given, draft=True)
    answer = await ask("{ subscriptionStatusCounts { status count } }")
    counts = {row["status"]: row["count"] for row in answer["data"]["subscriptionStatusCounts"]}
    assert {status: n for status, n in counts.items() if n} == {"ACTIVE": 1, "DRAFT": 1}
    assert set(counts) == {
        "DRAFT", "SCHEDULED", "TRIALING", "ACTIVE", "PAUSED", "CANCELED", "ENDED",
    }  # fmt: skip


async def test_pauses_of_a_page_of_subscriptions_are_one_statement(
    ask: Any, scope: Scope, clock: Any
) -> None:
    for _ in range(4):
        made = await live(ask, "Create", **await sold(scope, clock))
        await live(ask, "Pause", id=made["id"])
    text = """query ($first: Int) {
      subscriptions(first: $first) {
        nodes { pauses { nodes { status } } scheduledChanges { kind } trial { endsAt } }
      }
    }"""
    for first in (1, 4):

        async def read(first: int = first) -> None:
            answer = await ask(text, {"first": first})
            nodes = answer["data"]["subscriptions"]["nodes"]
            assert [len(node["pauses"]["nodes"]) for node in nodes] == [1] * first

        assert len(await statements(scope, read)) == 2
