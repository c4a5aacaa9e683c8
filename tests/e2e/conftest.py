"""What every end-to-end test stands on: topics, the command line, and a key."""

from collections.abc import Awaitable, Callable

import pytest_asyncio

from app.config import Settings
from app.infra.kafka import ensure_topics
from tests.modes.conftest import Tariff
from tests.processes import Processes

Issue = Callable[..., Awaitable[str]]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def topics(settings: Settings) -> Settings:
    """The session's settings, its topics made."""
    await ensure_topics(settings)
    return settings


@pytest_asyncio.fixture
async def issue(topics: Settings, processes: Processes) -> Issue:
    """`await issue("Acme", "event:write")`: a key of the tenant, by the command line.

    Without permissions it may do everything.
    """
    tariff = Tariff(processes)

    async def run(tenant: str, *permissions: str) -> str:
        scopes = ("--scopes", *permissions) if permissions else ()
        made = await tariff("keys", "create", "--tenant", tenant, *scopes)
        assert made.code == 0, made.stderr
        return made.stdout.splitlines()[-1]

    return run
