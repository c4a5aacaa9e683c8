"""From credentials to a caller: who gets in, where to, with what, and for how long."""

import asyncio
import hashlib
import time
from datetime import timedelta

import msgspec
import pytest

from app.config import Auth, EnvAccess, Settings
from app.infra.postgres import fetch, system
from app.kernel.errors import Denied, Unauthenticated, Unavailable
from app.kernel.ids import new_id
from app.kernel.scope import SYSTEM, Scope
from app.tenants import access_token
from app.tenants.actions import (
    api_keys,
    environments,
    roles,
    service_accounts,
    sessions,
    tenants,
    users,
)
from app.tenants.authentication import (
    Credentials,
    authenticate,
    credentials_of,
    open_authenticator,
)
from app.tenants.commands import CreateEnvironment, LogIn
from app.tenants.errors import TenantSuspended
from app.tenants.role import BUILT_IN, PERMISSIONS
from app.tenants.tenant import INSTALLATION, EnvironmentType, whole
from tests.tenants import make

SYSTEM_KEY = "an operator's key of more than enough characters"
AUTH = Auth(
    jwt_secret="a secret of at least 32 characters",
    system_keys=[
        hashlib.sha256(b"another").hexdigest(),
        hashlib.sha256(SYSTEM_KEY.encode()).hexdigest(),
    ],
    key_cache_seconds=0,
)


def opened(clock, *, auth=AUTH, users=None, **options):
    settings = Settings(auth=auth, env_access=EnvAccess(users=users or {}))
    return open_authenticator(settings, clock, **options)


@pytest.fixture
async def door(database, clock):
    async with opened(clock) as authenticator:

        async def enter(**fields):
            return await authenticate(authenticator, Credentials(**fields))

        yield enter


async def signed_in(clock, user):
    command = LogIn(email=user.email, password=make.PASSWORD)
    return await sessions.log_in(AUTH, command, address=None, request_id=None, at=clock.now())


async def denied(error, entering, *, code=None):
    with pytest.raises(error) as raised:
        await entering
    assert code is None or raised.value.code == code
    return raised.value


def acting(clock):
    return {"holding": PERMISSIONS, "by": SYSTEM, "at": clock.now()}


def recording(clock):
    return {"by": SYSTEM, "at": clock.now()}


# What a request says.


def test_credentials_come_from_either_header_and_a_key_goes_first():
    assert credentials_of({"x-api-key": " tk_1 "}) == Credentials(key="tk_1")
    assert credentials_of({"authorization": "Bearer tk_1"}) == Credentials(key="tk_1")
    assert credentials_of({"authorization": "bearer  a.b.c"}) == Credentials(token="a.b.c")
    both = {"x-api-key": "tk_1", "authorization": "Bearer a.b.c"}
    assert credentials_of(both) == Credentials(key="tk_1")
    places = {"x-tenant-id": "ten_1", "x-environment-id": "env_1"}
    assert credentials_of(places, request_id="req_1") == Credentials(
        tenant_id="ten_1", environment_id="env_1", request_id="req_1"
    )
    assert credentials_of({}) == credentials_of({"x-api-key": 7}) == Credentials()


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": "Basic YTpi"},
        {"authorization": "Bearer"},
        {"authorization": "tk_1"},
        {"x-api-key": "x" * 4097},
    ],
)
def test_other_credentials_are_refused(headers):
    with pytest.raises(Unauthenticated):
        credentials_of(headers)


def test_credentials_do_not_show_in_logs():
    assert "tk_1" not in repr(Credentials(key="tk_1"))
    assert "a.b.c" not in repr(Credentials(token="a.b.c"))


# API keys.


async def test_nobody_gets_in_without_credentials(door):
    await denied(Unauthenticated, door(), code="UNAUTHENTICATED")


async def test_a_key_leads_to_its_environment_whatever_the_header_says(door, clock):
    made = await make.tenant(clock)
    scope = make.production(made)
    created = await make.key(scope, clock, permissions=("event:write", "usage:read"))
    caller = await door(
        key=created.secret.text, environment_id=made.development.id, request_id="req_1"
    )
    assert (caller.scope, caller.environment_scope) == (scope, scope)
    assert caller.tenant_scope == whole(made.tenant.id)
    assert (caller.actor.kind, caller.actor.id) == ("api_key", created.key.id)
    assert caller.actor.request_id == "req_1"
    assert caller.permissions == {"event:write", "usage:read"}
    assert (caller.tenant.id, caller.tenant.name) == (made.tenant.id, "Acme")
    assert (caller.environment.name, caller.environment.type) == ("Production", "production")
    assert caller.credential == created.key.id
    assert not caller.is_system
    # It opens no other environment, whatever else it may.
    assert caller.reaches(made.production.id)
    assert not caller.reaches(made.development.id)


async def test_a_wrong_unknown_or_mistyped_key_is_the_same_refusal(door, clock):
    made = await make.tenant(clock)
    right = (await make.key(make.production(made), clock)).secret
    unknown = (await make.key(make.production(made), clock)).secret
    async with system() as connection:
        await connection.execute("DELETE FROM api_keys WHERE prefix = $1", unknown.prefix)
        # A key with the right prefix and a right checksum, but another secret.
        await connection.execute(
            "UPDATE api_keys SET prefix = $1 WHERE prefix = $2", unknown.prefix, right.prefix
        )
    answers = {
        str(await denied(Unauthenticated, door(key=key), code="UNAUTHENTICATED"))
        for key in (unknown.text, right.text, right.text[:-1], "tk_live_", "x", "\ud800", "\x00")
    }
    assert answers == {"the API key is not one of ours"}


async def test_an_expired_key_says_so_from_its_last_instant_on(door, clock):
    made = await make.tenant(clock)
    ends = clock.now() + timedelta(hours=1)
    key = (await make.key(make.production(made), clock, expires_at=ends)).secret.text
    clock.at = ends - timedelta(microseconds=1)
    await door(key=key)
    clock.at = ends
    await denied(Unauthenticated, door(key=key), code="API_KEY_EXPIRED")


async def test_a_rotated_key_works_through_the_overlap(door, clock):
    made = await make.tenant(clock)
    scope = make.production(made)
    old = await make.key(scope, clock)
    new = await api_keys.rotate(scope, old.key.id, overlap=timedelta(hours=1), **acting(clock))
    for secret in (old.secret, new.secret):
        assert (await door(key=secret.text)).scope == scope
    clock.at += timedelta(hours=1)
    await denied(Unauthenticated, door(key=old.secret.text), code="API_KEY_EXPIRED")
    assert (await door(key=new.secret.text)).credential == new.key.id


async def test_a_key_of_a_closed_environment_is_denied(door, clock):
    made = await make.tenant(clock)
    scope = make.development(made)
    key = (await make.key(scope, clock)).secret.text
    await environments.archive(scope, scope.environment_id, **recording(clock))
    await denied(Denied, door(key=key), code="ENVIRONMENT_ARCHIVED")


async def test_a_key_of_a_service_account_follows_its_roles(door, clock):
    made = await make.tenant(clock)
    scope = make.production(made)
    role = await make.role(made, clock, permissions=("event:write", "invoice:read"))
    robot = await make.account(made, clock, account_roles=(role.id, "event_reader"))
    created = await make.key(
        scope,
        clock,
        permissions=("event:write", "event:read", "user:write"),
        service_account_id=robot.id,
    )
    key = created.secret.text
    caller = await door(key=key)
    assert caller.permissions == {"event:write", "event:read"}
    assert (caller.actor.kind, caller.actor.id) == ("service_account", robot.id)
    assert caller.credential == created.key.id
    await roles.update(scope, role.id, {"permissions": ["invoice:read"]}, **acting(clock))
    assert (await door(key=key)).permissions == {"event:read"}
    await roles.unassign(scope, robot.id, "event_reader", **acting(clock))
    assert (await door(key=key)).permissions == frozenset()
    await service_accounts.archive(scope, robot.id, **acting(clock))
    await denied(Unauthenticated, door(key=key), code="SERVICE_ACCOUNT_ARCHIVED")


async def test_a_key_outlives_the_power_of_its_creator(door, clock):
    """Production does not stop when somebody leaves; keys are found by their creator instead."""
    made = await make.tenant(clock)
    user = await make.user(made, clock, user_roles=("developer",))
    scope = make.production(made)
    key = await make.key(scope, clock, holding=BUILT_IN["developer"])
    await users.archive(scope, user.id, **acting(clock))
    assert (await door(key=key.secret.text)).permissions == {"event:write"}


async def test_a_revoked_key_dies_within_a_second_in_every_process(database, clock):
    auth = msgspec.structs.replace(AUTH, key_cache_seconds=0.5)
    made = await make.tenant(clock)
    scope = make.production(made)
    created = await make.key(scope, clock)
    credentials = Credentials(key=created.secret.text)
    async with opened(clock, auth=auth) as one, opened(clock, auth=auth) as other:
        for authenticator in (one, other):
            await authenticate(authenticator, credentials)
        await api_keys.revoke(scope, created.key.id, **recording(clock))
        revoked = time.monotonic()
        for authenticator in (one, other):
            error = await eventually_refused(authenticator, credentials)
            assert error.code == "API_KEY_REVOKED"
            assert time.monotonic() - revoked < 1


async def eventually_refused(authenticator, credentials):
    async with asyncio.timeout(5):
        while True:
            try:
                await authenticate(authenticator, credentials)
            except Unauthenticated as error:
                return error
            await asyncio.sleep(0.01)


async def test_a_known_key_is_not_looked_up_for_every_request(database, clock, outage):
    auth = msgspec.structs.replace(AUTH, key_cache_seconds=1)
    made = await make.tenant(clock)
    credentials = Credentials(key=(await make.key(make.production(made), clock)).secret.text)
    async with opened(clock, auth=auth) as authenticator:
        callers = await asyncio.gather(
            *(authenticate(authenticator, credentials) for _ in range(200))
        )
        async with outage():
            again = await authenticate(authenticator, credentials)
    assert len({id(caller.tenant) for caller in [*callers, again]}) == 1


# When keys were used.


async def last_used(scope, key):
    rows = await fetch(scope, "SELECT last_used_at FROM api_keys WHERE id = $1", key.id)
    return rows[0]["last_used_at"]


async def test_the_last_use_is_written_at_most_once_a_minute_and_on_shutdown(database, clock):
    made = await make.tenant(clock)
    scope = make.production(made)
    created = await make.key(scope, clock)
    credentials, start = Credentials(key=created.secret.text), clock.now()
    async with opened(clock, flush_seconds=3600) as authenticator:
        await authenticate(authenticator, credentials)
        assert await last_used(scope, created.key) is None
        await authenticator.key_use.flush()
        assert await last_used(scope, created.key) == start
        clock.at = start + timedelta(seconds=59)
        await authenticate(authenticator, credentials)
        await authenticator.key_use.flush()
        assert await last_used(scope, created.key) == start
        clock.at = start + timedelta(seconds=60)
        await authenticate(authenticator, credentials)
    assert await last_used(scope, created.key) == clock.now()


async def test_the_last_use_is_written_in_the_background(database, clock):
    made = await make.tenant(clock)
    scope = make.production(made)
    created = await make.key(scope, clock)
    async with opened(clock, flush_seconds=0.02) as authenticator:
        await authenticate(authenticator, Credentials(key=created.secret.text))
        async with asyncio.timeout(5):
            while True:
                await asyncio.sleep(0.02)
                if await last_used(scope, created.key):
                    break
    assert await last_used(scope, created.key) == clock.now()


async def test_a_use_that_could_not_be_written_is_written_later(database, clock, outage):
    made = await make.tenant(clock)
    scope = make.production(made)
    created = await make.key(scope, clock)
    async with opened(clock, flush_seconds=3600) as authenticator:
        await authenticate(authenticator, Credentials(key=created.secret.text))
        async with outage():
            await authenticator.key_use.flush()
    assert await last_used(scope, created.key) == clock.now()


async def test_a_write_that_is_cut_short_by_the_shutdown_is_done_by_it(database, clock):
    made = await make.tenant(clock)
    scope = make.production(made)
    created = await make.key(scope, clock)
    async with opened(clock, flush_seconds=3600) as authenticator:
        await authenticate(authenticator, Credentials(key=created.secret.text))
        flushing = asyncio.create_task(authenticator.key_use.flush())
        await asyncio.sleep(0)
        flushing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await flushing
    assert await last_used(scope, created.key) == clock.now()


# Sessions.


async def test_a_session_enters_production_unless_told_otherwise(door, clock):
    made = await make.owned_tenant(clock)
    token = (await signed_in(clock, made.owner)).access_token
    caller = await door(token=token)
    assert caller.scope == make.production(made)
    assert (caller.actor.kind, caller.actor.id) == ("user", made.owner.id)
    assert caller.permissions == PERMISSIONS
    caller = await door(token=token, environment_id=made.development.id)
    assert caller.scope == make.development(made)
    assert caller.reaches(made.production.id)
    assert not caller.reaches((await make.tenant(clock)).production.id)


async def test_without_production_a_session_enters_the_oldest_environment(door, clock):
    made = await make.owned_tenant(clock)
    scope = make.production(made)
    token = (await signed_in(clock, made.owner)).access_token
    await environments.archive(scope, made.production.id, **recording(clock))
    assert (await door(token=token)).scope == make.development(made)


async def test_an_environment_just_made_is_entered_at_once(database, clock):
    made = await make.owned_tenant(clock)
    token = (await signed_in(clock, made.owner)).access_token
    auth = msgspec.structs.replace(AUTH, key_cache_seconds=1)
    async with opened(clock, auth=auth) as authenticator:
        await authenticate(authenticator, Credentials(token=token))
        command = CreateEnvironment(name="New", type=EnvironmentType.DEVELOPMENT)
        new = await environments.create(make.production(made), command, **recording(clock))
        credentials = Credentials(token=token, environment_id=new.id)
        assert (await authenticate(authenticator, credentials)).scope.environment_id == new.id


async def test_foreign_unknown_archived_and_withheld_environments_are_one_refusal(database, clock):
    made, other = await make.owned_tenant(clock), await make.tenant(clock)
    token = (await signed_in(clock, made.owner)).access_token
    command = CreateEnvironment(name="Old", type=EnvironmentType.DEVELOPMENT)
    old = await environments.create(make.production(made), command, **recording(clock))
    await environments.archive(make.production(made), old.id, **recording(clock))
    withheld = {made.owner.id: [made.development.id]}
    answers = set()
    async with opened(clock, users=withheld) as authenticator:
        for wanted in (other.production.id, new_id("env"), "x", old.id, made.production.id):
            credentials = Credentials(token=token, environment_id=wanted)
            error = await denied(Denied, authenticate(authenticator, credentials))
            answers.add((error.code, error.message, error.field))
        assert len(answers) == 1
        assert answers.pop()[0] == "ENVIRONMENT_FORBIDDEN"
        caller = await authenticate(authenticator, Credentials(token=token))
        assert caller.scope == make.development(made)
        assert not any(map(caller.reaches, (made.production.id, old.id, other.production.id)))


async def test_a_user_kept_from_every_environment_reaches_only_the_tenant(database, clock):
    made = await make.owned_tenant(clock)
    token = (await signed_in(clock, made.owner)).access_token
    async with opened(clock, users={made.owner.id: []}) as authenticator:
        caller = await authenticate(authenticator, Credentials(token=token))
    assert (caller.scope, caller.environment) == (None, None)
    caller.require("user:write")
    with pytest.raises(Denied) as refusal:
        caller.require("customer:read")
    assert refusal.value.code == "ENVIRONMENT_REQUIRED"


async def test_demoting_archiving_and_signing_out_end_at_the_next_look(door, clock):
    made = await make.owned_tenant(clock)
    scope = whole(made.tenant.id)
    user = await make.user(made, clock, user_roles=("admin",))
    session = await signed_in(clock, user)
    token = session.access_token
    assert (await door(token=token)).permissions == BUILT_IN["admin"]
    await roles.assign(scope, user.id, "viewer", **acting(clock))
    await roles.unassign(scope, user.id, "admin", **acting(clock))
    assert (await door(token=token)).permissions == BUILT_IN["viewer"]
    other = (await signed_in(clock, user)).access_token
    await sessions.log_out(session.refresh_token, request_id=None, at=clock.now())
    await denied(Unauthenticated, door(token=token), code="SESSION_ENDED")
    assert (await door(token=other)).actor.id == user.id
    await users.archive(scope, user.id, **acting(clock))
    await denied(Unauthenticated, door(token=other), code="SESSION_ENDED")


async def test_a_token_of_ours_for_a_session_that_never_was_is_refused(door, clock):
    made, other = await make.owned_tenant(clock), await make.owned_tenant(clock)
    session = await signed_in(clock, made.owner)

    def signed(**fields):
        ids = {
            "user_id": made.owner.id,
            "tenant_id": made.tenant.id,
            "session_id": session.session_id,
        }
        return access_token.sign(AUTH, **ids | fields, at=clock.now())

    await door(token=signed())
    for fields in (
        {"user_id": other.owner.id},
        {"tenant_id": other.tenant.id},
        {"session_id": new_id("ses")},
    ):
        await denied(Unauthenticated, door(token=signed(**fields)), code="SESSION_ENDED")


async def test_an_access_token_expires(door, clock):
    made = await make.owned_tenant(clock)
    token = (await signed_in(clock, made.owner)).access_token
    clock.at += timedelta(seconds=AUTH.access_token_seconds)
    await denied(Unauthenticated, door(token=token), code="ACCESS_TOKEN_EXPIRED")


async def test_a_role_that_no_longer_exists_gives_nothing(door, clock):
    made = await make.owned_tenant(clock)
    user = await make.user(made, clock, user_roles=("viewer",))
    token = (await signed_in(clock, user)).access_token
    async with system() as connection:
        await connection.execute(
            "UPDATE role_assignments SET role = 'emperor' WHERE principal_id = $1", user.id
        )
    assert (await door(token=token)).permissions == frozenset()


# Suspension.


async def test_a_suspended_tenant_is_read_and_not_written_by_anybody(door, clock):
    made = await make.owned_tenant(clock)
    key = (await make.key(make.production(made), clock, permissions=PERMISSIONS)).secret.text
    token = (await signed_in(clock, made.owner)).access_token
    place = {"tenant_id": made.tenant.id, "environment_id": made.production.id}
    await tenants.suspend(whole(made.tenant.id), **recording(clock))
    for caller in (
        await door(key=key),
        await door(token=token),
        await door(key=SYSTEM_KEY, **place),
    ):
        caller.require("invoice:read")
        for permission in ("event:write", "customer:write", "user:write"):
            with pytest.raises(TenantSuspended) as refusal:
                caller.require(permission)
            assert refusal.value.code == "TENANT_SUSPENDED"
    await tenants.reactivate(whole(made.tenant.id), **recording(clock))
    (await door(key=key)).require("event:write")


async def test_what_a_caller_lacks_is_named(door, clock):
    made = await make.tenant(clock)
    caller = await door(key=(await make.key(make.production(made), clock)).secret.text)
    caller.require("event:write")
    assert caller.may("event:write")
    assert not caller.may("event:read")
    with pytest.raises(Denied, match="event:read") as refusal:
        caller.require("event:read")
    assert refusal.value.code == "FORBIDDEN"
    with pytest.raises(Denied) as refusal:
        caller.require_system()
    assert refusal.value.code == "SYSTEM_KEY_REQUIRED"


# System keys.


async def uses(scope):
    rows = await fetch(
        scope,
        "SELECT actor_kind, actor_id, after::text, request_id FROM audit_entries "
        "WHERE action = 'system_key.use' ORDER BY id",
    )
    return [tuple(row) for row in rows]


async def test_a_system_key_enters_where_the_headers_say_and_leaves_a_trace(door, clock):
    made = await make.tenant(clock)
    tenant_id, environment_id = made.tenant.id, made.development.id
    caller = await door(
        key=SYSTEM_KEY, tenant_id=tenant_id, environment_id=environment_id, request_id="req_1"
    )
    assert caller.scope == make.development(made)
    assert caller.permissions == PERMISSIONS
    assert caller.is_system
    caller.require_system()
    caller.require("customer:write")
    fingerprint = hashlib.sha256(SYSTEM_KEY.encode()).hexdigest()[:32]
    assert (caller.actor.kind, caller.actor.id) == ("system_key", fingerprint)
    [(kind, actor, after, request_id)] = await uses(whole(tenant_id))
    assert (kind, actor, request_id) == ("system_key", fingerprint, "req_1")
    assert environment_id in after
    assert caller.reaches(made.production.id)


async def test_a_system_key_without_a_place_reaches_only_the_installation(door, clock):
    before = len(await uses(INSTALLATION))
    caller = await door(key=SYSTEM_KEY)
    assert (caller.scope, caller.tenant, caller.environment) == (None, None, None)
    caller.require_system()
    for permission in ("customer:read", "tenant:read", "user:write"):
        with pytest.raises(Denied) as refusal:
            caller.require(permission)
        assert refusal.value.code == "TENANT_REQUIRED"
    assert len(await uses(INSTALLATION)) == before + 1
    made = await make.tenant(clock)
    caller = await door(key=SYSTEM_KEY, tenant_id=made.tenant.id)
    caller.require("user:write")
    with pytest.raises(Denied) as refusal:
        caller.require("customer:read")
    assert refusal.value.code == "ENVIRONMENT_REQUIRED"


async def test_a_system_key_in_a_wrong_place_is_refused_and_audited(door, clock):
    made, other = await make.tenant(clock), await make.tenant(clock)
    before = len(await uses(INSTALLATION))
    places = [
        {"tenant_id": new_id("ten")},
        {"tenant_id": "ten_x"},
        {"tenant_id": "\x00"},
        {"environment_id": made.production.id},
        {"tenant_id": made.tenant.id, "environment_id": other.production.id},
        {"tenant_id": made.tenant.id, "environment_id": "\ud800"},
    ]
    for place in places:
        error = await denied(Denied, door(key=SYSTEM_KEY, **place), code="ENVIRONMENT_FORBIDDEN")
        assert error.message == "there is no such environment here, or it is not yours"
    assert len(await uses(INSTALLATION)) == before + len(places)


@pytest.mark.parametrize(
    "key",
    [
        hashlib.sha256(SYSTEM_KEY.encode()).hexdigest(),  # what the configuration shows
        SYSTEM_KEY + " ",
        SYSTEM_KEY.upper(),
        "",
    ],
)
async def test_what_is_not_the_system_key_is_no_key(door, key):
    await denied(Unauthenticated, door(key=key), code="UNAUTHENTICATED")


# PostgreSQL away.


async def test_without_postgresql_nobody_is_denied_and_nobody_gets_in(door, clock, outage):
    made = await make.owned_tenant(clock)
    key = (await make.key(make.production(made), clock)).secret.text
    token = (await signed_in(clock, made.owner)).access_token
    place = {"tenant_id": made.tenant.id, "environment_id": made.production.id}
    async with outage():
        for credentials in ({"key": key}, {"token": token}, {"key": SYSTEM_KEY, **place}):
            error = await denied(Unavailable, door(**credentials), code="UNAVAILABLE")
            assert error.what == "PostgreSQL"
        # What needs no look-up is still refused for what it is.
        await denied(Unauthenticated, door(key="tk_live_nonsense"))
        await denied(Unauthenticated, door(token="a.b.c"))
    assert (await door(key=key)).scope == Scope(made.tenant.id, made.production.id)
