"""Exceptions as answers: one JSON shape for everything that is refused or fails.

    {"code": "INVALID", "message": "…", "field": "quantity", "request_id": "req_…"}

A refusal says what is wrong with the request. A bug says nothing but its request id, under
which the log has the rest.
"""

import math
from collections.abc import Mapping
from typing import Any, Final

import orjson
import structlog
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from app.infra.telemetry import request_id
from app.kernel.errors import (
    Conflict,
    Denied,
    DomainError,
    Invalid,
    NotFound,
    TariffError,
    Unauthenticated,
    Unavailable,
)

log = structlog.get_logger(__name__)

# The first that fits decides.
_STATUS: Final[tuple[tuple[type[TariffError], int], ...]] = (
    (Unauthenticated, 401),
    (Denied, 403),
    (NotFound, 404),
    (Conflict, 409),
    (Invalid, 400),
    (DomainError, 400),
    (Unavailable, 503),
)
# Errors of the protocol, raised by routing: status → code, and the message where the
# framework's own says too little.
_PROTOCOL: Final[Mapping[int, tuple[str, str]]] = {
    400: ("INVALID", ""),
    401: ("UNAUTHENTICATED", ""),
    403: ("FORBIDDEN", ""),
    404: ("NOT_FOUND", "there is nothing at this path"),
    405: ("METHOD_NOT_ALLOWED", "this path does not answer that method"),
    413: ("TOO_LARGE", ""),
    415: ("UNSUPPORTED_MEDIA_TYPE", ""),
}


class TooLarge(DomainError):
    """The request's body is larger than the server accepts."""

    code = "TOO_LARGE"

    def __init__(self, limit: int) -> None:
        super().__init__(f"the body is larger than {limit} bytes; send less at a time")


class DeadlineExceeded(TariffError):
    """The answer took longer than the server allows; it may or may not have had an effect."""

    code = "DEADLINE_EXCEEDED"

    def __init__(self, seconds: float) -> None:
        super().__init__(
            f"no answer within {seconds:g} seconds; the request may have taken effect, "
            "so look before you repeat it"
        )


def status_of(error: BaseException) -> int:
    """The HTTP status that tells `error`."""
    if isinstance(error, TooLarge):
        return 413
    if isinstance(error, DeadlineExceeded):
        return 504
    if isinstance(error, HTTPException):
        return error.status_code
    return next((status for kind, status in _STATUS if isinstance(error, kind)), 500)


def problem(error: Exception) -> Response:
    """The answer that tells `error`. A bug is logged here, with its traceback, and masked."""
    status, headers = status_of(error), {"cache-control": "no-store"}
    if isinstance(error, HTTPException):
        headers.update(error.headers or {})
        code, own = _PROTOCOL.get(status, ("HTTP_ERROR", ""))
        return _answer(status, code, own or error.detail, headers=headers)
    if not isinstance(error, TariffError):
        if not isinstance(error, ClientDisconnect):
            log.error("request_failed", exc_info=error)
        message = "something went wrong on our side; quote the request id to the operator"
        return _answer(500, "INTERNAL", message, headers=headers)
    if status == 401:
        headers["www-authenticate"] = 'Bearer realm="tariff"'
    if isinstance(error, Unavailable):
        # What is down, and why, is for the log: it may name hosts.
        log.warning("dependency_unavailable", dependency=error.what, reason=error.message)
        headers["retry-after"] = str(math.ceil(error.retry_after_seconds))
        return _answer(503, error.code, f"{error.what} is unavailable; try again", headers=headers)
    field = error.field if isinstance(error, DomainError) else None
    return _answer(status, error.code, error.message, field=field, headers=headers)


def _answer(
    status: int,
    code: str,
    message: str,
    *,
    field: str | None = None,
    headers: Mapping[str, str],
) -> Response:
    body: dict[str, Any] = {
        "code": code,
        "message": message,
        "field": field,
        "request_id": request_id(),
    }
    return Response(orjson.dumps(body), status, headers=headers, media_type="application/json")
