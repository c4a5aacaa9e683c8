"""A test clock: a present of its own, which stands still until it is advanced.

It is the present of a whole development environment, or of chosen customers in one.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from app.clocks.errors import AdvanceTooFar, ClockAdvancing, ClockBackwards
from app.kernel import checks
from app.tenants.errors import Archived

EARLIEST, LATEST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
MOST_YEARS = 5


class Governs(StrEnum):
    ENVIRONMENT = "environment"
    """The environment as a whole, but for customers with a clock of their own."""
    CUSTOMERS = "customers"
    """The customers that are put on it, and nothing else."""


class ClockStatus(StrEnum):
    READY = "ready"
    """Stands still."""
    ADVANCING = "advancing"
    """On its way: what falls due until `advancing_to` is being done."""
    FAILED = "failed"
    """Stands still where an advance broke off; advancing it again goes on from there."""
    ARCHIVED = "archived"
    """Stands still for good; nothing of what lives on it is done any more."""


@dataclass(frozen=True, slots=True)
class TestClock:
    """`frozen_at` is the present of what lives on it; while it advances, how far it has come.

    `created_at`, `updated_at` and `archived_at` are the machine's instants.
    """

    id: str
    name: str
    governs: Governs
    frozen_at: datetime
    status: ClockStatus
    advancing_to: datetime | None
    failure: str | None
    created_at: datetime
    updated_at: datetime
    archived_at: datetime | None

    @property
    def due_clock_id(self) -> str | None:
        """What its rows of due work say: those of an environment as a whole name no clock."""
        return None if self.governs is Governs.ENVIRONMENT else self.id


def within(at: datetime, field: str) -> datetime:
    """Raises: Invalid (INVALID_FROZEN_AT, INVALID_TO)."""
    if not EARLIEST <= at < LATEST:
        raise checks.invalid(
            field, f"{at.isoformat()} must lie from {EARLIEST.year} to before {LATEST.year}"
        )
    return at


def require_standing(clock: TestClock) -> None:
    """Raises: ClockAdvancing."""
    if clock.status is ClockStatus.ADVANCING:
        raise ClockAdvancing(clock.id, clock.advancing_to)


def check_advance(clock: TestClock, to: datetime) -> datetime:
    """Whether the clock may be advanced to an instant now.

    Raises: Archived, ClockAdvancing, Invalid (INVALID_TO), ClockBackwards, AdvanceTooFar.
    """
    if clock.status is ClockStatus.ARCHIVED:
        raise Archived("test clock", clock.id)
    require_standing(clock)
    within(to, "to")
    if to < clock.frozen_at:
        raise ClockBackwards(clock.id, clock.frozen_at, to)
    if to > (farthest := _farthest(clock.frozen_at)):
        raise AdvanceTooFar(clock.id, farthest, to)
    return to


def _farthest(since: datetime) -> datetime:
    try:
        return since.replace(year=since.year + MOST_YEARS)
    except ValueError:  # 29 February
        return since.replace(year=since.year + MOST_YEARS, day=28)
