"""What a subscription is given: what it bought, and what it has for itself."""

from datetime import timedelta
from decimal import Decimal

from app.catalog.entitlement import Overrides, Owner, OwnerKind
from app.catalog.entitlement_terms import Metered, Resets
from app.kernel.errors import AlreadyExists, Invalid, NotFound
from app.kernel.scope import SYSTEM
from app.subscriptions import reads
from app.subscriptions.actions import Billed, advance, cancel, entitling
from app.subscriptions.actions.holding import hold
from app.subscriptions.allowances import allowances
from app.subscriptions.changes.canceling import CancelSubscription
from app.subscriptions.errors import SubscriptionIsOver
from app.subscriptions.periods import point_at
from app.subscriptions.subscription import CancelMode
from tests.catalog import make as catalog
from tests.catalog.history import audited, changes, refused, told
from tests.statements import statements
from tests.subscriptions import make

NOW = CancelSubscription(mode=CancelMode.NOW)

DAY = timedelta(days=1)


def units(limit, resets=Resets.MONTH):
    return Metered(None if limit is None else Decimal(limit), resets)


async def included(scope, subscription_id, feature_id, at):
    """The limits in force at an instant, as (how they reset, limit)."""
    found = await reads.entitled(scope, await reads.by_ids(scope, [subscription_id]))
    limits = [
        (each.rhythm.resets, each.at(at)) for each in allowances(list(found.values()), feature_id)
    ]
    return [(resets.value, limit.limit) for resets, limit in limits if limit is not None]


async def bought(scope, clock, **fields):
    """A subscription to a plan that gives 100 units a month of a feature."""
    plan = await make.plan(scope, clock)
    row = await catalog.entitlement(scope, clock, plan.id, terms=units(100))
    made = await make.subscription(scope, clock, plan_id=plan.id, **fields)
    return made, row


async def test_a_subscription_keeps_what_it_bought(database, scope, clock):
    one, row = await bought(scope, clock)
    assert (await changes(scope, one.id))[1]["entitlement_ids"] == [row.id]
    (held,) = (await reads.holdings(scope, [one.id]))[one.id]
    assert (held.owner, held.quantity) == (
        Owner(OwnerKind.PLAN, one.plan_id, one.plan_version_id),
        1,
    )
    clock.at += DAY
    dearer = await entitling.update(scope, row.id, {"terms": units(5)}, by=SYSTEM, at=clock.now())
    later = await make.subscription(scope, clock, plan_id=one.plan_id)
    clock.at += DAY
    await entitling.archive(scope, dearer.id, by=SYSTEM, at=clock.now())
    last = await make.subscription(scope, clock, plan_id=one.plan_id)
    now = clock.now() + DAY
    limits = [await included(scope, each.id, row.feature_id, now) for each in (one, later, last)]
    assert limits == [[("month", 100)], [("month", 5)], []]


async def test_one_that_starts_later_buys_what_is_in_force_then(database, scope, clock):
    plan = await make.plan(scope, clock)
    start = clock.now() + 10 * DAY
    coming = await catalog.entitlement(scope, clock, plan.id, effective_from=start)
    one = await make.subscription(scope, clock, plan_id=plan.id, starts_at=start)
    past = await make.subscription(scope, clock, plan_id=plan.id, starts_at=clock.now() - DAY)
    assert await included(scope, one.id, coming.feature_id, start) == [("month", 100)]
    assert await included(scope, one.id, coming.feature_id, start - DAY) == []
    assert await included(scope, past.id, coming.feature_id, start) == []


async def test_an_addon_adds_as_often_as_it_is_held_while_it_is(database, scope, clock):
    one, row = await bought(scope, clock)
    addon = await catalog.addon(scope, clock)
    given = {"addon_id": addon.id, "feature_id": row.feature_id, "terms": units(100)}
    await catalog.entitlement(scope, clock, **given)
    start, end = clock.now() + DAY, clock.now() + 3 * DAY
    owner = Owner(OwnerKind.ADDON, addon.id)
    await hold(
        scope, one, owner, at=clock.now(), reference=clock.now(), quantity=Decimal(3),
        starts_at=start, ends_at=end,
    )  # fmt: skip
    limits = [
        await included(scope, one.id, row.feature_id, at)
        for at in (start - DAY, start, end - DAY, end)
    ]
    assert limits == [[("month", limit)] for limit in (100, 400, 400, 100)]


async def test_an_override_lasts_from_its_start_to_its_end(database, scope, clock):
    one, row = await bought(scope, clock)
    start, end = clock.now() + DAY, clock.now() + 3 * DAY
    own = await catalog.override(
        scope, clock, one.id, feature_id=row.feature_id, terms=units(7), effective_from=start,
        effective_until=end,
    )  # fmt: skip
    assert own.overrides is Overrides.ALL
    limits = [
        await included(scope, one.id, row.feature_id, at)
        for at in (start - DAY, start, end - DAY, end)
    ]
    assert limits == [[("month", limit)] for limit in (100, 7, 7, 100)]
    payload = {"subscription_id": one.id, "feature_id": row.feature_id}
    assert await told(scope, own.id) == [("entitlement.created", payload)]
    async with refused(scope, AlreadyExists, "ALREADY_EXISTS", "featureId"):
        await catalog.override(scope, clock, one.id, feature_id=row.feature_id)
    await catalog.override(
        scope, clock, one.id, feature_id=row.feature_id, effective_from=end, terms=units(9)
    )
    assert await included(scope, one.id, row.feature_id, end) == [("month", 9)]


async def test_an_override_is_replaced_and_removed(database, scope, clock):
    one, row = await bought(scope, clock)
    end = clock.now() + 9 * DAY
    own = await catalog.override(
        scope, clock, one.id, feature_id=row.feature_id, terms=units(7), effective_until=end
    )
    clock.at += DAY
    patch = {"terms": units(50), "overrides": Overrides.NOTHING}
    next_ = await entitling.update(scope, own.id, patch, by=SYSTEM, at=clock.now())
    assert (next_.replaces_id, next_.effective_from, next_.effective_until) == (
        own.id,
        clock.now(),
        end,
    )
    assert await included(scope, one.id, row.feature_id, clock.now()) == [("month", 150)]
    clock.at += DAY
    await entitling.archive(scope, next_.id, by=SYSTEM, at=clock.now())
    assert await included(scope, one.id, row.feature_id, clock.now()) == [("month", 100)]
    assert await audited(scope, own.id) == ["entitlement.create", "entitlement.replace"]
    assert await audited(scope, next_.id) == ["entitlement.create", "entitlement.archive"]


async def test_an_override_may_begin_in_the_past_but_not_in_what_is_billed(database, scope, clock):
    start = clock.now() - 40 * DAY
    one, row = await bought(scope, clock, starts_at=start)
    wanted = {"feature_id": row.feature_id, "terms": units(7)}
    async with refused(scope, Invalid, "EFFECTIVE_IN_PAST", "effectiveFrom"):
        await catalog.override(
            scope, clock, one.id, effective_from=start - timedelta(seconds=1), **wanted
        )
    boundary = one.current_period.end
    await advance(scope, [Billed(one, (point_at(one, boundary),))], at=clock.now())
    async with refused(scope, Invalid, "EFFECTIVE_IN_PAST", "effectiveFrom"):
        await catalog.override(scope, clock, one.id, effective_from=start, **wanted)
    own = await catalog.override(scope, clock, one.id, effective_from=boundary, **wanted)
    assert await included(scope, one.id, row.feature_id, boundary) == [("month", 7)]
    early = {"terms": units(8), "effective_from": boundary - DAY}
    async with refused(scope, Invalid, "EFFECTIVE_IN_PAST", "effectiveFrom"):
        await entitling.update(scope, own.id, early, by=SYSTEM, at=clock.now())


async def test_a_subscription_that_is_over_or_unknown_gets_nothing(database, scope, clock):
    one, row = await bought(scope, clock)
    own = await catalog.override(scope, clock, one.id, feature_id=row.feature_id)
    await cancel(scope, one.id, NOW, by=SYSTEM, at=clock.now())
    async with refused(scope, SubscriptionIsOver, "SUBSCRIPTION_OVER", "id"):
        await entitling.archive(scope, own.id, by=SYSTEM, at=clock.now())
    async with refused(scope, SubscriptionIsOver, "SUBSCRIPTION_OVER", "subscriptionId"):
        await catalog.override(scope, clock, one.id, feature_id=row.feature_id)
    async with refused(scope, NotFound, "NOT_FOUND", "subscriptionId"):
        await catalog.override(
            scope, clock, "sub_01J00000000000000000000000", feature_id=row.feature_id
        )


async def test_what_many_subscriptions_are_given_takes_two_statements(database, scope, clock):
    made = [await bought(scope, clock) for _ in range(3)]
    found = await reads.by_ids(scope, [one.id for one, _ in made])

    async def read():
        given = await reads.entitled(scope, found)
        assert [len(given[one.id].of(row.feature_id)) for one, row in made] == [1, 1, 1]

    assert len(await statements(scope, read)) == 2
