"""What every end-to-end test stands on: topics, the command line, and a key."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import msgspec
import pytest_asyncio

from app.cli import keys
from app.config import Settings
from app.infra.kafka import ensure_topics
from app.kernel.clock import SystemClock
from app.kernel.ids import ulid
from tests.processes import Processes, nothing_left

Issue = Callable[..., Awaitable[str]]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def topics(settings: Settings) -> Settings:
    """The session's settings, its topics made."""
    await ensure_topics(settings)
    return settings


@pytest_asyncio.fixture
async def processes(settings: Settings, tmp_path: Path) -> AsyncIterator[Processes]:
    """Services on topics of this test alone: what others have sent is not theirs to read."""
    prefix = f"{settings.kafka.topic_prefix}{ulid().lower()}."
    kafka = msgspec.structs.replace(settings.kafka, topic_prefix=prefix)
    own = msgspec.structs.replace(settings, kafka=kafka)
    await ensure_topics(own)
    await nothing_left(own)
    started = Processes(own, tmp_path)
    try:
        yield started
    finally:
        await started.close()


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
