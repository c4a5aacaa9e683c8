"""Test clocks through the graph, and what time it is for whom."""

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import app.graphql
from app.clocks import actions as clocks
from app.clocks import reads
from app.infra.postgres import fetch
from app.kernel.clock import FixedClock
from app.kernel.ids import new_id
from app.kernel.scope import SYSTEM, Scope
from app.tenants.authentication import Caller, EnvironmentFacts, TenantFacts
from app.tenants.role import PERMISSIONS
from app.tenants.settings import EnvironmentSettings
from app.tenants.tenant import EnvironmentType
from tests.clocks import make
from tests.clocks.make import JAN, MACHINE
from tests.graphql.conftest import caller_in
from tests.statements import statements
from tests.subscriptions import make as subscriptions
from tests.tenants import make as tenants

FEB = datetime(2025, 2, 1, tzinfo=UTC)
CLOCK = """__typename ... on TestClock { id name governs frozenAt status advancingTo failure
  archivedAt customers { nodes { name } } } ... on Problem { code field message }"""
CUSTOMER = """__typename ... on Customer { id name createdAt updatedAt testClock { id name } }
  ... on Problem { code field message }"""
# Where the present of the environment is the right one: what is there belongs to no customer.
# A look at corrections is one at all that the environment has billed, a bulk migration one of
# many customers, of whom each changes in its own present.
OF_THE_ENVIRONMENT = (
    "catalog/",
    "tenants/",
    "metering.py",
    "invoice_corrections.py",
    "plan_migrations.py",
)
# And what is not, though it stands among them.
OF_CUSTOMERS_TOO = {"catalog/entitlements.py"}


@pytest.fixture
async def scope(database: Any) -> Scope:
    return await make.development()


@pytest.fixture
def caller(scope: Scope) -> Caller:
    kind, settings = EnvironmentType.DEVELOPMENT, EnvironmentSettings()
    return Caller(
        scope=scope,
        actor=caller_in(scope).actor,
        permissions=PERMISSIONS,
        tenant=TenantFacts(scope.tenant_id, "Acme", suspended=False),
        environment=EnvironmentFacts(scope.environment_id, "development", kind, settings),
        credential="key_test",
    )


@pytest.fixture
def do(ask: Any, caller: Caller) -> Any:
    """`await do(mutation, selection, …)`: what the mutation answers."""

    async def run(name: str, selection: str, /, **given: Any) -> dict[str, Any]:
        type_ = name[0].upper() + name[1:] + "Input"
        text = f"mutation ($input: {type_}!) {{ {name}(input: $input) {{ {selection} }} }}"
        answer = await ask(text, {"input": given}, caller=caller)
        assert "errors" not in answer, answer
        result: dict[str, Any] = answer["data"][name]
        return result

    return run


async def clocked(do: Any, **given: Any) -> dict[str, Any]:
    values = {"name": "Clock", "frozenAt": "2025-01-01T00:00:00Z", **given}
    return await do("testClockCreate", CLOCK, **values)


async def audited(scope: Scope, entity_id: str) -> dict[str, datetime]:
    """When each thing was done with an entity, as the audit log says."""
    rows = await fetch(
        scope, "SELECT action, at FROM audit_entries WHERE entity_id = $1 ORDER BY id", entity_id
    )
    return {row["action"]: row["at"] for row in rows}


async def test_a_clock_is_made_found_renamed_advanced_and_put_away(
    do: Any, ask: Any, caller: Caller
) -> None:
    made = await clocked(do)
    expected = {
        "__typename": "TestClock",
        "id": made["id"],
        "name": "Clock",
        "governs": "CUSTOMERS",
        "frozenAt": "2025-01-01T00:00:00Z",
        "status": "READY",
        "advancingTo": None,
        "failure": None,
        "archivedAt": None,
        "customers": {"nodes": []},
    }
    assert made == expected
    query = f"""query ($id: ID!) {{
      testClock(id: $id) {{ {CLOCK.replace("... on Problem { code field message }", "")} }}
      node(id: $id) {{ ... on TestClock {{ name }} }}
      testClocks(search: "clo", filter: {{status: {{eq: READY}}}}) {{ nodes {{ id }} }} }}"""
    found = (await ask(query, {"id": made["id"]}, caller=caller))["data"]
    assert found["testClock"] == expected
    assert found["node"] == {"name": "Clock"}
    assert found["testClocks"]["nodes"] == [{"id": made["id"]}]
    named = await do("testClockUpdate", CLOCK, id=made["id"], name="Renewals")
    assert named["name"] == "Renewals"
    advancing = await do("testClockAdvance", CLOCK, id=made["id"], to="2025-02-01T00:00:00Z")
    assert (advancing["status"], advancing["advancingTo"]) == ("ADVANCING", "2025-02-01T00:00:00Z")
    refused = await do("testClockArchive", CLOCK, id=made["id"])
    assert (refused["__typename"], refused["code"]) == ("Rejected", "CLOCK_ADVANCING")
    await clocks.arrive(caller.environment_scope, made["id"], FEB, at=MACHINE)
    assert (await do("testClockArchive", CLOCK, id=made["id"]))["status"] == "ARCHIVED"
    assert (await do("testClockRestore", CLOCK, id=made["id"]))["status"] == "READY"


@pytest.mark.parametrize(
    ("given", "code", "field"),
    [
        ({"name": ""}, "INVALID_NAME", "name"),
        ({"frozenAt": "1999-01-01T00:00:00Z"}, "INVALID_FROZEN_AT", "frozenAt"),
    ],
)
async def test_bad_input_is_refused_by_field(
    do: Any, scope: Scope, given: Any, code: str, field: str
) -> None:
    refused = await clocked(do, **given)
    assert (refused["__typename"], refused["code"], refused["field"]) == ("Rejected", code, field)
    assert await fetch(scope, "SELECT 1 FROM test_clocks") == []


@pytest.mark.parametrize(
    ("to", "code"),
    [("2024-12-31T00:00:00Z", "CLOCK_BACKWARDS"), ("2031-01-01T00:00:00Z", "ADVANCE_TOO_FAR")],
)
async def test_a_clock_is_not_advanced_to_where_it_cannot_go(do: Any, to: str, code: str) -> None:
    made = await clocked(do)
    refused = await do("testClockAdvance", CLOCK, id=made["id"], to=to)
    assert (refused["code"], refused["field"]) == (code, "to")


async def test_a_production_environment_gets_no_clock(ask: Any, database: Any) -> None:
    place = tenants.production(await tenants.tenant(FixedClock(MACHINE)))
    text = f"""mutation {{ testClockCreate(input: {{name: "C", frozenAt: "2025-01-01T00:00:00Z"}})
      {{ {CLOCK} }} }}"""
    answer = await ask(text, caller=caller_in(place))
    assert answer["data"]["testClockCreate"]["code"] == "PRODUCTION_ENVIRONMENT"
    assert await fetch(place, "SELECT 1 FROM test_clocks") == []


async def test_who_may_only_read_clocks_makes_none(ask: Any, scope: Scope) -> None:
    text = f"""mutation {{ testClockCreate(input: {{name: "C", frozenAt: "2025-01-01T00:00:00Z"}})
      {{ {CLOCK} }} }}"""
    answer = await ask(text, permissions=PERMISSIONS - {"test_clock:write"})
    assert answer["errors"][0]["extensions"]["code"] == "FORBIDDEN"
    assert await fetch(scope, "SELECT 1 FROM test_clocks") == []


async def test_a_customer_is_made_on_a_clock_and_lives_by_it(
    do: Any, ask: Any, scope: Scope, caller: Caller, clock: FixedClock
) -> None:
    made = await clocked(do)
    acme = await do(
        "customerCreate", CUSTOMER, externalId="acme", name="Acme", testClockId=made["id"]
    )
    assert (acme["createdAt"], acme["testClock"]["id"]) == ("2025-01-01T00:00:00Z", made["id"])
    free = await do("customerCreate", CUSTOMER, externalId="free", name="Free")
    assert (free["createdAt"], free["testClock"]) == ("2024-06-15T12:00:00Z", None)
    query = """query ($id: ID!) { testClock(id: $id) { customers { nodes { name } totalCount } }
      customers(filter: {testClockId: {eq: $id}}) { nodes { name } } }"""
    found = (await ask(query, {"id": made["id"]}, caller=caller))["data"]
    assert found["testClock"]["customers"] == {"nodes": [{"name": "Acme"}], "totalCount": 1}
    assert found["customers"]["nodes"] == [{"name": "Acme"}]
    await do("customerUpdate", CUSTOMER, id=acme["id"], name="Acme 2")
    await do("customerArchive", CUSTOMER, id=acme["id"])
    await do("customerRestore", CUSTOMER, id=acme["id"])
    await do("customerUpdate", CUSTOMER, id=free["id"], name="Free 2")
    assert set((await audited(scope, acme["id"])).values()) == {JAN}
    assert set((await audited(scope, free["id"])).values()) == {clock.now()}


async def test_a_subscription_lives_in_its_customers_present(
    do: Any, scope: Scope, clock: FixedClock
) -> None:
    made = await clocked(do)
    plan = await subscriptions.plan(scope, clock)
    acme = await do(
        "customerCreate",
        CUSTOMER,
        externalId="acme",
        name="Acme",
        currency="USD",
        testClockId=made["id"],
    )
    selected = """... on Subscription { id startsAt status lineItems { startsAt } }
      ... on Problem { code field message }"""
    bought = await do("subscriptionCreate", selected, customerId=acme["id"], planId=plan.id)
    assert bought["startsAt"] == bought["lineItems"][0]["startsAt"] == "2025-01-01T00:00:00Z"
    due = await fetch(scope, "SELECT clock_id, owner_id, due_at FROM due_items")
    assert [tuple(row) for row in due] == [(made["id"], acme["id"], JAN)]
    await do("subscriptionUpdate", selected, id=bought["id"], metadata={"a": "b"})
    await do("subscriptionCancel", selected, id=bought["id"], mode="NOW")
    assert set((await audited(scope, bought["id"])).values()) == {JAN}


async def test_a_customer_changes_its_clock_only_while_it_has_nothing(
    do: Any, scope: Scope, clock: FixedClock
) -> None:
    made, other = await clocked(do), await clocked(do, name="Other")
    plan = await subscriptions.plan(scope, clock)
    acme = await do(
        "customerCreate",
        CUSTOMER,
        externalId="acme",
        name="Acme",
        currency="USD",
        testClockId=made["id"],
    )
    moved = await do("customerTestClockSet", CUSTOMER, id=acme["id"], testClockId=other["id"])
    assert moved["testClock"]["name"] == "Other"
    moved = await do("customerTestClockSet", CUSTOMER, id=acme["id"], testClockId=None)
    assert moved["testClock"] is None
    await do("customerTestClockSet", CUSTOMER, id=acme["id"], testClockId=made["id"])
    selected = "... on Subscription { id } ... on Problem { code message }"
    await do("subscriptionCreate", selected, customerId=acme["id"], planId=plan.id)
    for wanted in (None, other["id"]):
        refused = await do("customerTestClockSet", CUSTOMER, id=acme["id"], testClockId=wanted)
        assert (refused["__typename"], refused["code"]) == ("Rejected", "CUSTOMER_IN_USE")
    # An archived clock keeps who lives on it.
    await do("testClockArchive", CLOCK, id=made["id"])
    refused = await do("customerTestClockSet", CUSTOMER, id=acme["id"], testClockId=None)
    assert refused["code"] == "CUSTOMER_IN_USE"
    lives = await fetch(scope, "SELECT owner_id, clock_id FROM clock_members")
    assert [tuple(row) for row in lives] == [(acme["id"], made["id"])]


@pytest.mark.parametrize(
    ("which", "code"),
    [
        ("none", "NOT_FOUND"),
        ("whole", "CLOCK_GOVERNS_ENVIRONMENT"),
        ("archived", "ARCHIVED"),
        ("foreign", "NOT_FOUND"),
    ],
)
async def test_no_customer_is_made_on_a_clock_that_cannot_take_it(
    do: Any, scope: Scope, which: str, code: str
) -> None:
    archived = await clocked(do, name="Archived")
    await do("testClockArchive", CLOCK, id=archived["id"])
    ids = {
        "none": new_id("clk"),
        "whole": (await clocked(do, name="Whole", governs="ENVIRONMENT"))["id"],
        "archived": archived["id"],
        "foreign": (await make.clock(await make.development())).id,
    }
    given = {"externalId": "acme", "name": "Acme", "testClockId": ids[which]}
    refused = await do("customerCreate", CUSTOMER, **given)
    assert (refused["__typename"], refused["code"]) == ("Rejected", code)
    assert await fetch(scope, "SELECT 1 FROM customers") == []
    assert await fetch(scope, "SELECT 1 FROM clock_members") == []


async def test_the_whole_environment_lives_on_its_clock(do: Any, scope: Scope) -> None:
    made = await clocked(do, governs="ENVIRONMENT")
    selected = "... on Plan { id createdAt } ... on Problem { code message }"
    plan = await do("planCreate", selected, name="Pro", lookupKey="pro")
    acme = await do("customerCreate", CUSTOMER, externalId="acme", name="Acme")
    assert plan["createdAt"] == acme["createdAt"] == "2025-01-01T00:00:00Z"
    # Elsewhere, by another process: in force with the next request.
    await clocks.advance(scope, made["id"], FEB, by=SYSTEM, at=MACHINE)
    await clocks.arrive(scope, made["id"], FEB, at=MACHINE)
    later = await do("customerCreate", CUSTOMER, externalId="later", name="Later")
    assert later["createdAt"] == "2025-02-01T00:00:00Z"


async def test_what_lives_on_a_clock_under_way_is_read_and_not_changed(
    do: Any, ask: Any, scope: Scope, caller: Caller, clock: FixedClock
) -> None:
    made, whole = await clocked(do), await clocked(do, name="Whole", governs="ENVIRONMENT")
    given = {"externalId": "acme", "name": "Acme", "testClockId": made["id"]}
    acme = await do("customerCreate", CUSTOMER, **given)
    await clocks.advance(scope, made["id"], FEB, by=SYSTEM, at=MACHINE)
    refused = await do("customerUpdate", CUSTOMER, id=acme["id"], name="New")
    assert (refused["__typename"], refused["code"]) == ("Rejected", "CLOCK_ADVANCING")
    shown = await ask(
        "query ($id: ID!) { customer(id: $id) { name testClock { status } } }",
        {"id": acme["id"]},
        caller=caller,
    )
    assert shown["data"]["customer"] == {"name": "Acme", "testClock": {"status": "ADVANCING"}}
    # What lives by another present goes on.
    assert (await do("customerCreate", CUSTOMER, externalId="b", name="B"))["name"] == "B"
    await clocks.advance(scope, whole["id"], FEB, by=SYSTEM, at=MACHINE)
    refused = await do("customerCreate", CUSTOMER, externalId="c", name="C")
    assert refused["code"] == "CLOCK_ADVANCING"
    assert len(await fetch(scope, "SELECT 1 FROM customers")) == 2


async def test_the_clocks_of_a_page_of_customers_are_read_together(
    ask: Any, do: Any, scope: Scope, caller: Caller
) -> None:
    made = await clocked(do)
    for name in ("a", "b", "c"):
        await do("customerCreate", CUSTOMER, externalId=name, name=name, testClockId=made["id"])
    text = "{ customers { nodes { testClock { name customers { nodes { name } } } } } }"
    seen = await statements(scope, lambda: ask(text, caller=caller))
    # The environment's clock, the page, who lives where, the clocks, their customers.
    assert len(seen) == 5, seen
    assert (await reads.get(scope, made["id"])).name == "Clock"


def test_what_belongs_to_a_customer_does_not_go_by_the_environments_present() -> None:
    """A new module has to say which present it takes: `ctx.present`, or be named above."""
    folder = Path(app.graphql.__file__).parent
    found = {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*.py")
        if re.search(r"\b(ctx|context)\.now\(\)", path.read_text())
    }
    assert {name for name in found if not name.startswith(OF_THE_ENVIRONMENT)} == set()
    assert found & OF_CUSTOMERS_TOO == set()
