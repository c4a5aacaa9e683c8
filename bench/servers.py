"""The servers of a run: those that TARIFF_* variables name, and the embedded ones for the rest."""

import os
import secrets
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
from msgspec.structs import replace

from app.config import Settings, load
from app.embedded.stack import running_stack
from app.infra.clickhouse import open_clickhouse
from app.infra.kafka import ensure_topics
from app.infra.migrations import migrate


@asynccontextmanager
async def servers() -> AsyncIterator[Settings]:
    """Migrated databases, topics and a bucket of the run's own, gone when the block ends."""
    environ = {name: text for name, text in os.environ.items() if name.startswith("TARIFF_")}
    configured = load(
        {"TARIFF_DEPLOYMENT_MODE": "local", "TARIFF_LOGGING_LEVEL": "WARNING", **environ},
        path=Path(os.devnull),
    )
    with tempfile.TemporaryDirectory(prefix="tariff-bench-") as directory:
        async with running_stack(configured, Path(directory)) as stack, _own(stack.settings) as own:
            await migrate(own)
            await ensure_topics(own)
            yield own


@asynccontextmanager
async def _own(shared: Settings) -> AsyncIterator[Settings]:
    name = f"tariff_bench_{secrets.token_hex(4)}"
    owner_url = shared.postgres.owner_url or shared.postgres.url
    owner = await asyncpg.connect(owner_url)
    try:
        await owner.execute(f'CREATE DATABASE "{name}"')
        yield replace(
            shared,
            postgres=replace(
                shared.postgres,
                url=_renamed(shared.postgres.url, name),
                owner_url=_renamed(owner_url, name),
            ),
            clickhouse=replace(shared.clickhouse, database=name),
            kafka=replace(shared.kafka, topic_prefix=f"{name}."),
            s3=replace(shared.s3, bucket=name.replace("_", "-")),
        )
    finally:
        await owner.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        await owner.close()
        async with open_clickhouse(shared.clickhouse, database="default") as server:
            await server.execute("DROP DATABASE IF EXISTS {name:Identifier} SYNC", {"name": name})


def _renamed(url: str, name: str) -> str:
    return urlsplit(url)._replace(path=f"/{name}").geturl()
