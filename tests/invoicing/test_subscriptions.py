"""What is billed of subscriptions that are tried, paused, canceled, and charged in rhythms of
their own: on real PostgreSQL and ClickHouse."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from app.catalog.actions import prices
from app.catalog.price import Billing, ChargeKind, CreatePrice, InvoiceTiming
from app.catalog.prices import Flat
from app.infra.postgres import fetch
from app.invoicing import billing, reads
from app.kernel.errors import Invalid
from app.kernel.period import Cadence
from app.kernel.scope import SYSTEM
from app.subscriptions import actions
from app.subscriptions import reads as subscriptions
from app.subscriptions.changes.canceling import CancelSubscription
from app.subscriptions.changes.pausing import PauseMode, PauseSubscription, ResumeSubscription
from app.subscriptions.pause import PauseBehaviour
from app.subscriptions.subscription import CancelMode, Held, SubscriptionStatus
from tests.invoicing.world import JAN

FEB, MAR, APR = (datetime(2025, month, 1, tzinfo=UTC) for month in (2, 3, 4))
DAY = timedelta(days=1)
FEE = "Platform fee"
ADVANCE, ARREARS = InvoiceTiming.ADVANCE, InvoiceTiming.ARREARS


def jan(day, hour=0):
    return datetime(2025, 1, day, hour, tzinfo=UTC)


async def bill(world, at):
    world.clock.at = at
    return (await billing.bill_page(world.services, world.page())).tally


async def billed(world):
    """Every invoice in order: why, and its lines that ask for something, with their days."""
    rows = await fetch(world.scope, "SELECT id FROM invoices ORDER BY id")
    ids = [row["id"] for row in rows]
    found, lines = await reads.by_ids(world.scope, ids), {}
    lines = await reads.lines_of_invoices(world.scope, ids)
    return [
        (
            found[key].reason.value,
            [
                (line.description, line.service.start, line.service.end, line.amount)
                for line in lines.get(key, [])
                if line.amount
            ],
        )
        for key in ids
    ]


async def priced(world, name, amount, timing, **fields):
    command = CreatePrice(
        plan_id=world.plan_id,
        display_name=name,
        charge=ChargeKind.FIXED,
        model=Flat(Decimal(amount)),
        currency="USD",
        timing=timing,
        **fields,
    )
    return await prices.create(world.scope, command, by=SYSTEM, at=JAN)


async def fee_of(world):
    """The id of the plan's monthly fee."""
    sql = "SELECT id FROM prices WHERE display_name = $1"
    return (await fetch(world.scope, sql, FEE))[0]["id"]


async def pause(world, bought, now, **command):
    world.clock.at = now
    wanted = PauseSubscription(**command)
    return await actions.pause(world.scope, bought.id, wanted, by=SYSTEM, at=now)


async def resume(world, bought, now, **command):
    world.clock.at = now
    wanted = ResumeSubscription(**command)
    return await actions.resume(world.scope, bought.id, wanted, by=SYSTEM, at=now)


async def cancel(world, bought, now, **command):
    world.clock.at = now
    wanted = CancelSubscription(**command)
    return await actions.cancel(world.scope, bought.id, wanted, by=SYSTEM, at=now)


async def status(world, bought):
    return (await subscriptions.get(world.scope, bought.id)).status


async def test_a_draft_bills_nothing_until_it_is_activated(world):
    bought = await world.subscribe("acme", draft=True, starts_at=None)
    assert (await bill(world, FEB))["drafted"] == 0
    fee = await fee_of(world)
    patch = {"quantities": (Held(fee, Decimal(3)),), "trial_days": 14}
    await actions.update(world.scope, bought.id, patch, by=SYSTEM, at=FEB)
    active = await actions.activate(world.scope, bought.id, by=SYSTEM, at=FEB)
    assert (active.status, active.starts_at) == (SubscriptionStatus.TRIALING, FEB)
    charged = FEB + 14 * DAY
    assert (active.charged_from, active.anchor) == (charged, charged)
    lines = (await subscriptions.line_items(world.scope, [bought.id]))[bought.id]
    assert {line.starts_at for line in lines} == {FEB}
    await bill(world, charged)
    assert await billed(world) == [("trial_end", [(FEE, charged, charged + 28 * DAY, Decimal(60))])]


@pytest.mark.parametrize("bills_usage", [False, True])
async def test_a_trial_bills_its_usage_only_where_asked(world, bills_usage):
    bought = await world.subscribe("acme", trial_days=10, bills_trial_usage=bills_usage)
    await world.use("acme", [(JAN, "10", "eu"), (jan(11), "4", "eu")])
    assert (await bill(world, JAN))["drafted"] == 0
    assert await status(world, bought) is SubscriptionStatus.TRIALING
    await bill(world, jan(11))
    assert await status(world, bought) is SubscriptionStatus.ACTIVE
    end = datetime(2025, 2, 11, tzinfo=UTC)
    fees = [(FEE, jan(11), end, Decimal(20))]
    usage = [("Requests", JAN, jan(11), Decimal(5)), ("Traffic", JAN, jan(11), Decimal("0.01"))]
    assert await billed(world) == [("trial_end", fees + (usage if bills_usage else []))]
    await bill(world, end)
    reason, lines = (await billed(world))[1]
    assert reason == "subscription_cycle"
    assert ("Requests", jan(11), end, Decimal(2)) in lines


async def test_a_trial_that_is_canceled_bills_nothing(world):
    bought = await world.subscribe("acme", trial_days=10)
    await world.use("acme", [(JAN, "10", "eu")])
    await bill(world, JAN)
    await cancel(world, bought, jan(5), mode=CancelMode.NOW)
    await bill(world, APR)
    assert await billed(world) == []
    assert await status(world, bought) is SubscriptionStatus.CANCELED


async def test_prices_that_state_different_trials_are_refused(world):
    await priced(world, "Seats", "5", ADVANCE, trial_days=14)
    await priced(world, "Support", "5", ADVANCE, trial_days=30)
    with pytest.raises(Invalid) as caught:
        await world.subscribe("acme")
    assert (caught.value.code, caught.value.field) == ("TRIALS_DISAGREE", "trialDays")
    assert (await world.subscribe("acme", trial_days=0)).trial is None
    assert (await world.subscribe("beta", trial_days=7)).charged_from == jan(8)


async def test_a_pause_charges_nothing_and_counts_nothing(world):
    await priced(world, "Support", "31", ARREARS)
    bought = await world.subscribe("acme")
    await bill(world, JAN)
    await pause(world, bought, jan(11))
    assert await status(world, bought) is SubscriptionStatus.PAUSED
    await bill(world, jan(12))
    await resume(world, bought, jan(21))
    await world.use("acme", [(jan(5), "10", "eu"), (jan(15), "70", "eu"), (jan(21), "2", "eu")])
    await bill(world, FEB)
    first, cycle = await billed(world)
    assert first == ("subscription_create", [(FEE, JAN, FEB, Decimal(20))])
    assert cycle == (
        "subscription_cycle",
        [
            (FEE, FEB, MAR, Decimal(20)),
            ("Support", JAN, FEB, Decimal(21)),  # 21 of 31 days
            ("Requests", JAN, FEB, Decimal(6)),
            ("Traffic", JAN, FEB, Decimal("0.01")),
        ],
    )


async def test_a_period_that_begins_in_a_pause_is_paid_for_from_when_it_is_resumed(world):
    bought = await world.subscribe("acme")
    await bill(world, JAN)
    await pause(world, bought, jan(20), mode=PauseMode.PERIOD_END, resumes_at=FEB + 7 * DAY)
    await bill(world, FEB + 6 * DAY)
    assert await status(world, bought) is SubscriptionStatus.PAUSED
    assert [reason for reason, _ in await billed(world)] == [
        "subscription_create", "subscription_cycle",
    ]  # fmt: skip
    await bill(world, FEB + 7 * DAY)
    assert await status(world, bought) is SubscriptionStatus.ACTIVE
    assert (await billed(world))[-1] == (
        "subscription_update",
        [(FEE, FEB + 7 * DAY, MAR, Decimal(15))],  # 21 of 28 days
    )


async def test_a_pause_that_extends_moves_the_period_s_end_and_all_that_follow(world):
    await priced(world, "Support", "31", ARREARS)
    bought = await world.subscribe("acme")
    await bill(world, JAN)
    await pause(world, bought, jan(11), behaviour=PauseBehaviour.EXTEND)
    assert (await bill(world, APR))["drafted"] == 0  # time stands still
    resumed = await resume(world, bought, APR + 10 * DAY)
    end = FEB + (APR + 10 * DAY - jan(11))
    assert resumed.current_period.end == end
    await bill(world, end)
    reason, lines = (await billed(world))[-1]
    following = datetime(2025, end.month + 1, end.day, tzinfo=UTC)
    assert (reason, lines) == (
        "subscription_cycle",
        [(FEE, end, following, Decimal(20)), ("Support", JAN, end, Decimal(31))],
    )


async def test_an_end_between_periods_cuts_the_last_and_bills_its_usage(world):
    bought = await world.subscribe("acme")
    await bill(world, JAN)
    await cancel(world, bought, jan(5), mode=CancelMode.AT, at=FEB + 7 * DAY)
    await world.use("acme", [(FEB, "10", "eu"), (FEB + 7 * DAY, "99", "eu")])
    await bill(world, APR)
    assert (await billed(world))[1:] == [
        ("subscription_cycle", [(FEE, FEB, FEB + 7 * DAY, Decimal(5))]),
        (
            "subscription_cycle",
            [
                ("Requests", FEB, FEB + 7 * DAY, Decimal(5)),
                ("Traffic", FEB, FEB + 7 * DAY, Decimal("0.01")),
            ],
        ),
    ]
    assert await status(world, bought) is SubscriptionStatus.CANCELED


async def test_what_was_cut_for_an_end_is_billed_when_the_end_is_taken_back(world):
    bought = await world.subscribe("acme")
    await bill(world, JAN)
    before = await subscriptions.get(world.scope, bought.id)
    canceled = await cancel(world, bought, jan(5), mode=CancelMode.AT, at=FEB + 7 * DAY)
    await bill(world, FEB)
    assert canceled.ends_at == FEB + 7 * DAY
    back = await actions.uncancel(world.scope, bought.id, by=SYSTEM, at=FEB + DAY)
    assert (back.ends_at, back.cancellation) == (before.ends_at, None)
    await bill(world, MAR)
    fees = [line for _, lines in await billed(world) for line in lines if line[0] == FEE]
    assert fees == [
        (FEE, JAN, FEB, Decimal(20)),
        (FEE, FEB, FEB + 7 * DAY, Decimal(5)),
        (FEE, FEB + 7 * DAY, MAR, Decimal(15)),
        (FEE, MAR, APR, Decimal(20)),
    ]


async def test_usage_is_waived_without_a_final_invoice(world):
    bought = await world.subscribe("acme")
    await bill(world, JAN)
    await world.use("acme", [(JAN, "10", "eu")])
    await cancel(world, bought, jan(20), mode=CancelMode.NOW, final_invoice=False)
    await bill(world, APR)
    assert [reason for reason, _ in await billed(world)] == ["subscription_create"]


async def test_an_end_in_the_past_lies_in_the_period_that_is_not_billed(world):
    bought = await world.subscribe("acme")
    await bill(world, FEB)
    with pytest.raises(Exception, match="is billed until") as caught:
        await cancel(world, bought, FEB + 9 * DAY, mode=CancelMode.AT, at=jan(20))
    assert caught.value.code == "ALREADY_BILLED"
    over = await cancel(world, bought, FEB + 9 * DAY, mode=CancelMode.AT, at=FEB + 2 * DAY)
    assert (over.status, over.ends_at) == (SubscriptionStatus.CANCELED, FEB + 2 * DAY)
    await world.use("acme", [(FEB + DAY, "10", "eu"), (FEB + 3 * DAY, "99", "eu")])
    await bill(world, FEB + 9 * DAY)
    reason, lines = (await billed(world))[-1]
    assert (reason, lines[0]) == (
        "subscription_cycle", ("Requests", FEB, FEB + 2 * DAY, Decimal(5)),
    )  # fmt: skip


async def mixed(world):
    """Lines that are charged once, each month and each quarter, and their ids."""
    quarter = {"cadence": Cadence("quarter")}
    made = [
        await priced(world, "Setup", "99", ADVANCE, billing=Billing.ONE_TIME),
        await priced(world, "Licence", "300", ADVANCE, **quarter),
        await priced(world, "Audit", "90", ARREARS, **quarter),
    ]
    return (await fee_of(world), *(price.id for price in made))


@pytest.mark.parametrize("outage", [False, True])
async def test_lines_of_longer_cadence_keep_their_own_periods(world, outage):
    await world.subscribe("acme", price_ids=await mixed(world))
    may = datetime(2025, 5, 1, tzinfo=UTC)
    july = datetime(2025, 7, 1, tzinfo=UTC)
    for at in [may] if outage else [JAN, FEB, MAR, APR, may]:
        await bill(world, at)
    assert await billed(world) == [
        (
            "subscription_create",
            [
                (FEE, JAN, FEB, Decimal(20)),
                ("Setup", JAN, JAN, Decimal(99)),
                ("Licence", JAN, APR, Decimal(300)),
            ],
        ),
        ("subscription_cycle", [(FEE, FEB, MAR, Decimal(20))]),
        ("subscription_cycle", [(FEE, MAR, APR, Decimal(20))]),
        (
            "subscription_cycle",
            [
                (FEE, APR, may, Decimal(20)),
                ("Licence", APR, july, Decimal(300)),
                ("Audit", JAN, APR, Decimal(90)),
            ],
        ),
        ("subscription_cycle", [(FEE, may, datetime(2025, 6, 1, tzinfo=UTC), Decimal(20))]),
    ]


@pytest.mark.parametrize(
    ("cadence", "base"),
    [(Cadence("week"), Cadence("month")), (Cadence("month", 3), Cadence("month", 2))],
)
async def test_a_cadence_that_is_no_multiple_is_refused(world, cadence, base):
    odd = await priced(world, "Odd", "1", ADVANCE, cadence=cadence)
    with pytest.raises(Invalid) as caught:
        await world.subscribe("acme", cadence=base, price_ids=(odd.id,))
    assert (caught.value.code, caught.value.field) == ("CADENCE_MISMATCH", "priceIds[0]")
    assert await fetch(world.scope, "SELECT 1 FROM subscriptions") == []


async def test_an_anchor_of_its_own_makes_a_first_short_period(world):
    await world.subscribe("acme", starts_at=jan(11), anchor=jan(1))
    await bill(world, FEB)
    fees = [line for _, lines in await billed(world) for line in lines]
    assert fees == [
        (FEE, jan(11), FEB, Decimal("13.55")),  # 21 of 31 days
        (FEE, FEB, MAR, Decimal(20)),
    ]


async def test_a_start_too_far_back_is_refused(world):
    world.clock.at = datetime(2026, 9, 1, tzinfo=UTC)
    await priced(world, "Daily", "1", ADVANCE, cadence=Cadence("day"))
    with pytest.raises(Invalid) as caught:
        await world.subscribe("acme", cadence=Cadence("day"), starts_at=JAN)
    assert (caught.value.code, caught.value.field) == ("BACKDATED_TOO_FAR", "startsAt")
    assert await fetch(world.scope, "SELECT 1 FROM subscriptions") == []
