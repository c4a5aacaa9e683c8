"""Brings the schemas of PostgreSQL and ClickHouse to the newest version, or back.

PostgreSQL's versions are Tortoise migrations in migrations/postgres, run as the role that owns
the tables; the application's role then gets exactly the rights it needs. `drift` tells whether
the models say more than the migrations, and `make` writes the migration that is missing.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator
from contextvars import Context
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

from tortoise import Tortoise, connections
from tortoise.migrations.autodetector import MigrationAutodetector
from tortoise.migrations.executor import MigrationExecutor, MigrationTarget
from tortoise.migrations.operations import AddConstraint, CreateModel, Operation
from tortoise.migrations.schema_generator.state_apps import StateApps

from app.config import Settings
from app.infra.clickhouse_migrations import migrate_clickhouse
from app.infra.postgres import tortoise_config
from app.infra.tables import row_level_security

T = TypeVar("T")

# Rows of these tables are only ever added.
APPEND_ONLY = (
    "audit_entries",
    "credit_note_applications",
    "credit_note_lines",
    "invoice_settlements",
)


def _no_queries(_: StateApps) -> None:
    """Our migrations query no models. Tortoise prepares them to, all of them at every operation,
    which is three quarters of the time that an empty database takes.
    """


def _snapshot(self: StateApps, **_: object) -> StateApps:
    """The models as they are now. Tortoise builds every one of them anew at every operation,
    which is nearly all the time that is left; an operation puts another class in the place of one
    that it changes, so those that stand can be shared as long as none refers to another.
    """
    taken = StateApps(dict(self._default_connections), self._connections)
    taken.apps = {label: dict(models) for label, models in self.apps.items()}
    return taken


def _let_go(self: StateApps, app_label: str, model_name: str) -> None:
    """Take a model out of a state, and leave it as it is for the snapshots that share it."""
    self.apps.get(app_label, {}).pop(model_name, None)


StateApps._build_initial_querysets = _no_queries  # type: ignore[assignment]
StateApps.clone = _snapshot  # type: ignore[assignment]
StateApps.unregister_model = _let_go  # type: ignore[method-assign]


async def migrate(settings: Settings) -> list[str]:
    """Bring both databases to the newest version; the names of the migrations that ran.

    Two at a time wait for each other. Raises what the databases say.
    """
    return await _apart(_migrate(settings, "__latest__", then=migrate_clickhouse))


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


async def _migrate(
    settings: Settings,
    target: str,
    *,
    then: Callable[[Settings], Awaitable[list[str]]] | None = None,
) -> list[str]:
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
        ran = [step.migration.name for step in plan]
        return ran if then is None else [*ran, *await then(settings)]
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
        models = {model.__name__: model for model in apps["tariff"].values()}
        written = []
        for writer in await MigrationAutodetector(apps, config["apps"]).changes():
            writer.operations = list(_explicit(writer.operations))
            path = writer.write()
            _add_statements(path, models)
            written.append(str(path))
        return written
    finally:
        await Tortoise.close_connections()


async def _open(settings: Settings) -> dict[str, Any]:
    config = tortoise_config(settings.postgres, owner=True)
    await Tortoise.init(config=config)
    return config


async def _apart(work: Coroutine[Any, Any, T]) -> T:
    """Run in a task of its own, so that the caller's open pool stays the caller's."""
    # An empty context: in a copy, Tortoise would take the caller's connections for its own.
    return await asyncio.create_task(work, context=Context())


def _explicit(operations: Iterable[Operation]) -> Iterator[Operation]:
    """The operations, with the constraints of new tables as operations of their own.

    Tortoise's CreateModel writes the constraints of its options down, and creates none of them.
    """
    for operation in operations:
        yield operation
        if isinstance(operation, CreateModel) and operation.options:
            for constraint in operation.options.pop("constraints", ()):
                yield AddConstraint(operation.name, constraint)


def _add_statements(path: Path, models: dict[str, Any]) -> None:
    """Append row-level security and the guards of every table that the new migration creates."""
    text = path.read_text()
    created = [models[name] for name in re.findall(r"CreateModel\(\s*name='(\w+)'", text)]
    forward = [line for model in created for line in (*_walls(model), *_guards(model))]
    if not forward:
        return
    functions = re.findall(r"CREATE OR REPLACE FUNCTION (\w+)", "\n".join(forward))
    # Dropping a table drops its policies and triggers; what remains is what they called.
    back = [f"DROP FUNCTION IF EXISTS {name} CASCADE" for name in functions]
    operation = (
        "        ops.RunSQL(\n"
        f"            [\n{_listed(forward)}            ],\n"
        f"            reverse_sql=[\n{_listed(back)}            ],\n"
        "        ),\n"
    )
    head, bracket, tail = text.rpartition("    ]")
    path.write_text(f"{head}{operation}{bracket}{tail}")


def _listed(statements: Iterable[str]) -> str:
    return "".join(f"                {statement!r},\n" for statement in statements)


def _guards(model: Any) -> tuple[str, ...]:
    """Statements a model declares in `guards`: triggers that keep its rows as they must be."""
    guards: tuple[str, ...] = getattr(model, "guards", ())
    return guards


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
