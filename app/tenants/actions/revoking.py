"""Ends sessions. Call inside `writing(scope)`."""

from datetime import datetime

from app.kernel.scope import Scope
from app.tenants.models import SessionTable


async def session(scope: Scope, session_id: str, because: str, *, at: datetime) -> bool:
    """Whether it was still open."""
    open_ones = SessionTable.filter(
        tenant_id=scope.tenant_id, id=session_id, revoked_at__isnull=True
    )
    done = await open_ones.update(revoked_at=at, revoked_because=because, updated_at=at)
    return done == 1


async def sessions_of(
    scope: Scope, user_id: str, because: str, *, at: datetime, but: str = ""
) -> None:
    """All sessions of a user, `but` one."""
    open_ones = SessionTable.filter(
        tenant_id=scope.tenant_id, user_id=user_id, revoked_at__isnull=True
    ).exclude(id=but)
    await open_ones.update(revoked_at=at, revoked_because=because, updated_at=at)
