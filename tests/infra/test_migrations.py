import re
from pathlib import Path

import asyncpg
import pytest
from tortoise import Tortoise

from app.infra.migrations import drift, migrate_postgres, pending
from app.infra.postgres import system

FILES = sorted(
    path.stem
    for path in Path(__file__).parents[2].joinpath("migrations/postgres").glob("[0-9]*.py")
)


async def test_the_migrations_say_all_that_the_models_say(database, settings):
    assert await drift(settings) == []


async def test_the_database_of_the_tests_is_at_the_newest_version(database, settings):
    assert await pending(settings) == []
    assert await migrate_postgres(settings) == []


async def test_migrations_run_back_and_forward(fresh_database):
    assert await migrate_postgres(fresh_database) == FILES
    assert await migrate_postgres(fresh_database, target="__first__") == FILES[::-1]
    assert await pending(fresh_database) == FILES
    assert await migrate_postgres(fresh_database) == FILES


async def test_the_guards_are_those_that_the_models_say(database):
    said = {}
    for model in Tortoise.apps["tariff"].values():
        for guard in getattr(model, "guards", ()):
            if found := re.search(r"FUNCTION (\w+)\(\).*?\$\$(.*)\$\$", guard, re.DOTALL):
                said[found[1]] = found[2].split()
    async with system() as connection:
        rows = await connection.fetch(
            "SELECT proname, prosrc FROM pg_proc WHERE proname = ANY($1)", list(said)
        )
    assert {row["proname"]: row["prosrc"].split() for row in rows} == said


async def test_what_was_issued_before_lines_named_their_subscription_names_it_after(
    fresh_database,
):
    await migrate_postgres(fresh_database, target="0001_initial")
    connection = await asyncpg.connect(fresh_database.postgres.owner_url)
    try:
        whose = {"tenant_id": "tn_1", "environment_id": "env_1"}
        for key, subscription_id in (("a", "sub_1"), ("b", None)):
            invoice = {"id": f"inv_{key}", "status": "draft", "subscription_id": subscription_id}
            await _insert(connection, "invoices", **whose, **invoice)
            line = {"id": f"line_{key}", "invoice_id": invoice["id"]}
            await _insert(connection, "invoice_lines", **whose, **line)
        await connection.execute(
            "UPDATE invoices SET status = 'finalized', finalized_at = now(), number = id"
        )
        assert await migrate_postgres(fresh_database) == FILES[1:]
        filled = "SELECT id, subscription_id FROM invoice_lines ORDER BY id"
        assert [tuple(row) for row in await connection.fetch(filled)] == [
            ("line_a", "sub_1"),
            ("line_b", None),
        ]
        assert await connection.fetchval("SELECT bool_and(subscription_ids = '[]') FROM invoices")
        with pytest.raises(asyncpg.RestrictViolationError):
            await connection.execute("UPDATE invoices SET subscription_ids = '[1]'")
        with pytest.raises(asyncpg.RestrictViolationError):
            await connection.execute("UPDATE invoice_lines SET subscription_id = NULL")
        # A process of the version before knows nothing of it, and its lines are found all the same.
        await _insert(
            connection, "invoices", **whose, id="inv_d", status="draft", subscription_id="sub_2"
        )
        for key, kind in (("d", "usage"), ("e", "manual")):
            await _insert(
                connection, "invoice_lines", **whose, id=f"line_{key}", invoice_id="inv_d",
                kind=kind, position="1" if kind == "usage" else "2",
            )  # fmt: skip
        assert [tuple(row) for row in (await connection.fetch(filled))[2:]] == [
            ("line_d", "sub_2"),
            ("line_e", None),
        ]
        # A version before could not read this one, so the way back ends here.
        whole = {"subscription_id": "sub_1", "consolidated_into_id": "inv_a"}
        await _insert(connection, "invoices", **whose, id="inv_c", status="consolidated", **whole)
        with pytest.raises(asyncpg.RaiseError, match="there are consolidated invoices"):
            await migrate_postgres(fresh_database, target="0001_initial")
        assert await pending(fresh_database) == FILES[2:]
        assert await connection.fetchval(filled.replace("id, ", "", 1)) == "sub_1"
    finally:
        await connection.close()


async def _insert(connection: asyncpg.Connection, table: str, **values: str | None) -> None:
    """A row of a table with what is given; what else is needed is the emptiest of its type."""
    await connection.execute("SELECT set_config('tariff.system', 'on', false)")
    needed = await connection.fetch(
        "SELECT column_name, data_type FROM information_schema.columns WHERE table_name = $1 "
        "AND is_nullable = 'NO' AND column_default IS NULL AND column_name <> ALL($2)",
        table,
        list(values),
    )
    empty = {"numeric": "0", "integer": "0", "bigint": "0", "boolean": "false", "jsonb": "'{}'"}
    empty |= {"character varying": "''", "text": "''"}
    columns = [*values, *(row["column_name"] for row in needed)]
    rest = [empty.get(row["data_type"], "'2026-01-01'") for row in needed]
    texts = ["NULL" if value is None else f"'{value}'" for value in values.values()]
    await connection.execute(
        f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join([*texts, *rest])})"  # noqa: S608
    )


async def test_every_unique_rule_holds_within_one_environment_only(database):
    """A rule across tenants would tell one tenant of another's rows."""
    async with system() as connection:
        rows = await connection.fetch(
            "SELECT tablename, indexdef FROM pg_indexes WHERE schemaname = 'public' "
            "AND indexdef LIKE '%UNIQUE%' AND indexname NOT LIKE '%_pkey'"
        )
        scoped = {
            row["relname"]
            for row in await connection.fetch(
                "SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid "
                "WHERE c.relkind = 'r' AND a.attname = 'environment_id'"
            )
        }
    loose = [
        row["indexdef"]
        for row in rows
        if row["tablename"] in scoped
        and not re.search(r"\((tenant|environment|invoice)_id, ", row["indexdef"])
    ]
    assert loose == []
