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

    def presents(self, scope: Scope) -> tuple[datetime, datetime]:
        """The earliest and the latest present in `scope`: its own, and those of its customers."""
        ...


class SystemClock:
    def now(self, scope: Scope | None = None) -> datetime:
        return datetime.now(UTC)

    def presents(self, scope: Scope) -> tuple[datetime, datetime]:
        now = self.now(scope)
        return now, now


@dataclass
class FixedClock:
    """Stands still until moved; for tests."""

    at: datetime

    def now(self, scope: Scope | None = None) -> datetime:
        return self.at

    def presents(self, scope: Scope) -> tuple[datetime, datetime]:
        return self.at, self.at
