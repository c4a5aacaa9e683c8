"""What a consumer reads and how it is cut into batches."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is read and how it is cut into batches.

    A batch ends at `max_rows` rows or `max_wait_seconds` after its first message. `weigh`
    counts the rows of a message. `rate_limit` is in rows per second; 0 means none.
    """

    topic: str
    group: str
    dead_letters: str
    max_rows: int
    max_wait_seconds: float
    rate_limit: int = 0
    weigh: Callable[[bytes], int] = lambda _: 1

    @property
    def batch_rows(self) -> int:
        """At most a second's worth, so that waiting for the rate never blocks for longer."""
        return min(self.max_rows, self.rate_limit or self.max_rows)
