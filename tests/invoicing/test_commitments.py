"""Commitments on real bills: of a line, of all usage, of windows and of several periods."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from app.catalog.actions import plans, prices
from app.catalog.plan import CreatePlan
from app.catalog.price import ChargeKind, CreatePrice
from app.catalog.prices import Adjustments, Graduated, PerUnit, Tier
from app.invoicing import actions, billing, explanation
from app.invoicing.drafts import Moment
from app.invoicing.invoice import InvoiceStatus, LineKind
from app.kernel.copies import replace
from app.kernel.errors import Invalid
from app.kernel.ids import new_id
from app.kernel.period import Cadence
from app.kernel.scope import SYSTEM
from app.subscriptions import actions as verbs
from app.subscriptions import reads as subscriptions
from app.subscriptions.actions import create
from app.subscriptions.commitments import NO_COMMITMENT, Commitment, CommitmentTerms, DayPart
from app.subscriptions.subscription import CreateSubscription, PaymentTerms
from tests.invoicing.test_billing import FEB, bill, invoices, lines
from tests.invoicing.test_corrections import booked, correct, finalize
from tests.invoicing.test_priced_usage import requests
from tests.invoicing.world import JAN

D = Decimal
MAR, APR, MAY = (datetime(2025, month, 1, tzinfo=UTC) for month in (3, 4, 5))
DIME = PerUnit(D("0.1"))


async def plan(world, *sold):
    """A plan with a price of the world's meter for each of (model, adjustments)."""
    how = {"by": SYSTEM, "at": JAN}
    made = await plans.create(world.scope, CreatePlan(name="Pro", lookup_key=new_id("plan")), **how)
    feature = await requests(world)
    rows = [
        await prices.create(
            world.scope,
            CreatePrice(
                plan_id=made.id, display_name=f"Usage {number}", charge=ChargeKind.USAGE,
                model=model, adjustments=adjustments, currency="USD", feature_id=feature.id,
            ),
            **how,
        )
        for number, (model, adjustments) in enumerate(sold)
    ]  # fmt: skip
    return made.id, [row.id for row in rows]


async def promise(world, model=DIME, *, adjustments=None, whole=False, **terms):
    """acme on a plan of one price, with a commitment to it or to all usage."""
    plan_id, (price_id,) = await plan(world, (model, adjustments or Adjustments()))
    given = {name: terms.pop(name) for name in ("windowed", "duration") if name in terms}
    extra = {name: terms.pop(name) for name in ("terms", "ends_at") if name in terms}
    promised = CommitmentTerms(Commitment(**terms), None if whole else price_id, **given)
    return await world.subscribe("acme", plan_id=plan_id, commitments=(promised,), **extra)


async def amounts(world):
    """The kinds and amounts of every invoice's lines; each line leads to its amount, and every
    invoice comes out again as it is."""
    found = []
    for invoice in await invoices(world):
        rows = await lines(world, invoice)
        assert all(explanation.evaluate(row.explanation) == row.amount for row in rows)
        again = await actions.replay(world.scope, invoice.id, world.services.clickhouse)
        assert again.differences == ()
        found.append([(row.kind.value, row.amount) for row in rows])
    return found


async def test_a_line_pays_for_what_is_missing_and_more_for_what_is_beyond(world):
    await promise(world, amount=D(100), overage_factor=D("1.5"), true_up=True)
    await world.use("acme", [(JAN, "800", "eu"), (FEB, "2000", "eu")])
    await bill(world, MAR)
    await bill(world, MAR)
    assert await amounts(world) == [[("usage", D(100))], [("usage", D(250))]]


async def test_without_a_true_up_less_usage_costs_less(world):
    await promise(world, amount=D(100), overage_factor=D(2))
    await world.use("acme", [(JAN, "800", "eu")])
    await bill(world, FEB)
    assert await amounts(world) == [[("usage", D(80))]]


async def test_a_quantity_is_worth_what_the_tiers_ask_for_it_after_free_units(world):
    tiers = Graduated((Tier(D(100), D(1)), Tier(None, D("0.5"))))
    free = Adjustments(free_units=D(50))
    await promise(world, tiers, adjustments=free, quantity=D(200), overage_factor=D(3))
    await world.use("acme", [(JAN, "450", "eu")])
    await bill(world, FEB)
    # 400 units beyond the free ones cost 100 + 150; 200 of them are worth 150, the rest costs ×3.
    assert await amounts(world) == [[("usage", D(150 + 300))]]


async def test_every_window_has_the_commitment_for_itself(world):
    daily = Adjustments(bucket="day")
    await promise(
        world, PerUnit(D(1)), adjustments=daily, windowed=True,
        amount=D(10), overage_factor=D(2), true_up=True,
    )  # fmt: skip
    await world.use("acme", [(JAN, "4", "eu"), (JAN + timedelta(days=3), "15", "eu")])
    await bill(world, FEB)
    # The day beyond pays 10 + 5 × 2, the other thirty pay 10 each.
    assert await amounts(world) == [[("usage", D(20 + 30 * 10))]]


NIGHT = DayPart(22, 6, Commitment(D(2), overage_factor=D(3), true_up=True))
NOON = DayPart(12, 14, Commitment(quantity=D(10), overage_factor=D(2)), PerUnit(D("0.5")))
BERLIN = ZoneInfo("Europe/Berlin")


async def by_the_hour(world, month, *parts, rest=NO_COMMITMENT):
    """acme on hours at 1 a unit in Berlin, from the first of a month of 2025."""
    plan_id, (price_id,) = await plan(world, (PerUnit(D(1)), Adjustments(bucket="hour")))
    terms = CommitmentTerms(rest, price_id, windowed=True, day_parts=parts)
    start = datetime(2025, month, 1, tzinfo=BERLIN)
    await world.subscribe(
        "acme", plan_id=plan_id, starts_at=start, timezone="Europe/Berlin", commitments=(terms,)
    )
    return start


@pytest.mark.parametrize(
    ("month", "changes_on", "hours"), [(3, 30, 31 * 8 - 1), (10, 26, 31 * 8 + 1)]
)
async def test_hours_of_the_night_have_terms_of_their_own_when_clocks_change(
    world, month, changes_on, hours
):
    """Nights have eight hours, one less in March and one more in October."""
    start = await by_the_hour(world, month, NIGHT, NOON)

    def at(day, hour, fold=0):
        return datetime(2025, month, day, hour, 30, tzinfo=BERLIN, fold=fold).astimezone(UTC)

    await world.use(
        "acme",
        [
            (at(1, 5), "5", "eu"),  # night: 2 + 3 × 3
            (at(1, 6), "7", "eu"),  # by day: 7
            (at(1, 13), "30", "eu"),  # noon: 5 of 15 are promised, 5 + 10 × 2
            (at(1, 22), "1", "eu"),  # night: 2, as for every hour without usage
            (at(changes_on, 2, fold=0), "2", "eu"),
            (at(changes_on, 2, fold=1), "4", "eu"),
        ],
    )
    # On 26 October, 2:30 comes twice: 2, and 2 + 2 × 3. On 30 March it does not: both are taken
    # for the hours beside it, 3:30 and 1:30.
    await bill(world, start + timedelta(days=32))
    (((_, amount), *_),) = await amounts(world)
    assert amount == (11 + 2 + 2 + 8) + 7 + 25 + (hours - 4) * 2
    (line,) = await lines(world, (await invoices(world))[0])
    parts = {step["inputs"].get("time_of_day") for step in line.explanation["parts"][0]["parts"]}
    assert parts == {"22:00–06:00", "12:00–14:00", None}


async def test_usage_of_an_hour_that_comes_late_is_corrected_by_the_terms_of_its_time(world):
    start = await by_the_hour(world, 1, NOON)
    end = start + timedelta(days=31)
    await bill(world, end)
    await finalize(world, end)
    assert await amounts(world) == [[("usage", D(0))]]
    late = start + timedelta(days=4, hours=12)
    await world.use("acme", [(late, "30", "eu")], accepted=end + timedelta(days=1))
    await correct(world, end + timedelta(days=2))
    assert [found.amount for found in await booked(world)] == [25]


QUARTER = {
    "amount": D(300),
    "overage_factor": D(2),
    "true_up": True,
    "duration": Cadence("quarter"),
}
USED = [(JAN, "500", "eu"), (FEB, "1000", "eu"), (MAR, "2500", "eu"), (APR, "100", "eu")]


@pytest.mark.parametrize("at_once", [False, True])
async def test_a_commitment_for_a_quarter_counts_what_earlier_months_billed(world, at_once):
    await promise(world, **QUARTER)
    await world.use("acme", USED)
    for at in [MAY] if at_once else [JAN, FEB, MAR, APR, MAY]:
        await bill(world, at)
    # 50 and 100 of 300 in January and February; March uses 250, of which 150 are left.
    assert await amounts(world) == [
        [("usage", D(50))],
        [("usage", D(100))],
        [("usage", D(150 + 200))],
        [("usage", D(10))],
    ]


async def test_what_is_missing_of_a_quarter_is_paid_in_its_last_month(world):
    await promise(world, whole=True, **QUARTER)
    await world.use("acme", USED[:2])
    await bill(world, APR)
    assert await amounts(world) == [
        [("usage", D(50))],
        [("usage", D(100))],
        [("usage", D(0)), ("true_up", D(150))],
    ]


async def test_all_usage_together_is_committed_to_by_a_line_of_its_own(world):
    plan_id, (first, second) = await plan(
        world, (DIME, Adjustments()), (PerUnit(D("0.01")), Adjustments())
    )
    whole = CommitmentTerms(Commitment(D(100), overage_factor=D("1.5"), true_up=True))
    await world.subscribe("acme", plan_id=plan_id, commitments=(whole,))
    await world.use("acme", [(JAN, "500", "eu"), (FEB, "2000", "eu")])
    await bill(world, FEB)
    (january,) = await invoices(world)
    assert await amounts(world) == [[("usage", D(50)), ("usage", D(5)), ("true_up", D(45))]]
    assert january.totals.total == 100
    await bill(world, MAR)
    assert (await amounts(world))[1] == [
        ("usage", D(200)),
        ("usage", D(20)),
        ("commitment", D(60)),  # half of the 120 beyond
    ]
    (*_, line) = await lines(world, (await invoices(world))[1])
    assert (line.description, line.price_id, line.subscription_line_item_id) == (
        "Overage beyond the commitment", None, None,
    )  # fmt: skip
    assert {first, second} == {
        row.price_id for row in await lines(world, january) if row.kind is LineKind.USAGE
    }


async def test_a_line_with_a_commitment_of_its_own_does_not_count_for_all(world):
    plan_id, (own, _) = await plan(world, (DIME, Adjustments()), (DIME, Adjustments()))
    terms = (
        CommitmentTerms(Commitment(D(80)), own),
        CommitmentTerms(Commitment(D(100), true_up=True)),
    )
    await world.subscribe("acme", plan_id=plan_id, commitments=terms)
    await world.use("acme", [(JAN, "500", "eu")])
    await bill(world, FEB)
    assert await amounts(world) == [[("usage", D(50)), ("usage", D(50)), ("true_up", D(50))]]


@pytest.mark.parametrize("whole", [False, True])
async def test_usage_billed_ahead_by_a_threshold_counts_once(world, whole):
    threshold = PaymentTerms(auto_invoice_threshold=D(60))
    await promise(
        world, whole=whole, amount=D(100), overage_factor=D(2), true_up=True, terms=threshold
    )
    await bill(world, JAN)
    await world.use("acme", [(JAN, "700", "eu"), (JAN + timedelta(days=20), "600", "eu")])
    world.clock.at = JAN + timedelta(days=10)
    await billing.threshold_page(world.services, world.page())
    await bill(world, FEB)
    ahead, last = (sum(amount for _, amount in each) for each in await amounts(world))
    assert (ahead, ahead + last) == (70, 100 + 30 * 2)


async def test_other_terms_hold_from_the_next_period_on(world):
    before = await promise(world, amount=D(100), true_up=True)
    price_id = before.commitments[0].terms.price_id
    world.clock.at = at = JAN + timedelta(days=10)
    await bill(world, at)
    fewer = CommitmentTerms(Commitment(D(20), true_up=True), price_id)
    after = await verbs.update(world.scope, before.id, {"commitments": (fewer,)}, by=SYSTEM, at=at)
    held = [(c.terms.commitment.amount, c.starts_at, c.ends_at) for c in after.commitments]
    assert held == [(100, None, FEB), (20, FEB, None)]
    again = await verbs.update(world.scope, before.id, {"commitments": (fewer,)}, by=SYSTEM, at=at)
    assert again.commitments == after.commitments
    assert (await subscriptions.get(world.scope, before.id)).commitments == after.commitments
    await bill(world, MAR)
    await bill(world, MAR)
    assert await amounts(world) == [[("usage", D(100))], [("usage", D(20))]]


async def test_the_terms_of_a_draft_change_altogether(world):
    plan_id, (price_id,) = await plan(world, (DIME, Adjustments()))
    terms = CommitmentTerms(Commitment(D(100), true_up=True), price_id)
    bought = await world.subscribe("acme", plan_id=plan_id, draft=True, commitments=(terms,))
    other = CommitmentTerms(Commitment(D(30), true_up=True))
    await verbs.update(world.scope, bought.id, {"commitments": (other,)}, by=SYSTEM, at=JAN)
    active = await verbs.activate(world.scope, bought.id, None, by=SYSTEM, at=JAN)
    assert [(each.terms, each.starts_at) for each in active.commitments] == [(other, None)]
    await bill(world, FEB)
    assert await amounts(world) == [[("usage", D(0)), ("true_up", D(30))]]


async def test_none_hold_once_they_are_taken_away(world):
    bought = await promise(world, amount=D(100), true_up=True)
    await bill(world, JAN)
    await verbs.update(world.scope, bought.id, {"commitments": ()}, by=SYSTEM, at=JAN)
    await world.use("acme", [(FEB, "10", "eu")])
    await bill(world, FEB)
    await bill(world, MAR)
    assert await amounts(world) == [[("usage", D(100))], [("usage", D(1))]]


async def test_preview_and_another_computation_come_to_what_is_billed(world):
    bought = await promise(world, whole=True, **QUARTER)
    await world.use("acme", USED)
    await bill(world, FEB)
    await bill(world, MAR)
    world.clock.at = APR
    moment = Moment(APR, APR)
    seen = await actions.preview(world.scope, bought.id, world.services.clickhouse, moment=moment)
    patient = world.patient(finalization_delay_seconds=3600)
    await billing.bill_page(patient.services, patient.page())
    last = (await invoices(world))[-1]
    assert last.status is InvoiceStatus.DRAFT
    written = await lines(world, last)
    nothing = {"id": "", "invoice_id": ""}
    assert [replace(line, **nothing) for line in seen.lines] == [
        replace(line, **nothing) for line in written
    ]
    await actions.compute(world.scope, last.id, world.services.clickhouse, by=SYSTEM, moment=moment)
    assert [replace(each, **nothing) for each in await lines(world, last)] == [
        replace(line, **nothing) for line in written
    ]
    assert [line.amount for line in written] == [250, 100]


async def test_what_cannot_be_kept_is_refused_and_nothing_is_bought(world):
    plan_id, (plain, daily, hourly) = await plan(
        world,
        (DIME, Adjustments()),
        (DIME, Adjustments(bucket="day")),
        (DIME, Adjustments(bucket="hour")),
    )
    customer = await world.customer("acme")
    year, hundred = Cadence("year"), Commitment(D(100))
    for terms, code in (
        ((CommitmentTerms(hundred, plain),) * 2, "DUPLICATE_COMMITMENT"),
        ((CommitmentTerms(hundred, "pri_none"),), "INVALID_COMMITMENTS"),
        ((CommitmentTerms(hundred, plain, windowed=True),), "COMMITMENT_NOT_APPLICABLE"),
        ((CommitmentTerms(hundred, windowed=True),), "COMMITMENT_NOT_APPLICABLE"),
        ((CommitmentTerms(Commitment(quantity=D(1))),), "COMMITMENT_NOT_APPLICABLE"),
        ((CommitmentTerms(Commitment(quantity=D(1)), daily),), "COMMITMENT_NOT_APPLICABLE"),
        ((CommitmentTerms(hundred, daily, True, year),), "INVALID_COMMITMENT_DURATION"),
        ((CommitmentTerms(hundred, daily, True, day_parts=(NIGHT,)),), "COMMITMENT_NOT_APPLICABLE"),
        ((CommitmentTerms(hundred, hourly, day_parts=(NIGHT,)),), "COMMITMENT_NOT_APPLICABLE"),
        (
            (CommitmentTerms(hundred, hourly, True, None, (NIGHT, DayPart(5, 7))),),
            "INVALID_TIME_OF_DAY",
        ),
        (
            (CommitmentTerms(hundred, plain, duration=Cadence("week")),),
            "INVALID_COMMITMENT_DURATION",
        ),
        ((CommitmentTerms(Commitment(D(0)), plain),), "NOT_POSITIVE"),
    ):
        wanted = CreateSubscription(
            customer_id=customer.id, plan_id=plan_id, starts_at=JAN, commitments=terms
        )
        with pytest.raises(Invalid) as refused:
            await create(world.scope, wanted, by=SYSTEM, at=JAN)
        assert refused.value.code == code
        assert (refused.value.field or "").startswith("commitments[")
    assert await subscriptions.count_by_status(world.scope) == dict.fromkeys(
        await subscriptions.count_by_status(world.scope), 0
    )
