"""The walls: what a connection sees, and what it sees when the filter is forgotten."""

import asyncio
from contextlib import suppress
from contextvars import Context

import asyncpg
import msgspec
import pytest
from tortoise import connections

from app.customers.models import CustomerTable
from app.infra.postgres import fetch, postgres, reading, system, writing
from app.kernel.errors import Invalid, Unavailable
from app.kernel.ids import new_id
from app.kernel.scope import Scope


async def put(scope, clock, external_id="a"):
    async with writing(scope):
        await CustomerTable.create(
            id=new_id("cus"),
            tenant_id=scope.tenant_id,
            environment_id=scope.environment_id,
            created_at=clock.now(),
            updated_at=clock.now(),
            external_id=external_id,
            name="A",
            timezone="UTC",
            address={},
            metadata={},
        )


async def execute(scope, statement):
    async with writing(scope) as connection:
        await connection.execute(statement)


ALL = "SELECT count(*) FROM customers"


async def test_a_forgotten_filter_returns_only_the_scope(database, scope, clock):
    other = Scope(scope.tenant_id, "env_other" + scope.environment_id[-8:])
    await put(scope, clock)
    await put(other, clock)
    assert (await fetch(scope, ALL))[0]["count"] == 1
    assert (await fetch(Scope("ten_nobody", scope.environment_id), ALL))[0]["count"] == 0


async def test_outside_a_scope_nothing_is_seen(database, scope, clock):
    await put(scope, clock)
    _, rows = await connections.get("default").execute_query(ALL)
    assert rows[0]["count"] == 0


async def test_a_row_of_another_scope_cannot_be_written(database, scope, clock):
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
        await execute(
            scope,
            "INSERT INTO customers (id, tenant_id, environment_id, created_at, updated_at, "
            "external_id, name, timezone, address, metadata) VALUES "
            "('cus_x', 'ten_x', 'env_x', now(), now(), 'x', 'X', 'UTC', '{}', '{}')",
        )


async def test_reading_cannot_write(database, scope, clock):
    await put(scope, clock)
    with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
        await fetch(scope, "UPDATE customers SET name = 'B'")


async def test_reading_inside_a_transaction_sees_what_it_wrote(database, scope, clock):
    async with writing(scope):
        await put(scope, clock)
        async with reading(scope) as connection:
            assert await connection.fetchval(ALL) == 1


async def test_nested_scopes_give_the_outer_one_back(database, scope, clock):
    other = Scope("ten_other", "env_other")
    await put(scope, clock)
    async with writing(scope) as connection:
        async with writing(other) as inner:
            assert await inner.fetchval(ALL) == 0
        assert await connection.fetchval(ALL) == 1
        async with reading(other) as inner:
            assert await inner.fetchval(ALL) == 0
        assert await connection.fetchval(ALL) == 1


async def test_after_a_failed_inner_block_the_outer_scope_is_in_force(database, scope, clock):
    await put(scope, clock)
    async with writing(scope) as connection:
        with pytest.raises(ZeroDivisionError):
            async with writing(Scope("ten_other", "env_other")):
                raise ZeroDivisionError
        assert await connection.fetchval(ALL) == 1


async def test_the_system_door_sees_every_tenant(database, scope, clock):
    other = Scope("ten_b" + scope.tenant_id[-8:], scope.environment_id)
    await put(scope, clock)
    await put(other, clock)
    async with system() as connection:
        tenants = await connection.fetch(
            "SELECT tenant_id FROM customers WHERE tenant_id = ANY($1)",
            [scope.tenant_id, other.tenant_id],
        )
    assert len(tenants) == 2


async def test_an_id_that_is_none_is_never_put_into_sql(database, scope):
    with pytest.raises(ValueError, match="not an id"):
        await fetch(Scope("x'; DROP TABLE customers; --", "env_1"), ALL)


@pytest.mark.parametrize("sql", ["SELECT $1::text", "SELECT $1::jsonb ->> 'a'"])
async def test_a_text_no_table_can_hold_is_refused_by_a_code(database, scope, sql):
    text = "\0" if "text" in sql else r'{"a": "\u0000"}'
    with pytest.raises(Invalid, match=r"U\+0000") as refused:
        await fetch(scope, sql, text)
    assert refused.value.code == "INVALID_TEXT"
    assert await fetch(scope, "SELECT 1 AS one") == [(1,)]


async def test_the_audit_log_can_only_grow(database, scope):
    for statement in ("UPDATE audit_entries SET action = 'x'", "DELETE FROM audit_entries"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="permission denied"):
            await execute(scope, statement)


async def test_every_table_of_a_tenant_has_walls(database):
    async with system() as connection:
        naked = await connection.fetch(
            "SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid "
            "WHERE c.relkind = 'r' AND a.attname = 'tenant_id' AND c.relnamespace = "
            "'public'::regnamespace AND NOT (c.relrowsecurity AND c.relforcerowsecurity)"
        )
    assert [row["relname"] for row in naked] == []


async def test_a_role_above_the_walls_is_refused(settings, monkeypatch):
    # The servers of the tests hand out no superuser, so the question is answered for them.
    monkeypatch.setattr("app.infra.postgres._ABOVE_THE_WALLS", "SELECT true")
    with pytest.raises(Unavailable, match="row-level security"):
        await asyncio.create_task(opened(settings.postgres), context=Context())


async def opened(settings):
    async with postgres(settings):
        pass


async def test_a_server_that_does_not_answer_is_unavailable(settings):
    nowhere = msgspec.structs.replace(
        settings.postgres, url="postgres://nobody:x@127.0.0.1:1/nothing"
    )
    with pytest.raises(Unavailable, match="PostgreSQL"):
        await asyncio.create_task(opened(nowhere), context=Context())


async def test_a_transaction_whose_server_goes_away_leaves_nothing_behind(settings, scope):
    small = msgspec.structs.replace(settings.postgres, pool_min=1, pool_max=1)

    async def gone_meanwhile():
        async with system() as connection:
            connection._con._transport.abort()
            await connection.execute("SELECT 1")

    async def gone_before():
        async with connections.get("default").acquire_connection() as connection:
            transport = connection._con._transport
        transport.abort()
        with suppress(Unavailable):  # the pool may have noticed
            async with system():
                pass

    async def cut(*, inside):
        async with postgres(small):
            before = connections.get("default")
            for _ in range(3):
                if inside:
                    with pytest.raises(Unavailable):
                        await gone_meanwhile()
                else:
                    await gone_before()
                assert connections.get("default") is before
                async with asyncio.timeout(5), system() as connection:
                    assert await connection.fetchval("SELECT 1") == 1

    for inside in (True, False):
        await asyncio.create_task(cut(inside=inside), context=Context())
