import pytest
import pytest_asyncio

from app.infra.s3 import open_storage
from tests.invoicing import world as worlds


@pytest_asyncio.fixture(scope="session")
async def storage(settings):
    async with open_storage(settings.s3) as opened:
        yield opened


@pytest.fixture
async def world(database, clickhouse, storage):
    return await worlds.build(clickhouse, storage)
