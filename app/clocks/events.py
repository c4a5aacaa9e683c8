from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from app.kernel.events import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class TestClockEvent(Event):
    """`occurred_at` is the machine's; every event says where the clock stands."""

    frozen_at: datetime

    def payload(self) -> dict[str, Any]:
        return {"frozen_at": self.frozen_at.isoformat()}


@dataclass(frozen=True, slots=True, kw_only=True)
class TestClockCreated(TestClockEvent):
    name: ClassVar[str] = "test_clock.created"


@dataclass(frozen=True, slots=True, kw_only=True)
class TestClockUpdated(TestClockEvent):
    name: ClassVar[str] = "test_clock.updated"


@dataclass(frozen=True, slots=True, kw_only=True)
class TestClockAdvancing(TestClockEvent):
    """It has been asked to go on."""

    name: ClassVar[str] = "test_clock.advancing"
    to: datetime

    def payload(self) -> dict[str, Any]:
        return {"frozen_at": self.frozen_at.isoformat(), "to": self.to.isoformat()}


@dataclass(frozen=True, slots=True, kw_only=True)
class TestClockReady(TestClockEvent):
    """It has arrived, and all that fell due on the way is done."""

    name: ClassVar[str] = "test_clock.ready"


@dataclass(frozen=True, slots=True, kw_only=True)
class TestClockFailed(TestClockEvent):
    name: ClassVar[str] = "test_clock.failed"
    reason: str

    def payload(self) -> dict[str, Any]:
        return {"frozen_at": self.frozen_at.isoformat(), "reason": self.reason}


@dataclass(frozen=True, slots=True, kw_only=True)
class TestClockArchived(TestClockEvent):
    name: ClassVar[str] = "test_clock.archived"


@dataclass(frozen=True, slots=True, kw_only=True)
class TestClockRestored(TestClockEvent):
    name: ClassVar[str] = "test_clock.restored"
