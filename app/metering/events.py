from typing import ClassVar

from app.kernel.events import Event


class MeterCreated(Event, frozen=True, kw_only=True):
    """Whoever hears it sees to the backfill."""

    name: ClassVar[str] = "meter.created"


class MeterUpdated(Event, frozen=True, kw_only=True):
    name: ClassVar[str] = "meter.updated"


class MeterArchived(Event, frozen=True, kw_only=True):
    name: ClassVar[str] = "meter.archived"


class MeterRestored(Event, frozen=True, kw_only=True):
    name: ClassVar[str] = "meter.restored"
