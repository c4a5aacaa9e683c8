from pathlib import Path

import msgspec
import pytest
from msgspec import Struct

from app.infra.clickhouse import open_clickhouse
from app.infra.clickhouse_migrations import (
    Migration,
    MigrationError,
    migrate,
    migrate_clickhouse,
    pending,
    read_migrations,
    statements,
)
from app.kernel.copies import replace
from app.kernel.ids import new_id


class Name(Struct, array_like=True, frozen=True):
    name: str


async def tables(client):
    rows = await client.select(
        "SELECT name FROM system.tables WHERE database = {database:String} ORDER BY name",
        {"database": client.database},
        row=Name,
    )
    return [row.name for row in rows]


@pytest.fixture
async def empty(settings):
    """A database of its own that does not exist yet."""
    section = msgspec.structs.replace(settings.clickhouse, database=f"try_{new_id('run').lower()}")
    yield msgspec.structs.replace(settings, clickhouse=section)
    async with open_clickhouse(section, database="default") as server:
        await server.execute(
            "DROP DATABASE IF EXISTS {name:Identifier}", {"name": section.database}
        )


ONE = Migration(
    1,
    "0001_one",
    "CREATE TABLE IF NOT EXISTS a (x Int8) ENGINE = Memory;",
    "DROP TABLE IF EXISTS a;",
)
TWO = Migration(
    2,
    "0002_two",
    "CREATE TABLE IF NOT EXISTS b (x Int8) ENGINE = Memory;",
    "DROP TABLE IF EXISTS b;",
)


async def test_the_product_migrates_forward_back_and_forward_again(empty):
    names = [m.name for _, m in sorted(read_migrations().items())]
    assert await migrate_clickhouse(empty) == names
    async with open_clickhouse(empty.clickhouse) as client:
        expected = {"events", "event_ids", "processed_events", "schema_migrations"}
        assert expected <= set(await tables(client))
        assert await pending(client) == []
    assert await migrate_clickhouse(empty) == []
    assert await migrate_clickhouse(empty, target=0) == names[::-1]
    async with open_clickhouse(empty.clickhouse) as client:
        assert await tables(client) == ["schema_migrations"]
        assert await pending(client) == names
    assert await migrate_clickhouse(empty) == names


@pytest.fixture
async def client(empty):
    await migrate_clickhouse(empty, target=0)
    async with open_clickhouse(empty.clickhouse) as opened:
        yield opened


async def test_a_target_is_reached_from_both_sides(client):
    both = {1: ONE, 2: TWO}
    assert await migrate(client, target=1, migrations=both) == ["0001_one"]
    assert await migrate(client, migrations=both) == ["0002_two"]
    assert await migrate(client, target=1, migrations=both) == ["0002_two"]
    assert await tables(client) == ["a", "schema_migrations"]


async def test_a_file_that_changed_after_it_ran_is_refused(client):
    await migrate(client, migrations={1: ONE})
    changed = replace(ONE, forward=ONE.forward.replace("Int8", "Int16"))
    with pytest.raises(MigrationError, match="0001_one has changed since it ran"):
        await migrate(client, migrations={1: changed, 2: TWO})
    assert await tables(client) == ["a", "schema_migrations"]


async def test_an_older_program_is_refused(client):
    await migrate(client, migrations={1: ONE, 2: TWO})
    with pytest.raises(MigrationError, match="older than the database"):
        await migrate(client, migrations={1: ONE})
    assert await tables(client) == ["a", "b", "schema_migrations"]


async def test_an_unknown_target_is_refused(client):
    with pytest.raises(MigrationError, match="no migration 0009; the newest is 0001"):
        await migrate(client, target=9, migrations={1: ONE})


async def test_a_run_that_broke_off_starts_its_file_again(client):
    broken = replace(ONE, forward=ONE.forward + "\nSELECT * FROM nowhere;")
    with pytest.raises(Exception, match="nowhere"):
        await migrate(client, migrations={1: broken})
    assert await tables(client) == ["a", "schema_migrations"]
    assert await migrate(client, migrations={1: ONE}) == ["0001_one"]


def test_statements_end_at_a_semicolon_at_the_end_of_a_line():
    text = "-- a; comment\nSELECT ';', 1;\n\n  -- more\nSELECT\n  2;\n"
    assert statements(text) == ["SELECT ';', 1", "SELECT\n  2"]


def write(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).write_text("SELECT 1;")
    return folder


def test_a_number_is_used_once(tmp_path):
    with pytest.raises(MigrationError, match="the number 0001 is taken"):
        read_migrations(write(tmp_path, "0001_a.sql", "0001_b.sql"))


@pytest.mark.parametrize("names", [["0001_a.sql"], ["0001_a.sql", "0001_b.down.sql"]])
def test_every_migration_has_a_way_back(tmp_path, names):
    with pytest.raises(MigrationError, match="0001"):
        read_migrations(write(tmp_path, *names))


def test_the_numbers_of_the_product_have_no_gap():
    assert sorted(read_migrations()) == list(range(1, len(read_migrations()) + 1))
