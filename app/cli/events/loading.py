"""Batches on their way, several at once, with what has become of them."""

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from app.cli.events.files import Batch
from app.cli.events.journal import Journal
from app.cli.events.sender import Sender, SendingFailed

# Called with the events accepted by a batch, and the byte of the file it ends at.
Shown = Callable[[int, int], None]


@dataclass(slots=True)
class Outcome:
    """`rejected` has the line and the message of every fault, in the order of the file."""

    accepted: int = 0
    seconds: float = 0.0
    rejected: list[tuple[int, str]] = field(default_factory=list)


async def load(
    batches: Iterator[Batch], sender: Sender, journal: Journal, shown: Shown, *, workers: int
) -> Outcome:
    """Send every batch, at most `workers` at once.

    Raises: FileError, once what was read before is sent; SendingFailed, as soon as one batch is
    given up.
    """
    try:
        return await _load(batches, sender, journal, shown, workers=workers)
    except ExceptionGroup as group:
        failed, other = group.split(SendingFailed)
        if failed is None or other is not None:
            raise
        raise failed.exceptions[0] from None


async def _load(
    batches: Iterator[Batch], sender: Sender, journal: Journal, shown: Shown, *, workers: int
) -> Outcome:
    outcome, started = Outcome(), time.perf_counter()
    slots = asyncio.Semaphore(workers)

    async def send(batch: Batch) -> None:
        try:
            faults = await sender.send(batch)
        finally:
            slots.release()
        journal.accepted(batch.index, batch.rows)
        accepted = len(batch.events) - len({fault.index for fault in faults})
        outcome.accepted += accepted
        outcome.rejected += [(batch.lines[fault.index], fault.message) for fault in faults]
        shown(accepted, batch.position)

    file_error: Exception | None = None
    async with asyncio.TaskGroup() as group:
        while True:
            await slots.acquire()
            try:
                batch = next(batches, None)
            except Exception as error:  # what is on its way is finished first
                file_error = error
                break
            if batch is None:
                break
            group.create_task(send(batch))
    if file_error is not None:
        raise file_error
    outcome.rejected.sort()
    outcome.seconds = time.perf_counter() - started
    return outcome
