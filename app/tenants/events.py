from dataclasses import dataclass
from typing import Any, ClassVar

from app.kernel.events import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantCreated(Event):
    name: ClassVar[str] = "tenant.created"


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantUpdated(Event):
    name: ClassVar[str] = "tenant.updated"


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantWasSuspended(Event):
    name: ClassVar[str] = "tenant.suspended"


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantReactivated(Event):
    name: ClassVar[str] = "tenant.reactivated"


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentCreated(Event):
    name: ClassVar[str] = "environment.created"


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentUpdated(Event):
    name: ClassVar[str] = "environment.updated"


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentArchived(Event):
    name: ClassVar[str] = "environment.archived"


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentRestored(Event):
    name: ClassVar[str] = "environment.restored"


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingsUpdated(Event):
    name: ClassVar[str] = "setting.updated"


@dataclass(frozen=True, slots=True, kw_only=True)
class UserInvited(Event):
    name: ClassVar[str] = "user.invited"


@dataclass(frozen=True, slots=True, kw_only=True)
class UserCreated(Event):
    name: ClassVar[str] = "user.created"


@dataclass(frozen=True, slots=True, kw_only=True)
class UserJoined(Event):
    name: ClassVar[str] = "user.joined"


@dataclass(frozen=True, slots=True, kw_only=True)
class UserUpdated(Event):
    name: ClassVar[str] = "user.updated"


@dataclass(frozen=True, slots=True, kw_only=True)
class UserArchived(Event):
    name: ClassVar[str] = "user.archived"


@dataclass(frozen=True, slots=True, kw_only=True)
class UserRestored(Event):
    name: ClassVar[str] = "user.restored"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceAccountCreated(Event):
    name: ClassVar[str] = "service_account.created"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceAccountUpdated(Event):
    name: ClassVar[str] = "service_account.updated"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceAccountArchived(Event):
    name: ClassVar[str] = "service_account.archived"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceAccountRestored(Event):
    name: ClassVar[str] = "service_account.restored"


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleCreated(Event):
    name: ClassVar[str] = "role.created"


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleUpdated(Event):
    name: ClassVar[str] = "role.updated"


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleArchived(Event):
    name: ClassVar[str] = "role.archived"


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleRestored(Event):
    name: ClassVar[str] = "role.restored"


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleAssigned(Event):
    """`entity_id` is who got the role."""

    name: ClassVar[str] = "role.assigned"
    role: str

    def payload(self) -> dict[str, Any]:
        return {"role": self.role}


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleUnassigned(Event):
    """`entity_id` is who lost the role."""

    name: ClassVar[str] = "role.unassigned"
    role: str

    def payload(self) -> dict[str, Any]:
        return {"role": self.role}


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKeyCreated(Event):
    name: ClassVar[str] = "api_key.created"


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKeyRotated(Event):
    """`entity_id` is the old key."""

    name: ClassVar[str] = "api_key.rotated"
    successor_id: str

    def payload(self) -> dict[str, Any]:
        return {"successorId": self.successor_id}


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKeyRevoked(Event):
    name: ClassVar[str] = "api_key.revoked"
