import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

import asyncpg

from app.infra.postgres import writing
from app.kernel.errors import Conflict, Invalid
from app.kernel.ids import new_id
from app.kernel.scope import Scope

KEPT = timedelta(hours=24)
MAX_KEY_CHARACTERS = 255
_SWEPT = 20  # expired records that each new one clears away

_LOCK = "SELECT pg_try_advisory_xact_lock(hashtextextended($1, 0))"
_FIND = (
    "SELECT fingerprint, answer, expires_at FROM idempotency_records WHERE tenant_id = $1 "
    "AND environment_id = $2 AND actor_id = $3 AND key = $4"
)
_STORE = (
    "INSERT INTO idempotency_records (id, tenant_id, environment_id, actor_id, key, fingerprint, "
    "answer, created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) "
    "ON CONFLICT (tenant_id, environment_id, actor_id, key) DO UPDATE SET "
    "fingerprint = excluded.fingerprint, answer = excluded.answer, "
    "created_at = excluded.created_at, expires_at = excluded.expires_at"
)
_SWEEP = (
    "DELETE FROM idempotency_records WHERE id IN (SELECT id FROM idempotency_records "
    "WHERE tenant_id = $1 AND environment_id = $2 AND expires_at <= $3 LIMIT $4 "
    "FOR UPDATE SKIP LOCKED)"
)


@dataclass(frozen=True, slots=True)
class Stored:
    """What the same request was answered before; `answer` None where it must not be repeated."""

    answer: bytes | None
    expires_at: datetime


class Claim:
    """A key held by this request until the transaction around it ends."""

    def __init__(self, connection: asyncpg.Connection, *row: object, at: datetime) -> None:
        self._connection, self._row, self._at = connection, row, at
        self.stored: Stored | None = None

    async def store(self, answer: bytes | None) -> Stored:
        """Keep the answer, so that it commits with what the request did."""
        expires = self._at + KEPT
        await self._connection.execute(
            _STORE, new_id("idem"), *self._row, answer, self._at, expires
        )
        tenant, environment, *_ = self._row
        await self._connection.execute(_SWEEP, tenant, environment, self._at, _SWEPT)
        return Stored(answer, expires)


@asynccontextmanager
async def claimed(
    scope: Scope, actor_id: str, key: str, fingerprint: bytes, *, at: datetime
) -> AsyncIterator[Claim]:
    """Hold `key` for the block, which is one transaction: what is done inside it joins it.

    `claim.stored` is the answer given before, if any. An exception undoes everything and
    leaves the key free. Raises: Invalid (INVALID_IDEMPOTENCY_KEY), Conflict
    (IDEMPOTENCY_IN_PROGRESS, IDEMPOTENCY_MISMATCH).
    """
    if not 0 < len(key) <= MAX_KEY_CHARACTERS or not (key.isascii() and key.isprintable()):
        raise Invalid(
            f"Idempotency-Key: 1 to {MAX_KEY_CHARACTERS} printable ASCII characters",
            field="Idempotency-Key",
            code="INVALID_IDEMPOTENCY_KEY",
        )
    owner = (scope.tenant_id, scope.environment_id, actor_id, key)
    async with writing(scope) as connection:
        if not await connection.fetchval(_LOCK, "\n".join(("idempotency", *owner))):
            raise Conflict(
                "a request with this Idempotency-Key is being carried out; repeat it later",
                code="IDEMPOTENCY_IN_PROGRESS",
            )
        claim = Claim(connection, *owner, fingerprint, at=at)
        row = await connection.fetchrow(_FIND, *owner)
        if row is not None and row["expires_at"] > at:
            if bytes(row["fingerprint"]) != fingerprint:
                raise Conflict(
                    "this Idempotency-Key was used for another request; take a new one",
                    code="IDEMPOTENCY_MISMATCH",
                )
            answer = None if row["answer"] is None else bytes(row["answer"])
            claim.stored = Stored(answer, row["expires_at"])
        yield claim


def same_request(*parts: bytes) -> bytes:
    """The fingerprint of a request: equal for equal parts, and for nothing else."""
    hashed = hashlib.sha256()
    for part in parts:
        hashed.update(len(part).to_bytes(8, "big"))
        hashed.update(part)
    return hashed.digest()
