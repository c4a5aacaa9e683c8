"""Plans cloned within an environment and into another one of the tenant."""

from datetime import timedelta
from decimal import Decimal

import pytest

from app.catalog.actions import clones, features, plan_versions, prices
from app.catalog.entitlement import OwnerKind
from app.catalog.errors import CloneIncomplete, NoPlanVersion
from app.catalog.feature import FeatureType
from app.catalog.group import GroupKind
from app.catalog.plan import ClonePlan
from app.catalog.prices import Flat, Formula, PerUnit, Variable
from app.catalog.reads import entitlements, plans
from app.catalog.reads import plan_versions as versions
from app.catalog.reads import prices as price_reads
from app.kernel.errors import AlreadyExists, Invalid, NotFound
from app.kernel.ids import new_id
from app.kernel.scope import SYSTEM, Scope
from tests.catalog import make
from tests.catalog.history import audited, changes, everything, refused
from tests.statements import statements


@pytest.fixture
def other(scope):
    """Another environment of the tenant."""
    return Scope(scope.tenant_id, new_id("env"))


async def clone(scope, clock, plan, *, into=None, **fields):
    command = ClonePlan(**{"plan_id": plan.id, "name": "Copy", "lookup_key": "copy"} | fields)
    return await clones.clone(
        scope, command, into=into or scope, by=SYSTEM, at=clock.now(), then=clock.now()
    )


async def sold(scope, plan):
    return (await price_reads.offered_of_plans(scope, [plan.id]))[plan.id]


async def test_a_clone_sells_what_the_plan_does_and_goes_its_own_way(database, scope, clock):
    plan = await make.plan(scope, clock, description="For teams", metadata={"tier": "2"})
    fee = await make.price(scope, clock, plan.id, lookup_key="fee", metadata={"a": "b"})
    usage = await make.usage_price(scope, clock, plan.id, group_by=("region",))
    gone = await make.price(scope, clock, plan.id)
    await prices.archive(scope, gone.id, by=SYSTEM, at=clock.now())
    clock.at += timedelta(days=1)
    made = await clone(scope, clock, plan)
    assert (made.name, made.lookup_key, made.description) == ("Copy", "copy", "For teams")
    assert (made.metadata, made.created_at) == ({"tier": "2"}, clock.now())
    copies = await sold(scope, made)
    assert [price.content_hash for price in copies] == [fee.content_hash, usage.content_hash]
    first, second = copies
    assert (first.lookup_key, first.metadata, first.lineage_id) == (None, {"a": "b"}, first.id)
    assert (second.feature_id, second.group_by) == (usage.feature_id, ("region",))
    assert {price.effective_from for price in copies} == {clock.now()}
    [version] = await versions.all_of_plan(scope, made.id)
    assert (version.number, version.current) == (1, True)
    assert await audited(scope, plan.id) == ["plan.create", "plan.clone"]
    told = {"plan_id": made.id, "environment_id": scope.environment_id}
    assert (await changes(scope, plan.id))[1] == told
    assert await audited(scope, made.id) == ["plan.create"]
    # The plan is as it was, and stays so whatever becomes of the clone.
    dearer = {"model": Flat(Decimal(1))}
    await prices.update(scope, first.id, dearer, by=SYSTEM, at=clock.now())
    assert [price.id for price in await sold(scope, plan)] == [fee.id, usage.id, gone.id]


async def test_a_clone_may_begin_as_a_draft_and_one_of_a_draft_may_be_sold(database, scope, clock):
    plan = await make.plan(scope, clock, publish=False)
    await make.price(scope, clock, plan.id)
    quiet = await clone(scope, clock, plan, publish=False, description="New")
    [draft] = await versions.all_of_plan(scope, quiet.id)
    assert (quiet.description, draft.published_at, await sold(scope, quiet)) == ("New", None, [])
    assert len((await price_reads.all_of_versions(scope, [draft.id]))[draft.id]) == 1
    public = await clone(scope, clock, plan, lookup_key="public")
    assert len(await sold(scope, public)) == 1
    [source] = await versions.all_of_plan(scope, plan.id)
    await plan_versions.archive(scope, source.id, by=SYSTEM, at=clock.now())
    async with refused(scope, NoPlanVersion, "NO_PLAN_VERSION", "id"):
        await clone(scope, clock, plan, lookup_key="third")


async def test_wrong_names_and_strangers_plans_are_refused(database, scope, clock, other):
    plan = await make.plan(scope, clock, lookup_key="pro")
    await make.price(scope, clock, plan.id)
    async with refused(scope, AlreadyExists, "ALREADY_EXISTS", "lookupKey"):
        await clone(scope, clock, plan, lookup_key="pro")
    async with refused(scope, Invalid, "INVALID_NAME", "name"):
        await clone(scope, clock, plan, name="")
    async with refused(scope, Invalid, "INVALID_LOOKUP_KEY", "lookupKey"):
        await clone(scope, clock, plan, lookup_key="a b")
    async with refused(other, NotFound, "NOT_FOUND", "id"):
        await clone(other, clock, plan)


async def furnished(scope, clock, **fields):
    """The features, the group and the unit that the plan below speaks of."""
    defaults = {"dimensions": ("region",)}
    meter = await make.meter(scope, clock, **defaults | fields)
    calls = await make.feature(scope, clock, lookup_key="calls", meter_id=meter.id)
    tokens = await make.feature(scope, clock, lookup_key="tokens")
    group = await make.group(scope, clock, lookup_key="compute", kind=GroupKind.PRICE)
    unit = await make.price_unit(scope, clock)
    return calls, tokens, group, unit


async def plan_with_everything(scope, clock):
    calls, tokens, group, unit = await furnished(scope, clock)
    plan = await make.plan(scope, clock)
    await make.usage_price(
        scope, clock, plan.id,
        feature_id=calls.id, group_by=("region",), group_id=group.id, price_unit_id=unit.id,
        lookup_key="calls-price",
    )  # fmt: skip
    formula = Formula.parsed(
        "calls * 2[USD/call] + tokens * 1[USD/token]",
        (Variable("calls", "call", calls.id), Variable("tokens", "token", tokens.id)),
    )
    await make.usage_price(scope, clock, plan.id, feature_id=calls.id, model=formula)
    return plan


async def test_in_another_environment_things_are_known_by_their_names(
    database, scope, clock, other
):
    plan = await plan_with_everything(scope, clock)
    calls, tokens, group, unit = await furnished(other, clock)
    made = await clone(scope, clock, plan, into=other)
    assert await plans.by_ids(scope, [made.id]) == {}
    assert await plans.get(other, made.id) == made
    grouped, formula = await sold(other, made)
    assert (grouped.feature_id, grouped.meter_id, grouped.group_id) == (
        calls.id,
        calls.meter_id,
        group.id,
    )
    assert (grouped.conversion.unit_id, grouped.conversion.rate) == (unit.id, Decimal("0.01"))
    assert (grouped.lookup_key, grouped.model) == ("calls-price", PerUnit(Decimal("0.5")))
    assert [(v.feature_id, v.meter_id) for v in formula.model.variables] == [
        (calls.id, calls.meter_id),
        (tokens.id, tokens.meter_id),
    ]
    # As if it had been made there.
    twin = await make.usage_price(other, clock, made.id, feature_id=calls.id, model=formula.model)
    assert twin.content_hash == formula.content_hash
    assert (await changes(scope, plan.id))[1]["environment_id"] == other.environment_id
    async with refused(other, AlreadyExists, "ALREADY_EXISTS", "lookupKey"):
        before = await everything(scope)
        with pytest.raises(AlreadyExists, match="calls-price"):
            await clone(scope, clock, plan, into=other, lookup_key="again")
        assert await everything(scope) == before
        await clone(scope, clock, plan, into=other, lookup_key="again")


async def test_entitlements_go_along(database, scope, clock, other):
    plan = await make.plan(scope, clock)
    feature = await make.feature(scope, clock, lookup_key="seats")
    given = await make.entitlement(scope, clock, plan.id, feature_id=feature.id)

    async def gives(environment, made):
        [version] = await versions.all_of_plan(environment, made.id)
        read = entitlements.all_of(OwnerKind.PLAN)
        [found] = (await read(environment, [version.id]))[version.id]
        assert (found.owner.id, found.owner.version_id) == (made.id, version.id)
        assert (found.terms, found.effective_from) == (given.terms, clock.now())
        return found

    clock.at += timedelta(days=1)
    twin = await gives(scope, await clone(scope, clock, plan))
    assert (twin.feature_id, twin.content_hash) == (feature.id, given.content_hash)
    async with refused(other, CloneIncomplete, "CLONE_INCOMPLETE", "environmentId"):
        await clone(scope, clock, plan, into=other)
    there = await make.feature(other, clock, lookup_key="seats")
    moved = await gives(other, await clone(scope, clock, plan, into=other))
    # As if it had been made there.
    bare = await make.plan(other, clock)
    same = await make.entitlement(other, clock, bare.id, feature_id=there.id)
    assert (moved.feature_id, moved.content_hash) == (there.id, same.content_hash)


async def test_what_another_environment_lacks_is_named_and_nothing_is_cloned(
    database, scope, clock, other
):
    plan = await plan_with_everything(scope, clock)
    # Of another type, of another kind, of another currency, archived: not the same thing.
    await make.feature(other, clock, lookup_key="calls", type=FeatureType.BOOLEAN)
    await make.group(other, clock, lookup_key="compute")
    await make.price_unit(other, clock, base_currency="EUR")
    old = await make.feature(other, clock, lookup_key="tokens")
    await features.archive(other, old.id, by=SYSTEM, at=clock.now())
    before = await everything(scope)
    async with refused(other, CloneIncomplete, "CLONE_INCOMPLETE", "environmentId"):
        with pytest.raises(CloneIncomplete) as caught:
            await clone(scope, clock, plan, into=other)
        assert caught.value.missing == {
            "features": ("calls", "tokens"),
            "groups": ("compute",),
            "price units": ("CRD",),
        }
        assert "features calls, tokens; groups compute; price units CRD" in str(caught.value)
        await clone(scope, clock, plan, into=other)
    assert await everything(scope) == before


async def test_a_meter_that_cannot_be_charged_for_so_is_refused(database, scope, clock, other):
    plan = await plan_with_everything(scope, clock)
    await furnished(other, clock, dimensions=())
    async with refused(other, Invalid, "UNKNOWN_DIMENSION", "prices[0].groupBy[0]"):
        await clone(scope, clock, plan, into=other)


async def test_a_clone_takes_as_many_statements_however_large(database, scope, clock, other):
    counts = []
    for environment in (scope, other):
        for size in (1, 8):
            plan = await make.plan(scope, clock)
            for number in range(size):
                key = f"feature-{plan.id}-{number}"
                feature = await make.feature(scope, clock, lookup_key=key)
                await make.feature(other, clock, lookup_key=key)
                await make.usage_price(scope, clock, plan.id, feature_id=feature.id)

            async def whole(plan=plan, environment=environment):
                await clone(scope, clock, plan, into=environment, lookup_key=new_id("plan"))

            counts.append(len(await statements(scope, whole)))
    assert counts[0] == counts[1]
    assert counts[2] == counts[3]
