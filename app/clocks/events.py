from datetime import datetime
from typing import Any, ClassVar

from app.kernel.events import Event


class TestClockEvent(Event, frozen=True, kw_only=True):
    """`occurred_at` is the machine's; every event says where the clock stands."""

    frozen_at: datetime

    def payload(self) -> dict[str, Any]:
        return {"frozen_at": self.frozen_at.isoformat()}


class TestClockCreated(TestClockEvent, frozen=True, kw_only=True):
    name: ClassVar[str] = "test_clock.created"


class TestClockUpdated(TestClockEvent, frozen=True, kw_only=True):
    name: ClassVar[str] = "test_clock.updated"


class TestClockAdvancing(TestClockEvent, frozen=True, kw_only=True):
    """It has been asked to go on."""

    name: ClassVar[str] = "test_clock.advancing"
    to: datetime

    def payload(self) -> dict[str, Any]:
        return {"frozen_at": self.frozen_at.isoformat(), "to": self.to.isoformat()}


class TestClockReady(TestClockEvent, frozen=True, kw_only=True):
    """It has arrived, and all that fell due on the way is done."""

    name: ClassVar[str] = "test_clock.ready"


class TestClockFailed(TestClockEvent, frozen=True, kw_only=True):
    name: ClassVar[str] = "test_clock.failed"
    reason: str

    def payload(self) -> dict[str, Any]:
        return {"frozen_at": self.frozen_at.isoformat(), "reason": self.reason}


class TestClockArchived(TestClockEvent, frozen=True, kw_only=True):
    name: ClassVar[str] = "test_clock.archived"


class TestClockRestored(TestClockEvent, frozen=True, kw_only=True):
    name: ClassVar[str] = "test_clock.restored"
