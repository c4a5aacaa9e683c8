"""POST /v1/events and /v1/events/bulk: events in, acknowledged by Kafka before the 202.

One faulty event refuses the whole request, and nothing is sent; `?partial=true` accepts the
others. Counts in the answers are text, as clients that read a map of texts expect.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.infra.telemetry import request_id
from app.kernel.scope import Scope
from app.metering.event import Decoded, Limits, decode_bulk, decode_one
from app.metering.ingest import Accepted, ingest
from app.metering.ingest_rate import IngestRate
from app.rest.dead_letters import DeadLetterDoor
from app.rest.event_bodies import answer, read_body
from app.rest.event_corrections import CorrectionDoor
from app.rest.event_queries import EventQueries
from app.rest.event_refusals import count_faults, is_partial, limits_of, problem_body, refused
from app.rest.usage_queries import UsageQueries
from app.runtime import Runtime
from app.tenants.authentication import Authenticator, Caller, authenticate, credentials_of

Handler = Callable[[Request, Caller], Awaitable[Response]]

# Who may call each route: the permission it takes, in the environment of the caller.
POLICIES: Final[dict[tuple[str, str], str]] = {
    ("POST", "/v1/events"): "event:write",
    ("POST", "/v1/events/bulk"): "event:write",
    ("GET", "/v1/events"): "event:read",
    ("POST", "/v1/events/query"): "event:read",
    ("POST", "/v1/events/usage"): "usage:read",
    ("POST", "/v1/events/usage/meter"): "usage:read",
    ("GET", "/v1/events/lookup"): "event:read",
    ("POST", "/v1/events/void/bulk"): "event:write",
    ("POST", "/v1/events/amend/bulk"): "event:write",
    ("GET", "/v1/events/dead_letters"): "event:read",
    ("GET", "/v1/events/dead_letters/{id}"): "event:read",
    ("POST", "/v1/events/dead_letters/{id}/replay"): "event:write",
    ("POST", "/v1/events/{id:path}/void"): "event:write",
    ("POST", "/v1/events/{id:path}/amend"): "event:write",
    ("GET", "/v1/events/{id:path}"): "event:read",
}


class EventDoor:
    """Handles the routes about events; each checks its entry of `POLICIES` first."""

    def __init__(self, runtime: Runtime, authenticator: Authenticator) -> None:
        self._runtime, self._authenticator = runtime, authenticator
        self._rate = IngestRate(runtime.settings.rate_limits.ingest_events_per_second)

    def routes(self) -> list[Route]:
        """In the order in which they are tried."""
        queries, usage = EventQueries(self._runtime), UsageQueries(self._runtime)
        letters = DeadLetterDoor(self._runtime)
        corrections = CorrectionDoor(self._runtime, self._too_fast)
        handlers: dict[tuple[str, str], Handler] = {
            ("POST", "/v1/events"): self.submit_one,
            ("POST", "/v1/events/bulk"): self.submit_many,
            ("GET", "/v1/events"): queries.page,
            ("POST", "/v1/events/query"): queries.search,
            ("POST", "/v1/events/usage"): usage.by_event_name,
            ("POST", "/v1/events/usage/meter"): usage.by_meter,
            ("GET", "/v1/events/lookup"): queries.look_up,
            ("POST", "/v1/events/void/bulk"): corrections.void_many,
            ("POST", "/v1/events/amend/bulk"): corrections.amend_many,
            ("GET", "/v1/events/dead_letters"): letters.page,
            ("GET", "/v1/events/dead_letters/{id}"): letters.get,
            ("POST", "/v1/events/dead_letters/{id}/replay"): letters.replay,
            ("POST", "/v1/events/{id:path}/void"): corrections.void_one,
            ("POST", "/v1/events/{id:path}/amend"): corrections.amend_one,
            ("GET", "/v1/events/{id:path}"): queries.get,
        }
        return [
            Route(path, self._guarded(handlers[method, path], permission), methods=[method])
            for (method, path), permission in POLICIES.items()
        ]

    def _guarded(
        self, handler: Handler, permission: str
    ) -> Callable[[Request], Awaitable[Response]]:
        async def handle(request: Request) -> Response:
            # Before the body is read: a stranger's is not worth the memory.
            credentials = credentials_of(request.headers, request_id=request_id())
            caller = await authenticate(self._authenticator, credentials)
            caller.require(permission)
            return await handler(request, caller)

        return handle

    async def submit_one(self, request: Request, caller: Caller) -> Response:
        """202 with the event's id once it is acknowledged."""
        scope = caller.environment_scope
        found = decode_one(await self._body(request), self._limits(caller))
        if found.faults:
            return refused(found.faults)
        if (wait := self._too_fast(scope, 1)) is not None:
            return wait
        accepted = await self._ingest(scope, found)
        return answer(
            {"message": "Event accepted for processing", "event_id": accepted.event_ids[0]}, 202
        )

    async def submit_many(self, request: Request, caller: Caller) -> Response:
        """202 with how many were accepted; with `partial=true` also which were not, and why."""
        scope, partial = caller.environment_scope, is_partial(request)
        found = decode_bulk(await self._body(request), self._limits(caller))
        if found.faults and not (partial and found.events):
            return refused(found.faults)
        if (wait := self._too_fast(scope, len(found.events))) is not None:
            return wait
        accepted = await self._ingest(scope, found)
        count = len(accepted.event_ids)
        said: dict[str, Any] = {
            "message": f"{count} events accepted for processing",
            "accepted": str(count),
        }
        if partial:
            said["rejected"] = [asdict(fault) for fault in found.faults]
            count_faults(found.faults)
        return answer(said, 202)

    async def _body(self, request: Request) -> bytes:
        return await read_body(request, self._runtime.settings.server.max_body_bytes)

    def _limits(self, caller: Caller) -> Limits:
        return limits_of(self._runtime, caller)

    async def _ingest(self, scope: Scope, found: Decoded) -> Accepted:
        runtime = self._runtime
        at, present = runtime.clock.now(), runtime.clock.now(scope)
        return await ingest(
            runtime.settings, runtime.producer, scope, found.events, at=at, present=present
        )

    def _too_fast(self, scope: Scope, count: int) -> Response | None:
        wait = self._rate.take(scope, count, asyncio.get_running_loop().time())
        if not wait:
            return None
        per_second = self._runtime.settings.rate_limits.ingest_events_per_second
        message = f"more than {per_second} events a second; send these again in {wait:.1f} s"
        body = problem_body("RATE_LIMITED", message, None)
        return answer(body, 429, {"retry-after": str(math.ceil(wait))})
