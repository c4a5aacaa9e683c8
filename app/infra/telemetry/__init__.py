"""What a process tells about itself: logs, metrics, error reports, profiles.

Everybody logs with `structlog.get_logger()` and keeps metrics as module-level objects of
prometheus_client named `tariff_*`. Only `telemetry` decides where any of it goes.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from app.config import Settings
from app.infra.telemetry.context import bound, current, request_id, traceparent
from app.infra.telemetry.logs import configure_logging
from app.infra.telemetry.metrics import announce_build
from app.infra.telemetry.profiling import profiling
from app.infra.telemetry.reports import error_reports

__all__ = ["bound", "current", "request_id", "telemetry", "traceparent"]


@contextmanager
def telemetry(settings: Settings) -> Iterator[None]:
    """Logs, error reports and profiles as the settings say, for as long as the block lasts.

    On leaving, reports still on their way get two seconds.
    """
    name, mode = settings.deployment.name, settings.deployment.mode
    configure_logging(settings.logging, name=name, mode=mode)
    announce_build(mode)
    with ExitStack() as stack:
        stack.enter_context(error_reports(settings.sentry, name=name, mode=mode))
        stack.enter_context(profiling(settings.pyroscope, name=name, mode=mode))
        yield
