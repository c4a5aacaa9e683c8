"""What a document may ask for. Cheap checks run before validation, which is quadratic.

A document of 3.8 KB that repeats one field 240 times costs 200 ms to validate, and none of
the usual limiters stops it. So the size, the tokens, and then the fields with their fragments
spread out are counted first; the estimated cost comes last, once the document is known to fit
the schema.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLNamedType,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    VariableNode,
    get_named_type,
    get_nullable_type,
    is_abstract_type,
    is_list_type,
)

from app.graphql.errors import refusal
from app.kernel.listing import DEFAULT_PAGE, MAX_PAGE

Groups = dict[str, list[FieldNode]]
Fragments = Mapping[str, FragmentDefinitionNode]

INTROSPECTION = ("__schema", "__type")
# The schema's own answer is made once and kept, so it costs the same however deep.
_INTROSPECTION_COST = 500
# What a list without `first` and `last` is taken to hold.
ASSUMED_LENGTH = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Of one request. Fields are counted with fragments spread out, as they are executed."""

    query_bytes: int = 32_768
    body_bytes: int = 1_048_576
    tokens: int = 2_000
    definitions: int = 50
    depth: int = 12
    introspection_depth: int = 20
    fields: int = 500
    repeats: int = 20  # of one response name within one selection
    aliases: int = 50
    root_mutations: int = 10
    cost: int = 20_000
    variable_values: int = 20_000
    variable_depth: int = 30
    # Each names what was likely meant, for which all fields of its type are compared.
    validation_errors: int = 10


@dataclass(frozen=True, slots=True)
class Cost:
    """A field's share: 1 for itself, and its children times the size of its list.

    `size` is a number, or the name of the variable that holds it.
    """

    size: int | str
    children: tuple["Cost", ...]


def measure(document: DocumentNode, limits: Limits) -> None:
    """Count the document's fields without the schema. Raises: RequestRefused (400)."""
    if len(document.definitions) > limits.definitions:
        raise _too_much("definitions", limits.definitions)
    fragments = fragments_of(document)
    counter = _Counter(limits, fragments)
    for definition in document.definitions:
        if isinstance(definition, OperationDefinitionNode):
            counter.visit([definition.selection_set], depth=1, allowed=limits.depth)
        elif isinstance(definition, FragmentDefinitionNode):
            introspects = definition.type_condition.name.value.startswith("__")
            deepest = limits.introspection_depth if introspects else limits.depth
            counter.visit([definition.selection_set], depth=1, allowed=deepest)


def fragments_of(document: DocumentNode) -> Fragments:
    return {
        node.name.value: node
        for node in document.definitions
        if isinstance(node, FragmentDefinitionNode)
    }


class _Counter:
    def __init__(self, limits: Limits, fragments: Fragments) -> None:
        self._limits, self._fragments = limits, fragments
        self._fields = self._aliases = 0

    def visit(self, sets: list[SelectionSetNode], *, depth: int, allowed: int) -> None:
        if depth > allowed:
            raise _too_much("levels of nesting", allowed)
        for name, nodes in grouped(sets, self._fragments).items():
            self._count(name, nodes)
            below = [node.selection_set for node in nodes if node.selection_set is not None]
            if below:
                introspects = nodes[0].name.value in INTROSPECTION
                deepest = self._limits.introspection_depth if introspects else allowed
                self.visit(below, depth=depth + 1, allowed=deepest)

    def _count(self, name: str, nodes: list[FieldNode]) -> None:
        limits = self._limits
        self._fields += len(nodes)
        self._aliases += sum(node.alias is not None for node in nodes)
        if self._fields > limits.fields:
            raise _too_much("fields, with fragments spread out", limits.fields)
        if len(nodes) > limits.repeats:
            raise _too_much(f"repetitions of {name} within one selection", limits.repeats)
        if self._aliases > limits.aliases:
            raise _too_much("aliases", limits.aliases)


def grouped(sets: Iterable[SelectionSetNode], fragments: Fragments) -> Groups:
    """The fields of selections that are executed together, by response name."""
    found: Groups = {}
    spread: set[str] = set()
    pending = list(sets)
    while pending:
        for node in pending.pop(0).selections:
            if isinstance(node, FieldNode):
                name = node.alias.value if node.alias else node.name.value
                found.setdefault(name, []).append(node)
            elif isinstance(node, InlineFragmentNode):
                pending.append(node.selection_set)
            elif isinstance(node, FragmentSpreadNode) and node.name.value not in spread:
                # Each fragment counts once per selection, as when it is executed; so a
                # cycle ends here, and is left to validation to explain.
                spread.add(node.name.value)
                if node.name.value in fragments:
                    pending.append(fragments[node.name.value].selection_set)
    return found


def plan_cost(
    schema: GraphQLSchema, operation: OperationDefinitionNode, fragments: Fragments
) -> tuple[Cost, ...]:
    """The costs of a valid operation's root fields."""
    root = schema.get_root_type(operation.operation)
    return _costs(schema, root, [operation.selection_set], fragments, page=None)


def _costs(
    schema: GraphQLSchema,
    parent: GraphQLNamedType | None,
    sets: list[SelectionSetNode],
    fragments: Fragments,
    *,
    page: int | str | None,
) -> tuple[Cost, ...]:
    costs = []
    for nodes in grouped(sets, fragments).values():
        if nodes[0].name.value in INTROSPECTION:
            costs.append(Cost(_INTROSPECTION_COST, (Cost(1, ()),)))
            continue
        field = _field(schema, parent, nodes[0])
        below = [node.selection_set for node in nodes if node.selection_set is not None]
        pages = field is not None and ("first" in field.args or "last" in field.args)
        size: int | str = 1
        if field is not None and is_list_type(get_nullable_type(field.type)):
            # Of a connection's own lists, `nodes` and `edges`, its page says the size.
            size = ASSUMED_LENGTH if page is None else page
        named = None if field is None else get_named_type(field.type)
        inner = _page_size(nodes[0]) if pages else None
        costs.append(Cost(size, _costs(schema, named, below, fragments, page=inner)))
    return tuple(costs)


def _field(schema: GraphQLSchema, parent: GraphQLNamedType | None, node: FieldNode) -> Any:
    if parent is None:
        return None
    fields = getattr(parent, "fields", {})
    if node.name.value in fields:
        return fields[node.name.value]
    # A fragment on one of the possible types of an interface or union.
    for candidate in schema.get_possible_types(parent) if is_abstract_type(parent) else ():
        if node.name.value in candidate.fields:
            return candidate.fields[node.name.value]
    return None


def _page_size(node: FieldNode) -> int | str:
    for argument in node.arguments or ():
        if argument.name.value in ("first", "last"):
            if isinstance(argument.value, VariableNode):
                return argument.value.name.value
            if isinstance(argument.value, IntValueNode):
                return _capped(int(argument.value.value))
    return DEFAULT_PAGE


def total(costs: Iterable[Cost], variables: Mapping[str, Any]) -> int:
    """The estimate for one request: about one unit for each field of the answer."""
    result = 0
    for cost in costs:
        size = cost.size
        if isinstance(size, str):
            given = variables.get(size)
            size = _capped(given) if type(given) is int else DEFAULT_PAGE
        result += 1 + size * total(cost.children, variables)
    return result


def _capped(size: int) -> int:
    # Larger pages are refused when executed, whatever they would cost.
    return min(max(size, 0), MAX_PAGE)


def check_variables(variables: Mapping[str, Any], limits: Limits) -> None:
    """Bound what coercion walks through, recursively. Raises: RequestRefused (400)."""
    seen, level = 0, list(variables.values())
    for _ in range(limits.variable_depth):
        seen += len(level)
        if seen > limits.variable_values:
            raise _too_much("values in the variables", limits.variable_values)
        level = [
            inner
            for item in level
            if isinstance(item, dict | list)
            for inner in (item.values() if isinstance(item, dict) else item)
        ]
        if not level:
            return
    raise _too_much("levels of nesting in the variables", limits.variable_depth)


def _too_much(what: str, limit: int) -> Exception:
    return refusal(f"the query has too many {what}: at most {limit}", "QUERY_TOO_COMPLEX")
