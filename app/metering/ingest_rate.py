"""How fast an environment may send events to one process."""

from app.kernel.scope import Scope

_MOST_BUCKETS = 10_000


class IngestRate:
    """A bucket of tokens for each environment: `per_second` flow in, a second's worth fits.

    A request may take more than there is, and leaves a debt that later ones wait for, so a
    bulk request larger than a second's worth is not refused for ever. 0 means no limit.
    """

    def __init__(self, per_second: int) -> None:
        self._per_second = per_second
        self._buckets: dict[Scope, tuple[float, float]] = {}

    def take(self, scope: Scope, count: int, now: float) -> float:
        """0 when the events may pass, else how many seconds to wait. `now` is monotonic."""
        if not self._per_second:
            return 0.0
        tokens = self._tokens(scope, now)
        if tokens <= 0:
            return max(-tokens / self._per_second, 0.001)
        if scope not in self._buckets and len(self._buckets) >= _MOST_BUCKETS:
            self._forget_full(now)
        self._buckets[scope] = (tokens - count, now)
        return 0.0

    def _tokens(self, scope: Scope, now: float) -> float:
        tokens, at = self._buckets.get(scope, (float(self._per_second), now))
        return min(float(self._per_second), tokens + (now - at) * self._per_second)

    def _forget_full(self, now: float) -> None:
        """Environments that could send at full rate are remembered by nothing at all."""
        full = [s for s in self._buckets if self._tokens(s, now) >= self._per_second]
        for scope in full:
            del self._buckets[scope]
