"""A plan: what is sold, in versions that each are a set of prices."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class PlanStatus(StrEnum):
    ACTIVE = "active"
    ARCHIVED = "archived"


@dataclass(frozen=True, slots=True)
class Plan:
    """A row as everyone above the table sees it.

    `lookup_key` is the name that programs use; it never changes and is unique among the plans
    of the environment that are not archived.
    """

    id: str
    name: str
    lookup_key: str
    description: str | None
    metadata: Mapping[str, str]
    status: PlanStatus
    created_at: datetime
    updated_at: datetime
    archived_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClonePlan:
    """`description` None: that of the plan `plan_id`. `publish` as in `CreatePlan`."""

    plan_id: str
    name: str
    lookup_key: str
    description: str | None = None
    publish: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class CreatePlan:
    """`publish`: its first version can be bought at once, and takes prices as it stands."""

    name: str
    lookup_key: str
    description: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    publish: bool = True
