"""`tariff keys`, called and as a process."""

import asyncio
import os
import sys
from pathlib import Path

import pytest

from app.cli import keys
from app.infra.postgres import fetch
from app.kernel.errors import Conflict, Invalid, NotFound
from app.kernel.ids import new_id
from app.tenants.authentication import Credentials, authenticate, open_authenticator
from app.tenants.reads import environments, tenants
from app.tenants.role import BUILT_IN, PERMISSIONS
from app.tenants.tenant import whole
from tests.tenants import make
from tests.tenants.refusal import refused


@pytest.fixture
async def enter(database, settings, clock):
    async with open_authenticator(settings, clock) as authenticator:

        async def enter(key):
            return await authenticate(authenticator, Credentials(key=key))

        yield enter


async def test_a_key_for_nothing_yet_makes_the_tenant_and_works(enter, clock):
    name = make.address()
    caller = await enter(await keys.create(clock, tenant=name))
    assert (caller.tenant.name, caller.environment.name) == (name, "Production")
    assert caller.permissions == PERMISSIONS
    again = await enter(await keys.create(clock, tenant=name, environment="Development"))
    assert again.tenant.id == caller.tenant.id
    assert again.environment.type == "development"
    by_id = await keys.create(
        clock, tenant=caller.tenant.id, environment=again.environment.id, scopes=["event:write"]
    )
    assert (await enter(by_id)).permissions == {"event:write"}


async def test_an_environment_that_is_missing_is_made_for_development(enter, clock):
    caller = await enter(await keys.create(clock, tenant=make.address(), environment="Sandbox"))
    assert (caller.environment.name, caller.environment.type) == ("Sandbox", "development")
    found = await environments.active(whole(caller.tenant.id))
    assert [one.name for one in found] == ["Production", "Development", "Sandbox"]


@pytest.mark.parametrize(
    ("scopes", "permissions"),
    [
        ([], PERMISSIONS),
        (["event:write,event:read"], {"event:write", "event:read"}),
        (["event:write", "usage:read"], {"event:write", "usage:read"}),
        (["event_reader, event:write"], BUILT_IN["event_reader"] | {"event:write"}),
    ],
)
def test_scopes_are_permissions_or_roles(scopes, permissions):
    assert set(keys.permissions_of(scopes)) == permissions


async def test_what_cannot_be_is_refused(database, clock):
    await refused(
        Invalid, keys.create(clock, tenant=make.address(), scopes=["everything"]), field="scopes"
    )
    await refused(NotFound, keys.create(clock, tenant=new_id("ten")))
    made = await make.tenant(clock)
    action = keys.create(clock, tenant=made.tenant.id, environment=new_id("env"))
    await refused(NotFound, action, field="environment")
    name = make.address()
    twins = [await make.tenant(clock, name=name) for _ in range(2)]
    with pytest.raises(Conflict, match=twins[1].tenant.id):
        await keys.create(clock, tenant=name)
    await refused(NotFound, keys.revoke(clock, "tk_live_nothing"))
    await refused(NotFound, keys.show(clock, tenant="nobody at all", environment=None))


async def test_two_commands_at_once_make_one_tenant(database, clock):
    name = make.address()
    await asyncio.gather(*(keys.create(clock, tenant=name) for _ in range(2)))
    assert len(await tenants.named(name)) == 1


async def test_keys_are_listed_and_revoked_by_prefix(database, clock, capsys):
    name = make.address()
    key = await keys.create(clock, tenant=name)
    prefix = key.rsplit("_", 1)[0]
    await keys.create(clock, tenant=name, environment="Development")
    capsys.readouterr()
    await keys.show(clock, tenant=name, environment=None)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    await keys.revoke(clock, prefix)
    await keys.show(clock, tenant=name, environment="Production")
    [line] = capsys.readouterr().out.splitlines()
    assert [prefix in line, "revoked" in line, key in line] == [True, True, False]


async def test_the_operator_is_in_the_audit_log(database, clock):
    name = make.address()
    await keys.create(clock, tenant=name)
    [tenant] = await tenants.named(name)
    rows = await fetch(whole(tenant.id), "SELECT action, actor_id FROM audit_entries")
    assert [tuple(row) for row in rows] == [("tenant.create", "command_line")]


async def test_the_program_prints_the_key_alone_on_the_last_line(enter, settings):
    name = make.address()
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("TARIFF_")
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "app", "keys", "create", "--tenant", name),
        *("--environment", "Production", "--scopes", "event:write"),
        env=environment | {"TARIFF_POSTGRES_URL": settings.postgres.url},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    *_, last = out.decode().splitlines()
    caller = await enter(last)
    assert (caller.tenant.name, caller.permissions) == (name, {"event:write"})
    assert last not in err.decode()


async def test_without_postgresql_the_program_says_what_to_set(tmp_path):
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("TARIFF_")
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "app", "keys", "create", "--tenant", "Acme"),
        # In a home of its own, where no stack that this user runs is noted.
        env=environment
        | {"PYTHONPATH": str(Path(keys.__file__).parents[2]), "HOME": str(tmp_path)},
        cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert (process.returncode, out) == (1, b"")
    assert b"TARIFF_POSTGRES_URL" in err
