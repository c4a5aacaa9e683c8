"""How requests about many events are refused: all faults at once, each with its index."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from prometheus_client import Counter
from starlette.requests import Request
from starlette.responses import Response

from app.infra.telemetry import request_id
from app.kernel.errors import Invalid
from app.metering.event import Limits
from app.metering.event_faults import Fault
from app.rest.event_bodies import answer
from app.runtime import Runtime
from app.tenants.authentication import Caller

REFUSED = Counter("tariff_ingest_refused_events_total", "Events refused.", ["code"])


def limits_of(runtime: Runtime, caller: Caller) -> Limits:
    """What the caller's environment takes at present."""
    own = caller.environment.settings.events if caller.environment else None
    earliest, latest = runtime.clock.presents(caller.environment_scope)
    return Limits.of(runtime.settings.ingest, own, at=earliest, latest_present=latest)


def is_partial(request: Request) -> bool:
    value = request.query_params.get("partial", "false")
    if value not in ("true", "false"):
        raise Invalid(
            f"partial is true or false, not {value!r}", field="partial", code="INVALID_PARTIAL"
        )
    return value == "true"


def refused(faults: Sequence[Fault]) -> Response:
    """400: nothing was accepted. Speaks of the first fault, and lists them all."""
    count_faults(faults)
    first = faults[0]
    indexes = len({fault.index for fault in faults})
    message = first.message
    if indexes > 1 or first.index:
        message = f"event {first.index}: {message}"
    if indexes > 1:
        message += f" ({indexes} events are at fault; see errors)"
    body = problem_body(first.code, message, first.field)
    return answer({**body, "errors": [asdict(fault) for fault in faults]}, 400)


def problem_body(code: str, message: str, field: str | None) -> dict[str, Any]:
    return {"code": code, "message": message, "field": field, "request_id": request_id()}


def count_faults(faults: Sequence[Fault]) -> None:
    for fault in faults:
        REFUSED.labels(fault.code).inc()
