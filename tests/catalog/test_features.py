from datetime import timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.catalog.actions import features as actions
from app.catalog.errors import Archived, FeatureInUse, NotArchived
from app.catalog.feature import FeatureStatus, FeatureType, ReportingUnit
from app.catalog.reads import features as reads
from app.infra.listing import Condition, PageRequest
from app.kernel.copies import replace
from app.kernel.errors import AlreadyExists, Invalid, NotFound
from app.kernel.quantity import EXACT
from app.kernel.scope import SYSTEM, Scope
from app.metering import actions as meters
from tests.catalog import make
from tests.catalog.history import audited, changes, refused, told

HOURS = ReportingUnit("hour", "hours", divisor=Decimal(3600))


async def test_what_is_created_is_found(database, scope, clock):
    meter = await make.meter(scope, clock)
    made = await make.feature(
        scope,
        clock,
        name=" Call seconds ",
        lookup_key="call_seconds",
        meter_id=meter.id,
        unit_singular="second",
        unit_plural="seconds",
        reporting_unit=HOURS,
        description="Talk time",
        metadata={"team": "voice"},
    )
    assert (made.name, made.meter_id) == ("Call seconds", meter.id)
    assert (made.unit_singular, made.unit_plural) == ("second", "seconds")
    assert made.reporting_unit == HOURS
    assert made.status is FeatureStatus.ACTIVE
    assert await reads.get(scope, made.id) == made
    assert await reads.by_lookup_keys(scope, ["call_seconds", "none"]) == {"call_seconds": made}
    assert await audited(scope, made.id) == ["feature.create"]
    assert await told(scope, made.id) == [("feature.created", {})]


async def test_a_feature_that_is_not_metered_has_no_meter(database, scope, clock):
    made = await make.feature(scope, clock, type=FeatureType.BOOLEAN, lookup_key="sso")
    assert made.meter_id is None
    meter = await make.meter(scope, clock)
    async with refused(scope, Invalid, "METER_NOT_ALLOWED", "meterId"):
        await make.feature(scope, clock, type=FeatureType.STATIC, meter_id=meter.id)


async def test_a_metered_feature_needs_a_meter_that_is_in_use(database, scope, clock):
    async with refused(scope, Invalid, "METER_REQUIRED", "meterId"):
        await make.feature(scope, clock, meter_id=None)
    async with refused(scope, NotFound, "NOT_FOUND", "meterId"):
        await make.feature(scope, clock, meter_id="mtr_01J00000000000000000000000")
    meter = await make.meter(scope, clock)
    await meters.archive(scope, meter.id, by=SYSTEM, at=clock.now())
    async with refused(scope, Archived, "METER_ARCHIVED", "meterId"):
        await make.feature(scope, clock, meter_id=meter.id)


async def test_another_environment_s_meter_does_not_exist(database, scope, clock):
    elsewhere = Scope(scope.tenant_id, "env_01J00000000000000000000000")
    meter = await make.meter(elsewhere, clock)
    async with refused(scope, NotFound, "NOT_FOUND", "meterId"):
        await make.feature(scope, clock, meter_id=meter.id)


@pytest.mark.parametrize(
    ("fields", "field", "code"),
    [
        ({"name": " "}, "name", "INVALID_NAME"),
        ({"name": "x" * 256}, "name", "INVALID_NAME"),
        ({"name": None}, "name", "REQUIRED"),
        ({"lookup_key": "has blanks"}, "lookupKey", "INVALID_LOOKUP_KEY"),
        ({"lookup_key": None}, "lookupKey", "REQUIRED"),
        ({"unit_singular": "x" * 65}, "unitSingular", "INVALID_UNIT_SINGULAR"),
        ({"unit_plural": "\n"}, "unitPlural", "INVALID_UNIT_PLURAL"),
        ({"reporting_unit": HOURS}, "reportingUnit", "REPORTING_UNIT_NOT_ALLOWED"),
        (
            {"reporting_unit": replace(HOURS, plural=" ")},
            "reportingUnit.plural",
            "INVALID_PLURAL",
        ),
        (
            {"reporting_unit": replace(HOURS, factor=Decimal(0))},
            "reportingUnit.factor",
            "NOT_POSITIVE",
        ),
        (
            {"reporting_unit": replace(HOURS, divisor=Decimal(-1))},
            "reportingUnit.divisor",
            "NEGATIVE_AMOUNT",
        ),
        ({"description": "x" * 2001}, "description", "INVALID_DESCRIPTION"),
        ({"metadata": {"a": 1}}, "metadata", "INVALID_METADATA"),
    ],
)
async def test_wrong_input_is_refused(database, scope, clock, fields, field, code):
    async with refused(scope, Invalid, code, field):
        await make.feature(scope, clock, **{"type": FeatureType.BOOLEAN} | fields)


async def test_a_lookup_key_is_taken_until_its_feature_is_archived(database, scope, clock):
    first = await make.feature(scope, clock, lookup_key="seats", type=FeatureType.STATIC)
    async with refused(scope, AlreadyExists, "ALREADY_EXISTS", "lookupKey"):
        await make.feature(scope, clock, lookup_key="seats", type=FeatureType.STATIC)
    await actions.archive(scope, first.id, by=SYSTEM, at=clock.now())
    await make.feature(scope, clock, lookup_key="seats", type=FeatureType.STATIC)
    async with refused(scope, AlreadyExists, "ALREADY_EXISTS", "lookupKey"):
        await actions.restore(scope, first.id, by=SYSTEM, at=clock.now())


async def test_an_update_changes_what_it_names_alone(database, scope, clock):
    made = await make.feature(scope, clock, unit_singular="second", description="Talk time")
    clock.at += timedelta(days=1)
    patch = {"name": "Talk", "description": None}
    after = await actions.update(scope, made.id, patch, by=SYSTEM, at=clock.now())
    assert (after.name, after.description, after.unit_singular) == ("Talk", None, "second")
    assert (after.created_at, after.updated_at) == (made.created_at, clock.now())
    before, changed = await changes(scope, made.id)
    assert before["name"] == "Call seconds"
    assert changed["name"] == "Talk"
    assert "unit_singular" not in changed
    assert [name for name, _ in await told(scope, made.id)] == [
        "feature.created",
        "feature.updated",
    ]


async def test_only_usage_has_a_reporting_unit_and_it_comes_off_again(database, scope, clock):
    seats = await make.feature(scope, clock, type=FeatureType.STATIC)
    async with refused(scope, Invalid, "REPORTING_UNIT_NOT_ALLOWED", "reportingUnit"):
        await actions.update(scope, seats.id, {"reporting_unit": HOURS}, by=SYSTEM, at=clock.now())
    calls = await make.feature(scope, clock, reporting_unit=HOURS)
    other = await make.feature(scope, clock, meter_id=calls.meter_id)
    assert await reads.reporting_of_meters(scope, [calls.meter_id, "mtr_none"]) == {
        calls.meter_id: [calls],
        "mtr_none": [],
    }
    none = {"reporting_unit": None}
    bare = await actions.update(scope, calls.id, none, by=SYSTEM, at=clock.now())
    assert (bare.reporting_unit, other.reporting_unit) == (None, None)
    assert (await reads.reporting_of_meters(scope, [calls.meter_id]))[calls.meter_id] == []


@given(
    quantity=st.decimals(0, 10**12, places=6),
    factor=st.decimals("0.000001", 10**6, places=6),
)
def test_a_factor_shows_exactly_and_a_divisor_to_eighteen_decimals(quantity, factor):
    times = ReportingUnit("x", "x", factor=factor)
    assert times.of(quantity) == EXACT.multiply(quantity, factor)
    per = ReportingUnit("x", "x", divisor=factor)
    error = Fraction(per.of(quantity)) - Fraction(quantity) / Fraction(factor)
    assert abs(error) <= Fraction(1, 2 * 10**18)
    assert ReportingUnit.from_json(per.to_json()) == per


async def test_an_archived_feature_changes_only_by_being_restored(database, scope, clock):
    made = await make.feature(scope, clock)
    async with refused(scope, NotArchived, "FEATURE_NOT_ARCHIVED", "id"):
        await actions.restore(scope, made.id, by=SYSTEM, at=clock.now())
    archived = await actions.archive(scope, made.id, by=SYSTEM, at=clock.now())
    assert (archived.status, archived.archived_at) == (FeatureStatus.ARCHIVED, clock.now())
    async with refused(scope, Archived, "FEATURE_ARCHIVED", "id"):
        await actions.archive(scope, made.id, by=SYSTEM, at=clock.now())
    async with refused(scope, Archived, "FEATURE_ARCHIVED", "id"):
        await actions.update(scope, made.id, {"name": "x"}, by=SYSTEM, at=clock.now())
    assert await actions.restore(scope, made.id, by=SYSTEM, at=clock.now()) == made
    assert await audited(scope, made.id) == [
        "feature.create",
        "feature.archive",
        "feature.restore",
    ]


async def test_a_feature_with_prices_in_use_is_not_archived(database, scope, clock):
    plan = await make.plan(scope, clock)
    made = await make.feature(scope, clock)
    await make.usage_price(scope, clock, plan.id, feature_id=made.id)
    async with refused(scope, FeatureInUse, "FEATURE_IN_USE", "id"):
        await actions.archive(scope, made.id, by=SYSTEM, at=clock.now())


async def test_a_feature_of_another_scope_does_not_exist(database, scope, clock):
    made = await make.feature(scope, clock, lookup_key="mine")
    stranger = Scope("ten_01J00000000000000000000000", scope.environment_id)
    assert await reads.by_ids(stranger, [made.id]) == {}
    assert await reads.by_lookup_keys(stranger, ["mine"]) == {}
    for verb in (actions.archive, actions.restore):
        with pytest.raises(NotFound):
            await verb(stranger, made.id, by=SYSTEM, at=clock.now())
    with pytest.raises(NotFound):
        await actions.update(stranger, made.id, {"name": "x"}, by=SYSTEM, at=clock.now())
    assert await reads.get(scope, made.id) == made


async def test_a_page_filters_by_type_and_status(database, scope, clock):
    metered = await make.feature(scope, clock)
    switch = await make.feature(scope, clock, type=FeatureType.BOOLEAN)
    old = await make.feature(scope, clock, type=FeatureType.BOOLEAN)
    await actions.archive(scope, old.id, by=SYSTEM, at=clock.now())
    everything = await reads.page(scope, PageRequest(with_total=True))
    assert {row.id for row in everything.rows} == {metered.id, switch.id, old.id}
    assert everything.total == 3
    page = await reads.page(scope, PageRequest(where=Condition("type", "eq", "metered")))
    assert [row.id for row in page.rows] == [metered.id]
    page = await reads.page(scope, PageRequest(where=Condition("status", "eq", "archived")))
    assert [row.id for row in page.rows] == [old.id]
