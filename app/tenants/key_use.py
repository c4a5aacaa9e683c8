"""When keys were last used: noted in memory, written at most once a minute per key."""

import asyncio
from datetime import datetime, timedelta

import asyncpg
import structlog
from tortoise.exceptions import BaseORMException

from app.infra.postgres import system
from app.kernel.errors import Unavailable

log = structlog.get_logger(__name__)

# What a server that is away, or goes away, looks like. InternalClientError: asyncpg is asked to
# use a connection whose end it has not noticed yet.
DATABASE_ERRORS = (
    OSError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    BaseORMException,
    Unavailable,
)
COARSENESS = timedelta(minutes=1)
_WRITE = (
    "UPDATE api_keys SET last_used_at = greatest(last_used_at, used.at) "
    "FROM (SELECT * FROM unnest($1::text[], $2::timestamptz[]) AS u(id, at)) AS used "
    "WHERE api_keys.id = ANY($1) AND api_keys.id = used.id"
)


class KeyUse:
    """Notes uses and writes them in the background; `flush` before the process ends."""

    def __init__(self) -> None:
        self._pending: dict[str, datetime] = {}
        self._written: dict[str, datetime] = {}

    def note(self, key_id: str, at: datetime, *, last_written: datetime | None) -> None:
        """`last_written` is what the table said; a use soon after it is not worth a write."""
        written = self._written.get(key_id, last_written)
        if written is None or at - written >= COARSENESS:
            self._pending[key_id] = at

    async def flush(self) -> None:
        """Write what is pending. What cannot be written stays pending, and is logged."""
        pending, self._pending = self._pending, {}
        if not pending:
            return
        ids = sorted(pending)  # rows are locked in one order by all processes
        try:
            async with asyncio.timeout(5), system() as connection:
                await connection.execute(_WRITE, ids, [pending[key_id] for key_id in ids])
        except asyncio.CancelledError:
            self._pending = {**pending, **self._pending}
            raise
        except DATABASE_ERRORS as error:
            self._pending = {**pending, **self._pending}
            log.warning("key_use_not_written", keys=len(ids), error=str(error))
            return
        # What is older than this no longer holds a write back.
        oldest = max(pending.values()) - COARSENESS
        recent = {key_id: at for key_id, at in self._written.items() if at > oldest}
        self._written = {**recent, **pending}

    async def keep_flushing(self, *, every_seconds: float) -> None:
        while True:
            await asyncio.sleep(every_seconds)
            await self.flush()
