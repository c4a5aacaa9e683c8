"""Pauses: spans in which a subscription is not served, and nothing is charged for."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from app.kernel.period import Period


class PauseBehaviour(StrEnum):
    """What a pause does to the boundaries between periods."""

    KEEP = "keep"
    """They stay where they are; a period is shorter by what was paused of it."""
    EXTEND = "extend"
    """Time stands still: the period goes on where it stopped, and all later ones move along."""


class PauseStatus(StrEnum):
    SCHEDULED = "scheduled"
    ACTIVE = "active"
    COMPLETED = "completed"
    CANCELED = "canceled"
    """It was taken back before it began."""


@dataclass(frozen=True, slots=True)
class PauseSpan:
    """What billing knows of a pause: paused from `starts_at` until `ends_at` (exclusive).

    `ends_at` None: until somebody resumes. `start_told` and `end_told`: whether the news was
    told when it was asked for, so that billing, which gets there later, does not tell it again.
    """

    id: str
    starts_at: datetime
    ends_at: datetime | None
    behaviour: PauseBehaviour
    start_told: bool = False
    end_told: bool = False

    def covers(self, at: datetime) -> bool:
        return self.starts_at <= at and (self.ends_at is None or at < self.ends_at)

    def within(self, period: Period) -> Period | None:
        """What of the period is paused; None for nothing."""
        end = period.end if self.ends_at is None else self.ends_at
        return period.intersection(Period(self.starts_at, max(end, self.starts_at)))


@dataclass(frozen=True, slots=True)
class Pause:
    """A row as everyone above the table sees it; it stays when the pause is over."""

    id: str
    subscription_id: str
    starts_at: datetime
    ends_at: datetime | None
    behaviour: PauseBehaviour
    reason: str | None
    canceled_at: datetime | None
    created_at: datetime
    updated_at: datetime

    def status(self, at: datetime) -> PauseStatus:
        if self.canceled_at is not None:
            return PauseStatus.CANCELED
        if at < self.starts_at:
            return PauseStatus.SCHEDULED
        if self.ends_at is None or at < self.ends_at:
            return PauseStatus.ACTIVE
        return PauseStatus.COMPLETED
