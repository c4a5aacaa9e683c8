"""Whether a customer may use a feature, from its subscriptions to the counted events."""

from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal

import pytest
from prometheus_client import REGISTRY

from app.catalog.actions import features
from app.catalog.entitlement import Overrides, Owner, OwnerKind
from app.catalog.entitlement_terms import Boolean, Config, Metered, Resets, Static
from app.catalog.feature import FeatureType
from app.customers.customer import CreateCustomer
from app.infra.clickhouse import ClickHouse
from app.kernel.errors import Invalid, NotFound
from app.kernel.scope import SYSTEM, Scope
from app.metering import actions as meters
from app.metering import meters_usage, usage
from app.metering import reads as meter_reads
from app.metering.aggregations import Count, CountUnique, Sum
from app.metering.usage import Span
from app.subscriptions.access import Reason
from app.subscriptions.access_reads import Whose
from app.subscriptions.actions import cancel, create_customer, entitling, pause
from app.subscriptions.changes.canceling import CancelSubscription
from app.subscriptions.changes.pausing import PauseSubscription
from app.subscriptions.checking import MAX_FEATURES, access
from app.subscriptions.subscription import CancelMode
from tests.catalog import make as catalog
from tests.metering.make import Stored, process
from tests.statements import statements
from tests.subscriptions import make

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
D = Decimal
NOW = CancelSubscription(mode=CancelMode.NOW)


@dataclass
class World:
    """A customer, and a plan that the features made here are given by."""

    scope: Scope
    clock: object
    clickhouse: ClickHouse
    customer: object
    plan: object
    meters: dict = field(default_factory=dict)

    async def feature(self, key, type_=FeatureType.METERED, *, backfilled=True, **meter):
        if type_ is FeatureType.METERED:
            wanted = {"event_name": key, "aggregation": Count(), "dimensions": ()} | meter
            made = await catalog.meter(self.scope, self.clock, **wanted)
            if backfilled:
                await meters.backfill(self.scope, self.clickhouse, made.id, at=self.clock.now())
            self.meters[key] = await meter_reads.get(self.scope, made.id)
            meter = {"meter_id": made.id}
        return await catalog.feature(self.scope, self.clock, lookup_key=key, type=type_, **meter)

    async def gives(self, feature, terms, **fields):
        return await catalog.entitlement(
            self.scope, self.clock, self.plan.id, feature_id=feature.id, terms=terms, **fields
        )

    async def subscribe(self, **fields):
        wanted = {"customer_id": self.customer.id, "plan_id": self.plan.id} | fields
        return await make.subscription(self.scope, self.clock, **wanted)

    async def use(self, key, *instants, properties='{"seconds": 1}'):
        events = [
            Stored(properties, at, self.customer.external_id, name=key, ingested_at=at)
            for at in instants
        ]
        await process(self.clickhouse, self.scope, [self.meters[key]], events)

    async def check(self, *keys, at=None):
        found = await access(
            self.scope,
            self.clickhouse,
            Whose("id", self.customer.id),
            keys,
            at=at or self.clock.now(),
        )
        return found.answers

    async def numbers(self, key, at=None):
        """The reason, the limit, what is used and what is left."""
        (answer,) = await self.check(key, at=at)
        return answer.reason.value, answer.limit, answer.used, answer.remaining


@pytest.fixture
async def world(database, clickhouse, scope, clock):
    """At noon of 15 June 2024."""
    plan = await make.plan(scope, clock)
    return World(scope, clock, clickhouse, await make.customer(scope, clock), plan)


async def test_many_features_are_answered_in_the_order_asked(world):
    calls = await world.feature("calls")
    await world.gives(calls, Metered(D(3), Resets.DAY))
    sso = await world.feature("sso", FeatureType.BOOLEAN)
    await world.gives(sso, Boolean())
    level = await world.feature("level", FeatureType.STATIC)
    await world.gives(level, Static("gold"))
    regions = await world.feature("regions", FeatureType.CONFIG)
    await world.gives(regions, Config({"regions": ["eu"]}))
    await world.feature("beta", FeatureType.BOOLEAN)
    one = await world.subscribe()
    world.clock.at += HOUR
    now = world.clock.now()
    await world.use("calls", now - DAY, now - HOUR, now - timedelta(minutes=1), now)
    answers = await world.check("calls", "sso", level.id, "regions", "beta", "nothing", "calls")
    assert [(each.key, each.allowed, each.reason.value) for each in answers] == [
        ("calls", True, "included"),
        ("sso", True, "included"),
        (level.id, True, "included"),
        ("regions", True, "included"),
        ("beta", False, "not_included"),
        ("nothing", False, "unknown_feature"),
        ("calls", True, "included"),
    ]
    metered = answers[0]
    assert metered == answers[-1]
    # Yesterday's and what is not before the instant do not count; the subscription began at noon.
    assert (metered.limit, metered.used, metered.remaining) == (3, 2, 1)
    midnight = now.replace(hour=0) + DAY
    assert (metered.resets_at, metered.soft, metered.unlimited) == (midnight, False, False)
    assert [(g.subscription_id, g.entitlement.owner) for g in metered.sources] == [
        (one.id, Owner(OwnerKind.PLAN, world.plan.id, one.plan_version_id))
    ]
    assert (answers[2].values, answers[3].values) == (("gold",), ({"regions": ["eu"]},))
    assert (answers[1].limit, answers[1].used, answers[5].feature) == (None, None, None)


async def test_a_hard_limit_stops_and_a_soft_one_tells(world):
    for key, soft in (("hard", False), ("soft", True)):
        await world.gives(await world.feature(key), Metered(D(2), soft=soft))
    await world.subscribe()
    start = world.clock.now()
    world.clock.at += HOUR
    for key in ("hard", "soft"):
        await world.use(key, start)
        assert await world.numbers(key) == ("included", 2, 1, 1)
        await world.use(key, start, start)
    assert await world.numbers("hard") == ("limit_reached", 2, 3, 0)
    assert await world.numbers("soft") == ("soft_limit_reached", 2, 3, 0)
    hard, soft = await world.check("hard", "soft")
    assert (hard.allowed, soft.allowed, soft.soft) == (False, True, True)


async def test_no_limit_is_not_a_limit_of_nothing(world):
    await world.gives(await world.feature("endless"), Metered(None))
    await world.gives(await world.feature("none"), Metered(D(0)))
    await world.subscribe()
    await world.use("endless", world.clock.now())
    world.clock.at += HOUR
    endless, none = await world.check("endless", "none")
    assert (endless.allowed, endless.unlimited, endless.limit, endless.used) == (
        True, True, None, 1,
    )  # fmt: skip
    assert (none.allowed, none.unlimited, none.reason) == (False, False, Reason.LIMIT_REACHED)
    assert (none.limit, none.used, none.remaining) == (0, 0, 0)


async def test_a_sliding_window_ends_now(world):
    feature = await world.feature("calls")
    await world.gives(feature, Metered(D(5), Resets.SLIDING, "P7D"))
    start = world.clock.now()
    await world.subscribe()
    await world.use("calls", start, start + DAY, start + 5 * DAY)
    assert await world.numbers("calls", start + 6 * DAY) == ("included", 5, 3, 2)
    assert await world.numbers("calls", start + 7 * DAY) == ("included", 5, 3, 2)
    later = start + 7 * DAY + timedelta(milliseconds=1)
    assert await world.numbers("calls", later) == ("included", 5, 2, 3)
    (answer,) = await world.check("calls", at=later)
    assert answer.resets_at is None


async def test_what_is_not_in_force_says_why(world):
    feature = await world.feature("sso", FeatureType.BOOLEAN)
    await world.gives(feature, Boolean())

    async def reason(at=None):
        (answer,) = await world.check("sso", at=at)
        return answer.reason, answer.allowed

    now = world.clock.now()
    assert await reason() == (Reason.NO_SUBSCRIPTION, False)
    one = await world.subscribe(starts_at=now + DAY, ends_at=now + 3 * DAY)
    assert await reason() == (Reason.SUBSCRIPTION_NOT_STARTED, False)
    assert await reason(now + DAY) == (Reason.INCLUDED, True)
    assert await reason(now + 3 * DAY) == (Reason.SUBSCRIPTION_ENDED, False)
    world.clock.at += 2 * DAY
    await cancel(world.scope, one.id, NOW, by=SYSTEM, at=world.clock.now())
    assert await reason() == (Reason.SUBSCRIPTION_CANCELED, False)
    assert await reason(now + DAY) == (Reason.INCLUDED, True)


async def test_a_draft_and_a_paused_subscription_give_nothing(world):
    await world.gives(await world.feature("sso", FeatureType.BOOLEAN), Boolean())

    async def reason(at):
        (answer,) = await world.check("sso", at=at)
        return answer.reason, answer.allowed

    now = world.clock.now()
    await world.subscribe(draft=True)
    assert await reason(now + DAY) == (Reason.SUBSCRIPTION_NOT_STARTED, False)
    one = await world.subscribe()
    assert await reason(now) == (Reason.INCLUDED, True)
    command = PauseSubscription(resumes_at=now + 2 * DAY)
    await pause(world.scope, one.id, command, by=SYSTEM, at=now)
    assert await reason(now + DAY) == (Reason.SUBSCRIPTION_PAUSED, False)
    assert await reason(now + 2 * DAY) == (Reason.INCLUDED, True)


async def test_a_change_counts_with_the_next_call(world):
    feature = await world.feature("calls")
    await world.gives(feature, Metered(D(5)))
    one = await world.subscribe()
    assert await world.numbers("calls") == ("included", 5, 0, 5)
    own = await catalog.override(
        world.scope, world.clock, one.id, feature_id=feature.id, terms=Metered(D(7)),
        overrides=Overrides.NOTHING,
    )  # fmt: skip
    assert await world.numbers("calls") == ("included", 12, 0, 12)
    world.clock.at += HOUR
    off = {"enabled": False, "overrides": Overrides.ALL}
    own = await entitling.update(world.scope, own.id, off, by=SYSTEM, at=world.clock.now())
    assert await world.numbers("calls") == ("disabled", None, None, None)
    world.clock.at += HOUR
    await entitling.archive(world.scope, own.id, by=SYSTEM, at=world.clock.now())
    assert await world.numbers("calls") == ("included", 5, 0, 5)
    await cancel(world.scope, one.id, NOW, by=SYSTEM, at=world.clock.now())
    assert await world.numbers("calls") == ("subscription_canceled", None, None, None)


async def test_several_subscriptions_give_together(world):
    calls = await world.feature("calls")
    await world.gives(calls, Metered(D(5), Resets.DAY))
    level = await world.feature("level", FeatureType.STATIC)
    await world.gives(level, Static("silver"))
    await world.subscribe()
    second = await world.subscribe()
    await world.use("calls", world.clock.now())
    world.clock.at += HOUR
    assert await world.numbers("calls") == ("included", 10, 1, 9)
    await catalog.override(
        world.scope, world.clock, second.id, feature_id=level.id, terms=Static("gold")
    )
    (answer,) = await world.check("level")
    assert answer.values == ("gold", "silver")
    await catalog.override(
        world.scope, world.clock, second.id, feature_id=calls.id, terms=Metered(None, Resets.DAY)
    )
    assert await world.numbers("calls") == ("included", None, 1, None)


async def test_allowances_of_different_rhythms_are_used_up_one_after_another(world):
    calls = await world.feature("calls")
    await world.gives(calls, Metered(D(2), Resets.DAY))
    one = await world.subscribe()
    await catalog.override(
        world.scope, world.clock, one.id, feature_id=calls.id, terms=Metered(D(4), Resets.NEVER),
        overrides=Overrides.NOTHING,
    )  # fmt: skip
    start = world.clock.now()
    await world.use("calls", *[start + n * HOUR for n in range(5)])  # three pass the first day
    await world.use("calls", start + DAY, start + DAY + HOUR)
    (answer,) = await world.check("calls", at=start + DAY + 2 * HOUR)
    assert [(b.resets.value, b.limit, b.used, b.remaining) for b in answer.balances] == [
        ("day", 2, 2, 0),
        ("never", 4, 3, 1),
    ]
    assert (answer.limit, answer.used, answer.remaining) == (6, 5, 1)
    assert answer.resets_at == start.replace(hour=0) + 2 * DAY
    await world.use("calls", *[start + DAY + 2 * HOUR] * 3)
    assert await world.numbers("calls", start + DAY + 3 * HOUR) == ("limit_reached", 6, 8, 0)


async def test_a_key_means_what_has_it_or_else_what_had_it_last(world):
    old = await world.feature("sso", FeatureType.BOOLEAN)
    row = await world.gives(old, Boolean())
    await world.subscribe()
    await entitling.archive(world.scope, row.id, by=SYSTEM, at=world.clock.now())
    await features.archive(world.scope, old.id, by=SYSTEM, at=world.clock.now())
    (answer,) = await world.check("sso")
    assert (answer.feature.id, answer.reason) == (old.id, Reason.INCLUDED)
    new = await world.feature("sso", FeatureType.BOOLEAN)
    by_key, by_id = await world.check("sso", old.id)
    assert (by_key.feature.id, by_key.reason) == (new.id, Reason.NOT_INCLUDED)
    assert (by_id.feature.id, by_id.reason) == (old.id, Reason.INCLUDED)


async def test_who_is_unknown_and_what_is_too_much_is_refused(world):
    how = {"at": world.clock.now()}
    for whose, name in (
        (Whose("id", "cus_01J00000000000000000000000"), "customerId"),
        (Whose("external_id", "nobody"), "externalCustomerId"),
    ):
        with pytest.raises(NotFound) as caught:
            await access(world.scope, world.clickhouse, whose, ["x"], **how)
        assert caught.value.field == name
    stranger = Scope(world.scope.tenant_id, "env_01J00000000000000000000000")
    for mine in (Whose("id", world.customer.id), Whose("external_id", world.customer.external_id)):
        with pytest.raises(NotFound):
            await access(stranger, world.clickhouse, mine, ["x"], **how)
    for keys in ([], ["x"] * (MAX_FEATURES + 1)):
        with pytest.raises(Invalid) as refused:
            await access(world.scope, world.clickhouse, Whose("id", world.customer.id), keys, **how)
        assert refused.value.code == "INVALID_FEATURES"


async def test_the_number_of_questions_does_not_grow_with_what_is_asked(world):
    rhythms = [each for each in Resets if each is not Resets.SLIDING]
    for index in range(10):
        feature = await world.feature(f"f{index}")
        await world.gives(feature, Metered(D(5), rhythms[index % len(rhythms)]))
    for _ in range(3):
        await world.subscribe()
    world.clock.at += HOUR
    for keys in (["f0"], [f"f{index}" for index in range(10)]):
        before = _queries()
        sent = await statements(world.scope, lambda keys=keys: world.check(*keys))
        assert (len(sent), _queries() - before) == (4, 1), sent


def _queries():
    """How many queries this process has put to ClickHouse."""
    labels = {"operation": "select", "outcome": "ok"}
    return REGISTRY.get_sample_value("tariff_clickhouse_seconds_count", labels)


async def test_what_is_asked_of_many_meters_at_once_is_what_each_of_them_says(world):
    await world.feature("count")
    await world.feature("sum", aggregation=Sum("seconds"))
    await world.feature("unique", aggregation=CountUnique("seconds"))
    await world.feature("fresh", backfilled=False, aggregation=Sum("seconds"))
    start = world.clock.now()
    for key in world.meters:
        for value in ("1.5", "2", "2"):
            await world.use(key, start, start + HOUR, properties=f'{{"seconds": {value}}}')
    name = world.customer.external_id
    spans = [
        Span(name, make.Period(start, start + HOUR)),
        Span(name, make.Period(start, start + DAY)),
        Span(name, make.Period(start, start)),
        Span("nobody", make.Period(start, start + DAY)),
    ]
    by_id = {meter.id: meter for meter in world.meters.values()}
    asked = [(key, span) for key in by_id for span in spans]
    found = await meters_usage.totals(world.scope, world.clickhouse, by_id, asked)
    assert list(found) == asked
    for meter in by_id.values():
        each = await usage.totals(world.scope, world.clickhouse, meter, spans)
        assert {span: found[meter.id, span] for span in spans} == each
    quantities = [found[meter.id, spans[1]].quantity for meter in world.meters.values()]
    assert quantities == [6, D("11"), 2, D("11")]
    # One customer, and every meter once: asked in other words, and answered the same.
    once = list(zip(by_id, (spans[0], spans[1], spans[0], spans[1]), strict=True))
    plain = await meters_usage.totals(world.scope, world.clickhouse, by_id, once)
    assert plain == {each: found[each] for each in once}


async def test_a_child_uses_up_what_its_parents_family_is_given(world):
    """Its own subscriptions answer first; what they do not give, the family's do."""
    calls, seats = await world.feature("calls"), await world.feature("seats")
    await world.gives(calls, Metered(D(5), Resets.NEVER))
    other = await make.plan(world.scope, world.clock)
    await catalog.entitlement(
        world.scope, world.clock, other.id, feature_id=seats.id, terms=Metered(D(2), Resets.NEVER)
    )
    parent = world.customer
    await world.subscribe(family_usage=True)
    made = []
    for name, inherits in (("eu", True), ("alone", False)):
        command = CreateCustomer(
            external_id=name, name=name, parent_id=parent.id, inherits=inherits, currency="USD"
        )
        how = {"by": SYSTEM, "at": world.clock.now()}
        made.append(await create_customer(world.scope, command, **how))
    eu, alone = made
    await make.subscription(world.scope, world.clock, customer_id=eu.id, plan_id=other.id)
    world.clock.at += HOUR
    for who, times in ((parent, 1), (eu, 2), (alone, 4)):
        world.customer = who
        await world.use("calls", *[world.clock.at] * times)
        await world.use("seats", world.clock.at)
    world.clock.at += HOUR
    for who in (parent, eu):
        world.customer = who
        assert await world.numbers("calls") == ("included", D(5), D(3), D(2))
    assert await world.numbers("seats") == ("included", D(2), D(1), D(1))
    world.customer = alone
    assert (await world.numbers("calls"))[0] == "no_subscription"
