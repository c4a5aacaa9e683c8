from datetime import datetime
from typing import Any, ClassVar

from app.kernel.events import Event


class SubscriptionEvent(Event, frozen=True, kw_only=True):
    """Every event of a subscription says whose it is."""

    customer_id: str
    plan_id: str

    def payload(self) -> dict[str, Any]:
        return {"customer_id": self.customer_id, "plan_id": self.plan_id}


class SubscriptionCreated(SubscriptionEvent, frozen=True, kw_only=True):
    name: ClassVar[str] = "subscription.created"


class SubscriptionDraftCreated(SubscriptionEvent, frozen=True, kw_only=True):
    """It bills nothing until it is activated."""

    name: ClassVar[str] = "subscription.draft_created"


class SubscriptionUpdated(SubscriptionEvent, frozen=True, kw_only=True):
    name: ClassVar[str] = "subscription.updated"


class SubscriptionActivated(SubscriptionEvent, frozen=True, kw_only=True):
    """Its start has come, or a draft was activated."""

    name: ClassVar[str] = "subscription.activated"


class SubscriptionTrialStarted(SubscriptionEvent, frozen=True, kw_only=True):
    name: ClassVar[str] = "subscription.trial_started"
    trial_ends_at: datetime

    def payload(self) -> dict[str, Any]:
        # Not super(): a dataclass with slots is another class than the one it was written in.
        facts = SubscriptionEvent.payload(self)
        return facts | {"trial_ends_at": self.trial_ends_at.isoformat()}


class SubscriptionTrialEnded(SubscriptionEvent, frozen=True, kw_only=True):
    """It is charged for from here on."""

    name: ClassVar[str] = "subscription.trial_ended"


class SubscriptionRenewed(SubscriptionEvent, frozen=True, kw_only=True):
    """The period before is billed and another has begun."""

    name: ClassVar[str] = "subscription.renewed"
    period_start: datetime
    period_end: datetime

    def payload(self) -> dict[str, Any]:
        return SubscriptionEvent.payload(self) | {
            "period_start": self.period_start.isoformat(),
            "period_end": self.period_end.isoformat(),
        }


class SubscriptionPauseScheduled(SubscriptionEvent, frozen=True, kw_only=True):
    name: ClassVar[str] = "subscription.pause_scheduled"
    pause_id: str
    starts_at: datetime

    def payload(self) -> dict[str, Any]:
        return SubscriptionEvent.payload(self) | {
            "pause_id": self.pause_id,
            "starts_at": self.starts_at.isoformat(),
        }


class SubscriptionPaused(SubscriptionEvent, frozen=True, kw_only=True):
    name: ClassVar[str] = "subscription.paused"
    pause_id: str

    def payload(self) -> dict[str, Any]:
        return SubscriptionEvent.payload(self) | {"pause_id": self.pause_id}


class SubscriptionResumed(SubscriptionEvent, frozen=True, kw_only=True):
    name: ClassVar[str] = "subscription.resumed"
    pause_id: str

    def payload(self) -> dict[str, Any]:
        return SubscriptionEvent.payload(self) | {"pause_id": self.pause_id}


class SubscriptionThresholdReached(SubscriptionEvent, frozen=True, kw_only=True):
    """Its usage came to its threshold and is billed so far."""

    name: ClassVar[str] = "subscription.threshold_reached"


class SubscriptionCancellationScheduled(SubscriptionEvent, frozen=True, kw_only=True):
    """It will be canceled at the end of the period, or at the instant that was named."""

    name: ClassVar[str] = "subscription.cancellation_scheduled"


class SubscriptionUncanceled(SubscriptionEvent, frozen=True, kw_only=True):
    """The cancellation to come was taken back."""

    name: ClassVar[str] = "subscription.uncanceled"


class SubscriptionCanceled(SubscriptionEvent, frozen=True, kw_only=True):
    name: ClassVar[str] = "subscription.canceled"


class SubscriptionEnded(SubscriptionEvent, frozen=True, kw_only=True):
    """It reached its end and is billed completely."""

    name: ClassVar[str] = "subscription.ended"


class SubscriptionChangeEvent(SubscriptionEvent, frozen=True, kw_only=True):
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


class SubscriptionChangeScheduled(SubscriptionChangeEvent, frozen=True, kw_only=True):
    """Quantity or plan will change at an instant to come."""

    name: ClassVar[str] = "subscription.change_scheduled"


class SubscriptionChanged(SubscriptionChangeEvent, frozen=True, kw_only=True):
    """Quantity or plan has changed: lines have ended and others have begun."""

    name: ClassVar[str] = "subscription.changed"


class SubscriptionChangeCanceled(SubscriptionChangeEvent, frozen=True, kw_only=True):
    """It was taken back, or the subscription was over before it came."""

    name: ClassVar[str] = "subscription.change_canceled"


class SubscriptionChangeFailed(SubscriptionChangeEvent, frozen=True, kw_only=True):
    """It was refused when it came; all is as it was."""

    name: ClassVar[str] = "subscription.change_failed"


class PlanMigrationEvent(Event, frozen=True, kw_only=True):
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


class PlanMigrationStarted(PlanMigrationEvent, frozen=True, kw_only=True):
    name: ClassVar[str] = "plan_migration.started"


class PlanMigrationCompleted(PlanMigrationEvent, frozen=True, kw_only=True):
    """Each of its subscriptions was asked; the changes of some may still be to come."""

    name: ClassVar[str] = "plan_migration.completed"


class PlanMigrationCanceled(PlanMigrationEvent, frozen=True, kw_only=True):
    name: ClassVar[str] = "plan_migration.canceled"
