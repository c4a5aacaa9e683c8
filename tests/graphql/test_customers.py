"""Customers through the graph: the exemplar of a domain's file, and of its tests."""

from typing import Any

import pytest

from app.customers import reads
from app.infra.postgres import fetch
from app.kernel.ids import new_id
from app.kernel.listing import PageRequest
from app.kernel.scope import Scope
from app.tenants.role import READS

CREATE = """
mutation ($input: CustomerCreateInput!) {
  customerCreate(input: $input) {
    __typename
    ... on Customer { id externalId name email timezone currency metadata status createdAt
                      updatedAt archivedAt address { line1 city postalCode country } }
    ... on Problem { code message field }
    ... on AlreadyExists { value }
  }
}
"""
UPDATE = """
mutation ($input: CustomerUpdateInput!) {
  customerUpdate(input: $input) {
    __typename
    ... on Customer { id name email timezone currency metadata address { city } }
    ... on Problem { code field message }
  }
}
"""
LIST = """
query ($filter: CustomerFilter, $orderBy: [CustomerOrder!], $first: Int, $after: String,
       $last: Int, $before: String, $search: String) {
  customers(filter: $filter, orderBy: $orderBy, first: $first, after: $after, last: $last,
            before: $before, search: $search) {
    nodes { externalId }
    edges { cursor node { externalId } }
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
    totalCount
  }
}
"""


async def create(ask: Any, external_id: str = "acme", **fields: Any) -> dict[str, Any]:
    given = {"externalId": external_id, "name": external_id.title(), **fields}
    answer = await ask(CREATE, {"input": given})
    assert "errors" not in answer, answer
    customer: dict[str, Any] = answer["data"]["customerCreate"]
    return customer


async def names(ask: Any, **arguments: Any) -> list[str]:
    answer = await ask(LIST, arguments)
    assert "errors" not in answer, answer
    return [node["externalId"] for node in answer["data"]["customers"]["nodes"]]


async def test_a_customer_is_created_and_read_back_as_given(ask: Any) -> None:
    address = {"line1": "1 Main St", "city": "New York", "postalCode": "10001", "country": "US"}
    created = await create(
        ask,
        email="ada@example.com",
        timezone="America/New_York",
        currency="USD",
        metadata={"team": "growth"},
        address=address,
    )
    assert created == {
        "__typename": "Customer",
        "id": created["id"],
        "externalId": "acme",
        "name": "Acme",
        "email": "ada@example.com",
        "timezone": "America/New_York",
        "currency": "USD",
        "metadata": {"team": "growth"},
        "status": "ACTIVE",
        "createdAt": "2024-06-15T12:00:00Z",
        "updatedAt": "2024-06-15T12:00:00Z",
        "archivedAt": None,
        "address": address,
    }
    answer = await ask(
        """query ($id: ID!, $name: String!) {
             customer(id: $id) { externalId }
             customerByExternalId(externalId: $name) { id }
             node(id: $id) { __typename id ... on Customer { name } }
           }""",
        {"id": created["id"], "name": "acme"},
    )
    assert answer == {
        "data": {
            "customer": {"externalId": "acme"},
            "customerByExternalId": {"id": created["id"]},
            "node": {"__typename": "Customer", "id": created["id"], "name": "Acme"},
        }
    }


async def test_an_update_changes_what_it_names_and_null_clears(ask: Any) -> None:
    created = await create(ask, email="a@example.com", currency="USD", metadata={"a": "1"})
    answer = await ask(UPDATE, {"input": {"id": created["id"], "name": "New", "email": None}})
    assert answer["data"]["customerUpdate"] == {
        "__typename": "Customer",
        "id": created["id"],
        "name": "New",
        "email": None,
        "timezone": "UTC",
        "currency": "USD",
        "metadata": {"a": "1"},
        "address": {"city": None},
    }
    change = {"id": created["id"], "address": {"city": "Oslo"}, "metadata": None}
    answer = await ask(UPDATE, {"input": change})
    assert answer["data"]["customerUpdate"]["address"] == {"city": "Oslo"}
    assert answer["data"]["customerUpdate"]["metadata"] == {}
    assert answer["data"]["customerUpdate"]["name"] == "New"


async def test_null_for_what_cannot_be_cleared_is_refused_and_changes_nothing(ask: Any) -> None:
    created = await create(ask)
    change = {"id": created["id"], "name": None, "email": "b@c.de"}
    refused = {
        "__typename": "Rejected",
        "code": "REQUIRED",
        "field": "name",
        "message": "name: must not be null",
    }
    assert await ask(UPDATE, {"input": change}) == {"data": {"customerUpdate": refused}}
    read = await ask("query ($id: ID!) { customer(id: $id) { name email } }", {"id": created["id"]})
    assert read["data"]["customer"] == {"name": "Acme", "email": None}


async def test_a_taken_external_id_is_refused_as_data_and_creates_nothing(
    ask: Any, scope: Scope
) -> None:
    await create(ask)
    answer = await ask(CREATE, {"input": {"externalId": "acme", "name": "Other"}})
    assert answer == {
        "data": {
            "customerCreate": {
                "__typename": "AlreadyExists",
                "code": "ALREADY_EXISTS",
                "message": "another customer already has the externalId acme",
                "field": "externalId",
                "value": "acme",
            }
        }
    }
    assert (await reads.page(scope, PageRequest(with_total=True))).total == 1


@pytest.mark.parametrize(
    ("fields", "code", "field"),
    [
        ({"name": " "}, "INVALID_NAME", "name"),
        ({"email": "nobody"}, "INVALID_EMAIL", "email"),
        ({"timezone": "Mars/Olympus"}, "INVALID_TIMEZONE", "timezone"),
        ({"currency": "EURO"}, "INVALID_CURRENCY", "currency"),
        ({"address": {"country": "Norway"}}, "INVALID_COUNTRY", "address.country"),
        ({"metadata": {"k" * 65: "v"}}, "INVALID_METADATA", "metadata"),
        ({"externalId": "a\tb"}, "INVALID_EXTERNAL_ID", "externalId"),
    ],
)
async def test_a_wrong_value_is_refused_by_field_and_creates_nothing(
    ask: Any, scope: Scope, fields: dict[str, Any], code: str, field: str
) -> None:
    answer = await ask(CREATE, {"input": {"externalId": "acme", "name": "Acme", **fields}})
    refused = answer["data"]["customerCreate"]
    assert (refused["__typename"], refused["code"], refused["field"]) == ("Rejected", code, field)
    assert refused["message"]
    assert await fetch(scope, "SELECT id FROM customers") == []
    assert await fetch(scope, "SELECT id FROM audit_entries") == []
    assert await fetch(scope, "SELECT position FROM outbox") == []


async def test_archiving_and_restoring_go_back_and_forth_once_each(ask: Any) -> None:
    created = await create(ask)
    archive = (
        "mutation ($id: ID!) { customerArchive(input: {id: $id}) "
        "{ __typename ... on Customer { status archivedAt } ... on Problem { code } } }"
    )
    restore = archive.replace("customerArchive", "customerRestore")
    id_ = {"id": created["id"]}
    archived = {
        "__typename": "Customer",
        "status": "ARCHIVED",
        "archivedAt": "2024-06-15T12:00:00Z",
    }
    assert (await ask(archive, id_))["data"]["customerArchive"] == archived
    again = (await ask(archive, id_))["data"]["customerArchive"]
    assert again == {"__typename": "Rejected", "code": "CUSTOMER_ARCHIVED"}
    gone = await ask('{ customerByExternalId(externalId: "acme") { id } }')
    assert gone == {"data": {"customerByExternalId": None}}
    active = {"__typename": "Customer", "status": "ACTIVE", "archivedAt": None}
    assert (await ask(restore, id_))["data"]["customerRestore"] == active
    again = (await ask(restore, id_))["data"]["customerRestore"]
    assert again == {"__typename": "Rejected", "code": "CUSTOMER_NOT_ARCHIVED"}


async def test_an_unknown_id_and_a_foreign_id_look_the_same(ask: Any, scope: Scope) -> None:
    created = await create(ask)
    stranger = Scope(new_id("ten"), new_id("env"))
    sibling = Scope(scope.tenant_id, new_id("env"))
    read = """query ($id: ID!) {
      customer(id: $id) { id } node(id: $id) { id } nodes(ids: [$id]) { id }
      customers(filter: {id: {eq: $id}}) { totalCount nodes { id } }
    }"""
    nothing = {
        "data": {
            "customer": None,
            "node": None,
            "nodes": [None],
            "customers": {"totalCount": 0, "nodes": []},
        }
    }
    unknown = new_id("cus")
    assert await ask(read, {"id": unknown}) == nothing
    for elsewhere in (stranger, sibling):
        assert await ask(read, {"id": created["id"]}, scope=elsewhere) == nothing
        for mutation in ("customerArchive", "customerRestore", "customerUpdate"):
            text = "mutation ($id: ID!) { %s(input: {id: $id}) { ... on Problem { code } } }"
            answers = [
                await ask(text % mutation, {"id": id_}, scope=elsewhere)
                for id_ in (created["id"], unknown)
            ]
            assert answers[0] == answers[1] == {"data": {mutation: {"code": "NOT_FOUND"}}}
    assert (await ask(read, {"id": created["id"]}))["data"]["customer"] == {"id": created["id"]}


async def test_who_may_only_read_cannot_write_and_nothing_changes(ask: Any, scope: Scope) -> None:
    given = {"input": {"externalId": "acme", "name": "Acme"}}
    answer = await ask(CREATE, given, permissions=READS)
    assert answer["data"] is None
    assert answer["errors"][0]["path"] == ["customerCreate"]
    assert answer["errors"][0]["extensions"]["code"] == "FORBIDDEN"
    assert answer["errors"][0]["extensions"]["requestId"].startswith("req_")
    assert await fetch(scope, "SELECT id FROM customers") == []
    answer = await ask("{ customers { totalCount } }", permissions=frozenset({"meter:read"}))
    assert [error["extensions"]["code"] for error in answer["errors"]] == ["FORBIDDEN"]
    answer = await ask("{ customers { totalCount } }", anonymous=True)
    assert [error["extensions"]["code"] for error in answer["errors"]] == ["UNAUTHENTICATED"]


async def test_a_list_is_walked_by_its_cursors_both_ways(ask: Any) -> None:
    for name in ("b", "a", "c", "e", "d"):
        await create(ask, name)
    order = [{"field": "EXTERNAL_ID"}]
    first = (await ask(LIST, {"orderBy": order, "first": 2}))["data"]["customers"]
    assert [node["externalId"] for node in first["nodes"]] == ["a", "b"]
    assert [edge["node"]["externalId"] for edge in first["edges"]] == ["a", "b"]
    assert first["pageInfo"] == {
        "hasNextPage": True,
        "hasPreviousPage": False,
        "startCursor": first["edges"][0]["cursor"],
        "endCursor": first["edges"][1]["cursor"],
    }
    assert first["totalCount"] == 5
    end = first["pageInfo"]["endCursor"]
    assert await names(ask, orderBy=order, first=2, after=end) == ["c", "d"]
    last = (await ask(LIST, {"orderBy": order, "last": 2}))["data"]["customers"]
    assert [node["externalId"] for node in last["nodes"]] == ["d", "e"]
    assert last["pageInfo"]["hasPreviousPage"] is True
    start = last["pageInfo"]["startCursor"]
    assert await names(ask, orderBy=order, last=2, before=start) == ["b", "c"]
    down = [{"field": "EXTERNAL_ID", "direction": "DESC"}]
    assert await names(ask, orderBy=down, first=3) == ["e", "d", "c"]
    assert await names(ask) == ["d", "e", "c", "a", "b"]


async def test_filters_combine(ask: Any) -> None:
    await create(ask, "north", email="n@example.com", metadata={"team": "x"}, currency="USD")
    await create(ask, "south", currency="EUR")
    await create(ask, "west")
    cases: list[tuple[dict[str, Any], set[str]]] = [
        ({}, {"north", "south", "west"}),
        ({"externalId": {"eq": "north"}}, {"north"}),
        ({"externalId": {"in": ["north", "west", "x"]}}, {"north", "west"}),
        ({"externalId": {"in": []}}, set()),
        ({"externalId": {"notIn": ["north"]}}, {"south", "west"}),
        ({"name": {"contains": "OUT"}}, {"south"}),
        ({"name": {"startsWith": "w"}}, {"west"}),
        ({"email": {"isNull": True}}, {"south", "west"}),
        ({"currency": {"ne": "USD"}}, {"south", "west"}),
        ({"metadata": {"key": "team", "eq": "x"}}, {"north"}),
        ({"status": {"eq": "ARCHIVED"}}, set()),
        ({"status": {"in": ["ACTIVE"]}}, {"north", "south", "west"}),
        ({"createdAt": {"gte": "2024-06-15T14:00:00+02:00"}}, {"north", "south", "west"}),
        ({"createdAt": {"lt": "2024-06-15T12:00:00Z"}}, set()),
        ({"or": [{"currency": {"eq": "EUR"}}, {"name": {"eq": "West"}}]}, {"south", "west"}),
        ({"not": {"currency": {"eq": "EUR"}}}, {"north", "west"}),
        ({"and": [], "not": {"or": []}}, {"north", "south", "west"}),
        ({"or": []}, set()),
        ({"not": {}}, set()),
        ({"currency": {"eq": "USD"}, "name": {"contains": "o"}}, {"north"}),
    ]
    for given, expected in cases:
        assert set(await names(ask, filter=given)) == expected, given
    assert await names(ask, search="nor") == ["north"]


@pytest.mark.parametrize(
    ("arguments", "code", "field"),
    [
        ({"first": 101}, "INVALID_PAGE", "first"),
        ({"first": 1, "last": 1}, "INVALID_PAGE", "last"),
        ({"after": "nonsense"}, "INVALID_CURSOR", "after"),
        ({"filter": {"name": {"eq": None}}}, "NULL_IN_FILTER", "filter.name.eq"),
        ({"filter": {"name": None}}, "NULL_IN_FILTER", "filter.name"),
        ({"filter": {"or": [{"name": None}]}}, "NULL_IN_FILTER", "filter.or[0].name"),
        ({"orderBy": [{"field": "NAME"}, {"field": "NAME"}]}, "INVALID_ORDER", "orderBy"),
        ({"search": "x" * 201}, "INVALID_SEARCH", "search"),
    ],
)
async def test_a_list_that_cannot_be_is_an_error_that_names_the_argument(
    ask: Any, arguments: dict[str, Any], code: str, field: str
) -> None:
    answer = await ask(LIST, arguments)
    assert answer["data"] is None
    (error,) = answer["errors"]
    assert (error["extensions"]["code"], error["extensions"]["field"]) == (code, field)
    assert error["path"] == ["customers"]


async def test_an_argument_that_is_null_is_an_argument_that_is_absent(ask: Any) -> None:
    await create(ask)
    every: dict[str, Any] = dict.fromkeys(
        ("filter", "orderBy", "first", "after", "last", "before", "search")
    )
    assert await names(ask, **every) == ["acme"]


async def test_nodes_come_in_the_order_asked_with_null_where_there_is_none(ask: Any) -> None:
    ids = [(await create(ask, name))["id"] for name in ("a", "b")]
    asked = [ids[1], new_id("cus"), "nonsense", ids[0], ids[1], new_id("inv")]
    answer = await ask("query ($ids: [ID!]!) { nodes(ids: $ids) { id } }", {"ids": asked})
    found = [node and node["id"] for node in answer["data"]["nodes"]]
    assert found == [ids[1], None, None, ids[0], ids[1], None]
    answer = await ask("query ($ids: [ID!]!) { nodes(ids: $ids) { id } }", {"ids": ["x"] * 101})
    assert answer["errors"][0]["extensions"]["code"] == "INVALID"


async def test_a_node_needs_the_permission_of_its_kind(ask: Any) -> None:
    created = await create(ask)
    for id_ in (created["id"], new_id("cus")):
        answer = await ask(
            "query ($id: ID!) { node(id: $id) { id } }",
            {"id": id_},
            permissions=frozenset({"meter:read"}),
        )
        assert answer["data"] == {"node": None}
        assert answer["errors"][0]["extensions"]["code"] == "FORBIDDEN"


FAMILY = """
query ($filter: CustomerFilter) {
  customers(filter: $filter, orderBy: [{field: EXTERNAL_ID}]) {
    nodes { externalId parentPays inherits parent { externalId } children(first: 5) {
      nodes { externalId } } }
  }
}
"""


async def test_families_are_set_listed_and_refused(ask):
    top = await create(ask, "top")
    eu = await create(ask, "eu", parentId=top["id"], parentPays=True)
    await create(ask, "us", parentId=top["id"], inherits=False)
    found = await ask(FAMILY, {"filter": {"parentId": {"eq": top["id"]}}})
    assert found["data"]["customers"]["nodes"] == [
        {"externalId": name, "parentPays": pays, "inherits": name != "us",
         "parent": {"externalId": "top"}, "children": {"nodes": []}}
        for name, pays in (("eu", True), ("us", False))
    ]  # fmt: skip
    (family,) = (await ask(FAMILY, {"filter": {"externalId": {"eq": "top"}}}))["data"]["customers"][
        "nodes"
    ]
    assert [each["externalId"] for each in family["children"]["nodes"]] == ["us", "eu"]
    refused = await ask(UPDATE, {"input": {"id": top["id"], "parentId": eu["id"]}})
    assert refused["data"]["customerUpdate"]["code"] == "HIERARCHY_TOO_DEEP"
    assert refused["data"]["customerUpdate"]["field"] == "parentId"
