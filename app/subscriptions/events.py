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
class SubscriptionUpdated(SubscriptionEvent):
    name: ClassVar[str] = "subscription.updated"


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionActivated(SubscriptionEvent):
    """Its start has come."""

    name: ClassVar[str] = "subscription.activated"


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionRenewed(SubscriptionEvent):
    """The period before is billed and another has begun."""

    name: ClassVar[str] = "subscription.renewed"
    period_start: datetime
    period_end: datetime

    def payload(self) -> dict[str, Any]:
        return {
            "customer_id": self.customer_id,
            "plan_id": self.plan_id,
            "period_start": self.period_start.isoformat(),
            "period_end": self.period_end.isoformat(),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionCancellationScheduled(SubscriptionEvent):
    """It will be canceled at the end of the period."""

    name: ClassVar[str] = "subscription.cancellation_scheduled"


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionCanceled(SubscriptionEvent):
    name: ClassVar[str] = "subscription.canceled"


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionEnded(SubscriptionEvent):
    """It reached its end and is billed completely."""

    name: ClassVar[str] = "subscription.ended"
