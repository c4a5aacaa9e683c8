"""Users, service accounts and roles: every verb, every refusal, and no way to more power."""

import asyncio

import pytest

from app.infra.postgres import fetch
from app.kernel.errors import AlreadyExists, Invalid, NotFound
from app.kernel.listing import Condition, PageRequest
from app.kernel.scope import SYSTEM
from app.tenants.actions import roles, service_accounts, users
from app.tenants.commands import CreateRole, CreateServiceAccount, CreateUser, InviteUser
from app.tenants.errors import (
    AlreadyAssigned,
    Archived,
    BeyondOwnPermissions,
    LastOwner,
    NotArchived,
    NotAssigned,
    RoleInUse,
)
from app.tenants.reads import roles as role_reads
from app.tenants.reads import service_accounts as account_reads
from app.tenants.reads import users as user_reads
from app.tenants.role import BUILT_IN, PERMISSIONS, READS, WRITES
from app.tenants.tenant import whole
from app.tenants.user import PrincipalStatus
from tests.tenants import make
from tests.tenants.refusal import refused

VIEWER = BUILT_IN["viewer"]


def acting(clock, holding=PERMISSIONS):
    return {"holding": holding, "by": SYSTEM, "at": clock.now()}


def recording(clock):
    return {"by": SYSTEM, "at": clock.now()}


def test_built_in_roles_say_what_they_promise():
    assert BUILT_IN["owner"] == PERMISSIONS == READS | WRITES
    assert BUILT_IN["viewer"] == READS
    assert BUILT_IN["event_ingestor"] == {"event:write"}
    assert "tenant:write" not in BUILT_IN["admin"]
    assert {"user:write", "role:write", "api_key:write"} & BUILT_IN["billing"] == set()
    assert {"user:write", "role:write", "invoice:write"} & BUILT_IN["developer"] == set()
    assert all(given <= PERMISSIONS for given in BUILT_IN.values())


async def test_a_user_is_created_changed_archived_and_restored(database, clock):
    made = await make.tenant(clock)
    scope, email = whole(made.tenant.id), make.address()
    user = await make.user(made, clock, email=email.upper(), user_roles=("viewer", "billing"))
    assert (user.email, user.roles) == (email, ("billing", "viewer"))
    assert user.status is PrincipalStatus.ACTIVE
    assert await user_reads.get(make.development(made), user.id) == user
    other = make.address()
    changed = await users.update(scope, user.id, {"email": other}, **acting(clock))
    assert (changed.email, changed.name) == (other, "Bob")
    archived = await users.archive(scope, user.id, **acting(clock))
    assert (archived.status, archived.archived_at) == (PrincipalStatus.ARCHIVED, clock.now())
    restored = await users.restore(scope, user.id, **acting(clock))
    assert (restored.status, restored.roles) == (PrincipalStatus.ACTIVE, ("billing", "viewer"))


async def test_a_password_is_stored_as_argon2id_only(database, clock):
    made = await make.tenant(clock)
    user = await make.user(made, clock)
    row = (await fetch(whole(made.tenant.id), "SELECT * FROM users WHERE id = $1", user.id))[0]
    assert row["password_hash"].startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert make.PASSWORD not in str(dict(row))


async def test_an_invited_user_has_no_password_and_one_token(database, clock):
    made = await make.tenant(clock)
    scope = whole(made.tenant.id)
    first = await make.invited(made, clock, user_roles=("viewer",))
    assert first.user.status is PrincipalStatus.INVITED
    assert first.expires_at == clock.now() + users.INVITATION_LASTS
    second = await users.invite_again(scope, first.user.id, **acting(clock))
    assert second.token != first.token
    stored = (await fetch(scope, "SELECT * FROM users WHERE id = $1", first.user.id))[0]
    assert first.token not in str(dict(stored))
    assert second.token not in str(dict(stored))
    assert second.token not in repr(second)


@pytest.mark.parametrize(
    ("fields", "field", "code"),
    [
        ({"email": "nobody"}, "email", "INVALID_EMAIL"),
        ({"name": " "}, "name", "INVALID_NAME"),
        ({"password": "eleven char"}, "password", "INVALID_PASSWORD"),
        ({"password": "x" * 257}, "password", "INVALID_PASSWORD"),
        ({"password": "\ud800" * 20}, "password", "INVALID_PASSWORD"),
        ({"roles": ("emperor",)}, "roles", "INVALID_ROLES"),
        ({"roles": ("rol_01JD0000000000000000000000",)}, "roles", "INVALID_ROLES"),
    ],
)
async def test_a_wrong_user_is_refused(database, clock, fields, field, code):
    made = await make.tenant(clock)
    values = {"email": make.address(), "name": "Bob", "password": make.PASSWORD} | fields
    action = users.create(whole(made.tenant.id), CreateUser(**values), **acting(clock))
    await refused(Invalid, action, field=field, code=code)


async def test_an_address_belongs_to_one_user_until_archived(database, clock):
    made, other = await make.tenant(clock), await make.tenant(clock, name="Other")
    user = await make.user(made, clock)
    elsewhere = whole(other.tenant.id)
    command = InviteUser(email=user.email.swapcase(), name="Eve")
    await refused(AlreadyExists, users.invite(elsewhere, command, **acting(clock)), field="email")
    second = await make.user(made, clock)
    patch = {"email": user.email}
    action = users.update(whole(made.tenant.id), second.id, patch, **acting(clock))
    await refused(AlreadyExists, action, field="email")
    await users.archive(whole(made.tenant.id), user.id, **acting(clock))
    await users.invite(elsewhere, command, **acting(clock))
    action = users.restore(whole(made.tenant.id), user.id, **acting(clock))
    await refused(AlreadyExists, action, field="email")


async def test_two_creations_of_one_address_at_once_make_one_user(database, clock):
    made = [await make.tenant(clock, name=name) for name in ("One", "Two")]
    email = make.address()
    outcomes = await asyncio.gather(
        *(make.user(one, clock, email=email) for one in made), return_exceptions=True
    )
    assert sorted(type(one).__name__ for one in outcomes) == ["AlreadyExists", "User"]
    found = [
        await user_reads.page(whole(one.tenant.id), PageRequest(with_total=True)) for one in made
    ]
    assert sum(page.total for page in found) == 1


async def test_users_that_cannot_be_acted_upon(database, clock):
    made = await make.tenant(clock)
    scope = whole(made.tenant.id)
    user = await make.user(made, clock)
    await refused(NotArchived, users.restore(scope, user.id, **acting(clock)))
    await users.archive(scope, user.id, **acting(clock))
    for action in (
        users.archive(scope, user.id, **acting(clock)),
        users.update(scope, user.id, {"name": "X"}, **acting(clock)),
        users.invite_again(scope, user.id, **acting(clock)),
        roles.assign(scope, user.id, "viewer", **acting(clock)),
        roles.unassign(scope, user.id, "viewer", **acting(clock)),
    ):
        await refused(Archived, action)
    for action in (
        users.archive(scope, "usr_none", **acting(clock)),
        users.restore(scope, "usr_none", **acting(clock)),
        users.update(scope, "usr_none", {"name": "X"}, **acting(clock)),
        users.invite_again(scope, "usr_none", **acting(clock)),
        roles.assign(scope, "usr_none", "viewer", **acting(clock)),
        roles.unassign(scope, "usr_none", "viewer", **acting(clock)),
    ):
        await refused(NotFound, action)


async def test_nobody_gives_or_touches_more_than_they_hold(database, clock):
    made = await make.owned_tenant(clock)
    scope, owner = whole(made.tenant.id), made.owner.id
    admin = BUILT_IN["admin"]
    viewer = await make.user(made, clock, user_roles=("viewer",))
    robot = await make.account(made, clock, account_roles=("owner",))
    strong = await make.role(made, clock, name="strong", permissions=("tenant:write",))
    invite = InviteUser(email=make.address(), name="Eve", roles=("owner",))
    account = CreateServiceAccount(name="other", roles=("owner",))
    role = CreateRole(name="other", permissions=("tenant:write",))
    plain = await make.role(made, clock, name="plain")
    more = {"permissions": ["tenant:write"]}
    for action in (
        users.invite(scope, invite, **acting(clock, admin)),
        users.update(scope, owner, {"email": make.address()}, **acting(clock, admin)),
        users.invite_again(scope, owner, **acting(clock, admin)),
        users.archive(scope, owner, **acting(clock, admin)),
        service_accounts.create(scope, account, **acting(clock, admin)),
        service_accounts.archive(scope, robot.id, **acting(clock, admin)),
        service_accounts.update(scope, robot.id, {"name": "x"}, **acting(clock, admin)),
        roles.create(scope, role, **acting(clock, admin)),
        roles.update(scope, plain.id, more, **acting(clock, admin)),
        roles.update(scope, strong.id, {"name": "weak"}, **acting(clock, admin)),
        roles.assign(scope, viewer.id, "owner", **acting(clock, admin)),
        roles.assign(scope, viewer.id, strong.id, **acting(clock, admin)),
        roles.assign(scope, owner, "viewer", **acting(clock, admin)),
        roles.unassign(scope, owner, "owner", **acting(clock, admin)),
    ):
        await refused(BeyondOwnPermissions, action, code="BEYOND_OWN_PERMISSIONS")
    await users.archive(scope, viewer.id, **acting(clock))
    await roles.assign(scope, robot.id, "viewer", **acting(clock))
    await service_accounts.archive(scope, robot.id, **acting(clock))
    for action in (
        users.restore(scope, viewer.id, **acting(clock, frozenset({"user:write"}))),
        service_accounts.restore(scope, robot.id, **acting(clock, admin)),
    ):
        await refused(BeyondOwnPermissions, action)


async def test_the_last_owner_stays(database, clock):
    made = await make.owned_tenant(clock)
    scope, owner = whole(made.tenant.id), made.owner.id
    await make.invited(made, clock, user_roles=("owner",))  # cannot sign in yet: does not count
    robot = await make.account(made, clock, account_roles=("owner",))  # no person: neither
    assert robot.roles == ("owner",)
    await refused(LastOwner, users.archive(scope, owner, **acting(clock)))
    await refused(LastOwner, roles.unassign(scope, owner, "owner", **acting(clock)))
    second = await make.user(made, clock, user_roles=("owner",))
    await roles.unassign(scope, owner, "owner", **acting(clock))
    await refused(LastOwner, users.archive(scope, second.id, **acting(clock)))


async def test_two_owners_cannot_leave_at_once(database, clock):
    made = await make.owned_tenant(clock)
    scope, owner = whole(made.tenant.id), made.owner.id
    second = await make.user(made, clock, user_roles=("owner",))
    outcomes = await asyncio.gather(
        users.archive(scope, owner, **acting(clock)),
        roles.unassign(scope, second.id, "owner", **acting(clock)),
        return_exceptions=True,
    )
    assert sum(isinstance(one, LastOwner) for one in outcomes) == 1


async def test_a_service_account_lives_like_a_user(database, clock):
    made = await make.tenant(clock)
    scope = whole(made.tenant.id)
    robot = await make.account(made, clock, account_roles=("event_ingestor",))
    assert await account_reads.get(scope, robot.id) == robot
    renamed = await service_accounts.update(scope, robot.id, {"name": "loader"}, **acting(clock))
    assert (renamed.name, renamed.roles) == ("loader", ("event_ingestor",))
    archived = await service_accounts.archive(scope, robot.id, **acting(clock))
    assert archived.status is PrincipalStatus.ARCHIVED
    await refused(Archived, service_accounts.archive(scope, robot.id, **acting(clock)))
    await refused(
        Archived, service_accounts.update(scope, robot.id, {"name": "x"}, **acting(clock))
    )
    other = await make.account(made, clock, name="loader")
    await refused(
        AlreadyExists, service_accounts.restore(scope, robot.id, **acting(clock)), field="name"
    )
    await service_accounts.update(scope, other.id, {"name": "other"}, **acting(clock))
    restored = await service_accounts.restore(scope, robot.id, **acting(clock))
    assert restored.status is PrincipalStatus.ACTIVE
    await refused(NotArchived, service_accounts.restore(scope, robot.id, **acting(clock)))
    await refused(
        AlreadyExists,
        service_accounts.update(scope, other.id, {"name": "loader"}, **acting(clock)),
        field="name",
    )
    command = CreateServiceAccount(name="loader")
    await refused(
        AlreadyExists, service_accounts.create(scope, command, **acting(clock)), field="name"
    )
    for action in (
        service_accounts.update(scope, "sva_none", {"name": "x"}, **acting(clock)),
        service_accounts.archive(scope, "sva_none", **acting(clock)),
        service_accounts.restore(scope, "sva_none", **acting(clock)),
    ):
        await refused(NotFound, action)


async def test_a_role_is_made_changed_given_taken_and_archived(database, clock):
    made = await make.tenant(clock)
    scope = whole(made.tenant.id)
    role = await make.role(made, clock, permissions=("invoice:read", "audit:read", "audit:read"))
    assert role.permissions == ("audit:read", "invoice:read")
    user = await make.user(made, clock)
    holder = await roles.assign(scope, user.id, role.id, **acting(clock))
    assert holder.roles == (role.id,)
    assert await role_reads.permissions_of(scope, holder.roles) == {"audit:read", "invoice:read"}
    patch = {"permissions": ["audit:read"]}
    changed = await roles.update(scope, role.id, patch, **acting(clock))
    assert (changed.name, changed.permissions) == ("auditor", ("audit:read",))
    assert await role_reads.permissions_of(scope, holder.roles) == {"audit:read"}
    await refused(RoleInUse, roles.archive(scope, role.id, **recording(clock)), holders=1)
    await refused(AlreadyAssigned, roles.assign(scope, user.id, role.id, **acting(clock)))
    assert (await roles.unassign(scope, user.id, role.id, **acting(clock))).roles == ()
    await refused(NotAssigned, roles.unassign(scope, user.id, role.id, **acting(clock)))
    archived = await roles.archive(scope, role.id, **recording(clock))
    assert archived.archived_at == clock.now()
    await refused(
        Invalid, roles.assign(scope, user.id, role.id, **acting(clock)), code="INVALID_ROLES"
    )
    await refused(Archived, roles.update(scope, role.id, {"name": "x"}, **acting(clock)))
    await refused(Archived, roles.archive(scope, role.id, **recording(clock)))
    assert (await roles.restore(scope, role.id, **recording(clock))).archived_at is None
    await refused(NotArchived, roles.restore(scope, role.id, **recording(clock)))


@pytest.mark.parametrize(
    ("fields", "error", "field", "code"),
    [
        ({"name": "Owner"}, AlreadyExists, "name", "ALREADY_EXISTS"),
        ({"name": "auditor"}, AlreadyExists, "name", "ALREADY_EXISTS"),
        ({"name": "x" * 65}, Invalid, "name", "INVALID_NAME"),
        ({"permissions": ()}, Invalid, "permissions", "INVALID_PERMISSIONS"),
        ({"permissions": ("event:delete",)}, Invalid, "permissions", "INVALID_PERMISSIONS"),
    ],
)
async def test_a_wrong_role_is_refused(database, clock, fields, error, field, code):
    made = await make.tenant(clock)
    await make.role(made, clock)
    values = {"name": "other", "permissions": ("audit:read",)} | fields
    action = roles.create(whole(made.tenant.id), CreateRole(**values), **acting(clock))
    await refused(error, action, field=field, code=code)


async def test_a_role_cannot_be_renamed_to_one_there_is_or_found_where_there_is_none(
    database, clock
):
    made = await make.tenant(clock)
    scope = whole(made.tenant.id)
    await make.role(made, clock, name="one")
    two = await make.role(made, clock, name="two")
    for name in ("one", "admin"):
        action = roles.update(scope, two.id, {"name": name}, **acting(clock))
        await refused(AlreadyExists, action, field="name")
    for action in (
        roles.update(scope, "rol_none", {"name": "x"}, **acting(clock)),
        roles.archive(scope, "rol_none", **recording(clock)),
        roles.restore(scope, "rol_none", **recording(clock)),
    ):
        await refused(NotFound, action)


async def test_people_are_listed_and_filtered(database, clock):
    made = await make.tenant(clock)
    scope = whole(made.tenant.id)
    viewer = await make.user(made, clock, user_roles=("viewer",))
    invited = (await make.invited(made, clock)).user
    robot = await make.account(made, clock, account_roles=("viewer",))
    role = await make.role(made, clock)

    async def ids(read, field, op, value):
        request = PageRequest(where=Condition(field, op, value))
        return [row.id for row in (await read.page(scope, request)).rows]

    assert await ids(user_reads, "roles", "contains", "viewer") == [viewer.id]
    assert await ids(user_reads, "status", "eq", "invited") == [invited.id]
    assert await ids(account_reads, "roles", "contains", "viewer") == [robot.id]
    assert await ids(role_reads, "name", "eq", "auditor") == [role.id]
