"""The processes that do the run, as workers do: pages of several shards at a time in each."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Final

import uvloop

from app.config import Logging, Settings
from app.infra.clickhouse import open_clickhouse
from app.infra.due import Page, PageDone
from app.infra.postgres import postgres
from app.infra.s3 import open_storage
from app.infra.telemetry.logs import configure_logging
from app.infra.telemetry.metrics import calm_collector
from app.invoicing.billing import Billing
from app.kernel.clock import FixedClock
from app.runs.registry import kinds
from bench.billing_run.floor import Heard, Listening


@dataclass(frozen=True)
class CaughtUp:
    """Every event is counted already."""

    clock: FixedClock

    async def take(self) -> datetime:
        return self.clock.now()

    async def caught_up(self, watermark: datetime) -> bool:
        return True


@asynccontextmanager
async def open_services(settings: Settings, at: datetime) -> AsyncIterator[Billing]:
    """What billing needs, at a standing present; its ClickHouse is `Listening`."""
    clock = FixedClock(at)
    async with (
        postgres(settings.postgres),
        open_clickhouse(settings.clickhouse) as clickhouse,
        open_storage(settings.s3) as storage,
    ):
        yield Billing(Listening(clickhouse), storage, clock, CaughtUp(clock), settings.billing)


@dataclass(frozen=True)
class Asked:
    """Pages of one kind of work, to be done side by side."""

    kind: str
    pages: Sequence[Page]


@dataclass(frozen=True)
class Answered:
    """What came of the pages, in their order, and what was asked of ClickHouse for them."""

    done: Sequence[PageDone]
    heard: Sequence[Heard]


class Workers:
    """Processes with a pipe to each."""

    def __init__(self, pipes: Sequence[Connection]) -> None:
        self._pipes = pipes

    def __len__(self) -> int:
        return len(self._pipes)

    async def work(self, asked: Sequence[Asked]) -> list[Answered]:
        """Let the first worker do the first, and so on, all at the same time."""
        mine = list(zip(self._pipes, asked, strict=False))
        for pipe, each in mine:
            pipe.send(each)
        return await asyncio.gather(*(_answer(pipe) for pipe, _ in mine))


@asynccontextmanager
async def open_workers(settings: Settings, at: datetime, count: int) -> AsyncIterator[Workers]:
    """So many processes, ready, until the block ends."""
    context = get_context("spawn")
    ours: list[Connection] = []
    processes: list[BaseProcess] = []
    try:
        for _ in range(count):
            here, there = context.Pipe()
            process = context.Process(target=_main, args=(there, settings, at), daemon=True)
            process.start()
            there.close()
            ours.append(here)
            processes.append(process)
        for pipe in ours:
            await _received(pipe)
        yield Workers(ours)
    finally:
        for pipe in ours:
            pipe.close()
        for process in processes:
            process.join(_PATIENCE)
            process.kill()


_PATIENCE: Final = 10.0


async def _answer(pipe: Connection) -> Answered:
    answer = await _received(pipe)
    if isinstance(answer, Answered):
        return answer
    raise RuntimeError(f"a worker broke off: {answer}")


async def _received(pipe: Connection) -> object:
    found: object = await asyncio.to_thread(pipe.recv)
    return found


def _main(pipe: Connection, settings: Settings, at: datetime) -> None:
    configure_logging(Logging(level="WARNING", format="console"), name="bench", mode="bench")
    uvloop.run(_serve(pipe, settings, at))


async def _serve(pipe: Connection, settings: Settings, at: datetime) -> None:
    async with open_services(settings, at) as services:
        calm_collector()  # as every mode does
        do = {kind.name: kind.do for kind in kinds(services)}
        pipe.send(None)
        while True:
            try:
                asked = await _received(pipe)
            except EOFError:
                return
            assert isinstance(asked, Asked)
            pipe.send(await _worked(services, do[asked.kind], asked))


async def _worked(
    services: Billing, do: Callable[[Page], Awaitable[PageDone]], asked: Asked
) -> Answered | str:
    listening = services.clickhouse
    assert isinstance(listening, Listening)
    listening.heard.clear()
    try:
        done = await asyncio.gather(*(do(page) for page in asked.pages))
    except Exception as error:  # told to whoever measures
        return f"{type(error).__name__}: {error}"
    return Answered(done, list(listening.heard))
