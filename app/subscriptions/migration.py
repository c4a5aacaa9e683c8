"""Bulk migrations: many subscriptions go over to a version of a plan, each by a change of plan."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from app.kernel.listing import Where
from app.subscriptions.change import ChangeMode, ChangePlan, Failure, Proration, Timing

# Subscriptions of one migration; more are migrated by several, each with a narrower filter.
MOST = 20_000


class MigrationStatus(StrEnum):
    RUNNING = "running"
    COMPLETED = "completed"
    """Every subscription was asked; the changes of some may still be to come."""
    CANCELED = "canceled"
    """Taken back before all were asked; what was changed until then stays changed."""


class MigrationItemStatus(StrEnum):
    PENDING = "pending"
    CHANGED = "changed"
    """Its change was made, applied or to come; the change says what became of it."""
    REFUSED = "refused"
    """The change was refused; `failure` says why, and the subscription is as it was."""
    CANCELED = "canceled"
    """The migration was canceled before its turn came."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MigratePlan:
    """Let the subscriptions that `where` finds go over to a version of a plan.

    Those that are over, and those on that version already, are not among them.
    """

    what: ChangePlan
    where: Where | None = None
    timing: Timing = field(default_factory=Timing)
    proration: Proration = Proration.CREATE_PRORATIONS


@dataclass(frozen=True, slots=True)
class MigrationCounts:
    """How many of its subscriptions stand where; they add up to `total`."""

    total: int
    pending: int
    changed: int = 0
    refused: int = 0
    canceled: int = 0


@dataclass(frozen=True, slots=True)
class PlanMigration:
    """A row as everyone above the table sees it.

    `terms` are those of each subscription's change (see `change.terms_of`), with plan and
    version; `at` goes with the mode AT. `finished_at`: when none was pending any more.
    """

    id: str
    status: MigrationStatus
    plan_id: str
    plan_version_id: str
    mode: ChangeMode
    at: datetime | None
    proration: Proration
    terms: Mapping[str, Any]
    counts: MigrationCounts
    finished_at: datetime | None
    created_at: datetime
    updated_at: datetime

    @property
    def timing(self) -> Timing:
        return Timing(mode=self.mode, at=self.at)


@dataclass(frozen=True, slots=True)
class MigrationItem:
    """A subscription of a migration, and what came of it."""

    id: str
    migration_id: str
    subscription_id: str
    customer_id: str
    status: MigrationItemStatus
    from_plan_version_id: str
    change_id: str | None
    failure: Failure | None
    done_at: datetime | None
    created_at: datetime
    updated_at: datetime
