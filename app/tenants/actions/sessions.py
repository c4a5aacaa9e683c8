"""Signing up, in and out. A session is one sign-in; its refresh tokens descend from each other.

Every failure to sign in is the same answer after the same work, whether the address is
unknown, the user archived or invited, or the password wrong.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum, auto

import asyncpg

from app.config import Auth
from app.infra.postgres import fetch, writing
from app.kernel import checks
from app.kernel.errors import Invalid, Unauthenticated
from app.kernel.ids import new_id
from app.kernel.scope import Actor, Scope
from app.tenants import access_token, audit, passwords, throttle
from app.tenants.actions import inputs, locks, revoking
from app.tenants.actions import tenants as tenant_actions
from app.tenants.commands import CreateTenant, CreateUser, LogIn, SignUp
from app.tenants.errors import SignupDisabled
from app.tenants.models import RefreshTokenTable, SessionTable, UserTable
from app.tenants.reads import sessions
from app.tenants.reads.sessions import Login
from app.tenants.tenant import whole
from app.tenants.tokens import digest, random_text

_LOCK_FAMILY = (
    "SELECT r.used_at, r.expires_at AS token_expires_at, s.id AS session_id, s.user_id, "
    "s.revoked_at, u.archived_at FROM refresh_tokens AS r "
    "JOIN sessions AS s ON s.id = r.session_id JOIN users AS u ON u.id = s.user_id "
    "WHERE r.tenant_id = $1 AND r.hash = $2 FOR UPDATE OF s, r"
)


@dataclass(frozen=True, slots=True)
class SignedIn:
    """What a client keeps. The refresh token works once, and gives the next pair."""

    user_id: str
    tenant_id: str
    session_id: str
    access_token: str = field(repr=False)
    access_expires_at: datetime
    refresh_token: str = field(repr=False)
    refresh_expires_at: datetime


class _Outcome(Enum):
    RENEWED = auto()
    REFUSED = auto()
    REUSED = auto()


async def sign_up(
    auth: Auth, command: SignUp, *, address: str | None, request_id: str | None, at: datetime
) -> SignedIn:
    """A tenant, and its first user as owner, signed in. `address` is the network's, to throttle.

    Raises: SignupDisabled, Invalid, TooManyAttempts, AlreadyExists (the e-mail address).
    """
    if not auth.signup_enabled:
        raise SignupDisabled
    inputs.name(command.tenant, "tenant")
    await throttle.attempt(throttle.signup_limits(address), at=at)
    owner = CreateUser(email=command.email, name=command.name, password=command.password)
    made = await tenant_actions.create(
        CreateTenant(name=command.tenant, owner=owner),
        by=None,
        request_id=request_id,
        at=at,
    )
    user_id = made.owner.id if made.owner else ""
    by = Actor("user", user_id, request_id)
    return await _open(auth, whole(made.tenant.id), user_id, by=by, at=at)


async def log_in(
    auth: Auth, command: LogIn, *, address: str | None, request_id: str | None, at: datetime
) -> SignedIn:
    """Raises: TooManyAttempts, Unauthenticated (INVALID_CREDENTIALS)."""
    email = command.email.strip().casefold()
    await throttle.attempt(throttle.login_limits(email, address), at=at)
    found = await sessions.login_of(email) if _is_email(email) else None
    right = await passwords.matches(command.password, found.password_hash if found else None)
    if found is None or not right:
        raise _wrong()
    by = Actor("user", found.user_id, request_id)
    signed_in = await _open(auth, found.scope, found.user_id, by=by, at=at, login=found)
    await throttle.forget(email, address)
    await _strengthen(found, command.password, at)
    return signed_in


async def refresh(auth: Auth, token: str, *, request_id: str | None, at: datetime) -> SignedIn:
    """Exchange a refresh token for a new pair, once.

    A token that was exchanged before is in two hands: its session ends, for both of them.
    Raises: Unauthenticated (INVALID_REFRESH_TOKEN).
    """
    scope = await sessions.scope_of_refresh_token(digest(token))
    if scope is None:
        raise _unknown_token()
    async with writing(scope):
        row = (await fetch(scope, _LOCK_FAMILY, scope.tenant_id, digest(token)))[0]
        outcome, by = _judged(row, at), Actor("user", row["user_id"], request_id)
        if outcome is _Outcome.REUSED:
            # Committed, not raised from here: a refusal would roll it back.
            await revoking.session(scope, row["session_id"], "refresh_token_reused", at=at)
            await audit.record(scope, by, "session.reuse_detected", row["session_id"], at=at)
        elif outcome is _Outcome.RENEWED:
            renewed = await _issue(
                auth, scope, user_id=row["user_id"], session_id=row["session_id"], at=at
            )
            await RefreshTokenTable.filter(hash=digest(token)).update(used_at=at)
            # Used tokens are kept to know them again, and no longer than they could be used.
            family = RefreshTokenTable.filter(
                tenant_id=scope.tenant_id, session_id=renewed.session_id
            )
            await family.filter(expires_at__lte=at).delete()
            await SessionTable.filter(id=row["session_id"]).update(
                expires_at=renewed.refresh_expires_at, updated_at=at
            )
            await audit.record(scope, by, "session.refresh", row["session_id"], at=at)
            return renewed
    raise _unknown_token()


async def log_out(token: str, *, request_id: str | None, at: datetime) -> None:
    """End the session of a refresh token, also of one that was exchanged before.

    Raises: Unauthenticated (INVALID_REFRESH_TOKEN), also when the session has ended already.
    """
    scope = await sessions.scope_of_refresh_token(digest(token))
    if scope is None:
        raise _unknown_token()
    async with writing(scope):
        row = (await fetch(scope, _LOCK_FAMILY, scope.tenant_id, digest(token)))[0]
        if not await revoking.session(scope, row["session_id"], "logged_out", at=at):
            raise _unknown_token()
        by = Actor("user", row["user_id"], request_id)
        await audit.record(scope, by, "session.log_out", row["session_id"], at=at)


def _judged(row: asyncpg.Record, at: datetime) -> _Outcome:
    if row["revoked_at"] is not None or row["archived_at"] is not None:
        return _Outcome.REFUSED
    if row["used_at"] is not None:
        return _Outcome.REUSED
    if row["token_expires_at"] <= at:
        return _Outcome.REFUSED
    return _Outcome.RENEWED


async def _open(
    auth: Auth, scope: Scope, user_id: str, *, by: Actor, at: datetime, login: Login | None = None
) -> SignedIn:
    """A new session. With `login`: only if its password is still the user's."""
    session_id = new_id("ses")
    async with writing(scope):
        if login is not None:
            await locks.user(scope, user_id)
            same = await UserTable.filter(
                id=user_id, password_hash=login.password_hash, archived_at__isnull=True
            ).exists()
            if not same:
                raise _wrong()
        signed_in = await _issue(auth, scope, user_id=user_id, session_id=session_id, at=at)
        await SessionTable.create(
            id=session_id,
            tenant_id=scope.tenant_id,
            user_id=user_id,
            expires_at=signed_in.refresh_expires_at,
            created_at=at,
            updated_at=at,
        )
        if login is not None:
            await audit.record(scope, by, "session.log_in", session_id, at=at)
    return signed_in


async def _issue(
    auth: Auth, scope: Scope, *, user_id: str, session_id: str, at: datetime
) -> SignedIn:
    token = f"tr_{random_text()}"
    refresh_expires_at = at + timedelta(seconds=auth.refresh_token_seconds)
    await RefreshTokenTable.create(
        hash=digest(token),
        tenant_id=scope.tenant_id,
        session_id=session_id,
        issued_at=at,
        expires_at=refresh_expires_at,
    )
    return SignedIn(
        user_id=user_id,
        tenant_id=scope.tenant_id,
        session_id=session_id,
        access_token=access_token.sign(
            auth, user_id=user_id, tenant_id=scope.tenant_id, session_id=session_id, at=at
        ),
        access_expires_at=at + timedelta(seconds=auth.access_token_seconds),
        refresh_token=token,
        refresh_expires_at=refresh_expires_at,
    )


async def _strengthen(login: Login, password: str, at: datetime) -> None:
    """Hash again what was hashed with weaker parameters: only now is the password at hand."""
    if login.password_hash is None or not passwords.outdated(login.password_hash):
        return
    stronger = await passwords.hashed(password)
    async with writing(login.scope):
        await UserTable.filter(id=login.user_id, password_hash=login.password_hash).update(
            password_hash=stronger, updated_at=at
        )


def _is_email(text: str) -> bool:
    try:
        checks.email(text)
    except Invalid:
        return False
    return True


def _wrong() -> Unauthenticated:
    return Unauthenticated(
        "the e-mail address or the password is wrong", code="INVALID_CREDENTIALS"
    )


def _unknown_token() -> Unauthenticated:
    return Unauthenticated(
        "the refresh token is unknown, used, expired or revoked; sign in again",
        code="INVALID_REFRESH_TOKEN",
    )
