"""Documents that mean harm: each is refused, and refusing it costs little."""

import time
from typing import Any

import pytest
from graphql import get_introspection_query

from app.graphql.documents import Documents
from app.graphql.errors import RequestRefused
from app.graphql.execution import Graph
from app.graphql.limits import Limits, check_variables
from app.graphql.schema import schema

FIELDS = "nodes { id externalId name email timezone currency status createdAt updatedAt }"
NORMAL = f"query Q($n: Int) {{ customers(first: $n) {{ {FIELDS} totalCount }} }}"


def many(count: int, text: str) -> str:
    return " ".join(text.replace("#", str(index)) for index in range(count))


def fragments(count: int, body: str, last: str) -> str:
    named = (f"fragment f{i} on Query {{ {body.replace('#', str(i + 1))} }}" for i in range(count))
    return " ".join((*named, f"fragment f{count} on Query {{ {last} }}"))


SPREAD = "fragment F on CustomerConnection { nodes { id } }"
HOSTILE: dict[str, tuple[str, str]] = {
    "one object 240 times": ("{ " + many(240, "customers { totalCount }") + " }", "COMPLEX"),
    "one object 1,500 times": ("{ " + many(1_500, "customers { totalCount }") + " }", "LARGE"),
    "one leaf 1,900 times": ("{ " + many(1_900, "__typename") + " }", "COMPLEX"),
    "1,000 aliases": ("{ " + many(1_000, "a#: __typename") + " }", "PARSE"),
    "60 aliases": ("{ " + many(60, "a#: __typename") + " }", "COMPLEX"),
    "1,900 unknown fields": ("{ " + many(1_900, "x#") + " }", "COMPLEX"),
    "400 unknown fields": ("{ " + many(400, "customer#") + " }", "VALIDATION"),
    "deep selections": ("{ a " * 50 + "}" * 50, "COMPLEX"),
    "very deep selections": ("{a" * 900 + "}" * 900, "PARSE"),
    "deep list literal": ("{ customers(filter: " + "[" * 900 + "]" * 900 + ") { x } }", "PARSE"),
    "fragment chain": ("{ ...f0 } " + fragments(300, "...f#", "__typename"), "PARSE"),
    "short fragment chain": ("{ ...f0 } " + fragments(60, "...f#", "__typename"), "COMPLEX"),
    "fragment bomb": (
        "{ ...f0 } " + fragments(40, "a: customers { x } ...f# ...f# ...f#", "__typename"),
        "COMPLEX",
    ),
    "doubling fragments": (
        "{ ...f0 } "
        + fragments(20, "a#: node(id: 1) { ... on Query { ...f# } } ...f#", "__typename"),
        "COMPLEX",
    ),
    "fragment cycle": (
        "{ ...f } fragment f on Query { ...g } fragment g on Query { ...f }",
        "VALI",
    ),
    "self cycle": ("{ ...f } fragment f on Query { __typename ...f }", "VALIDATION"),
    "nested cycle": (
        "{ ...f } fragment f on Query { node(id: 1) { ... on Query { ...f } } }",
        "COMPLEX",
    ),
    "same directive 300 times": ("{ __typename " + "@include(if: true) " * 280 + "}", "VALIDATION"),
    "100,000 commas": ("{ __typename }" + "," * 100_000, "LARGE"),
    "comments": ("{ __typename }" + "#\n" * 10_000, "PARSE"),
    "long string": ('{ customer(id: "' + "x" * 40_000 + '") { id } }', "LARGE"),
    "multi-byte": ('{ customer(id: "' + "é" * 17_000 + '") { id } }', "LARGE"),
    "many operations": (many(60, "query q# { __typename }"), "COMPLEX"),
    "many variables": ("query (" + many(400, "$v#: Int") + ") { __typename }", "VALIDATION"),
    "50 mutations": (
        "mutation { " + many(50, 'a#: customerArchive(input: {id: "x"}) { __typename }') + " }",
        "COMPLEX",
    ),
    "introspection too deep": (
        "{ __schema { types { " + "fields { type { " * 12 + "name" + " } }" * 12 + " } } }",
        "COMPLEX",
    ),
    "introspection through cycles": (
        "{ __schema { types { fields { type { fields { type { fields { type { fields "
        "{ name } } } } } } } } } }",
        "VALIDATION",
    ),
    "large pages": (
        "{ "
        + many(49, "a#: customers(first: 100) { nodes { id name email status timezone } }")
        + " }",
        "COSTLY",
    ),
    "two subscriptions": (
        "subscription { a: usageUpdated(meterId: 1) { quantity } b: usageUpdated(meterId: 1) "
        "{ quantity } }",
        "VALIDATION",
    ),
    "lone surrogate": ('{ customer(id: "\ud800") { id } }', "PARSE"),
    "nothing": ("", "PARSE"),
    "a type definition": ("type Query { a: Int }", "VALIDATION"),
}


def cpu(work: Any) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


def code_of(text: str, limits: Limits | None = None) -> str | None:
    """How a fresh endpoint refuses the document; None when it would run it."""
    try:
        Graph(schema, limits).prepare(text)
    except RequestRefused as refused:
        codes = {error["extensions"]["code"] for error in refused.errors}
        return f"{' '.join(codes)} in {len(refused.errors)} errors"
    return None


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_document_is_refused(name: str) -> None:
    text, expected = HOSTILE[name]
    refused = code_of(text) or "not at all"
    assert expected in refused
    assert int(refused.split()[-2]) <= 11


@pytest.mark.parametrize("name", HOSTILE)
def test_refusing_costs_at_most_twenty_normal_queries(name: str) -> None:
    text, _ = HOSTILE[name]
    graph = Graph(schema)

    def normal() -> None:
        Documents(graph.schema, Limits()).operation(NORMAL)

    def hostile() -> None:
        code_of(text)

    # By turns, since the machine's speed changes from one moment to the next.
    rounds = [(cpu(hostile), cpu(normal)) for _ in range(5)]
    refusing, asking = (min(each) for each in zip(*rounds, strict=True))
    assert refusing < 20 * asking


def test_a_document_that_was_valid_is_not_looked_at_again() -> None:
    graph = Graph(schema)
    first = graph.prepare(NORMAL).operation
    again = graph.prepare(NORMAL, {"n": 5}).operation
    assert again is first
    fresh = min(cpu(lambda: Graph(schema).prepare(NORMAL)) for _ in range(5))
    known = min(cpu(lambda: graph.prepare(NORMAL)) for _ in range(5))
    assert known < fresh / 5


def test_remembered_documents_are_bounded_by_their_text() -> None:
    texts = [f"query Q{i} {{ __typename }}" for i in range(10)]
    documents = Documents(schema._schema, Limits(), capacity=3 * len(texts[0]))
    for text in texts:
        documents.operation(text)
    assert list(documents._known) == texts[-3:]
    documents.operation(texts[-3])
    documents.operation("query R0 { __typename }")
    assert list(documents._known) == [texts[-1], texts[-3], "query R0 { __typename }"]


def test_refused_documents_are_not_remembered() -> None:
    graph = Graph(schema)
    for text in ("{ nope }", "{"):
        with pytest.raises(RequestRefused):
            graph.prepare(text)
    assert len(graph._documents._known) == 0


@pytest.mark.parametrize("descriptions", [True, False])
def test_the_introspection_of_tools_passes(descriptions: bool) -> None:
    text = get_introspection_query(
        descriptions=descriptions,
        specified_by_url=True,
        directive_is_repeatable=True,
        schema_description=True,
        input_value_deprecation=True,
    )
    prepared = Graph(schema).prepare(text)
    assert prepared.operation.constant
    assert prepared.cost == 501


@pytest.mark.parametrize(
    ("text", "variables", "cost"),
    [
        ("{ __typename }", {}, 1),
        ('{ customer(id: "x") { id name } }', {}, 3),
        ("{ customers { nodes { id name } } }", {}, 1 + 1 + 20 * 2),
        ("{ customers(first: 3) { nodes { id } totalCount } }", {}, 1 + (1 + 3) + 1),
        ("{ customers(last: 3) { edges { cursor node { id } } } }", {}, 1 + 1 + 3 * 3),
        ("query ($n: Int) { customers(first: $n) { nodes { id } } }", {"n": 7}, 1 + 1 + 7),
        ("query ($n: Int) { customers(first: $n) { nodes { id } } }", {}, 1 + 1 + 20),
        ("query ($n: Int) { customers(first: $n) { nodes { id } } }", {"n": 10**9}, 1 + 1 + 100),
        ("query ($n: Int) { customers(first: $n) { nodes { id } } }", {"n": -5}, 2),
        ("query ($n: Int) { customers(first: $n) { nodes { id } } }", {"n": "7"}, 1 + 1 + 20),
        (
            "{ customers(first: 2) { ...F } } fragment F on CustomerConnection { nodes { id } }",
            {},
            4,
        ),
        ('{ node(id: "x") { id ... on Customer { name address { city } } } }', {}, 5),
        ("{ a: customers(first: 0) { nodes { id } } customers(first: 0) { nodes { id } } }", {}, 4),
        ('{ nodes(ids: ["x"]) { id } }', {}, 11),
    ],
)
def test_the_cost_is_about_the_fields_of_the_answer(
    text: str, variables: dict[str, Any], cost: int
) -> None:
    assert Graph(schema).prepare(text, variables).cost == cost


def test_a_query_that_may_cost_too_much_is_refused_before_it_runs() -> None:
    graph = Graph(schema, Limits(cost=200))
    text = "query ($n: Int) { customers(first: $n) { nodes { id name } } }"
    assert graph.prepare(text, {"n": 99}).cost == 200
    with pytest.raises(RequestRefused) as refused:
        graph.prepare(text, {"n": 100})
    assert refused.value.errors[0]["extensions"]["code"] == "QUERY_TOO_COSTLY"


def _deep(levels: int) -> Any:
    value: Any = 0
    for _ in range(levels):
        value = [value]
    return value


def test_variables_are_bounded_in_depth_and_number() -> None:
    check_variables({"a": _deep(28), "b": list(range(19_000))}, Limits())
    for variables in ({"a": _deep(31)}, {"a": _deep(900)}, {"a": list(range(20_001))}):
        with pytest.raises(RequestRefused) as refused:
            check_variables(variables, Limits())
        assert refused.value.errors[0]["extensions"]["code"] == "QUERY_TOO_COMPLEX"
