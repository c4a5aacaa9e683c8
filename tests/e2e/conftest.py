"""What every end-to-end test stands on: topics, the command line, and a key."""

from collections.abc import Awaitable, Callable

import pytest_asyncio

from app.cli import keys
from app.config import Settings
from app.infra.kafka import ensure_topics
from app.kernel.clock import SystemClock

Issue = Callable[..., Awaitable[str]]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def topics(settings: Settings) -> Settings:
    """The session's settings, its topics made."""
    await ensure_topics(settings)
    return settings


@pytest_asyncio.fixture
async def issue(database: Settings) -> Issue:
    """`await issue("Acme", "event:write")`: a key of the tenant, which is made if need be.

    Without permissions named it may do everything.
    """

    async def run(tenant: str, *permissions: str, environment: str = "Production") -> str:
        return await keys.create(
            SystemClock(), tenant=tenant, environment=environment, scopes=permissions
        )

    return run
