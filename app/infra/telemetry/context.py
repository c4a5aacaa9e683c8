"""What the present piece of work is for: its request, trace and scope, on every log line of it.

The names in use: request_id, trace_id, span_id, tenant_id, environment_id, actor_id.
"""

import re
from contextlib import AbstractContextManager
from random import getrandbits
from typing import Any

import structlog

from app.kernel.ids import new_id

_SANE_REQUEST_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")
# Source: W3C Trace Context, level 1, section 3.2: version 00; all zeros is invalid.
_TRACEPARENT = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}")


def bound(**names: str | None) -> AbstractContextManager[None]:
    """Put these names on every log line of the block, and of the tasks started in it."""
    return structlog.contextvars.bound_contextvars(
        **{name: value for name, value in names.items() if value is not None}
    )


def current() -> dict[str, Any]:
    """The names in force here."""
    return structlog.contextvars.get_contextvars()


def request_id() -> str | None:
    """The id of the request being served, for the audit log."""
    return current().get("request_id")


def traceparent() -> str | None:
    """The W3C header that continues this trace elsewhere, such as in a Kafka message."""
    names = current()
    if "trace_id" not in names or "span_id" not in names:
        return None
    return f"00-{names['trace_id']}-{names['span_id']}-01"


def accepted_request_id(given: str | None) -> str:
    """The caller's own request id where it is sane (1 to 128 plain characters), else a new one."""
    return given if given and _SANE_REQUEST_ID.fullmatch(given) else new_id("req")


def accepted_trace(header: str | None) -> tuple[str, str]:
    """The trace id of a W3C `traceparent`, or a new one; and a new span id under it."""
    match = _TRACEPARENT.fullmatch(header) if header else None
    # They tell requests apart and guard nothing, so they need not be hard to guess.
    trace = match[1] if match else f"{getrandbits(128):032x}"
    return trace, f"{getrandbits(64):016x}"
