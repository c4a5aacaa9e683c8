"""People and programs that act for a tenant."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class PrincipalStatus(StrEnum):
    INVITED = "invited"
    ACTIVE = "active"
    ARCHIVED = "archived"


@dataclass(frozen=True, slots=True)
class User:
    """A person. `email` is case-folded and names one user that is not archived, anywhere.

    `roles` are names of built-in roles and ids of the tenant's own; sorted.
    """

    id: str
    email: str
    name: str
    roles: tuple[str, ...]
    status: PrincipalStatus
    created_at: datetime
    updated_at: datetime
    archived_at: datetime | None


@dataclass(frozen=True, slots=True)
class ServiceAccount:
    """A program. It acts through API keys that belong to it, with the roles it has now."""

    id: str
    name: str
    roles: tuple[str, ...]
    status: PrincipalStatus
    created_at: datetime
    updated_at: datetime
    archived_at: datetime | None
