"""What is handed between the brokers and the handlers of messages."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Message:
    """One message as it was read. `timestamp_ms` is its Unix time in milliseconds."""

    topic: str
    partition: int
    offset: int
    value: bytes
    headers: Mapping[str, bytes]
    timestamp_ms: int


@dataclass(frozen=True, slots=True)
class Batch:
    """Messages that are handled together and committed together, in the order of reading."""

    topic: str
    messages: Sequence[Message]


@dataclass(frozen=True, slots=True)
class Poison:
    """A part of a message that can never be handled. It goes to the topic of dead letters.

    `value` is the part at fault; `reason` is a code, `error` says it to a person.
    """

    message: Message
    value: bytes
    reason: str
    error: str
