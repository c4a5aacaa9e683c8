"""What happened to who has a coupon, and to whom a tax is asked of."""

from datetime import datetime
from typing import Any, ClassVar, Self

from app.invoicing.terms.attachment import CouponAttachment
from app.invoicing.terms.taxation import TaxAssociation, TaxExemption
from app.kernel.events import Event


class CouponAttachmentEvent(Event, frozen=True, kw_only=True):
    """Every event of an attachment says of what, and to whom."""

    coupon_id: str
    customer_id: str
    subscription_id: str | None

    @classmethod
    def of(cls, attachment: CouponAttachment, at: datetime) -> Self:
        return cls(
            entity_id=attachment.id,
            occurred_at=at,
            coupon_id=attachment.coupon_id,
            customer_id=attachment.customer_id,
            subscription_id=attachment.subscription_id,
        )

    def payload(self) -> dict[str, Any]:
        return {
            "coupon_id": self.coupon_id,
            "customer_id": self.customer_id,
            "subscription_id": self.subscription_id,
        }


class CouponAttached(CouponAttachmentEvent, frozen=True, kw_only=True):
    name: ClassVar[str] = "coupon.attached"


class CouponDetached(CouponAttachmentEvent, frozen=True, kw_only=True):
    name: ClassVar[str] = "coupon.detached"


class TaxAssociationEvent(Event, frozen=True, kw_only=True):
    """Every event of an association says of which rate, and with what."""

    tax_rate_id: str
    level: str
    owner_id: str | None

    @classmethod
    def of(cls, association: TaxAssociation, at: datetime) -> Self:
        return cls(
            entity_id=association.id,
            occurred_at=at,
            tax_rate_id=association.tax_rate_id,
            level=association.level.value,
            owner_id=association.owner_id,
        )

    def payload(self) -> dict[str, Any]:
        return {
            "tax_rate_id": self.tax_rate_id,
            "level": self.level,
            **({} if self.owner_id is None else {f"{self.level}_id": self.owner_id}),
        }


class TaxAssociationCreated(TaxAssociationEvent, frozen=True, kw_only=True):
    name: ClassVar[str] = "tax_association.created"


class TaxAssociationUpdated(TaxAssociationEvent, frozen=True, kw_only=True):
    name: ClassVar[str] = "tax_association.updated"


class TaxAssociationArchived(TaxAssociationEvent, frozen=True, kw_only=True):
    name: ClassVar[str] = "tax_association.archived"


class TaxAssociationRestored(TaxAssociationEvent, frozen=True, kw_only=True):
    name: ClassVar[str] = "tax_association.restored"


class TaxExemptionEvent(Event, frozen=True, kw_only=True):
    """Every event of an exemption says whose it is."""

    customer_id: str

    @classmethod
    def of(cls, exemption: TaxExemption, at: datetime) -> Self:
        return cls(entity_id=exemption.id, occurred_at=at, customer_id=exemption.customer_id)

    def payload(self) -> dict[str, Any]:
        return {"customer_id": self.customer_id}


class TaxExemptionCreated(TaxExemptionEvent, frozen=True, kw_only=True):
    name: ClassVar[str] = "tax_exemption.created"


class TaxExemptionUpdated(TaxExemptionEvent, frozen=True, kw_only=True):
    name: ClassVar[str] = "tax_exemption.updated"


class TaxExemptionArchived(TaxExemptionEvent, frozen=True, kw_only=True):
    name: ClassVar[str] = "tax_exemption.archived"


class TaxExemptionRestored(TaxExemptionEvent, frozen=True, kw_only=True):
    name: ClassVar[str] = "tax_exemption.restored"
