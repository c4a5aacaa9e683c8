"""Logs: one JSON object a line on stderr; stdout belongs to what a command was asked for.

Libraries that log with the standard library come out in the same shape.
"""

import logging
import sys
import threading
from collections.abc import Callable, MutableMapping
from typing import Any, Final

import orjson
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from app.config import Logging
from app.infra.telemetry.redaction import redact
from app.infra.telemetry.reports import report

# Loggers that tell, at INFO, what our own events tell better.
_QUIET: Final = {
    "uvicorn": logging.WARNING,
    "uvicorn.access": logging.CRITICAL,
    "aiokafka": logging.WARNING,
    "asyncio": logging.WARNING,
    "botocore": logging.WARNING,
    "aioboto3": logging.WARNING,
    "aiobotocore": logging.WARNING,
    "temporalio": logging.WARNING,
    "temporalio.activity": logging.ERROR,  # `activities` tells what failed
    "tortoise": logging.WARNING,
    "urllib3": logging.WARNING,
    "sentry_sdk": logging.ERROR,
}


def configure_logging(settings: Logging, *, name: str, mode: str) -> None:
    """Send every log of the process to stderr in the chosen form. May be called again."""
    level = logging.getLevelNamesMapping()[settings.level]
    before = _before_rendering(name, mode)
    render = _render_json if settings.format == "json" else _console()
    structlog.configure(
        processors=[*before, *_after_naming(settings), render],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr)
        if settings.format == "console"
        else structlog.BytesLoggerFactory(file=sys.stderr.buffer),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *before],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *_after_naming(settings),
                _as_text(render),
            ],
        )
    )
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for logger, least in _QUIET.items():
        logging.getLogger(logger).setLevel(max(level, least))
    logging.captureWarnings(True)
    sys.excepthook = _log_crash
    threading.excepthook = _log_thread_crash


def _before_rendering(name: str, mode: str) -> list[Processor]:
    def deployment(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        event["service"], event["mode"] = name, mode
        return event

    return [
        structlog.contextvars.merge_contextvars,
        deployment,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="timestamp"),
        report,
    ]


def _after_naming(settings: Logging) -> list[Processor]:
    # People read the colored traceback of the console form; machines read one text field.
    if settings.format == "console":
        return [_redact]
    return [structlog.processors.format_exc_info, _redact]


def _redact(_logger: WrappedLogger, _method: str, event: EventDict) -> MutableMapping[str, Any]:
    return redact(event)


def _render_json(_logger: WrappedLogger, _method: str, event: EventDict) -> bytes:
    first = {name: event.pop(name) for name in ("timestamp", "level", "event") if name in event}
    return orjson.dumps({**first, **event}, default=repr, option=orjson.OPT_NON_STR_KEYS)


def _console() -> Processor:
    return structlog.dev.ConsoleRenderer(
        colors=sys.stderr.isatty(),
        # The default would print the values of local variables.
        exception_formatter=structlog.dev.plain_traceback,
    )


def _as_text(render: Processor) -> Callable[[WrappedLogger, str, EventDict], str]:
    def text(logger: WrappedLogger, method: str, event: EventDict) -> str:
        line = render(logger, method, event)
        return line.decode() if isinstance(line, bytes) else str(line)

    return text


def _log_crash(kind: Any, error: BaseException, trace: Any) -> None:
    if isinstance(error, KeyboardInterrupt):
        return
    structlog.get_logger().critical("process_crashed", exc_info=(kind, error, trace))


def _log_thread_crash(crash: threading.ExceptHookArgs) -> None:
    if crash.exc_value is None or isinstance(crash.exc_value, SystemExit):
        return
    structlog.get_logger().error(
        "thread_crashed",
        thread=crash.thread.name if crash.thread else None,
        exc_info=(crash.exc_type, crash.exc_value, crash.exc_traceback),
    )
