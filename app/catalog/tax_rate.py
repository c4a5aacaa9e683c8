"""A tax rate: a percentage or a fixed amount, on top of what is sold or included in it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum


class TaxRateKind(StrEnum):
    PERCENTAGE = "percentage"
    FIXED = "fixed"
    """Once per invoice that has something to tax."""


class TaxRateStatus(StrEnum):
    ACTIVE = "active"
    ARCHIVED = "archived"
    """Nothing new is associated with it; what is stays."""


@dataclass(frozen=True, slots=True)
class TaxRate:
    """A row as everyone above the table sees it.

    `percent` (19 is 19 %) or `amount` (major units of `currency`), as `kind` says. `inclusive`:
    prices hold the tax already. `compound`: it is also taken on the taxes whose association has
    a lower priority number. None of these ever changes, nor does `code`, the name that programs
    use, which is unique among the rates of the environment that are not archived.
    """

    id: str
    name: str
    code: str
    kind: TaxRateKind
    percent: Decimal | None
    amount: Decimal | None
    currency: str | None
    inclusive: bool
    compound: bool
    description: str | None
    metadata: Mapping[str, str]
    status: TaxRateStatus
    created_at: datetime
    updated_at: datetime
    archived_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateTaxRate:
    """Exactly one of `percent` and `amount`; the latter takes a currency. `inclusive` None: as
    the environment's settings say."""

    name: str
    code: str
    percent: Decimal | None = None
    amount: Decimal | None = None
    currency: str | None = None
    inclusive: bool | None = None
    compound: bool = False
    description: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
