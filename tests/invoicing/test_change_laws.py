"""Laws of changes on real PostgreSQL: money is conserved, and nothing is made twice."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.invoicing import credit_reads
from app.kernel.period import Period
from app.subscriptions.change import ChangeMode, SubscriptionChangeStatus
from tests.invoicing.changing import changes, hold, items, notes, plan, run, seats
from tests.invoicing.test_billing import FEB, MAR, everything, invoices, lines
from tests.invoicing.test_crashes import die

MID = datetime(2025, 2, 15, tzinfo=UTC)
FEBRUARY = Period(FEB, MAR)
FEE = Decimal("9.99")
# Seconds into February, and the quantity from then on.
steps = st.lists(
    st.tuples(st.integers(1, 28 * 86_400 - 1), st.integers(0, 40)),
    min_size=1,
    max_size=6,
    unique_by=lambda step: step[0],
).map(sorted)


async def frozen(world):
    """What invoices in force and their lines say, but for what pays for them."""
    return {
        invoice.id: (invoice.number, invoice.totals, invoice.period, await lines(world, invoice))
        for invoice in await invoices(world)
    }


@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps, st.integers(1, 40))
async def test_charges_less_credits_are_the_price_weighted_by_time(world, found, first):
    """To half a minor unit for every line that was rounded."""
    name = f"customer-{len(world.customers)}"
    world.clock.at = FEB
    plan_id, (seat,) = await plan(world, name, str(FEE))
    subscription = await seats(world, name, plan_id, seat, first, starts_at=FEB)
    await run(world, FEB)
    held, line = [(FEB, first)], (await items(world, subscription))[0].id
    for seconds, quantity in found:
        at = FEB + timedelta(seconds=seconds)
        before, world.clock.at = await frozen(world), at
        if quantity != held[-1][1]:
            await hold(world, subscription, quantity, line=line)
            held.append((at, quantity))
        after = await frozen(world)
        assert {key: after[key] for key in before} == before

    mine = [i for i in await invoices(world) if i.subscription_id == subscription.id]
    charged = [line for invoice in mine for line in await lines(world, invoice)]
    given_back = await notes(world, subscription)
    credited = await credit_reads.lines_of_notes(world.scope, [note.id for note in given_back])
    parts = [each for of_note in credited.values() for each in of_note]
    asked = sum(line.amount for line in charged) - sum(part.amounts.amount for part in parts)
    exact = sum(
        (
            Fraction(FEE) * quantity * Fraction((until - since) / FEBRUARY.length)
            for (since, quantity), (until, _) in pairwise([*held, (MAR, 0)])
        ),
        start=Fraction(0),
    )
    rounded = len(charged) + len(parts)
    assert abs(Fraction(asked) - exact) <= Fraction(rounded, 200) + Fraction(1, 10**6)


async def scheduled(world):
    """A subscription on two seats whose quantity changes in the middle of February."""
    plan_id, (seat,) = await plan(world, "Team", "10")
    subscription = await seats(world, "acme", plan_id, seat, 2, starts_at=FEB)
    await run(world, FEB)
    await hold(world, subscription, 5, mode=ChangeMode.AT, at=MID)
    return subscription


@pytest.mark.parametrize(
    "point",
    [
        "invoicing.change_credited",
        "invoicing.change_applied",
        "invoicing.change_applied_committed",
    ],
)
async def test_a_change_that_died_half_way_is_made_once(world, settings, point):
    subscription = await scheduled(world)
    assert await die(settings, world, MID, point) == (137, f"crash point {point}")
    await run(world, MID)
    (change,) = await changes(world, subscription)
    assert change.status is SubscriptionChangeStatus.APPLIED
    assert [note.total for note in await notes(world, subscription)] == [Decimal(10)]
    first, update = await invoices(world)
    assert (first.totals.total, update.totals.total) == (Decimal(20), Decimal(25))
    assert (update.source_id, update.id) == (change.id, change.invoice_id)
    before = await everything(world)
    await run(world, MID)
    assert await everything(world) == before
