"""How long to wait: after a failure, and for a bounded rate."""

import random


def backoff_seconds(failures: int, *, first: float = 0.2, most: float = 30.0) -> float:
    """The pause after the n-th failure in a row: doubling, bounded, with jitter of a half."""
    full = min(most, first * float(2 ** min(failures - 1, 30)))
    return full * random.uniform(0.5, 1.0)  # noqa: S311 - spreads retries, guards nothing


class RateLimit:
    """A bucket of tokens: `per_second` of them flow in, and one second's worth fits."""

    def __init__(self, per_second: int) -> None:
        self._per_second = per_second
        self._tokens = float(per_second)
        self._at: float | None = None

    def take(self, count: int, now: float) -> float:
        """Take `count` tokens and return how many seconds to wait before going on.

        `now` is monotonic, in seconds. Taking is never refused: the bucket goes into debt,
        and the wait pays it back.
        """
        if self._at is not None:
            flowed = (now - self._at) * self._per_second
            self._tokens = min(float(self._per_second), self._tokens + flowed)
        self._at = now
        self._tokens -= count
        return max(0.0, -self._tokens / self._per_second)
