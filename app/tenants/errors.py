"""What can be wrong with a tenant, with who acts for it, and with how they sign in.

DomainError
├── Invalid                      INVALID_NAME, INVALID_EMAIL, INVALID_PASSWORD, INVALID_ROLES,
│                                INVALID_PERMISSIONS, INVALID_EXPIRES_AT, INVALID_SETTING, …
├── NotFound                     NOT_FOUND
├── Conflict
│   ├── AlreadyExists            ALREADY_EXISTS (name, email)
│   ├── Archived, NotArchived    ARCHIVED, NOT_ARCHIVED
│   ├── Suspended, NotSuspended  TENANT_ALREADY_SUSPENDED, TENANT_NOT_SUSPENDED
│   ├── LastEnvironment          LAST_ENVIRONMENT
│   ├── LastOwner                LAST_OWNER
│   ├── RoleInUse                ROLE_IN_USE
│   ├── AlreadyAssigned, NotAssigned
│   └── KeyRevoked, KeyExpired   API_KEY_REVOKED, API_KEY_EXPIRED
├── Denied                       FORBIDDEN, ENVIRONMENT_FORBIDDEN, ENVIRONMENT_REQUIRED, …
│   ├── BeyondOwnPermissions     BEYOND_OWN_PERMISSIONS
│   ├── TenantSuspended          TENANT_SUSPENDED
│   ├── SignupDisabled           SIGNUP_DISABLED
│   └── TooManyAttempts          TOO_MANY_ATTEMPTS (says when to try again)
└── Unauthenticated              UNAUTHENTICATED, INVALID_CREDENTIALS, INVALID_REFRESH_TOKEN,
                                 INVALID_INVITATION, API_KEY_EXPIRED, API_KEY_REVOKED
"""

from collections.abc import Sequence
from datetime import datetime

from app.kernel.errors import Conflict, Denied


class Archived(Conflict):
    code = "ARCHIVED"

    def __init__(self, kind: str, key: str) -> None:
        super().__init__(f"{kind} {key} is archived; restore it first", field="id")


class NotArchived(Conflict):
    code = "NOT_ARCHIVED"

    def __init__(self, kind: str, key: str) -> None:
        super().__init__(f"{kind} {key} is not archived", field="id")


class Suspended(Conflict):
    code = "TENANT_ALREADY_SUSPENDED"

    def __init__(self, tenant_id: str) -> None:
        super().__init__(f"tenant {tenant_id} is already suspended", field="id")


class NotSuspended(Conflict):
    code = "TENANT_NOT_SUSPENDED"

    def __init__(self, tenant_id: str) -> None:
        super().__init__(f"tenant {tenant_id} is not suspended", field="id")


class LastEnvironment(Conflict):
    code = "LAST_ENVIRONMENT"

    def __init__(self, environment_id: str) -> None:
        super().__init__(
            f"environment {environment_id} is the tenant's last one in use; "
            "create or restore another first",
            field="id",
        )


class LastOwner(Conflict):
    code = "LAST_OWNER"

    def __init__(self, user_id: str) -> None:
        super().__init__(
            f"user {user_id} is the tenant's last owner; make another user an owner first",
            field="id",
        )


class RoleInUse(Conflict):
    code = "ROLE_IN_USE"

    def __init__(self, role_id: str, holders: int) -> None:
        super().__init__(
            f"role {role_id} is held by {holders} users and service accounts; "
            "unassign it from them first",
            field="id",
        )
        self.holders = holders


class AlreadyAssigned(Conflict):
    code = "ROLE_ALREADY_ASSIGNED"

    def __init__(self, principal_id: str, role: str) -> None:
        super().__init__(f"{principal_id} already has the role {role}", field="role")


class NotAssigned(Conflict):
    code = "ROLE_NOT_ASSIGNED"

    def __init__(self, principal_id: str, role: str) -> None:
        super().__init__(f"{principal_id} does not have the role {role}", field="role")


class KeyRevoked(Conflict):
    code = "API_KEY_REVOKED"

    def __init__(self, key_id: str) -> None:
        super().__init__(f"API key {key_id} is revoked; create a new one", field="id")


class KeyExpired(Conflict):
    code = "API_KEY_EXPIRED"

    def __init__(self, key_id: str) -> None:
        super().__init__(f"API key {key_id} has expired; create a new one", field="id")


class BeyondOwnPermissions(Denied):
    code = "BEYOND_OWN_PERMISSIONS"

    def __init__(self, beyond: Sequence[str], field: str | None = None) -> None:
        super().__init__(
            f"this takes permissions that you do not have yourself: {', '.join(beyond)}",
            field=field,
        )
        self.beyond = tuple(beyond)


class TenantSuspended(Denied):
    code = "TENANT_SUSPENDED"

    def __init__(self, tenant_id: str) -> None:
        super().__init__(
            f"tenant {tenant_id} is suspended: it can be read and not changed; "
            "whoever operates this installation can reactivate it"
        )


class SignupDisabled(Denied):
    code = "SIGNUP_DISABLED"

    def __init__(self) -> None:
        super().__init__("signing up is turned off here; ask for an invitation")


class TooManyAttempts(Denied):
    code = "TOO_MANY_ATTEMPTS"

    def __init__(self, until: datetime, retry_after_seconds: int) -> None:
        super().__init__(
            f"too many attempts; try again in {retry_after_seconds} seconds",
        )
        self.until, self.retry_after_seconds = until, retry_after_seconds
