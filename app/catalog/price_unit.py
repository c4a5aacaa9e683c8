"""A price unit: a currency of one's own, such as credits, that prices are given in."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum


class PriceUnitStatus(StrEnum):
    ACTIVE = "active"
    ARCHIVED = "archived"
    """No new price is given in it; those there are stay."""


@dataclass(frozen=True, slots=True)
class PriceUnit:
    """A row as everyone above the table sees it.

    One unit is worth `conversion_rate` of the `base_currency` (ISO 4217), which never changes,
    as `code` does not. The code is unique among the units of the environment that are not
    archived. A change of the rate is for prices made afterwards: a price keeps its own.
    """

    id: str
    code: str
    name: str
    symbol: str | None
    base_currency: str
    conversion_rate: Decimal
    description: str | None
    metadata: Mapping[str, str]
    status: PriceUnitStatus
    created_at: datetime
    updated_at: datetime
    archived_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CreatePriceUnit:
    code: str
    name: str
    base_currency: str
    conversion_rate: Decimal
    symbol: str | None = None
    description: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
