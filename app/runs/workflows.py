"""Who does due work when: a sweep on a schedule, a run per place that has some, and the advance
of a test clock.

Workflows decide and activities do. Everything here is safe to repeat, to kill and to run twice:
what is paged through is due work, which disappears in the transaction that does it.
"""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, WorkflowAlreadyStartedError
from temporalio.workflow import ParentClosePolicy

from app.kernel.copies import replace

with workflow.unsafe.imports_passed_through():
    from app.runs.activities import RunActivities
    from app.runs.commands import (
        AdvanceClock,
        AwaitUsage,
        Begun,
        BreakOff,
        Counts,
        Drain,
        Drained,
        Place,
        RunBilling,
        SweepBilling,
        WorkDone,
        WorkPage,
        total,
    )

# Servers that do not answer come back; activities say themselves what is not worth a retry.
_RETRY = RetryPolicy(
    initial_interval=timedelta(seconds=1),
    maximum_interval=timedelta(seconds=30),
    maximum_attempts=8,
)
_STEP = timedelta(minutes=15)
_MOMENT = timedelta(seconds=30)
# A worker that died is noticed after this long; its step then goes to another.
_SILENCE = timedelta(seconds=15)


def run_id(place: Place) -> str:
    """The id of a place's run: Temporal lets one of a kind be open."""
    clock = "" if place.clock_id is None else f":{place.clock_id}"
    return f"billing-run:{place.tenant_id}:{place.environment_id}{clock}"


def advance_id(clock_id: str) -> str:
    """The id of a clock's advance, of which one can be open."""
    return f"clock-advance:{clock_id}"


@workflow.defn(name="runs.billing")
class BillingRun:
    """Does what is due in one place: bills, finalizes, prints, and whatever else there is.

    One kind of work after the other; of a kind, the shards side by side, on whichever workers
    there are.
    """

    _tally: Counts

    @workflow.run
    async def run(self, command: RunBilling) -> Counts:
        begun = command.begun or await self._begin(command.place)
        self._tally = command.tally
        position, afters = command.position, command.afters or [command.after]
        while position < len(begun.kinds):
            afters = await self._shards(command.place, begun, begun.kinds[position], afters)
            if all(after is None for after in afters):
                position, afters = position + 1, []
            if position < len(begun.kinds) and workflow.info().is_continue_as_new_suggested():
                going_on = RunBilling(command.place, begun, position, "", self._tally, afters)
                workflow.continue_as_new(going_on)
        return self._tally

    async def _shards(
        self, place: Place, begun: Begun, kind: str, afters: Sequence[str | None]
    ) -> list[str | None]:
        """The shards of a kind side by side, each from where it was; where each is to go on."""
        shards = begun.shards.get(kind, 1)
        starts = afters if len(afters) == shards else [""] * shards
        pages = [
            None
            if after is None
            else WorkPage(place, kind, begun.at, begun.watermark, after, shard, shards)
            for shard, after in enumerate(starts)
        ]
        return await asyncio.gather(*(self._shard(page) for page in pages))

    async def _shard(self, page: WorkPage | None) -> str | None:
        """Page after page, until there is none, or the history is long."""
        while page is not None:
            done = await self._page(page)
            self._tally = total(self._tally, done.tally)
            page = None if done.after is None else replace(page, after=done.after)
            if workflow.info().is_continue_as_new_suggested():
                break
        return None if page is None else page.after

    async def _begin(self, place: Place) -> Begun:
        begun = await workflow.execute_activity_method(
            RunActivities.begin, place, start_to_close_timeout=_MOMENT, retry_policy=_RETRY
        )
        if begun.kinds:
            await _await_usage(begun.watermark)
        return begun

    async def _page(self, page: WorkPage) -> WorkDone:
        return await workflow.execute_activity_method(
            RunActivities.work,
            page,
            start_to_close_timeout=_STEP,
            heartbeat_timeout=_SILENCE,
            retry_policy=_RETRY,
        )


@workflow.defn(name="runs.sweep")
class BillingSweep:
    """Starts a run wherever something is due; one that is running is left alone."""

    @workflow.run
    async def run(self, command: SweepBilling) -> int:
        due = await workflow.execute_activity_method(
            RunActivities.places_due,
            command,
            start_to_close_timeout=timedelta(minutes=1),
            retry_policy=_RETRY,
        )
        started = 0
        for found in due.places:
            started += await self._start(found)
        if due.after is not None:
            workflow.continue_as_new(SweepBilling(after=due.after))
        return started

    async def _start(self, found: Place) -> int:
        try:
            await workflow.start_child_workflow(
                BillingRun.run,
                RunBilling(found),
                id=run_id(found),
                parent_close_policy=ParentClosePolicy.ABANDON,
            )
        except WorkflowAlreadyStartedError:
            return 0
        return 1


@workflow.defn(name="runs.advance")
class ClockAdvance:
    """Brings a test clock to where it has been asked to go, doing on the way what falls due."""

    @workflow.run
    async def run(self, command: AdvanceClock) -> Counts:
        tally = command.tally
        try:
            watermark = command.watermark or await self._watermark()
            while not (done := await self._drain(command, watermark)).over:
                tally = total(tally, done.tally)
                if workflow.info().is_continue_as_new_suggested():
                    ids = command.tenant_id, command.environment_id, command.clock_id
                    workflow.continue_as_new(AdvanceClock(*ids, watermark, tally))
            return total(tally, done.tally)
        except ActivityError as failure:
            await self._break_off(command, str(failure.cause or failure))
            return tally

    async def _watermark(self) -> str:
        """From when on events are too late for this advance; all before are counted."""
        watermark = await workflow.execute_activity_method(
            RunActivities.watermark, start_to_close_timeout=_MOMENT, retry_policy=_RETRY
        )
        await _await_usage(watermark)
        return watermark

    async def _drain(self, command: AdvanceClock, watermark: str) -> Drained:
        return await workflow.execute_activity_method(
            RunActivities.drain,
            Drain(command.tenant_id, command.environment_id, command.clock_id, watermark),
            start_to_close_timeout=_STEP,
            heartbeat_timeout=_SILENCE,
            retry_policy=_RETRY,
        )

    async def _break_off(self, command: AdvanceClock, reason: str) -> None:
        # Tried until it is done: else the clock would be on its way for ever.
        await workflow.execute_activity_method(
            RunActivities.break_off,
            BreakOff(command.tenant_id, command.environment_id, command.clock_id, reason),
            start_to_close_timeout=_MOMENT,
        )


async def _await_usage(watermark: str) -> None:
    await workflow.execute_activity_method(
        RunActivities.await_usage,
        AwaitUsage(watermark),
        start_to_close_timeout=_STEP,
        heartbeat_timeout=_SILENCE,
        retry_policy=_RETRY,
    )


WORKFLOWS = [BillingRun, BillingSweep, ClockAdvance]
