"""A version of a plan: a set of prices that is made ready as a draft, and then sold."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class PlanVersionStatus(StrEnum):
    DRAFT = "draft"
    """Nobody can buy it; its prices change freely."""
    PUBLISHED = "published"
    """It is or was for sale; subscriptions on it stay on it."""
    ARCHIVED = "archived"
    """Nobody can buy it any more, or ever could; subscriptions on it stay on it."""


@dataclass(frozen=True, slots=True)
class PlanVersion:
    """A row as everyone above the table sees it.

    `number` counts from 1 within the plan. `current`: new subscriptions take this one, which is
    the one published last of those that are not archived. `published_at` None: never published,
    so that nobody can have bought it.
    """

    id: str
    plan_id: str
    number: int
    description: str | None
    status: PlanVersionStatus
    current: bool
    published_at: datetime | None
    archived_at: datetime | None
    created_at: datetime
    updated_at: datetime


def status_of(published_at: datetime | None, archived_at: datetime | None) -> PlanVersionStatus:
    if archived_at is not None:
        return PlanVersionStatus.ARCHIVED
    return PlanVersionStatus.DRAFT if published_at is None else PlanVersionStatus.PUBLISHED


def newest_published(versions: Iterable[PlanVersion]) -> PlanVersion | None:
    """The version that new subscriptions take: the one published last of those not archived."""
    found = [
        (version.published_at, version.number, version)
        for version in versions
        if version.published_at is not None and version.archived_at is None
    ]
    return max(found, key=lambda each: each[:2])[2] if found else None
