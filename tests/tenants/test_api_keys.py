from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.infra.postgres import fetch
from app.kernel.errors import Invalid, NotFound
from app.kernel.listing import PageRequest
from app.kernel.scope import SYSTEM
from app.tenants.actions import api_keys, environments, service_accounts
from app.tenants.api_key import ApiKeyStatus, new_secret, prefix_of
from app.tenants.commands import CreateApiKey
from app.tenants.errors import Archived, BeyondOwnPermissions, KeyExpired, KeyRevoked
from app.tenants.reads import api_keys as key_reads
from app.tenants.role import BUILT_IN, PERMISSIONS
from app.tenants.tenant import EnvironmentType, whole
from tests.tenants import make
from tests.tenants.refusal import refused

DAY = timedelta(days=1)


def acting(clock, holding=PERMISSIONS):
    return {"holding": holding, "by": SYSTEM, "at": clock.now()}


@pytest.mark.parametrize(
    ("kind", "start"),
    [(EnvironmentType.PRODUCTION, "tk_live_"), (EnvironmentType.DEVELOPMENT, "tk_test_")],
)
def test_a_secret_names_its_kind_and_holds_256_random_bits(kind, start):
    secrets = [new_secret(kind) for _ in range(100)]
    assert len({secret.text for secret in secrets}) == 100
    assert len({secret.prefix for secret in secrets}) == 100
    for secret in secrets:
        assert secret.text.startswith(secret.prefix + "_")
        assert secret.prefix.startswith(start)
        random = secret.text.removeprefix(secret.prefix + "_")[:-6]
        assert len(random) == 43  # 62 ** 43 > 2 ** 256
        assert prefix_of(secret.text) == secret.prefix
        assert secret.text not in repr(secret)


KEY = "tk_live_0123456789Ab_" + "x" * 43


@given(st.data())
def test_a_mistyped_key_is_known_without_a_look_up(data):
    text = new_secret(EnvironmentType.PRODUCTION).text
    place = data.draw(st.integers(8, len(text) - 1))
    char = data.draw(st.characters(codec="utf-8").filter(lambda c: c != text[place]))
    assert prefix_of(text[:place] + char + text[place + 1 :]) is None


@pytest.mark.parametrize(
    "text", ["", "tk_live_", KEY, KEY + "000000", "sk_" + KEY[3:] + "000000", KEY * 10, "\x00", "é"]
)
def test_what_is_no_key_has_no_prefix(text):
    assert prefix_of(text) is None


async def test_a_key_is_shown_once_and_kept_as_a_hash(database, clock):
    made = await make.tenant(clock)
    scope = make.production(made)
    created = await make.key(scope, clock, expires_at=clock.now() + DAY)
    assert created.secret.prefix == created.key.prefix
    assert created.key.prefix.startswith("tk_live_")
    assert await key_reads.get(scope, created.key.id) == created.key
    stored = (await fetch(scope, "SELECT * FROM api_keys"))[0]
    traces = await fetch(scope, "SELECT after::text FROM audit_entries")
    told = await fetch(scope, "SELECT payload::text FROM outbox")
    secret = created.secret.text.removeprefix(created.key.prefix)
    for seen in (str(dict(stored)), str(traces), str(told), repr(created)):
        assert secret not in seen
        assert created.secret.hash not in seen or seen == str(dict(stored))
    assert created.key.created_by == SYSTEM.id


async def test_a_development_key_says_test(database, clock):
    made = await make.tenant(clock)
    created = await make.key(make.development(made), clock)
    assert created.secret.text.startswith("tk_test_")


@pytest.mark.parametrize(
    ("fields", "error", "field", "code"),
    [
        ({"permissions": ()}, Invalid, "permissions", "INVALID_PERMISSIONS"),
        ({"permissions": ("event:delete",)}, Invalid, "permissions", "INVALID_PERMISSIONS"),
        ({"name": ""}, Invalid, "name", "INVALID_NAME"),
        ({"service_account_id": "sva_none"}, NotFound, "serviceAccountId", "NOT_FOUND"),
        ({"permissions": ("user:write",)}, BeyondOwnPermissions, "permissions", None),
    ],
)
async def test_a_wrong_key_is_refused(database, clock, fields, error, field, code):
    made = await make.tenant(clock)
    command = CreateApiKey(**{"name": "k", "permissions": ("event:write",)} | fields)
    holding = PERMISSIONS - {"user:write"}
    action = api_keys.create(make.production(made), command, **acting(clock, holding))
    await refused(error, action, field=field, code=code or "BEYOND_OWN_PERMISSIONS")


async def test_a_key_cannot_expire_before_it_begins(database, clock):
    made = await make.tenant(clock)
    command = CreateApiKey(name="k", permissions=("event:write",), expires_at=clock.now())
    action = api_keys.create(make.production(made), command, **acting(clock))
    await refused(Invalid, action, field="expiresAt", code="INVALID_EXPIRES_AT")


async def test_no_key_is_made_in_a_closed_environment_or_for_a_closed_account(database, clock):
    made = await make.tenant(clock)
    robot = await make.account(made, clock)
    await service_accounts.archive(whole(made.tenant.id), robot.id, **acting(clock))
    command = CreateApiKey(name="k", permissions=("event:write",), service_account_id=robot.id)
    action = api_keys.create(make.production(made), command, **acting(clock))
    await refused(Archived, action)
    development = make.development(made)
    await environments.archive(development, made.development.id, by=SYSTEM, at=clock.now())
    command = CreateApiKey(name="k", permissions=("event:write",))
    await refused(Archived, api_keys.create(development, command, **acting(clock)))


async def test_a_revoked_key_stays_revoked(database, clock):
    made = await make.tenant(clock)
    scope = make.production(made)
    key = (await make.key(scope, clock)).key
    revoked = await api_keys.revoke(scope, key.id, by=SYSTEM, at=clock.now())
    assert revoked.revoked_at == clock.now()
    assert revoked.status(clock.now()) is ApiKeyStatus.REVOKED
    await refused(KeyRevoked, api_keys.revoke(scope, key.id, by=SYSTEM, at=clock.now()))
    rotation = api_keys.rotate(scope, key.id, overlap=DAY, **acting(clock))
    await refused(KeyRevoked, rotation)


async def test_rotating_gives_a_successor_and_lets_the_old_key_run_out(database, clock):
    made = await make.tenant(clock)
    scope = make.production(made)
    key = (await make.key(scope, clock, expires_at=clock.now() + 90 * DAY)).key
    clock.at += 30 * DAY
    successor = await api_keys.rotate(scope, key.id, overlap=DAY, **acting(clock))
    assert successor.key.rotated_from == key.id
    assert (successor.key.name, successor.key.permissions) == (key.name, key.permissions)
    assert successor.key.expires_at == clock.now() + 90 * DAY
    assert (await key_reads.get(scope, key.id)).expires_at == clock.now() + DAY
    clock.at += DAY
    await refused(KeyExpired, api_keys.rotate(scope, key.id, overlap=DAY, **acting(clock)))


async def test_an_overlap_never_lengthens_a_key_and_nothing_ends_without_one(database, clock):
    made = await make.tenant(clock)
    scope = make.production(made)
    short = (await make.key(scope, clock, expires_at=clock.now() + DAY)).key
    await api_keys.rotate(scope, short.id, overlap=7 * DAY, **acting(clock))
    assert (await key_reads.get(scope, short.id)).expires_at == short.expires_at
    endless = (await make.key(scope, clock)).key
    successor = await api_keys.rotate(scope, endless.id, overlap=0 * DAY, **acting(clock))
    assert successor.key.expires_at is None
    old = await key_reads.get(scope, endless.id)
    assert old.status(clock.now()) is ApiKeyStatus.EXPIRED


async def test_a_rotation_that_cannot_be_is_refused(database, clock):
    made = await make.tenant(clock)
    scope = make.production(made)
    key = (await make.key(scope, clock, permissions=("user:write",))).key
    for overlap in (-DAY, 31 * DAY):
        action = api_keys.rotate(scope, key.id, overlap=overlap, **acting(clock))
        await refused(Invalid, action, field="overlapSeconds")
    holding = BUILT_IN["developer"]
    action = api_keys.rotate(scope, key.id, overlap=DAY, **acting(clock, holding))
    await refused(BeyondOwnPermissions, action)
    action = api_keys.rotate(make.development(made), key.id, overlap=DAY, **acting(clock))
    await refused(NotFound, action)
    action = api_keys.revoke(make.development(made), key.id, by=SYSTEM, at=clock.now())
    await refused(NotFound, action)


async def test_keys_are_listed_in_their_environment_only(database, clock):
    made = await make.tenant(clock)
    key = (await make.key(make.production(made), clock)).key
    await make.key(make.development(made), clock)
    page = await key_reads.page(make.production(made), PageRequest(search=key.prefix))
    assert page.rows == [key]
    assert await key_reads.by_ids(make.development(made), [key.id]) == {}
