"""Versions of the ClickHouse schema: `migrations/clickhouse/NNNN_name.sql`, forward and back.

What ran is a log in the database that is only ever added to, with the checksum of each file.
DDL has no transaction here, so every statement of a file must bear being run twice; a run that
broke off starts its file again. Runs must not overlap (`tariff migrate` holds a lock).
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable

import structlog
from msgspec import Struct

from app.config import Settings
from app.infra.clickhouse import ClickHouse, open_clickhouse

log = structlog.get_logger(__name__)

_FILE = re.compile(r"(\d{4})_([a-z0-9_]+?)(\.down)?\.sql")
_STATEMENTS = re.compile(r";\s*(?:\n|$)")
_LOG = (
    "CREATE TABLE IF NOT EXISTS schema_migrations (version UInt32, name String, "
    "checksum String, direction Enum8('forward' = 1, 'back' = 2), "
    "at DateTime64(6, 'UTC') DEFAULT now64(6)) ENGINE = MergeTree ORDER BY (version, at)"
)
_APPLIED = (
    "SELECT version, argMax(name, at), argMax(checksum, at) FROM schema_migrations "
    "GROUP BY version HAVING argMax(direction, at) = 'forward' ORDER BY version"
)
_NOTE = (
    "INSERT INTO schema_migrations (version, name, checksum, direction) "
    "SELECT {version:UInt32}, {name:String}, {checksum:String}, {direction:String}"
)
# Copying a table takes as long as the table is large.
_SECONDS = 3600.0


class MigrationError(Exception):
    """The files and the database do not fit each other; says what to do."""


@dataclass(frozen=True, slots=True)
class Migration:
    version: int
    name: str
    forward: str
    back: str

    @property
    def checksum(self) -> str:
        """SHA-256 of both directions."""
        return hashlib.sha256(f"{self.forward}\0{self.back}".encode()).hexdigest()


class Applied(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    version: int
    name: str
    checksum: str


async def migrate_clickhouse(settings: Settings, target: int | None = None) -> list[str]:
    """Make the database where it is missing and bring it to `target` (None: the newest).

    Answers the names of the migrations that ran, in order.
    Raises: MigrationError, Unavailable, ClickHouseError.
    """
    name = settings.clickhouse.database
    async with open_clickhouse(settings.clickhouse, database="default") as server:
        await server.execute("CREATE DATABASE IF NOT EXISTS {name:Identifier}", {"name": name})
    async with open_clickhouse(settings.clickhouse) as clickhouse:
        return await migrate(clickhouse, target=target)


async def migrate(
    clickhouse: ClickHouse,
    *,
    target: int | None = None,
    migrations: Mapping[int, Migration] | None = None,
) -> list[str]:
    """Bring an existing database forward or back to `target` (None: the newest, 0: empty).

    Raises: MigrationError (a file that ran has changed or is gone, or no such target).
    """
    known = read_migrations() if migrations is None else migrations
    goal = max(known, default=0) if target is None else target
    if goal != 0 and goal not in known:
        raise MigrationError(f"there is no migration {goal:04}; the newest is {max(known):04}")
    await clickhouse.execute(_LOG)
    ran = {row.version: row for row in await clickhouse.select(_APPLIED, row=Applied)}
    _refuse_changed(ran, known)
    names = [
        await _run(clickhouse, known[version], "back")
        for version in sorted(ran, reverse=True)
        if version > goal
    ]
    names += [
        await _run(clickhouse, known[version], "forward")
        for version in sorted(known)
        if version <= goal and version not in ran
    ]
    return names


async def pending(clickhouse: ClickHouse) -> list[str]:
    """The names of the migrations that have not run yet."""
    await clickhouse.execute(_LOG)
    ran = {row.version for row in await clickhouse.select(_APPLIED, row=Applied)}
    return [m.name for version, m in sorted(read_migrations().items()) if version not in ran]


def read_migrations(folder: Traversable | None = None) -> dict[int, Migration]:
    """The files, by version. Raises: MigrationError (a number twice, or no way back)."""
    folder = resources.files("migrations") / "clickhouse" if folder is None else folder
    texts: dict[int, dict[bool, tuple[str, str]]] = {}
    for path in folder.iterdir():
        if not (match := _FILE.fullmatch(path.name)):
            continue
        directions = texts.setdefault(int(match[1]), {})
        if bool(match[3]) in directions:
            raise MigrationError(f"{path.name}: the number {match[1]} is taken")
        directions[bool(match[3])] = (f"{match[1]}_{match[2]}", path.read_text())
    found = {}
    for version, directions in texts.items():
        if len(directions) != 2 or directions[False][0] != directions[True][0]:
            raise MigrationError(
                f"migration {version:04} needs NNNN_name.sql and NNNN_name.down.sql"
            )
        (name, forward), (_, back) = directions[False], directions[True]
        found[version] = Migration(version, name, forward, back)
    return found


def statements(text: str) -> list[str]:
    """The statements of a file: each ends with a semicolon at the end of a line."""
    without_comments = "\n".join(
        line for line in text.splitlines() if not line.lstrip().startswith("--")
    )
    return [part.strip() for part in _STATEMENTS.split(without_comments) if part.strip()]


async def _run(clickhouse: ClickHouse, migration: Migration, direction: str) -> str:
    text = migration.forward if direction == "forward" else migration.back
    for statement in statements(text):
        await clickhouse.execute(statement, seconds=_SECONDS)
    await clickhouse.execute(
        _NOTE,
        {
            "version": migration.version,
            "name": migration.name,
            "checksum": migration.checksum,
            "direction": direction,
        },
    )
    log.info("clickhouse_migrated", migration=migration.name, direction=direction)
    return migration.name


def _refuse_changed(ran: Mapping[int, Applied], known: Mapping[int, Migration]) -> None:
    for version, row in ran.items():
        if version not in known:
            raise MigrationError(
                f"the database has migration {row.name}, which this program does not know: "
                "it is older than the database; run the newer one"
            )
        if known[version].checksum != row.checksum:
            raise MigrationError(
                f"migration {row.name} has changed since it ran: restore the file and put the "
                "change into a migration of its own"
            )
