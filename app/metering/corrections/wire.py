"""A correction as it travels: one line of an envelope that holds nothing but corrections."""

from datetime import UTC, datetime
from typing import Literal

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import replace

from app.metering.storage import Instant, Name

Kind = Literal["amended", "voided"]

# How every envelope of corrections begins, and no envelope of events.
_MARK = b'{"correction_id":'
# What `properties` is where a correction leaves them alone; an object is at least `{}`.
UNCHANGED = Raw(b"")


class CorrectionLine(
    Struct, frozen=True, kw_only=True, gc=False, forbid_unknown_fields=True, omit_defaults=True
):
    """What is to become of an event. What is None, or `UNCHANGED`, stays as it was.

    `correction_id` is what a repeated copy is recognized by. `ingested_at` is when it was
    accepted; both instants are UTC, `YYYY-MM-DD HH:MM:SS.mmm`.
    """

    correction_id: Name
    tenant_id: Name
    environment_id: Name
    event_id: Name
    kind: Kind
    reason: str
    actor_kind: str
    actor_id: str
    ingested_at: Instant
    event_name: Name | None = None
    external_customer_id: Name | None = None
    timestamp: Instant | None = None
    properties: Raw = UNCHANGED

    @property
    def identity(self) -> tuple[str, str, str, str]:
        return self.tenant_id, self.environment_id, self.event_id, self.correction_id


class Correction(Struct, frozen=True, gc=False):
    """A line together with its bytes. `message` is the index of the message it came in."""

    line: CorrectionLine
    text: bytes
    message: int

    def stamped(self, at: str) -> "Correction":
        """The same, accepted at this instant."""
        return Correction(replace(self.line, ingested_at=at), self.text, self.message)


_line = msgspec.json.Decoder(CorrectionLine)
_encoder = msgspec.json.Encoder()


def holds_corrections(value: bytes) -> bool:
    return value.startswith(_MARK)


def write_line(line: CorrectionLine) -> bytes:
    return _encoder.encode(line) + b"\n"


def read_line(text: bytes) -> CorrectionLine:
    """Raises: DecodeError, UnicodeError, ValueError (an instant that is none), RecursionError."""
    line = _line.decode(text)
    for written in (line.ingested_at, line.timestamp):
        if written is not None:
            instant(written)
    return line


def instant(text: str) -> datetime:
    """The inverse of `ingest.milliseconds`. Raises: ValueError."""
    return datetime.strptime(text, "%Y-%m-%d %H:%M:%S.%f").replace(tzinfo=UTC)


def read_corrections(
    value: bytes, message: int
) -> tuple[list[Correction], list[tuple[bytes, str]]]:
    """The corrections of an envelope, and the lines that are none, each with what is wrong."""
    found: list[Correction] = []
    faulty: list[tuple[bytes, str]] = []
    for text in value.split(b"\n"):
        if not text:
            continue
        try:
            found.append(Correction(read_line(text), text, message))
        except (msgspec.DecodeError, ValueError, RecursionError) as error:
            faulty.append((text, str(error)))
    return found, faulty
