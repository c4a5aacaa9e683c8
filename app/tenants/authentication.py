"""Who calls: from credentials to a `Caller`, or a refusal. The one gate of every door.

Keys and sessions are looked up in PostgreSQL and remembered for `auth.key_cache_seconds`, at
most a second, counted from when the look-up began. Revoking, archiving, demoting and suspending
therefore take effect within that time, in every process. A PostgreSQL that does not answer is
`Unavailable`, never a denial.
"""

import asyncio
import hmac
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from app.config import Auth, Settings
from app.infra.postgres import writing
from app.kernel.clock import Clock
from app.kernel.errors import Denied, Unauthenticated, Unavailable
from app.kernel.ids import is_id
from app.kernel.scope import Actor, Scope
from app.tenants import access_token, audit
from app.tenants.api_key import prefix_of
from app.tenants.caller import Caller, EnvironmentFacts, TenantFacts
from app.tenants.credentials import Credentials, credentials_of
from app.tenants.key_use import DATABASE_ERRORS, KeyUse
from app.tenants.lookup_cache import LookupCache
from app.tenants.reads import principals
from app.tenants.reads.principals import KeyFacts, Place, SessionFacts
from app.tenants.role import PERMISSIONS
from app.tenants.tenant import INSTALLATION, whole
from app.tenants.tokens import digest

__all__ = [
    "Authenticator",
    "Caller",
    "Credentials",
    "EnvironmentFacts",
    "TenantFacts",
    "authenticate",
    "credentials_of",
    "open_authenticator",
]

T = TypeVar("T")

_LOOK_UP_SECONDS = 5.0
_FLUSH_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Authenticator:
    """What authenticating remembers; one per process, from `open_authenticator`."""

    auth: Auth
    allowed_environments: dict[str, frozenset[str]]  # by user id; absent: all
    clock: Clock
    keys: LookupCache[KeyFacts]
    sessions: LookupCache[SessionFacts]
    key_use: KeyUse


@asynccontextmanager
async def open_authenticator(
    settings: Settings, clock: Clock, *, flush_seconds: float = _FLUSH_SECONDS
) -> AsyncIterator[Authenticator]:
    """For as long as the block lasts, writing in the background when keys were last used.

    What was not written yet is written when the block ends; PostgreSQL must still be open.
    """
    seconds = settings.auth.key_cache_seconds
    allowed = settings.env_access.users.items()
    authenticator = Authenticator(
        auth=settings.auth,
        allowed_environments={user: frozenset(ids) for user, ids in allowed},
        clock=clock,
        keys=LookupCache(seconds),
        sessions=LookupCache(seconds),
        key_use=KeyUse(),
    )
    flushing = asyncio.create_task(
        authenticator.key_use.keep_flushing(every_seconds=flush_seconds), name="key_use"
    )
    try:
        yield authenticator
    finally:
        flushing.cancel()
        with suppress(asyncio.CancelledError):
            await flushing
        await authenticator.key_use.flush()


async def authenticate(authenticator: Authenticator, credentials: Credentials) -> Caller:
    """The caller, in the environment it named or its key is bound to.

    Raises: Unauthenticated, Denied (ENVIRONMENT_FORBIDDEN, ENVIRONMENT_ARCHIVED), Unavailable.
    """
    at = authenticator.clock.now()
    if credentials.key is not None:
        system_key = _system_key(authenticator.auth, credentials.key)
        if system_key is not None:
            return await _by_system_key(credentials, system_key, at)
        return await _by_key(authenticator, credentials.key, credentials.request_id, at)
    if credentials.token is not None:
        return await _by_session(authenticator, credentials, credentials.token, at)
    raise Unauthenticated(
        "send an API key in the header x-api-key, or `Authorization: Bearer` with an API key or "
        "an access token"
    )


async def _by_key(
    authenticator: Authenticator, key: str, request_id: str | None, at: datetime
) -> Caller:
    prefix = prefix_of(key)
    if prefix is None:
        raise _no_such_key()
    hashed = digest(key)

    async def look_up() -> KeyFacts | None:
        found = await _answered(principals.of_key(prefix))
        # Compared also where there is none, so that a prefix that exists takes no longer.
        right = hmac.compare_digest(hashed, found.secret_hash if found else digest(""))
        return found if right else None

    # Remembered by the hash of the whole key: a wrong secret finds nothing of the right one's.
    facts = await authenticator.keys.get(hashed, look_up)
    if facts is None:
        raise _no_such_key()
    _refuse_ended(facts, at)
    authenticator.key_use.note(facts.id, at, last_written=facts.last_used_at)
    account = facts.service_account_id
    return Caller(
        scope=facts.scope,
        actor=Actor("service_account", account, request_id)
        if account
        else Actor("api_key", facts.id, request_id),
        permissions=facts.permissions,
        tenant=facts.tenant,
        environment=facts.environment,
        credential=facts.id,
    )


def _refuse_ended(facts: KeyFacts, at: datetime) -> None:
    """Who has the whole key may know why it no longer works."""
    if facts.revoked_at is not None:
        raise Unauthenticated("the API key was revoked", code="API_KEY_REVOKED")
    if facts.expires_at is not None and facts.expires_at <= at:
        raise Unauthenticated("the API key has expired", code="API_KEY_EXPIRED")
    if facts.account_archived:
        raise Unauthenticated(
            "the service account of the API key is archived", code="SERVICE_ACCOUNT_ARCHIVED"
        )
    if facts.environment_archived:
        raise Denied("the environment of the API key is archived", code="ENVIRONMENT_ARCHIVED")


async def _by_session(
    authenticator: Authenticator, credentials: Credentials, token: str, at: datetime
) -> Caller:
    claims = access_token.verify(authenticator.auth, token, at=at)

    async def look_up() -> SessionFacts | None:
        return await _answered(
            principals.of_session(
                claims.session_id, tenant_id=claims.tenant_id, user_id=claims.user_id
            )
        )

    facts = await authenticator.sessions.get(claims.session_id, look_up)
    wanted = credentials.environment_id
    if facts and wanted and all(environment.id != wanted for environment in facts.environments):
        # It may have been created, by this very session, since the facts were looked up.
        authenticator.sessions.forget(claims.session_id)
        facts = await authenticator.sessions.get(claims.session_id, look_up)
    if facts is None or not facts.open or facts.expires_at <= at:
        raise Unauthenticated("the session has ended; sign in again", code="SESSION_ENDED")
    reachable = _reachable(authenticator, facts)
    environment = _entered(reachable, wanted)
    return Caller(
        scope=None if environment is None else Scope(facts.tenant.id, environment.id),
        actor=Actor("user", facts.user_id, credentials.request_id),
        permissions=facts.permissions,
        tenant=facts.tenant,
        environment=environment,
        credential=facts.id,
        reach=frozenset(one.id for one in reachable),
    )


def _reachable(authenticator: Authenticator, facts: SessionFacts) -> list[EnvironmentFacts]:
    allowed = authenticator.allowed_environments.get(facts.user_id)
    return [one for one in facts.environments if allowed is None or one.id in allowed]


def _entered(reachable: Sequence[EnvironmentFacts], wanted: str | None) -> EnvironmentFacts | None:
    """The environment named, else the oldest production one, else the oldest; of those allowed.

    None where there is none to enter. Raises: Denied, alike for a foreign environment, an
    unknown one, an archived one and one that the installation keeps from this user.
    """
    if wanted is None:
        return reachable[0] if reachable else None
    for environment in reachable:
        if environment.id == wanted:
            return environment
    raise _forbidden()


async def _by_system_key(credentials: Credentials, fingerprint: str, at: datetime) -> Caller:
    """Everything, in the tenant and environment that the headers name. Always audited first."""
    by = Actor("system_key", fingerprint, credentials.request_id)
    tenant_id, environment_id = credentials.tenant_id, credentials.environment_id
    wanted = [(tenant_id, "ten"), (environment_id, "env")]
    place: Place | None = None
    if tenant_id and all(one is None or is_id(one, prefix) for one, prefix in wanted):
        place = await _answered(principals.place(tenant_id, environment_id))
    refused = place is None and (tenant_id is not None or environment_id is not None)
    scope = whole(place.tenant.id) if place else INSTALLATION
    facts = {"environment": environment_id if place else None, "refused": refused}
    await _answered(_note_use(scope, by, facts, at))
    if refused:
        raise _forbidden()
    environment = place.environment if place else None
    return Caller(
        scope=Scope(place.tenant.id, environment.id) if place and environment else None,
        actor=by,
        permissions=PERMISSIONS,
        tenant=place.tenant if place else None,
        environment=environment,
        credential=fingerprint,
        is_system=True,
        reach=None,
    )


async def _note_use(scope: Scope, by: Actor, facts: Mapping[str, object], at: datetime) -> None:
    async with writing(scope):
        await audit.record(scope, by, "system_key.use", by.id, at=at, after=facts)


def _system_key(auth: Auth, key: str) -> str | None:
    """The fingerprint of a system key: the first half of its hash. Compares with every one."""
    hashed, found = digest(key), False
    for known in auth.system_keys:
        found |= hmac.compare_digest(hashed.encode(), known.strip().lower().encode())
    return hashed[:32] if found else None


async def _answered(look_up: Awaitable[T]) -> T:
    """The look-up's answer within the deadline. Raises: Unavailable when there is none."""
    try:
        async with asyncio.timeout(_LOOK_UP_SECONDS):
            return await look_up
    except DATABASE_ERRORS as error:
        raise Unavailable("PostgreSQL", f"{type(error).__name__}: {error}") from error


def _no_such_key() -> Unauthenticated:
    return Unauthenticated("the API key is not one of ours")


def _forbidden() -> Denied:
    return Denied(
        "there is no such environment here, or it is not yours", code="ENVIRONMENT_FORBIDDEN"
    )
