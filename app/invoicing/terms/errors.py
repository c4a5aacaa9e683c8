"""What can be wrong with who has a coupon, and whom a tax is asked of.

DomainError
├── Invalid                     OWNER_REQUIRED, OWNER_AMBIGUOUS, COUPON_REQUIRED,
│                               COUPON_AMBIGUOUS, TAX_RATE_REQUIRED, TAX_RATE_AMBIGUOUS,
│                               INVALID_ENDS_AT, INVALID_PRIORITY, INVALID_KIND, INVALID_REASON,
│                               INVALID_CERTIFICATE, INVALID_LEGEND, INVALID_TAX_RATE_IDS
├── NotFound                    NOT_FOUND
└── Conflict
    ├── CouponNotRedeemable     see app.catalog.errors
    ├── CouponAlreadyAttached   COUPON_ALREADY_ATTACHED
    ├── CouponIsDetached        COUPON_DETACHED
    ├── TaxAlreadyAssociated    TAX_ALREADY_ASSOCIATED
    ├── Archived                TAX_RATE_ARCHIVED, TAX_ASSOCIATION_ARCHIVED,
    │                           TAX_EXEMPTION_ARCHIVED, CUSTOMER_ARCHIVED
    └── NotArchived             TAX_ASSOCIATION_NOT_ARCHIVED, TAX_EXEMPTION_NOT_ARCHIVED
"""

from datetime import datetime

from app.kernel.errors import Conflict


class CouponAlreadyAttached(Conflict):
    code = "COUPON_ALREADY_ATTACHED"

    def __init__(self, coupon_id: str, attachment_id: str) -> None:
        super().__init__(
            f"coupon {coupon_id} is attached there already, by {attachment_id}; end that first",
            field="couponId",
        )
        self.attachment_id = attachment_id


class CouponIsDetached(Conflict):
    code = "COUPON_DETACHED"

    def __init__(self, attachment_id: str, ended_at: datetime) -> None:
        super().__init__(
            f"the coupon was taken away by {ended_at.isoformat()} already: {attachment_id}",
            field="id",
        )


class TaxAlreadyAssociated(Conflict):
    code = "TAX_ALREADY_ASSOCIATED"

    def __init__(self, tax_rate_id: str, owner_id: str) -> None:
        super().__init__(
            f"tax rate {tax_rate_id} is associated with {owner_id} already; change that one",
            field="taxRateId",
        )
