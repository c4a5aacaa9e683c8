"""Setting a password: by an invitation, or by knowing the one before."""

from datetime import datetime

from app.infra.postgres import writing
from app.kernel.errors import Denied, Unauthenticated
from app.kernel.scope import Actor, Scope
from app.tenants import audit, passwords, throttle
from app.tenants.actions import locks, revoking
from app.tenants.actions.journal import note
from app.tenants.commands import AcceptInvitation, ChangePassword
from app.tenants.errors import TenantSuspended
from app.tenants.events import UserJoined
from app.tenants.models import UserTable
from app.tenants.reads import sessions, users
from app.tenants.tenant import whole
from app.tenants.tokens import digest
from app.tenants.user import User


async def accept_invitation(
    command: AcceptInvitation, *, request_id: str | None, at: datetime
) -> User:
    """Set the password of whoever was invited; sessions from before end.

    Raises: Invalid, Unauthenticated (INVALID_INVITATION), TenantSuspended.
    """
    token_hash = digest(command.token)
    found = await sessions.invitation_of(token_hash)
    if found is None or found.expires_at <= at:
        raise _no_invitation()
    if found.tenant_suspended:
        raise TenantSuspended(found.scope.tenant_id)
    hashed = await passwords.hashed(passwords.checked(command.password))
    scope, by = found.scope, Actor("user", found.user_id, request_id)
    async with writing(scope):
        await locks.user(scope, found.user_id)
        before = await users.get(scope, found.user_id)
        done = await UserTable.filter(id=found.user_id, invitation_hash=token_hash).update(
            password_hash=hashed,
            invitation_hash=None,
            invitation_expires_at=None,
            updated_at=at,
        )
        if done == 0:
            raise _no_invitation()
        await revoking.sessions_of(scope, found.user_id, "password_set", at=at)
        after = await users.get(scope, found.user_id)
        event = UserJoined(entity_id=after.id, occurred_at=at)
        await note(scope, by, "user.join", event, at=at, before=before, after=after)
    return after


async def change(
    scope: Scope,
    user_id: str,
    command: ChangePassword,
    *,
    keep_session: str,
    by: Actor,
    at: datetime,
) -> None:
    """Change one's own password; every other session ends, and open invitations.

    Raises: Invalid, NotFound, TooManyAttempts, Denied (WRONG_PASSWORD).
    """
    new = passwords.checked(command.new, "new")
    scope, user = whole(scope.tenant_id), await users.get(scope, user_id)
    await throttle.attempt(throttle.login_limits(user.email, None), at=at)
    login = await sessions.login_of(user.email)
    stored = login.password_hash if login and login.user_id == user_id else None
    if not await passwords.matches(command.current, stored):
        raise _wrong()
    hashed = await passwords.hashed(new)
    async with writing(scope):
        done = await UserTable.filter(
            tenant_id=scope.tenant_id, id=user_id, password_hash=stored, archived_at__isnull=True
        ).update(
            password_hash=hashed, invitation_hash=None, invitation_expires_at=None, updated_at=at
        )
        if done == 0:
            raise _wrong()
        await revoking.sessions_of(scope, user_id, "password_set", at=at, but=keep_session)
        await audit.record(scope, by, "user.change_password", user_id, at=at)
    await throttle.forget(user.email, None)


def _wrong() -> Denied:
    return Denied("the current password is wrong", field="current", code="WRONG_PASSWORD")


def _no_invitation() -> Unauthenticated:
    return Unauthenticated(
        "the invitation is unknown, used or expired; ask for a new one", code="INVALID_INVITATION"
    )
