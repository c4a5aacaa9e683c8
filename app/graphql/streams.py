"""Live operations: identical subscriptions are executed once, and share the answer's bytes.

Subscriptions tell states, not differences: each answer replaces the one before. So whoever
joins gets the latest answer at once, and whoever is slow skips answers instead of delaying
the others.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Final

from graphql import GraphQLError

from app.graphql.context import Context
from app.graphql.encoding import encoded, sorted_bytes
from app.graphql.errors import RequestRefused, public_errors
from app.graphql.execution import Graph, Prepared
from app.graphql.metrics import STREAM_GROUPS, STREAMS

QUEUED: Final = 8  # answers that wait for one slow reader; the oldest go first
Start = Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]
Key = tuple[object, ...]


class Ended(Exception):
    """The stream is over; `errors` says why, or None when it simply completed."""

    def __init__(self, errors: list[dict[str, Any]] | None = None) -> None:
        super().__init__("the stream ended")
        self.errors = errors


class Reader:
    """One subscriber's place in a group: the answers it has not taken yet."""

    def __init__(self) -> None:
        self._waiting: deque[bytes] = deque(maxlen=QUEUED)
        self._ended: Ended | None = None
        self._woken = asyncio.Event()

    def offer(self, answer: bytes) -> None:
        self._waiting.append(answer)
        self._woken.set()

    def end(self, ended: Ended) -> None:
        self._ended = self._ended or ended
        self._woken.set()

    async def next(self) -> bytes:
        """The next answer. Raises: Ended, once there is none left."""
        while not self._waiting:
            if self._ended is not None:
                raise self._ended
            self._woken.clear()
            await self._woken.wait()
        return self._waiting.popleft()


class _Group:
    def __init__(self) -> None:
        self.readers: set[Reader] = set()
        self.latest: bytes | None = None
        self.task: asyncio.Task[None] | None = None


class Streams:
    """The live operations of a process. `start` runs their work in the owner's task group."""

    def __init__(self, graph: Graph, start: Start) -> None:
        self._graph, self._start = graph, start
        self._groups: dict[Key, _Group] = {}

    @asynccontextmanager
    async def join(self, prepared: Prepared, context: Context) -> AsyncIterator[Reader]:
        """A reader of the operation's answers for as long as the block lasts."""
        key, reader = _key(prepared, context), Reader()
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = _Group()
            group.task = self._start(self._run(key, group, prepared, context))
        group.readers.add(reader)
        if group.latest is not None:
            reader.offer(group.latest)
        STREAMS.inc()
        STREAM_GROUPS.set(len(self._groups))
        try:
            yield reader
        finally:
            STREAMS.dec()
            group.readers.discard(reader)
            if not group.readers and group.task is not None:
                self._forget(key, group)
                group.task.cancel()

    def close(self) -> None:
        """End every stream; readers are told that it completed."""
        for group in list(self._groups.values()):
            if group.task is not None:
                group.task.cancel()

    async def _run(self, key: Key, group: _Group, prepared: Prepared, context: Context) -> None:
        ended = Ended()
        try:
            async for body in self._graph.subscribe(prepared, context):
                group.latest = encoded(body)
                for reader in group.readers:
                    reader.offer(group.latest)
        except RequestRefused as refused:
            ended = Ended(refused.errors)
        except Exception as error:  # raised by the source, between two answers
            ended = Ended(
                public_errors([GraphQLError("", original_error=error)], context.request_id)
            )
        finally:
            self._forget(key, group)
            for reader in group.readers:
                reader.end(ended)

    def _forget(self, key: Key, group: _Group) -> None:
        if self._groups.get(key) is group:
            del self._groups[key]
        STREAM_GROUPS.set(len(self._groups))


def _key(prepared: Prepared, context: Context) -> Key:
    """Equal for subscriptions that must get equal answers: who may see the same, asks the same."""
    caller, operation = context.caller, prepared.operation
    return (
        operation.digest,
        operation.name,
        sorted_bytes(prepared.variables),
        caller.scope,
        caller.permissions,
        caller.is_system,
    )
