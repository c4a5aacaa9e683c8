"""Who lives on a test clock: the owners of due work whose present is not the environment's.

Due work takes its clock from here when it is scheduled, so whoever schedules says whose it is
and need not know of clocks.
"""

from collections.abc import Collection

from app.infra.postgres import fetch, writing
from app.infra.rows import having
from app.kernel.scope import Scope

_JOIN = (
    "INSERT INTO clock_members (tenant_id, environment_id, owner_id, clock_id) "
    "VALUES ($1, $2, $3, $4) ON CONFLICT (owner_id) DO UPDATE SET clock_id = excluded.clock_id"
)
_LEAVE = "DELETE FROM clock_members WHERE tenant_id = $1 AND environment_id = $2 AND owner_id = $3"
_WORK = (
    "SELECT EXISTS (SELECT 1 FROM due_items "
    "WHERE tenant_id = $1 AND environment_id = $2 AND owner_id = $3)"
)
_OWN_WORK = (
    "SELECT EXISTS (SELECT 1 FROM due_items "
    "WHERE tenant_id = $1 AND environment_id = $2 AND clock_id IS NULL)"
)


async def settle(scope: Scope, owner_id: str, clock_id: str | None) -> None:
    """Let the owner live on the test clock, or by the environment's present (None).

    Call inside the transaction that sees to it that the owner has no work due; work that is
    scheduled stays on the clock it was scheduled on.
    """
    async with writing(scope) as connection:
        if clock_id is None:
            await connection.execute(_LEAVE, scope.tenant_id, scope.environment_id, owner_id)
        else:
            await connection.execute(
                _JOIN, scope.tenant_id, scope.environment_id, owner_id, clock_id
            )


async def clocks_of(scope: Scope, owner_ids: Collection[str]) -> dict[str, str]:
    """The ids of the test clocks of those owners who live on one."""
    rows = await having(scope, "clock_members", "owner_id", owner_ids)
    return {row["owner_id"]: row["clock_id"] for row in rows}


async def environment_has_work(scope: Scope) -> bool:
    """Whether anything is scheduled by the environment's own present, due or not."""
    rows = await fetch(scope, _OWN_WORK, scope.tenant_id, scope.environment_id)
    return bool(rows[0][0])


async def has_work(scope: Scope, owner_id: str) -> bool:
    """Whether anything of the owner's is scheduled, due or not."""
    rows = await fetch(scope, _WORK, scope.tenant_id, scope.environment_id, owner_id)
    return bool(rows[0][0])
