from datetime import timedelta
from decimal import Decimal

import pytest

from app.catalog.actions import features, plans
from app.catalog.actions import prices as actions
from app.catalog.errors import Archived, NotArchived, PriceReplaced
from app.catalog.feature import FeatureType
from app.catalog.price import Billing, ChargeKind, InvoiceTiming, PriceStatus, cadence
from app.catalog.prices import (
    NO_ADJUSTMENTS,
    Adjustments,
    Flat,
    Graduated,
    Package,
    PerUnit,
    Tier,
    Volume,
)
from app.catalog.reads import prices as reads
from app.infra.listing import Condition, Order, PageRequest
from app.infra.postgres import fetch
from app.kernel.errors import AlreadyExists, Invalid, NotFound
from app.kernel.period import Cadence
from app.kernel.scope import SYSTEM, Scope
from app.metering import actions as meters
from tests.catalog import make
from tests.catalog.history import audited, changes, refused, told

TIERS = (Tier(Decimal(100), Decimal("0.10")), Tier(None, Decimal("0.05"), Decimal(3)))


async def update(scope, clock, price_id, **patch):
    return await actions.update(scope, price_id, patch, by=SYSTEM, at=clock.now())


async def archive(scope, clock, price_id, **options):
    return await actions.archive(scope, price_id, by=SYSTEM, at=clock.now(), **options)


@pytest.mark.parametrize(
    "model",
    [
        PerUnit(Decimal("0.000001")),
        Package(Decimal(5), Decimal(1000), "down", Decimal(10)),
        Graduated(TIERS, "first_tier_flat"),
        Volume(TIERS),
    ],
    ids=lambda model: model.kind,
)
async def test_what_is_created_is_found(database, scope, clock, model):
    plan = await make.plan(scope, clock)
    feature = await make.feature(scope, clock)
    made = await make.usage_price(
        scope,
        clock,
        plan.id,
        feature_id=feature.id,
        model=model,
        currency="EUR",
        cadence=Cadence("quarter", 2),
        group_by=("region",),
        lookup_key="calls",
        metadata={"sheet": "7"},
    )
    assert made.model == model
    assert (made.plan_id, made.feature_id, made.meter_id) == (
        plan.id,
        feature.id,
        feature.meter_id,
    )
    assert (made.currency, made.cadence) == ("EUR", Cadence("quarter", 2))
    assert (made.group_by, made.adjustments) == (("region",), NO_ADJUSTMENTS)
    assert (made.timing, made.status) == (InvoiceTiming.ARREARS, PriceStatus.ACTIVE)
    assert (made.effective_from, made.effective_until) == (clock.now(), None)
    assert await reads.get(scope, made.id) == made
    assert await reads.by_lookup_keys(scope, ["calls", "none"]) == {"calls": made}
    assert await audited(scope, made.id) == ["price.create"]
    whose = {"plan_id": plan.id, "plan_version_id": made.plan_version_id, "addon_id": None}
    assert await told(scope, made.id) == [("price.created", whose)]


async def test_a_fixed_charge_may_be_invoiced_in_advance(database, scope, clock):
    plan = await make.plan(scope, clock)
    made = await make.price(scope, clock, plan.id, timing=InvoiceTiming.ADVANCE)
    assert (made.timing, made.feature_id, made.meter_id) == (InvoiceTiming.ADVANCE, None, None)
    assert made.model == Flat(Decimal(99))


@pytest.mark.parametrize(
    ("fields", "field", "code"),
    [
        ({"display_name": " "}, "displayName", "INVALID_DISPLAY_NAME"),
        ({"lookup_key": "not ok"}, "lookupKey", "INVALID_LOOKUP_KEY"),
        ({"currency": "XYZ"}, "currency", "INVALID_CURRENCY"),
        ({"metadata": {"a": None}}, "metadata", "INVALID_METADATA"),
        (
            {"charge": ChargeKind.USAGE, "model": PerUnit(Decimal(1))},
            "featureId",
            "FEATURE_REQUIRED",
        ),
        ({"group_by": ("region",)}, "groupBy[0]", "UNKNOWN_DIMENSION"),
        ({"trial_days": 731}, "trialDays", "INVALID_TRIAL_DAYS"),
        ({"trial_days": -1}, "trialDays", "INVALID_TRIAL_DAYS"),
        ({"trial_days": 7, "billing": Billing.ONE_TIME}, "trialDays", "TRIAL_NOT_ALLOWED"),
    ],
)
async def test_wrong_input_is_refused(database, scope, clock, fields, field, code):
    plan = await make.plan(scope, clock)
    async with refused(scope, Invalid, code, field):
        await make.price(scope, clock, plan.id, **fields)


@pytest.mark.parametrize(
    ("fields", "field", "code"),
    [
        ({"timing": InvoiceTiming.ADVANCE}, "timing", "USAGE_IN_ADVANCE"),
        ({"model": Flat(Decimal(1))}, "model.flat", "FLAT_USAGE"),
        ({"group_by": ("region", "country")}, "groupBy[1]", "UNKNOWN_DIMENSION"),
        ({"group_by": ("region", "region")}, "groupBy[1]", "DUPLICATE_DIMENSION"),
        ({"billing": Billing.ONE_TIME}, "billing", "ONE_TIME_USAGE"),
        ({"trial_days": 7}, "trialDays", "TRIAL_NOT_ALLOWED"),
    ],
)
async def test_wrong_terms_of_usage_are_refused(database, scope, clock, fields, field, code):
    plan = await make.plan(scope, clock)
    feature = await make.feature(scope, clock)
    async with refused(scope, Invalid, code, field):
        await make.usage_price(scope, clock, plan.id, feature_id=feature.id, **fields)


async def test_usage_is_charged_for_a_metered_feature_in_use(database, scope, clock):
    plan = await make.plan(scope, clock)
    switch = await make.feature(scope, clock, type=FeatureType.BOOLEAN)
    metered = await make.feature(scope, clock)
    archived = await make.feature(scope, clock)
    await features.archive(scope, archived.id, by=SYSTEM, at=clock.now())
    unmetered = await make.feature(scope, clock)
    await meters.archive(scope, unmetered.meter_id, by=SYSTEM, at=clock.now())
    async with refused(scope, Invalid, "FEATURE_NOT_METERED", "featureId"):
        await make.usage_price(scope, clock, plan.id, feature_id=switch.id)
    async with refused(scope, NotFound, "NOT_FOUND", "featureId"):
        await make.usage_price(scope, clock, plan.id, feature_id="feat_unknown")
    async with refused(scope, Archived, "FEATURE_ARCHIVED", "featureId"):
        await make.usage_price(scope, clock, plan.id, feature_id=archived.id)
    async with refused(scope, Archived, "METER_ARCHIVED", "featureId"):
        await make.usage_price(scope, clock, plan.id, feature_id=unmetered.id)
    async with refused(scope, Invalid, "FEATURE_NOT_ALLOWED", "featureId"):
        await make.price(scope, clock, plan.id, feature_id=metered.id)


async def test_a_plan_that_is_not_in_use_gets_no_prices(database, scope, clock):
    async with refused(scope, NotFound, "NOT_FOUND", "planId"):
        await make.price(scope, clock, "plan_unknown")
    plan = await make.plan(scope, clock)
    await plans.archive(scope, plan.id, by=SYSTEM, at=clock.now())
    async with refused(scope, Archived, "PLAN_ARCHIVED", "planId"):
        await make.price(scope, clock, plan.id)


async def test_a_lookup_key_is_taken_until_its_price_has_an_end(database, scope, clock):
    plan = await make.plan(scope, clock)
    first = await make.price(scope, clock, plan.id, lookup_key="fee")
    other = await make.price(scope, clock, plan.id)
    async with refused(scope, AlreadyExists, "ALREADY_EXISTS", "lookupKey"):
        await make.price(scope, clock, plan.id, lookup_key="fee")
    async with refused(scope, AlreadyExists, "ALREADY_EXISTS", "lookupKey"):
        await update(scope, clock, other.id, lookup_key="fee")
    await archive(scope, clock, first.id)
    await make.price(scope, clock, plan.id, lookup_key="fee")
    async with refused(scope, AlreadyExists, "ALREADY_EXISTS", "lookupKey"):
        await actions.restore(scope, first.id, by=SYSTEM, at=clock.now())


async def test_the_hash_is_of_the_substance_alone(database, scope, clock):
    plan, other = await make.plan(scope, clock), await make.plan(scope, clock)
    first = await make.price(scope, clock, plan.id, display_name="Fee", lookup_key="a")
    same = await make.price(
        scope, clock, other.id, display_name="Gebühr", model=Flat(Decimal("99.00"))
    )
    assert first.content_hash == same.content_hash
    differing = [
        {"model": Flat(Decimal("99.01"))},
        {"currency": "EUR"},
        {"cadence": Cadence("year")},
        {"timing": InvoiceTiming.ADVANCE},
        {"model": PerUnit(Decimal(99))},
        {"adjustments": Adjustments(free_units=Decimal(1))},
        {"billing": Billing.ONE_TIME},
        {"trial_days": 14},
    ]
    hashes = {
        (await make.price(scope, clock, plan.id, **terms)).content_hash for terms in differing
    }
    assert len(hashes | {first.content_hash}) == 9


async def test_a_new_name_changes_the_row_in_place(database, scope, clock):
    plan = await make.plan(scope, clock)
    made = await make.price(scope, clock, plan.id, lookup_key="fee")
    clock.at += timedelta(days=1)
    after = await update(
        scope,
        clock,
        made.id,
        display_name="Base fee",
        lookup_key=None,
        metadata={"a": "b"},
        model=Flat(Decimal("99.0")),
    )
    assert after.id == made.id
    assert (after.display_name, after.lookup_key, after.metadata) == ("Base fee", None, {"a": "b"})
    assert (after.content_hash, after.effective_until) == (made.content_hash, None)
    assert await audited(scope, made.id) == ["price.create", "price.update"]
    assert (await told(scope, made.id))[-1][0] == "price.updated"


async def test_new_substance_ends_the_row_and_starts_another(database, scope, clock):
    plan = await make.plan(scope, clock)
    old = await make.price(scope, clock, plan.id, lookup_key="fee", metadata={"a": "b"})
    clock.at += timedelta(days=1)
    new = await update(scope, clock, old.id, model=Flat(Decimal(120)), display_name="Base fee")
    ended = await reads.get(scope, old.id)
    assert new.id != old.id
    assert (new.model, new.display_name, new.replaces_id) == (
        Flat(Decimal(120)),
        "Base fee",
        old.id,
    )
    assert (new.lookup_key, new.metadata, new.created_at) == ("fee", {"a": "b"}, clock.now())
    assert (ended.effective_until, new.effective_from, new.effective_until) == (
        clock.now(),
        clock.now(),
        None,
    )
    assert (ended.model, ended.content_hash, ended.display_name) == (
        old.model,
        old.content_hash,
        old.display_name,
    )
    assert await reads.successors(scope, [old.id, new.id]) == {old.id: new}
    assert await audited(scope, old.id) == ["price.create", "price.replace"]
    assert await audited(scope, new.id) == ["price.create"]
    assert (await changes(scope, new.id))[1]["model"] == {"model": "flat", "flat_amount": "120"}
    assert (await told(scope, old.id))[-1] == (
        "price.replaced",
        {
            "plan_id": plan.id,
            "plan_version_id": new.plan_version_id,
            "addon_id": None,
            "successor_id": new.id,
        },
    )


async def test_a_change_may_take_effect_later(database, scope, clock):
    plan = await make.plan(scope, clock)
    old = await make.price(scope, clock, plan.id)
    later = clock.now() + timedelta(days=30)
    new = await update(scope, clock, old.id, model=Flat(Decimal(120)), effective_from=later)
    before = await reads.of_plans(scope, [plan.id], at=later - timedelta(microseconds=1))
    after = await reads.of_plans(scope, [plan.id], at=later)
    assert [price.id for price in before[plan.id]] == [old.id]
    assert [price.id for price in after[plan.id]] == [new.id]


async def test_nothing_takes_effect_in_the_past(database, scope, clock):
    plan = await make.plan(scope, clock)
    made = await make.price(scope, clock, plan.id)
    clock.at += timedelta(days=1)
    past = clock.now() - timedelta(seconds=1)
    async with refused(scope, Invalid, "EFFECTIVE_IN_PAST", "effectiveFrom"):
        await update(scope, clock, made.id, model=Flat(Decimal(1)), effective_from=past)
    async with refused(scope, Invalid, "EFFECTIVE_IN_PAST", "effectiveUntil"):
        await archive(scope, clock, made.id, effective_until=past)


async def test_a_price_that_is_yet_to_come_is_replaced_from_its_own_start(database, scope, clock):
    plan = await make.plan(scope, clock)
    later = clock.now() + timedelta(days=10)
    coming = await make.price(scope, clock, plan.id, effective_from=later)
    new = await update(scope, clock, coming.id, model=Flat(Decimal(1)))
    assert new.effective_from == later
    assert (await reads.of_plans(scope, [plan.id], at=later))[plan.id] == [new]


async def test_wrong_changes_are_refused(database, scope, clock):
    plan = await make.plan(scope, clock)
    made = await make.usage_price(scope, clock, plan.id)
    for patch, field, code in [
        ({"group_by": ("country",)}, "groupBy[0]", "UNKNOWN_DIMENSION"),
        ({"group_by": None}, "groupBy", "REQUIRED"),
        ({"adjustments": None}, "adjustments", "REQUIRED"),
        ({"trial_days": None}, "trialDays", "REQUIRED"),
        ({"timing": InvoiceTiming.ADVANCE}, "timing", "USAGE_IN_ADVANCE"),
        ({"model": Flat(Decimal(1))}, "model.flat", "FLAT_USAGE"),
        ({"model": None}, "model", "REQUIRED"),
        ({"timing": None}, "timing", "REQUIRED"),
        ({"display_name": None}, "displayName", "REQUIRED"),
    ]:
        async with refused(scope, Invalid, code, field):
            await update(scope, clock, made.id, **patch)


async def test_a_replaced_price_is_history(database, scope, clock):
    plan = await make.plan(scope, clock)
    old = await make.price(scope, clock, plan.id)
    await update(scope, clock, old.id, model=Flat(Decimal(120)))
    async with refused(scope, PriceReplaced, "PRICE_REPLACED", "id"):
        await update(scope, clock, old.id, display_name="x")
    async with refused(scope, PriceReplaced, "PRICE_REPLACED", "id"):
        await archive(scope, clock, old.id)
    async with refused(scope, PriceReplaced, "PRICE_REPLACED", "id"):
        await actions.restore(scope, old.id, by=SYSTEM, at=clock.now())


async def test_an_archived_price_changes_only_by_being_restored(database, scope, clock):
    plan = await make.plan(scope, clock)
    made = await make.price(scope, clock, plan.id)
    async with refused(scope, NotArchived, "PRICE_NOT_ARCHIVED", "id"):
        await actions.restore(scope, made.id, by=SYSTEM, at=clock.now())
    ended = await archive(scope, clock, made.id)
    assert (ended.status, ended.effective_until) == (PriceStatus.ARCHIVED, clock.now())
    assert (await reads.of_plans(scope, [plan.id], at=clock.now()))[plan.id] == []
    async with refused(scope, Archived, "PRICE_ARCHIVED", "id"):
        await update(scope, clock, made.id, display_name="x")
    async with refused(scope, Archived, "PRICE_ARCHIVED", "id"):
        await archive(scope, clock, made.id)
    assert await actions.restore(scope, made.id, by=SYSTEM, at=clock.now()) == made
    assert await audited(scope, made.id) == ["price.create", "price.archive", "price.restore"]
    assert [name for name, _ in await told(scope, made.id)] == [
        "price.created",
        "price.archived",
        "price.restored",
    ]


async def test_a_price_is_not_restored_to_what_is_archived(database, scope, clock):
    plan, other = await make.plan(scope, clock), await make.plan(scope, clock)
    fee = await make.price(scope, clock, plan.id)
    await archive(scope, clock, fee.id)
    await plans.archive(scope, plan.id, by=SYSTEM, at=clock.now())
    async with refused(scope, Archived, "PLAN_ARCHIVED", "planId"):
        await actions.restore(scope, fee.id, by=SYSTEM, at=clock.now())
    calls = await make.usage_price(scope, clock, other.id)
    await archive(scope, clock, calls.id)
    await features.archive(scope, calls.feature_id, by=SYSTEM, at=clock.now())
    async with refused(scope, Archived, "FEATURE_ARCHIVED", "featureId"):
        await actions.restore(scope, calls.id, by=SYSTEM, at=clock.now())


async def test_a_plan_holds_prices_in_several_currencies(database, scope, clock):
    plan, bare = await make.plan(scope, clock), await make.plan(scope, clock)
    dollars = await make.price(scope, clock, plan.id, currency="USD")
    euros = await make.price(scope, clock, plan.id, currency="EUR")
    found = await reads.of_plans(scope, [plan.id, bare.id], at=clock.now())
    assert found == {plan.id: [dollars, euros], bare.id: []}


async def test_a_price_of_another_scope_does_not_exist(database, scope, clock):
    plan = await make.plan(scope, clock)
    made = await make.price(scope, clock, plan.id, lookup_key="fee")
    stranger = Scope("ten_01J00000000000000000000000", scope.environment_id)
    assert await reads.by_ids(stranger, [made.id]) == {}
    assert await reads.by_lookup_keys(stranger, ["fee"]) == {}
    assert await reads.of_plans(stranger, [plan.id], at=clock.now()) == {plan.id: []}
    for verb in (actions.archive, actions.restore):
        with pytest.raises(NotFound):
            await verb(stranger, made.id, by=SYSTEM, at=clock.now())
    with pytest.raises(NotFound):
        await update(stranger, clock, made.id, display_name="x")
    with pytest.raises(NotFound):
        await make.price(stranger, clock, plan.id)
    assert await reads.get(scope, made.id) == made


async def test_a_page_filters_by_terms(database, scope, clock):
    plan = await make.plan(scope, clock)
    fee = await make.price(scope, clock, plan.id, display_name="B")
    calls = await make.usage_price(scope, clock, plan.id, display_name="A", currency="EUR")
    ended = await make.price(scope, clock, plan.id, display_name="C")
    await archive(scope, clock, ended.id)
    for where, expected in [
        (Condition("plan_id", "eq", plan.id), [calls, fee, ended]),
        (Condition("model", "eq", "per_unit"), [calls]),
        (Condition("charge", "eq", "usage"), [calls]),
        (Condition("currency", "eq", "EUR"), [calls]),
        (Condition("status", "eq", "archived"), [ended]),
        (Condition("effective_until", "is_null", True), [calls, fee]),
        (Condition("feature_id", "eq", calls.feature_id), [calls]),
    ]:
        page = await reads.page(scope, PageRequest(where=where, order=(Order("display_name"),)))
        assert [row.id for row in page.rows] == [price.id for price in expected]


async def test_the_model_is_stored_with_decimals_as_strings(database, scope, clock):
    plan = await make.plan(scope, clock)
    await make.usage_price(scope, clock, plan.id, model=Graduated(TIERS))
    rows = await fetch(scope, "SELECT jsonb_path_query(model, '$.**')::text AS leaf FROM prices")
    numbers = [row["leaf"] for row in rows if row["leaf"][0] in "-0123456789"]
    assert numbers == []


@pytest.mark.parametrize("count", [0, -1, 101])
def test_a_cadence_counts_from_1_to_100(count):
    with pytest.raises(Invalid) as caught:
        cadence("month", count)
    assert (caught.value.code, caught.value.field) == ("INVALID_CADENCE", "cadence.count")
