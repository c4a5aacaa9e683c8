"""Texts that cannot be stored, over HTTP: refused by a code wherever they stand."""

import json
from typing import Any

import httpx
import pytest

from app.infra.postgres import fetch
from app.kernel.scope import Scope

# An operation with a place for a text, as `$text` where it is a variable; its type.
PLACES = {
    "an id": ("customer(id: %s) { id }", "ID!"),
    "an id of any kind": ("node(id: %s) { id }", "ID!"),
    "one of many ids": ('nodes(ids: ["cus_1", %s]) { id }', "ID!"),
    "an id of a list": ("invoices(filter: {customerId: {in: [%s]}}) { totalCount }", "ID!"),
    "your own id": ("customerByExternalId(externalId: %s) { id }", "String!"),
    "a lookup key": ("featureByLookupKey(lookupKey: %s) { id }", "String!"),
    "a filter": ("customers(filter: {name: {eq: %s}}) { totalCount }", "String!"),
    "a filter's part": (
        "customers(filter: {or: [{name: {contains: %s}}]}) { totalCount }",
        "String!",
    ),
    "a metadata filter": (
        'customers(filter: {metadata: {key: "k", eq: %s}}) { totalCount }',
        "String!",
    ),
    "a search": ("customers(search: %s) { totalCount }", "String!"),
    "a cursor": ("customers(first: 1, after: %s) { totalCount }", "String!"),
    "an event's id": ("event(eventId: %s) { eventId }", "String!"),
    "a filter of events": ("events(filter: {eventName: {eq: %s}}) { totalCount }", "String!"),
}
CREATE = "mutation ($input: CustomerCreateInput!) { customerCreate(input: $input) { __typename } }"


async def refused(http: httpx.AsyncClient, key: str, body: str) -> dict[str, Any]:
    """The one error of a request that was not run."""
    answer = await http.post(
        "/graphql",
        content=body,
        headers={
            "content-type": "application/json",
            "accept": "application/graphql-response+json",
            "x-api-key": key,
        },
    )
    assert answer.status_code == 400, answer.text
    (error,) = answer.json()["errors"]
    return error  # type: ignore[no-any-return]


@pytest.mark.parametrize("where", PLACES)
async def test_a_null_character_in_a_variable_is_refused_by_its_place(
    http: httpx.AsyncClient, key: str, where: str
) -> None:
    field, type_ = PLACES[where]
    query = f"query ($text: {type_}) {{ {field % '$text'} }}"
    error = await refused(http, key, json.dumps({"query": query, "variables": {"text": "a\0"}}))
    assert error["extensions"]["code"] == "BAD_USER_INPUT"
    assert error["message"] == "$text: a text must not hold U+0000 or a lone surrogate"


@pytest.mark.parametrize("where", PLACES)
async def test_a_null_character_in_the_document_is_refused_where_it_stands(
    http: httpx.AsyncClient, key: str, where: str
) -> None:
    query = f"{{ {PLACES[where][0] % 'TEXT'} }}"
    column = query.index("TEXT") + 1
    query = query.replace("TEXT", r'"a\u0000"')
    error = await refused(http, key, json.dumps({"query": query}))
    assert error["extensions"]["code"] == "GRAPHQL_VALIDATION_FAILED"
    assert error["message"] == "a text must not hold U+0000 or a lone surrogate"
    assert error["locations"] == [{"line": 1, "column": column}]


@pytest.mark.parametrize(
    ("fields", "at"),
    [
        ({"name": "a\0b"}, "$input.name"),
        ({"address": {"city": "\0"}}, "$input.address.city"),
        ({"metadata": {"team": "\0"}}, "$input.metadata.team"),
        ({"metadata": {"a\0": "b"}}, r"$input.metadata.a\x00"),
    ],
)
async def test_an_input_with_a_null_character_creates_nothing(
    http: httpx.AsyncClient, key: str, place: Scope, fields: dict[str, Any], at: str
) -> None:
    given = {"externalId": "acme", "name": "Acme", **fields}
    error = await refused(http, key, json.dumps({"query": CREATE, "variables": {"input": given}}))
    assert error["extensions"]["code"] == "BAD_USER_INPUT"
    assert error["message"].startswith(f"{at}: ")
    assert await fetch(place, "SELECT 1 FROM customers") == []


SURROGATES = {
    # JSON itself has no such text, nor has a string of GraphQL.
    "in a variable": (
        r'{"query": "query ($id: ID!) { customer(id: $id) { id } }", '
        r'"variables": {"id": "\ud800"}}',
        "INVALID_JSON",
    ),
    "in the document": (
        json.dumps({"query": r'{ customer(id: "\uD800") { id } }'}),
        "GRAPHQL_PARSE_FAILED",
    ),
    "raw in the document": (
        r'{"query": "{ customer(id: \"\ud800\") { id } }"}',
        "INVALID_JSON",
    ),
}


@pytest.mark.parametrize("name", SURROGATES)
async def test_a_lone_surrogate_is_refused(http: httpx.AsyncClient, key: str, name: str) -> None:
    body, code = SURROGATES[name]
    assert (await refused(http, key, body))["extensions"]["code"] == code


async def test_a_lone_surrogate_from_within_is_refused_like_a_null_character(ask: Any) -> None:
    """What no transport lets in is refused for callers of the graph in this process too."""
    body = await ask("query ($id: ID!) { customer(id: $id) { id } }", {"id": "a\udfff"})
    assert [error["extensions"]["code"] for error in body["errors"]] == ["BAD_USER_INPUT"]
    assert "data" not in body


async def test_every_other_text_finds_nothing_or_is_kept(ask: Any) -> None:
    odd = "\x01\x7f\ufeff\ufffe\U0010ffff'\"\\%_"
    body = await ask(
        "query ($text: String!) { customers(filter: {name: {contains: $text}}) { totalCount } }",
        {"text": odd},
    )
    assert body == {"data": {"customers": {"totalCount": 0}}}
