import re
from pathlib import Path

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
