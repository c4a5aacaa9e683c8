"""Wakes whoever watches something that may have changed, at most a few times a second.

Hints say that something may be new, never what; whoever is woken reads for itself. Hints of
one key that come together are one wake-up.
"""

import asyncio
from collections.abc import AsyncIterator, Hashable, Iterator
from contextlib import contextmanager
from typing import Final

COALESCED_SECONDS: Final = 0.25


class Hub:
    """Watchers by key. Belongs to one event loop."""

    def __init__(self, *, seconds: float = COALESCED_SECONDS) -> None:
        self._seconds = seconds
        self._watchers: dict[Hashable, set[asyncio.Event]] = {}
        self._pending: set[Hashable] = set()

    @contextmanager
    def watch(self, key: Hashable, *, at_least_every: float) -> Iterator[AsyncIterator[None]]:
        """Wake-ups for hints about `key` that come while the block lasts.

        One also comes after `at_least_every` seconds without any: a hint may be lost.
        """
        woken = asyncio.Event()
        self._watchers.setdefault(key, set()).add(woken)
        try:
            yield _wake_ups(woken, at_least_every)
        finally:
            watchers = self._watchers[key]
            watchers.discard(woken)
            if not watchers:
                del self._watchers[key]

    def hint(self, key: Hashable) -> None:
        """`key` may have changed; its watchers are woken soon."""
        if key in self._watchers and key not in self._pending:
            self._pending.add(key)
            asyncio.get_running_loop().call_later(self._seconds, self._wake, key)

    def hint_all(self) -> None:
        """Anything may have changed: hints may have been missed."""
        for key in list(self._watchers):
            self.hint(key)

    def watched(self) -> int:
        """How many keys somebody watches."""
        return len(self._watchers)

    def _wake(self, key: Hashable) -> None:
        self._pending.discard(key)
        for woken in self._watchers.get(key, ()):
            woken.set()


async def _wake_ups(woken: asyncio.Event, at_least_every: float) -> AsyncIterator[None]:
    while True:
        try:
            async with asyncio.timeout(at_least_every):
                await woken.wait()
        except TimeoutError:
            pass
        woken.clear()
        yield
