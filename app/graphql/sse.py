"""GraphQL over Server-Sent Events: one operation per response, in distinct connections mode.

Source: PROTOCOL.md of the graphql-sse project. Every answer is an event `next`; the last event
is `complete`. A comment now and then keeps proxies from closing an idle stream.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from starlette.responses import StreamingResponse

from app.graphql.encoding import encoded
from app.graphql.errors import RequestRefused, request_error
from app.graphql.execution import Prepared, is_subscription
from app.graphql.service import Service, Visit
from app.graphql.streams import Ended, Reader

HEARTBEAT_SECONDS: Final = 12.0
_COMPLETE: Final = b"event: complete\ndata: \n\n"
_COMMENT: Final = b":\n\n"


def streamed(service: Service, prepared: Prepared, visit: Visit) -> StreamingResponse:
    """The answers of an operation as a stream of events."""
    events = _subscription if is_subscription(prepared) else _single
    return StreamingResponse(
        events(service, prepared, visit),
        media_type="text/event-stream",
        # Proxies that gather an answer before passing it on would keep it for ever.
        headers={"cache-control": "no-store", "x-accel-buffering": "no"},
    )


async def _single(service: Service, prepared: Prepared, visit: Visit) -> AsyncIterator[bytes]:
    try:
        body = await service.execute(prepared, service.context(visit))
    except RequestRefused as refused:
        body = {"errors": refused.errors}
    yield _next(encoded(body))
    yield _COMPLETE


async def _subscription(service: Service, prepared: Prepared, visit: Visit) -> AsyncIterator[bytes]:
    try:
        async with service.streams.join(prepared, service.context(visit)) as reader:
            if visit.caller is None:  # `join` needs a caller, so this is for the types alone
                return
            ended = Ended([request_error("these credentials are no longer in force", "REVOKED")])

            def revoked() -> None:
                reader.end(ended)

            with service.watch.over(visit.credentials, visit.caller, revoked):
                async for event in _events(reader):
                    yield event
    except Ended as ended:
        if ended.errors is not None:
            yield _next(encoded({"errors": ended.errors}))
    yield _COMPLETE


async def _events(reader: Reader) -> AsyncIterator[bytes]:
    yield _COMMENT  # the client learns at once that the stream is open
    while True:
        try:
            async with asyncio.timeout(HEARTBEAT_SECONDS):
                answer = await reader.next()
        except TimeoutError:
            yield _COMMENT
        else:
            yield _next(answer)


def _next(answer: bytes) -> bytes:
    return b"event: next\ndata: " + answer + b"\n\n"
