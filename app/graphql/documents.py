"""Documents to operations: parsed, checked and validated once, then remembered by their text."""

import hashlib
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLSchema,
    NoSchemaIntrospectionCustomRule,
    OperationDefinitionNode,
    OperationType,
    parse,
    specified_rules,
    validate,
)
from strawberry.schema.validation_rules.maybe_null import MaybeNullValidationRule
from strawberry.schema.validation_rules.one_of import OneOfInputValidationRule

from app.graphql.errors import RequestRefused, refusal, request_errors
from app.graphql.limits import (
    INTROSPECTION,
    Cost,
    Limits,
    fragments_of,
    grouped,
    measure,
    plan_cost,
)
from app.graphql.texts import StorableTextsRule

# Built once: the rules are part of no cache key here, and none is made per request.
RULES: Final = (
    *specified_rules,
    MaybeNullValidationRule,
    OneOfInputValidationRule,
    StorableTextsRule,
)
_CONSTANT: Final = {*INTROSPECTION, "__typename"}
CACHED_CHARACTERS: Final = 2_097_152  # of document text; its parsed form is some 50 times larger


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of a valid document, ready to be executed any number of times."""

    document: DocumentNode
    digest: str  # SHA-256 of the document's text, in hex
    name: str | None
    kind: OperationType
    root_fields: tuple[str, ...]
    costs: tuple[Cost, ...]
    constant: bool  # asks of the schema alone, so that the answer is always the same


class Documents:
    """The valid documents met lately. Bounded by the characters of their text."""

    def __init__(
        self,
        schema: GraphQLSchema,
        limits: Limits,
        *,
        introspection: bool = True,
        capacity: int = CACHED_CHARACTERS,
    ) -> None:
        self._schema, self._limits, self._capacity = schema, limits, capacity
        self._introspection = introspection
        self._rules = RULES if introspection else (*RULES, NoSchemaIntrospectionCustomRule)
        self._known: OrderedDict[str, dict[str | None, Operation]] = OrderedDict()
        self._characters = 0

    def operation(self, text: str, name: str | None = None) -> Operation:
        """The operation `name` of the document, or its only one. Raises: RequestRefused."""
        operations = self._known.get(text)
        if operations is None:
            operations = self._prepared(text)
            self._remember(text, operations)
        else:
            self._known.move_to_end(text)
        if name is None and len(operations) == 1:
            return next(iter(operations.values()))
        if name not in operations:
            named = ", ".join(sorted(known or "" for known in operations)[:10])
            raise refusal(
                f"the document has no operation {name!r}; it has: {named}"
                if name is not None
                else f"operationName must say which of these to run: {named}",
                "OPERATION_RESOLUTION_FAILURE",
            )
        return operations[name]

    def _prepared(self, text: str) -> dict[str | None, Operation]:
        document = self._parsed(text)
        measure(document, self._limits)
        self._validated(document)
        fragments = fragments_of(document)
        operations: dict[str | None, Operation] = {}
        for node in document.definitions:
            if isinstance(node, OperationDefinitionNode):
                groups = grouped([node.selection_set], fragments).values()
                operation = Operation(
                    document=document,
                    digest=hashlib.sha256(text.encode()).hexdigest(),
                    name=node.name.value if node.name else None,
                    kind=node.operation,
                    root_fields=tuple(nodes[0].name.value for nodes in groups),
                    costs=plan_cost(self._schema, node, fragments),
                    constant=not node.variable_definitions
                    and all(nodes[0].name.value in _CONSTANT for nodes in groups),
                )
                self._check_mutation(operation)
                operations[operation.name] = operation
        if not operations:
            raise refusal("the document has no operation", "OPERATION_RESOLUTION_FAILURE")
        return operations

    def _parsed(self, text: str) -> DocumentNode:
        size = len(text.encode("utf-8", "surrogatepass"))
        if size > self._limits.query_bytes:
            raise refusal(
                f"the query has {size} bytes; at most {self._limits.query_bytes} fit",
                "QUERY_TOO_LARGE",
                status=413,
            )
        try:
            return parse(
                text, max_lexical_tokens=self._limits.tokens, max_comments=self._limits.tokens
            )
        except GraphQLError as error:
            raise RequestRefused(request_errors([error], "GRAPHQL_PARSE_FAILED")) from error

    def _validated(self, document: DocumentNode) -> None:
        errors = validate(
            self._schema,
            document,
            self._rules,
            max_errors=self._limits.validation_errors,
            hide_suggestions=not self._introspection,
        )
        if errors:
            raise RequestRefused(request_errors(errors, "GRAPHQL_VALIDATION_FAILED"))

    def _check_mutation(self, operation: Operation) -> None:
        limit = self._limits.root_mutations
        if operation.kind is OperationType.MUTATION and len(operation.root_fields) > limit:
            raise refusal(
                f"a request runs at most {limit} mutations, not {len(operation.root_fields)}",
                "QUERY_TOO_COMPLEX",
            )

    def _remember(self, text: str, operations: dict[str | None, Operation]) -> None:
        self._known[text] = operations
        self._characters += len(text)
        while self._characters > self._capacity:
            oldest, _ = self._known.popitem(last=False)
            self._characters -= len(oldest)
