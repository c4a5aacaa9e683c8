"""Roles of users and service accounts: checking, storing and counting them."""

from collections.abc import Iterable

from app.infra.postgres import fetch
from app.kernel.errors import Invalid
from app.kernel.ids import prefix_of
from app.kernel.scope import Scope
from app.tenants.errors import LastOwner
from app.tenants.models import RoleAssignmentTable
from app.tenants.reads import roles, service_accounts, users
from app.tenants.role import BUILT_IN, OWNER, within
from app.tenants.user import ServiceAccount, User

_OTHER_OWNERS = (
    "SELECT count(*) FROM users JOIN role_assignments AS a "
    "ON a.tenant_id = users.tenant_id AND a.principal_id = users.id AND a.role = $3 "
    "WHERE users.tenant_id = $1 AND users.id <> $2 "
    "AND archived_at IS NULL AND password_hash IS NOT NULL"
)


async def checked(
    scope: Scope, names: Iterable[str], holding: frozenset[str], field: str = "roles"
) -> tuple[str, ...]:
    """Roles that may be given. Raises: Invalid (INVALID_ROLES), BeyondOwnPermissions."""
    wanted = sorted(set(names))
    own = await roles.by_ids(scope, [name for name in wanted if name not in BUILT_IN])
    for name in wanted:
        if name not in BUILT_IN and (name not in own or own[name].archived_at is not None):
            raise Invalid(
                f"{field}: {name} is not a role; give the id of one of the tenant's own "
                f"or one of {', '.join(BUILT_IN)}",
                field=field,
                code="INVALID_ROLES",
            )
    within(await roles.permissions_of(scope, wanted), holding, field)
    return tuple(wanted)


async def store(scope: Scope, principal_id: str, names: Iterable[str]) -> None:
    """Give roles to somebody who has none yet."""
    rows = [
        RoleAssignmentTable(tenant_id=scope.tenant_id, principal_id=principal_id, role=name)
        for name in names
    ]
    if rows:
        await RoleAssignmentTable.bulk_create(rows)


async def principal(scope: Scope, principal_id: str) -> User | ServiceAccount:
    """Who has that id. Raises: NotFound."""
    if prefix_of(principal_id) == "sva":
        return await service_accounts.get(scope, principal_id, field="principalId")
    return await users.get(scope, principal_id)


async def above(scope: Scope, target: User | ServiceAccount, holding: frozenset[str]) -> None:
    """Nobody acts upon one who holds more than they do. Raises: BeyondOwnPermissions."""
    within(await roles.permissions_of(scope, target.roles), holding)


async def not_the_last_owner(scope: Scope, user: User) -> None:
    """A tenant keeps an owner who can sign in. Holds the tenant's lock. Raises: LastOwner."""
    if OWNER not in user.roles:
        return
    rows = await fetch(scope, _OTHER_OWNERS, scope.tenant_id, user.id, OWNER)
    if rows[0]["count"] == 0:
        raise LastOwner(user.id)
