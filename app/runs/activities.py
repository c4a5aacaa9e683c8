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

from app.infra.due import Kind, Page, scopes_with_work
from app.invoicing import billing
from app.invoicing.billing import Billing
from app.kernel.errors import DomainError
from app.kernel.scope import Scope
from app.runs.commands import (
    AwaitUsage,
    Begun,
    EnvironmentIds,
    EnvironmentsDue,
    SweepBilling,
    WorkDone,
    WorkPage,
)
from app.runs.registry import kinds

# Runs started by one sweep before it continues as new.
_ENVIRONMENTS = 100
_BEAT_SECONDS = 3


class RunActivities:
    """Bound to the servers and the clock of the process that runs them."""

    def __init__(self, services: Billing) -> None:
        self._services = services
        self._kinds: dict[str, Kind] = {kind.name: kind for kind in kinds(services)}

    @property
    def all(self) -> list[Callable[..., Any]]:
        """What a worker registers."""
        return [self.environments_due, self.begin, self.await_usage, self.work]

    @activity.defn(name="runs.environments_due")
    async def environments_due(self, command: SweepBilling) -> EnvironmentsDue:
        at = self._services.clock.now()
        found = await scopes_with_work(list(self._kinds), at=at)
        keyed = sorted((scope.environment_id, scope.tenant_id) for scope in found)
        following = [pair for pair in keyed if pair[0] > command.after]
        chosen = following[:_ENVIRONMENTS]
        return EnvironmentsDue(
            [EnvironmentIds(tenant_id, environment_id) for environment_id, tenant_id in chosen],
            chosen[-1][0] if len(following) > len(chosen) else None,
        )

    @activity.defn(name="runs.begin")
    async def begin(self, command: EnvironmentIds) -> Begun:
        scope = Scope(command.tenant_id, command.environment_id)
        # First the time, so that what was accepted until then lies before the watermark.
        at = self._services.clock.now(scope)
        async with _step():
            watermark = await self._services.visibility.take()
        return Begun(at=at.isoformat(), watermark=watermark.isoformat(), kinds=list(self._kinds))

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

    def _page(self, command: WorkPage) -> Page:
        return Page(
            scope=Scope(command.tenant_id, command.environment_id),
            at=datetime.fromisoformat(command.at),
            watermark=datetime.fromisoformat(command.watermark),
            limit=self._services.settings.chunk_size,
            after=command.after,
        )


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
