"""Who calls, where, and what they may."""

from dataclasses import dataclass

from app.kernel.errors import Denied
from app.kernel.scope import Actor, Scope
from app.tenants.errors import TenantSuspended
from app.tenants.role import TENANT_WIDE
from app.tenants.settings import EnvironmentSettings
from app.tenants.tenant import EnvironmentType, whole


@dataclass(frozen=True, slots=True)
class TenantFacts:
    id: str
    name: str
    suspended: bool


@dataclass(frozen=True, slots=True)
class EnvironmentFacts:
    id: str
    name: str
    type: EnvironmentType
    settings: EnvironmentSettings


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated caller in the place it has entered.

    `credential` is the id of the key or session, or the fingerprint of a system key. `tenant`
    is None only for a system key that named none; `environment` and `scope` are None where none
    was named or none is open, and then only what belongs to the whole tenant is in reach.
    `reach` has the environments beside the one entered that the credential opens; None: all of
    the tenant's.
    """

    scope: Scope | None
    actor: Actor
    permissions: frozenset[str]
    tenant: TenantFacts | None
    environment: EnvironmentFacts | None
    credential: str
    is_system: bool = False
    reach: frozenset[str] | None = frozenset()

    @property
    def environment_scope(self) -> Scope:
        """The environment entered. Raises: Denied (TENANT_REQUIRED, ENVIRONMENT_REQUIRED)."""
        if self.scope is None:
            self.tenant_scope  # noqa: B018 - says so when there is no tenant at all
            raise Denied(
                "name an environment in the header x-environment-id", code="ENVIRONMENT_REQUIRED"
            )
        return self.scope

    @property
    def tenant_scope(self) -> Scope:
        """For what belongs to the tenant as a whole. Raises: Denied (TENANT_REQUIRED)."""
        if self.tenant is None:
            raise Denied("name a tenant in the header x-tenant-id", code="TENANT_REQUIRED")
        return whole(self.tenant.id)

    def reaches(self, environment_id: str) -> bool:
        """Whether the credentials open the environment, if the tenant has it."""
        entered = self.environment is not None and self.environment.id == environment_id
        return entered or self.reach is None or environment_id in self.reach

    def may(self, permission: str) -> bool:
        return permission in self.permissions

    def require(self, permission: str) -> None:
        """Every door asks this before it does anything.

        Raises: Denied (FORBIDDEN, TENANT_REQUIRED, ENVIRONMENT_REQUIRED), TenantSuspended.
        """
        if permission not in self.permissions:
            raise Denied(f"this takes the permission {permission}, which you do not have")
        tenant_id = self.tenant_scope.tenant_id
        resource, _, verb = permission.partition(":")
        if resource not in TENANT_WIDE:
            self.environment_scope  # noqa: B018 - says so when there is none
        if verb == "write" and self.tenant is not None and self.tenant.suspended:
            raise TenantSuspended(tenant_id)

    def require_system(self) -> None:
        """For what concerns the installation: tenants as such. Raises: Denied."""
        if not self.is_system:
            raise Denied("only a system key may do this", code="SYSTEM_KEY_REQUIRED")
