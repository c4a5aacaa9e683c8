from datetime import timedelta
from decimal import Decimal

import pytest

from app.catalog.actions import features, plans
from app.catalog.entitlement import Overrides, Owner, OwnerKind
from app.catalog.entitlement_terms import Boolean, Config, Metered, Resets, Static
from app.catalog.errors import (
    Archived,
    EntitlementEnded,
    EntitlementReplaced,
    FeatureInUse,
    PlanVersionNeeded,
)
from app.catalog.feature import FeatureType
from app.catalog.reads import entitlements as reads
from app.catalog.reads import plan_versions
from app.infra.listing import Condition, PageRequest
from app.infra.postgres import writing
from app.kernel.errors import AlreadyExists, Invalid, NotFound
from app.kernel.scope import SYSTEM, Scope
from app.subscriptions.actions import entitling as actions
from tests.catalog import make
from tests.catalog.history import audited, changes, refused, told

DAY = timedelta(days=1)


async def current(scope, plan):
    return (await plan_versions.current_of_plans(scope, [plan.id]))[plan.id]


def nested(deep):
    value = []
    for _ in range(deep):
        value = [value]
    return value


async def test_what_is_created_is_found(database, scope, clock):
    plan, feature = await make.plan(scope, clock), await make.feature(scope, clock)
    version = await current(scope, plan)
    made = await make.entitlement(
        scope, clock, plan.id, feature_id=feature.id, terms=Metered(Decimal("0.50")),
        metadata={"team": "voice"},
    )  # fmt: skip
    assert made.terms == Metered(Decimal("0.5"), Resets.MONTH, None, soft=False)
    assert (made.owner, made.overrides) == (
        Owner(OwnerKind.PLAN, plan.id, version.id),
        None,
    )
    assert (made.effective_from, made.effective_until) == (clock.now(), None)
    assert await reads.get(scope, made.id) == made
    assert await reads.all_of(OwnerKind.PLAN)(scope, [version.id]) == {version.id: [made]}
    assert await reads.offered_of_plans(scope, [plan.id]) == {plan.id: [made]}
    assert await audited(scope, made.id) == ["entitlement.create"]
    payload = {"plan_id": plan.id, "plan_version_id": version.id, "feature_id": feature.id}
    assert await told(scope, made.id) == [("entitlement.created", payload)]


@pytest.mark.parametrize(
    ("type_", "terms"),
    [
        (FeatureType.METERED, Metered(None)),
        (FeatureType.METERED, Metered(Decimal(0), Resets.SLIDING, "P30DT12H", soft=True)),
        (FeatureType.BOOLEAN, Boolean()),
        (FeatureType.STATIC, Static("gold")),
        (FeatureType.CONFIG, Config({"regions": ["eu", "us"], "seats": 3, "beta": None})),
    ],
    ids=str,
)
async def test_the_terms_of_every_type_are_kept_as_they_are(database, scope, clock, type_, terms):
    plan = await make.plan(scope, clock)
    feature = await make.feature(scope, clock, type=type_)
    made = await make.entitlement(scope, clock, plan.id, feature_id=feature.id, terms=terms)
    assert (await reads.get(scope, made.id)).terms == terms
    wrong = Static("x") if type_ is not FeatureType.STATIC else Boolean()
    async with refused(scope, Invalid, "TERMS_NOT_OF_FEATURE", "terms"):
        await actions.update(scope, made.id, {"terms": wrong}, by=SYSTEM, at=clock.now())


@pytest.mark.parametrize(
    ("make_terms", "code", "field"),
    [
        (lambda: Metered(Decimal(-1)), "NEGATIVE_AMOUNT", "limit"),
        (lambda: Metered(Decimal("NaN")), "NOT_FINITE", "limit"),
        (lambda: Metered(Decimal("1e-19")), "TOO_MANY_DIGITS", "limit"),
        (lambda: Metered(Decimal(1), Resets.SLIDING), "WINDOW_REQUIRED", "window"),
        (lambda: Metered(Decimal(1), Resets.DAY, "P1D"), "WINDOW_NOT_ALLOWED", "window"),
        (lambda: Metered(None, Resets.SLIDING), "UNLIMITED_SLIDING", "resets"),
        (lambda: Metered(Decimal(1), Resets.SLIDING, "30 days"), "INVALID_WINDOW", "window"),
        (lambda: Metered(Decimal(1), Resets.SLIDING, "P0D"), "INVALID_WINDOW", "window"),
        (lambda: Metered(Decimal(1), Resets.SLIDING, "P6Y"), "INVALID_WINDOW", "window"),
        (lambda: Static(" gold"), "INVALID_VALUE", "value"),
        (lambda: Static("x" * 1001), "INVALID_VALUE", "value"),
        (lambda: Config({"a": "x" * 16_384}), "INVALID_VALUE", "value"),
        (lambda: Config({"a": "\x00"}), "INVALID_VALUE", "value"),
        (lambda: Config(nested(40)), "INVALID_VALUE", "value"),
    ],
)
def test_terms_that_make_no_sense_are_refused(make_terms, code, field):
    with pytest.raises(Invalid) as caught:
        make_terms()
    assert (caught.value.code, caught.value.field) == (code, field)


async def test_an_owner_gives_a_feature_once_at_a_time(database, scope, clock):
    plan = await make.plan(scope, clock)
    first = await make.entitlement(scope, clock, plan.id)
    async with refused(scope, AlreadyExists, "ALREADY_EXISTS", "featureId"):
        await make.entitlement(scope, clock, plan.id, feature_id=first.feature_id)
    end = clock.now() + 2 * DAY
    await actions.archive(scope, first.id, by=SYSTEM, at=clock.now(), effective_until=end)
    async with refused(scope, AlreadyExists, "ALREADY_EXISTS", "featureId"):
        await make.entitlement(
            scope, clock, plan.id, feature_id=first.feature_id, effective_from=end - DAY
        )
    second = await make.entitlement(
        scope, clock, plan.id, feature_id=first.feature_id, effective_from=end
    )
    async with refused(scope, AlreadyExists, "ALREADY_EXISTS", "id"):
        await actions.restore(scope, first.id, by=SYSTEM, at=clock.now())
    async with refused(scope, AlreadyExists, "ALREADY_EXISTS", "effectiveUntil"):
        await actions.archive(scope, first.id, by=SYSTEM, at=clock.now(), effective_until=end + DAY)
    other = await make.plan(scope, clock)
    await make.entitlement(scope, clock, other.id, feature_id=first.feature_id)
    at = {when: await reads.of_owner(scope, first.owner, at=when) for when in (end - DAY, end)}
    assert [[row.id for row in rows] for rows in at.values()] == [[first.id], [second.id]]


async def test_a_change_of_substance_ends_a_row_and_starts_another(database, scope, clock):
    plan = await make.plan(scope, clock)
    first = await make.entitlement(scope, clock, plan.id, metadata={"a": "b"})
    clock.at += DAY
    noted = await actions.update(
        scope, first.id, {"metadata": {"c": "d"}}, by=SYSTEM, at=clock.now()
    )
    assert (noted.id, noted.metadata) == (first.id, {"c": "d"})
    same = {"terms": Metered(Decimal("100.00")), "enabled": True}
    assert (await actions.update(scope, first.id, same, by=SYSTEM, at=clock.now())).id == first.id
    begin = clock.now() + 3 * DAY
    patch = {"terms": Metered(Decimal(200)), "effective_from": begin}
    second = await actions.update(scope, first.id, patch, by=SYSTEM, at=clock.now())
    ended = await reads.get(scope, first.id)
    assert (ended.effective_until, ended.terms.limit) == (begin, Decimal(100))
    assert (second.effective_from, second.effective_until) == (begin, None)
    assert (second.replaces_id, second.terms.limit, second.metadata) == (
        first.id,
        Decimal(200),
        {"c": "d"},
    )
    assert await audited(scope, first.id) == [
        "entitlement.create",
        "entitlement.update",
        "entitlement.update",
        "entitlement.replace",
    ]
    whose = {"plan_id": plan.id, "plan_version_id": first.owner.version_id}
    assert await told(scope, first.id) == [
        (name, whose | {"feature_id": first.feature_id} | more)
        for name, more in (
            ("entitlement.created", {}),
            ("entitlement.updated", {}),
            ("entitlement.updated", {}),
            ("entitlement.replaced", {"successor_id": second.id}),
        )
    ]
    assert await audited(scope, second.id) == ["entitlement.create"]
    for verb in (actions.archive, actions.restore):
        async with refused(scope, EntitlementReplaced, "ENTITLEMENT_REPLACED", "id"):
            await verb(scope, first.id, by=SYSTEM, at=clock.now())
    async with refused(scope, EntitlementReplaced, "ENTITLEMENT_REPLACED", "id"):
        await actions.update(scope, first.id, {"enabled": False}, by=SYSTEM, at=clock.now())


async def test_nothing_takes_effect_in_the_past(database, scope, clock):
    plan, feature = await make.plan(scope, clock), await make.feature(scope, clock)
    yesterday, wanted = clock.now() - DAY, {"feature_id": feature.id}
    async with refused(scope, Invalid, "EFFECTIVE_IN_PAST", "effectiveFrom"):
        await make.entitlement(scope, clock, plan.id, effective_from=yesterday, **wanted)
    async with refused(scope, Invalid, "INVALID_EFFECTIVE_UNTIL", "effectiveUntil"):
        await make.entitlement(scope, clock, plan.id, effective_until=clock.now(), **wanted)
    made = await make.entitlement(scope, clock, plan.id)
    patch = {"enabled": False, "effective_from": yesterday}
    async with refused(scope, Invalid, "EFFECTIVE_IN_PAST", "effectiveFrom"):
        await actions.update(scope, made.id, patch, by=SYSTEM, at=clock.now())
    async with refused(scope, Invalid, "EFFECTIVE_IN_PAST", "effectiveUntil"):
        await actions.archive(scope, made.id, by=SYSTEM, at=clock.now(), effective_until=yesterday)


async def test_an_end_is_taken_off_until_it_has_come(database, scope, clock):
    plan = await make.plan(scope, clock)
    made = await make.entitlement(scope, clock, plan.id)
    end = clock.now() + DAY
    ended = await actions.archive(scope, made.id, by=SYSTEM, at=clock.now(), effective_until=end)
    assert ended.effective_until == end
    before, after = await changes(scope, made.id)
    assert before == {"effective_until": None}
    assert after == {"effective_until": end.isoformat()}
    restored = await actions.restore(scope, made.id, by=SYSTEM, at=clock.now())
    assert restored.effective_until is None
    await actions.archive(scope, made.id, by=SYSTEM, at=clock.now(), effective_until=end)
    clock.at = end
    for verb in (actions.archive, actions.restore):
        async with refused(scope, EntitlementEnded, "ENTITLEMENT_ENDED", "id"):
            await verb(scope, made.id, by=SYSTEM, at=clock.now())
    assert await audited(scope, made.id) == [
        "entitlement.create",
        "entitlement.archive",
        "entitlement.restore",
        "entitlement.archive",
    ]


async def test_owner_and_feature_must_be_there_and_in_use(database, scope, clock):
    plan, feature = await make.plan(scope, clock), await make.feature(scope, clock)
    async with refused(scope, NotFound, "NOT_FOUND", "planId"):
        await make.entitlement(
            scope, clock, "plan_01J00000000000000000000000", feature_id=feature.id
        )
    async with refused(scope, NotFound, "NOT_FOUND", "featureId"):
        await make.entitlement(scope, clock, plan.id, feature_id="feat_01J00000000000000000000000")
    async with refused(scope, Invalid, "OVERRIDES_NOT_ALLOWED", "overrides"):
        await make.entitlement(
            scope, clock, plan.id, feature_id=feature.id, overrides=Overrides.ALL
        )
    made = await make.entitlement(scope, clock, plan.id, feature_id=feature.id)
    async with refused(scope, FeatureInUse, "FEATURE_IN_USE", "id"):
        await features.archive(scope, feature.id, by=SYSTEM, at=clock.now())
    await plans.archive(scope, plan.id, by=SYSTEM, at=clock.now())
    async with refused(scope, Archived, "PLAN_ARCHIVED", "planId"):
        await actions.restore(scope, made.id, by=SYSTEM, at=clock.now())
    async with refused(scope, Archived, "PLAN_ARCHIVED", "planId"):
        await make.entitlement(scope, clock, plan.id, feature_id=feature.id)
    gone = await make.feature(scope, clock)
    await features.archive(scope, gone.id, by=SYSTEM, at=clock.now())
    other = await make.plan(scope, clock)
    async with refused(scope, Archived, "FEATURE_ARCHIVED", "featureId"):
        await make.entitlement(scope, clock, other.id, feature_id=gone.id)


async def test_who_gives_it_is_named_once(database, scope, clock):
    plan, addon = await make.plan(scope, clock), await make.addon(scope, clock)
    feature = await make.feature(scope, clock)
    wanted = {"feature_id": feature.id}
    async with refused(scope, Invalid, "OWNER_REQUIRED", "planId"):
        await make.entitlement(scope, clock, **wanted)
    async with refused(scope, Invalid, "OWNER_AMBIGUOUS", "addonId"):
        await make.entitlement(scope, clock, plan.id, addon_id=addon.id, **wanted)
    async with refused(scope, Invalid, "OWNER_AMBIGUOUS", "subscriptionId"):
        await make.entitlement(scope, clock, plan.id, subscription_id="sub_1", **wanted)
    async with refused(scope, NotFound, "NOT_FOUND", "planVersionId"):
        await make.entitlement(scope, clock, plan_version_id="plv_1", **wanted)
    draft = await make.draft(scope, clock, plan.id)
    async with refused(scope, PlanVersionNeeded, "PLAN_VERSION_REQUIRED", "planVersionId"):
        await make.entitlement(scope, clock, plan.id, **wanted)
    for owner in ({"plan_version_id": draft.id}, {"addon_id": addon.id}):
        made = await make.entitlement(scope, clock, **owner, **wanted)
        async with refused(scope, AlreadyExists, "ALREADY_EXISTS", "featureId"):
            await make.entitlement(scope, clock, **owner, **wanted)
    assert made.owner == Owner(OwnerKind.ADDON, addon.id)
    payload = {"addon_id": addon.id, "feature_id": feature.id}
    assert await told(scope, made.id) == [("entitlement.created", payload)]


async def test_a_new_version_gives_what_the_newest_does(database, scope, clock):
    plan = await make.plan(scope, clock)
    await make.price(scope, clock, plan.id)
    kept = await make.entitlement(scope, clock, plan.id, metadata={"a": "b"})
    gone = await make.entitlement(scope, clock, plan.id)
    soon = {"terms": Metered(Decimal(7)), "effective_from": clock.now() + 30 * DAY}
    later = await actions.update(scope, kept.id, soon, by=SYSTEM, at=clock.now())
    clock.at += DAY
    await actions.archive(scope, gone.id, by=SYSTEM, at=clock.now())
    clock.at += DAY
    draft = await make.draft(scope, clock, plan.id)
    first, second = (await reads.all_of(OwnerKind.PLAN)(scope, [draft.id]))[draft.id]
    assert first.owner == second.owner == Owner(OwnerKind.PLAN, plan.id, draft.id)
    assert (first.content_hash, first.metadata) == (kept.content_hash, {"a": "b"})
    assert (first.effective_from, first.effective_until) == (clock.now(), later.effective_from)
    assert (second.replaces_id, second.content_hash) == (first.id, later.content_hash)
    assert (second.effective_from, second.effective_until) == (later.effective_from, None)
    assert await audited(scope, first.id) == ["entitlement.create"]
    assert [name for name, _ in await told(scope, second.id)] == ["entitlement.created"]


async def test_of_a_draft_everything_changes_in_place_and_begins_when_it_is_published(
    database, scope, clock
):
    plan = await make.plan(scope, clock)
    await make.price(scope, clock, plan.id)
    await make.entitlement(scope, clock, plan.id)
    draft = await make.draft(scope, clock, plan.id)
    (row,) = (await reads.all_of(OwnerKind.PLAN)(scope, [draft.id]))[draft.id]
    clock.at += DAY
    patch = {"terms": Metered(Decimal(9)), "enabled": False}
    changed = await actions.update(scope, row.id, patch, by=SYSTEM, at=clock.now())
    assert (changed.id, changed.terms.limit, changed.enabled) == (row.id, 9, False)
    assert changed == await reads.get(scope, row.id)
    assert changed.content_hash != row.content_hash
    clock.at += DAY
    await make.publish(scope, clock, draft.id)
    begun = await reads.get(scope, row.id)
    assert (begun.effective_from, begun.terms.limit) == (clock.now(), 9)
    clock.at += DAY
    after = await actions.update(scope, row.id, {"enabled": True}, by=SYSTEM, at=clock.now())
    assert (after.replaces_id, after.effective_from) == (row.id, clock.now())


async def test_the_database_knows_one_owner_alone(database, scope, clock):
    plan = await make.plan(scope, clock)
    made = await make.entitlement(scope, clock, plan.id)
    for column in ("addon_id", "subscription_id"):
        with pytest.raises(Exception, match="entitlements_one_owner"):
            async with writing(scope) as connection:
                await connection.execute(
                    f"UPDATE entitlements SET {column} = 'x' WHERE id = $1",  # noqa: S608
                    made.id,
                )


async def test_an_entitlement_of_another_scope_does_not_exist(database, scope, clock):
    plan = await make.plan(scope, clock)
    made = await make.entitlement(scope, clock, plan.id)
    stranger = Scope(scope.tenant_id, "env_01J00000000000000000000000")
    assert await reads.by_ids(stranger, [made.id]) == {}
    for verb in (actions.archive, actions.restore):
        with pytest.raises(NotFound):
            await verb(stranger, made.id, by=SYSTEM, at=clock.now())
    with pytest.raises(NotFound):
        await actions.update(stranger, made.id, {"enabled": False}, by=SYSTEM, at=clock.now())
    assert await reads.get(scope, made.id) == made


async def test_a_page_filters_by_type_and_by_how_they_reset(database, scope, clock):
    plan = await make.plan(scope, clock)
    monthly = await make.entitlement(scope, clock, plan.id)
    terms = Metered(Decimal(1), Resets.DAY)
    daily = await make.entitlement(scope, clock, plan.id, terms=terms)
    switch = await make.feature(scope, clock, type=FeatureType.BOOLEAN)
    on = await make.entitlement(scope, clock, plan.id, feature_id=switch.id, terms=Boolean())
    for condition, expected in (
        (Condition("type", "eq", "metered"), {monthly.id, daily.id}),
        (Condition("resets", "eq", "day"), {daily.id}),
        (Condition("resets", "is_null", True), {on.id}),
        (Condition("plan_id", "eq", plan.id), {monthly.id, daily.id, on.id}),
        (Condition("subscription_id", "is_null", False), set()),
        (Condition("effective_until", "is_null", True), {monthly.id, daily.id, on.id}),
    ):
        page = await reads.page(scope, PageRequest(where=condition))
        assert {row.id for row in page.rows} == expected, condition
