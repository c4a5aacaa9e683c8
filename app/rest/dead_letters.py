"""GET /v1/events/dead_letters: what could not be stored, and sending it again."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Raw, Struct
from starlette.requests import Request
from starlette.responses import Response

from app.kernel.errors import Invalid
from app.kernel.scope import Scope
from app.metering import dead_letters
from app.metering.dead_letters import MAX_PAGE, DeadLetter, Replays
from app.metering.event import Limits, SubmittedEvent, decode_one
from app.rest.event_bodies import MAX_QUERY_BYTES, answer, converted, decoded, read_body
from app.runtime import Runtime
from app.tenants.authentication import Caller


class LettersWanted(Struct, frozen=True, forbid_unknown_fields=True):
    """`after` is the id of the last letter of the page before."""

    status: Literal["open", "replayed"] | None = None
    after: str | None = None
    first: Annotated[int, Meta(ge=1, le=MAX_PAGE)] = 50


class ReplayBody(Struct, frozen=True, forbid_unknown_fields=True):
    """`event` is what the letter should have been; without it the letter goes as it is."""

    event: Raw = Raw(b"null")


class DeadLetterDoor:
    """Handles the routes about dead letters. Permissions have been checked by then."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    async def page(self, request: Request, caller: Caller) -> Response:
        """200: letters, the latest first."""
        wanted = converted(dict(request.query_params), LettersWanted)
        found = await dead_letters.page(
            caller.environment_scope,
            self._runtime.clickhouse,
            status=wanted.status,
            after=wanted.after,
            first=wanted.first,
        )
        return answer({"dead_letters": [_shown(letter) for letter in found]})

    async def get(self, request: Request, caller: Caller) -> Response:
        """200: one letter."""
        letter = await dead_letters.get(
            caller.environment_scope, self._runtime.clickhouse, request.path_params["id"]
        )
        return answer(_shown(letter))

    async def replay(self, request: Request, caller: Caller) -> Response:
        """202: sent again, as it is or as the event in the body."""
        scope, runtime = caller.environment_scope, self._runtime
        body = await read_body(request, MAX_QUERY_BYTES)
        wanted = decoded(body, ReplayBody) if body else ReplayBody()
        letter = await Replays(runtime.settings, runtime.clickhouse, runtime.producer).replay(
            scope,
            request.path_params["id"],
            None if bytes(wanted.event) == b"null" else self._event(scope, wanted.event),
            by=caller.actor,
            # The machine's instant: a letter failed by the broker's.
            at=runtime.clock.now(),
        )
        return answer(_shown(letter), 202)

    def _event(self, scope: Scope, raw: Raw) -> SubmittedEvent:
        earliest, latest = self._runtime.clock.presents(scope)
        settings = self._runtime.settings.ingest
        limits = Limits.of(settings, at=earliest, latest_present=latest)
        found = decode_one(bytes(raw), limits)
        if found.faults:
            fault = found.faults[0]
            path = "event" if fault.field is None else f"event.{fault.field}"
            raise Invalid(fault.message, field=path, code=fault.code)
        return found.events[0]


def _shown(letter: DeadLetter) -> dict[str, Any]:
    return msgspec.structs.asdict(letter)
