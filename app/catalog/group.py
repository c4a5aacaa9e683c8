"""A group: features, or prices, that are shown and reported together."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class GroupKind(StrEnum):
    FEATURE = "feature"
    """Features belong to it."""
    PRICE = "price"
    """Prices belong to it."""


class GroupStatus(StrEnum):
    ACTIVE = "active"
    ARCHIVED = "archived"
    """Nothing new joins it; what belongs to it stays."""


@dataclass(frozen=True, slots=True)
class Group:
    """A row as everyone above the table sees it.

    `lookup_key` is the name that programs use; it never changes, as `kind` does not, and is
    unique among the groups of the environment that are not archived.
    """

    id: str
    name: str
    lookup_key: str
    kind: GroupKind
    description: str | None
    metadata: Mapping[str, str]
    status: GroupStatus
    created_at: datetime
    updated_at: datetime
    archived_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateGroup:
    name: str
    lookup_key: str
    kind: GroupKind
    description: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
