"""What prices of usage may be: their models, adjustments, features and meters together."""

from decimal import Decimal

import pytest

from app.catalog.actions import features
from app.catalog.actions import prices as actions
from app.catalog.errors import Archived, FeatureInUse
from app.catalog.feature import FeatureType
from app.catalog.price import ChargeKind
from app.catalog.prices import (
    Adjustments,
    Dynamic,
    Formula,
    GraduatedPercentage,
    Matrix,
    MatrixRow,
    Percentage,
    PercentageTier,
    PerUnit,
    Variable,
)
from app.catalog.reads import prices as reads
from app.kernel.errors import Invalid, NotFound
from app.kernel.ids import new_id
from app.kernel.scope import SYSTEM
from app.metering import actions as meters
from app.metering.aggregations import Count
from app.metering.filters import Match
from tests.catalog import make
from tests.catalog.history import refused

D = Decimal
TEXT = "calls * 1[USD/call] + seconds * 0.01[USD/s]"


def regional(dimension="region"):
    return Matrix((MatrixRow((Match(dimension, ("eu",)),), PerUnit(D(1))),), PerUnit(D(2)))


def formula(calls, seconds, text=TEXT):
    return Formula.parsed(
        text, (Variable("calls", "call", calls), Variable("seconds", "s", seconds))
    )


@pytest.fixture
async def plan(database, scope, clock):
    return await make.plan(scope, clock)


@pytest.fixture
async def seconds(database, scope, clock):
    return await make.feature(scope, clock)


@pytest.fixture
async def calls(database, scope, clock):
    meter = await make.meter(scope, clock, aggregation=Count(), dimensions=("region", "plan"))
    return await make.feature(scope, clock, meter_id=meter.id)


async def update(scope, clock, price_id, **patch):
    return await actions.update(scope, price_id, patch, by=SYSTEM, at=clock.now())


@pytest.mark.parametrize(
    ("fields", "field", "code"),
    [
        (
            {"model": regional("country")},
            "model.matrix.rows[0].match[0].dimension",
            "UNKNOWN_DIMENSION",
        ),
        (
            {"model": Percentage(D(1)), "adjustments": Adjustments(free_units=D(1))},
            "adjustments.freeUnits",
            "ADJUSTMENT_NOT_ALLOWED",
        ),
        (
            {"model": regional(), "adjustments": Adjustments(bucket="day")},
            "adjustments.bucket",
            "ADJUSTMENT_NOT_ALLOWED",
        ),
        (
            {"adjustments": Adjustments(tiers_per="total")},
            "adjustments.tiersPer",
            "ADJUSTMENT_NOT_ALLOWED",
        ),
    ],
)
async def test_terms_that_do_not_go_together_are_refused(
    scope, clock, plan, seconds, fields, field, code
):
    async with refused(scope, Invalid, code, field):
        await make.usage_price(scope, clock, plan.id, feature_id=seconds.id, **fields)


@pytest.mark.parametrize(
    ("model", "name"),
    [
        (Percentage(D(1)), "percentage"),
        (Dynamic(), "dynamic"),
        (GraduatedPercentage((PercentageTier(None),)), "graduatedPercentage"),
        (regional(), "matrix"),
        (formula("feat_a", "feat_b"), "formula"),
    ],
)
async def test_a_fixed_charge_is_not_priced_like_usage(scope, clock, plan, model, name):
    async with refused(scope, Invalid, "USAGE_MODEL", f"model.{name}"):
        await make.price(scope, clock, plan.id, model=model)


async def test_a_fixed_charge_has_no_windows(scope, clock, plan):
    async with refused(scope, Invalid, "ADJUSTMENT_NOT_ALLOWED", "adjustments.bucket"):
        await make.price(scope, clock, plan.id, adjustments=Adjustments(bucket="day"))


@pytest.mark.parametrize("model", [Percentage(D(1)), Dynamic()])
async def test_amounts_of_events_need_a_meter_that_sums_them(scope, clock, plan, calls, model):
    async with refused(scope, Invalid, "METER_NOT_SUMMED", "featureId"):
        await make.usage_price(scope, clock, plan.id, feature_id=calls.id, model=model)


async def test_a_formula_knows_the_meters_of_its_features(scope, clock, plan, calls, seconds):
    sold = await make.usage_price(
        scope, clock, plan.id, feature_id=calls.id, model=formula(calls.id, seconds.id),
        group_by=("region",),
    )  # fmt: skip
    assert sold.meter_id == calls.meter_id
    assert [each.meter_id for each in sold.model.variables] == [calls.meter_id, seconds.meter_id]
    assert await reads.get(scope, sold.id) == sold
    same = await update(scope, clock, sold.id, model=formula(calls.id, seconds.id))
    assert (same.id, same.content_hash) == (sold.id, sold.content_hash)
    dearer = formula(calls.id, seconds.id, "calls * 2[USD/call] + seconds * 0[USD/s]")
    changed = await update(scope, clock, sold.id, model=dearer)
    assert changed.replaces_id == sold.id
    assert [each.meter_id for each in changed.model.variables] == [calls.meter_id, seconds.meter_id]


async def test_a_formula_over_wrong_features_is_refused(scope, clock, plan, calls, seconds):
    async def sell(*ids, **fields):
        given = {"feature_id": calls.id, "model": formula(*ids)} | fields
        return await make.usage_price(scope, clock, plan.id, **given)

    switch = await make.feature(scope, clock, type=FeatureType.BOOLEAN)
    archived = await make.feature(scope, clock)
    await features.archive(scope, archived.id, by=SYSTEM, at=clock.now())
    unmetered = await make.feature(scope, clock)
    await meters.archive(scope, unmetered.meter_id, by=SYSTEM, at=clock.now())
    other = await make.feature(scope, clock)
    second = "model.formula.variables[1].featureId"
    async with refused(scope, Invalid, "FEATURE_REQUIRED", second):
        await sell(calls.id, None)
    async with refused(scope, NotFound, "NOT_FOUND", second):
        await sell(calls.id, new_id("feat"))
    async with refused(scope, Invalid, "FEATURE_NOT_METERED", second):
        await sell(calls.id, switch.id)
    async with refused(scope, Archived, "FEATURE_ARCHIVED", second):
        await sell(calls.id, archived.id)
    async with refused(scope, Archived, "METER_ARCHIVED", second):
        await sell(calls.id, unmetered.id)
    async with refused(scope, Invalid, "FEATURE_NOT_IN_FORMULA", "featureId"):
        await sell(calls.id, seconds.id, feature_id=other.id)
    async with refused(scope, Invalid, "UNKNOWN_DIMENSION", "groupBy[0]"):
        await sell(calls.id, seconds.id, group_by=("plan",))  # one of the meters has it
    async with refused(scope, Invalid, "FORMULA_UNITS", "model.formula.expression"):
        await sell(calls.id, seconds.id, currency="EUR")


async def test_a_formula_of_a_price_in_a_unit_comes_out_in_that_unit(
    scope, clock, plan, calls, seconds
):
    unit = await make.price_unit(scope, clock)
    sold = {"feature_id": calls.id, "price_unit_id": unit.id}
    credits = formula(calls.id, seconds.id, "calls * 1[CRD/call] + seconds * 2[CRD/s]")
    made = await make.usage_price(scope, clock, plan.id, model=credits, **sold)
    assert made.model.unit == made.conversion.unit == "CRD"
    async with refused(scope, Invalid, "FORMULA_UNITS", "model.formula.expression"):
        dollars = formula(calls.id, seconds.id)
        await make.usage_price(scope, clock, plan.id, model=dollars, **sold)


async def test_a_feature_that_a_formula_counts_is_in_use(scope, clock, plan, calls, seconds):
    sold = await make.usage_price(
        scope, clock, plan.id, feature_id=calls.id, model=formula(calls.id, seconds.id)
    )
    async with refused(scope, FeatureInUse, "FEATURE_IN_USE", "id"):
        await features.archive(scope, seconds.id, by=SYSTEM, at=clock.now())
    await actions.archive(scope, sold.id, by=SYSTEM, at=clock.now())
    await features.archive(scope, seconds.id, by=SYSTEM, at=clock.now())
    async with refused(scope, Archived, "FEATURE_ARCHIVED", "model.formula.variables[1].featureId"):
        await actions.restore(scope, sold.id, by=SYSTEM, at=clock.now())


async def test_usage_models_are_kept_as_they_are_and_told_apart(scope, clock, plan, seconds):
    sold = [
        await make.usage_price(scope, clock, plan.id, feature_id=seconds.id, model=model)
        for model in (Percentage(D(1), free_events=3), regional(), Dynamic(D("1.10")))
    ]
    found = await reads.by_ids(scope, [price.id for price in sold])
    assert [found[price.id].model for price in sold] == [price.model for price in sold]
    assert len({price.content_hash for price in sold}) == 3
    assert {price.charge for price in sold} == {ChargeKind.USAGE}
