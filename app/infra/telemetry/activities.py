"""What Temporal's activities tell: their names on every log line, their times, their bugs."""

import time
from typing import Any

import structlog
from temporalio import activity
from temporalio.worker import (
    ActivityInboundInterceptor,
    ExecuteActivityInput,
    Interceptor,
)

from app.infra.telemetry.context import bound
from app.infra.telemetry.metrics import ACTIVITY_SECONDS
from app.infra.telemetry.reports import is_bug

log = structlog.get_logger(__name__)


class ObservedActivities(Interceptor):
    """Give it to the worker."""

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        return _Observed(next)


class _Observed(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        info = activity.info()
        started, outcome = time.perf_counter(), "failed"
        with bound(workflow=info.workflow_id, activity=info.activity_type):
            try:
                result = await self.next.execute_activity(input)
                outcome = "done"
            except Exception as error:
                if is_bug(error):
                    log.exception("activity_failed", attempt=info.attempt)
                else:
                    log.warning("activity_refused", attempt=info.attempt, reason=str(error))
                raise
            finally:
                seconds = time.perf_counter() - started
                ACTIVITY_SECONDS.labels(info.activity_type, outcome).observe(seconds)
        return result
