"""The only place that knows what time it is.

Pure functions take `at`; doors and activities ask the runtime's clock. The clock is asked
per scope because an environment may live on a clock of its own.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from app.kernel.scope import Scope


class Clock(Protocol):
    def now(self, scope: Scope | None = None) -> datetime:
        """The present instant (aware UTC, microseconds) in `scope`, or of the machine."""
        ...


class SystemClock:
    def now(self, scope: Scope | None = None) -> datetime:
        return datetime.now(UTC)


@dataclass
class FixedClock:
    """Stands still until moved; for tests."""

    at: datetime

    def now(self, scope: Scope | None = None) -> datetime:
        return self.at
