"""What happened in the catalogue. The entity's id is told; what it says now is read back."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Self

from app.catalog.plan_version import PlanVersion
from app.catalog.price import Price
from app.kernel.events import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureCreated(Event):
    name: ClassVar[str] = "feature.created"


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureUpdated(Event):
    name: ClassVar[str] = "feature.updated"


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureArchived(Event):
    name: ClassVar[str] = "feature.archived"


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureRestored(Event):
    name: ClassVar[str] = "feature.restored"


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupCreated(Event):
    name: ClassVar[str] = "group.created"


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupUpdated(Event):
    name: ClassVar[str] = "group.updated"


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupArchived(Event):
    name: ClassVar[str] = "group.archived"


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupRestored(Event):
    name: ClassVar[str] = "group.restored"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanCreated(Event):
    name: ClassVar[str] = "plan.created"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanUpdated(Event):
    name: ClassVar[str] = "plan.updated"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanArchived(Event):
    name: ClassVar[str] = "plan.archived"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRestored(Event):
    name: ClassVar[str] = "plan.restored"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanVersionEvent(Event):
    """Every event of a version says which of which plan it is."""

    plan_id: str
    number: int

    @classmethod
    def of(cls, version: PlanVersion, at: datetime) -> Self:
        return cls(
            entity_id=version.id, plan_id=version.plan_id, number=version.number, occurred_at=at
        )

    def payload(self) -> dict[str, Any]:
        return {"plan_id": self.plan_id, "number": self.number}


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanVersionCreated(PlanVersionEvent):
    name: ClassVar[str] = "plan_version.created"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanVersionUpdated(PlanVersionEvent):
    name: ClassVar[str] = "plan_version.updated"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanVersionPublished(PlanVersionEvent):
    name: ClassVar[str] = "plan_version.published"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanVersionArchived(PlanVersionEvent):
    name: ClassVar[str] = "plan_version.archived"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanVersionRestored(PlanVersionEvent):
    name: ClassVar[str] = "plan_version.restored"


@dataclass(frozen=True, slots=True, kw_only=True)
class AddonCreated(Event):
    name: ClassVar[str] = "addon.created"


@dataclass(frozen=True, slots=True, kw_only=True)
class AddonUpdated(Event):
    name: ClassVar[str] = "addon.updated"


@dataclass(frozen=True, slots=True, kw_only=True)
class AddonArchived(Event):
    name: ClassVar[str] = "addon.archived"


@dataclass(frozen=True, slots=True, kw_only=True)
class AddonRestored(Event):
    name: ClassVar[str] = "addon.restored"


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceUnitCreated(Event):
    name: ClassVar[str] = "price_unit.created"


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceUnitUpdated(Event):
    name: ClassVar[str] = "price_unit.updated"


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceUnitArchived(Event):
    name: ClassVar[str] = "price_unit.archived"


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceUnitRestored(Event):
    name: ClassVar[str] = "price_unit.restored"


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceEvent(Event):
    """Every event of a price says whose it is: a plan's, of one of its versions, an addon's, or a
    subscription's own."""

    plan_id: str | None
    plan_version_id: str | None
    addon_id: str | None
    subscription_id: str | None

    @classmethod
    def of(cls, price: Price, at: datetime) -> Self:
        return cls(entity_id=price.id, occurred_at=at, **owner_of(price))

    def payload(self) -> dict[str, Any]:
        own = {} if self.subscription_id is None else {"subscription_id": self.subscription_id}
        return {
            "plan_id": self.plan_id,
            "plan_version_id": self.plan_version_id,
            "addon_id": self.addon_id,
            **own,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceCreated(PriceEvent):
    name: ClassVar[str] = "price.created"


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceUpdated(PriceEvent):
    name: ClassVar[str] = "price.updated"


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceArchived(PriceEvent):
    name: ClassVar[str] = "price.archived"


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceRestored(PriceEvent):
    name: ClassVar[str] = "price.restored"


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceDeleted(PriceEvent):
    """It belonged to a draft."""

    name: ClassVar[str] = "price.deleted"


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceReplacedBy(PriceEvent):
    """Its substance changed: from its end on another row is in force."""

    name: ClassVar[str] = "price.replaced"
    successor_id: str

    def payload(self) -> dict[str, Any]:
        return {**PriceEvent.payload(self), "successor_id": self.successor_id}


def owner_of(price: Price) -> dict[str, str | None]:
    return {
        "plan_id": price.plan_id,
        "plan_version_id": price.plan_version_id,
        "addon_id": price.addon_id,
        "subscription_id": price.subscription_id,
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class EntitlementEvent(Event):
    """Every event of an entitlement says whose it is, and to what."""

    owner_kind: str
    owner_id: str
    plan_version_id: str | None
    feature_id: str

    def payload(self) -> dict[str, Any]:
        version = {} if self.plan_version_id is None else {"plan_version_id": self.plan_version_id}
        owner = {f"{self.owner_kind}_id": self.owner_id}
        return owner | version | {"feature_id": self.feature_id}


@dataclass(frozen=True, slots=True, kw_only=True)
class EntitlementCreated(EntitlementEvent):
    name: ClassVar[str] = "entitlement.created"


@dataclass(frozen=True, slots=True, kw_only=True)
class EntitlementUpdated(EntitlementEvent):
    name: ClassVar[str] = "entitlement.updated"


@dataclass(frozen=True, slots=True, kw_only=True)
class EntitlementArchived(EntitlementEvent):
    name: ClassVar[str] = "entitlement.archived"


@dataclass(frozen=True, slots=True, kw_only=True)
class EntitlementRestored(EntitlementEvent):
    name: ClassVar[str] = "entitlement.restored"


@dataclass(frozen=True, slots=True, kw_only=True)
class EntitlementReplacedBy(EntitlementEvent):
    """Its substance changed: from its end on another row is in force."""

    name: ClassVar[str] = "entitlement.replaced"
    successor_id: str

    def payload(self) -> dict[str, Any]:
        # Not super(): slots make another class of this one.
        return EntitlementEvent.payload(self) | {"successor_id": self.successor_id}


@dataclass(frozen=True, slots=True, kw_only=True)
class CouponCreated(Event):
    name: ClassVar[str] = "coupon.created"


@dataclass(frozen=True, slots=True, kw_only=True)
class CouponUpdated(Event):
    name: ClassVar[str] = "coupon.updated"


@dataclass(frozen=True, slots=True, kw_only=True)
class CouponArchived(Event):
    name: ClassVar[str] = "coupon.archived"


@dataclass(frozen=True, slots=True, kw_only=True)
class CouponRestored(Event):
    name: ClassVar[str] = "coupon.restored"


@dataclass(frozen=True, slots=True, kw_only=True)
class TaxRateCreated(Event):
    name: ClassVar[str] = "tax_rate.created"


@dataclass(frozen=True, slots=True, kw_only=True)
class TaxRateUpdated(Event):
    name: ClassVar[str] = "tax_rate.updated"


@dataclass(frozen=True, slots=True, kw_only=True)
class TaxRateArchived(Event):
    name: ClassVar[str] = "tax_rate.archived"


@dataclass(frozen=True, slots=True, kw_only=True)
class TaxRateRestored(Event):
    name: ClassVar[str] = "tax_rate.restored"
