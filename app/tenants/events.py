from typing import Any, ClassVar

from app.kernel.events import Event


class TenantCreated(Event, frozen=True, kw_only=True):
    name: ClassVar[str] = "tenant.created"


class TenantUpdated(Event, frozen=True, kw_only=True):
    name: ClassVar[str] = "tenant.updated"


class TenantWasSuspended(Event, frozen=True, kw_only=True):
    name: ClassVar[str] = "tenant.suspended"


class TenantReactivated(Event, frozen=True, kw_only=True):
    name: ClassVar[str] = "tenant.reactivated"


class EnvironmentCreated(Event, frozen=True, kw_only=True):
    name: ClassVar[str] = "environment.created"


class EnvironmentUpdated(Event, frozen=True, kw_only=True):
    name: ClassVar[str] = "environment.updated"


class EnvironmentArchived(Event, frozen=True, kw_only=True):
    name: ClassVar[str] = "environment.archived"


class EnvironmentRestored(Event, frozen=True, kw_only=True):
    name: ClassVar[str] = "environment.restored"


class SettingsUpdated(Event, frozen=True, kw_only=True):
    name: ClassVar[str] = "setting.updated"


class UserInvited(Event, frozen=True, kw_only=True):
    name: ClassVar[str] = "user.invited"


class UserCreated(Event, frozen=True, kw_only=True):
    name: ClassVar[str] = "user.created"


class UserJoined(Event, frozen=True, kw_only=True):
    name: ClassVar[str] = "user.joined"


class UserUpdated(Event, frozen=True, kw_only=True):
    name: ClassVar[str] = "user.updated"


class UserArchived(Event, frozen=True, kw_only=True):
    name: ClassVar[str] = "user.archived"


class UserRestored(Event, frozen=True, kw_only=True):
    name: ClassVar[str] = "user.restored"


class ServiceAccountCreated(Event, frozen=True, kw_only=True):
    name: ClassVar[str] = "service_account.created"


class ServiceAccountUpdated(Event, frozen=True, kw_only=True):
    name: ClassVar[str] = "service_account.updated"


class ServiceAccountArchived(Event, frozen=True, kw_only=True):
    name: ClassVar[str] = "service_account.archived"


class ServiceAccountRestored(Event, frozen=True, kw_only=True):
    name: ClassVar[str] = "service_account.restored"


class RoleCreated(Event, frozen=True, kw_only=True):
    name: ClassVar[str] = "role.created"


class RoleUpdated(Event, frozen=True, kw_only=True):
    name: ClassVar[str] = "role.updated"


class RoleArchived(Event, frozen=True, kw_only=True):
    name: ClassVar[str] = "role.archived"


class RoleRestored(Event, frozen=True, kw_only=True):
    name: ClassVar[str] = "role.restored"


class RoleAssigned(Event, frozen=True, kw_only=True):
    """`entity_id` is who got the role."""

    name: ClassVar[str] = "role.assigned"
    role: str

    def payload(self) -> dict[str, Any]:
        return {"role": self.role}


class RoleUnassigned(Event, frozen=True, kw_only=True):
    """`entity_id` is who lost the role."""

    name: ClassVar[str] = "role.unassigned"
    role: str

    def payload(self) -> dict[str, Any]:
        return {"role": self.role}


class ApiKeyCreated(Event, frozen=True, kw_only=True):
    name: ClassVar[str] = "api_key.created"


class ApiKeyRotated(Event, frozen=True, kw_only=True):
    """`entity_id` is the old key."""

    name: ClassVar[str] = "api_key.rotated"
    successor_id: str

    def payload(self) -> dict[str, Any]:
        return {"successorId": self.successor_id}


class ApiKeyRevoked(Event, frozen=True, kw_only=True):
    name: ClassVar[str] = "api_key.revoked"
