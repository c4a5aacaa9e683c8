"""Every action leaves one entry, in the transaction that does it; what is undone leaves none."""

import inspect
import pkgutil
from datetime import timedelta
from decimal import Decimal
from importlib import import_module

import pytest

from app.infra.postgres import system, writing
from app.kernel.listing import Condition, PageRequest
from app.kernel.scope import Actor
from app.tenants import actions, audit
from app.tenants.actions import (
    api_keys,
    environments,
    passwords,
    roles,
    service_accounts,
    sessions,
    tenants,
    users,
)
from app.tenants.commands import (
    AcceptInvitation,
    ChangePassword,
    CreateApiKey,
    CreateEnvironment,
    CreateRole,
    CreateServiceAccount,
    CreateTenant,
    CreateUser,
    InviteUser,
    LogIn,
    SignUp,
)
from app.tenants.reads import audit_entries
from app.tenants.role import PERMISSIONS
from app.tenants.tenant import EnvironmentType, whole
from tests.statements import statements
from tests.tenants import make
from tests.tenants.test_sessions import AUTH

BY = Actor("user", "usr_auditor", "req_audit")
# Modules of what actions share: they are called inside of one.
SHARED = {"grants", "inputs", "journal", "locks", "revoking"}


class Story:
    """Does every action once, and writes down what the audit log got from each."""

    def __init__(self, clock):
        self.clock, self.seen, self.done = clock, [], set()

    @property
    def recording(self):
        return {"by": BY, "at": self.clock.now()}

    @property
    def acting(self):
        return {"holding": PERMISSIONS, **self.recording}

    @property
    def unsigned(self):
        return {"request_id": "req_audit", "at": self.clock.now()}

    async def do(self, function, *args, **kwargs):
        async with system() as connection:
            last = await connection.fetchval("SELECT max(id) FROM audit_entries") or ""
            told = await connection.fetchval("SELECT max(position) FROM outbox") or 0
        result = await function(*args, **kwargs)
        async with system() as connection:
            entries = await connection.fetch(
                "SELECT *, xmin::text AS version FROM audit_entries WHERE id > $1", last
            )
            events = await connection.fetch(
                "SELECT name, xmin::text AS version FROM outbox WHERE position > $1", told
            )
        self.done.add(f"{function.__module__}.{function.__name__}")
        assert len(entries) == 1, f"{function.__name__}: {len(entries)} entries"
        # One transaction wrote both: a version is the id of the transaction that made it.
        assert {event["version"] for event in events} <= {entries[0]["version"]}
        assert entries[0]["at"] == self.clock.now()
        assert entries[0]["request_id"] == "req_audit"
        self.seen.append((entries[0]["action"], tuple(event["name"] for event in events)))
        return result

    async def tell(self):
        made = await self._tenant()
        scope = whole(made.tenant.id)
        role = await self._roles(scope)
        await self._people(scope, made.owner.id, role)
        await self._environments(scope)
        await self._keys(make.production(made))
        await self._sessions(made)

    async def _tenant(self):
        owner = CreateUser(email=make.address(), name="Ada", password=make.PASSWORD)
        command = CreateTenant(name="Acme", owner=owner)
        made = await self.do(tenants.create, command, **self.recording)
        scope = whole(made.tenant.id)
        await self.do(tenants.update, scope, {"name": "Acme Two"}, **self.recording)
        await self.do(tenants.suspend, scope, **self.recording)
        await self.do(tenants.reactivate, scope, **self.recording)
        return made

    async def _roles(self, scope):
        command = CreateRole(name="auditor", permissions=("audit:read",))
        role = await self.do(roles.create, scope, command, **self.acting)
        patch = {"permissions": ["audit:read", "user:read"]}
        await self.do(roles.update, scope, role.id, patch, **self.acting)
        await self.do(roles.archive, scope, role.id, **self.recording)
        await self.do(roles.restore, scope, role.id, **self.recording)
        return role

    async def _people(self, scope, owner, role):
        new = {"email": make.address(), "name": "Bob"}
        command = CreateUser(**new, password=make.PASSWORD)
        user = await self.do(users.create, scope, command, **self.acting)
        await self.do(users.update, scope, user.id, {"name": "Bobby"}, **self.acting)
        await self.do(roles.assign, scope, user.id, role.id, **self.acting)
        await self.do(roles.unassign, scope, user.id, role.id, **self.acting)
        await self.do(users.archive, scope, user.id, **self.acting)
        await self.do(users.restore, scope, user.id, **self.acting)
        command = InviteUser(email=make.address(), name="Eve")
        invited = await self.do(users.invite, scope, command, **self.acting)
        again = await self.do(users.invite_again, scope, invited.user.id, **self.acting)
        command = AcceptInvitation(token=again.token, password=make.PASSWORD)
        await self.do(passwords.accept_invitation, command, **self.unsigned)
        command = CreateServiceAccount(name="robot")
        robot = await self.do(service_accounts.create, scope, command, **self.acting)
        patch = {"name": "loader"}
        await self.do(service_accounts.update, scope, robot.id, patch, **self.acting)
        await self.do(service_accounts.archive, scope, robot.id, **self.acting)
        await self.do(service_accounts.restore, scope, robot.id, **self.acting)

    async def _environments(self, scope):
        command = CreateEnvironment(name="Staging", type=EnvironmentType.DEVELOPMENT)
        one = await self.do(environments.create, scope, command, **self.recording)
        await self.do(environments.update, scope, one.id, {"name": "Test"}, **self.recording)
        await self.do(environments.archive, scope, one.id, **self.recording)
        await self.do(environments.restore, scope, one.id, **self.recording)

    async def _keys(self, scope):
        patch = {"invoice": {"due_days": 14}}
        await self.do(environments.update_settings, scope, patch, **self.recording)
        command = CreateApiKey(name="k", permissions=("event:write",))
        made = await self.do(api_keys.create, scope, command, **self.acting)
        overlap = timedelta(days=1)
        await self.do(api_keys.rotate, scope, made.key.id, overlap=overlap, **self.acting)
        await self.do(api_keys.revoke, scope, made.key.id, **self.recording)

    async def _sessions(self, made):
        command = LogIn(email=made.owner.email, password=make.PASSWORD)
        signed_in = await self.do(sessions.log_in, AUTH, command, address=None, **self.unsigned)
        signed_in = await self.do(sessions.refresh, AUTH, signed_in.refresh_token, **self.unsigned)
        await self.do(
            passwords.change,
            whole(made.tenant.id),
            made.owner.id,
            ChangePassword(current=make.PASSWORD, new="another horse altogether"),
            keep_session=signed_in.session_id,
            **self.recording,
        )
        await self.do(sessions.log_out, signed_in.refresh_token, **self.unsigned)
        command = SignUp(tenant="B", email=make.address(), name="Z", password=make.PASSWORD)
        await self.do(sessions.sign_up, AUTH, command, address=None, **self.unsigned)


def verbs():
    """Every public coroutine of the action modules."""
    found = set()
    for module in pkgutil.iter_modules(actions.__path__):
        if module.name in SHARED:
            continue
        loaded = import_module(f"{actions.__name__}.{module.name}")
        found |= {
            f"{loaded.__name__}.{name}"
            for name, value in vars(loaded).items()
            if inspect.iscoroutinefunction(value)
            and not name.startswith("_")
            and value.__module__ == loaded.__name__
        }
    return found


async def test_every_action_leaves_exactly_one_entry(database, clock):
    story = Story(clock)
    await story.tell()
    assert story.done == verbs()
    assert story.seen == [
        (
            "tenant.create",
            ("tenant.created", "environment.created", "environment.created", "user.created"),
        ),
        ("tenant.update", ("tenant.updated",)),
        ("tenant.suspend", ("tenant.suspended",)),
        ("tenant.reactivate", ("tenant.reactivated",)),
        ("role.create", ("role.created",)),
        ("role.update", ("role.updated",)),
        ("role.archive", ("role.archived",)),
        ("role.restore", ("role.restored",)),
        ("user.create", ("user.created",)),
        ("user.update", ("user.updated",)),
        ("role.assign", ("role.assigned",)),
        ("role.unassign", ("role.unassigned",)),
        ("user.archive", ("user.archived",)),
        ("user.restore", ("user.restored",)),
        ("user.invite", ("user.invited",)),
        ("user.invite_again", ("user.invited",)),
        ("user.join", ("user.joined",)),
        ("service_account.create", ("service_account.created",)),
        ("service_account.update", ("service_account.updated",)),
        ("service_account.archive", ("service_account.archived",)),
        ("service_account.restore", ("service_account.restored",)),
        ("environment.create", ("environment.created",)),
        ("environment.update", ("environment.updated",)),
        ("environment.archive", ("environment.archived",)),
        ("environment.restore", ("environment.restored",)),
        ("setting.update", ("setting.updated",)),
        ("api_key.create", ("api_key.created",)),
        ("api_key.rotate", ("api_key.rotated",)),
        ("api_key.revoke", ("api_key.revoked",)),
        ("session.log_in", ()),
        ("session.refresh", ()),
        ("user.change_password", ()),
        ("session.log_out", ()),
        (
            "tenant.sign_up",
            ("tenant.created", "environment.created", "environment.created", "user.created"),
        ),
    ]


class Undone(Exception):
    pass


async def do_and_undo(made, recording):
    scope = make.production(made)
    command = CreateApiKey(name="k", permissions=("event:write",))
    async with writing(scope):
        await tenants.update(scope, {"name": "X"}, **recording)
        await environments.archive(scope, made.development.id, **recording)
        await api_keys.create(scope, command, holding=PERMISSIONS, **recording)
        raise Undone


async def test_what_is_rolled_back_leaves_no_entry_and_no_event(database, clock):
    made = await make.tenant(clock)
    before = await make.snapshot()
    with pytest.raises(Undone):
        await do_and_undo(made, {"by": BY, "at": clock.now()})
    assert await make.snapshot() == before


async def entries(scope, action):
    request = PageRequest(where=Condition("action", "eq", action))
    return (await audit_entries.page(scope, request)).rows


async def test_an_entry_tells_who_did_what_to_what_and_only_what_changed(database, clock):
    made = await make.tenant(clock)
    scope = whole(made.tenant.id)
    user = await make.user(made, clock)
    clock.at += timedelta(hours=1)
    await users.update(
        scope, user.id, {"name": "Robert"}, holding=PERMISSIONS, by=BY, at=clock.now()
    )
    [entry] = await entries(scope, "user.update")
    assert (entry.at, entry.entity_id) == (clock.now(), user.id)
    assert (entry.actor_kind, entry.actor_id) == ("user", "usr_auditor")
    assert entry.request_id == "req_audit"
    stamps = (user.updated_at.isoformat(), clock.now().isoformat())
    assert entry.before == {"name": "Bob", "updated_at": stamps[0]}
    assert entry.after == {"name": "Robert", "updated_at": stamps[1]}
    assert await audit_entries.get(scope, entry.id) == entry


async def test_many_entries_take_one_statement_and_keep_their_order(database, clock):
    scope = make.production(await make.tenant(clock))
    noted = [
        audit.Entry("meter.create", "mtr_1", after={"name": "A", "price": Decimal("1.50")}),
        audit.Entry("meter.update", "mtr_1", before={"a": 1, "b": 2}, after={"a": 1, "c": 3}),
        audit.Entry("meter.archive", "mtr_2"),
    ]
    for count in (0, 1, 3):

        async def work(count=count):
            await audit.record_many(scope, BY, noted[:count], at=clock.now())

        assert len(await statements(scope, work)) == min(count, 1)
    found = sorted((await audit_entries.page(scope, PageRequest())).rows, key=lambda e: e.id)
    assert [(e.action, e.entity_id, e.before, e.after) for e in found[1:]] == [
        ("meter.create", "mtr_1", None, {"name": "A", "price": "1.5"}),
        ("meter.update", "mtr_1", {"b": 2}, {"c": 3}),
        ("meter.archive", "mtr_2", None, None),
    ]
    assert {(e.at, e.actor_id, e.request_id) for e in found} == {
        (clock.now(), BY.id, BY.request_id)
    }


async def test_the_log_of_an_environment_and_of_the_tenant_are_apart(database, clock):
    made = await make.tenant(clock)
    created = await make.key(make.production(made), clock)
    [entry] = (await audit_entries.page(make.production(made), PageRequest())).rows
    assert (entry.action, entry.entity_id) == ("api_key.create", created.key.id)
    assert (await audit_entries.page(make.development(made), PageRequest())).rows == []
    [entry] = (await audit_entries.page(whole(made.tenant.id), PageRequest())).rows
    assert (entry.action, entry.entity_id) == ("tenant.create", made.tenant.id)


async def test_no_entry_holds_a_secret(database, clock):
    story = Story(clock)
    await story.tell()
    async with system() as connection:
        texts = await connection.fetch(
            "SELECT concat(before::text, after::text) FROM audit_entries"
        )
        hashes = await connection.fetch(
            "SELECT secret_hash FROM api_keys UNION SELECT password_hash FROM users "
            "WHERE password_hash IS NOT NULL UNION SELECT hash FROM refresh_tokens "
            "UNION SELECT invitation_hash FROM users WHERE invitation_hash IS NOT NULL"
        )
    log = " ".join(row[0] for row in texts)
    for secret in (make.PASSWORD, "another horse", "$argon2", *(row[0] for row in hashes)):
        assert secret not in log


def test_only_rows_and_mappings_are_told_of():
    with pytest.raises(TypeError):
        audit.facts("a sentence")
