"""Error reports: Sentry hears bugs, and a bug is what is logged together with its exception.

So nobody calls Sentry: `log.exception("invoice_pdf_failed")` is enough, in every mode. What the
product raises on purpose (refusals, a server that is down) is an outcome and never reported.
"""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any, Final

import sentry_sdk
from sentry_sdk.integrations.dedupe import DedupeIntegration
from sentry_sdk.types import Event, Hint
from structlog.typing import EventDict, WrappedLogger
from temporalio.exceptions import FailureError

from app.config import Sentry
from app.infra.telemetry.redaction import redact, redacted_text
from app.kernel.errors import TariffError

_TAGS: Final = ("request_id", "trace_id", "tenant_id", "environment_id", "workflow", "activity")
# Outcomes, however they travel.
_ON_PURPOSE: Final = (TariffError, FailureError)
_FLUSH_SECONDS: Final = 2.0


@contextmanager
def error_reports(settings: Sentry, *, name: str, mode: str) -> Iterator[None]:
    """Send reports to Sentry while the block lasts; nothing without a DSN."""
    if not settings.dsn:
        yield
        return
    sentry_sdk.init(
        dsn=settings.dsn,
        environment=settings.environment,
        release=f"tariff@{version('tariff')}",
        traces_sample_rate=settings.traces_sample_rate or None,
        # Reports hold no personal data: the SDK's `send_default_pii` is off unless asked for
        # (naming it warns), and bodies and the values of local variables stay here.
        max_request_body_size="never",
        include_local_variables=False,
        before_send=_scrubbed,
        # Nothing is patched behind our back; logs feed the reports.
        default_integrations=False,
        auto_enabling_integrations=False,
        integrations=[DedupeIntegration()],
        shutdown_timeout=_FLUSH_SECONDS,
    )
    sentry_sdk.get_global_scope().set_tags({"mode": mode, "service": name})
    try:
        yield
    finally:
        sentry_sdk.flush(_FLUSH_SECONDS)
        sentry_sdk.get_client().close()
        sentry_sdk.get_global_scope().set_client(None)


def is_bug(error: BaseException | None, *, foreign: bool = False) -> bool:
    """Whether people must hear of it. A library's trouble with the network is no bug of ours."""
    if error is None or not isinstance(error, Exception) or isinstance(error, _ON_PURPOSE):
        return False
    if isinstance(error, ExceptionGroup):
        return any(is_bug(one, foreign=foreign) for one in error.exceptions)
    return not (foreign and isinstance(error, OSError | TimeoutError))


def report(_logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """Report the exception of a log event where it is a bug; the event passes on unchanged."""
    if "exc_info" not in event or not sentry_sdk.get_client().is_active():
        return event
    record: logging.LogRecord | None = event.get("_record")
    level = record.levelno if record else logging.getLevelNamesMapping().get(method.upper(), 40)
    error = _exception_of(event["exc_info"])
    if level >= _least(record) and error is not None and is_bug(error, foreign=record is not None):
        with sentry_sdk.new_scope() as scope:
            scope.set_tag("event", str(event.get("event"))[:200])
            for name in _TAGS:
                if name in event:
                    scope.set_tag(name, str(event[name]))
            scope.capture_exception(error)
    return event


def _least(record: logging.LogRecord | None) -> int:
    # Libraries warn, with a traceback, of what they get over by themselves; but a workflow
    # that fails on a bug is a warning to Temporal, which will try again for ever.
    if record is None or record.name.startswith("temporalio"):
        return logging.WARNING
    return logging.ERROR


def _exception_of(info: Any) -> BaseException | None:
    if info is True:  # as log.exception says it
        return sys.exception()
    if isinstance(info, BaseException):
        return info
    if isinstance(info, tuple):
        return info[1] if isinstance(info[1], BaseException) else None
    return None


def _scrubbed(event: Event, _hint: Hint) -> Event:
    for value in event.get("exception", {}).get("values", []):
        value["value"] = redacted_text(str(value.get("value", "")))
    for part in ("extra", "contexts", "tags"):
        if part in event:
            redact(event[part])
    return event
