"""A billing run: subscriptions with five metered prices each, from due to finalized invoices.

The floor is what the run asks of the servers, and nothing else: the same usage queries by
aiohttp with nothing decided about the answers, and COPY of the very rows of invoices and lines
that came of the run into tables with the same indexes and constraints. Each page of the run is
followed by its floor, so that whatever else the machine does hits both.
"""

import os
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from app import config
from app.config import Settings
from app.infra.clickhouse import open_clickhouse
from app.infra.due import Page, PageDone
from app.infra.postgres import postgres
from app.infra.s3 import open_storage
from app.infra.telemetry.metrics import calm_collector
from app.invoicing.billing import Billing, bill_page, finalize_page
from app.kernel.clock import FixedClock
from bench.billing_run.floor import Floor, Listening, open_floor
from bench.billing_run.place import METERS, Place, filled
from bench.result import Goal, Result

SUBSCRIPTIONS = 10_000
EVENTS = 5_000_000  # of all meters together, over a month
WANTED = 500  # invoices a second, on two cores


async def run(settings: Settings, scale: float = 1.0) -> Sequence[Result]:
    """Needs PostgreSQL, ClickHouse and S3. `scale` shrinks or grows subscriptions and events."""
    subscriptions = max(1, round(SUBSCRIPTIONS * scale))
    events = max(METERS, round(EVENTS * scale))
    async with (
        postgres(settings.postgres),
        open_clickhouse(settings.clickhouse) as clickhouse,
        open_storage(settings.s3) as storage,
    ):
        listening = Listening(clickhouse)
        end = datetime.now(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        clock = FixedClock(end + timedelta(hours=1))
        services = Billing(listening, storage, clock, _CaughtUp(clock), config.Billing())
        place = await filled(services, end, subscriptions=subscriptions, events=events)
        calm_collector()  # as every mode does
        async with open_floor(settings) as floor:
            took = await _Run(services, place, floor).measured(listening)
    return _results(took, subscriptions, events)


@dataclass(frozen=True)
class _CaughtUp:
    """Every event is counted already."""

    clock: FixedClock

    async def take(self) -> datetime:
        return self.clock.now()

    async def caught_up(self, watermark: datetime) -> bool:
        return True


@dataclass
class _Took:
    """Seconds: of the run, and of its floor."""

    drafting: float = 0.0
    finalizing: float = 0.0
    queries: float = 0.0
    copies: float = 0.0


class _Run:
    def __init__(self, services: Billing, place: Place, floor: Floor) -> None:
        self._services, self._place, self._floor = services, place, floor

    async def measured(self, listening: Listening) -> _Took:
        took = _Took()

        async def query() -> None:
            took.queries += await timed(self._floor.query, listening.heard)
            listening.heard.clear()

        async def copy() -> None:
            rows = await self._floor.fresh_rows()
            took.copies += await timed(self._floor.copy, rows)

        listening.heard.clear()
        took.drafting = await self._pages(bill_page, then=query)
        took.finalizing = await self._pages(finalize_page, then=copy)
        issued = self._floor.copied
        if issued != self._place.subscriptions:
            raise RuntimeError(f"{issued} invoices of {self._place.subscriptions} subscriptions")
        return took

    async def _pages(
        self,
        work: Callable[[Billing, Page], Awaitable[PageDone]],
        *,
        then: Callable[[], Awaitable[None]],
    ) -> float:
        """Every page of a kind of work, each followed by `then`; the seconds of the work."""
        now, limit = self._services.clock.now(), self._services.settings.chunk_size
        page, seconds = Page(self._place.scope, now, now, limit), 0.0
        while True:
            started = time.perf_counter()
            done = await work(self._services, page)
            seconds += time.perf_counter() - started
            if done.tally["failed"]:
                raise RuntimeError(f"refused: {done.tally}")
            await then()
            if done.after is None:
                return seconds
            page = replace(page, after=done.after)


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
    ours, theirs = took.drafting + took.finalizing, took.queries + took.copies
    parts = f"drafting {took.drafting:.1f} s, finalizing {took.finalizing:.1f} s"
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
