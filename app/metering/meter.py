"""A meter: which events count, and what they add up to."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from app.metering.aggregations import Aggregation, Counted
from app.metering.fields import Fields
from app.metering.filters import Filters


class MeterStatus(StrEnum):
    ACTIVE = "active"
    ARCHIVED = "archived"


@dataclass(frozen=True, slots=True)
class Meter:
    """A row as everyone above the table sees it.

    `event_name`, `aggregation`, `filters` and `dimensions` are its definition and never
    change: what was billed by it stays explainable. `dimensions` are the properties whose
    values are kept with each metered row, for grouping.

    An archived meter goes on counting for the subscriptions that use it. `backfilled_at` is
    when all events from before its creation had their metered rows; until then usage is
    counted from the events themselves. `version` counts the changes from 1.
    """

    id: str
    name: str
    description: str | None
    event_name: str
    aggregation: Aggregation
    filters: Filters
    dimensions: tuple[str, ...]
    metadata: Mapping[str, str]
    status: MeterStatus
    version: int
    backfilled_at: datetime | None
    created_at: datetime
    updated_at: datetime
    archived_at: datetime | None

    def counted(self, fields: Fields) -> Counted | None:
        """What an event of its name with these properties adds; None where it adds nothing."""
        if not self.filters.accept(fields):
            return None
        name = self.aggregation.property
        return self.aggregation.counted(None if name is None else fields.get(name))


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateMeter:
    name: str
    event_name: str
    aggregation: Aggregation
    description: str | None = None
    filters: Filters = field(default_factory=Filters)
    dimensions: tuple[str, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
