"""`tariff migrate`: the schemas of PostgreSQL and ClickHouse, and the Kafka topics.

Going forward is safe to repeat, and two at a time wait for each other. Going back drops what
the migration made, so it asks first and takes one migration of one server at a time.
"""

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

import asyncpg
from rich.console import Console
from tortoise.exceptions import BaseORMException

from app.cli.settings import command_settings
from app.config import ConfigError, Settings, load
from app.infra import clickhouse_migrations, migrations
from app.infra.clickhouse import ClickHouseError, open_clickhouse
from app.infra.kafka import ensure_topics
from app.infra.migration_files import postgres_migrations
from app.kernel.errors import Unavailable

SERVERS: Final = ("postgres", "clickhouse", "kafka")
# Any constant of ours; it only has to differ from other advisory locks of the product.
_LOCK: Final = 7_061_982
_UNKNOWN_DATABASE: Final = 81  # ClickHouse's number; `up` makes the database


def run(arguments: argparse.Namespace) -> int:
    """Do what `arguments.direction` says. 1: `check` found something that has not run."""
    settings = _settings(arguments)
    servers = (arguments.only,) if arguments.only else SERVERS
    needed = {"postgres": settings.postgres.url, "clickhouse": settings.clickhouse.url}
    missing = [f"TARIFF_{name.upper()}_URL" for name in servers if needed.get(name) == ""]
    if missing:
        raise ConfigError(
            f"nothing to migrate: set {' and '.join(missing)}, or name the data directory of a "
            "`tariff local` that runs with --data-dir (it migrates its own when it starts)."
        )
    match arguments.direction:
        case "up":
            return asyncio.run(_up(settings, servers))
        case "down":
            return _down(settings, arguments.only, confirmed=arguments.yes)
        case "status":
            return asyncio.run(_status(settings, servers, strict=False))
        case _:
            return asyncio.run(_status(settings, servers, strict=True))


def _settings(arguments: argparse.Namespace) -> Settings:
    # Going back loses data: never that of a stack which was merely found.
    if arguments.direction == "down" and arguments.data_dir is None:
        return load(path=arguments.config)
    return command_settings(arguments)


async def _up(settings: Settings, servers: Sequence[str]) -> int:
    async with _alone(settings):
        ran: list[str] = []
        if "postgres" in servers:
            ran += await migrations.migrate_postgres(settings)
        if "clickhouse" in servers:
            ran += await clickhouse_migrations.migrate_clickhouse(settings)
    if "kafka" in servers:
        if not settings.kafka.brokers:
            raise ConfigError("kafka.brokers is empty; set TARIFF_KAFKA_BROKERS")
        await ensure_topics(settings)
    for name in ran:
        sys.stdout.write(f"ran {name}\n")
    sys.stdout.write(f"{', '.join(servers)}: up to date\n")
    return 0


def _down(settings: Settings, server: str | None, *, confirmed: bool) -> int:
    if server not in ("postgres", "clickhouse"):
        raise ConfigError("say which server goes back: --only postgres, or --only clickhouse")
    if not confirmed and not _agreed(server):
        raise ConfigError("nothing was taken back; repeat with --yes to do it")
    ran = asyncio.run(_back(settings, server))
    sys.stdout.write(f"took back {', '.join(ran) or 'nothing: no migration has run'}\n")
    return 0


def _agreed(server: str) -> bool:
    if not sys.stdin.isatty():
        return False
    sys.stderr.write(f"Take back the newest migration of {server}? Its data is lost. [y/N] ")
    return sys.stdin.readline().strip().lower() in ("y", "yes")


async def _back(settings: Settings, server: str) -> list[str]:
    async with _alone(settings):
        ran = sorted(_known(server) - set(await _pending(settings, server)))
        if not ran:
            return []
        before = ran[-2] if len(ran) > 1 else None
        if server == "postgres":
            return await migrations.migrate_postgres(settings, target=before or "__first__")
        target = int(before[:4]) if before else 0
        return await clickhouse_migrations.migrate_clickhouse(settings, target)


async def _status(settings: Settings, servers: Sequence[str], *, strict: bool) -> int:
    console, behind = Console(), False
    async with _reachable():
        for server in servers:
            if server == "kafka":
                continue  # topics have no versions: `up` makes those that are missing
            pending = set(await _pending(settings, server))
            behind |= bool(pending)
            for name in sorted(_known(server) | pending):
                told = "[yellow]not run yet[/]" if name in pending else "[green]has run[/]"
                console.print(f"{server}  {name}  {told}", highlight=False)
    return 1 if strict and behind else 0


async def _pending(settings: Settings, server: str) -> list[str]:
    if server == "postgres":
        return await migrations.pending(settings)
    try:
        async with open_clickhouse(settings.clickhouse) as clickhouse:
            return await clickhouse_migrations.pending(clickhouse)
    except ClickHouseError as error:
        if error.number != _UNKNOWN_DATABASE:
            raise
        return sorted(_known(server))


def _known(server: str) -> set[str]:
    if server == "postgres":
        return postgres_migrations()
    found = clickhouse_migrations.read_migrations()
    return {migration.name for migration in found.values()}


@asynccontextmanager
async def _alone(settings: Settings) -> AsyncIterator[None]:
    """One `tariff migrate` at a time: the next waits until this one is done."""
    async with _reachable():
        url = settings.postgres.owner_url or settings.postgres.url
        connection = await asyncpg.connect(url, timeout=10)
        try:
            await connection.execute("SELECT pg_advisory_lock($1)", _LOCK)
            yield
        finally:
            await connection.close()


@asynccontextmanager
async def _reachable() -> AsyncIterator[None]:
    """Say of PostgreSQL's own errors whose they are. Raises: Unavailable."""
    try:
        yield
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, BaseORMException) as error:
        raise Unavailable("PostgreSQL", str(error) or type(error).__name__) from error
