"""Row locks, always in this order: tenant, environment, then users, accounts, roles and keys.

Each lasts until the transaction ends. Rows outside the scope in force are not found, and
locking nothing is no error: the read that follows says what does not exist.

`only` and not `values_list`, which leaves the FOR UPDATE out of the statement.
"""

from app.kernel.scope import Scope
from app.tenants.models import (
    ApiKeyTable,
    EnvironmentTable,
    RoleTable,
    ServiceAccountTable,
    TenantRecordTable,
    UserTable,
)


async def tenant(scope: Scope) -> None:
    """Serializes what concerns a tenant's roles and its last owner or environment."""
    await TenantRecordTable.filter(id=scope.tenant_id).select_for_update().only("id")


async def environment(scope: Scope, environment_id: str) -> None:
    rows = EnvironmentTable.filter(tenant_id=scope.tenant_id, id=environment_id)
    await rows.select_for_update().only("id")


async def user(scope: Scope, user_id: str) -> None:
    rows = UserTable.filter(tenant_id=scope.tenant_id, id=user_id)
    await rows.select_for_update().only("id")


async def service_account(scope: Scope, account_id: str) -> None:
    rows = ServiceAccountTable.filter(tenant_id=scope.tenant_id, id=account_id)
    await rows.select_for_update().only("id")


async def role(scope: Scope, role_id: str) -> None:
    rows = RoleTable.filter(tenant_id=scope.tenant_id, id=role_id)
    await rows.select_for_update().only("id")


async def api_key(scope: Scope, key_id: str) -> None:
    rows = ApiKeyTable.filter(
        tenant_id=scope.tenant_id, environment_id=scope.environment_id, id=key_id
    )
    await rows.select_for_update().only("id")
