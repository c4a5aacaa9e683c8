"""Starting runs: the schedule that sweeps all environments, and a run asked for by hand."""

from datetime import timedelta

from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
    ScheduleUpdate,
    ScheduleUpdateInput,
    WorkflowHandle,
)
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.service import RPCError

from app.config import Settings
from app.kernel.errors import Unavailable
from app.kernel.scope import Scope
from app.runs.commands import Counts, Place, RunBilling, SweepBilling
from app.runs.workflows import BillingRun, BillingSweep, run_id

_DEADLINE = timedelta(seconds=10)


def schedule_id(settings: Settings) -> str:
    """One per task queue: deployments that share a namespace do not share a schedule."""
    return f"billing-sweep:{settings.temporal.task_queue}"


async def ensure_schedules(client: Client, settings: Settings) -> None:
    """Make the schedule, or bring the one that is there to these settings. Raises: Unavailable."""
    wanted, key = _schedule(settings), schedule_id(settings)
    try:
        try:
            await client.create_schedule(key, wanted, rpc_timeout=_DEADLINE)
        except ScheduleAlreadyRunningError:
            handle = client.get_schedule_handle(key)
            await handle.update(lambda found: _updated(found, wanted), rpc_timeout=_DEADLINE)
    except RPCError as error:
        raise Unavailable("Temporal", f"the schedule {key}: {error}") from error


async def start_billing_run(
    client: Client, scope: Scope, *, task_queue: str
) -> WorkflowHandle[BillingRun, Counts]:
    """Start a run of the environment now, or join the one that is under way.

    On a test clock it does what is due at the instant where the clock stands.
    The handle's `result()` waits for its counts. Raises: Unavailable.
    """
    place = Place(scope.tenant_id, scope.environment_id)
    try:
        return await client.start_workflow(
            BillingRun.run,
            RunBilling(place),
            id=run_id(place),
            task_queue=task_queue,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            rpc_timeout=_DEADLINE,
        )
    except RPCError as error:
        raise Unavailable("Temporal", f"the run was not started: {error}") from error


def _schedule(settings: Settings) -> Schedule:
    every = timedelta(seconds=settings.billing.run_interval_seconds)
    return Schedule(
        action=ScheduleActionStartWorkflow(
            BillingSweep.run,
            SweepBilling(),
            id=schedule_id(settings),
            task_queue=settings.temporal.task_queue,
        ),
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=every)]),
        # What an outage missed needs no making up: the next sweep finds all that is due.
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=every),
    )


def _updated(found: ScheduleUpdateInput, wanted: Schedule) -> ScheduleUpdate:
    found.description.schedule.spec = wanted.spec
    found.description.schedule.action = wanted.action
    found.description.schedule.policy = wanted.policy
    return ScheduleUpdate(schedule=found.description.schedule)
