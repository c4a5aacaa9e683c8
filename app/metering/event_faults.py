"""What can be wrong with one event: every faulty field, with a code and what would be right."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

import msgspec
from msgspec import Raw

from app.metering.event_keys import repeated_keys
from app.metering.event_properties import PropertiesFault, require_object

MAX_LENGTH = 255
# Control characters (Unicode category Cc): invisible, so never part of a name.
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with the event at `index` of the request, counted from 0.

    `field` is None where the event as a whole is at fault.
    """

    index: int
    field: str | None
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class _Rule:
    """A field of text: its code, and whether it must be there and hold something."""

    code: str
    required: bool = False
    may_be_empty: bool = False


_TEXTS: Mapping[str, _Rule] = {
    "event_name": _Rule("INVALID_EVENT_NAME", required=True),
    "external_customer_id": _Rule("INVALID_EXTERNAL_CUSTOMER_ID", required=True),
    "event_id": _Rule("INVALID_EVENT_ID"),
    "customer_id": _Rule("INVALID_CUSTOMER_ID", may_be_empty=True),
    "source": _Rule("INVALID_SOURCE", may_be_empty=True),
}
_FIELDS = (*_TEXTS, "timestamp", "properties")
_RIGHT_INSTANT = "expected RFC 3339 with a zone, such as 2026-01-31T12:00:00Z"

_fields = msgspec.json.Decoder(dict[str, Raw])
_text = msgspec.json.Decoder(str)
_instant = msgspec.json.Decoder(datetime)


def name_faults(
    index: int,
    raw: Raw,
    *,
    latest: datetime,
    oldest: datetime,
    max_properties_bytes: int,
) -> list[Fault]:
    """Every fault of one event, field by field. `raw` is one well-formed JSON value."""
    try:
        fields = _fields.decode(raw)
    except msgspec.DecodeError:
        return [Fault(index, None, "NOT_AN_OBJECT", "expected an object, one for each event")]
    known = ", ".join(_FIELDS)
    found = [
        (name, "UNKNOWN_FIELD", f"{name} is not a field of an event; those are {known}")
        for name in fields
        if name not in _FIELDS
    ]
    found += [
        (name, "DUPLICATE_KEY", f"the key {name!r} occurs twice in one event")
        for name in repeated_keys(bytes(raw))
    ]
    for name, rule in _TEXTS.items():
        found += [(name, *wrong) for wrong in _wrong_text(fields.get(name), name, rule)]
    if (timestamp := fields.get("timestamp")) is not None:
        found += [("timestamp", *wrong) for wrong in _wrong_instant(timestamp, latest, oldest)]
    if (properties := fields.get("properties")) is not None and bytes(properties) != b"null":
        try:
            require_object(bytes(properties), max_bytes=max_properties_bytes)
        except PropertiesFault as fault:
            found.append(("properties", fault.code, str(fault)))
    return [Fault(index, name, code, message) for name, code, message in found]


def _wrong_text(raw: Raw | None, name: str, rule: _Rule) -> Iterator[tuple[str, str]]:
    if raw is None or bytes(raw) == b"null":
        if rule.required:
            yield "MISSING_FIELD", f"{name} is required: text of 1 to {MAX_LENGTH} characters"
        return
    try:
        text = _text.decode(raw)
    except (msgspec.DecodeError, UnicodeError):
        yield rule.code, f"{name} must be text, not {_shown(raw)}"
        return
    if text or not rule.may_be_empty:
        wrong = wrong_text(text, name, trimmed=not rule.may_be_empty)
        if wrong is not None:
            yield rule.code, wrong


def wrong_text(text: str, name: str, *, most: int = MAX_LENGTH, trimmed: bool = True) -> str | None:
    """What is wrong with a text of 1 to `most` characters, as a sentence; None: nothing."""
    if not text:
        return f"{name} is empty; give it 1 to {most} characters"
    if len(text) > most:
        return f"{name} has {len(text)} characters; at most {most} are accepted"
    if CONTROL.search(text):
        return f"{name} holds a control character: {text!r}"
    if trimmed and text.strip() != text:
        return f"{name} begins or ends with a space: {text!r}"
    return None


def _wrong_instant(raw: Raw, latest: datetime, oldest: datetime) -> Iterator[tuple[str, str]]:
    if bytes(raw) == b"null":
        return
    try:
        at = _instant.decode(raw)
    except (msgspec.DecodeError, UnicodeError):
        yield "INVALID_TIMESTAMP", f"{_shown(raw)} is not an instant; {_RIGHT_INSTANT}"
        return
    if at.tzinfo is None:
        yield "INVALID_TIMESTAMP", f"{_shown(raw)} has no zone; {_RIGHT_INSTANT}"
    else:
        yield from outside(at, latest, oldest, shown=_shown(raw))


def outside(
    at: datetime, latest: datetime, oldest: datetime, *, shown: str
) -> Iterator[tuple[str, str]]:
    """The code and the sentence for an instant that lies outside of what is accepted."""
    if at > latest:
        yield "TIMESTAMP_IN_FUTURE", f"{shown} is after {latest.isoformat()}, the latest now"
    elif at < oldest:
        yield "TIMESTAMP_TOO_OLD", f"{shown} is before {oldest.isoformat()}, the oldest"


def _shown(raw: Raw) -> str:
    """What was sent, short enough for a message."""
    text = bytes(raw).decode(errors="replace")
    return text if len(text) <= 60 else f"{text[:57]}..."
