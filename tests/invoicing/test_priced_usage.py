"""Every kind of usage price on a real bill: asked of ClickHouse, rated, stored and explained."""

from datetime import timedelta
from decimal import Decimal

from app.catalog.actions import features, plans, prices
from app.catalog.feature import CreateFeature, FeatureType
from app.catalog.plan import CreatePlan
from app.catalog.price import ChargeKind, CreatePrice
from app.catalog.prices import (
    Adjustments,
    Dynamic,
    Formula,
    Graduated,
    GraduatedPercentage,
    Matrix,
    MatrixRow,
    Package,
    Percentage,
    PercentageTier,
    PerUnit,
    Tier,
    Transform,
    Variable,
)
from app.catalog.reads import features as feature_reads
from app.invoicing import explanation
from app.kernel.copies import replace
from app.kernel.ids import new_id
from app.kernel.scope import SYSTEM
from app.metering import actions as meters
from app.metering.aggregations import Count
from app.metering.filters import Match
from app.metering.meter import CreateMeter
from tests.invoicing.test_billing import FEB, bill, invoices, lines
from tests.invoicing.world import JAN

D = Decimal
TIERS = (Tier(D(100), D(1)), Tier(None, D("0.5")))
EVENTS = [
    (JAN + timedelta(hours=1), "50", "eu"),
    (JAN + timedelta(hours=2), "100", "us"),
    (JAN + timedelta(days=3), "250", "eu"),
    (JAN + timedelta(days=3, hours=5), "400", "asia"),
]


async def requests(world):
    """The feature that the world's meter counts."""
    found = await feature_reads.by_lookup_keys(world.scope, ["requests"])
    return found["requests"]


async def sell(world, model, *, name="Sold", **fields):
    """A plan of its own with this price of the world's meter; a subscription of acme to it."""
    how = {"by": SYSTEM, "at": JAN}
    plan = await plans.create(world.scope, CreatePlan(name=name, lookup_key=new_id("plan")), **how)
    feature = await requests(world)
    command = CreatePrice(
        plan_id=plan.id, display_name=name, charge=ChargeKind.USAGE, model=model,
        currency="USD", feature_id=feature.id, **fields,
    )  # fmt: skip
    sold = await prices.create(world.scope, command, **how)
    await world.subscribe("acme", plan_id=plan.id)
    return sold


async def billed(world):
    """The lines of the usage of January, which lead to their amounts."""
    await world.use("acme", EVENTS)
    await bill(world, FEB)
    found = await lines(world, (await invoices(world))[-1])
    for line in found:
        assert explanation.evaluate(line.explanation) == line.amount
    return [(line.description, dict(line.group), line.quantity, line.amount) for line in found]


async def test_a_percentage_walks_the_events_in_their_order(world):
    model = Percentage(D("1.3"), D(2), free_amount=D(250))
    await sell(world, model)
    assert await billed(world) == [("Sold", {}, 800, D("11.15"))]


async def test_a_percentage_of_each_group_has_its_own_free_events_and_limits(world):
    model = Percentage(D(1), D(1), free_events=1, max_per_event=D(3))
    await sell(world, model, group_by=("region",), adjustments=Adjustments(minimum=D("0.25")))
    assert await billed(world) == [
        ("Sold", {"region": "asia"}, 400, D("0.25")),
        ("Sold", {"region": "eu"}, 300, D(3)),
        ("Sold", {"region": "us"}, 100, D("0.25")),
    ]


async def test_a_percentage_by_tiers_and_the_amounts_that_events_carry(world):
    tiers = (PercentageTier(D(500), D(2)), PercentageTier(None, D(1), D(5)))
    await sell(world, GraduatedPercentage(tiers))
    assert await billed(world) == [("Sold", {}, 800, D(18))]
    await sell(world, Dynamic(D("1.25")), name="Passed on")
    await bill(world, FEB)
    (line,) = await lines(world, (await invoices(world))[-1])
    assert (line.description, line.amount) == ("Passed on", 1000)


def regions(**fields):
    rows = (
        MatrixRow((Match("region", ("eu", "us")),), Graduated(TIERS), "Atlantic"),
        MatrixRow((Match("region", ("mars",)),), PerUnit(D(9)), "Mars"),
    )
    return Matrix(rows, PerUnit(D("0.1")), "Elsewhere", **fields)


async def test_a_matrix_prices_what_matches_a_row_together(world):
    await sell(world, regions())
    assert await billed(world) == [("Sold", {}, 800, D(250 + 40))]


async def test_a_matrix_prices_every_combination_apart(world):
    await sell(world, regions(cells="apart"))
    assert await billed(world) == [("Sold", {}, 800, D(200 + 100 + 40))]


async def test_each_row_of_a_matrix_can_have_a_line_under_its_name(world):
    await sell(world, regions(line_per_row=True), adjustments=Adjustments(minimum=D(50)))
    assert await billed(world) == [
        ("Atlantic", {}, 400, D(250)),
        ("Elsewhere", {}, 400, D(50)),
    ]


async def test_a_formula_brings_several_meters_together(world):
    how = {"by": SYSTEM, "at": JAN}
    calls = await meters.create(
        world.scope,
        CreateMeter(
            name="Calls", event_name="request", aggregation=Count(), dimensions=("region",)
        ),
        **how,
    )
    named = await features.create(
        world.scope,
        CreateFeature(
            name="Calls", lookup_key="calls", type=FeatureType.METERED, meter_id=calls.id
        ),
        **how,
    )
    amount = await requests(world)
    model = Formula.parsed(
        "size * 0.01[USD/byte] + if(calls > 1[call], calls * 2[USD/call], 0)",
        (Variable("size", "byte", amount.id), Variable("calls", "call", named.id)),
    )
    sold = await sell(world, model, group_by=("region",))
    assert [variable.meter_id for variable in sold.model.variables] == [world.meter_id, calls.id]
    assert await billed(world) == [
        ("Sold", {"region": "asia"}, 400, D(4)),
        ("Sold", {"region": "eu"}, 300, D(7)),
        ("Sold", {"region": "us"}, 100, D(1)),
    ]
    (_, line, _) = await lines(world, (await invoices(world))[-1])
    leaves = explanation.from_json(line.explanation).parts[2:]
    assert [(leaf.inputs["variable"], leaf.inputs["meter_id"], leaf.result) for leaf in leaves] == [
        ("size", world.meter_id, "300"),
        ("calls", calls.id, "2"),
    ]


async def test_every_day_of_the_period_is_priced_on_its_own_in_the_subscriptions_zone(world):
    terms = Adjustments(bucket="day", free_units=D(20))
    await sell(world, Package(D(5), D(100)), adjustments=terms)
    # Days of 150 and 650 units; 2 + 7 packages.
    assert await billed(world) == [("Sold", {}, 800, D(45))]


async def test_days_without_usage_pay_the_first_flat_where_that_is_charged(world):
    tiers = Graduated((Tier(None, D("0.01"), D(2)),), "first_tier_flat")
    await sell(world, tiers, adjustments=Adjustments(bucket="day"))
    assert await billed(world) == [("Sold", {}, 800, D(8 + 31 * 2))]


async def test_groups_that_are_priced_together_share_the_charge_by_quantity(world):
    terms = Adjustments(tiers_per="total", transform=Transform(divide_by=D(3)))
    await sell(world, Graduated(TIERS), group_by=("region",), adjustments=terms)
    # 266.67 units cost 183.33 together: 4/8, 3/8 and 1/8 of it.
    assert await billed(world) == [
        ("Sold", {"region": "asia"}, 400, D("91.67")),
        ("Sold", {"region": "eu"}, 300, D("68.75")),
        ("Sold", {"region": "us"}, 100, D("22.91")),
    ]


async def test_groups_without_usage_that_are_priced_together_still_owe_the_minimum(world):
    terms = Adjustments(tiers_per="total", minimum=D(7))
    await sell(world, Graduated(TIERS), group_by=("region",), adjustments=terms)
    await bill(world, FEB)
    (line,) = await lines(world, (await invoices(world))[-1])
    assert (line.group, line.quantity, line.amount) == ({}, 0, 7)


class Counting:
    """ClickHouse, and what it was asked."""

    def __init__(self, clickhouse):
        self.inner, self.asked = clickhouse, []

    async def select(self, sql, *args, **options):
        self.asked.append(sql)
        return await self.inner.select(sql, *args, **options)


async def test_prices_of_one_kind_of_split_share_one_question(world):
    """Ten subscriptions with five prices of one meter: three questions in all."""
    how = {"by": SYSTEM, "at": JAN}
    plan = await plans.create(world.scope, CreatePlan(name="Many", lookup_key="many"), **how)
    feature = await requests(world)
    for model, fields in [
        (PerUnit(D(1)), {}),
        (Graduated(TIERS), {}),
        (Percentage(D(1)), {}),
        (Percentage(D(2), D(1)), {}),
        (PerUnit(D(2)), {"group_by": ("region",)}),
    ]:
        command = CreatePrice(
            plan_id=plan.id, display_name="Many", charge=ChargeKind.USAGE, model=model,
            currency="USD", feature_id=feature.id, **fields,
        )  # fmt: skip
        await prices.create(world.scope, command, **how)
    for n in range(10):
        await world.subscribe(f"c{n}", plan_id=plan.id)
        await world.use(f"c{n}", EVENTS)
    counting = Counting(world.services.clickhouse)
    await bill(replace(world, services=replace(world.services, clickhouse=counting)), FEB)
    assert len(counting.asked) == 3
    found = [await lines(world, invoice) for invoice in await invoices(world)]
    assert {tuple(line.amount for line in each) for each in found if each} == {
        (800, 450, 8, 20, 800, 600, 200)
    }
