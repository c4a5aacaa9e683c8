"""What can be done with a feature: one function per verb, each one transaction."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from tortoise.exceptions import IntegrityError

from app.catalog.actions.groups import check_joined
from app.catalog.actions.inputs import NAMED, UNIT_LENGTH
from app.catalog.actions.locks import lock
from app.catalog.errors import Archived, FeatureInUse, NotArchived
from app.catalog.events import FeatureArchived, FeatureCreated, FeatureRestored, FeatureUpdated
from app.catalog.feature import (
    CreateFeature,
    Feature,
    FeatureStatus,
    FeatureType,
    ReportingUnit,
)
from app.catalog.group import GroupKind
from app.catalog.models import FeatureTable
from app.catalog.prices import numbers
from app.catalog.reads import entitlements, prices
from app.catalog.reads import features as reads
from app.infra import outbox
from app.infra.postgres import writing
from app.kernel import checks
from app.kernel.checks import Checks, checked
from app.kernel.copies import fields_of
from app.kernel.errors import AlreadyExists, Invalid, NotFound
from app.kernel.ids import new_id
from app.kernel.scope import Actor, Scope
from app.metering import reads as meters
from app.metering.meter import MeterStatus
from app.tenants import audit


async def create(scope: Scope, command: CreateFeature, *, by: Actor, at: datetime) -> Feature:
    """Raises: Invalid, NotFound, Archived (the meter, the group), AlreadyExists (lookup key)."""
    values = checked(fields_of(command), _CHECKS)
    _check_reporting(command.type, command.reporting_unit)
    feature_id = new_id("feat")
    try:
        async with writing(scope) as connection:
            await check_joined(connection, scope, command.group_id, GroupKind.FEATURE)
            await _check_meter(scope, command)
            await FeatureTable.create(
                id=feature_id,
                tenant_id=scope.tenant_id,
                environment_id=scope.environment_id,
                created_at=at,
                updated_at=at,
                **values,
            )
            feature = await reads.get(scope, feature_id)
            await audit.record(scope, by, "feature.create", feature_id, at=at, after=feature)
            await outbox.put(scope, FeatureCreated(entity_id=feature_id, occurred_at=at))
    except IntegrityError as error:
        raise AlreadyExists("feature", "lookupKey", command.lookup_key) from error
    return feature


async def update(
    scope: Scope, feature_id: str, patch: Mapping[str, Any], *, by: Actor, at: datetime
) -> Feature:
    """Change the fields that `patch` holds; an absent field stays as it is.

    Of `name`, `unit_singular`, `unit_plural`, `reporting_unit`, `group_id`, `description` and
    `metadata`; nothing else of a feature changes. Raises: Invalid, NotFound, Archived.
    """
    values = checked(patch, _CHANGEABLE)
    async with writing(scope) as connection:
        await check_joined(connection, scope, values.get("group_id"), GroupKind.FEATURE)
        await lock(connection, scope, "features", feature_id)
        before = await reads.get(scope, feature_id)
        if before.status is FeatureStatus.ARCHIVED:
            raise Archived("feature", feature_id)
        _check_reporting(before.type, patch.get("reporting_unit"))
        await FeatureTable.filter(id=feature_id).update(**values, updated_at=at)
        after = await reads.get(scope, feature_id)
        await audit.record(
            scope, by, "feature.update", feature_id, at=at, before=before, after=after
        )
        await outbox.put(scope, FeatureUpdated(entity_id=feature_id, occurred_at=at))
    return after


async def archive(scope: Scope, feature_id: str, *, by: Actor, at: datetime) -> Feature:
    """Take the feature out of use; its lookup key becomes free.

    Raises: NotFound, Archived, FeatureInUse (prices of it, or entitlements to it, have no end).
    """
    async with writing(scope) as connection:
        await lock(connection, scope, "features", feature_id)
        before = await reads.get(scope, feature_id)
        if before.status is FeatureStatus.ARCHIVED:
            raise Archived("feature", feature_id)
        priced = await prices.count_without_end(scope, feature_id)
        given = await entitlements.count_without_end(scope, feature_id)
        if priced or given:
            raise FeatureInUse(feature_id, priced, given)
        await FeatureTable.filter(id=feature_id).update(archived_at=at, updated_at=at)
        after = await reads.get(scope, feature_id)
        await audit.record(
            scope, by, "feature.archive", feature_id, at=at, before=before, after=after
        )
        await outbox.put(scope, FeatureArchived(entity_id=feature_id, occurred_at=at))
    return after


async def restore(scope: Scope, feature_id: str, *, by: Actor, at: datetime) -> Feature:
    """Put an archived feature back. Raises: NotFound, NotArchived, AlreadyExists."""
    try:
        async with writing(scope) as connection:
            await lock(connection, scope, "features", feature_id)
            before = await reads.get(scope, feature_id)
            if before.status is FeatureStatus.ACTIVE:
                raise NotArchived("feature", feature_id)
            await FeatureTable.filter(id=feature_id).update(archived_at=None, updated_at=at)
            after = await reads.get(scope, feature_id)
            await audit.record(
                scope, by, "feature.restore", feature_id, at=at, before=before, after=after
            )
            await outbox.put(scope, FeatureRestored(entity_id=feature_id, occurred_at=at))
    except IntegrityError as error:
        raise AlreadyExists("feature", "lookupKey", before.lookup_key) from error
    return after


async def _check_meter(scope: Scope, command: CreateFeature) -> None:
    """A metered feature has a meter that is in use; no other has one."""
    meter_id = command.meter_id
    if command.type is not FeatureType.METERED:
        if meter_id is not None:
            raise Invalid(
                f"meterId: a {command.type.value} feature has no meter; leave it out",
                field="meterId",
                code="METER_NOT_ALLOWED",
            )
        return
    if meter_id is None:
        raise Invalid(
            "meterId: a metered feature needs the meter that counts it",
            field="meterId",
            code="METER_REQUIRED",
        )
    meter = (await meters.by_ids(scope, [meter_id])).get(meter_id)
    if meter is None:
        raise NotFound("meter", meter_id, field="meterId")
    if meter.status is MeterStatus.ARCHIVED:
        raise Archived("meter", meter_id, field="meterId")


def _check_reporting(type_: FeatureType, unit: ReportingUnit | None) -> None:
    """Usage alone is reported. Raises: Invalid."""
    if unit is not None and type_ is not FeatureType.METERED:
        raise Invalid(
            f"reportingUnit: a {type_.value} feature has no usage to report; leave it out",
            field="reportingUnit",
            code="REPORTING_UNIT_NOT_ALLOWED",
        )


def _reporting(unit: ReportingUnit | None) -> dict[str, str] | None:
    if unit is None:
        return None
    return ReportingUnit(
        singular=checks.text(unit.singular, "reportingUnit.singular", longest=UNIT_LENGTH),
        plural=checks.text(unit.plural, "reportingUnit.plural", longest=UNIT_LENGTH),
        factor=numbers.positive(unit.factor, "reportingUnit.factor"),
        divisor=numbers.positive(unit.divisor, "reportingUnit.divisor"),
    ).to_json()


_CHANGEABLE: Checks = {
    "name": NAMED["name"],
    "description": NAMED["description"],
    "metadata": NAMED["metadata"],
    "unit_singular": lambda v: checks.optional_text(v, "unitSingular", longest=UNIT_LENGTH),
    "unit_plural": lambda v: checks.optional_text(v, "unitPlural", longest=UNIT_LENGTH),
    "reporting_unit": _reporting,
    "group_id": lambda v: v,
}
_CHECKS: Checks = {
    **_CHANGEABLE,
    "lookup_key": NAMED["lookup_key"],
    "type": lambda v: v.value,
    "meter_id": lambda v: v,
}
