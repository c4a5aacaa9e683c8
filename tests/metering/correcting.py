"""A log of events and corrections as consumers read it, and what it should come to."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import msgspec
from msgspec import Raw

from app.infra.kafka import Batch, Message
from app.kernel.errors import Unavailable
from app.metering import ingest
from app.metering.corrections.wire import UNCHANGED, CorrectionLine, write_line
from app.metering.ingest import milliseconds
from tests.metering.make import T0
from tests.metering.streams import submitted


@dataclass(frozen=True)
class Op:
    """One line of the log. `kind`: sent, amended or voided; `changes` by the names of columns,
    which for an event are all of its content. `at` is its stamp; `copy` tells corrections apart.
    """

    kind: str
    event_id: str
    at: datetime
    changes: dict[str, Any] = field(default_factory=dict)
    copy: int = 0

    @property
    def correction_id(self) -> str:
        return f"c{self.copy}"


def content(**changes: Any) -> dict[str, Any]:
    values = {
        "event_name": "call",
        "external_customer_id": "acme",
        "timestamp": T0 + timedelta(hours=1),
        "properties": '{"v":1}',
    }
    return {**values, **changes}


def message(scope, op: Op, offset: int, *, topic: str = "events") -> Message:
    headers = {
        "tenant_id": scope.tenant_id.encode(),
        "environment_id": scope.environment_id.encode(),
    }
    return Message(topic, 0, offset, line(scope, op), headers, 1_718_452_800_000)


def line(scope, op: Op) -> bytes:
    if op.kind == "sent":
        wire = {**op.changes, "event_id": op.event_id}
        wire["timestamp"] = wire["timestamp"].isoformat()
        wire["properties"] = msgspec.Raw(wire["properties"].encode())
        events = submitted([wire])
        return ingest.envelopes(scope, events, partitions=1, at=op.at)[1][0]
    changes = dict(op.changes)
    if "timestamp" in changes:
        changes["timestamp"] = milliseconds(changes["timestamp"])
    properties = changes.pop("properties", None)
    return write_line(
        CorrectionLine(
            correction_id=op.correction_id,
            tenant_id=scope.tenant_id,
            environment_id=scope.environment_id,
            event_id=op.event_id,
            kind=op.kind,
            reason="a test",
            actor_kind="user",
            actor_id="usr_1",
            ingested_at=milliseconds(op.at),
            properties=UNCHANGED if properties is None else Raw(properties.encode()),
            **changes,
        )
    )


def batch(scope, *ops: Op, offset: int = 0) -> Batch:
    return Batch("events", [message(scope, op, offset + n) for n, op in enumerate(ops)])


@dataclass(frozen=True)
class Version:
    at: datetime
    kind: str
    content: dict[str, Any]


def fold(ops) -> dict[str, list[Version]]:
    """The versions of every event that a log comes to."""
    events: dict[str, list[Version]] = {}
    taken: set[tuple[str, str]] = set()
    for op in ops:
        if op.kind == "sent":
            events.setdefault(op.event_id, [Version(op.at, "original", op.changes)])
        elif (op.event_id, op.correction_id) not in taken:
            taken.add((op.event_id, op.correction_id))
            versions = events[op.event_id]
            before = versions[-1]
            changed = {**before.content, **(op.changes if op.kind == "amended" else {})}
            versions.append(Version(max(op.at, before.at), op.kind, changed))
    return events


def standing(events, as_of: datetime | None) -> dict[str, dict[str, Any]]:
    """The content of the events that counted as of a watermark."""
    found = {}
    for event_id, versions in events.items():
        held = [one for one in versions if as_of is None or one.at < as_of]
        if held and held[-1].kind != "voided":
            found[event_id] = held[-1].content
    return found


class Failing:
    """A ClickHouse that does what it is asked, and then cannot say so, at the n-th write."""

    def __init__(self, real, countdown: int) -> None:
        self._real, self._countdown = real, countdown

    def __getattr__(self, name):
        return getattr(self._real, name)

    async def insert(self, *args, **options):
        await self._real.insert(*args, **options)
        self._count()

    async def execute(self, *args, **options):
        await self._real.execute(*args, **options)
        self._count()

    def _count(self):
        self._countdown -= 1
        if self._countdown == 0:
            raise Unavailable("ClickHouse", "the connection broke")
