"""Signing up, in and out; refreshing; setting passwords."""

import asyncio
import time
from datetime import timedelta

import pytest

from app.config import Auth
from app.infra.postgres import fetch, system
from app.kernel.errors import AlreadyExists, Denied, Invalid, Unauthenticated
from app.kernel.scope import SYSTEM
from app.tenants import passwords, throttle
from app.tenants.actions import passwords as password_actions
from app.tenants.actions import sessions, tenants, users
from app.tenants.commands import AcceptInvitation, ChangePassword, LogIn, SignUp
from app.tenants.errors import SignupDisabled, TenantSuspended, TooManyAttempts
from app.tenants.reads import tenants as tenant_reads
from app.tenants.reads import users as user_reads
from app.tenants.role import PERMISSIONS
from app.tenants.tenant import whole
from app.tenants.user import PrincipalStatus
from tests.tenants import make
from tests.tenants.refusal import refused

AUTH = Auth(jwt_secret="a secret of at least 32 characters", refresh_token_seconds=3600)


def sign_up(clock, *, auth=AUTH, address=None, **fields):
    values = {"tenant": "Acme", "email": make.address(), "name": "Ada", "password": make.PASSWORD}
    return sessions.sign_up(
        auth, SignUp(**values | fields), address=address, request_id="req_1", at=clock.now()
    )


def log_in(clock, email, password=make.PASSWORD, *, address=None):
    command = LogIn(email=email, password=password)
    return sessions.log_in(AUTH, command, address=address, request_id="req_1", at=clock.now())


def refresh(clock, token):
    return sessions.refresh(AUTH, token, request_id="req_1", at=clock.now())


def log_out(clock, token):
    return sessions.log_out(token, request_id="req_1", at=clock.now())


async def session_row(signed_in):
    scope = whole(signed_in.tenant_id)
    return (await fetch(scope, "SELECT * FROM sessions WHERE id = $1", signed_in.session_id))[0]


async def test_signing_up_makes_a_tenant_and_signs_its_owner_in(database, clock):
    email = make.address()
    signed_in = await sign_up(clock, email=email)
    scope = whole(signed_in.tenant_id)
    assert (await tenant_reads.get(scope)).name == "Acme"
    user = await user_reads.get(scope, signed_in.user_id)
    assert (user.email, user.roles) == (email, ("owner",))
    assert (await session_row(signed_in))["user_id"] == user.id
    audit = await fetch(scope, "SELECT action, actor_id, request_id FROM audit_entries")
    assert [tuple(row) for row in audit] == [("tenant.sign_up", user.id, "req_1")]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"tenant": " "}, "tenant"),
        ({"name": ""}, "name"),
        ({"email": "ada"}, "email"),
        ({"password": "short"}, "password"),
    ],
)
async def test_a_wrong_sign_up_is_refused(database, clock, fields, field):
    await refused(Invalid, sign_up(clock, **fields), field=field)


async def test_signing_up_can_be_turned_off(database, clock):
    auth = Auth(jwt_secret=AUTH.jwt_secret, signup_enabled=False)
    await refused(SignupDisabled, sign_up(clock, auth=auth))


async def test_an_address_signs_up_once_also_when_two_try_at_once(database, clock):
    email = make.address()
    outcomes = await asyncio.gather(
        sign_up(clock, email=email), sign_up(clock, email=email.upper()), return_exceptions=True
    )
    assert sorted(type(one).__name__ for one in outcomes) == ["AlreadyExists", "SignedIn"]
    await refused(AlreadyExists, sign_up(clock, email=email), field="email")


async def test_logging_in_opens_a_session_and_tokens_are_kept_as_hashes(database, clock):
    made = await make.owned_tenant(clock)
    signed_in = await log_in(clock, f" {made.owner.email.upper()} ")
    assert signed_in.refresh_expires_at == clock.now() + timedelta(seconds=3600)
    rows = await fetch(whole(made.tenant.id), "SELECT * FROM refresh_tokens")
    assert signed_in.refresh_token not in str([dict(row) for row in rows])
    assert signed_in.refresh_token not in repr(signed_in)
    assert signed_in.access_token not in repr(signed_in)


async def test_every_failure_to_log_in_is_the_same_answer(database, clock):
    made = await make.owned_tenant(clock)
    invited = (await make.invited(made, clock)).user
    gone = await make.user(made, clock)
    scope = whole(made.tenant.id)
    await users.archive(scope, gone.id, holding=PERMISSIONS, by=SYSTEM, at=clock.now())
    answers = set()
    for email, password in (
        (made.owner.email, "wrong password"),
        (made.owner.email, ""),
        (made.owner.email, "x" * 10_000),
        (made.owner.email, "\ud800" * 12),
        (make.address(), make.PASSWORD),
        ("not an address", make.PASSWORD),
        ("\x00@example.com", make.PASSWORD),
        ("\ud800@example.com", make.PASSWORD),
        (invited.email, make.PASSWORD),
        (gone.email, make.PASSWORD),
    ):
        before = await make.snapshot()
        with pytest.raises(Unauthenticated) as refusal:
            await log_in(clock, email, password)
        answers.add((refusal.value.code, refusal.value.message, refusal.value.field))
        assert await make.snapshot() == before
    assert answers == {("INVALID_CREDENTIALS", "the e-mail address or the password is wrong", None)}


async def test_an_unknown_address_costs_as_much_work_as_a_wrong_password(database, clock):
    made = await make.owned_tenant(clock)

    async def work(email):
        costs = []
        for _ in range(3):
            before = time.process_time()  # the processor's time: others share the machine
            with pytest.raises(Unauthenticated):
                await log_in(clock, email, "wrong password")
            costs.append(time.process_time() - before)
        return min(costs)

    wrong, unknown = await work(made.owner.email), await work(make.address())
    assert 0.6 < unknown / wrong < 1.7


async def test_a_password_typed_in_another_unicode_form_is_the_same(database, clock):
    composed, decomposed = "café au lait noir", "cafe\u0301 au lait noir"
    signed_up = await sign_up(clock, email=(email := make.address()), password=composed)
    assert (await log_in(clock, email, decomposed)).user_id == signed_up.user_id


async def test_a_hash_of_weaker_parameters_is_replaced_at_the_next_log_in(
    database, clock, monkeypatch
):
    weaker = passwords.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    made = await make.owned_tenant(clock)
    scope, user = whole(made.tenant.id), made.owner
    async with system() as connection:
        await connection.execute(
            "UPDATE users SET password_hash = $1 WHERE id = $2",
            weaker.hash(make.PASSWORD),
            user.id,
        )
    await log_in(clock, user.email)
    stored = await fetch(scope, "SELECT password_hash FROM users WHERE id = $1", user.id)
    assert "m=65536,t=3,p=4" in stored[0]["password_hash"]
    await log_in(clock, user.email)


async def test_too_many_wrong_passwords_stop_also_the_right_one_until_the_window_ends(
    database, clock
):
    made = await make.owned_tenant(clock)
    email, here, there = made.owner.email, make.address(), make.address()
    for _ in range(throttle.PER_EMAIL_AND_ADDRESS):
        with pytest.raises(Unauthenticated):
            await log_in(clock, email, "wrong password", address=here)
    clock.at += timedelta(minutes=5)
    await refused(
        TooManyAttempts,
        log_in(clock, email, address=here),
        code="TOO_MANY_ATTEMPTS",
        retry_after_seconds=600,
    )
    assert (await log_in(clock, email, address=there)).user_id == made.owner.id
    clock.at += timedelta(minutes=10)
    assert (await log_in(clock, email, address=here)).user_id == made.owner.id


async def test_an_unknown_address_is_throttled_just_the_same(database, clock):
    email, here = make.address(), make.address()
    for _ in range(throttle.PER_EMAIL_AND_ADDRESS):
        with pytest.raises(Unauthenticated):
            await log_in(clock, email, address=here)
    await refused(TooManyAttempts, log_in(clock, email, address=here))


async def test_attempts_at_once_count_as_many(database, clock):
    limits = throttle.login_limits(make.address(), make.address())
    outcomes = await asyncio.gather(
        *(throttle.attempt(limits, at=clock.now()) for _ in range(25)), return_exceptions=True
    )
    passed = [one for one in outcomes if one is None]
    assert len(passed) == throttle.PER_EMAIL_AND_ADDRESS
    assert all(isinstance(one, TooManyAttempts) for one in outcomes if one is not None)


async def test_a_network_address_and_an_account_have_limits_of_their_own(database, clock):
    here, email = make.address(), make.address()
    for _ in range(throttle.PER_ADDRESS):
        await throttle.attempt(throttle.login_limits(make.address(), here), at=clock.now())
    with pytest.raises(TooManyAttempts):
        await throttle.attempt(throttle.login_limits(make.address(), here), at=clock.now())
    for number in range(throttle.PER_EMAIL):
        limits = throttle.login_limits(email, f"{here}{number}")
        await throttle.attempt(limits, at=clock.now())
    with pytest.raises(TooManyAttempts):
        await throttle.attempt(throttle.login_limits(email, "elsewhere"), at=clock.now())


async def test_signing_up_is_throttled_by_network_address(database, clock):
    here = make.address()
    for _ in range(throttle.SIGNUPS_PER_ADDRESS):
        await throttle.attempt(throttle.signup_limits(here), at=clock.now())
    await refused(TooManyAttempts, sign_up(clock, address=here))


async def test_attempts_are_forgotten_after_their_window(database, clock):
    limits = throttle.login_limits(make.address(), make.address())
    await throttle.attempt(limits, at=clock.now())
    clock.at += throttle.WINDOW
    for _ in range(10):  # each attempt sweeps a hundred; other tests have left some
        await throttle.attempt(throttle.signup_limits(make.address()), at=clock.now())
    async with system() as connection:
        left = await connection.fetchval(
            "SELECT count(*) FROM login_attempts WHERE key = ANY($1)", list(limits)
        )
    assert left == 0


async def test_a_refresh_token_works_once_and_gives_the_next(database, clock):
    made = await make.owned_tenant(clock)
    first = await log_in(clock, made.owner.email)
    clock.at += timedelta(seconds=3599)
    second = await refresh(clock, first.refresh_token)
    assert (second.session_id, second.user_id) == (first.session_id, first.user_id)
    assert second.refresh_token != first.refresh_token
    assert (await session_row(first))["expires_at"] == clock.now() + timedelta(seconds=3600)
    clock.at += timedelta(seconds=3600)
    await refused(Unauthenticated, refresh(clock, second.refresh_token))


async def test_used_tokens_are_kept_until_they_would_have_expired(database, clock):
    made = await make.owned_tenant(clock)
    token = (await log_in(clock, made.owner.email)).refresh_token
    kept = []
    for _ in range(3):
        clock.at += timedelta(seconds=1800)
        token = (await refresh(clock, token)).refresh_token
        rows = await fetch(whole(made.tenant.id), "SELECT used_at FROM refresh_tokens")
        kept.append(len(rows))
    assert kept == [2, 2, 2]


async def test_a_refresh_token_used_twice_ends_the_session_for_both(database, clock):
    made = await make.owned_tenant(clock)
    first = await log_in(clock, made.owner.email)
    second = await refresh(clock, first.refresh_token)
    with pytest.raises(Unauthenticated) as reused:
        await refresh(clock, first.refresh_token)
    assert reused.value.code == "INVALID_REFRESH_TOKEN"
    row = await session_row(first)
    assert (row["revoked_at"], row["revoked_because"]) == (clock.now(), "refresh_token_reused")
    await refused(Unauthenticated, refresh(clock, second.refresh_token))
    audit = await fetch(
        whole(made.tenant.id),
        "SELECT action FROM audit_entries WHERE entity_id = $1 ORDER BY id",
        first.session_id,
    )
    assert [row["action"] for row in audit] == [
        "session.log_in",
        "session.refresh",
        "session.reuse_detected",
    ]


async def test_of_two_refreshes_at_once_one_wins_and_the_session_ends(database, clock):
    made = await make.owned_tenant(clock)
    first = await log_in(clock, made.owner.email)
    outcomes = await asyncio.gather(
        *(refresh(clock, first.refresh_token) for _ in range(2)), return_exceptions=True
    )
    assert sorted(type(one).__name__ for one in outcomes) == ["SignedIn", "Unauthenticated"]
    assert (await session_row(first))["revoked_because"] == "refresh_token_reused"
    winner = next(one for one in outcomes if isinstance(one, sessions.SignedIn))
    await refused(Unauthenticated, refresh(clock, winner.refresh_token))


@pytest.mark.parametrize("token", ["", "tr_" + "x" * 43, "\x00", "\ud800", "é" * 500])
async def test_an_unknown_refresh_token_is_refused(database, clock, token):
    await refused(Unauthenticated, refresh(clock, token), code="INVALID_REFRESH_TOKEN")
    await refused(Unauthenticated, log_out(clock, token), code="INVALID_REFRESH_TOKEN")


async def test_logging_out_ends_the_session_once(database, clock):
    made = await make.owned_tenant(clock)
    signed_in = await log_in(clock, made.owner.email)
    await log_out(clock, signed_in.refresh_token)
    assert (await session_row(signed_in))["revoked_because"] == "logged_out"
    await refused(Unauthenticated, log_out(clock, signed_in.refresh_token))
    await refused(Unauthenticated, refresh(clock, signed_in.refresh_token))


async def test_an_archived_user_refreshes_no_more_not_even_when_restored(database, clock):
    made = await make.owned_tenant(clock)
    user, scope = await make.user(made, clock), whole(made.tenant.id)
    signed_in = await log_in(clock, user.email)
    acting = {"holding": PERMISSIONS, "by": SYSTEM, "at": clock.now()}
    await users.archive(scope, user.id, **acting)
    await refused(Unauthenticated, refresh(clock, signed_in.refresh_token))
    await users.restore(scope, user.id, **acting)
    await refused(Unauthenticated, refresh(clock, signed_in.refresh_token))
    assert (await log_in(clock, user.email)).user_id == user.id


def accept(clock, token, password=make.PASSWORD):
    command = AcceptInvitation(token=token, password=password)
    return password_actions.accept_invitation(command, request_id="req_1", at=clock.now())


async def test_an_invitation_sets_a_password_once(database, clock):
    made = await make.tenant(clock)
    invitation = await make.invited(made, clock)
    await refused(Invalid, accept(clock, invitation.token, "short"), field="password")
    user = await accept(clock, invitation.token)
    assert user.status is PrincipalStatus.ACTIVE
    assert (await log_in(clock, user.email)).user_id == user.id
    await refused(Unauthenticated, accept(clock, invitation.token), code="INVALID_INVITATION")


async def test_an_invitation_ends_with_time_and_with_the_next_one(database, clock):
    made = await make.tenant(clock)
    old = await make.invited(made, clock)
    new = await users.invite_again(
        whole(made.tenant.id), old.user.id, holding=PERMISSIONS, by=SYSTEM, at=clock.now()
    )
    await refused(Unauthenticated, accept(clock, old.token))
    clock.at += users.INVITATION_LASTS
    await refused(Unauthenticated, accept(clock, new.token))
    for token in ("", "ti_unknown", "\x00", "\ud800"):
        await refused(Unauthenticated, accept(clock, token))


async def test_two_acceptances_at_once_set_one_password(database, clock):
    made = await make.tenant(clock)
    invitation = await make.invited(made, clock)
    outcomes = await asyncio.gather(
        *(accept(clock, invitation.token) for _ in range(2)), return_exceptions=True
    )
    assert sorted(type(one).__name__ for one in outcomes) == ["Unauthenticated", "User"]


async def test_nobody_joins_a_suspended_tenant(database, clock):
    made = await make.tenant(clock)
    invitation = await make.invited(made, clock)
    await tenants.suspend(whole(made.tenant.id), by=SYSTEM, at=clock.now())
    await refused(TenantSuspended, accept(clock, invitation.token))


def change(clock, made, current, new, *, keep=""):
    command = ChangePassword(current=current, new=new)
    return password_actions.change(
        whole(made.tenant.id),
        made.owner.id,
        command,
        keep_session=keep,
        by=SYSTEM,
        at=clock.now(),
    )


async def test_changing_the_password_ends_every_other_session(database, clock):
    made = await make.owned_tenant(clock)
    kept, other = [await log_in(clock, made.owner.email) for _ in range(2)]
    new = "another horse altogether"
    await change(clock, made, make.PASSWORD, new, keep=kept.session_id)
    await refresh(clock, kept.refresh_token)
    await refused(Unauthenticated, refresh(clock, other.refresh_token))
    await refused(Unauthenticated, log_in(clock, made.owner.email))
    assert (await log_in(clock, made.owner.email, new)).user_id == made.owner.id


async def test_a_wrong_change_of_password_changes_nothing(database, clock):
    made = await make.owned_tenant(clock)
    await refused(
        Denied,
        change(clock, made, "wrong password", "another horse altogether"),
        field="current",
        code="WRONG_PASSWORD",
    )
    await refused(Invalid, change(clock, made, make.PASSWORD, "short"), field="new")
    outcomes = await asyncio.gather(
        *(change(clock, made, make.PASSWORD, f"a new password {n}") for n in range(2)),
        return_exceptions=True,
    )
    assert sorted(type(one).__name__ for one in outcomes) == ["Denied", "NoneType"]
