from dataclasses import dataclass
from typing import ClassVar

from app.kernel.events import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterCreated(Event):
    """Whoever hears it sees to the backfill."""

    name: ClassVar[str] = "meter.created"


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterUpdated(Event):
    name: ClassVar[str] = "meter.updated"


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterArchived(Event):
    name: ClassVar[str] = "meter.archived"


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterRestored(Event):
    name: ClassVar[str] = "meter.restored"
