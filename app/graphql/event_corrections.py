"""Events voided and amended in the graph."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

import strawberry
from strawberry.utils.str_converters import to_camel_case

from app.graphql.context import Context, Info
from app.graphql.errors import Rejected
from app.graphql.events import EventKind
from app.graphql.permissions import requires
from app.kernel.errors import Invalid
from app.metering.corrections.asked import MAX_CORRECTIONS, MAX_REASON, AskedCorrection
from app.metering.corrections.asking import AcceptedCorrection, Answers, Hands, correct
from app.metering.event import Limits
from app.metering.event_faults import Fault

_REASON = f"Why, for people: 1 to {MAX_REASON} characters."
_CORRECTION_ID = (
    "What a repeated copy of this correction is recognized by; give one to be able to repeat the "
    "request. Null: one is made."
)
# What the graph calls a column of an event, where it is another name.
_NAMES = {"properties": "propertiesText"}


@strawberry.type(
    description="A correction that was accepted: it will be the event's next version, after those "
    "accepted before it, and counts within moments."
)
class EventCorrection:
    event_id: str = strawberry.field(description="Of which event.")
    correction_id: str = strawberry.field(
        description="Its identity: of several accepted with it the first counts."
    )
    kind: EventKind = strawberry.field(description="What it does.")
    accepted_at: datetime = strawberry.field(description="When it was accepted.")


EventCorrectionResult = Annotated[
    EventCorrection | Rejected,
    strawberry.union(
        "EventCorrectionResult", description="The accepted correction, or why nothing was changed."
    ),
]


@strawberry.type(description="What became of each correction of a request.")
class EventCorrections:
    accepted: int = strawberry.field(description="How many were accepted.")
    results: list[EventCorrectionResult] = strawberry.field(
        description="One for each correction, in the order of the request."
    )


EventCorrectionsResult = Annotated[
    EventCorrections | Rejected,
    strawberry.union(
        "EventCorrectionsResult", description="An answer for each, or why none was looked at."
    ),
]


@strawberry.input(description="An event that is to count no more.")
class EventVoidInput:
    event_id: str = strawberry.field(description="Which event.")
    reason: str = strawberry.field(description=_REASON)
    correction_id: str | None = strawberry.field(description=_CORRECTION_ID, default=None)

    def asked(self) -> AskedCorrection:
        return AskedCorrection(
            kind="voided",
            event_id=self.event_id,
            reason=self.reason,
            correction_id=self.correction_id,
        )


@strawberry.input(
    description="An event that is to say something else. What is absent or null stays as it is; "
    "one at least has to be given. Amending a voided event brings it back."
)
class EventAmendInput:
    event_id: str = strawberry.field(description="Which event.")
    reason: str = strawberry.field(description=_REASON)
    event_name: str | None = strawberry.field(
        description="What happened; meters choose by it.", default=None
    )
    external_customer_id: str | None = strawberry.field(
        description="Whose it is, in your own name for it.", default=None
    )
    timestamp: datetime | None = strawberry.field(description="When it happened.", default=None)
    properties_text: str | None = strawberry.field(
        description="The JSON object of all its properties, kept to the byte, so that numbers "
        "keep every digit.",
        default=None,
    )
    correction_id: str | None = strawberry.field(description=_CORRECTION_ID, default=None)

    def asked(self) -> AskedCorrection:
        text = self.properties_text
        return AskedCorrection(
            kind="amended",
            event_id=self.event_id,
            reason=self.reason,
            correction_id=self.correction_id,
            event_name=self.event_name,
            external_customer_id=self.external_customer_id,
            timestamp=self.timestamp,
            properties=None if text is None else text.strip().encode(errors="surrogatepass"),
        )


_PARTIAL = "Accept those that are right although others are wrong."


@strawberry.input(description="Events that are to count no more.")
class EventsVoidInput:
    corrections: list[EventVoidInput] = strawberry.field(
        description=f"Which ones, at most {MAX_CORRECTIONS}."
    )
    partial: bool = strawberry.field(description=_PARTIAL, default=False)


@strawberry.input(description="Events that are to say something else.")
class EventsAmendInput:
    corrections: list[EventAmendInput] = strawberry.field(
        description=f"Which ones, at most {MAX_CORRECTIONS}."
    )
    partial: bool = strawberry.field(description=_PARTIAL, default=False)


@strawberry.type
class EventMutation:
    @strawberry.mutation(
        description="Make an event count no more. It stays in the history with all its versions.",
        extensions=[requires("event:write")],
    )
    async def event_void(
        self,
        info: Info,
        input: Annotated[EventVoidInput, strawberry.argument(description="Which one, and why.")],
    ) -> EventCorrectionResult:
        return await _one(info.context, input.asked())

    @strawberry.mutation(
        description="Make an event say something else. It counts as its newest version says.",
        extensions=[requires("event:write")],
    )
    async def event_amend(
        self,
        info: Info,
        input: Annotated[
            EventAmendInput, strawberry.argument(description="Which one, how, and why.")
        ],
    ) -> EventCorrectionResult:
        return await _one(info.context, input.asked())

    @strawberry.mutation(
        description="Make events count no more: all of them, or none unless `partial`.",
        extensions=[requires("event:write")],
    )
    async def events_void(
        self,
        info: Info,
        input: Annotated[EventsVoidInput, strawberry.argument(description="Which ones, and why.")],
    ) -> EventCorrectionsResult:
        asked = [one.asked() for one in input.corrections]
        return await _many(info.context, asked, partial=input.partial)

    @strawberry.mutation(
        description="Make events say something else: all of them, or none unless `partial`.",
        extensions=[requires("event:write")],
    )
    async def events_amend(
        self,
        info: Info,
        input: Annotated[
            EventsAmendInput, strawberry.argument(description="Which ones, how, and why.")
        ],
    ) -> EventCorrectionsResult:
        asked = [one.asked() for one in input.corrections]
        return await _many(info.context, asked, partial=input.partial)


async def _one(context: Context, asked: AskedCorrection) -> EventCorrection | Rejected:
    answers = await _answers(context, [asked], partial=False)
    return _result(answers.accepted[0]) if answers.accepted else _refused(answers.faults[0], "")


async def _many(
    context: Context, asked: Sequence[AskedCorrection], *, partial: bool
) -> EventCorrections:
    if not asked:
        raise Invalid("corrections: give at least one", field="corrections", code="NO_CORRECTIONS")
    if len(asked) > MAX_CORRECTIONS:
        raise Invalid(
            f"corrections: {len(asked)} are too many; at most {MAX_CORRECTIONS} fit",
            field="corrections",
            code="TOO_MANY_CORRECTIONS",
        )
    answers = await _answers(context, asked, partial=partial)
    results: list[EventCorrection | Rejected] = [_held_back(index) for index in range(len(asked))]
    for fault in reversed(answers.faults):  # of several of one correction the first
        results[fault.index] = _refused(fault, f"corrections[{fault.index}].")
    for one in answers.accepted:
        results[one.index] = _result(one)
    return EventCorrections(accepted=len(answers.accepted), results=results)


async def _answers(context: Context, asked: Sequence[AskedCorrection], *, partial: bool) -> Answers:
    runtime, caller = context.runtime, context.caller
    own = caller.environment.settings.events if caller.environment else None
    earliest, latest = runtime.clock.presents(context.scope)
    return await correct(
        context.scope,
        Hands(runtime.settings, runtime.clickhouse, runtime.producer),
        asked,
        limits=Limits.of(runtime.settings.ingest, own, at=earliest, latest_present=latest),
        by=context.actor,
        at=runtime.clock.now(),
        partial=partial,
    )


def _result(one: AcceptedCorrection) -> EventCorrection:
    return EventCorrection(
        event_id=one.event_id,
        correction_id=one.correction_id,
        kind=EventKind(one.kind),
        accepted_at=one.accepted_at,
    )


def _refused(fault: Fault, path: str) -> Rejected:
    field = None
    if fault.field is not None:
        field = path + _NAMES.get(fault.field, to_camel_case(fault.field))
    return Rejected(code=fault.code, message=fault.message, field=field)


def _held_back(index: int) -> Rejected:
    return Rejected(
        code="HELD_BACK",
        message="nothing is wrong with it; others of the request are, and none was accepted",
        field=f"corrections[{index}]",
    )
