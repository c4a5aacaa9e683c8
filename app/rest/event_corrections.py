"""POST /v1/events/{id}/void and /amend, and the same for many: acknowledged before the 202.

What is wrong with one of many refuses all of them, and nothing is sent; `?partial=true` accepts
the others.
"""

from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any

from msgspec import Meta, Raw, Struct
from starlette.requests import Request
from starlette.responses import Response

from app.kernel.errors import Conflict, Invalid, NotFound
from app.kernel.scope import Scope
from app.metering.corrections.asked import MAX_CORRECTIONS, AskedCorrection
from app.metering.corrections.asking import (
    ALREADY_VOIDED,
    NOT_FOUND,
    AcceptedCorrection,
    Answers,
    Hands,
    correct,
)
from app.metering.event_faults import Fault
from app.metering.event_keys import repeated_keys
from app.rest.event_bodies import answer, decoded, read_body
from app.rest.event_refusals import count_faults, is_partial, limits_of, refused
from app.runtime import Runtime
from app.tenants.authentication import Caller

_Instant = Annotated[datetime, Meta(tz=True)]
# Whether an environment sends too fast: the answer that says so.
TooFast = Callable[[Scope, int], Response | None]


class VoidBody(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    reason: str
    correction_id: str | None = None

    def asked(self, event_id: str) -> AskedCorrection:
        return AskedCorrection(
            kind="voided", event_id=event_id, reason=self.reason, correction_id=self.correction_id
        )


class AmendBody(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is absent or null stays as it is. `properties` are all that the event has then."""

    reason: str
    correction_id: str | None = None
    event_name: str | None = None
    external_customer_id: str | None = None
    timestamp: _Instant | None = None
    properties: Raw = Raw(b"null")

    def asked(self, event_id: str) -> AskedCorrection:
        properties = bytes(self.properties)
        return AskedCorrection(
            kind="amended",
            event_id=event_id,
            reason=self.reason,
            correction_id=self.correction_id,
            event_name=self.event_name,
            external_customer_id=self.external_customer_id,
            timestamp=self.timestamp,
            properties=None if properties == b"null" else properties,
        )


class VoidItem(VoidBody, frozen=True, kw_only=True, forbid_unknown_fields=True):
    event_id: str


class AmendItem(AmendBody, frozen=True, kw_only=True, forbid_unknown_fields=True):
    event_id: str


class _Bulk(Struct, frozen=True, forbid_unknown_fields=True):
    events: list[Raw]


class CorrectionDoor:
    """Handles the routes that correct events. Permissions have been checked by then."""

    def __init__(self, runtime: Runtime, too_fast: TooFast) -> None:
        self._runtime, self._too_fast = runtime, too_fast

    async def void_one(self, request: Request, caller: Caller) -> Response:
        """202 with the correction's id once it is acknowledged; 404, 409."""
        return await self._one(request, caller, VoidBody)

    async def amend_one(self, request: Request, caller: Caller) -> Response:
        """202 with the correction's id once it is acknowledged; 404."""
        return await self._one(request, caller, AmendBody)

    async def void_many(self, request: Request, caller: Caller) -> Response:
        """202 with an answer for each; 400 with what is wrong with which."""
        return await self._many(request, caller, VoidItem)

    async def amend_many(self, request: Request, caller: Caller) -> Response:
        """202 with an answer for each; 400 with what is wrong with which."""
        return await self._many(request, caller, AmendItem)

    async def _one(
        self, request: Request, caller: Caller, kind: type[VoidBody | AmendBody]
    ) -> Response:
        body = await self._body(request)
        wanted = decoded(body, kind)
        _require_each_once(body)
        if (wait := self._too_fast(caller.environment_scope, 1)) is not None:
            return wait
        asked = wanted.asked(request.path_params["id"])
        answers = await self._correct(caller, [asked], partial=False)
        if not answers.accepted:
            return _refused_one(asked, answers.faults)
        said = {"message": "Correction accepted for processing", **_shown(answers.accepted[0])}
        return answer({name: value for name, value in said.items() if name != "index"}, 202)

    async def _many(
        self, request: Request, caller: Caller, kind: type[VoidItem | AmendItem]
    ) -> Response:
        partial = is_partial(request)
        raws = decoded(await self._body(request), _Bulk).events
        _require_count(len(raws))
        asked, faults = _items(raws, kind)
        if faults and not (partial and asked):
            return refused(faults)
        if (wait := self._too_fast(caller.environment_scope, len(asked))) is not None:
            return wait
        places = list(asked)
        answers = await self._correct(caller, list(asked.values()), partial=partial)
        faults += [
            Fault(places[one.index], one.field, one.code, one.message) for one in answers.faults
        ]
        faults.sort(key=lambda fault: fault.index)
        if not answers.accepted:
            return refused(faults)
        said: dict[str, Any] = {
            "message": f"{len(answers.accepted)} corrections accepted for processing",
            "accepted": str(len(answers.accepted)),
            "corrections": [
                {**_shown(one), "index": places[one.index]} for one in answers.accepted
            ],
        }
        if partial:
            said["rejected"] = [asdict(fault) for fault in faults]
            count_faults(faults)
        return answer(said, 202)

    async def _body(self, request: Request) -> bytes:
        return await read_body(request, self._runtime.settings.server.max_body_bytes)

    async def _correct(
        self, caller: Caller, asked: list[AskedCorrection], *, partial: bool
    ) -> Answers:
        runtime = self._runtime
        return await correct(
            caller.environment_scope,
            Hands(runtime.settings, runtime.clickhouse, runtime.producer),
            asked,
            limits=limits_of(runtime, caller),
            by=caller.actor,
            at=runtime.clock.now(),
            partial=partial,
        )


def _items(
    raws: list[Raw], kind: type[VoidItem | AmendItem]
) -> tuple[dict[int, AskedCorrection], list[Fault]]:
    """The corrections that can be read, by their index, and what is wrong with the others."""
    asked: dict[int, AskedCorrection] = {}
    faults: list[Fault] = []
    for index, raw in enumerate(raws):
        try:
            item = decoded(bytes(raw), kind)
            _require_each_once(bytes(raw))
        except Invalid as error:
            faults.append(Fault(index, error.field, error.code, error.message))
        else:
            asked[index] = item.asked(item.event_id)
    return asked, faults


def _require_each_once(body: bytes) -> None:
    for name in repeated_keys(body):
        raise Invalid(
            f"the key {name!r} occurs twice in one correction", field=name, code="DUPLICATE_KEY"
        )


def _require_count(count: int) -> None:
    if not count:
        raise Invalid("events is empty; send at least one", field="events", code="NO_EVENTS")
    if count > MAX_CORRECTIONS:
        raise Invalid(
            f"{count} corrections in one request; at most {MAX_CORRECTIONS} are accepted",
            field="events",
            code="TOO_MANY_EVENTS",
        )


def _refused_one(asked: AskedCorrection, faults: Any) -> Response:
    first = faults[0]
    if first.code == NOT_FOUND:
        count_faults(faults)
        raise NotFound("event", asked.event_id, field="event_id")
    if first.code == ALREADY_VOIDED:
        count_faults(faults)
        raise Conflict(first.message, field="event_id", code=first.code)
    return refused(faults)


def _shown(one: AcceptedCorrection) -> dict[str, Any]:
    return {"index": one.index, "event_id": one.event_id, "correction_id": one.correction_id}
