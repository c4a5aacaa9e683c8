"""What a demo bills, as plain data: customers, meters, prices, months and events."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

Aggregation = Literal["COUNT", "SUM", "COUNT_UNIQUE"]
Model = Literal["flat", "per_unit", "package", "graduated", "volume"]

# Usage as the recomputation finds it: (customer, month, meter, group) → quantity.
Usage = Mapping[tuple[str, str, str, str | None], Decimal]


@dataclass(frozen=True, slots=True)
class MeterSpec:
    """A meter and the metered feature of the same key."""

    key: str
    name: str
    event_name: str
    aggregation: Aggregation
    value_property: str | None = None
    filters: Mapping[str, Sequence[str]] = field(default_factory=dict)
    dimensions: Sequence[str] = ()
    unit: str = "unit"


@dataclass(frozen=True, slots=True)
class TierSpec:
    """`up_to` is inclusive; None: no bound."""

    up_to: Decimal | None
    unit_amount: Decimal
    flat_amount: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class PriceSpec:
    name: str
    model: Model
    meter: str | None = None
    amount: Decimal = Decimal(0)
    size: Decimal = Decimal(1)
    tiers: Sequence[TierSpec] = ()
    group_by: str | None = None


@dataclass(frozen=True, slots=True)
class PlanSpec:
    key: str
    name: str
    prices: Sequence[PriceSpec]


@dataclass(frozen=True, slots=True)
class CustomerSpec:
    external_id: str
    name: str
    plan: str


@dataclass(frozen=True, slots=True)
class Scenario:
    """One tenant's business. `months` are the local months to bill, in order, as `2013-01`.

    `events` yields the events in the shape of the REST API; `count` says how many there are.
    `usage` recomputes, from the same source file and with code of its own, what was used.
    """

    tenant: str
    seller: str
    currency: str
    timezone: str
    months: Sequence[str]
    starts_at: datetime
    ends_at: datetime
    customers: Sequence[CustomerSpec]
    meters: Sequence[MeterSpec]
    plans: Sequence[PlanSpec]
    count: int
    events: Callable[[], Iterator[dict[str, Any]]]
    usage: Callable[[], Usage]
    note: str
