"""What can be wrong with the catalogue.

DomainError
├── Invalid            REQUIRED, INVALID_NAME, INVALID_LOOKUP_KEY, INVALID_METADATA, …
│                      METER_REQUIRED, METER_NOT_ALLOWED, FEATURE_REQUIRED, FEATURE_NOT_ALLOWED,
│                      FEATURE_NOT_METERED, UNKNOWN_DIMENSION, DUPLICATE_DIMENSION,
│                      USAGE_IN_ADVANCE, ONE_TIME_USAGE, FLAT_USAGE, INVALID_TRIAL_DAYS,
│                      TRIAL_NOT_ALLOWED, EFFECTIVE_IN_PAST, INVALID_CADENCE, WRONG_GROUP_KIND,
│                      OWNER_REQUIRED, OWNER_AMBIGUOUS, PLAN_MISMATCH, PRICE_UNIT_CURRENCY,
│                      NO_PRICE_UNIT,
│                      REPORTING_UNIT_NOT_ALLOWED; price models: INVALID_TIERS,
│                      LAST_TIER_NOT_OPEN, TIERS_NOT_ASCENDING, NEGATIVE_AMOUNT, …;
│                      entitlements: TERMS_NOT_OF_FEATURE, OVERRIDES_NOT_ALLOWED,
│                      WINDOW_REQUIRED, WINDOW_NOT_ALLOWED, INVALID_EFFECTIVE_UNTIL;
│                      coupons and tax rates: INVALID_DISCOUNT, INVALID_TAX_RATE, INVALID_CODE,
│                      INVALID_PERCENT, INVALID_AMOUNT, INVALID_PERIODS, …
├── NotFound           NOT_FOUND
└── Conflict
    ├── AlreadyExists  ALREADY_EXISTS (lookup_key, code)
    ├── Archived       FEATURE_ARCHIVED, GROUP_ARCHIVED, PLAN_ARCHIVED, PLAN_VERSION_ARCHIVED,
    │                  ADDON_ARCHIVED, PRICE_UNIT_ARCHIVED, PRICE_ARCHIVED, METER_ARCHIVED
    ├── NotArchived    FEATURE_NOT_ARCHIVED, GROUP_NOT_ARCHIVED, PLAN_NOT_ARCHIVED,
    │                  PLAN_VERSION_NOT_ARCHIVED, ADDON_NOT_ARCHIVED, PRICE_UNIT_NOT_ARCHIVED,
    │                  PRICE_NOT_ARCHIVED
    ├── FeatureInUse   FEATURE_IN_USE
    ├── NoPlanVersion, PlanVersionNeeded, PlanNotPublished, DraftExists, AlreadyPublished,
    │   EmptyVersion   NO_PLAN_VERSION, PLAN_VERSION_REQUIRED, PLAN_NOT_PUBLISHED, DRAFT_EXISTS,
    │                  PLAN_VERSION_PUBLISHED, EMPTY_VERSION
    ├── CloneIncomplete CLONE_INCOMPLETE
    ├── PricePublished PRICE_PUBLISHED
    ├── PriceReplaced  PRICE_REPLACED
    ├── PriceOfSubscription   PRICE_OF_SUBSCRIPTION
    ├── EntitlementReplaced   ENTITLEMENT_REPLACED
    ├── EntitlementEnded      ENTITLEMENT_ENDED
    └── CouponNotRedeemable  COUPON_ARCHIVED, COUPON_EXPIRED, COUPON_NOT_ACTIVE,
                       REDEMPTION_LIMIT_REACHED, CURRENCY_MISMATCH, COUPON_NOT_APPLICABLE
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from app.catalog.coupon import Problem
from app.kernel.errors import Conflict


class Archived(Conflict):
    """A thing that is archived changes only by being restored, and nothing new may use it."""

    def __init__(self, kind: str, entity_id: str, *, field: str = "id") -> None:
        super().__init__(
            f"{kind} {entity_id} is archived; restore it first",
            field=field,
            code=f"{_code(kind)}_ARCHIVED",
        )
        self.kind, self.entity_id = kind, entity_id


class NotArchived(Conflict):
    def __init__(self, kind: str, entity_id: str) -> None:
        super().__init__(
            f"{kind} {entity_id} is not archived", field="id", code=f"{_code(kind)}_NOT_ARCHIVED"
        )
        self.kind, self.entity_id = kind, entity_id


class FeatureInUse(Conflict):
    code = "FEATURE_IN_USE"

    def __init__(self, feature_id: str, prices: int, entitlements: int) -> None:
        super().__init__(
            f"feature {feature_id} has {prices} prices and {entitlements} entitlements in use; "
            "archive those first",
            field="id",
        )
        self.feature_id, self.prices, self.entitlements = feature_id, prices, entitlements


class NoPlanVersion(Conflict):
    """Every version of the plan is archived or superseded, and none is a draft."""

    code = "NO_PLAN_VERSION"

    def __init__(self, plan_id: str, *, field: str = "planId") -> None:
        super().__init__(
            f"plan {plan_id} has neither a current version nor a draft; create a version of it",
            field=field,
        )
        self.plan_id = plan_id


class PlanVersionNeeded(Conflict):
    """Naming the plan would leave open which of its versions is meant."""

    code = "PLAN_VERSION_REQUIRED"

    def __init__(self, plan_id: str, versions: Mapping[int, str]) -> None:
        listed = " and ".join(f"{number} ({id_})" for number, id_ in sorted(versions.items()))
        super().__init__(
            f"plan {plan_id} has a current version and a draft, {listed}; name one of them",
            field="planVersionId",
        )
        self.plan_id, self.versions = plan_id, dict(versions)


class PlanNotPublished(Conflict):
    """Nothing of the plan is for sale."""

    code = "PLAN_NOT_PUBLISHED"

    def __init__(self, plan_id: str, *, field: str = "planId") -> None:
        super().__init__(f"plan {plan_id} has no published version; publish one first", field=field)
        self.plan_id = plan_id


class DraftExists(Conflict):
    """A plan has one draft at a time."""

    code = "DRAFT_EXISTS"

    def __init__(self, plan_id: str, version_id: str, number: int, *, field: str) -> None:
        super().__init__(
            f"version {number} of plan {plan_id} is a draft already ({version_id}); publish or "
            "archive it first",
            field=field,
        )
        self.plan_id, self.version_id, self.number = plan_id, version_id, number


class AlreadyPublished(Conflict):
    code = "PLAN_VERSION_PUBLISHED"

    def __init__(self, version_id: str) -> None:
        super().__init__(f"plan version {version_id} is published already", field="id")
        self.version_id = version_id


class EmptyVersion(Conflict):
    code = "EMPTY_VERSION"

    def __init__(self, version_id: str) -> None:
        super().__init__(
            f"plan version {version_id} has no price; add one, or say allowEmpty", field="id"
        )
        self.version_id = version_id


class CloneIncomplete(Conflict):
    """What a plan sells is not there in the environment that it is to be cloned into."""

    code = "CLONE_INCOMPLETE"

    def __init__(self, missing: Mapping[str, Sequence[str]]) -> None:
        listed = "; ".join(f"{kind} {', '.join(keys)}" for kind, keys in missing.items() if keys)
        super().__init__(
            f"environmentId: the environment lacks {listed}; create them there first, of the "
            "same type",
            field="environmentId",
        )
        self.missing = {kind: tuple(keys) for kind, keys in missing.items() if keys}


class PricePublished(Conflict):
    """What somebody may have bought is not deleted."""

    code = "PRICE_PUBLISHED"

    def __init__(self, price_id: str) -> None:
        super().__init__(
            f"price {price_id} does not belong to a draft; archive it instead", field="id"
        )
        self.price_id = price_id


class PriceOfSubscription(Conflict):
    """A price of a subscription's own changes with its line."""

    code = "PRICE_OF_SUBSCRIPTION"

    def __init__(self, price_id: str, subscription_id: str) -> None:
        super().__init__(
            f"price {price_id} is subscription {subscription_id}'s own; change it there, by "
            "subscriptionPriceChange or subscriptionUpdate",
            field="id",
        )
        self.price_id, self.subscription_id = price_id, subscription_id


class PriceReplaced(Conflict):
    code = "PRICE_REPLACED"

    def __init__(self, price_id: str, successor_id: str) -> None:
        super().__init__(
            f"price {price_id} was replaced by {successor_id}; change that one", field="id"
        )
        self.price_id, self.successor_id = price_id, successor_id


class EntitlementReplaced(Conflict):
    code = "ENTITLEMENT_REPLACED"

    def __init__(self, entitlement_id: str, successor_id: str) -> None:
        super().__init__(
            f"entitlement {entitlement_id} was replaced by {successor_id}; change that one",
            field="id",
        )
        self.entitlement_id, self.successor_id = entitlement_id, successor_id


class EntitlementEnded(Conflict):
    """What is over stays as it was; another may begin."""

    code = "ENTITLEMENT_ENDED"

    def __init__(self, entitlement_id: str, ended_at: datetime) -> None:
        super().__init__(
            f"entitlement {entitlement_id} ended at {ended_at.isoformat()}; create another",
            field="id",
        )
        self.entitlement_id, self.ended_at = entitlement_id, ended_at


class CouponNotRedeemable(Conflict):
    """Its code says why: COUPON_EXPIRED, COUPON_NOT_ACTIVE, REDEMPTION_LIMIT_REACHED, …"""

    def __init__(self, coupon_id: str, problem: Problem, *, field: str = "couponId") -> None:
        super().__init__(
            f"coupon {coupon_id} cannot be redeemed: {problem.message}",
            field=field,
            code=problem.code,
        )
        self.coupon_id = coupon_id


def _code(kind: str) -> str:
    return kind.upper().replace(" ", "_")
