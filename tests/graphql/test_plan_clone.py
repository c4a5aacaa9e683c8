"""`planClone`: within an environment, and into another that the credentials open."""

from typing import Any

import pytest

from app.kernel.clock import SystemClock
from app.kernel.copies import replace
from app.kernel.scope import Scope
from app.tenants.actions import environments
from app.tenants.role import PERMISSIONS
from tests.catalog import make as catalog
from tests.graphql.conftest import caller_in
from tests.graphql.test_catalog import mutate
from tests.tenants import make

CLONED = """
  __typename
  ... on Plan { id name lookupKey description prices { displayName } currentVersion { number } }
  ... on Problem { code field message }
"""
CLONE = "mutation ($input: PlanCloneInput!) { planClone(input: $input) { " + CLONED + " } }"


async def places() -> tuple[Scope, Scope]:
    """The production and the development environment of a tenant that really exists."""
    made = await make.tenant(SystemClock())
    return make.production(made), make.development(made)


async def test_a_plan_is_cloned_through_the_graph(ask: Any, scope: Scope, clock: Any) -> None:
    plan = await catalog.plan(scope, clock, description="For teams")
    await catalog.price(scope, clock, plan.id)
    made = await mutate(ask, "planClone", CLONED, id=plan.id, name="Team", lookupKey="team")
    assert made == {
        "__typename": "Plan",
        "id": made["id"],
        "name": "Team",
        "lookupKey": "team",
        "description": "For teams",
        "prices": [{"displayName": "Platform fee"}],
        "currentVersion": {"number": 1},
    }
    again = await mutate(ask, "planClone", CLONED, id=plan.id, name="Team", lookupKey="team")
    assert (again["__typename"], again["field"]) == ("AlreadyExists", "lookupKey")
    draft = await mutate(
        ask, "planClone", CLONED, id=plan.id, name="Quiet", lookupKey="quiet", publish=False
    )
    assert (draft["prices"], draft["currentVersion"]) == ([], None)


@pytest.mark.parametrize("everything", [True, False], ids=["all of them", "this one"])
async def test_into_another_environment_that_the_credentials_open(
    ask: Any, clock: Any, everything: bool
) -> None:
    here, there = await places()
    plan = await catalog.plan(here, clock)
    feature = await catalog.feature(here, clock, lookup_key="calls")
    await catalog.usage_price(here, clock, plan.id, feature_id=feature.id)
    reach = None if everything else frozenset({there.environment_id})
    caller = replace(caller_in(here, PERMISSIONS), reach=reach)
    given = {
        "id": plan.id, "name": "Pro", "lookupKey": "pro", "environmentId": there.environment_id,
    }  # fmt: skip
    lacking = await ask(CLONE, {"input": given}, caller=caller)
    refused = lacking["data"]["planClone"]
    assert (refused["code"], refused["field"]) == ("CLONE_INCOMPLETE", "environmentId")
    assert "features calls" in refused["message"]
    await catalog.feature(there, clock, lookup_key="calls")
    made = (await ask(CLONE, {"input": given}, caller=caller))["data"]["planClone"]
    assert made["lookupKey"] == "pro"
    query = '{ planByLookupKey(lookupKey: "pro") { id prices { displayName } } }'
    found = await ask(query, scope=there)
    assert found["data"]["planByLookupKey"] == {
        "id": made["id"],
        "prices": [{"displayName": "Calls"}],
    }
    assert (await ask(query, scope=here))["data"]["planByLookupKey"] is None


async def test_an_environment_that_is_not_open_looks_like_one_that_is_not_there(
    ask: Any, clock: Any
) -> None:
    here, there = await places()
    foreign, _ = await places()
    closed = await make.tenant(SystemClock())
    await environments.archive(
        make.development(closed), closed.development.id, by=caller_in(here, PERMISSIONS).actor,
        at=clock.now(),
    )  # fmt: skip
    plan = await catalog.plan(here, clock)
    answers = []
    for reach, environment in (
        (frozenset(), there.environment_id),
        (None, foreign.environment_id),
        (None, "env_01J00000000000000000000000"),
    ):
        caller = replace(caller_in(here, PERMISSIONS), reach=reach)
        given = {"id": plan.id, "name": "Pro", "lookupKey": "p", "environmentId": environment}
        answer = await ask(CLONE, {"input": given}, caller=caller)
        assert answer["data"] is None
        [error] = answer["errors"]
        answers.append((error["message"], error["extensions"]["code"]))
    assert len(set(answers)) == 1
    assert answers[0][1] == "ENVIRONMENT_FORBIDDEN"
    own = make.production(closed)
    shut = {
        "id": (await catalog.plan(own, clock)).id, "name": "Pro", "lookupKey": "p",
        "environmentId": closed.development.id,
    }  # fmt: skip
    caller = replace(caller_in(own, PERMISSIONS), reach=None)
    answer = await ask(CLONE, {"input": shut}, caller=caller)
    assert [error["extensions"]["code"] for error in answer["errors"]] == [answers[0][1]]
