"""What a client submits: one event, or many, as JSON; decoded, bounded and checked.

The happy path decodes a whole request into typed events and checks them together. Only when
that finds something amiss is every event looked at by itself, so that each fault is named with
its index, field and code.

`properties` stays the bytes that were sent: quantities are read from them later as exact
decimals, and a round trip through floating point would change them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Raw, Struct

from app.config import Ingest
from app.kernel.errors import Invalid
from app.metering.event_faults import CONTROL, MAX_LENGTH, Fault, name_faults
from app.metering.event_keys import repeated_keys
from app.metering.event_properties import MAX_DEPTH, has_repeated_key
from app.tenants.settings import EventSettings

_Text = Annotated[str, Meta(min_length=1, max_length=MAX_LENGTH)]
_Note = Annotated[str, Meta(max_length=MAX_LENGTH)]
_Instant = Annotated[datetime, Meta(tz=True)]


class SubmittedEvent(Struct, frozen=True, kw_only=True, gc=False, forbid_unknown_fields=True):
    """One event as a client sends it.

    `event_id` is what a repeated copy is recognized by; one is made where it is missing.
    `customer_id` is accepted for clients that send both, and not stored: the customer is found
    by `external_customer_id`. `timestamp` is RFC 3339 with a zone; what is finer than a
    microsecond is rounded to it, and what is finer than a millisecond is then cut off.
    """

    event_name: _Text
    external_customer_id: _Text
    event_id: _Text | None = None
    customer_id: _Note | None = None
    timestamp: _Instant | None = None
    source: _Note | None = None
    properties: Raw = Raw(b"{}")


@dataclass(frozen=True, slots=True)
class Limits:
    """What is refused. `latest` and `oldest` bound the timestamps, both inclusive."""

    max_events: int
    max_properties_bytes: int
    latest: datetime
    oldest: datetime

    @classmethod
    def of(
        cls,
        settings: Ingest,
        environment: EventSettings | None = None,
        *,
        at: datetime,
        latest_present: datetime | None = None,
    ) -> "Limits":
        """The installation's, with the window of the environment where it has one of its own.

        `at` is the earliest present there is in the environment. `latest_present` is the latest,
        where there are several: then no event is refused that is right by any of them.
        """
        own = environment or EventSettings()
        ahead = own.max_future_seconds
        oldest = datetime.fromisoformat(settings.oldest_timestamp).astimezone(UTC)
        if own.max_past_days is not None:
            oldest = max(oldest, at - timedelta(days=own.max_past_days))
        return cls(
            max_events=settings.max_events,
            max_properties_bytes=settings.max_event_bytes,
            latest=(latest_present or at)
            + timedelta(seconds=settings.max_future_seconds if ahead is None else ahead),
            oldest=oldest,
        )


@dataclass(frozen=True, slots=True)
class Decoded:
    """The events without fault, in the order of the request, and the faults of the others."""

    events: Sequence[SubmittedEvent]
    faults: Sequence[Fault]


class _Bulk(Struct, forbid_unknown_fields=True):
    events: list[SubmittedEvent]


class _LooseBulk(Struct, forbid_unknown_fields=True):
    events: list[Raw]


# What `properties` is where an event has none; the same object each time.
_ABSENT = SubmittedEvent.__struct_defaults__[-1]

_bulk = msgspec.json.Decoder(_Bulk)
_loose_bulk = msgspec.json.Decoder(_LooseBulk)
_event = msgspec.json.Decoder(SubmittedEvent)
_raw = msgspec.json.Decoder(Raw)
_many_properties = msgspec.json.Decoder(list[dict[str, Any]])


def decode_bulk(body: bytes, limits: Limits) -> Decoded:
    """The events of `{"events": [...]}`.

    Raises: Invalid for the request as a whole: MALFORMED_JSON, INVALID_EVENTS, UNKNOWN_FIELD,
    DUPLICATE_KEY, NO_EVENTS, TOO_MANY_EVENTS.
    """
    _require_unicode(body)
    try:
        events = _bulk.decode(body).events
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        return _one_by_one(_raw_events(body), limits)
    _require_count(len(events), limits)
    faultless = _faultless(body, events, limits)
    if faultless and _quotes(body, events) == 2:  # those of the key events
        return Decoded(events, [])
    raws = _raw_events(body)
    if faultless and not any(map(repeated_keys, map(bytes, raws))):
        return Decoded(events, [])
    return _one_by_one(raws, limits)


def decode_one(body: bytes, limits: Limits) -> Decoded:
    """The event that is the whole body. Raises: Invalid (MALFORMED_JSON)."""
    _require_unicode(body)
    try:
        event = _event.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        return _one_by_one([_whole(body)], limits)
    # Telling its keys apart is quick enough for one event.
    if _faultless(body, [event], limits) and not repeated_keys(body):
        return Decoded([event], [])
    return _one_by_one([_whole(body)], limits)


def _faultless(body: bytes, events: Sequence[SubmittedEvent], limits: Limits) -> bool:
    """Whether all events, whose types and lengths are right, are right in everything else."""
    times = [event.timestamp for event in events if event.timestamp is not None]
    if times and not (limits.oldest <= min(times) and max(times) <= limits.latest):
        return False
    names = {event.event_name for event in events}
    names |= {event.external_customer_id for event in events}
    names |= {event.event_id for event in events if event.event_id is not None}
    if any(name.strip() != name for name in names):
        return False
    # JSON has no bare control characters inside strings, so they can only come escaped; the
    # exceptions, U+007F to U+009F, are looked for in the same way.
    if b"\\" in body or b"\x7f" in body or b"\xc2" in body:
        texts = [text for event in events for text in (event.customer_id, event.source) if text]
        if CONTROL.search("".join([*names, *texts])):
            return False
    return _properties_faultless([bytes(event.properties) for event in events], limits)


def _quotes(body: bytes, events: Sequence[SubmittedEvent]) -> int:
    """How many quotes the body has besides those that the events and their keys need.

    A key that was said twice adds two or more, as does one whose value is null. Nothing in a
    text takes quotes away, so that none too many means that no key was repeated.
    """
    properties = [event.properties for event in events]
    absent = sum([one is _ABSENT for one in properties])
    inside = b"".join(map(bytes, properties)).count(b'"')
    texts = 2 * len(events)
    texts += sum([event.event_id is not None for event in events])
    texts += sum([event.timestamp is not None for event in events])
    texts += sum([event.source is not None for event in events])
    texts += sum([event.customer_id is not None for event in events])
    return body.count(b'"') - inside - 4 * texts - 2 * (len(events) - absent)


def _properties_faultless(raws: list[bytes], limits: Limits) -> bool:
    if max(map(len, raws)) > limits.max_properties_bytes:
        return False
    if b"null" in raws:
        raws = [b"{}" if raw == b"null" else raw for raw in raws]
    joined = b"[" + b",".join(raws) + b"]"
    if joined.count(b"[") + joined.count(b"{") > 1 + len(raws) + MAX_DEPTH - 1:
        return False
    try:
        objects = _many_properties.decode(joined)
    except (msgspec.DecodeError, RecursionError):
        return False
    # Every pair of the text has a colon. Where there are no more colons than keys were found,
    # no key can have been said twice, which decoding alone would hide.
    if sum(map(len, objects)) == joined.count(b":"):
        return True
    return not any(map(has_repeated_key, raws, objects))


def _one_by_one(raws: Sequence[Raw], limits: Limits) -> Decoded:
    _require_count(len(raws), limits)
    events: list[SubmittedEvent] = []
    faults: list[Fault] = []
    for index, raw in enumerate(raws):
        found = name_faults(
            index,
            raw,
            latest=limits.latest,
            oldest=limits.oldest,
            max_properties_bytes=limits.max_properties_bytes,
        )
        if found:
            faults.extend(found)
        else:
            events.append(_event.decode(raw))
    return Decoded(events, faults)


def _raw_events(body: bytes) -> list[Raw]:
    whole = _whole(body)
    try:
        raws = _loose_bulk.decode(whole).events
    except msgspec.ValidationError as error:
        said = str(error)
        if "unknown field" in said:
            name = said.split("`")[1]
            raise Invalid(
                f"{name} is not a field of the request; it has one, events",
                field=name,
                code="UNKNOWN_FIELD",
            ) from None
        raise Invalid(
            'expected {"events": [...]}, with one object for each event',
            field="events",
            code="INVALID_EVENTS",
        ) from None
    # The request has no other key, so that all quotes but two belong to the events.
    if body.count(b'"') - sum(bytes(raw).count(b'"') for raw in raws) != 2:
        raise Invalid(
            "the key 'events' occurs twice in the request; send all events in one list",
            field="events",
            code="DUPLICATE_KEY",
        )
    return raws


def _whole(body: bytes) -> Raw:
    """The body, if it is one JSON value."""
    try:
        return _raw.decode(body)
    except msgspec.DecodeError as error:
        said = str(error)
        if "truncated" in said:  # what msgspec says, without a place, of these two
            said = (
                f"JSON is malformed: it ends too early (byte {len(body)}), or a string holds "
                "half of a surrogate pair"
            )
        raise Invalid(said, code="MALFORMED_JSON") from None
    except RecursionError:
        raise Invalid(
            f"the JSON is nested deeper than {MAX_DEPTH} levels", code="MALFORMED_JSON"
        ) from None


def _require_unicode(body: bytes) -> None:
    if body.isascii():
        return
    try:
        body.decode()
    except UnicodeDecodeError as error:
        raise Invalid(
            f"JSON is malformed: not UTF-8 (byte {error.start})", code="MALFORMED_JSON"
        ) from None


def _require_count(count: int, limits: Limits) -> None:
    if not count:
        raise Invalid("events is empty; send at least one", field="events", code="NO_EVENTS")
    if count > limits.max_events:
        raise Invalid(
            f"{count} events in one request; at most {limits.max_events} are accepted",
            field="events",
            code="TOO_MANY_EVENTS",
        )
