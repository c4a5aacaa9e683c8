"""What every transport does with a request: who asks, what is asked, whether, and the answer."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import structlog
from graphql import OperationType

from app.config import Kafka
from app.graphql import live
from app.graphql.context import Context
from app.graphql.errors import RequestRefused, malformed, refused_by_domain
from app.graphql.execution import Body, Graph, Prepared
from app.graphql.hub import Hub
from app.graphql.limits import Limits
from app.graphql.metrics import COST, REQUESTS
from app.graphql.persisted import PersistedOperations
from app.graphql.schema import schema
from app.graphql.streams import Streams
from app.graphql.watch import Watch
from app.graphql.wire import GraphRequest
from app.infra.telemetry import bound
from app.kernel.errors import TariffError
from app.kernel.scope import Scope
from app.runtime import Runtime
from app.tenants.authentication import (
    Authenticator,
    Caller,
    Credentials,
    authenticate,
    credentials_of,
)

log = structlog.get_logger(__name__)

# The request's own deadline comes a little before the server's, to answer in GraphQL's form.
_SHARE_OF_DEADLINE: Final = 0.9
_CREDENTIALS: Final = ("x-api-key", "authorization")


class Budget:
    """How much the operations of an environment may cost per minute, in this process."""

    def __init__(self, per_minute: int) -> None:
        self._per_minute = per_minute
        self._left: dict[Scope, tuple[float, float]] = {}

    def spend(self, scope: Scope, cost: int) -> None:
        """Raises: RequestRefused (429) when the minute's budget is used up."""
        if not self._per_minute:
            return
        now = time.monotonic()
        left, since = self._left.get(scope, (float(self._per_minute), now))
        left = min(self._per_minute, left + (now - since) * self._per_minute / 60)
        if left < 0:
            seconds = int(-left * 60 / self._per_minute) + 1
            raise malformed(
                f"this environment's queries cost more than {self._per_minute} a minute; "
                f"try again in {seconds} s",
                "RATE_LIMITED",
                status=429,
                retry_after=str(seconds),
            )
        # The last operation may overdraw, so that a large one is never refused for ever.
        self._left[scope] = (left - cost, now)


@dataclass(frozen=True, slots=True)
class Visit:
    """Somebody asks: `caller` is None without credentials."""

    caller: Caller | None
    credentials: Credentials
    request_id: str


class Service:
    """One per process; see `open_service`."""

    def __init__(
        self,
        runtime: Runtime,
        authenticator: Authenticator,
        tasks: asyncio.TaskGroup,
        *,
        limits: Limits | None = None,
        persisted: PersistedOperations | None = None,
    ) -> None:
        server = runtime.settings.server
        self.runtime, self._authenticator = runtime, authenticator
        self.graph = Graph(
            schema,
            limits,
            introspection=server.introspection,
            seconds=server.request_seconds * _SHARE_OF_DEADLINE,
        )
        self.hub = Hub()
        self.watch = Watch(authenticator)
        self.streams = Streams(self.graph, tasks.create_task)
        self._persisted = persisted or PersistedOperations()
        self._budget = Budget(runtime.settings.rate_limits.graphql_cost_per_minute)

    async def visit(self, headers: Mapping[str, str], request_id: str) -> Visit:
        """Who sends these headers. Raises: RequestRefused (401, 403, 503)."""
        try:
            credentials = credentials_of(headers, request_id=request_id)
            caller = None
            if any(headers.get(name) for name in _CREDENTIALS):
                caller = await authenticate(self._authenticator, credentials)
        except TariffError as error:
            raise refused_by_domain(error) from error
        return Visit(caller, credentials, request_id)

    def prepare(self, request: GraphRequest) -> Prepared:
        """The operation a request means, checked. Raises: RequestRefused."""
        text = self._persisted.text(request)
        return self.graph.prepare(text, request.variables, request.operation_name)

    def context(self, visit: Visit) -> Context:
        return Context(visit.caller, self.runtime, visit.request_id, self.hub)

    def admit(self, prepared: Prepared, visit: Visit) -> None:
        """Charge the operation to its environment. Raises: RequestRefused (429)."""
        if visit.caller is not None and visit.caller.scope is not None:
            self._budget.spend(visit.caller.scope, prepared.cost)
        COST.observe(prepared.cost)

    async def execute(self, prepared: Prepared, context: Context) -> Body:
        """The answer to a query or mutation. Raises: RequestRefused."""
        kind = prepared.operation.kind.value
        with bound(**_who(context.anybody)):
            try:
                body = await self.graph.execute(prepared, context)
            except RequestRefused:
                REQUESTS.labels(kind, "refused").inc()
                raise
        REQUESTS.labels(kind, "errors" if "errors" in body else "ok").inc()
        return body


def is_mutation(prepared: Prepared) -> bool:
    return prepared.operation.kind is OperationType.MUTATION


def _who(caller: Caller | None) -> dict[str, Any]:
    if caller is None:
        return {}
    names: dict[str, Any] = {"actor_id": caller.actor.id}
    if caller.scope is not None:
        names |= {
            "tenant_id": caller.scope.tenant_id,
            "environment_id": caller.scope.environment_id,
        }
    return names


@asynccontextmanager
async def open_service(
    runtime: Runtime,
    authenticator: Authenticator,
    *,
    limits: Limits | None = None,
    persisted: PersistedOperations | None = None,
    feed: Callable[[Hub, Kafka], Coroutine[Any, Any, None]] = live.feed,
) -> AsyncIterator[Service]:
    """The service, with what it does in the background, for as long as the block lasts.

    `feed` brings the hints that wake live operations, until it is cancelled.
    """
    async with asyncio.TaskGroup() as tasks:
        service = Service(runtime, authenticator, tasks, limits=limits, persisted=persisted)
        background = [
            tasks.create_task(service.watch.run(), name="graphql_watch"),
            tasks.create_task(feed(service.hub, runtime.settings.kafka), name="graphql_hub"),
        ]
        try:
            yield service
        finally:
            service.streams.close()
            for task in background:
                task.cancel()
