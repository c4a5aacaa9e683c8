"""What a client asks for: an event voided or amended; checked before anything is sent."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

from app.metering.corrections.wire import Kind
from app.metering.event import Limits
from app.metering.event_faults import Fault, outside, wrong_text
from app.metering.event_properties import PropertiesFault, require_object

MAX_REASON = 1_000
# Of one request. Corrections are rare; each looks for its event.
MAX_CORRECTIONS = 1_000

_CHANGES = ("event_name", "external_customer_id", "timestamp", "properties")
# What SQL and JSON know no text for.
_HALVES = ("\ud800", "\udfff")


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedCorrection:
    """An event is to be voided, or amended in what is not None.

    `reason` is for people, 1 to 1,000 characters. `correction_id` is what a repeated copy is
    recognized by; one is made where it is missing. `timestamp` is aware; `properties` is the
    JSON text of all properties that the event has from then on.
    """

    kind: Kind
    event_id: str
    reason: str
    correction_id: str | None = None
    event_name: str | None = None
    external_customer_id: str | None = None
    timestamp: datetime | None = None
    properties: bytes | None = None


_raw = msgspec.json.Decoder(msgspec.Raw)


def faults_of(index: int, asked: AskedCorrection, limits: Limits) -> list[Fault]:
    """Everything that is wrong with a correction in itself, field by field."""
    found = [*_wrong_texts(asked)]
    if asked.kind == "amended":
        if all(getattr(asked, name) is None for name in _CHANGES):
            changes = ", ".join(_CHANGES)
            found.append((None, "NOTHING_TO_AMEND", f"say what is to change: one of {changes}"))
        if asked.timestamp is not None:
            at = asked.timestamp.astimezone(UTC)
            wrong = outside(at, limits.latest, limits.oldest, shown=at.isoformat())
            found += [("timestamp", *one) for one in wrong]
        if asked.properties is not None:
            found += [("properties", *one) for one in _wrong_properties(asked.properties, limits)]
    return [Fault(index, field, code, message) for field, code, message in found]


def _wrong_texts(asked: AskedCorrection) -> Iterator[tuple[str | None, str, str]]:
    for name in ("event_id", "correction_id", "event_name", "external_customer_id"):
        value = getattr(asked, name)
        if value is not None and (wrong := _wrong(value, name)) is not None:
            yield name, f"INVALID_{name.upper()}", wrong
    if (wrong := _wrong(asked.reason, "reason", most=MAX_REASON)) is not None:
        yield "reason", "INVALID_REASON", wrong


def _wrong(value: str, name: str, *, most: int = 255) -> str | None:
    if any(_HALVES[0] <= character <= _HALVES[1] for character in value):
        return f"{name} holds half of a surrogate pair, which is not text"
    return wrong_text(value, name, most=most)


def _wrong_properties(raw: bytes, limits: Limits) -> Iterator[tuple[str, str]]:
    try:
        _raw.decode(raw)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        yield "INVALID_PROPERTIES", f"expected the text of a JSON object: {error}"
        return
    try:
        require_object(raw, max_bytes=limits.max_properties_bytes)
    except PropertiesFault as fault:
        yield fault.code, str(fault)
