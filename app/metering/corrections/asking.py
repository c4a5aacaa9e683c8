"""Accepting corrections: checked against the events they are about, acknowledged by Kafka."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from msgspec import Raw, Struct
from prometheus_client import Counter

from app.config import Settings
from app.infra import crash
from app.infra.clickhouse import ClickHouse
from app.infra.clickhouse_parameters import Places
from app.infra.kafka import Producer
from app.infra.postgres import writing
from app.kernel.ids import new_id
from app.kernel.scope import Actor, Scope
from app.metering import event_versions
from app.metering.corrections.asked import AskedCorrection, faults_of
from app.metering.corrections.wire import UNCHANGED, CorrectionLine, Kind, write_line
from app.metering.event import Limits
from app.metering.event_faults import Fault
from app.metering.ingest import headers_of, lane, milliseconds, on_one_line, partition_of
from app.tenants import audit

CORRECTIONS = Counter("tariff_event_corrections_total", "Corrections accepted.", ["kind"])

NOT_FOUND, ALREADY_VOIDED = "NOT_FOUND", "EVENT_ALREADY_VOIDED"
_ACTIONS: dict[Kind, str] = {"amended": "event.amend", "voided": "event.void"}


@dataclass(frozen=True, slots=True)
class AcceptedCorrection:
    """Kafka has it: it will be the event's next version, after those accepted before it."""

    index: int
    event_id: str
    correction_id: str
    kind: Kind
    accepted_at: datetime


@dataclass(frozen=True, slots=True)
class Answers:
    """What became of each correction of a request, by its index."""

    accepted: Sequence[AcceptedCorrection]
    faults: Sequence[Fault]


@dataclass(frozen=True, slots=True)
class Hands:
    """The servers that a correction needs."""

    settings: Settings
    clickhouse: ClickHouse
    producer: Producer


class _Id(Struct, array_like=True, frozen=True):
    event_id: str


async def correct(
    scope: Scope,
    hands: Hands,
    asked: Sequence[AskedCorrection],
    *,
    limits: Limits,
    by: Actor,
    at: datetime,
    partial: bool = False,
) -> Answers:
    """Check the corrections, note who asks for them, and hand them to Kafka.

    One that is at fault keeps all of them from being sent; with `partial` the others are. `at`
    is the present of the machine, as for events. Repeating a request is harmless for the
    corrections that were given an id. Raises: Unavailable; then some may have been taken.
    """
    faults = [fault for index, one in enumerate(asked) for fault in faults_of(index, one, limits)]
    wrong = {fault.index for fault in faults}
    right = [index for index in range(len(asked)) if index not in wrong]
    faults += await _against_state(scope, hands.clickhouse, {i: asked[i] for i in right})
    wrong = {fault.index for fault in faults}
    chosen = [index for index in right if index not in wrong]
    faults.sort(key=lambda fault: fault.index)
    if not chosen or (faults and not partial):
        return Answers([], faults)
    lines = {index: _line(scope, asked[index], by=by, at=at) for index in chosen}
    async with writing(scope):
        # Before it has any effect: there must be none that the log does not know of.
        entries = [_entry(line) for line in lines.values()]
        await audit.record_many(scope, by, entries, at=at)
    await _send(scope, hands, list(lines.values()))
    accepted = [
        AcceptedCorrection(index, line.event_id, line.correction_id, line.kind, at)
        for index, line in lines.items()
    ]
    return Answers(accepted, faults)


async def _send(scope: Scope, hands: Hands, lines: Sequence[CorrectionLine]) -> None:
    topic = lane(hands.settings, scope)
    partitions = await hands.producer.partitions(topic)
    shares: dict[int, list[bytes]] = {}
    for line in lines:
        number = partition_of(scope, line.event_id, partitions)
        shares.setdefault(number, []).append(write_line(line))
    crash.point("corrections.before_produce")
    envelopes = {number: b"".join(share) for number, share in shares.items()}
    await hands.producer.send_envelopes(topic, envelopes, headers=headers_of(scope))
    crash.point("corrections.after_produce")
    for line in lines:
        CORRECTIONS.labels(line.kind).inc()


async def _against_state(
    scope: Scope, clickhouse: ClickHouse, asked: dict[int, AskedCorrection]
) -> list[Fault]:
    """The corrections of events that do not exist, or are voided already."""
    ids = list({one.event_id for one in asked.values()})
    known = await _among(scope, clickhouse, "event_ids", ids)
    corrected = await _among(scope, clickhouse, "event_corrections", ids)
    versions = await event_versions.by_event(scope, clickhouse, corrected)
    faults: list[Fault] = []
    for index, one in asked.items():
        if one.event_id not in known:
            said = f"event {one.event_id} does not exist, or is not stored yet"
            faults.append(Fault(index, "event_id", NOT_FOUND, said))
            continue
        found = versions.get(one.event_id, [])
        repeated = any(version.correction_id == one.correction_id for version in found)
        if one.kind == "voided" and found and found[-1].kind == "voided" and not repeated:
            said = f"event {one.event_id} is voided already; an amendment would bring it back"
            faults.append(Fault(index, "event_id", ALREADY_VOIDED, said))
    return faults


async def _among(
    scope: Scope, clickhouse: ClickHouse, table: str, event_ids: Sequence[str]
) -> Collection[str]:
    """Which of the events a table knows."""
    found: set[str] = set()
    for part in event_versions.portions(event_ids):
        places = Places()
        sql = (
            f"SELECT DISTINCT event_id FROM {table} "  # noqa: S608 - names of ours, parameters
            f"WHERE tenant_id = {places.add(scope.tenant_id, 'String')} "
            f"AND environment_id = {places.add(scope.environment_id, 'String')} AND event_id "
            f"IN {places.add(part, 'Array(String)')}"
        )
        found |= {row.event_id for row in await clickhouse.select(sql, places.values, row=_Id)}
    return found


def _line(scope: Scope, asked: AskedCorrection, *, by: Actor, at: datetime) -> CorrectionLine:
    amends = asked.kind == "amended"
    properties, timestamp = asked.properties, asked.timestamp
    return CorrectionLine(
        correction_id=asked.correction_id or new_id("cor"),
        tenant_id=scope.tenant_id,
        environment_id=scope.environment_id,
        event_id=asked.event_id,
        kind=asked.kind,
        reason=asked.reason,
        actor_kind=by.kind,
        actor_id=by.id,
        ingested_at=milliseconds(at),
        event_name=asked.event_name if amends else None,
        external_customer_id=asked.external_customer_id if amends else None,
        timestamp=milliseconds(timestamp) if amends and timestamp is not None else None,
        properties=on_one_line(Raw(properties)) if amends and properties is not None else UNCHANGED,
    )


def _entry(line: CorrectionLine) -> audit.Entry:
    changes = {
        "event_name": line.event_name,
        "external_customer_id": line.external_customer_id,
        "timestamp": line.timestamp,
        "properties": bytes(line.properties).decode() or None,
    }
    after = {name: value for name, value in changes.items() if value is not None}
    return audit.Entry(
        _ACTIONS[line.kind],
        line.event_id,
        after={"correction_id": line.correction_id, "reason": line.reason, **after},
    )
