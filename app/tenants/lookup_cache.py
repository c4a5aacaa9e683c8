"""Remembers what was looked up for a moment, and looks each thing up once at a time."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class LookupCache(Generic[T]):
    """Bounded; an entry counts from when its look-up *began*, so that nothing older than
    `seconds` is ever believed however slow the database was.

    What was not found is remembered apart from what was: a flood of guesses pushes out other
    guesses and nothing else. A failed look-up is not remembered.
    """

    def __init__(self, seconds: float, *, most: int = 50_000, most_missing: int = 10_000) -> None:
        self._seconds, self._most, self._most_missing = seconds, most, most_missing
        self._found: OrderedDict[str, tuple[float, T]] = OrderedDict()
        self._missing: OrderedDict[str, float] = OrderedDict()
        self._flights: dict[str, asyncio.Future[T | None]] = {}

    async def get(self, key: str, look_up: Callable[[], Awaitable[T | None]]) -> T | None:
        """The value of `key`, at most `seconds` old; None if there is none.

        Concurrent calls for one key share one look-up, and its error.
        """
        now = asyncio.get_running_loop().time()
        if (hit := self._found.get(key)) is not None and now < hit[0]:
            return hit[1]
        if (until := self._missing.get(key)) is not None and now < until:
            return None
        while (flight := self._flights.get(key)) is not None:
            try:
                return await asyncio.shield(flight)
            except asyncio.CancelledError:
                task = asyncio.current_task()
                if not flight.cancelled() or (task is not None and task.cancelling()):
                    raise
                # Whoever led the look-up went away; somebody who waits takes over.
        return await self._lead(key, look_up)

    def forget(self, key: str) -> None:
        """Look it up again next time."""
        self._found.pop(key, None)
        self._missing.pop(key, None)

    async def _lead(self, key: str, look_up: Callable[[], Awaitable[T | None]]) -> T | None:
        loop = asyncio.get_running_loop()
        flight: asyncio.Future[T | None] = loop.create_future()
        self._flights[key] = flight
        until = loop.time() + self._seconds
        try:
            value = await look_up()
        except asyncio.CancelledError:
            flight.cancel()
            raise
        except Exception as error:
            flight.set_exception(error)
            flight.exception()  # read: nobody else may be waiting
            raise
        finally:
            self._flights.pop(key, None)
        flight.set_result(value)
        self._remember(key, value, until)
        return value

    def _remember(self, key: str, value: T | None, until: float) -> None:
        self.forget(key)
        if value is None:
            self._missing[key] = until
            if len(self._missing) > self._most_missing:
                self._missing.popitem(last=False)
            return
        self._found[key] = (until, value)
        if len(self._found) > self._most:
            self._found.popitem(last=False)
