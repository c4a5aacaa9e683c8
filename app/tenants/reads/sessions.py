"""What signing in looks up before there is a scope. Never leaves the domain."""

from dataclasses import dataclass, field
from datetime import datetime

from app.infra.postgres import system
from app.kernel.scope import Scope
from app.tenants.tenant import whole

_BY_EMAIL = (
    "SELECT id, tenant_id, password_hash FROM users WHERE email = $1 AND archived_at IS NULL"
)
_BY_INVITATION = (
    "SELECT u.id, u.tenant_id, u.invitation_expires_at, t.suspended_at "
    "FROM users AS u JOIN tenants AS t ON t.id = u.tenant_id "
    "WHERE u.invitation_hash = $1 AND u.archived_at IS NULL"
)


@dataclass(frozen=True, slots=True)
class Login:
    """Who signs in with an e-mail address. `password_hash` None: invited, not yet joined."""

    scope: Scope
    user_id: str
    password_hash: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class OpenInvitation:
    scope: Scope
    user_id: str
    expires_at: datetime
    tenant_suspended: bool


async def login_of(email: str) -> Login | None:
    """By the case-folded address, across tenants."""
    async with system() as connection:
        row = await connection.fetchrow(_BY_EMAIL, email)
    return row and Login(whole(row["tenant_id"]), row["id"], row["password_hash"])


async def invitation_of(token_hash: str) -> OpenInvitation | None:
    async with system() as connection:
        row = await connection.fetchrow(_BY_INVITATION, token_hash)
    return row and OpenInvitation(
        scope=whole(row["tenant_id"]),
        user_id=row["id"],
        expires_at=row["invitation_expires_at"],
        tenant_suspended=row["suspended_at"] is not None,
    )


async def scope_of_refresh_token(token_hash: str) -> Scope | None:
    async with system() as connection:
        tenant_id = await connection.fetchval(
            "SELECT tenant_id FROM refresh_tokens WHERE hash = $1", token_hash
        )
    return tenant_id and whole(tenant_id)
