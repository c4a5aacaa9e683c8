from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from app.kernel.events import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionEvent(Event):
    """Every event of a subscription says whose it is."""

    customer_id: str
    plan_id: str

    def payload(self) -> dict[str, Any]:
        return {"customer_id": self.customer_id, "plan_id": self.plan_id}


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionCreated(SubscriptionEvent):
    name: ClassVar[str] = "subscription.created"


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionDraftCreated(SubscriptionEvent):
    """It bills nothing until it is activated."""

    name: ClassVar[str] = "subscription.draft_created"


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionUpdated(SubscriptionEvent):
    name: ClassVar[str] = "subscription.updated"


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionActivated(SubscriptionEvent):
    """Its start has come, or a draft was activated."""

    name: ClassVar[str] = "subscription.activated"


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionTrialStarted(SubscriptionEvent):
    name: ClassVar[str] = "subscription.trial_started"
    trial_ends_at: datetime

    def payload(self) -> dict[str, Any]:
        # Not super(): a dataclass with slots is another class than the one it was written in.
        facts = SubscriptionEvent.payload(self)
        return facts | {"trial_ends_at": self.trial_ends_at.isoformat()}


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionTrialEnded(SubscriptionEvent):
    """It is charged for from here on."""

    name: ClassVar[str] = "subscription.trial_ended"


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionRenewed(SubscriptionEvent):
    """The period before is billed and another has begun."""

    name: ClassVar[str] = "subscription.renewed"
    period_start: datetime
    period_end: datetime

    def payload(self) -> dict[str, Any]:
        return SubscriptionEvent.payload(self) | {
            "period_start": self.period_start.isoformat(),
            "period_end": self.period_end.isoformat(),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionPauseScheduled(SubscriptionEvent):
    name: ClassVar[str] = "subscription.pause_scheduled"
    pause_id: str
    starts_at: datetime

    def payload(self) -> dict[str, Any]:
        return SubscriptionEvent.payload(self) | {
            "pause_id": self.pause_id,
            "starts_at": self.starts_at.isoformat(),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionPaused(SubscriptionEvent):
    name: ClassVar[str] = "subscription.paused"
    pause_id: str

    def payload(self) -> dict[str, Any]:
        return SubscriptionEvent.payload(self) | {"pause_id": self.pause_id}


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionResumed(SubscriptionEvent):
    name: ClassVar[str] = "subscription.resumed"
    pause_id: str

    def payload(self) -> dict[str, Any]:
        return SubscriptionEvent.payload(self) | {"pause_id": self.pause_id}


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionThresholdReached(SubscriptionEvent):
    """Its usage came to its threshold and is billed so far."""

    name: ClassVar[str] = "subscription.threshold_reached"


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionCancellationScheduled(SubscriptionEvent):
    """It will be canceled at the end of the period, or at the instant that was named."""

    name: ClassVar[str] = "subscription.cancellation_scheduled"


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionUncanceled(SubscriptionEvent):
    """The cancellation to come was taken back."""

    name: ClassVar[str] = "subscription.uncanceled"


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionCanceled(SubscriptionEvent):
    name: ClassVar[str] = "subscription.canceled"


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionEnded(SubscriptionEvent):
    """It reached its end and is billed completely."""

    name: ClassVar[str] = "subscription.ended"


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionChangeEvent(SubscriptionEvent):
    """Every event of a change says which, of what kind, and when it takes effect."""

    change_id: str
    kind: str
    effective_at: datetime

    def payload(self) -> dict[str, Any]:
        return SubscriptionEvent.payload(self) | {
            "change_id": self.change_id,
            "kind": self.kind,
            "effective_at": self.effective_at.isoformat(),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionChangeScheduled(SubscriptionChangeEvent):
    """Quantity or plan will change at an instant to come."""

    name: ClassVar[str] = "subscription.change_scheduled"


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionChanged(SubscriptionChangeEvent):
    """Quantity or plan has changed: lines have ended and others have begun."""

    name: ClassVar[str] = "subscription.changed"


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionChangeCanceled(SubscriptionChangeEvent):
    """It was taken back, or the subscription was over before it came."""

    name: ClassVar[str] = "subscription.change_canceled"


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionChangeFailed(SubscriptionChangeEvent):
    """It was refused when it came; all is as it was."""

    name: ClassVar[str] = "subscription.change_failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanMigrationEvent(Event):
    """Every event of a bulk migration says where to, and how many stand where."""

    plan_id: str
    plan_version_id: str
    total: int
    changed: int
    refused: int
    canceled: int

    def payload(self) -> dict[str, Any]:
        return {
            "plan_id": self.plan_id,
            "plan_version_id": self.plan_version_id,
            "total": self.total,
            "changed": self.changed,
            "refused": self.refused,
            "canceled": self.canceled,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanMigrationStarted(PlanMigrationEvent):
    name: ClassVar[str] = "plan_migration.started"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanMigrationCompleted(PlanMigrationEvent):
    """Each of its subscriptions was asked; the changes of some may still be to come."""

    name: ClassVar[str] = "plan_migration.completed"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanMigrationCanceled(PlanMigrationEvent):
    name: ClassVar[str] = "plan_migration.canceled"
