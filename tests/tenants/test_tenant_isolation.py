"""Two tenants: what one has does not exist for the other, with the filters and without them."""

from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from app.infra.postgres import fetch, writing
from app.kernel.clock import FixedClock
from app.kernel.errors import Invalid, NotFound
from app.kernel.ids import new_id
from app.kernel.listing import PageRequest
from app.kernel.scope import SYSTEM, Scope
from app.tenants.actions import api_keys, environments, roles, service_accounts, sessions, users
from app.tenants.commands import CreateApiKey, InviteUser, LogIn
from app.tenants.reads import api_keys as key_reads
from app.tenants.reads import audit_entries as audit_reads
from app.tenants.reads import environments as environment_reads
from app.tenants.reads import roles as role_reads
from app.tenants.reads import service_accounts as account_reads
from app.tenants.reads import users as user_reads
from app.tenants.role import PERMISSIONS
from app.tenants.tenant import whole
from tests.clocks import make as clocks
from tests.tenants import make
from tests.tenants.refusal import refused
from tests.tenants.test_sessions import AUTH

TENANT_TABLES = [table for table in make.TABLES if table not in ("tenants", "login_attempts")]


class Furnished:
    """A tenant with one of everything."""

    async def fill(self, clock):
        self.made = await make.owned_tenant(clock)
        self.scope = make.production(self.made)
        self.user = await make.user(self.made, clock, user_roles=("viewer",))
        self.role = await make.role(self.made, clock)
        self.account = await make.account(self.made, clock)
        await clocks.clock(make.development(self.made))
        self.key = (await make.key(self.scope, clock)).key
        command = LogIn(email=self.made.owner.email, password=make.PASSWORD)
        await sessions.log_in(AUTH, command, address=None, request_id=None, at=clock.now())
        return self


@pytest.fixture(scope="module")
async def mine(database):
    return await Furnished().fill(_clock())


@pytest.fixture(scope="module")
async def theirs(database):
    return await Furnished().fill(_clock())


def _clock():
    return FixedClock(datetime(2026, 1, 15, 12, tzinfo=UTC))


async def count(scope, table):
    return (await fetch(scope, f"SELECT count(*) FROM {table}"))[0]["count"]  # noqa: S608


@pytest.mark.parametrize("table", TENANT_TABLES)
async def test_without_any_filter_a_tenant_sees_its_own_rows_only(mine, theirs, table):
    for one in (mine, theirs):
        seen = 0
        tenant_id = one.made.tenant.id
        for scope in (one.scope, make.development(one.made), whole(tenant_id)):
            rows = await fetch(scope, f"SELECT DISTINCT tenant_id FROM {table}")  # noqa: S608
            assert {row["tenant_id"] for row in rows} <= {tenant_id}
            seen += len(rows)
        assert seen > 0
    assert await count(Scope(new_id("ten"), new_id("env")), table) == 0


@pytest.mark.parametrize("table", ["api_keys", "audit_entries", "outbox"])
async def test_without_any_filter_an_environment_sees_its_own_rows_only(mine, table):
    for scope in (mine.scope, make.development(mine.made), whole(mine.made.tenant.id)):
        rows = await fetch(scope, f"SELECT DISTINCT environment_id FROM {table}")  # noqa: S608
        assert {row["environment_id"] for row in rows} <= {scope.environment_id}


async def test_a_tenant_sees_no_other_tenant(mine, theirs):
    rows = await fetch(mine.scope, "SELECT id FROM tenants")
    assert [row["id"] for row in rows] == [mine.made.tenant.id]


@pytest.mark.parametrize("table", [*TENANT_TABLES, "tenants"])
async def test_without_any_filter_a_tenant_changes_its_own_rows_only(mine, theirs, table):
    """An UPDATE and a DELETE of everything, rolled back, touch what the tenant sees."""
    column = "id" if table == "tenants" else "tenant_id"
    scope = mine.scope if table in ("api_keys",) else whole(mine.made.tenant.id)
    visible = await count(scope, table)
    append_only = table == "audit_entries"
    for statement in (f"UPDATE {table} SET {column} = {column}", f"DELETE FROM {table}"):  # noqa: S608
        with pytest.raises((RolledBack, asyncpg.InsufficientPrivilegeError)) as ended:
            async with writing(scope) as connection:
                raise RolledBack(int((await connection.execute(statement)).split()[-1]))
        if append_only:
            assert ended.type is asyncpg.InsufficientPrivilegeError
        else:
            assert ended.value.rows == visible


class RolledBack(Exception):
    def __init__(self, rows):
        super().__init__(rows)
        self.rows = rows


async def test_a_row_cannot_be_written_into_another_tenant_nor_moved_there(mine, theirs):
    there = theirs.made.tenant.id
    statements = (
        ("UPDATE users SET tenant_id = $1", there),
        ("UPDATE environments SET tenant_id = $1", there),
        ("UPDATE tenants SET id = $1", new_id("ten")),
        (
            "INSERT INTO role_assignments (tenant_id, principal_id, role) "
            "VALUES ($1, 'usr_x', 'owner')",
            there,
        ),
        (
            "INSERT INTO environments "
            "(id, tenant_id, name, type, settings, created_at, updated_at) "
            "VALUES ('env_x', $1, 'x', 'production', '{}', now(), now())",
            there,
        ),
    )
    for statement, value in statements:
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
            async with writing(mine.scope) as connection:
                await connection.execute(statement, value)


async def test_reads_find_nothing_by_foreign_ids(mine, theirs):
    for reads, id_ in (
        (user_reads, theirs.user.id),
        (account_reads, theirs.account.id),
        (role_reads, theirs.role.id),
        (environment_reads, theirs.scope.environment_id),
        (key_reads, theirs.key.id),
    ):
        assert await reads.by_ids(mine.scope, [id_]) == {}
        with pytest.raises(NotFound) as foreign:
            await reads.get(mine.scope, id_)
        unknown_id = new_id(id_.partition("_")[0])
        with pytest.raises(NotFound) as unknown:
            await reads.get(mine.scope, unknown_id)
        assert foreign.value.message.replace(id_, "") == unknown.value.message.replace(
            unknown_id, ""
        )
        page = await reads.page(mine.scope, PageRequest(first=100))
        assert id_ not in {row.id for row in page.rows}
    page = await audit_reads.page(whole(mine.made.tenant.id), PageRequest(first=100))
    assert theirs.user.id not in {row.entity_id for row in page.rows}


async def test_no_action_reaches_into_another_tenant(mine, theirs, clock):
    scope = mine.scope
    recording = {"by": SYSTEM, "at": clock.now()}
    acting = {"holding": PERMISSIONS, **recording}
    user, account, role, key = theirs.user.id, theirs.account.id, theirs.role.id, theirs.key.id
    environment = theirs.scope.environment_id
    for action in (
        users.update(scope, user, {"name": "x"}, **acting),
        users.archive(scope, user, **acting),
        users.restore(scope, user, **acting),
        users.invite_again(scope, user, **acting),
        service_accounts.update(scope, account, {"name": "x"}, **acting),
        service_accounts.archive(scope, account, **acting),
        service_accounts.restore(scope, account, **acting),
        roles.update(scope, role, {"name": "x"}, **acting),
        roles.archive(scope, role, **recording),
        roles.restore(scope, role, **recording),
        roles.assign(scope, user, "viewer", **acting),
        roles.unassign(scope, user, "viewer", **acting),
        environments.update(scope, environment, {"name": "x"}, **recording),
        environments.archive(scope, environment, **recording),
        environments.restore(scope, environment, **recording),
        environments.update_settings(
            Scope(scope.tenant_id, environment), {"invoice": {"due_days": 1}}, **recording
        ),
        api_keys.revoke(scope, key, **recording),
        api_keys.rotate(scope, key, overlap=timedelta(0), **acting),
        api_keys.create(
            Scope(scope.tenant_id, environment),
            CreateApiKey(name="x", permissions=("event:write",)),
            **acting,
        ),
        api_keys.create(
            scope,
            CreateApiKey(name="x", permissions=("event:write",), service_account_id=account),
            **acting,
        ),
    ):
        await refused(NotFound, action)
    invite = InviteUser(email=make.address(), name="x", roles=(role,))
    await refused(Invalid, users.invite(scope, invite, **acting), code="INVALID_ROLES")
    action = roles.assign(scope, mine.user.id, role, **acting)
    await refused(Invalid, action, code="INVALID_ROLES")


async def test_a_foreign_role_put_into_the_table_gives_nothing(mine, theirs):
    assert await role_reads.permissions_of(mine.scope, [theirs.role.id]) == frozenset()
