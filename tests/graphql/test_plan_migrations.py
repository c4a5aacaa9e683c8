"""Bulk migrations through the graph; what becomes of the money is tests/invoicing's."""

from decimal import Decimal
from typing import Any

import pytest

from app.catalog.price import ChargeKind, InvoiceTiming
from app.catalog.prices import PerUnit
from app.kernel.scope import SYSTEM, Scope
from app.tenants.actions import tenants
from app.tenants.commands import CreateTenant
from tests.catalog import make as catalog
from tests.invoicing.world import JAN
from tests.subscriptions import make

SELECTION = """id status planId mode proration total pending changed refused canceled finishedAt
  terms { planId planVersionId } items { nodes {
    subscriptionId status changeId change { id } subscription { id } failure { code } } }"""
PREVIEW = """... on PlanMigrationPreview { planId fits refused refusals { code count }
  recurring { cadence { unit count } subscriptions before { amount currency } after { amount } }
  subscriptions(first: 1, refused: false) { totalCount pageInfo { hasNextPage endCursor }
    nodes { subscription { id } failure { code } direction } } }"""
PROBLEM = "... on Problem { code field }"


@pytest.fixture
async def scope(database: Any) -> Scope:
    made = await tenants.create(CreateTenant(name="Acme"), by=SYSTEM, at=JAN)
    return Scope(made.tenant.id, made.production.id)


async def sold(scope: Scope, clock: Any, fee: int) -> str:
    plan = await catalog.plan(scope, clock)
    await catalog.price(
        scope,
        clock,
        plan.id,
        model=PerUnit(Decimal(fee)),
        charge=ChargeKind.FIXED,
        timing=InvoiceTiming.ADVANCE,
    )
    return plan.id


async def test_a_migration_is_looked_at_started_followed_and_broken_off(
    ask: Any, scope: Scope, clock: Any
) -> None:
    async def do(name: str, selection: str, kind: str = "mutation", **given: Any) -> Any:
        of = "PlanMigrationCancelInput" if name.endswith("Cancel") else "PlanMigrationStartInput"
        text = f"{kind} ($input: {of}!) {{ {name}(input: $input) {{ {selection} {PROBLEM} }} }}"
        answer = await ask(text, {"input": given})
        assert "errors" not in answer, answer
        return answer["data"][name]

    old, new = await sold(scope, clock, 10), await sold(scope, clock, 30)
    one, two = [(await make.subscription(scope, clock, plan_id=old)).id for _ in range(2)]
    wanted = {"filter": {"planId": {"eq": old}}, "planId": new}
    seen = await do("planMigrationPreview", PREVIEW, "query", **wanted)
    assert seen["subscriptions"] == {
        "totalCount": 2,
        "pageInfo": {"hasNextPage": True, "endCursor": one},
        "nodes": [{"subscription": {"id": one}, "failure": None, "direction": "UPGRADE"}],
    }
    assert seen["recurring"] == [
        {
            "cadence": {"unit": "MONTH", "count": 1},
            "subscriptions": 2,
            "before": {"amount": "20", "currency": "USD"},
            "after": {"amount": "60"},
        }
    ]
    assert (seen["fits"], seen["refused"], seen["refusals"]) == (2, 0, [])

    shown = f"... on PlanMigration {{ {SELECTION} }}"
    made = await do("planMigrationStart", shown, **wanted)
    assert (made["status"], made["mode"], made["total"], made["pending"]) == (
        "RUNNING", "PERIOD_END", 2, 2,
    )  # fmt: skip
    assert made["terms"]["planId"] == new
    assert [item["subscriptionId"] for item in made["items"]["nodes"]] == [one, two]
    canceled = await do("planMigrationCancel", shown, id=made["id"])
    assert (canceled["status"], canceled["canceled"], canceled["pending"]) == ("CANCELED", 2, 0)
    query = f"""query ($id: ID!) {{ planMigration(id: $id) {{ {SELECTION} }}
      planMigrations(filter: {{status: {{eq: CANCELED}}}}) {{ nodes {{ id }} totalCount }}
      planMigrationItems(filter: {{subscriptionId: {{eq: "{two}"}}}}) {{ nodes {{ status }} }} }}"""
    found = (await ask(query, {"id": made["id"]}))["data"]
    assert found["planMigration"] == canceled
    assert found["planMigrations"] == {"nodes": [{"id": made["id"]}], "totalCount": 1}
    assert found["planMigrationItems"]["nodes"] == [{"status": "CANCELED"}]

    for given, code in (
        ({"filter": {"planId": {"eq": new}}, "planId": new}, "NOTHING_TO_MIGRATE"),
        ({}, "REQUIRED"),
        (wanted | {"mode": "AT"}, "INVALID_AT"),
        (wanted | {"planId": "plan_nobody"}, "NOT_FOUND"),
    ):
        assert (await do("planMigrationStart", shown, **given))["code"] == code
    again = await do("planMigrationCancel", shown, id=made["id"])
    assert (again["code"], again["field"]) == ("MIGRATION_OVER", "id")
