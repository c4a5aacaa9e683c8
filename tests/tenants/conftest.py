from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from app.infra.postgres import system
from app.kernel.errors import Unavailable

_CUT = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
    "WHERE datname = current_database() AND usename = current_user "
    "ORDER BY pid = pg_backend_pid()"
)


@pytest.fixture
def outage(database, settings):
    """For the length of a block PostgreSQL takes no connections, and those that were open are
    cut."""
    owner_url = urlsplit(settings.postgres.owner_url)
    name = owner_url.path.lstrip("/")

    @asynccontextmanager
    async def away():
        owner = await asyncpg.connect(urlunsplit(owner_url._replace(path="/postgres")))
        await owner.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
        try:
            with suppress(Unavailable, asyncpg.PostgresError):
                async with system() as connection:
                    await connection.fetch(_CUT)
            yield
        finally:
            await owner.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')
            await owner.close()

    return away
