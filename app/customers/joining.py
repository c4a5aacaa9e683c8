"""Families: which parent a customer may have, and since when its usage counts with the parent's.

Call inside the transaction that changes the customer, with it and its parent held.
"""

from collections.abc import Collection
from datetime import datetime

from app.customers import reads
from app.customers.customer import Customer, CustomerStatus
from app.customers.errors import (
    CustomerHasChildren,
    CustomerIsArchived,
    HierarchyTooDeep,
    ParentOnOtherClock,
    parent_required,
)
from app.infra import due
from app.infra.postgres import fetch, writing
from app.kernel import checks
from app.kernel.errors import NotFound
from app.kernel.ids import new_id
from app.kernel.scope import Scope

_HOLD = (
    "SELECT 1 FROM customers WHERE tenant_id = $1 AND environment_id = $2 AND id = ANY($3) "
    "ORDER BY id FOR UPDATE"
)
_CHILDREN = (
    "SELECT EXISTS (SELECT 1 FROM customers WHERE tenant_id = $1 AND environment_id = $2 "
    "AND parent_id = $3 AND archived_at IS NULL)"
)
_JOIN = (
    "INSERT INTO customer_memberships (id, tenant_id, environment_id, parent_id, customer_id, "
    "starts_at, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $7)"
)
_LEAVE = (
    "UPDATE customer_memberships SET ends_at = greatest(starts_at, $4), updated_at = $4 "
    "WHERE tenant_id = $1 AND environment_id = $2 AND customer_id = $3 AND ends_at IS NULL"
)


async def hold(scope: Scope, ids: Collection[str | None]) -> None:
    """Lock the customers, in the order of their ids, until the transaction ends.

    Whoever gives a customer a parent holds both, so what each sees of the other's family stays.
    """
    async with writing(scope) as connection:
        wanted = [each for each in ids if each is not None]
        await connection.execute(_HOLD, scope.tenant_id, scope.environment_id, wanted)


async def check_parent(
    scope: Scope, customer_id: str, parent_id: str | None, *, pays: bool, clock_id: str | None
) -> None:
    """Whether the customer, who lives on the clock, may have the parent, who may pay for it.

    Raises: Invalid (INVALID_PARENT_ID, PARENT_REQUIRED), NotFound, CustomerIsArchived,
    HierarchyTooDeep, ParentOnOtherClock.
    """
    if parent_id is None:
        if pays:
            raise parent_required()
        return
    if parent_id == customer_id:
        raise checks.invalid("parentId", "a customer is not its own parent")
    parent = (await reads.by_ids(scope, [parent_id])).get(parent_id)
    if parent is None:
        raise NotFound("customer", parent_id, field="parentId")
    if parent.status is CustomerStatus.ARCHIVED:
        raise CustomerIsArchived(parent_id, "parentId")
    if parent.parent_id is not None:
        raise HierarchyTooDeep(parent_id, "has a parent itself")
    if await _has_children(scope, customer_id):
        raise HierarchyTooDeep(customer_id, "has children itself")
    if (await due.clocks_of(scope, [parent_id])).get(parent_id) != clock_id:
        raise ParentOnOtherClock(parent_id, "parentId")


async def check_childless(scope: Scope, customer_id: str) -> None:
    """Raises: CustomerHasChildren, where any of them is in use."""
    if await _has_children(scope, customer_id):
        raise CustomerHasChildren(customer_id)


async def note(
    scope: Scope, before: Customer | None, after: Customer, *, since: datetime, at: datetime
) -> None:
    """Let the customer's usage count where its row says, from `since` on where it joins, and until
    `at` where it leaves."""
    was = None if before is None else _counted_with(before)
    now = _counted_with(after)
    if was == now:
        return
    async with writing(scope) as connection:
        if was is not None:
            await connection.execute(_LEAVE, scope.tenant_id, scope.environment_id, after.id, at)
        if now is not None:
            named = new_id("cmem"), scope.tenant_id, scope.environment_id, now, after.id
            await connection.execute(_JOIN, *named, since, at)


def _counted_with(customer: Customer) -> str | None:
    used = customer.inherits and customer.status is CustomerStatus.ACTIVE
    return customer.parent_id if used else None


async def _has_children(scope: Scope, customer_id: str) -> bool:
    rows = await fetch(scope, _CHILDREN, scope.tenant_id, scope.environment_id, customer_id)
    return bool(rows[0][0])
