"""Changes of quantity and plan on real PostgreSQL and ClickHouse, with the money they move."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from app.infra.postgres import fetch
from app.invoicing.credit_note import CreditNoteKind, CreditNoteReason
from app.invoicing.invoice import InvoiceStatus
from app.kernel.errors import Invalid, NotFound
from app.kernel.period import Period
from app.kernel.scope import SYSTEM
from app.subscriptions import actions as life
from app.subscriptions import reads as subscriptions
from app.subscriptions.actions import changing as verbs
from app.subscriptions.change import (
    ChangeMode,
    Direction,
    SubscriptionChangeKind,
    SubscriptionChangeStatus,
)
from app.subscriptions.changes.canceling import CancelSubscription
from app.subscriptions.changes.pausing import PauseSubscription, ResumeSubscription
from app.subscriptions.commitments import Commitment, CommitmentTerms
from app.subscriptions.errors import (
    ChangedAtInstant,
    EndsBefore,
    LineHasNoQuantity,
    NothingChanges,
    SubscriptionHasNotStarted,
    SubscriptionIsDraft,
    SubscriptionIsOver,
    SubscriptionIsPaused,
)
from app.subscriptions.pause import PauseBehaviour
from app.subscriptions.subscription import CancelMode, FirstFee, Held, ProrateBy
from tests.invoicing.changing import (
    asked,
    changes,
    go_to,
    hold,
    items,
    notes,
    plan,
    run,
    seats,
)
from tests.invoicing.test_accounts import pay
from tests.invoicing.test_billing import APR, FEB, MAR, everything, invoices, lines

# Half of February has gone by.
MID = datetime(2025, 2, 15, tzinfo=UTC)
FEBRUARY = Period(FEB, MAR)
APPLIED = SubscriptionChangeStatus.APPLIED


@pytest.fixture
async def team(world):
    """10 a seat and month in advance, 0.01 a request in arrears; two seats of it are held since
    February, which is billed and issued."""
    plan_id, (seat, requests) = await plan(world, "Team", "10", usage="0.01")
    subscription = await seats(world, "acme", plan_id, seat, 2, starts_at=FEB)
    await run(world, FEB)
    return subscription, plan_id, seat, requests


async def test_more_seats_are_charged_for_the_rest_of_the_period_less_what_was_paid(world, team):
    subscription, *_ = team
    (before, requests) = await items(world, subscription)
    world.clock.at = MID
    change = await hold(world, subscription, 5)

    assert (change.kind, change.status) == (SubscriptionChangeKind.QUANTITY, APPLIED)
    assert (change.effective_at, change.applied_at) == (MID, MID)
    assert change.direction is Direction.UPGRADE
    closed, kept, opened = await items(world, subscription)
    assert kept == requests
    assert (closed.id, closed.quantity, closed.ends_at) == (before.id, 2, MID)
    assert (opened.quantity, opened.starts_at, opened.ends_at) == (5, MID, None)
    assert (opened.line_key, opened.replaces_id) == (before.line_key, before.id)
    assert (opened.change_id, opened.first_fee) == (change.id, FirstFee.PRORATED)
    assert (change.closed_ids, change.opened_ids) == ((closed.id,), (opened.id,))

    (note,) = await notes(world, subscription)
    assert (note.total, note.reason) == (Decimal(10), CreditNoteReason.SUBSCRIPTION_CHANGE)
    assert (note.kind, change.credit_note_ids) == (CreditNoteKind.ADJUSTMENT, (note.id,))
    first, update = await invoices(world)
    assert (first.totals.total, first.amount_remaining) == (Decimal(20), Decimal(10))
    assert (update.id, update.source_id) == (change.invoice_id, change.id)
    assert (update.status, update.reason.value) == (InvoiceStatus.FINALIZED, "subscription_update")
    assert (update.period, update.tax_point) == (Period(MID, MAR), MID)
    (line,) = await lines(world, update)
    assert (line.amount, line.service, line.quantity) == (Decimal(25), Period(MID, MAR), 5)


async def test_the_next_period_is_billed_once_for_what_is_held_then(world, team):
    subscription, *_ = team
    world.clock.at = MID
    await hold(world, subscription, 5)
    await run(world, MAR)
    await run(world, APR)
    assert await asked(world) == [
        ("subscription_create", [("Team seats", FEBRUARY, Decimal(20))]),
        ("subscription_update", [("Team seats", Period(MID, MAR), Decimal(25))]),
        (
            "subscription_cycle",
            [
                ("Team seats", Period(MAR, APR), Decimal(50)),
                ("Team requests", FEBRUARY, Decimal(0)),
            ],
        ),
        (
            "subscription_cycle",
            [
                ("Team seats", Period(APR, datetime(2025, 5, 1, tzinfo=UTC)), Decimal(50)),
                ("Team requests", Period(MAR, APR), Decimal(0)),
            ],
        ),
    ]


async def test_what_was_paid_becomes_a_balance_that_pays_at_once(world, team):
    """Of an invoice that is paid the credit is kept, and the change's own invoice takes it."""
    subscription, *_ = team
    (first,) = await invoices(world)
    await pay(world, first, "20")
    world.clock.at = MID
    change = await hold(world, subscription, 5)
    (note,) = await notes(world, subscription)
    assert (note.kind, note.total, note.balance) == (CreditNoteKind.CREDIT, Decimal(10), 0)
    _, update = await invoices(world)
    assert change.invoice_id == update.id
    assert (update.totals.total, update.totals.credited) == (Decimal(25), Decimal(10))
    assert update.amount_remaining == Decimal(15)


async def test_fewer_seats_give_back_more_than_they_cost(world, team):
    subscription, *_ = team
    world.clock.at = MID
    change = await hold(world, subscription, 1)
    assert change.direction is Direction.DOWNGRADE
    (note,) = await notes(world, subscription)
    assert note.total == Decimal(10)
    _, update = await invoices(world)
    assert update.totals.total == Decimal(5)


async def test_none_at_all_is_charged_nothing_and_makes_no_invoice(world, team):
    subscription, *_ = team
    world.clock.at = MID
    change = await hold(world, subscription, 0)
    assert change.invoice_id is None
    assert len(await invoices(world)) == 1
    assert [note.total for note in await notes(world, subscription)] == [Decimal(10)]


async def test_without_proration_the_next_period_is_the_first_to_cost_more(world, team):
    subscription, *_ = team
    world.clock.at = MID
    change = await hold(world, subscription, 5, proration="none")
    assert (change.invoice_id, change.credit_note_ids) == (None, ())
    await run(world, MAR)
    assert await notes(world, subscription) == []
    assert [amounts for _, amounts in await asked(world)] == [
        [("Team seats", FEBRUARY, Decimal(20))],
        [("Team seats", Period(MAR, APR), Decimal(50)), ("Team requests", FEBRUARY, Decimal(0))],
    ]


async def test_on_the_next_invoice_the_rest_of_the_period_is_a_line_and_the_credit_pays(
    world, team
):
    subscription, *_ = team
    world.clock.at = MID
    change = await hold(world, subscription, 5, proration="next_invoice")
    assert change.invoice_id is None
    (note,) = await notes(world, subscription)
    assert note.total == Decimal(10)
    await run(world, MAR)
    await run(world, APR)
    found = [amounts for _, amounts in await asked(world)]
    assert found[1] == [
        ("Team seats", Period(MID, MAR), Decimal(25)),
        ("Team seats", Period(MAR, APR), Decimal(50)),
        ("Team requests", FEBRUARY, Decimal(0)),
    ]
    assert found[2][0] == (
        "Team seats", Period(APR, datetime(2025, 5, 1, tzinfo=UTC)), Decimal(50),
    )  # fmt: skip


async def test_another_plan_bills_what_was_used_until_then_by_its_own_price(world, team):
    subscription, *_ = team
    other, (seat, _) = await plan(world, "Scale", "30", usage="0.002")
    await world.use("acme", [(FEB, "100", "eu"), (MID, "1000", "eu")])
    world.clock.at = MID
    change = await go_to(world, subscription, other, quantities=(Held(seat, Decimal(3)),))
    assert change.kind is SubscriptionChangeKind.PLAN
    after = await subscriptions.get(world.scope, subscription.id)
    assert (after.plan_id, after.anchor, after.id) == (other, subscription.anchor, subscription.id)
    assert after.plan_version_id != subscription.plan_version_id
    old, new = (await subscriptions.holdings(world.scope, [after.id]))[after.id]
    assert (old.ends_at, new.starts_at, new.ends_at) == (MID, MID, None)
    assert new.owner.version_id == after.plan_version_id
    await run(world, MAR)
    assert (await asked(world))[1:] == [
        ("subscription_update", [("Scale seats", Period(MID, MAR), Decimal(45))]),
        (
            "subscription_cycle",
            [
                ("Scale seats", Period(MAR, APR), Decimal(90)),
                ("Team requests", Period(FEB, MID), Decimal(1)),
                ("Scale requests", Period(MID, MAR), Decimal(2)),
            ],
        ),
    ]
    assert [note.total for note in await notes(world, subscription)] == [Decimal(10)]


async def test_what_was_promised_of_a_price_ends_with_the_plan_and_of_all_usage_stays(world):
    plan_id, (seat, requests) = await plan(world, "Team", "10", usage="0.01")
    promised = (
        CommitmentTerms(Commitment(amount=Decimal(5), true_up=True), requests),
        CommitmentTerms(Commitment(amount=Decimal(40), true_up=True)),
    )
    subscription = await seats(
        world, "acme", plan_id, seat, 2, starts_at=FEB, commitments=promised
    )  # fmt: skip
    await run(world, FEB)
    other, _ = await plan(world, "Scale", "30", usage="0.002")
    world.clock.at = MID
    await go_to(world, subscription, other)
    after = await subscriptions.get(world.scope, subscription.id)
    assert [(each.terms.price_id, each.ends_at) for each in after.commitments] == [
        (requests, MID), (None, None),
    ]  # fmt: skip
    await run(world, MAR)
    await run(world, APR)
    kinds = [
        [(line.description, line.amount) for line in await lines(world, each)
         if line.kind not in ("fixed",)]
        for each in await invoices(world)
        if each.reason == "subscription_cycle"
    ]  # fmt: skip
    assert kinds == [
        [("Team requests", 5), ("Scale requests", 0), ("True-up to the commitment", 40)],
        [("Scale requests", 0), ("True-up to the commitment", 40)],
    ]


async def test_a_change_at_the_end_of_the_period_moves_no_money_of_its_own(world, team):
    subscription, *_ = team
    world.clock.at = MID
    change = await hold(world, subscription, 5, mode=ChangeMode.PERIOD_END)
    assert (change.status, change.effective_at) == (SubscriptionChangeStatus.SCHEDULED, MAR)
    assert (await subscriptions.get(world.scope, subscription.id)).next_change_at == MAR
    assert len(await items(world, subscription)) == 2
    await run(world, MAR)
    (done,) = await changes(world, subscription)
    assert (done.status, done.applied_at, done.invoice_id) == (APPLIED, MAR, None)
    assert (await subscriptions.get(world.scope, subscription.id)).next_change_at is None
    assert await notes(world, subscription) == []
    assert (await asked(world))[1:] == [
        (
            "subscription_cycle",
            [
                ("Team seats", Period(MAR, APR), Decimal(50)),
                ("Team requests", FEBRUARY, Decimal(0)),
            ],
        ),
    ]


async def test_after_an_outage_changes_and_bills_come_in_their_order(world, team):
    """As if the runs had been in time: March begins with two seats, and ends with five."""
    subscription, *_ = team
    middle = datetime(2025, 3, 16, 12, tzinfo=UTC)
    world.clock.at = MID
    await hold(world, subscription, 5, mode=ChangeMode.AT, at=middle)
    await run(world, datetime(2025, 4, 10, tzinfo=UTC))
    assert (await asked(world))[1:] == [
        (
            "subscription_cycle",
            [("Team seats", Period(MAR, APR), Decimal(20)), ("Team requests", FEBRUARY, 0)],
        ),
        ("subscription_update", [("Team seats", Period(middle, APR), Decimal(25))]),
        (
            "subscription_cycle",
            [
                ("Team seats", Period(APR, datetime(2025, 5, 1, tzinfo=UTC)), Decimal(50)),
                ("Team requests", Period(MAR, APR), 0),
            ],
        ),
    ]
    assert [note.total for note in await notes(world, subscription)] == [Decimal(10)]


async def test_a_change_of_what_is_not_billed_yet_is_billed_with_it(world):
    plan_id, (seat,) = await plan(world, "Team", "10")
    subscription = await seats(world, "acme", plan_id, seat, 2, starts_at=FEB)
    world.clock.at = FEB
    await hold(world, subscription, 3)
    await run(world, FEB)
    assert await asked(world) == [("subscription_create", [("Team seats", FEBRUARY, Decimal(30))])]


async def test_fees_that_are_due_are_billed_and_issued_before_they_are_given_back(world):
    plan_id, (seat,) = await plan(world, "Team", "10")
    subscription = await seats(world, "acme", plan_id, seat, 2, starts_at=FEB)
    world.clock.at = MID
    change = await hold(world, subscription, 3)
    assert change.status is APPLIED
    first, update = await invoices(world)
    assert {first.status, update.status} == {InvoiceStatus.FINALIZED}
    assert (first.totals.total, update.totals.total) == (Decimal(20), Decimal(15))
    assert [note.total for note in await notes(world, subscription)] == [Decimal(10)]


async def test_where_usage_is_to_be_billed_first_the_run_makes_the_change(world, team):
    subscription, *_ = team
    late = datetime(2025, 3, 16, 12, tzinfo=UTC)
    world.clock.at = late
    change = await hold(world, subscription, 5)
    assert (change.status, change.effective_at) == (SubscriptionChangeStatus.SCHEDULED, late)
    await run(world, late + timedelta(minutes=1))
    (done,) = await changes(world, subscription)
    assert (done.status, done.effective_at) == (APPLIED, late)
    assert [note.total for note in await notes(world, subscription)] == [Decimal(10)]
    assert (await asked(world))[-1] == (
        "subscription_update", [("Team seats", Period(late, APR), Decimal(25))],
    )  # fmt: skip


async def test_a_draft_that_waits_for_usage_is_given_back_of_when_it_is_issued(world, team):
    subscription, *_ = team
    patient = world.patient(finalization_delay_seconds=86_400)
    await run(patient, MAR)
    early = MAR + timedelta(hours=12)
    patient.clock.at = early
    change = await hold(patient, subscription, 4)
    assert (change.status, change.credit_note_ids) == (APPLIED, ())
    cycle = (await invoices(world))[1]
    assert cycle.status is InvoiceStatus.DRAFT
    await run(patient, MAR + timedelta(days=1))
    (note,) = await notes(world, subscription)
    (done,) = await changes(world, subscription)
    assert (note.invoice_id, done.credit_note_ids) == (cycle.id, (note.id,))
    assert note.total == Decimal("19.68")  # 30.5 of 31 days of 20
    (left,) = await fetch(
        world.scope, "SELECT count(*) AS n FROM due_items WHERE kind = $1", "subscription.credit"
    )
    assert left["n"] == 0


async def test_changes_in_a_trial_cost_nothing(world):
    plan_id, (seat,) = await plan(world, "Team", "10")
    other, (better,) = await plan(world, "Scale", "30")
    subscription = await seats(world, "acme", plan_id, seat, 2, starts_at=FEB, trial_ends_at=MAR)
    await run(world, FEB)
    world.clock.at = MID
    await hold(world, subscription, 5)
    await go_to(world, subscription, other, quantities=(Held(better, Decimal(4)),))
    await run(world, MAR)
    assert await asked(world) == [("trial_end", [("Scale seats", Period(MAR, APR), Decimal(120))])]


async def test_a_change_known_to_end_is_charged_until_then(world, team):
    subscription, *_ = team
    end = datetime(2025, 2, 22, tzinfo=UTC)
    world.clock.at = MID - timedelta(days=1)
    cancel = CancelSubscription(mode=CancelMode.AT, at=end)
    await life.cancel(world.scope, subscription.id, cancel, by=SYSTEM, at=world.clock.now())
    world.clock.at = MID
    await hold(world, subscription, 4)
    assert (await asked(world))[1] == (
        "subscription_update", [("Team seats", Period(MID, end), Decimal(10))],
    )  # fmt: skip
    await life.uncancel(world.scope, subscription.id, by=SYSTEM, at=world.clock.now())
    await run(world, end)
    assert (await asked(world))[2] == (
        "subscription_update", [("Team seats", Period(end, MAR), Decimal(10))],
    )  # fmt: skip


async def test_what_is_given_back_is_at_most_what_was_billed_and_not_given_back(world, team):
    subscription, *_ = team
    for hours, quantity in enumerate((5, 1, 9, 2)):
        world.clock.at = MID + timedelta(hours=hours)
        line = (await changes(world, subscription))[:1]
        await hold(world, subscription, quantity, line=line[0].opened_ids[0] if line else None)
    for invoice in await invoices(world):
        given = [
            n.amounts.amount for n in await notes(world, subscription) if n.invoice_id == invoice.id
        ]
        assert sum(given) <= invoice.totals.subtotal


async def test_a_change_for_the_periods_end_follows_it_where_a_pause_moves_it(world, team):
    subscription, *_ = team
    world.clock.at = MID
    change = await hold(world, subscription, 5, mode=ChangeMode.PERIOD_END)
    how = {"by": SYSTEM}
    still = PauseSubscription(behaviour=PauseBehaviour.EXTEND)
    world.clock.at = start = MID + timedelta(days=5)
    paused = await life.pause(world.scope, subscription.id, still, **how, at=start)
    # Nobody knows when the period ends, so nothing comes until it is resumed.
    assert paused.next_change_at is None
    await run(world, MAR + timedelta(days=1))
    assert [line.quantity for line in await items(world, subscription)] == [2, None]
    other = await go_nowhere(world, subscription)
    assert other.status is SubscriptionChangeStatus.SCHEDULED

    world.clock.at = start + timedelta(days=12)
    resumed = await life.resume(
        world.scope, subscription.id, ResumeSubscription(), **how, at=world.clock.at
    )
    end = MAR + timedelta(days=12)
    moved = (await subscriptions.changes_by_ids(world.scope, [change.id]))[change.id]
    assert (moved.effective_at, resumed.next_change_at) == (end, end)
    await verbs.take_back(world.scope, other.id, by=SYSTEM, at=world.clock.at)
    told = await fetch(
        world.scope,
        "SELECT payload->>'effective_at' AS at FROM outbox WHERE name = $1",
        "subscription.change_scheduled",
    )
    assert sorted({row["at"] for row in told if row["at"][:7] == "2025-03"})[:2] == [
        MAR.isoformat(), end.isoformat(),
    ]  # fmt: skip
    await run(world, APR)
    fees = [
        (service, amount)
        for _, found in await asked(world)
        for description, service, amount in found
        if description == "Team seats"
    ]
    assert fees == [
        (FEBRUARY, Decimal(20)),
        (Period(end, APR + timedelta(days=12)), Decimal(50)),
    ]
    assert (await notes(world, subscription)) == []


async def go_nowhere(world, subscription):
    """A change at an instant, which does not move, after the end that was meant."""
    line = (await items(world, subscription))[0].id
    at = APR + timedelta(days=60)
    return await hold(world, subscription, 3, line=line, mode=ChangeMode.AT, at=at)


async def test_a_change_that_was_taken_back_never_comes(world, team):
    subscription, *_ = team
    world.clock.at = MID
    change = await hold(world, subscription, 5, mode=ChangeMode.PERIOD_END)
    gone = await verbs.take_back(world.scope, change.id, by=SYSTEM, at=MID)
    assert (gone.status, gone.canceled_at) == (SubscriptionChangeStatus.CANCELED, MID)
    await run(world, MAR)
    assert [line.quantity for line in await items(world, subscription)] == [2, None]


async def test_a_subscription_that_is_over_before_a_change_cancels_it(world, team):
    subscription, *_ = team
    world.clock.at = MID
    await hold(world, subscription, 5, mode=ChangeMode.PERIOD_END)
    now = CancelSubscription(mode=CancelMode.NOW)
    await life.cancel(world.scope, subscription.id, now, by=SYSTEM, at=MID)
    await run(world, MAR)
    (change,) = await changes(world, subscription)
    assert change.status is SubscriptionChangeStatus.CANCELED
    assert len(await items(world, subscription)) == 2


async def test_a_change_that_is_refused_when_it_comes_fails_and_billing_goes_on(world, team):
    subscription, *_ = team
    other, _ = await plan(world, "Scale", "30")
    world.clock.at = MID
    await go_to(world, subscription, other, mode=ChangeMode.PERIOD_END)
    await go_to(world, subscription, other)
    await run(world, MAR)
    found = await changes(world, subscription)
    (failed,) = [each for each in found if each.status is SubscriptionChangeStatus.FAILED]
    assert failed.failure.code == "NOTHING_CHANGES"
    assert (await asked(world))[-1][1][0] == ("Scale seats", Period(MAR, APR), Decimal(30))


async def test_what_cannot_be_changed_is_refused_and_stays_as_it_is(world, team):
    subscription, plan_id, *_ = team
    euros, _ = await plan(world, "Euro", "10", currency="EUR")
    yearly, _ = await plan(
        world,
        "Year",
        "100",
        cadence=__import__("app.kernel.period", fromlist=["Cadence"]).Cadence("year"),
    )
    draft = await world.subscribe("draft", plan_id=plan_id, starts_at=FEB, draft=True)
    later = await world.subscribe("later", plan_id=plan_id, starts_at=APR)
    ending = await world.subscribe("ending", plan_id=plan_id, starts_at=FEB, ends_at=MAR)
    paused = await world.subscribe("paused", plan_id=plan_id, starts_at=FEB)
    over = await world.subscribe("over", plan_id=plan_id, starts_at=FEB)
    await run(world, MID)
    await life.pause(world.scope, paused.id, PauseSubscription(), by=SYSTEM, at=MID)
    await life.cancel(
        world.scope, over.id, CancelSubscription(mode=CancelMode.NOW), by=SYSTEM, at=MID
    )
    _, requests = await items(world, subscription)
    await hold(world, subscription, 9, mode=ChangeMode.AT, at=MAR)
    before = await everything(world)
    end, later_on = ChangeMode.PERIOD_END, ChangeMode.AT
    refusals = [
        (hold(world, subscription, 2), NothingChanges, "quantity"),
        (hold(world, subscription, -1), Invalid, "quantity"),
        (hold(world, subscription, 3, line=requests.id), LineHasNoQuantity, "lineItemId"),
        (hold(world, subscription, 3, line="sli_0"), NotFound, "lineItemId"),
        (hold(world, subscription, 3, mode=later_on), Invalid, "at"),
        (hold(world, subscription, 3, mode=later_on, at=FEB), Invalid, "at"),
        (hold(world, subscription, 3, mode=later_on, at=MAR), ChangedAtInstant, "at"),
        (hold(world, draft, 3), SubscriptionIsDraft, "id"),
        (hold(world, later, 3), SubscriptionHasNotStarted, "mode"),
        (hold(world, paused, 3), SubscriptionIsPaused, "mode"),
        (hold(world, over, 3), SubscriptionIsOver, "id"),
        (hold(world, ending, 3, mode=end), EndsBefore, "mode"),
        (go_to(world, subscription, plan_id), NothingChanges, "planId"),
        (go_to(world, subscription, euros), Invalid, "planId"),
        (go_to(world, subscription, yearly), Invalid, "planId"),
        (go_to(world, subscription, "plan_0"), NotFound, "planId"),
    ]
    for refused, kind, field in refusals:
        with pytest.raises(kind) as caught:
            await refused
        assert caught.value.field == field
    assert await everything(world) == before


async def test_a_line_whose_price_stays_the_same_goes_on(world, team):
    subscription, *_ = team
    same, (seat, _) = await plan(world, "Same", "10", usage="0.01")
    world.clock.at = MID
    change = await go_to(world, subscription, same, quantities=(Held(seat, Decimal(2)),))
    assert (change.closed_ids, change.opened_ids) == ((), ())
    assert change.direction is Direction.LATERAL
    assert len(await invoices(world)) == 1


async def test_days_count_in_full_for_either_side_where_a_subscription_says_so(world):
    """Nine of 28 days are left on the 20th, whatever the hour."""
    plan_id, (seat,) = await plan(world, "Team", "14")
    subscription = await seats(
        world, "acme", plan_id, seat, 2, starts_at=FEB, prorate_by=ProrateBy.DAYS
    )
    await run(world, FEB)
    world.clock.at = datetime(2025, 2, 20, 18, 30, tzinfo=UTC)
    change = await hold(world, subscription, 4)
    assert [note.total for note in await notes(world, subscription)] == [Decimal(9)]
    _, update = await invoices(world)
    assert (update.id, update.totals.total) == (change.invoice_id, Decimal(18))
