"""The servers every test shares, and what is fresh for each test.

A session starts the embedded stack in a temporary directory, or uses the servers that
TARIFF_POSTGRES_URL and its like name. Either way it works in a database, a topic prefix and a
bucket of its own, and drops them at the end. Tests keep apart by fresh scopes, not by rollback.
"""

import asyncio
import os
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import msgspec
import pytest
import pytest_asyncio
from temporalio.service import RPCError

from app.config import Settings, addresses, load
from app.embedded.stack import running_stack
from app.infra.clickhouse import ClickHouse, open_clickhouse
from app.infra.kafka import consumer
from app.infra.migrations import migrate
from app.infra.postgres import postgres
from app.infra.s3 import open_storage
from app.infra.temporal import connect_temporal
from app.kernel.clock import FixedClock
from app.kernel.ids import new_id
from app.kernel.scope import Scope
from app.runs.schedules import schedule_id
from tests.processes import Processes, data_directory, nothing_left

NOW = datetime(2024, 6, 15, 12, 0, tzinfo=UTC)


def session_fixture(function):
    return pytest_asyncio.fixture(scope="session", loop_scope="session")(function)


@pytest_asyncio.fixture(scope="session", loop_scope="session", autouse=True)
async def groups_left() -> AsyncIterator[None]:
    """Consumers that were told to stop while their group formed leave it in their own time."""
    yield
    if consumer._LEAVING:
        await asyncio.wait(consumer._LEAVING, timeout=30)


@session_fixture
async def servers() -> AsyncIterator[Settings]:
    """Where PostgreSQL, ClickHouse, Kafka, Temporal and S3 are; started if need be."""
    environ = {k: v for k, v in os.environ.items() if k.startswith("TARIFF_")}
    configured = load({"TARIFF_DEPLOYMENT_MODE": "local", **environ}, path=_no_file())
    if all(addresses(configured).values()):
        yield configured
        return
    with data_directory() as directory:
        async with running_stack(configured, directory) as stack:
            yield stack.settings


@session_fixture
async def settings(servers: Settings) -> AsyncIterator[Settings]:
    """The servers, and on them a database, a topic prefix and a bucket of this session's own."""
    name = f"tariff_test_{secrets.token_hex(4)}"
    async with AsyncExitStack() as cleanup:
        own = await cleanup.enter_async_context(_own_databases(servers, name))
        await migrate(own)
        await cleanup.enter_async_context(_own_bucket(own))
        await cleanup.enter_async_context(_own_task_queue(own))
        yield own


@session_fixture
async def database(settings: Settings) -> AsyncIterator[Settings]:
    """The pool of the application's role, open on a migrated database."""
    async with postgres(settings.postgres):
        yield settings


@pytest_asyncio.fixture
async def fresh_database(servers: Settings) -> AsyncIterator[Settings]:
    """Databases that no migration has run in; for tests of the migrations themselves."""
    async with _own_databases(servers, f"tariff_test_{secrets.token_hex(4)}") as own:
        yield own


@session_fixture
async def clickhouse(settings: Settings) -> AsyncIterator[ClickHouse]:
    """A client of the session's migrated ClickHouse database."""
    async with open_clickhouse(settings.clickhouse) as client:
        yield client


@pytest.fixture
def scope() -> Scope:
    """A tenant and an environment that nobody else has. No rows stand behind their ids."""
    return Scope(new_id("ten"), new_id("env"))


@pytest.fixture
def clock() -> FixedClock:
    """Stands at noon of 15 June 2024 (UTC) until the test moves it."""
    return FixedClock(NOW)


@pytest_asyncio.fixture
async def processes(settings: Settings, tmp_path: Path) -> AsyncIterator[Processes]:
    """Starts our own modes as processes; what still runs at the end is killed.

    `api = await processes.start_mode("api")`; see `tests.processes.Mode` for what it offers.
    """
    await nothing_left(settings)
    started = Processes(settings, tmp_path)
    try:
        yield started
    finally:
        await started.close()


@asynccontextmanager
async def _own_databases(servers: Settings, name: str) -> AsyncIterator[Settings]:
    owner_url = servers.postgres.owner_url or servers.postgres.url
    maintenance = await asyncpg.connect(owner_url)
    own = _renamed(servers, name)
    try:
        await maintenance.execute(f'CREATE DATABASE "{name}"')
        yield own
    finally:
        await maintenance.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        await maintenance.close()
        async with open_clickhouse(own.clickhouse, database="default") as server:
            await server.execute("DROP DATABASE IF EXISTS {name:Identifier} SYNC", {"name": name})


def _renamed(servers: Settings, name: str) -> Settings:
    replace = msgspec.structs.replace
    owner_url = servers.postgres.owner_url or servers.postgres.url
    return replace(
        servers,
        postgres=replace(
            servers.postgres,
            url=_with_database(servers.postgres.url, name),
            owner_url=_with_database(owner_url, name),
        ),
        clickhouse=replace(servers.clickhouse, database=name),
        kafka=replace(servers.kafka, topic_prefix=f"{name}."),
        s3=replace(servers.s3, bucket=name.replace("_", "-")),
        # Else the workers of another session, with other databases, would take our work.
        temporal=replace(servers.temporal, task_queue=name),
    )


def _with_database(url: str, name: str) -> str:
    return urlsplit(url)._replace(path=f"/{name}").geturl()


@asynccontextmanager
async def _own_bucket(own: Settings) -> AsyncIterator[None]:
    try:
        yield
    finally:
        async with open_storage(own.s3) as storage:
            pages = storage.client.get_paginator("list_objects_v2").paginate(Bucket=own.s3.bucket)
            async for page in pages:
                for found in page.get("Contents", []):
                    await storage.delete(found["Key"])
            await storage.client.delete_bucket(Bucket=own.s3.bucket)


@asynccontextmanager
async def _own_task_queue(own: Settings) -> AsyncIterator[None]:
    """At the end the schedule of the session goes, and what it has started and nobody took."""
    try:
        yield
    finally:
        client = await connect_temporal(own.temporal)
        with suppress(RPCError):  # most sessions start no worker, which is what makes it
            await client.get_schedule_handle(schedule_id(own)).delete()
        queue = own.temporal.task_queue
        left = f'TaskQueue = "{queue}" AND ExecutionStatus = "Running"'
        async for workflow in client.list_workflows(left):
            with suppress(RPCError):  # it may have ended meanwhile
                await client.get_workflow_handle(workflow.id).terminate()


def _no_file() -> Path | None:
    # Tests do not read the developer's config.yaml, unless TARIFF_CONFIG says so.
    named = os.environ.get("TARIFF_CONFIG")
    return Path(named) if named else Path(os.devnull)
