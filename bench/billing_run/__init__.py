"""A billing run: subscriptions with five metered prices each, from due to finalized invoices.

Workers do it as they do in production: as many processes as there are cores, with pages of
several shards at a time in each. The floor is what the run asks of the servers, and nothing else:
the same usage queries by aiohttp with nothing decided about the answers, and COPY of the very
rows of invoices and lines that came of the run into tables with the same indexes and constraints.
Each round of pages is followed by its floor, so that whatever else the machine does hits both;
before the first, the machine becomes quiet (`quiet.py`), as filling leaves servers a lot to do.
"""

import os
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from app import config
from app.config import Settings
from app.infra.due import Page, Shard
from app.invoicing.work import BILL, FINALIZE
from app.kernel.copies import replace
from bench.billing_run.floor import Floor, Heard, open_floor
from bench.billing_run.place import METERS, Place, filled
from bench.billing_run.quiet import quiet
from bench.billing_run.workers import Asked, Workers, open_services, open_workers
from bench.result import Goal, Result

SUBSCRIPTIONS = 10_000
EVENTS = 5_000_000  # of all meters together, over a month
WANTED = 500  # invoices a second, on two cores
WORKERS = 2


async def run(settings: Settings, scale: float = 1.0) -> Sequence[Result]:
    """Needs PostgreSQL, ClickHouse and S3. `scale` shrinks or grows subscriptions and events."""
    subscriptions = max(1, round(SUBSCRIPTIONS * scale))
    events = max(METERS, round(EVENTS * scale))
    end = datetime.now(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    at = end + timedelta(hours=1)
    async with open_services(settings, at) as services:
        place = await filled(services, end, subscriptions=subscriptions, events=events)
        async with open_floor(settings) as floor, open_workers(settings, at, WORKERS) as workers:
            await quiet()
            took = await _Run(workers, place, floor, settings.billing, at).measured()
    return _results(took, subscriptions, events)


@dataclass
class _Took:
    """Seconds: of the run, and of its floor."""

    billing: float = 0.0
    finalizing: float = 0.0
    queries: float = 0.0
    copies: float = 0.0


class _Run:
    def __init__(
        self, workers: Workers, place: Place, floor: Floor, given: config.Billing, at: datetime
    ) -> None:
        self._workers, self._place, self._floor, self._given, self._at = (
            workers, place, floor, given, at
        )  # fmt: skip
        self._heard: list[Heard] = []

    async def measured(self) -> _Took:
        took = _Took()

        async def follow() -> None:
            took.queries += await timed(self._floor.query, self._heard)
            rows = await self._floor.fresh_rows()
            took.copies += await timed(self._floor.copy, rows)

        took.billing = await self._rounds(BILL, then=follow)
        took.finalizing = await self._rounds(FINALIZE, then=follow)
        issued = self._floor.copied
        if issued != self._place.subscriptions:
            raise RuntimeError(f"{issued} invoices of {self._place.subscriptions} subscriptions")
        return took

    async def _rounds(self, kind: str, *, then: Callable[[], Awaitable[None]]) -> float:
        """A page of every shard, again and again, each round followed by `then`; the seconds of
        the work."""
        given, seconds = self._given, 0.0
        pages = [
            Page(
                self._place.scope,
                self._at,
                self._at,
                given.chunk_size,
                shard=Shard(i, given.shards),
            )
            for i in range(given.shards)
        ]
        while pages:
            started = time.perf_counter()
            pages = await self._round(kind, pages)
            seconds += time.perf_counter() - started
            await then()
        return seconds

    async def _round(self, kind: str, pages: Sequence[Page]) -> list[Page]:
        """What follows the pages, where anything does."""
        asked = [Asked(kind, pages[i :: len(self._workers)]) for i in range(len(self._workers))]
        answers = await self._workers.work(asked)
        self._heard = [each for answer in answers for each in answer.heard]
        left = []
        for mine, answer in zip(asked, answers, strict=True):
            for page, done in zip(mine.pages, answer.done, strict=True):
                if done.tally["failed"]:
                    raise RuntimeError(f"refused: {done.tally}")
                if done.after is not None:
                    left.append(replace(page, after=done.after))
        return left


async def timed(work: Callable[..., Awaitable[None]], *given: object) -> float:
    started = time.perf_counter()
    await work(*given)
    return time.perf_counter() - started


def _results(took: _Took, subscriptions: int, events: int) -> Sequence[Result]:
    what = (
        f"{subscriptions:,} subscriptions × {METERS} metered prices, {events:,} events, "
        f"due to finalized; load {os.getloadavg()[0]:.1f}"
    )
    floor_is = "the same usage queries by aiohttp, and COPY of the same invoices and lines"
    ours, theirs = took.billing + took.finalizing, took.queries + took.copies
    parts = f"billing {took.billing:.1f} s, finalizing {took.finalizing:.1f} s"
    floors = f"queries {took.queries:.1f} s, COPY {took.copies:.1f} s"
    return [
        Result(
            name="billing_run.time",
            what=f"{what}; {parts}",
            value=ours,
            unit="s",
            floor=theirs,
            floor_is=f"{floor_is}: {floors}",
            seed=0,
            goal=Goal("at most", 2.0),
        ),
        Result(
            name="billing_run.rate",
            what=f"the same; {WANTED} wanted",
            value=subscriptions / ours,
            unit="invoices/s",
            floor=subscriptions / theirs,
            floor_is=floor_is,
            seed=0,
        ),
    ]
