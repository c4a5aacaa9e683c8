"""A price: what one charge of a plan or an addon costs, in one currency and cadence.

Rows are content-addressed: `content_hash` is the hash of their substance, which never changes
once somebody can buy it. A change of substance ends one row and starts another that replaces it.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from app.catalog.prices import (
    NO_ADJUSTMENTS,
    Adjustments,
    Conversion,
    PriceModel,
    content_hash,
    to_json,
)
from app.kernel.errors import Invalid
from app.kernel.period import Cadence, Unit

LONGEST_COUNT = 100
LONGEST_TRIAL_DAYS = 730


class ChargeKind(StrEnum):
    FIXED = "fixed"
    """Charged for the quantity that the subscription holds."""
    USAGE = "usage"
    """Charged for what the meter counted."""


class Billing(StrEnum):
    RECURRING = "recurring"
    """Once per period of the cadence."""
    ONE_TIME = "one_time"
    """Once, for the first period of the line."""


class InvoiceTiming(StrEnum):
    ADVANCE = "advance"
    """On the invoice of the period's first instant."""
    ARREARS = "arrears"
    """On the invoice of the period's end."""


class PriceStatus(StrEnum):
    ACTIVE = "active"
    ARCHIVED = "archived"
    """It has an end; new subscriptions take it only until then."""


@dataclass(frozen=True, slots=True)
class Price:
    """A row as everyone above the table sees it.

    It belongs to a version of a plan, or to an addon; or to a subscription that is sold at prices
    of its own: then it is instead of `overrides_id`, a row of the catalogue, which is (of a plan)
    of `instead_of_plan_id`. `offered`: new subscriptions can take it,
    because it is an addon's or of the plan's current version. `lineage_id` is shared by the rows
    that replace one another and by their copies in later versions of the plan. `meter_id` and
    `feature_id` are set for usage and None for fixed charges. `group_by` are dimensions of the
    meter: each combination of their values is priced on its own and gets a line of its own. For
    `trial_days` days from the line's start a recurring fixed charge costs nothing. In force from
    `effective_from` until `effective_until` (exclusive; None: no end). `group_id` is what it is
    shown together with. `conversion` None: the amounts of model and adjustments are in the
    currency; else in its unit. `replaces_id` is the row that this one took over from.
    """

    id: str
    plan_id: str | None
    plan_version_id: str | None
    addon_id: str | None
    offered: bool
    lineage_id: str
    feature_id: str | None
    meter_id: str | None
    lookup_key: str | None
    display_name: str
    group_id: str | None
    charge: ChargeKind
    billing: Billing
    model: PriceModel
    adjustments: Adjustments
    currency: str
    conversion: Conversion | None
    cadence: Cadence
    timing: InvoiceTiming
    group_by: tuple[str, ...]
    trial_days: int
    metadata: Mapping[str, str]
    content_hash: str
    replaces_id: str | None
    effective_from: datetime
    effective_until: datetime | None
    status: PriceStatus
    created_at: datetime
    updated_at: datetime
    subscription_id: str | None = None
    overrides_id: str | None = None
    instead_of_plan_id: str | None = None

    @property
    def catalogue_id(self) -> str:
        """The row of the catalogue that it is, or is instead of."""
        return self.overrides_id or self.id

    @property
    def sold_with_plan_id(self) -> str | None:
        """The plan that it is sold with, also where it is a subscription's own."""
        return self.plan_id or self.instead_of_plan_id

    def in_force(self, at: datetime) -> bool:
        return self.effective_from <= at and (
            self.effective_until is None or at < self.effective_until
        )

    def stands(self, at: datetime) -> bool:
        """Whether it is in force at `at` or will be later."""
        return self.effective_until is None or at < self.effective_until


@dataclass(frozen=True, slots=True, kw_only=True)
class CreatePrice:
    """Of an addon; or of a version of a plan, the only one that takes prices unless named.

    `price_unit_id`: the amounts of model and adjustments are in this unit, whose rate the price
    takes. `feature_id` names what a usage charge measures. `effective_from` None: from now on.
    """

    display_name: str
    charge: ChargeKind
    model: PriceModel
    currency: str
    plan_id: str | None = None
    plan_version_id: str | None = None
    addon_id: str | None = None
    price_unit_id: str | None = None
    cadence: Cadence = field(default_factory=lambda: Cadence("month"))
    timing: InvoiceTiming = InvoiceTiming.ARREARS
    billing: Billing = Billing.RECURRING
    adjustments: Adjustments = NO_ADJUSTMENTS
    feature_id: str | None = None
    group_by: tuple[str, ...] = ()
    trial_days: int = 0
    lookup_key: str | None = None
    group_id: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    effective_from: datetime | None = None


def substance_hash(
    *,
    feature_id: str | None,
    meter_id: str | None,
    charge: ChargeKind,
    billing: Billing,
    model: PriceModel,
    adjustments: Adjustments,
    currency: str,
    conversion: Conversion | None,
    cadence: Cadence,
    timing: InvoiceTiming,
    group_by: tuple[str, ...],
    trial_days: int,
) -> str:
    """The hash of what a subscriber pays for, and how; not of names, dates or the plan."""
    substance: dict[str, Any] = {
        "feature_id": feature_id,
        "meter_id": meter_id,
        "charge": charge.value,
        "billing": billing.value,
        "model": to_json(model),
        "adjustments": to_json(adjustments),
        "currency": currency,
        "price_unit": None if conversion is None else conversion.terms(),
        "cadence": [cadence.unit, cadence.count],
        "timing": timing.value,
        "group_by": list(group_by),
        "trial_days": trial_days,
    }
    return content_hash(substance)


def cadence(unit: Unit, count: int, *, field: str = "cadence") -> Cadence:
    """Raises: Invalid (a count outside 1 to 100)."""
    if not 1 <= count <= LONGEST_COUNT:
        raise Invalid(
            f"{field}.count: {count} must lie between 1 and {LONGEST_COUNT}",
            field=f"{field}.count",
            code="INVALID_CADENCE",
        )
    return Cadence(unit, count)


def facts(price: Price) -> dict[str, Any]:
    """The price as the audit log keeps it."""
    return asdict(price) | {
        "model": to_json(price.model),
        "adjustments": to_json(price.adjustments),
        "conversion": None if price.conversion is None else price.conversion.terms(),
    }
