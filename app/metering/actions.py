"""What can be done with a meter: one function per verb, each one transaction."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from app.infra import outbox
from app.infra.clickhouse import ClickHouse
from app.infra.postgres import writing
from app.kernel import checks
from app.kernel.checks import Checks, checked, required
from app.kernel.ids import new_id
from app.kernel.scope import Actor, Scope
from app.metering import checks as meter_checks
from app.metering import derivation, reads
from app.metering.documents import aggregation_document, filters_document
from app.metering.errors import MeterDefinitionImmutable, MeterIsActive, MeterIsArchived
from app.metering.events import MeterArchived, MeterCreated, MeterRestored, MeterUpdated
from app.metering.meter import CreateMeter, Meter, MeterStatus
from app.metering.models import MeterTable
from app.tenants import audit

_DEFINITION = {
    "event_name": "eventName",
    "aggregation": "aggregation",
    "filters": "filters",
    "dimensions": "dimensions",
}


async def create(scope: Scope, command: CreateMeter, *, by: Actor, at: datetime) -> Meter:
    """A new meter, which counts events from before its creation too, once backfilled.

    Raises: Invalid.
    """
    aggregation = meter_checks.aggregation(command.aggregation)
    values: dict[str, Any] = {
        "name": checks.text(command.name, "name"),
        "description": _description(command.description),
        "event_name": checks.text(command.event_name, "eventName"),
        "aggregation": aggregation_document(aggregation),
        "filters": filters_document(meter_checks.filters(command.filters)),
        "dimensions": list(meter_checks.dimensions(command.dimensions)),
        "metadata": checks.metadata(command.metadata),
    }
    meter_id = new_id("mtr")
    async with writing(scope):
        await MeterTable.create(
            id=meter_id,
            tenant_id=scope.tenant_id,
            environment_id=scope.environment_id,
            created_at=at,
            updated_at=at,
            version=1,
            **values,
        )
        meter = await reads.get(scope, meter_id)
        await audit.record(scope, by, "meter.create", meter_id, at=at, after=meter)
        await outbox.put(scope, MeterCreated(entity_id=meter_id, occurred_at=at))
    return meter


async def update(
    scope: Scope, meter_id: str, patch: Mapping[str, Any], *, by: Actor, at: datetime
) -> Meter:
    """Change the name, description or metadata that `patch` holds.

    Raises: Invalid, MeterDefinitionImmutable, NotFound, MeterIsArchived.
    """
    for name in patch:
        if name in _DEFINITION:
            raise MeterDefinitionImmutable(_DEFINITION[name])
    values = checked(patch, _PATCHES)
    async with writing(scope):
        before = await _locked(scope, meter_id)
        if before.status is MeterStatus.ARCHIVED:
            raise MeterIsArchived(meter_id)
        after = await _changed(scope, before, values, at=at)
        await audit.record(scope, by, "meter.update", meter_id, at=at, before=before, after=after)
        await outbox.put(scope, MeterUpdated(entity_id=meter_id, occurred_at=at))
    return after


async def archive(scope: Scope, meter_id: str, *, by: Actor, at: datetime) -> Meter:
    """Take the meter out of use for new prices; what uses it already goes on counting.

    Raises: NotFound, MeterIsArchived.
    """
    async with writing(scope):
        before = await _locked(scope, meter_id)
        if before.status is MeterStatus.ARCHIVED:
            raise MeterIsArchived(meter_id)
        after = await _changed(scope, before, {"archived_at": at}, at=at)
        await audit.record(scope, by, "meter.archive", meter_id, at=at, before=before, after=after)
        await outbox.put(scope, MeterArchived(entity_id=meter_id, occurred_at=at))
    return after


async def restore(scope: Scope, meter_id: str, *, by: Actor, at: datetime) -> Meter:
    """Put an archived meter back in use. Raises: NotFound, MeterIsActive."""
    async with writing(scope):
        before = await _locked(scope, meter_id)
        if before.status is MeterStatus.ACTIVE:
            raise MeterIsActive(meter_id)
        after = await _changed(scope, before, {"archived_at": None}, at=at)
        await audit.record(scope, by, "meter.restore", meter_id, at=at, before=before, after=after)
        await outbox.put(scope, MeterRestored(entity_id=meter_id, occurred_at=at))
    return after


async def backfill(scope: Scope, clickhouse: ClickHouse, meter_id: str, *, at: datetime) -> Meter:
    """Derive the meter's rows of all events stored so far, then let usage be read from them.

    Harmless when it runs twice, or meets the stream: equal rows collapse. Call it after the
    meter's creation has committed, as for `meter.created`.
    Raises: NotFound, Unavailable.
    """
    meter = await reads.get(scope, meter_id)
    if meter.backfilled_at is not None:
        return meter
    await derivation.backfill(scope, clickhouse, meter)
    async with writing(scope):
        await MeterTable.filter(**_key(scope, meter_id), backfilled_at=None).update(
            backfilled_at=at
        )
    return await reads.get(scope, meter_id)


async def _changed(scope: Scope, before: Meter, values: dict[str, Any], *, at: datetime) -> Meter:
    await MeterTable.filter(**_key(scope, before.id)).update(
        **values, updated_at=at, version=before.version + 1
    )
    return await reads.get(scope, before.id)


async def _locked(scope: Scope, meter_id: str) -> Meter:
    """The meter, its row locked until the transaction ends."""
    await MeterTable.filter(**_key(scope, meter_id)).select_for_update().only("id")
    return await reads.get(scope, meter_id)


def _key(scope: Scope, meter_id: str) -> dict[str, str]:
    return {
        "tenant_id": scope.tenant_id,
        "environment_id": scope.environment_id,
        "id": meter_id,
    }


def _description(value: str | None) -> str | None:
    return checks.optional_text(value, "description", longest=1000)


_PATCHES: Checks = {
    "name": lambda value: checks.text(required(value, "name"), "name"),
    "description": _description,
    "metadata": lambda value: checks.metadata(value or {}),
}
