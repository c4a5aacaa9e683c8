"""Who bills when: a sweep on a schedule, and one run per environment that has work due.

Workflows decide and activities do. A run is safe to repeat, to kill and to run twice: what it
pages through is due work, which disappears in the transaction that does it.
"""

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.workflow import ParentClosePolicy

with workflow.unsafe.imports_passed_through():
    from app.runs.activities import RunActivities
    from app.runs.commands import (
        AwaitUsage,
        Begun,
        Counts,
        EnvironmentIds,
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
# A worker that died is noticed after this long; its step then goes to another.
_SILENCE = timedelta(seconds=15)


def run_id(tenant_id: str, environment_id: str) -> str:
    """The id of an environment's run: Temporal lets one of a kind be open."""
    return f"billing-run:{tenant_id}:{environment_id}"


@workflow.defn(name="runs.billing")
class BillingRun:
    """Does what is due in one environment: bills, finalizes, prints, and whatever else there is."""

    @workflow.run
    async def run(self, command: RunBilling) -> Counts:
        begun = command.begun or await self._begin(command)
        position, after, tally = command.position, command.after, command.tally
        while position < len(begun.kinds):
            done = await self._page(
                WorkPage(
                    command.tenant_id,
                    command.environment_id,
                    begun.kinds[position],
                    begun.at,
                    begun.watermark,
                    after,
                )
            )
            tally, after = total(tally, done.tally), done.after or ""
            if done.after is None:
                position += 1
            if position < len(begun.kinds) and workflow.info().is_continue_as_new_suggested():
                workflow.continue_as_new(
                    RunBilling(
                        command.tenant_id, command.environment_id, begun, position, after, tally
                    )
                )
        return tally

    async def _begin(self, command: RunBilling) -> Begun:
        begun = await workflow.execute_activity_method(
            RunActivities.begin,
            EnvironmentIds(command.tenant_id, command.environment_id),
            start_to_close_timeout=timedelta(seconds=30),
            retry_policy=_RETRY,
        )
        await workflow.execute_activity_method(
            RunActivities.await_usage,
            AwaitUsage(begun.watermark),
            start_to_close_timeout=_STEP,
            heartbeat_timeout=_SILENCE,
            retry_policy=_RETRY,
        )
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
    """Starts a run in every environment with due work; one that is running is left alone."""

    @workflow.run
    async def run(self, command: SweepBilling) -> int:
        due = await workflow.execute_activity_method(
            RunActivities.environments_due,
            command,
            start_to_close_timeout=timedelta(minutes=1),
            retry_policy=_RETRY,
        )
        started = 0
        for found in due.environments:
            started += await self._start(found)
        if due.after is not None:
            workflow.continue_as_new(SweepBilling(after=due.after))
        return started

    async def _start(self, found: EnvironmentIds) -> int:
        try:
            await workflow.start_child_workflow(
                BillingRun.run,
                RunBilling(found.tenant_id, found.environment_id),
                id=run_id(found.tenant_id, found.environment_id),
                parent_close_policy=ParentClosePolicy.ABANDON,
            )
        except WorkflowAlreadyStartedError:
            return 0
        return 1


WORKFLOWS = [BillingRun, BillingSweep]
