"""Runs operations: one path for HTTP, WebSockets, Server-Sent Events and tests.

Strawberry builds the schema and its resolvers; the request's course is ours, so that it is
the same on every transport: document, limits, cost, variables, execution, masking.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final, cast

from graphql import ExecutionResult, GraphQLError, GraphQLSchema, OperationType
from graphql.execution import (
    create_source_event_stream,
    execute_root_selection_set,
    map_source_to_response_event,
)
from strawberry.execution import optimized_is_awaitable
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from app.graphql.context import Context
from app.graphql.documents import Documents, Operation
from app.graphql.errors import (
    RequestRefused,
    public_errors,
    refusal,
    refused_by_domain,
    request_errors,
)
from app.graphql.limits import Limits, check_variables, total
from app.graphql.schema import Schema
from app.graphql.texts import check_texts
from app.kernel.errors import TariffError

MAX_CONSTANTS: Final = 20  # answers about the schema that are kept
Body = dict[str, Any]  # a response: `data` unless the request was refused, `errors` where some


@dataclass(frozen=True, slots=True)
class Prepared:
    """A request that may be run: its operation exists, is valid and within its limits."""

    operation: Operation
    variables: Mapping[str, Any]
    cost: int


class Graph:
    """The schema with its limits and its remembered documents; one per process."""

    def __init__(
        self,
        schema: Schema,
        limits: Limits | None = None,
        *,
        introspection: bool = True,
        seconds: float = 30.0,
    ) -> None:
        self.limits = limits or Limits()
        self.schema: GraphQLSchema = schema._schema
        self._introspection, self._seconds = introspection, seconds
        self._constants: dict[tuple[str, str | None], Body] = {}
        self._documents = Documents(self.schema, self.limits, introspection=introspection)

    def prepare(
        self,
        text: str,
        variables: Mapping[str, Any] | None = None,
        operation_name: str | None = None,
    ) -> Prepared:
        """Check everything that needs no database. Raises: RequestRefused."""
        operation = self._documents.operation(text, operation_name)
        given = variables or {}
        check_variables(given, self.limits)
        check_texts(given)
        cost = total(operation.costs, given)
        if cost > self.limits.cost:
            raise refusal(
                f"the query may cost {cost}; at most {self.limits.cost} is allowed: ask for "
                "smaller pages or fewer fields",
                "QUERY_TOO_COSTLY",
            )
        return Prepared(operation, given, cost)

    async def execute(self, prepared: Prepared, context: Context) -> Body:
        """The answer to a query or mutation. Raises: RequestRefused for wrong variables."""
        operation = prepared.operation
        known = self._constants.get((operation.digest, operation.name))
        if known is not None:
            return known
        try:
            await context.present.open(mutating=operation.kind is OperationType.MUTATION)
        except TariffError as error:
            raise refused_by_domain(error) from error
        body = await self._executed(self._executor(prepared, context), context)
        if operation.constant and len(self._constants) < MAX_CONSTANTS:
            self._constants[operation.digest, operation.name] = body
        return body

    async def _executed(self, executor: Any, context: Context) -> Body:
        try:
            async with asyncio.timeout(self._seconds):
                result: Any = execute_root_selection_set(executor)
                if not isinstance(result, ExecutionResult):
                    result = await result
        except TimeoutError as error:
            raise refusal(
                f"the request took more than {self._seconds:g} s", "TIMEOUT", status=504
            ) from error
        return _body(cast("ExecutionResult", result), context)

    async def subscribe(self, prepared: Prepared, context: Context) -> AsyncIterator[Body]:
        """The answers of a subscription, one per event. Raises: RequestRefused."""
        executor = self._executor(prepared, context)
        source: Any = create_source_event_stream(executor)
        if hasattr(source, "__await__"):
            source = await source
        if isinstance(source, ExecutionResult):
            raise RequestRefused(public_errors(source.errors or [], context.request_id))

        def execute_event(event: Any) -> Any:
            context.forget()  # what loaders remember of earlier events is out of date
            return execute_root_selection_set(event)

        async with aclosing(map_source_to_response_event(executor, source, execute_event)) as found:
            async for result in found:
                yield _body(result, context)

    async def run(
        self,
        context: Context,
        text: str,
        variables: Mapping[str, Any] | None = None,
        operation_name: str | None = None,
    ) -> Body:
        """Prepare and execute; a refused request is a body without `data`."""
        try:
            return await self.execute(self.prepare(text, variables, operation_name), context)
        except RequestRefused as refused:
            return {"errors": refused.errors}

    def _executor(self, prepared: Prepared, context: Context) -> Any:
        operation = prepared.operation
        built = StrawberryGraphQLCoreExecutionContext.build(
            self.schema,
            operation.document,
            None,
            context,
            dict(prepared.variables),
            operation.name,
            is_awaitable=cast("Any", optimized_is_awaitable),
            max_coercion_errors=self.limits.validation_errors,
            hide_suggestions=not self._introspection,
        )
        if isinstance(built, list):
            raise RequestRefused(request_errors(built, "BAD_USER_INPUT"))
        return built


def is_subscription(prepared: Prepared) -> bool:
    return prepared.operation.kind is OperationType.SUBSCRIPTION


def _body(result: ExecutionResult, context: Context) -> Body:
    if not result.errors:
        return {"data": result.data}
    errors: list[GraphQLError] = result.errors
    return {"errors": public_errors(errors, context.request_id), "data": result.data}
