"""An entitlement: what a plan, an addon or one subscription gives of a feature.

Rows are like those of prices: their substance never changes. A change ends one row and starts
another, and who bought the former keeps it.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from app.catalog.entitlement_terms import Terms, to_json
from app.catalog.prices import content_hash
from app.kernel.errors import Invalid


class OwnerKind(StrEnum):
    """What can give a feature."""

    PLAN = "plan"
    ADDON = "addon"
    SUBSCRIPTION = "subscription"


class Overrides(StrEnum):
    """What an entitlement of a subscription takes the place of while it is in force."""

    ALL = "all"
    """Of everything that the plan and the addons give of the feature."""
    PLAN = "plan"
    """Of what the plan gives; addons add to it."""
    NOTHING = "nothing"
    """It adds to what the plan and the addons give."""


@dataclass(frozen=True, slots=True)
class Owner:
    """`version_id`: of a plan, the version of it that gives; None for others."""

    kind: OwnerKind
    id: str
    version_id: str | None = None


@dataclass(frozen=True, slots=True)
class Entitlement:
    """A row as everyone above the table sees it.

    In force from `effective_from` until `effective_until` (exclusive; None: no end): of a plan
    or an addon, whoever buys it then has it, and keeps it; of a subscription, it has it then.
    `enabled` false gives nothing, and says so. `overrides` is set for subscriptions alone.
    `replaces_id` is the row that this one took over from.
    """

    id: str
    owner: Owner
    feature_id: str
    enabled: bool
    terms: Terms
    overrides: Overrides | None
    metadata: Mapping[str, str]
    content_hash: str
    replaces_id: str | None
    effective_from: datetime
    effective_until: datetime | None
    created_at: datetime
    updated_at: datetime

    def in_force(self, at: datetime) -> bool:
        return self.effective_from <= at and (
            self.effective_until is None or at < self.effective_until
        )

    def overlaps(self, start: datetime, end: datetime | None) -> bool:
        """Whether it is in force at any instant from `start` until before `end`."""
        mine = self.effective_until
        if mine is not None and mine <= self.effective_from:
            return False
        return (end is None or self.effective_from < end) and (mine is None or start < mine)


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateEntitlement:
    """Of a plan or a version of one, of an addon, or of a subscription: one of them.

    `effective_from` None: from now on. `overrides` is for subscriptions alone.
    """

    feature_id: str
    terms: Terms
    plan_id: str | None = None
    plan_version_id: str | None = None
    addon_id: str | None = None
    subscription_id: str | None = None
    enabled: bool = True
    overrides: Overrides | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    effective_from: datetime | None = None
    effective_until: datetime | None = None

    def __post_init__(self) -> None:
        others = (self.plan_id, self.plan_version_id, self.addon_id)
        if self.subscription_id is not None and any(each is not None for each in others):
            raise Invalid(
                "subscriptionId: name a plan, an addon or a subscription, one of them",
                field="subscriptionId",
                code="OWNER_AMBIGUOUS",
            )


def substance_hash(
    feature_id: str, terms: Terms, overrides: Overrides | None, *, enabled: bool
) -> str:
    """The hash of what is given; not of dates, notes or the owner."""
    substance = {
        "feature_id": feature_id,
        "enabled": enabled,
        "terms": to_json(terms),
        "overrides": None if overrides is None else overrides.value,
    }
    return content_hash(substance)


def facts(entitlement: Entitlement) -> dict[str, Any]:
    """The entitlement as the audit log keeps it."""
    return asdict(entitlement) | {"terms": to_json(entitlement.terms)}
