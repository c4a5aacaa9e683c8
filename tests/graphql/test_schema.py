"""Laws that every part of the graph keeps, found by walking the schema."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
import strawberry
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLUnionType,
    get_named_type,
)

from app.graphql.errors import Problem
from app.graphql.node import Kind, node_query
from app.graphql.permissions import Policy, public, requires
from app.graphql.schema import KINDS, MUTATIONS, QUERIES, SUBSCRIPTIONS, schema, sdl
from app.kernel.ids import PREFIXES
from app.tenants.role import PERMISSIONS

CORE = schema._schema
ROOTS = {"Query", "Mutation", "SubscriptionRoot"}
TYPES: list[GraphQLNamedType] = [
    type_
    for name, type_ in sorted(CORE.type_map.items())
    if not name.startswith("__") and name not in {"String", "Int", "Boolean", "ID", "Float"}
]
COMPOSITE = [
    type_
    for type_ in TYPES
    if isinstance(type_, GraphQLObjectType | GraphQLInterfaceType | GraphQLInputObjectType)
]
DEPRECATION = re.compile(r".+ Removed on (\d{4}-\d{2}-\d{2})\.")


def test_schema_graphql_is_the_schema() -> None:
    path = Path(__file__).parents[2] / "schema.graphql"
    assert path.read_text() == sdl(), "run: tariff schema > schema.graphql"


def test_the_schema_prints_the_same_twice() -> None:
    assert sdl() == sdl()


def test_every_root_field_has_exactly_one_policy() -> None:
    found = {}
    for part in (*QUERIES, *MUTATIONS, *SUBSCRIPTIONS):
        for field in strawberry.types.get_object_definition(part, strict=True).fields:
            policies = [e for e in field.extensions if isinstance(e, Policy)]
            found[f"{part.__name__}.{field.name}"] = len(policies)
    assert found
    assert {name: count for name, count in found.items() if count != 1} == {}


def test_every_root_field_says_its_policy_in_the_schema() -> None:
    text = sdl()
    for root in ROOTS:
        body = text[text.index(f"type {root} {{") :]
        body = body[: body.index("\n}")]
        bare = re.sub(r'"""(.|\n)*?"""', "", body)
        root_type = CORE.type_map[root]
        assert isinstance(root_type, GraphQLObjectType)
        said = re.findall(
            r"@requires\(permission: \"[a-z_]+:[a-z]+\"\)|@authenticated|@public", bare
        )
        assert len(said) == len(root_type.fields)


def test_every_permission_named_exists_and_fits_the_root() -> None:
    for parts, verbs in ((QUERIES, {"read"}), (MUTATIONS, {"write"}), (SUBSCRIPTIONS, {"read"})):
        for part in parts:
            for field in strawberry.types.get_object_definition(part, strict=True).fields:
                for extension in field.extensions:
                    if isinstance(extension, Policy) and extension.permission is not None:
                        assert extension.permission in PERMISSIONS, field.name
                        assert extension.permission.split(":")[1] in verbs, field.name


@pytest.mark.parametrize("type_", TYPES, ids=lambda type_: type_.name)
def test_everything_is_described(type_: GraphQLNamedType) -> None:
    bare = [] if type_.description or type_.name in ROOTS else [type_.name]
    if isinstance(type_, GraphQLObjectType | GraphQLInterfaceType):
        for name, field in type_.fields.items():
            bare += [] if field.description else [f"{type_.name}.{name}"]
            bare += [
                f"{type_.name}.{name}({argument}:)"
                for argument, definition in field.args.items()
                if not definition.description
            ]
    elif isinstance(type_, GraphQLInputObjectType):
        bare += [f"{type_.name}.{n}" for n, f in type_.fields.items() if not f.description]
    assert bare == []


def test_a_deprecation_names_the_day_of_removal_and_the_day_has_not_come() -> None:
    reasons = {}
    for type_ in COMPOSITE:
        for name, field in type_.fields.items():
            reasons[f"{type_.name}.{name}"] = field.deprecation_reason
            for argument, definition in getattr(field, "args", {}).items():
                reasons[f"{type_.name}.{name}.{argument}"] = definition.deprecation_reason
    for enum in TYPES:
        if isinstance(enum, GraphQLEnumType):
            for name, value in enum.values.items():
                reasons[f"{enum.name}.{name}"] = value.deprecation_reason
    for where, reason in reasons.items():
        if reason is not None:
            match = DEPRECATION.fullmatch(reason)
            assert match, f"{where}: write `Use x instead. Removed on 2027-01-31.`, not {reason!r}"
            assert datetime.fromisoformat(match[1]).replace(tzinfo=UTC) > datetime.now(UTC), where


def test_no_number_is_a_float() -> None:
    for type_ in COMPOSITE:
        for name, field in type_.fields.items():
            assert get_named_type(field.type).name != "Float", f"{type_.name}.{name}"


def test_enums_are_in_screaming_case_and_fields_in_camel_case() -> None:
    for type_ in TYPES:
        if isinstance(type_, GraphQLEnumType):
            assert all(re.fullmatch(r"[A-Z][A-Z0-9_]*", name) for name in type_.values), type_.name
    for composite in COMPOSITE:
        for name in composite.fields:
            assert re.fullmatch(r"[a-z][a-zA-Z0-9]*", name), f"{composite.name}.{name}"


def test_a_mutation_takes_one_input_and_answers_a_union_with_a_problem() -> None:
    mutation = CORE.mutation_type
    assert mutation is not None
    problem = CORE.type_map[Problem.__name__]
    assert isinstance(problem, GraphQLInterfaceType)
    problems = {type_.name for type_ in CORE.get_possible_types(problem)}
    for name, field in mutation.fields.items():
        assert list(field.args) in (["input"], []), name
        answer = get_named_type(field.type)
        assert isinstance(answer, GraphQLUnionType), name
        members = {type_.name for type_ in answer.types}
        assert "Rejected" in members, name
        assert members - problems, name


def test_a_connection_has_the_arguments_of_one() -> None:
    for type_ in TYPES:
        if not isinstance(type_, GraphQLObjectType):
            continue
        for name, field in type_.fields.items():
            if get_named_type(field.type).name.endswith("Connection"):
                missing = {"first", "after", "last", "before"} - set(field.args)
                assert not missing, f"{type_.name}.{name}"


def test_everything_with_a_node_id_can_be_found_by_it() -> None:
    node = CORE.type_map["Node"]
    assert isinstance(node, GraphQLInterfaceType)
    assert len({kind.prefix for kind in KINDS}) == len(KINDS)
    assert {kind.prefix for kind in KINDS} <= set(PREFIXES)
    assert len(CORE.get_possible_types(node)) == len(KINDS)


def test_two_kinds_cannot_share_a_prefix() -> None:
    async def load(*_: object) -> None:
        return None

    with pytest.raises(ValueError, match="same prefix"):
        node_query((Kind("cus", "customer:read", load), Kind("cus", "meter:read", load)))


def test_the_walk_would_notice_a_field_without_a_policy() -> None:
    """The laws above look at extensions: a policy is found where there is one, and only there."""

    @strawberry.type
    class Part:
        @strawberry.field(extensions=[requires("customer:read")])  # type: ignore[untyped-decorator]
        def guarded(self) -> str:
            return ""

        @strawberry.field(extensions=[public()])  # type: ignore[untyped-decorator]
        def open(self) -> str:
            return ""

        @strawberry.field
        def forgotten(self) -> str:
            return ""

    counts = {
        field.name: sum(isinstance(e, Policy) for e in field.extensions)
        for field in strawberry.types.get_object_definition(Part, strict=True).fields
    }
    assert counts == {"guarded": 1, "open": 1, "forgotten": 0}
