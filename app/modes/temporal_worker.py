"""Mode `temporal_worker`: the workflows and activities of due work, and their schedule.

Scales out by starting more of them. HTTP answers probes alone.
"""

import asyncio
from datetime import timedelta
from typing import Final

import structlog
from temporalio.worker import Worker

from app.config import Settings
from app.infra.telemetry.activities import ObservedActivities
from app.infra.telemetry.temporal_sdk import EngineMetrics, observe_engine
from app.invoicing.billing import Billing
from app.metering.visibility import EventVisibility
from app.modes.probes import probes
from app.modes.serving import Service, http, run_services, signalled
from app.runs.activities import RunActivities
from app.runs.advances import Advances
from app.runs.schedules import ensure_schedules
from app.runs.workflows import WORKFLOWS
from app.runtime import EVERYTHING, Runtime, open_runtime

log = structlog.get_logger(__name__)

NEEDS: Final = EVERYTHING

# An activity in hand gets this share of the time to stop; then it is cancelled, and Temporal
# gives it to another worker.
_ACTIVITIES_SHARE: Final = 0.5
_ACTIVITIES: Final = 8
_WORKFLOW_TASKS: Final = 50


async def run(settings: Settings) -> None:
    """Work until signalled."""
    with signalled(settings) as stop:
        engine = observe_engine()
        async with open_runtime(settings, needs=NEEDS) as runtime:
            await ensure_schedules(runtime.temporal, settings)
            app = probes(runtime, needs=NEEDS, mode="temporal_worker")
            port = settings.server.metrics_port
            await run_services(
                http(app, host=settings.server.host, port=port, settings=settings),
                *services(runtime, engine),
                stop=stop,
                settings=settings,
            )


def services(runtime: Runtime, engine: EngineMetrics) -> list[Service]:
    """What this mode does, besides answering probes."""

    async def work(stop: asyncio.Event) -> None:
        async with worker(runtime):
            log.info("worker_started", task_queue=runtime.settings.temporal.task_queue)
            await stop.wait()

    async def drain(stop: asyncio.Event) -> None:
        await engine.drain(stop)

    queue = runtime.settings.temporal.task_queue
    advances = Advances(runtime.temporal, task_queue=queue)
    return [work, drain, advances.run]


def worker(runtime: Runtime) -> Worker:
    """The worker of this process; runs while it is entered."""
    settings = runtime.settings
    billing = Billing(
        clickhouse=runtime.clickhouse,
        storage=runtime.storage,
        clock=runtime.clock,
        visibility=EventVisibility(settings),
        settings=settings.billing,
    )
    return Worker(
        runtime.temporal,
        task_queue=settings.temporal.task_queue,
        workflows=WORKFLOWS,
        activities=RunActivities(billing).all,
        interceptors=[ObservedActivities()],
        max_concurrent_activities=_ACTIVITIES,
        max_concurrent_workflow_tasks=_WORKFLOW_TASKS,
        graceful_shutdown_timeout=timedelta(
            seconds=settings.deployment.shutdown_seconds * _ACTIVITIES_SHARE
        ),
    )
