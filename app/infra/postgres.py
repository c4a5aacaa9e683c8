"""PostgreSQL: opens the pool, and hands out connections that see one scope only.

Row-level security reads the transaction-local settings made here, so a query outside
`reading`, `writing` or `system` sees nothing. Nested use joins the transaction around it.
"""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Any, cast
from urllib.parse import parse_qs, unquote, urlsplit

import asyncpg
from tortoise import Tortoise, connections
from tortoise.backends.base.client import TransactionalDBClient, TransactionContextPooled
from tortoise.context import TortoiseContext
from tortoise.exceptions import DBConnectionError
from tortoise.transactions import in_transaction

from app.config import Postgres
from app.kernel.errors import Invalid, Unavailable
from app.kernel.scope import Scope

MODELS = [
    "app.infra.outbox.models",
    "app.infra.due.models",
    "app.infra.idempotency.models",
    "app.tenants.models",
    "app.clocks.models",
    "app.customers.models",
    "app.metering.models",
    "app.catalog.models",
    "app.subscriptions.models",
    "app.invoicing.models",
    "app.invoicing.credit_models",
    "app.invoicing.terms.models",
    "app.invoicing.applied.models",
    "app.invoicing.correction_models",
]

# The settings that row-level security reads, as (tenant, environment, system).
_Sight = tuple[str, str, str]
_in_force: ContextVar[_Sight | None] = ContextVar("sight_in_force", default=None)
# What a server that is away, or goes away, looks like. InternalClientError: asyncpg was asked to
# use a connection whose end it had not noticed yet. OSError includes time-outs.
_AWAY = (
    OSError,
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.OperatorInterventionError,
    asyncpg.TooManyConnectionsError,
    DBConnectionError,
)
_ABOVE_THE_WALLS = "SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user"
# What the server says of U+0000: in a text, and escaped in JSON.
_NO_TEXT = (asyncpg.CharacterNotInRepertoireError, asyncpg.UntranslatableCharacterError)
_SAFE = re.compile(r"[A-Za-z0-9_]*")


def tortoise_config(settings: Postgres, *, owner: bool = False) -> dict[str, Any]:
    """Tortoise's configuration for the application's role, or for the owner of the tables."""
    url = urlsplit(settings.owner_url or settings.url if owner else settings.url)
    query = {key: values[0] for key, values in parse_qs(url.query).items()}
    credentials: dict[str, Any] = {
        # A Unix socket's directory comes as ?host=…, the way libpq spells it.
        "host": query.get("host") or url.hostname or "localhost",
        "port": url.port or int(query.get("port", "5432")),
        "user": unquote(url.username or "postgres"),
        "password": unquote(url.password or "") or None,
        "database": url.path.lstrip("/") or "tariff",
        "minsize": 1 if owner else settings.pool_min,
        "maxsize": 2 if owner else settings.pool_max,
        "application_name": "tariff",
        "command_timeout": None if owner else settings.statement_seconds,
        "reset": _reset,
    }
    if "sslmode" in query:
        credentials["ssl"] = query["sslmode"]
    return {
        "connections": {
            "default": {"engine": "tortoise.backends.asyncpg", "credentials": credentials}
        },
        "apps": {"tariff": {"models": MODELS, "migrations": "migrations.postgres"}},
        "use_tz": True,
        "timezone": "UTC",
    }


@asynccontextmanager
async def postgres(settings: Postgres, *, owner: bool = False) -> AsyncIterator[None]:
    """Open the pool for as long as the block lasts. Raises: Unavailable."""
    # A context of its own, so that a pool opened inside another's block leaves that one alone.
    async with TortoiseContext():
        await Tortoise.init(config=tortoise_config(settings, owner=owner))
        if not owner:
            await _require_walls()
        yield


async def _require_walls() -> None:
    """Refuse a role that row-level security does not hold for. Raises: Unavailable."""
    async with _answering(), connections.get("default").acquire_connection() as connection:
        over = await connection.fetchval(_ABOVE_THE_WALLS)
    if over:
        raise Unavailable(
            "PostgreSQL",
            "the role of postgres.url is a superuser or bypasses row-level security, so tenants "
            "would not be walled off; use a plain role, and postgres.owner_url for migrations",
        )


@asynccontextmanager
async def writing(scope: Scope) -> AsyncIterator[asyncpg.Connection]:
    """A transaction that sees and writes `scope` alone; Tortoise's models join it.

    Nested in another, it becomes a savepoint. Never call a network from inside.
    """
    async with _transaction((scope.tenant_id, scope.environment_id, "")) as connection:
        yield connection


@asynccontextmanager
async def system() -> AsyncIterator[asyncpg.Connection]:
    """A transaction that sees every tenant: the one cross-tenant door.

    For what has no scope yet (finding the tenant of a key) or serves all of them (relaying
    the outbox, finding due work), and for system keys, whose every use is audited.
    """
    async with _transaction(("", "", "on")) as connection:
        yield connection


@asynccontextmanager
async def reading(scope: Scope) -> AsyncIterator[asyncpg.Connection]:
    """A read-only look at `scope`, for queries in SQL; joins a transaction that is open.

    Costs one round trip more than the queries, and one to end.
    """
    sight = (scope.tenant_id, scope.environment_id, "")
    client = connections.get("default")
    async with _answering(), client.acquire_connection() as connection:
        if isinstance(client, TransactionalDBClient):
            async with _seeing(connection, sight):
                yield connection
            return
        await connection.execute(f"BEGIN READ ONLY; {_sight_sql(sight)}")
        try:
            yield connection
        finally:
            await connection.execute("ROLLBACK")


async def fetch(scope: Scope, sql: str, *args: Any) -> list[asyncpg.Record]:
    """The rows of one query in `scope`: half the round trips of opening `reading` yourself."""
    async with reading(scope) as connection:
        rows: list[asyncpg.Record] = await connection.fetch(sql, *args)
        return rows


async def _reset(connection: asyncpg.Connection) -> None:
    # asyncpg's own reset costs a round trip each time; all our settings end with the
    # transaction, so it is needed only where a cancellation left one open.
    if connection.is_in_transaction():
        await connection.reset()


@asynccontextmanager
async def _transaction(sight: _Sight) -> AsyncIterator[asyncpg.Connection]:
    async with _answering(), _undone_in_full() as client:
        connection: asyncpg.Connection = client._connection
        async with _seeing(connection, sight):
            yield connection


@asynccontextmanager
async def _undone_in_full() -> AsyncIterator[TransactionalDBClient]:
    """Tortoise's transaction, over when the block is over even where the server went away.

    Where BEGIN fails, Tortoise neither gives the connection back to the pool nor takes its
    client out of force; where giving it back fails, not the latter. Whatever the task did next
    would then join a transaction that is gone.
    """
    before = connections.get("default")
    transaction = in_transaction()
    try:
        async with transaction as client:
            yield client
    finally:
        if connections.get("default") is not before:
            pooled = cast("TransactionContextPooled", transaction)
            connections.reset(pooled.token)
            await before._pool.release(pooled.client._connection)


@asynccontextmanager
async def _answering() -> AsyncIterator[None]:
    """Tell a server that is away, or goes away, from one that refuses a statement.

    Raises: Unavailable; Invalid (INVALID_TEXT) for a text that no table can hold.
    """
    try:
        yield
    except _NO_TEXT as error:
        raise Invalid("a text must not hold U+0000", code="INVALID_TEXT") from error
    except _AWAY as error:
        raise Unavailable("PostgreSQL", str(error) or type(error).__name__) from error
    except asyncpg.InterfaceError as error:
        # The same class tells wrong use, which is a bug of ours and stays one.
        if "clos" not in str(error):
            raise
        raise Unavailable("PostgreSQL", str(error)) from error


@asynccontextmanager
async def _seeing(connection: asyncpg.Connection, sight: _Sight) -> AsyncIterator[None]:
    """Put `sight` in force on a connection in a transaction, and back what was before."""
    before = _in_force.get()
    if before == sight:
        yield
        return
    token = _in_force.set(sight)
    await connection.execute(_sight_sql(sight))
    try:
        yield
        if before is not None:  # after an error the savepoint's rollback restores it
            await connection.execute(_sight_sql(before))
    finally:
        _in_force.reset(token)


def _sight_sql(sight: _Sight) -> str:
    # One simple statement instead of three prepared ones; the values are ids of ours.
    tenant, environment, system_on = sight
    if not all(_SAFE.fullmatch(value) for value in sight):
        raise ValueError(f"not an id: {sight!r}")
    return (
        f"SELECT set_config('tariff.tenant_id', '{tenant}', true), "
        f"set_config('tariff.environment_id', '{environment}', true), "
        f"set_config('tariff.system', '{system_on}', true)"
    )
