"""An addon: what is sold beside a plan, as a set of prices."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class AddonType(StrEnum):
    RECURRING = "recurring"
    """Stays until it is taken off."""
    ONE_TIME = "one_time"
    """Ends with the period in which it was bought."""


class AddonStatus(StrEnum):
    ACTIVE = "active"
    ARCHIVED = "archived"


@dataclass(frozen=True, slots=True)
class Addon:
    """A row as everyone above the table sees it.

    `lookup_key` is the name that programs use; it never changes, as `type` does not, and is
    unique among the addons of the environment that are not archived.
    """

    id: str
    name: str
    lookup_key: str
    type: AddonType
    description: str | None
    metadata: Mapping[str, str]
    status: AddonStatus
    created_at: datetime
    updated_at: datetime
    archived_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateAddon:
    name: str
    lookup_key: str
    type: AddonType = AddonType.RECURRING
    description: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
