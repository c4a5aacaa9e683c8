"""What happened in the catalogue. The entity's id is told; what it says now is read back."""

from datetime import datetime
from typing import Any, ClassVar, Self

from app.catalog.plan_version import PlanVersion
from app.catalog.price import Price
from app.kernel.events import Event


class FeatureCreated(Event, frozen=True, kw_only=True):
    name: ClassVar[str] = "feature.created"


class FeatureUpdated(Event, frozen=True, kw_only=True):
    name: ClassVar[str] = "feature.updated"


class FeatureArchived(Event, frozen=True, kw_only=True):
    name: ClassVar[str] = "feature.archived"


class FeatureRestored(Event, frozen=True, kw_only=True):
    name: ClassVar[str] = "feature.restored"


class GroupCreated(Event, frozen=True, kw_only=True):
    name: ClassVar[str] = "group.created"


class GroupUpdated(Event, frozen=True, kw_only=True):
    name: ClassVar[str] = "group.updated"


class GroupArchived(Event, frozen=True, kw_only=True):
    name: ClassVar[str] = "group.archived"


class GroupRestored(Event, frozen=True, kw_only=True):
    name: ClassVar[str] = "group.restored"


class PlanCreated(Event, frozen=True, kw_only=True):
    name: ClassVar[str] = "plan.created"


class PlanUpdated(Event, frozen=True, kw_only=True):
    name: ClassVar[str] = "plan.updated"


class PlanArchived(Event, frozen=True, kw_only=True):
    name: ClassVar[str] = "plan.archived"


class PlanRestored(Event, frozen=True, kw_only=True):
    name: ClassVar[str] = "plan.restored"


class PlanVersionEvent(Event, frozen=True, kw_only=True):
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


class PlanVersionCreated(PlanVersionEvent, frozen=True, kw_only=True):
    name: ClassVar[str] = "plan_version.created"


class PlanVersionUpdated(PlanVersionEvent, frozen=True, kw_only=True):
    name: ClassVar[str] = "plan_version.updated"


class PlanVersionPublished(PlanVersionEvent, frozen=True, kw_only=True):
    name: ClassVar[str] = "plan_version.published"


class PlanVersionArchived(PlanVersionEvent, frozen=True, kw_only=True):
    name: ClassVar[str] = "plan_version.archived"


class PlanVersionRestored(PlanVersionEvent, frozen=True, kw_only=True):
    name: ClassVar[str] = "plan_version.restored"


class AddonCreated(Event, frozen=True, kw_only=True):
    name: ClassVar[str] = "addon.created"


class AddonUpdated(Event, frozen=True, kw_only=True):
    name: ClassVar[str] = "addon.updated"


class AddonArchived(Event, frozen=True, kw_only=True):
    name: ClassVar[str] = "addon.archived"


class AddonRestored(Event, frozen=True, kw_only=True):
    name: ClassVar[str] = "addon.restored"


class PriceUnitCreated(Event, frozen=True, kw_only=True):
    name: ClassVar[str] = "price_unit.created"


class PriceUnitUpdated(Event, frozen=True, kw_only=True):
    name: ClassVar[str] = "price_unit.updated"


class PriceUnitArchived(Event, frozen=True, kw_only=True):
    name: ClassVar[str] = "price_unit.archived"


class PriceUnitRestored(Event, frozen=True, kw_only=True):
    name: ClassVar[str] = "price_unit.restored"


class PriceEvent(Event, frozen=True, kw_only=True):
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


class PriceCreated(PriceEvent, frozen=True, kw_only=True):
    name: ClassVar[str] = "price.created"


class PriceUpdated(PriceEvent, frozen=True, kw_only=True):
    name: ClassVar[str] = "price.updated"


class PriceArchived(PriceEvent, frozen=True, kw_only=True):
    name: ClassVar[str] = "price.archived"


class PriceRestored(PriceEvent, frozen=True, kw_only=True):
    name: ClassVar[str] = "price.restored"


class PriceDeleted(PriceEvent, frozen=True, kw_only=True):
    """It belonged to a draft."""

    name: ClassVar[str] = "price.deleted"


class PriceReplacedBy(PriceEvent, frozen=True, kw_only=True):
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


class EntitlementEvent(Event, frozen=True, kw_only=True):
    """Every event of an entitlement says whose it is, and to what."""

    owner_kind: str
    owner_id: str
    plan_version_id: str | None
    feature_id: str

    def payload(self) -> dict[str, Any]:
        version = {} if self.plan_version_id is None else {"plan_version_id": self.plan_version_id}
        owner = {f"{self.owner_kind}_id": self.owner_id}
        return owner | version | {"feature_id": self.feature_id}


class EntitlementCreated(EntitlementEvent, frozen=True, kw_only=True):
    name: ClassVar[str] = "entitlement.created"


class EntitlementUpdated(EntitlementEvent, frozen=True, kw_only=True):
    name: ClassVar[str] = "entitlement.updated"


class EntitlementArchived(EntitlementEvent, frozen=True, kw_only=True):
    name: ClassVar[str] = "entitlement.archived"


class EntitlementRestored(EntitlementEvent, frozen=True, kw_only=True):
    name: ClassVar[str] = "entitlement.restored"


class EntitlementReplacedBy(EntitlementEvent, frozen=True, kw_only=True):
    """Its substance changed: from its end on another row is in force."""

    name: ClassVar[str] = "entitlement.replaced"
    successor_id: str

    def payload(self) -> dict[str, Any]:
        # Not super(): slots make another class of this one.
        return EntitlementEvent.payload(self) | {"successor_id": self.successor_id}


class CouponCreated(Event, frozen=True, kw_only=True):
    name: ClassVar[str] = "coupon.created"


class CouponUpdated(Event, frozen=True, kw_only=True):
    name: ClassVar[str] = "coupon.updated"


class CouponArchived(Event, frozen=True, kw_only=True):
    name: ClassVar[str] = "coupon.archived"


class CouponRestored(Event, frozen=True, kw_only=True):
    name: ClassVar[str] = "coupon.restored"


class TaxRateCreated(Event, frozen=True, kw_only=True):
    name: ClassVar[str] = "tax_rate.created"


class TaxRateUpdated(Event, frozen=True, kw_only=True):
    name: ClassVar[str] = "tax_rate.updated"


class TaxRateArchived(Event, frozen=True, kw_only=True):
    name: ClassVar[str] = "tax_rate.archived"


class TaxRateRestored(Event, frozen=True, kw_only=True):
    name: ClassVar[str] = "tax_rate.restored"
