"""Conditional writes: `If-Match` and `If-None-Match` of a PUT, carried to the storage."""

from collections.abc import Awaitable, Callable, MutableMapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from nanio.errors import PreconditionFailed

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Condition:
    """What must hold of the stored object for a write to happen. Etags are quoted."""

    match: str | None = None
    none_match: str | None = None

    def check(self, etag: str | None, key: str) -> None:
        """`etag` is the stored object's, None where there is none. Raises: PreconditionFailed."""
        if self.match is not None and (etag is None or self.match not in ("*", etag)):
            raise PreconditionFailed(resource=key)
        if self.none_match is not None and etag is not None and self.none_match in ("*", etag):
            raise PreconditionFailed(resource=key)


of_this_request: ContextVar[Condition] = ContextVar("condition", default=Condition())  # noqa: B039 - frozen


def conditional(application: Application) -> Application:
    """The same application, with each write's condition at hand in `of_this_request`."""

    async def wrapped(scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "PUT":
            headers = dict(scope["headers"])
            match, none_match = headers.get(b"if-match"), headers.get(b"if-none-match")
            of_this_request.set(
                Condition(
                    match=match.decode() if match is not None else None,
                    none_match=none_match.decode() if none_match is not None else None,
                )
            )
        await application(scope, receive, send)

    return wrapped
