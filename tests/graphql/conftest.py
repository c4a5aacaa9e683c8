"""Callers, contexts and a served endpoint for the tests of the graph."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import msgspec
import pytest
import pytest_asyncio
from starlette.applications import Starlette

from app.clocks.present import EnvironmentClocks
from app.config import Settings
from app.graphql.context import Context
from app.graphql.endpoint import routes
from app.graphql.execution import Graph
from app.graphql.schema import schema
from app.graphql.service import Service, open_service
from app.infra.clickhouse import ClickHouse
from app.infra.kafka import ensure_topics
from app.infra.s3 import open_storage
from app.infra.temporal import connect_temporal
from app.kernel.clock import FixedClock, SystemClock
from app.kernel.copies import replace
from app.kernel.ids import new_id
from app.kernel.scope import Actor, Scope
from app.runtime import Runtime
from app.tenants.authentication import (
    Authenticator,
    Caller,
    EnvironmentFacts,
    TenantFacts,
    open_authenticator,
)
from app.tenants.role import PERMISSIONS
from app.tenants.settings import EnvironmentSettings
from app.tenants.tenant import EnvironmentType
from tests.graphql.server import Served, served
from tests.invoicing import world as worlds
from tests.tenants import make

Ask = Callable[..., Any]


def caller_in(scope: Scope, permissions: frozenset[str] = PERMISSIONS) -> Caller:
    """Somebody with these permissions, as authentication would have found them."""
    return Caller(
        scope=scope,
        actor=Actor("api_key", "key_test"),
        permissions=permissions,
        tenant=TenantFacts(scope.tenant_id, "Acme", suspended=False),
        environment=EnvironmentFacts(
            scope.environment_id, "production", EnvironmentType.PRODUCTION, EnvironmentSettings()
        ),
        credential="key_test",
    )


def make_runtime(settings: Settings, clock: Any, clickhouse: Any = None) -> Runtime:
    absent: Any = None
    return Runtime(
        settings=settings,
        clock=EnvironmentClocks(clock),
        clickhouse=clickhouse,
        producer=absent,
        storage=absent,
        temporal=absent,
    )


@pytest.fixture(scope="session")
def graph() -> Graph:
    return Graph(schema)


@pytest.fixture
def ask(database: Settings, scope: Scope, clock: FixedClock, graph: Graph) -> Ask:
    """`await ask(query, variables, permissions=…, scope=…)`: the body of the answer."""
    runtime = make_runtime(database, clock)

    async def run(
        text: str,
        variables: dict[str, Any] | None = None,
        *,
        scope: Scope = scope,
        permissions: frozenset[str] = PERMISSIONS,
        caller: Caller | None = None,
        anonymous: bool = False,
    ) -> dict[str, Any]:
        who = None if anonymous else caller or caller_in(scope, permissions)
        return await graph.run(Context(who, runtime, new_id("req")), text, variables)

    return run


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def authenticator(database: Settings) -> AsyncIterator[Authenticator]:
    async with open_authenticator(database, SystemClock()) as opened:
        yield opened


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def service(
    database: Settings, clickhouse: ClickHouse, authenticator: Authenticator
) -> AsyncIterator[Service]:
    runtime = make_runtime(database, SystemClock(), clickhouse)
    async with open_service(runtime, authenticator) as opened:
        yield opened


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def server(service: Service) -> AsyncIterator[Served]:
    """The endpoint on a port of its own, served as the API mode serves it."""
    async with served(Starlette(routes=routes(service))) as running:
        yield running


@pytest_asyncio.fixture
async def http(service: Service) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the endpoint, without a network in between."""
    transport = httpx.ASGITransport(Starlette(routes=routes(service)))
    async with httpx.AsyncClient(transport=transport, base_url="http://tariff.test") as client:
        yield client


@pytest_asyncio.fixture
async def place(database: Settings) -> Scope:
    """The production environment of a new tenant that really exists."""
    return make.production(await make.tenant(SystemClock()))  # type: ignore[no-untyped-call]


@pytest_asyncio.fixture
async def key(place: Scope) -> str:
    """A key of `place` that may do everything."""
    created = await make.key(place, SystemClock(), permissions=PERMISSIONS)  # type: ignore[no-untyped-call]
    return str(created.secret.text)


@pytest_asyncio.fixture(scope="session")
async def storage(settings):
    async with open_storage(settings.s3) as opened:
        yield opened


@pytest.fixture
async def world(database, clickhouse, storage):
    return await worlds.build(clickhouse, storage)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def caught_up(settings):
    """The settings with topics that nobody writes to: all there is has been counted."""
    prefix = f"{settings.kafka.topic_prefix}empty."
    own = msgspec.structs.replace(
        settings, kafka=msgspec.structs.replace(settings.kafka, topic_prefix=prefix)
    )
    await ensure_topics(own)
    return own


@pytest.fixture
async def runtime(caught_up, world):
    absent: Any = None
    services, settings = world.services, caught_up
    return Runtime(
        settings, EnvironmentClocks(world.clock), services.clickhouse, absent, services.storage,
        await connect_temporal(settings.temporal),
    )  # fmt: skip


@pytest.fixture
def ask_of_world(graph, world, runtime):
    """`await ask(query, variables)`: the data of the answer, of the environment of `world`."""

    async def run(
        text, variables=None, *, permissions=PERMISSIONS, scope=None, refused=False, queue=None
    ):
        who, reached = caller_in(scope or world.scope, permissions), runtime
        if queue is not None:
            temporal = msgspec.structs.replace(runtime.settings.temporal, task_queue=queue)
            own = msgspec.structs.replace(runtime.settings, temporal=temporal)
            reached = replace(runtime, settings=own)
        answer = await graph.run(Context(who, reached, new_id("req")), text, variables)
        assert refused or "errors" not in answer, answer
        return answer if refused else answer["data"]

    return run
