"""Brings the schemas of PostgreSQL and ClickHouse to the newest version, or back.

PostgreSQL's versions are Tortoise migrations in migrations/postgres, run as the role that owns
the tables; the application's role then gets exactly the rights it needs. `drift` tells whether
the models say more than the migrations, and `make` writes the migration that is missing.
"""

import asyncio
import re
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

from tortoise import Tortoise, connections
from tortoise.migrations.autodetector import MigrationAutodetector
from tortoise.migrations.executor import MigrationExecutor, MigrationTarget

from app.config import Settings
from app.infra.clickhouse_migrations import migrate_clickhouse
from app.infra.postgres import tortoise_config
from app.infra.tables import row_level_security

T = TypeVar("T")

# Rows of these tables are only ever added.
APPEND_ONLY = ("audit_entries",)


async def migrate(settings: Settings, *, target: str = "__latest__") -> list[str]:
    """Bring both databases to the newest version; the names of the migrations that ran."""
    ran = await migrate_postgres(settings, target=target)
    return [*ran, *await migrate_clickhouse(settings)]


async def migrate_postgres(settings: Settings, *, target: str = "__latest__") -> list[str]:
    """Bring PostgreSQL to `target`: a migration's name, `__latest__`, or `__first__` (nothing).

    Two at a time wait for each other. Raises what the database says.
    """
    return await _apart(_migrate(settings, target))


async def pending(settings: Settings) -> list[str]:
    """The migrations of PostgreSQL that have not run yet."""
    return await _apart(_pending(settings))


async def drift(settings: Settings) -> list[str]:
    """What the models say and no migration does; empty when they agree."""
    return await _apart(_drift(settings))


async def make(settings: Settings) -> list[str]:
    """Write the migration that brings the schema to the models; the files written."""
    return await _apart(_make(settings))


async def _migrate(settings: Settings, target: str) -> list[str]:
    config = await _open(settings)
    connection = connections.get("default")
    try:
        # Held until the connection closes. Any constant of ours would do.
        await connection.execute_query("SELECT pg_advisory_lock(7061980)")
        executor = MigrationExecutor(connection, config["apps"])
        targets = [MigrationTarget(app_label="tariff", name=target)]
        plan = await executor.plan(targets)
        await executor.migrate(targets)
        await connection.execute_script(";\n".join(_grants(settings)))
        return [step.migration.name for step in plan]
    finally:
        await Tortoise.close_connections()


async def _pending(settings: Settings) -> list[str]:
    config = await _open(settings)
    try:
        executor = MigrationExecutor(connections.get("default"), config["apps"])
        plan = await executor.plan([MigrationTarget(app_label="tariff", name="__latest__")])
        return [step.migration.name for step in plan]
    finally:
        await Tortoise.close_connections()


async def _drift(settings: Settings) -> list[str]:
    config = await _open(settings)
    try:
        apps = Tortoise.apps
        if apps is None:
            raise RuntimeError("Tortoise knows no models")
        writers = await MigrationAutodetector(apps, config["apps"]).changes()
        return [writer.as_string() for writer in writers]
    finally:
        await Tortoise.close_connections()


async def _make(settings: Settings) -> list[str]:
    config = await _open(settings)
    try:
        apps = Tortoise.apps
        if apps is None:
            raise RuntimeError("Tortoise knows no models")
        written = await MigrationAutodetector(apps, config["apps"]).write()
        models = {m.__name__: m for m in apps["tariff"].values()}
        for name in written:
            _add_walls(Path(name), models)
        return written
    finally:
        await Tortoise.close_connections()


async def _open(settings: Settings) -> dict[str, Any]:
    config = tortoise_config(settings.postgres, owner=True)
    await Tortoise.init(config=config)
    return config


async def _apart(work: Coroutine[Any, Any, T]) -> T:
    """Run in a task of its own, so that the caller's open pool stays the caller's."""
    return await asyncio.create_task(work)


def _add_walls(path: Path, models: dict[str, Any]) -> None:
    """Append row-level security for every table that the new migration creates."""
    text = path.read_text()
    created = re.findall(r"CreateModel\(\s*name='(\w+)'", text)
    statements = [line for name in created for line in _walls(models[name])]
    if not statements:
        return
    listed = "".join(f"                {statement!r},\n" for statement in statements)
    # Dropping the tables, which is how the migration goes back, drops the policies too.
    operation = (
        "        ops.RunSQL(\n            [\n"
        f"{listed}            ],\n            reverse_sql=ops.RunSQL.noop,\n        ),\n"
    )
    head, bracket, tail = text.rpartition("    ]")
    path.write_text(f"{head}{operation}{bracket}{tail}")


def _walls(model: Any) -> Iterator[str]:
    fields = model._meta.fields_map
    if model._meta.db_table == "tenants":
        yield from row_level_security("tenants", environment=False, key="id")
    elif "tenant_id" in fields:
        yield from row_level_security(model._meta.db_table, environment="environment_id" in fields)


def _grants(settings: Settings) -> Iterator[str]:
    role = unquote(urlsplit(settings.postgres.url).username or "postgres").replace('"', '""')
    yield f'GRANT USAGE ON SCHEMA public TO "{role}"'
    yield f'GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO "{role}"'
    yield f'GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO "{role}"'
    for table in APPEND_ONLY:
        yield (
            f"DO $$ BEGIN IF to_regclass('{table}') IS NOT NULL THEN "
            f'REVOKE UPDATE, DELETE, TRUNCATE ON {table} FROM "{role}"; END IF; END $$'
        )
