"""The steps of a run as Temporal calls them: each names its input and asks the domains.

Every step is safe to repeat: Temporal may run one again after it has succeeded.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from typing import Any

from temporalio import activity
from temporalio.exceptions import ApplicationError

from app.clocks import actions as clock_actions
from app.clocks import reads as clocks
from app.clocks.test_clock import ClockStatus
from app.infra import due
from app.infra.due import Kind, Page, Shard
from app.invoicing import billing
from app.invoicing.billing import Billing
from app.kernel.errors import DomainError
from app.kernel.scope import Scope
from app.runs.commands import (
    AwaitUsage,
    Begun,
    BreakOff,
    Drain,
    Drained,
    Place,
    PlacesDue,
    SweepBilling,
    WorkDone,
    WorkPage,
)
from app.runs.draining import Advance, Draining
from app.runs.registry import kinds

# Runs started by one sweep before it continues as new.
_PLACES = 100
_BEAT_SECONDS = 3
# How many subjects it takes for one more shard.
_WORTH_A_SHARD = 100
# How long one spell of an advance lasts, so that the workflow's history shows it going on.
_SPELL_SECONDS = 20.0


class RunActivities:
    """Bound to the servers and the clock of the process that runs them."""

    def __init__(self, services: Billing) -> None:
        self._services = services
        self._kinds: dict[str, Kind] = {kind.name: kind for kind in kinds(services)}

    @property
    def all(self) -> list[Callable[..., Any]]:
        """What a worker registers."""
        return [
            self.places_due,
            self.begin,
            self.watermark,
            self.await_usage,
            self.work,
            self.drain,
            self.break_off,
        ]

    @activity.defn(name="runs.places_due")
    async def places_due(self, command: SweepBilling) -> PlacesDue:
        found = sorted([*await self._environments(), *await self._standing()], key=_key)
        following = [place for place in found if _key(place) > command.after]
        chosen = following[:_PLACES]
        more = len(following) > len(chosen)
        return PlacesDue(chosen, _key(chosen[-1]) if more else None)

    async def _environments(self) -> list[Place]:
        """Those with work due at the machine's present, but for those on a clock of their own."""
        scopes = await due.scopes_with_work(list(self._kinds), at=self._services.clock.now())
        on_clocks = set(await clocks.environments_on_clocks())
        return [
            Place(scope.tenant_id, scope.environment_id)
            for scope in scopes
            if scope.environment_id not in on_clocks
        ]

    async def _standing(self) -> list[Place]:
        """The clocks that stand where something is due, such as a subscription made since."""
        placed = await clocks.in_state(ClockStatus.READY, ClockStatus.FAILED)
        presents = [
            due.Standing(each.scope, each.clock.due_clock_id, each.clock.frozen_at)
            for each in placed
        ]
        return [
            Place(each.scope.tenant_id, each.scope.environment_id, each.clock_id)
            for each in await due.with_work(list(self._kinds), presents)
        ]

    @activity.defn(name="runs.begin")
    async def begin(self, place: Place) -> Begun:
        # First the time, so that what was accepted until then lies before the watermark.
        at = await self._present(place)
        watermark = await self.watermark()
        if at is None:
            return Begun(watermark, watermark, kinds=[])
        shards = await self._shards(place, at)
        return Begun(at.isoformat(), watermark, kinds=list(self._kinds), shards=shards)

    async def _shards(self, place: Place, at: datetime) -> dict[str, int]:
        """In how many parts each kind is done that can be, by how much there is to do."""
        names = [name for name, kind in self._kinds.items() if kind.sharded]
        scope, most = Scope(place.tenant_id, place.environment_id), self._services.settings.shards
        amount = await due.amount(
            scope, names, at=at, clock_id=place.clock_id, most=most * _WORTH_A_SHARD
        )
        shards = max(1, amount // _WORTH_A_SHARD)
        return dict.fromkeys(names, shards) if shards > 1 else {}

    async def _present(self, place: Place) -> datetime | None:
        """None where a clock is under way, or put away: then a run has nothing to do there."""
        scope = Scope(place.tenant_id, place.environment_id)
        if place.clock_id is None:
            clock = await clocks.of_environment(scope)
        else:
            clock = await clocks.get(scope, place.clock_id)
        if clock is None:
            return self._services.clock.now()
        stands = clock.status in (ClockStatus.READY, ClockStatus.FAILED)
        return clock.frozen_at if stands else None

    @activity.defn(name="runs.watermark")
    async def watermark(self) -> str:
        async with _step():
            return (await self._services.visibility.take()).isoformat()

    @activity.defn(name="runs.await_usage")
    async def await_usage(self, command: AwaitUsage) -> None:
        watermark = datetime.fromisoformat(command.watermark)
        async with _step():
            await billing.await_usage(self._services, watermark)

    @activity.defn(name="runs.work")
    async def work(self, command: WorkPage) -> WorkDone:
        async with _step():
            done = await self._kinds[command.kind].do(self._page(command))
        return WorkDone(dict(done.tally), done.after)

    @activity.defn(name="runs.drain")
    async def drain(self, command: Drain) -> Drained:
        draining = Draining(
            Advance(
                scope=Scope(command.tenant_id, command.environment_id),
                clock_id=command.clock_id,
                watermark=datetime.fromisoformat(command.watermark),
                limit=self._services.settings.chunk_size,
                kinds=tuple(self._kinds.values()),
                machine=self._services.clock,
            )
        )
        loop = asyncio.get_running_loop()
        until = loop.time() + _SPELL_SECONDS
        async with _step():
            while more := await draining.step():
                if loop.time() >= until:
                    break
        return Drained(dict(draining.tally), over=not more)

    @activity.defn(name="runs.break_off")
    async def break_off(self, command: BreakOff) -> None:
        scope, at = Scope(command.tenant_id, command.environment_id), self._services.clock.now()
        await clock_actions.fail(scope, command.clock_id, command.reason, at=at)

    def _page(self, command: WorkPage) -> Page:
        place = command.place
        return Page(
            scope=Scope(place.tenant_id, place.environment_id),
            at=datetime.fromisoformat(command.at),
            watermark=datetime.fromisoformat(command.watermark),
            limit=self._services.settings.chunk_size,
            after=command.after,
            clock_id=place.clock_id,
            shard=Shard(command.shard, command.shards),
        )


def _key(place: Place) -> str:
    return f"{place.environment_id} {place.clock_id or ''} {place.tenant_id}"


@asynccontextmanager
async def _step() -> AsyncIterator[None]:
    """Tell Temporal that the work goes on, and not to retry what is refused by a rule."""
    beating = asyncio.create_task(_beat())
    try:
        yield
    except DomainError as refusal:
        raise ApplicationError(refusal.message, type=refusal.code, non_retryable=True) from refusal
    finally:
        beating.cancel()
        with suppress(asyncio.CancelledError):
            await beating


async def _beat() -> None:
    while True:
        activity.heartbeat()
        await asyncio.sleep(_BEAT_SECONDS)
