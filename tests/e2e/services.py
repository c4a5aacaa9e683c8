"""The three modes as three processes, which can be killed and come back."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from app.cli.demo.client import Client
from tests.processes import Mode, Processes, free_port

NAMES = ("api", "consumer", "temporal_worker")

# Told as (stage, done, of).
Moved = Callable[[str, int, int], None]

_BATCH = 50
_SENDERS = 3


class Services:
    """api, consumer and temporal_worker; each keeps its address when it comes back."""

    def __init__(self, processes: Processes, environ: dict[str, str] | None = None) -> None:
        self._processes, self._environ = processes, environ
        self._ports = {name: free_port() for name in NAMES}
        self._modes: dict[str, Mode] = {}

    @property
    def url(self) -> str:
        """Where the API is."""
        return self["api"].url

    def __getitem__(self, name: str) -> Mode:
        return self._modes[name]

    async def start(self, *names: str) -> None:
        """Return when all that are named (none: all three) are ready."""
        await asyncio.gather(*(self._start(name) for name in names or NAMES))

    async def restart(self, name: str) -> None:
        """SIGKILL, as a crash would, and the same again; returns when it is ready."""
        await self._modes[name].kill()
        await self._start(name)

    async def stop(self) -> list[int]:
        """SIGTERM to all that were started; their exit codes.

        A consumer that is killed instead stays a member of its group for a while, and the next
        one of the same group gets nothing to read until then.
        """
        return list(await asyncio.gather(*(mode.terminate() for mode in self._modes.values())))

    async def _start(self, name: str) -> None:
        self._modes[name] = await self._processes.start_mode(
            name, port=self._ports[name], environ=self._environ
        )


async def send(
    client: Client, events: Sequence[dict[str, Any]], moved: Moved, *, pause: float = 0.0
) -> None:
    """Every event in small batches from several senders, every fourth batch twice.

    `pause` is in seconds, after each batch of a sender.
    """
    batches = [events[at : at + _BATCH] for at in range(0, len(events), _BATCH)]
    queue = [
        list(batch) for number, batch in enumerate(batches) for _ in range(1 + (number % 4 == 0))
    ]
    queue.reverse()
    total, done = sum(map(len, queue)), 0

    async def sender() -> None:
        nonlocal done
        while queue:
            batch = queue.pop()
            await client.send(batch)
            done += len(batch)
            moved("sending", done, total)
            await asyncio.sleep(pause)

    async with asyncio.TaskGroup() as group:
        for _ in range(_SENDERS):
            group.create_task(sender())
