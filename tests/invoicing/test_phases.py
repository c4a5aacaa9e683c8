"""Phases and ramps on real PostgreSQL and ClickHouse, with what they cost."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from app.catalog.actions import prices as selling
from app.catalog.price import ChargeKind, CreatePrice
from app.catalog.price_override import PriceOverride
from app.catalog.prices import PerUnit
from app.catalog.reads import features
from app.invoicing import actions
from app.invoicing.drafts import Moment
from app.kernel.errors import DomainError
from app.kernel.period import Cadence, Period
from app.kernel.scope import SYSTEM
from app.subscriptions import actions as life
from app.subscriptions import reads as subscriptions
from app.subscriptions.change import (
    ChangeMode,
    ChangePlan,
    PhaseTerms,
    SubscriptionChangeKind,
    SubscriptionChangeStatus,
)
from app.subscriptions.changes.canceling import CancelSubscription
from app.subscriptions.changes.pausing import PauseMode, PauseSubscription
from app.subscriptions.changes.pending import ChangeKind, pending
from app.subscriptions.commitments import Commitment, CommitmentTerms
from app.subscriptions.phases import MOST, Phase, PhasesEnd, SetPhases, spans
from app.subscriptions.subscription import (
    CancelMode,
    CreateSubscription,
    Held,
    Override,
    SubscriptionStatus,
)
from tests.invoicing.changing import asked, hold, items, notes, plan, run, seats
from tests.invoicing.test_billing import APR, FEB, MAR, everything, invoices
from tests.invoicing.world import JAN

D = Decimal
MAY, JUL, AUG, OCT, NOV = (datetime(2025, month, 1, tzinfo=UTC) for month in (5, 7, 8, 10, 11))
YEAR = datetime(2026, 1, 1, tzinfo=UTC)
MID, LATER = datetime(2025, 2, 15, tzinfo=UTC), datetime(2025, 2, 22, tzinfo=UTC)
QUARTER = Cadence("month", 3)


def phase(starts_at, *quantities, ends_at=None, commitments=None, **plan):
    """A phase that holds so much of each (price, quantity)."""
    held = tuple(Held(price_id, D(quantity)) for price_id, quantity in quantities)
    what = ChangePlan(
        **{"keeps_overrides": True, "quantities": held, **plan},
        phase=PhaseTerms(commitments=commitments),
    )
    return Phase(starts_at=starts_at, ends_at=ends_at, what=what)


def own(price_id, amount):
    return Override(price_id=price_id, terms=PriceOverride(model=PerUnit(D(amount))))


def agreed(subscription, *phases, at_end="continue"):
    return SetPhases(subscription_id=subscription.id, phases=phases, at_end=PhasesEnd(at_end))


async def agree(world, subscription, *phases, **how):
    wanted = agreed(subscription, *phases, **how)
    return await life.set_phases(world.scope, wanted, by=SYSTEM, at=world.clock.now())


async def shown(world, subscription):
    """The phases: when, and what became of the change that each begins with."""
    row = await subscriptions.get(world.scope, subscription.id)
    rows = (await subscriptions.phases(world.scope, [row.id]))[row.id]
    return [
        (each.change.effective_at, each.ends_at, each.change.status) for each in spans(row, rows)
    ]


async def held_of(world, subscription, at):
    return [line.quantity for line in await items(world, subscription) if line.covers(at)]


@pytest.fixture
async def team(world):
    """Two seats at 10 a month since February, which is billed; it is the middle of February."""
    plan_id, (seat,) = await plan(world, "Team", "10")
    subscription = await seats(world, "acme", plan_id, seat, 2, starts_at=FEB)
    await run(world, FEB)
    world.clock.at = MID
    return subscription, seat


async def test_a_ramp_is_billed_quarter_by_quarter_as_it_was_agreed_on(world):
    """10, 50 and 100 seats, cheaper from the second quarter on, with a promise in the third and
    another price of usage in the fourth; all the sums are by hand."""
    plan_id, (seat,) = await plan(world, "Ramp", "10", cadence=QUARTER)
    measured = (await features.by_lookup_keys(world.scope, ["requests"]))["requests"]
    usage = CreatePrice(
        plan_id=plan_id, display_name="Requests", charge=ChargeKind.USAGE, currency="USD",
        model=PerUnit(D("0.01")), cadence=QUARTER, feature_id=measured.id,
    )  # fmt: skip
    requests = (await selling.create(world.scope, usage, by=SYSTEM, at=JAN)).id
    promised = CommitmentTerms(Commitment(D(300), true_up=True), requests)
    command = CreateSubscription(
        customer_id=(await world.customer("acme")).id,
        plan_id=plan_id,
        cadence=QUARTER,
        quantities=(Held(seat, D(10)),),
    )
    phases = (
        phase(APR, (seat, "50"), ends_at=JUL, overrides=(own(seat, "9"),)),
        phase(JUL, (seat, "100"), commitments=(promised,)),
        phase(OCT, ends_at=YEAR, overrides=(own(requests, "0.02"),)),
    )
    ramp = SetPhases(subscription_id="", phases=phases, at_end=PhasesEnd.CANCEL)
    bought = await actions.subscribe(world.scope, command, by=SYSTEM, at=JAN, phases=ramp)
    scheduled, applied = SubscriptionChangeStatus.SCHEDULED, SubscriptionChangeStatus.APPLIED
    assert await shown(world, bought) == [
        (APR, JUL, scheduled), (JUL, OCT, scheduled), (OCT, YEAR, scheduled),
    ]  # fmt: skip
    coming = (await subscriptions.scheduled_changes(world.scope, [bought.id]))[bought.id]
    assert [(each.kind, each.at) for each in pending(bought, JAN, coming)] == [
        (ChangeKind.PHASE, APR), (ChangeKind.PHASE, JUL), (ChangeKind.PHASE, OCT),
        (ChangeKind.CANCEL, YEAR),
    ]  # fmt: skip
    used = [(FEB, "1000"), (MAY, "2000"), (AUG, "5000"), (NOV, "40000")]
    await world.use("acme", [(at, amount, "eu") for at, amount in used])
    await run(world, JAN)
    clickhouse = world.services.clickhouse
    seen = await actions.preview(world.scope, bought.id, clickhouse, moment=Moment(MAR, None))
    assert seen.invoice.totals.subtotal == 450 + 10
    for at in (APR, JUL, OCT, YEAR):
        await run(world, at)
    assert [invoice.totals.subtotal for invoice in await invoices(world)] == [
        10 * 10,
        50 * 9 + 10,  # 1000 × 0.01
        100 * 9 + 20,
        100 * 9 + 300,  # 50, and what is missing of the promise
        800,  # 40000 × 0.02, more than promised
    ]
    after = await subscriptions.get(world.scope, bought.id)
    assert (after.status, after.ends_at) == (SubscriptionStatus.CANCELED, YEAR)
    assert [status for _, _, status in await shown(world, bought)] == [applied] * 3


async def test_phases_to_come_are_replaced_and_what_has_begun_stays(world, team):
    subscription, seat = team
    first = (phase(MAR, (seat, "5")), phase(APR, (seat, "8"), ends_at=MAY))
    await agree(world, subscription, *first, at_end="cancel")
    assert (await subscriptions.get(world.scope, subscription.id)).ends_at == MAY
    # One within the period is looked at, and agreed on instead of these.
    wanted = (phase(LATER, (seat, "4")), phase(MAR, (seat, "3"), ends_at=APR))
    before = await everything(world)
    clickhouse, now = world.services.clickhouse, world.clock.now()
    found = await actions.preview_phases(
        world.scope, agreed(subscription, *wanted), clickhouse, by=SYSTEM, at=now
    )
    assert (found.effective_at, found.invoice.invoice.totals.subtotal) == (LATER, 10)
    assert [each.note.total for each in found.notes] == [5]  # a quarter of February
    assert found.following.invoice.totals.subtotal == 30
    assert await everything(world) == before
    made = await agree(world, subscription, *wanted)
    assert {each.kind for each in made} == {SubscriptionChangeKind.PHASE}
    after = await subscriptions.get(world.scope, subscription.id)
    assert (after.ends_at, after.cancellation) == (None, None)
    await run(world, LATER)
    assert [note.total for note in await notes(world, subscription)] == [5]
    applied, scheduled = SubscriptionChangeStatus.APPLIED, SubscriptionChangeStatus.SCHEDULED
    assert await shown(world, subscription) == [(LATER, MAR, applied), (MAR, APR, scheduled)]
    # None: what has begun goes on.
    await agree(world, subscription)
    assert await shown(world, subscription) == [(LATER, None, applied)]
    await run(world, MAR)
    assert await asked(world) == [
        ("subscription_create", [("Team seats", Period(FEB, MAR), D(20))]),
        ("subscription_update", [("Team seats", Period(LATER, MAR), D(10))]),
        ("subscription_cycle", [("Team seats", Period(MAR, APR), D(40))]),
    ]


async def test_a_phase_may_go_over_to_another_plan_and_begin_in_a_pause(world, team):
    """And one in the past counts where the subscription starts there."""
    subscription, seat = team
    other, (desk,) = await plan(world, "Pro", "30")
    pro = phase(MAR, (desk, "3"), plan_id=other)
    await agree(world, subscription, pro, phase(APR, (desk, "4")))
    pause = PauseSubscription(
        mode=PauseMode.AT, at=datetime(2025, 3, 15, tzinfo=UTC),
        resumes_at=datetime(2025, 4, 16, tzinfo=UTC),
    )  # fmt: skip
    await life.pause(world.scope, subscription.id, pause, by=SYSTEM, at=world.clock.now())
    for at in (MAR, APR, MAY):
        await run(world, at)
    after = await subscriptions.get(world.scope, subscription.id)
    assert after.plan_id == other
    assert await held_of(world, subscription, MAR) == [3]
    assert await held_of(world, subscription, APR) == [4]
    plans = (await subscriptions.holdings(world.scope, [subscription.id]))[subscription.id]
    assert [(each.owner.id, each.ends_at) for each in plans] == [
        (subscription.plan_id, MAR), (other, None),
    ]  # fmt: skip
    assert (await asked(world))[-1] == (
        "subscription_cycle", [("Pro seats", Period(MAY, datetime(2025, 6, 1, tzinfo=UTC)), D(120))]
    )  # fmt: skip
    command = CreateSubscription(
        customer_id=(await world.customer("late")).id, plan_id=subscription.plan_id, starts_at=FEB
    )
    ramp = SetPhases(subscription_id="", phases=(phase(MAR, (seat, "5")),))
    late = await actions.subscribe(world.scope, command, by=SYSTEM, at=MAY, phases=ramp)
    await run(world, MAY)
    assert (await held_of(world, late, FEB), await held_of(world, late, MAR)) == ([1], [5])
    mine = [each for each in await invoices(world) if each.subscription_id == late.id]
    assert [each.totals.subtotal for each in mine] == [10, 50, 50, 50]


async def test_what_cannot_be_a_phase_is_refused_by_a_code(world, team):
    subscription, seat = team
    other, (desk,) = await plan(world, "Pro", "30")
    await hold(world, subscription, "7", mode=ChangeMode.PERIOD_END)
    before = await everything(world)
    promised = CommitmentTerms(Commitment(D(1)), seat)
    for phases, at_end, field, code in [
        ([phase(FEB)], "continue", "phases[0].startsAt", "INVALID_AT"),
        ([phase(APR), phase(MAR)], "continue", "phases[1].startsAt", "INVALID_PHASES"),
        ([phase(MAR)], "continue", "phases[0].startsAt", "CHANGED_AT_INSTANT"),
        ([phase(APR, ends_at=APR)], "continue", "phases[0].endsAt", "INVALID_PHASES"),
        ([phase(APR)], "cancel", "phases[0].endsAt", "REQUIRED"),
        ([phase(APR, plan_id="plan_0")], "continue", "phases[0].planId", "NOT_FOUND"),
        ([phase(APR, ("pri_0", "1"))], "continue", "phases[0].quantities[0].priceId", "NOT_FOUND"),
        ([phase(APR, (desk, "1"))], "continue", "phases[0].quantities[0].priceId",
         "INVALID_QUANTITIES"),
        ([phase(APR), phase(MAY, overrides=(own(desk, "1"),))], "continue",
         "phases[1].overrides[0].priceId", "INVALID_OVERRIDES"),
        ([phase(APR, price_ids=(desk,))], "continue", "phases[0].priceIds[0]",
         "INVALID_PRICE_IDS"),
        # It is on the other plan by then.
        ([phase(APR, plan_id=other), phase(MAY, (seat, "1"))], "continue",
         "phases[1].quantities[0].priceId", "INVALID_QUANTITIES"),
        ([phase(APR, commitments=(promised,))], "continue", "phases[0].commitments[0].priceId",
         "COMMITMENT_NOT_APPLICABLE"),
        ([phase(APR.replace(year=2026 + year)) for year in range(MOST + 1)], "continue",
         "phases", "INVALID_PHASES"),
    ]:  # fmt: skip
        with pytest.raises(DomainError) as refused:
            await agree(world, subscription, *phases, at_end=at_end)
        assert (refused.value.code, refused.value.field) == (code, field)
    assert await everything(world) == before
    end = CancelSubscription(mode=CancelMode.AT, at=MAY)
    await life.cancel(world.scope, subscription.id, end, by=SYSTEM, at=world.clock.now())
    draft = CreateSubscription(customer_id=subscription.customer_id, plan_id=other, draft=True)
    before = await everything(world)
    for phases, at_end, field, code in [
        ([phase(MAY)], "continue", "phases[0].startsAt", "SUBSCRIPTION_ENDS_BEFORE"),
        ([phase(APR, ends_at=MAY)], "cancel", "phasesEnd", "CANCELLATION_PENDING"),
    ]:
        with pytest.raises(DomainError) as refused:
            await agree(world, subscription, *phases, at_end=at_end)
        assert (refused.value.code, refused.value.field) == (code, field)
    ramp, now = SetPhases(subscription_id="", phases=(phase(APR),)), world.clock.now()
    with pytest.raises(DomainError) as refused:
        await actions.subscribe(world.scope, draft, by=SYSTEM, at=now, phases=ramp)
    assert (refused.value.code, refused.value.field) == ("SUBSCRIPTION_DRAFT", "phases")
    assert await everything(world) == before
