"""Lists along the edges of the graph: a page for each of many things in one statement."""

import re
from datetime import timedelta
from typing import Any

import pytest

from app.catalog.feature import FeatureType
from app.catalog.group import GroupKind
from app.invoicing import actions as invoicing
from app.invoicing.drafts import Moment
from app.kernel.scope import SYSTEM, Scope
from app.subscriptions import reads as subscriptions
from app.tenants.role import READS
from tests.catalog import make as catalog
from tests.clocks.make import development
from tests.statements import statements
from tests.subscriptions import make


@pytest.fixture
async def scope(database: Any) -> Scope:
    """Of an environment that is there: billing goes by its settings."""
    return await development()


PAGE = "nodes { id } edges { cursor } pageInfo { hasNextPage endCursor }"


async def books(scope: Scope, clock: Any, clickhouse: Any, customers: int) -> list[str]:
    """The ids of customers with two subscriptions each, of which four months are billed."""
    plan = await catalog.plan(scope, clock)
    await catalog.price(scope, clock, plan.id)
    made, sold = [], []
    for _ in range(customers):
        made.append((await make.customer(scope, clock)).id)
        for _ in range(2):
            begin = clock.now() - timedelta(days=130)
            subscription = await make.subscription(
                scope, clock, customer_id=made[-1], plan_id=plan.id, starts_at=begin
            )
            sold.append(subscription.id)
    due = await subscriptions.due_for_billing(scope, sold, clock.now())
    moment = Moment(clock.now(), None)
    await invoicing.bill(scope, due, clickhouse, moment=moment, most=9, by=SYSTEM)
    return made


def tables(seen: list[str]) -> list[str]:
    return sorted(re.findall(r"FROM ([a-z_]+) WHERE", " ".join(seen)))


LISTS = """query ($ids: [ID!]!, $first: Int) { nodes(ids: $ids) { ... on Customer {
  subscriptions(first: $first) { nodes { id invoices(first: 2) { nodes { id } } } }
  invoices(first: 3) { nodes { id customer { id } subscription { id } } }
} } }"""


async def test_the_lists_of_many_things_take_one_statement_each(
    ask: Any, scope: Scope, clock: Any, clickhouse: Any
) -> None:
    ids = await books(scope, clock, clickhouse, 5)
    for some in (ids[:1], ids):
        found: list[Any] = []

        async def read(some: list[str] = some, found: list[Any] = found) -> None:
            answer = await ask(LISTS, {"ids": some, "first": 10})
            assert "errors" not in answer, answer
            found += answer["data"]["nodes"]

        seen = await statements(scope, read)
        assert tables(seen) == [
            "customers", "invoices", "invoices", "subscriptions", "subscriptions",
        ]  # fmt: skip
        assert len(seen) == 5
        for id_, customer in zip(some, found, strict=True):
            held = customer["subscriptions"]["nodes"]
            assert len(held) == 2
            assert [len(each["invoices"]["nodes"]) for each in held] == [2, 2]
            invoices = customer["invoices"]["nodes"]
            assert [each["customer"]["id"] for each in invoices] == [id_] * 3
            assert {each["subscription"]["id"] for each in invoices} <= {h["id"] for h in held}


async def test_an_edge_is_paged_both_ways_and_counted(
    ask: Any, scope: Scope, clock: Any, clickhouse: Any
) -> None:
    mine, _ = await books(scope, clock, clickhouse, 2)
    query = f"""query ($id: ID!, $first: Int, $after: String, $last: Int, $before: String) {{
      customer(id: $id) {{ invoices(first: $first, after: $after, last: $last, before: $before) {{
        totalCount {PAGE} }} }} }}"""

    async def page(**arguments: Any) -> Any:
        answer = await ask(query, {"id": mine, **arguments})
        assert "errors" not in answer, answer
        return answer["data"]["customer"]["invoices"]

    everything = await page()
    # Four periods of each subscription.
    assert (everything["totalCount"], len(everything["nodes"])) == (8, 8)
    first = await page(first=5)
    assert (first["totalCount"], first["pageInfo"]["hasNextPage"]) == (8, True)
    rest = await page(first=5, after=first["pageInfo"]["endCursor"])
    assert first["nodes"] + rest["nodes"] == everything["nodes"]
    assert rest["pageInfo"]["hasNextPage"] is False
    before = await page(last=2, before=rest["edges"][0]["cursor"])
    assert before["nodes"] == everything["nodes"][3:5]


async def test_a_cursor_that_is_none_spoils_only_the_list_it_was_given_to(
    ask: Any, scope: Scope, clock: Any, clickhouse: Any
) -> None:
    (mine,) = await books(scope, clock, clickhouse, 1)
    query = """query ($id: ID!) {
      good: customer(id: $id) { subscriptions(first: 1) { nodes { id } } }
      bad: customer(id: $id) { subscriptions(first: 1, after: "x") { nodes { id } } }
      large: customer(id: $id) { invoices(first: 101) { nodes { id } } }
    }"""
    answer = await ask(query, {"id": mine})
    assert len(answer["data"]["good"]["subscriptions"]["nodes"]) == 1
    assert (answer["data"]["bad"], answer["data"]["large"]) == (None, None)
    assert {error["extensions"]["code"] for error in answer["errors"]} == {
        "INVALID_CURSOR", "INVALID_PAGE",
    }  # fmt: skip


async def test_a_feature_shows_its_meter(ask: Any, scope: Scope, clock: Any) -> None:
    metered = [await catalog.feature(scope, clock) for _ in range(3)]
    plain = await catalog.feature(scope, clock, type=FeatureType.BOOLEAN)
    found: list[Any] = []

    async def read() -> None:
        answer = await ask("{ features { nodes { id meterId meter { id name } } } }")
        assert "errors" not in answer, answer
        found.extend(answer["data"]["features"]["nodes"])

    assert tables(await statements(scope, read)) == ["features", "meters"]
    by_id = {node["id"]: node for node in found}
    assert by_id[plain.id]["meter"] is None
    for each in metered:
        assert by_id[each.id]["meter"]["id"] == each.meter_id


GROUPS = """{ groups { nodes { id kind
  features(first: 5) { nodes { id group { id } } }
  prices(first: 5) { nodes { id group { id } } }
} } }"""


async def test_groups_and_what_belongs_to_them_take_one_statement_each(
    ask: Any, scope: Scope, clock: Any
) -> None:
    plan = await catalog.plan(scope, clock)
    for _ in range(3):
        group = await catalog.group(scope, clock, kind=GroupKind.PRICE)
        await catalog.price(scope, clock, plan.id, group_id=group.id)
    for _ in range(3):
        group = await catalog.group(scope, clock)
        for _ in range(2):
            await catalog.feature(scope, clock, type=FeatureType.BOOLEAN, group_id=group.id)
    found: list[Any] = []

    async def read() -> None:
        answer = await ask(GROUPS)
        assert "errors" not in answer, answer
        found.extend(answer["data"]["groups"]["nodes"])

    seen = await statements(scope, read)
    # Back to the groups once from the features and once from the prices.
    assert tables(seen) == ["catalog_groups", *["catalog_groups"] * 2, "features", "prices"]
    assert len(seen) == 5
    for group in found:
        members = group["features"]["nodes"] + group["prices"]["nodes"]
        assert len(members) == (2 if group["kind"] == "FEATURE" else 1)
        assert {member["group"]["id"] for member in members} == {group["id"]}


@pytest.mark.parametrize(
    ("missing", "text"),
    [
        ("subscription:read", "{ customers { nodes { subscriptions { nodes { id } } } } }"),
        ("invoice:read", "{ customers { nodes { invoices { nodes { id } } } } }"),
        ("invoice:read", "{ subscriptions { nodes { invoices { nodes { id } } } } }"),
        ("meter:read", "{ features { nodes { meter { id } } } }"),
        ("feature:read", "{ groups { nodes { features { nodes { id } } } } }"),
        ("price:read", "{ groups { nodes { prices { nodes { id } } } } }"),
    ],
)
async def test_who_may_not_read_what_an_edge_leads_to_is_denied(
    ask: Any, scope: Scope, clock: Any, missing: str, text: str
) -> None:
    await make.subscription(scope, clock)
    await catalog.group(scope, clock)
    assert "errors" not in await ask(text, permissions=READS)
    answer = await ask(text, permissions=READS - {missing})
    assert [error["extensions"]["code"] for error in answer["errors"]] == ["FORBIDDEN"]
