"""Customers whose families change: what is being billed of them is read again."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from app.customers import actions as customers
from app.customers import joining, reads
from app.customers.customer import CreateCustomer, Customer
from app.customers.errors import ParentPays
from app.infra.postgres import fetch, writing
from app.kernel.scope import Actor, Scope
from app.subscriptions.subscription import OVER

# What counts and who pays is read before it is written, on the revision that was read.
_READ_AGAIN = (
    "WITH held AS (SELECT id FROM subscriptions WHERE tenant_id = $1 AND environment_id = $2 "
    "AND (customer_id = ANY($3) AND families <> '[]' OR customer_id = $4) "
    "ORDER BY id FOR UPDATE) "
    "UPDATE subscriptions AS s SET revision = s.revision + 1 FROM held WHERE s.id = held.id"
)
_BILLED = (
    "SELECT max(billed_until) AS until, min(starts_at) AS since FROM subscriptions "
    "WHERE tenant_id = $1 AND environment_id = $2 AND customer_id = $3 AND families <> '[]'"
)
_PAID = (
    "SELECT id FROM subscriptions WHERE tenant_id = $1 AND environment_id = $2 "
    "AND customer_id = $3 AND parent_pays AND status <> ALL($4) ORDER BY id LIMIT 1"
)


async def create_customer(
    scope: Scope, command: CreateCustomer, *, by: Actor, at: datetime
) -> Customer:
    """A customer, with or without a parent: its usage counts with that one's from where nothing
    is billed yet of the family, so that of events sent before it was created none is lost.

    Raises: as `customers.create`.
    """
    if command.parent_id is None:
        return await customers.create(scope, command, by=by, at=at)
    async with writing(scope):
        await joining.hold(scope, [command.parent_id])
        await _read_again(scope, [command.parent_id], None)
        since = await _unbilled_since(scope, command.parent_id)
        member_since = at if since is None else min(since, at)
        return await customers.create(scope, command, by=by, at=at, member_since=member_since)


async def update_customer(
    scope: Scope, customer_id: str, patch: Mapping[str, Any], *, by: Actor, at: datetime
) -> Customer:
    """Change a customer; who its parent is, and whether that one pays, counts for what is drafted
    from now on.

    Raises: as `customers.update`; ParentPays.
    """
    if not patch.keys() & {"parent_id", "parent_pays", "inherits"}:
        return await customers.update(scope, customer_id, patch, by=by, at=at)
    async with writing(scope):
        await joining.hold(scope, [customer_id, patch.get("parent_id")])
        before = await reads.get(scope, customer_id)
        if before.parent_id is not None and patch.get("parent_id", before.parent_id) is None:
            await _check_unpaid(scope, customer_id)
        after = await customers.update(scope, customer_id, patch, by=by, at=at)
        parents = {each for each in (before.parent_id, after.parent_id) if each is not None}
        await _read_again(scope, parents, customer_id)
        return after


async def archive_customer(scope: Scope, customer_id: str, *, by: Actor, at: datetime) -> Customer:
    """Raises: as `customers.archive`."""
    async with writing(scope):
        found = await customers.archive(scope, customer_id, by=by, at=at)
        if found.parent_id is not None:
            await _read_again(scope, [found.parent_id], None)
        return found


async def restore_customer(scope: Scope, customer_id: str, *, by: Actor, at: datetime) -> Customer:
    """Raises: as `customers.restore`."""
    async with writing(scope):
        found = await customers.restore(scope, customer_id, by=by, at=at)
        if found.parent_id is not None:
            await _read_again(scope, [found.parent_id], None)
        return found


async def _read_again(scope: Scope, parent_ids: Collection[str], customer_id: str | None) -> None:
    """Let bills that are being written of the parents' families, and of the customer, be refused
    and read again."""
    async with writing(scope) as connection:
        ids = scope.tenant_id, scope.environment_id, list(parent_ids)
        await connection.execute(_READ_AGAIN, *ids, customer_id)


async def _unbilled_since(scope: Scope, parent_id: str) -> datetime | None:
    rows = await fetch(scope, _BILLED, scope.tenant_id, scope.environment_id, parent_id)
    since: datetime | None = rows[0]["until"] or rows[0]["since"]
    return since


async def _check_unpaid(scope: Scope, customer_id: str) -> None:
    over = [status.value for status in OVER]
    named = scope.tenant_id, scope.environment_id, customer_id, over
    rows = await fetch(scope, _PAID, *named)
    if rows:
        raise ParentPays(customer_id, rows[0]["id"])
