"""What corrections make of an event: pure, so that a replay of the log gives the same versions."""

from collections.abc import Collection, Sequence
from datetime import datetime

from msgspec.structs import replace

from app.metering.corrections.wire import CorrectionLine, instant
from app.metering.event_versions import StoredEvent


def revised(
    versions: Sequence[StoredEvent],
    settled: Collection[str],
    corrections: Sequence[CorrectionLine],
) -> list[StoredEvent]:
    """The rows that `corrections`, in their order, add to the versions of one event.

    The first is the version they found, with its end; each of the others is one correction's.
    `versions` is what is stored, from the first on. Those whose correction is not among the
    ids in `settled` are left from an attempt that broke off, perhaps with gaps: they are made
    anew, and keep the instants they had.
    """
    stored = {version.version: version for version in versions}
    found = [one for one in versions if one.version == 1 or one.correction_id in settled][-1:]
    for line in corrections:
        before = found[-1]
        kept = stored.get(before.version + 1)
        if kept is not None and kept.correction_id == line.correction_id:
            at = kept.ingested_at
        else:
            # In the order of the log, whatever the clocks said that stamped it.
            at = max(instant(line.ingested_at), before.superseded_at or before.ingested_at)
        found[-1] = replace(before, superseded_at=at)
        found.append(_following(before, line, at))
    return found


def _following(before: StoredEvent, line: CorrectionLine, at: datetime) -> StoredEvent:
    """The version after `before`. An amendment of a voided event brings it back."""
    return replace(
        before,
        event_name=line.event_name or before.event_name,
        external_customer_id=line.external_customer_id or before.external_customer_id,
        timestamp=before.timestamp if line.timestamp is None else instant(line.timestamp),
        properties=bytes(line.properties).decode() or before.properties,
        ingested_at=at,
        version=before.version + 1,
        kind=line.kind,
        superseded_at=None,
        correction_id=line.correction_id,
        reason=line.reason,
        actor_kind=line.actor_kind,
        actor_id=line.actor_id,
    )
