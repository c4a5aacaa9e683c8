"""A feature: something a plan can give, and what usage of it is called."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from typing import Any, Self

from app.kernel.quantity import QUANTITY_DECIMALS, fraction_rounded, plain


class FeatureType(StrEnum):
    METERED = "metered"
    """Counted by a meter; prices and limits can be put on it."""
    BOOLEAN = "boolean"
    """On or off."""
    STATIC = "static"
    """A value, such as a support level."""
    CONFIG = "config"
    """A JSON value."""


class FeatureStatus(StrEnum):
    ACTIVE = "active"
    ARCHIVED = "archived"


@dataclass(frozen=True, slots=True)
class ReportingUnit:
    """What usage is shown in: `factor` ÷ `divisor` of it for one unit, such as 1 ÷ 3600 hours
    for a second. Both above zero."""

    singular: str
    plural: str
    factor: Decimal = Decimal(1)
    divisor: Decimal = Decimal(1)

    def of(self, quantity: Decimal) -> Decimal:
        """A quantity in reporting units: exact, but for what lies beyond 18 decimals."""
        shown = Fraction(quantity) * Fraction(self.factor) / Fraction(self.divisor)
        return fraction_rounded(shown, QUANTITY_DECIMALS)

    def to_json(self) -> dict[str, str]:
        return {
            "singular": self.singular,
            "plural": self.plural,
            "factor": plain(self.factor),
            "divisor": plain(self.divisor),
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        return cls(
            stored["singular"],
            stored["plural"],
            Decimal(stored["factor"]),
            Decimal(stored["divisor"]),
        )


@dataclass(frozen=True, slots=True)
class Feature:
    """A row as everyone above the table sees it.

    `lookup_key` is the name that programs use; it never changes and is unique among the
    features of the environment that are not archived. `meter_id` is set for metered features
    alone, and never changes, nor has any other feature a reporting unit. The unit names are
    what one and several are called. `group_id` is what it is shown together with.
    """

    id: str
    name: str
    lookup_key: str
    type: FeatureType
    meter_id: str | None
    unit_singular: str | None
    unit_plural: str | None
    reporting_unit: ReportingUnit | None
    group_id: str | None
    description: str | None
    metadata: Mapping[str, str]
    status: FeatureStatus
    created_at: datetime
    updated_at: datetime
    archived_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateFeature:
    name: str
    lookup_key: str
    type: FeatureType
    meter_id: str | None = None
    unit_singular: str | None = None
    unit_plural: str | None = None
    reporting_unit: ReportingUnit | None = None
    group_id: str | None = None
    description: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
