"""How failures reach a client.

A refusal by a rule of the domain is data: a member of the field's union that implements
`Problem`. Everything else is an entry of `errors` with a stable code: denials, values that
cannot be, servers that do not answer, and bugs, which are logged in full and masked.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import strawberry
import structlog
from graphql import GraphQLError
from strawberry.exceptions import StrawberryInputCoercionError
from strawberry.types.field import StrawberryField

from app.kernel import errors as domain
from app.kernel.errors import Denied, DomainError, TariffError, Unauthenticated, Unavailable

log = structlog.get_logger(__name__)


@strawberry.interface(
    description="Why a request was refused. Nothing was changed. Ask for it by "
    "`... on Problem { code message field }`."
)
class Problem:
    code: str = strawberry.field(description="Stable, in SCREAMING_SNAKE_CASE; switch on it.")
    message: str = strawberry.field(description="What was wrong and what would be right.")
    field: str | None = strawberry.field(
        description="The input at fault, such as `tiers[1].upTo`; null when it is the whole."
    )


@strawberry.type(description="Refused by a rule of the domain; `code` says which.")
class Rejected(Problem):
    pass


@strawberry.type(description="Something else in the environment already has this identity.")
class AlreadyExists(Problem):
    value: str = strawberry.field(description="The value that is taken.")


class OnAlreadyExists(strawberry.ExceptionHandler[domain.AlreadyExists, AlreadyExists]):
    def handle(
        self, exception: domain.AlreadyExists, *, field: StrawberryField, info: strawberry.Info
    ) -> AlreadyExists:
        return AlreadyExists(
            code=exception.code,
            message=exception.message,
            field=exception.field,
            value=exception.value,
        )


class OnDomainError(strawberry.ExceptionHandler[DomainError, Rejected]):
    def handle(
        self, exception: DomainError, *, field: StrawberryField, info: strawberry.Info
    ) -> Rejected | None:
        if isinstance(exception, Denied | Unauthenticated):
            return None  # a denial is an error, not an outcome
        return Rejected(code=exception.code, message=exception.message, field=exception.field)


# The first that matches and that the field's union names wins.
HANDLERS: tuple[strawberry.ExceptionHandler[Any], ...] = (OnAlreadyExists(), OnDomainError())


class RequestRefused(Exception):
    """The request as a whole is not executed.

    `status` is the HTTP status to answer with. `malformed` says that it is not even a GraphQL
    request, so that clients of the older media type get the status too.
    """

    def __init__(
        self,
        errors: Sequence[dict[str, Any]],
        *,
        status: int = 400,
        malformed: bool = False,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(errors[0]["message"])
        self.errors, self.status, self.malformed = list(errors), status, malformed
        self.headers = dict(headers or {})


def refusal(message: str, code: str, *, status: int = 400) -> RequestRefused:
    """A GraphQL request that will not be run."""
    return RequestRefused([request_error(message, code)], status=status)


def malformed(
    message: str, code: str = "BAD_REQUEST", *, status: int = 400, **headers: str
) -> RequestRefused:
    """Not a GraphQL request at all. `headers` are written `retry_after="1"`."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    error = request_error(message, code)
    return RequestRefused([error], status=status, malformed=True, headers=named)


def refused_by_domain(error: TariffError) -> RequestRefused:
    """A failure before execution: who asks is not known, or cannot be found out."""
    if isinstance(error, Unavailable):
        message = f"{error.what} is unavailable; try again"
        return malformed(
            message, error.code, status=503, retry_after=str(error.retry_after_seconds)
        )
    if isinstance(error, Unauthenticated):
        return malformed(error.message, error.code, status=401, www_authenticate="Bearer")
    status = 403 if isinstance(error, Denied) else 400
    return malformed(error.message, error.code, status=status)


def request_error(message: str, code: str) -> dict[str, Any]:
    return {"message": message, "extensions": {"code": code}}


def request_errors(errors: Sequence[GraphQLError], code: str) -> list[dict[str, Any]]:
    """Errors of the document or its variables, which speak of nothing but the request."""
    return [_formatted(error, error.message, {"code": code}) for error in errors]


def public_errors(errors: Sequence[GraphQLError], request_id: str) -> list[dict[str, Any]]:
    """Errors of an execution as the client may see them; bugs are logged here, once."""
    return [_public(error, request_id) for error in errors]


def _public(error: GraphQLError, request_id: str) -> dict[str, Any]:
    cause = _cause(error)
    extensions: dict[str, Any] = {"requestId": request_id}
    if isinstance(cause, TariffError):
        extensions["code"] = cause.code
        if isinstance(cause, DomainError) and cause.field is not None:
            extensions["field"] = cause.field
        if isinstance(cause, Unavailable):
            extensions["retryAfterSeconds"] = cause.retry_after_seconds
            log.warning("dependency_unavailable", what=cause.what, request_id=request_id)
            # The reason may name hosts; it goes to the log alone.
            return _formatted(error, f"{cause.what} is unavailable; try again", extensions)
        return _formatted(error, cause.message, extensions)
    if isinstance(cause, TimeoutError):
        log.warning("resolver_timed_out", path=error.path, request_id=request_id)
        return _formatted(error, "this took too long", extensions | {"code": "TIMEOUT"})
    if isinstance(cause, StrawberryInputCoercionError):
        # Strawberry's own words name Python types.
        message = "a value is null where it must not be"
        return _formatted(error, message, extensions | {"code": "BAD_USER_INPUT"})
    if _speaks_of_the_request(error, cause):
        return _formatted(error, error.message, extensions | {"code": "BAD_USER_INPUT"})
    log.error("resolver_failed", path=error.path, request_id=request_id, exc_info=cause or error)
    return _formatted(error, "internal error", extensions | {"code": "INTERNAL"})


def _cause(error: GraphQLError) -> BaseException | None:
    """What was raised first: located errors wrap one another."""
    cause: BaseException | None = error.original_error
    while isinstance(cause, GraphQLError) and cause.original_error is not None:
        cause = cause.original_error
    return cause


def _speaks_of_the_request(error: GraphQLError, cause: BaseException | None) -> bool:
    # A wrong variable has no path; a wrong argument found while executing points at its
    # value in the document. A value that a scalar cannot serialize does neither.
    if error.path is None:
        return cause is None
    return isinstance(cause, GraphQLError) and cause.nodes is not None


def _formatted(error: GraphQLError, message: str, extensions: dict[str, Any]) -> dict[str, Any]:
    formatted: dict[str, Any] = {"message": message}
    if error.locations:
        formatted["locations"] = [{"line": at.line, "column": at.column} for at in error.locations]
    if error.path is not None:
        formatted["path"] = error.path
    formatted["extensions"] = extensions
    return formatted
