"""Creating, changing and canceling; `test_advance` tells what billing does."""

from datetime import timedelta
from decimal import Decimal

import pytest

from app.catalog.actions import plans, prices
from app.catalog.errors import Archived
from app.catalog.prices import Flat
from app.catalog.reads import prices as price_reads
from app.customers import actions as customers
from app.infra import due
from app.infra.listing import Condition, PageRequest
from app.kernel.clock import FixedClock
from app.kernel.errors import Invalid, NotFound
from app.kernel.period import Cadence, Period
from app.kernel.scope import SYSTEM, Scope
from app.subscriptions import actions, reads
from app.subscriptions.changes.canceling import CancelSubscription
from app.subscriptions.errors import CancellationIsPending, SubscriptionIsOver
from app.subscriptions.periods import point_at
from app.subscriptions.subscription import CancelMode, Held, SubscriptionStatus
from tests.catalog import make as catalog
from tests.catalog.history import audited, changes, refused, told
from tests.subscriptions import make
from tests.subscriptions.make import at

FAR = at(2099, 1, 1)


@pytest.fixture
def clock():
    return FixedClock(at(2026, 1, 15, 12))


async def due_at(scope, subscription):
    found = await due.waiting(scope, "subscription.bill", at=FAR, limit=100)
    return {item.subject_id: item.due_at for item in found}.get(subscription.id)


async def cancel(scope, clock, subscription, mode):
    command = CancelSubscription(mode=mode)
    return await actions.cancel(scope, subscription.id, command, by=SYSTEM, at=clock.now())


async def update(scope, clock, subscription, **patch):
    return await actions.update(scope, subscription.id, patch, by=SYSTEM, at=clock.now())


async def test_what_is_created_is_found(database, scope, clock):
    customer = await make.customer(scope, clock, timezone="America/New_York", currency="USD")
    plan = await make.plan(scope, clock)
    made = await make.subscription(
        scope, clock, customer_id=customer.id, plan_id=plan.id, metadata={"deal": "9"}
    )
    assert (made.customer_id, made.plan_id) == (customer.id, plan.id)
    assert (made.currency, made.timezone) == ("USD", "America/New_York")
    assert (made.alignment, made.cadence) == ("anniversary", Cadence("month"))
    assert (made.starts_at, made.anchor, made.ends_at) == (clock.now(), clock.now(), None)
    assert made.current_period == Period(clock.now(), at(2026, 2, 15, 12))
    assert (made.status, made.billed_until) == (SubscriptionStatus.ACTIVE, None)
    assert await reads.get(scope, made.id) == made
    held = await reads.pages_of_customers(scope, [customer.id, "cus_none"], PageRequest())
    assert {key: page.rows for key, page in held.items()} == {customer.id: [made], "cus_none": []}
    assert await due_at(scope, made) == clock.now()


async def test_creation_is_audited_and_told(database, scope, clock):
    made = await make.subscription(scope, clock)
    assert await audited(scope, made.id) == ["subscription.create"]
    (_, after) = await changes(scope, made.id)
    assert after["status"] == "active"
    assert len(after["line_items"]) == 2
    assert await told(scope, made.id) == [
        ("subscription.created", {"customer_id": made.customer_id, "plan_id": made.plan_id})
    ]


async def test_it_gets_a_line_for_every_price_of_its_currency_and_cadence(database, scope, clock):
    plan = await catalog.plan(scope, clock)
    fee = await catalog.price(scope, clock, plan.id)
    seats = await catalog.price(scope, clock, plan.id, display_name="Seats")
    calls = await catalog.usage_price(scope, clock, plan.id)
    for other in (
        {"currency": "EUR"},
        {"cadence": Cadence("year")},
        {"cadence": Cadence("month", 2)},
    ):
        await catalog.price(scope, clock, plan.id, **other)
    ended = await catalog.price(scope, clock, plan.id)
    await prices.archive(scope, ended.id, by=SYSTEM, at=clock.now())
    made = await make.subscription(
        scope, clock, plan_id=plan.id, quantities=(Held(seats.id, Decimal("12.5")),)
    )
    lines = (await reads.line_items(scope, [made.id]))[made.id]
    assert [(line.price_id, line.quantity, line.price_hash) for line in lines] == [
        (fee.id, Decimal(1), fee.content_hash),
        (seats.id, Decimal("12.5"), seats.content_hash),
        (calls.id, None, calls.content_hash),
    ]
    assert all(line.starts_at == made.starts_at and line.ends_at is None for line in lines)
    ids = [line.id for line in lines]
    assert await reads.line_items_by_ids(scope, ids) == dict(zip(ids, lines, strict=True))


async def test_it_stays_on_the_prices_it_bought(database, scope, clock):
    plan = await catalog.plan(scope, clock)
    fee = await catalog.price(scope, clock, plan.id)
    early = await make.subscription(scope, clock, plan_id=plan.id)
    clock.at += timedelta(days=1)
    patch = {"model": Flat(Decimal(120))}
    dearer = await prices.update(scope, fee.id, patch, by=SYSTEM, at=clock.now())
    late = await make.subscription(scope, clock, plan_id=plan.id)
    billable = {b.subscription.id: b for b in await reads.billable(scope, [early.id, late.id])}
    assert [price.model for _, price in billable[early.id].lines] == [Flat(Decimal(99))]
    assert [price for _, price in billable[late.id].lines] == [dearer]


async def test_a_start_in_the_future_takes_the_prices_in_force_then(database, scope, clock):
    plan = await catalog.plan(scope, clock)
    fee = await catalog.price(scope, clock, plan.id)
    february = at(2026, 2, 1)
    patch = {"model": Flat(Decimal(120)), "effective_from": february}
    dearer = await prices.update(scope, fee.id, patch, by=SYSTEM, at=clock.now())
    before = await make.subscription(
        scope, clock, plan_id=plan.id, starts_at=february - timedelta(seconds=1)
    )
    after = await make.subscription(scope, clock, plan_id=plan.id, starts_at=february)
    lines = await reads.line_items(scope, [before.id, after.id])
    assert [line.price_id for line in lines[before.id]] == [fee.id]
    assert [line.price_id for line in lines[after.id]] == [dearer.id]
    assert (after.status, await due_at(scope, after)) == (SubscriptionStatus.SCHEDULED, february)


async def test_a_start_in_the_past_is_due_at_once_and_takes_the_prices_of_today(
    database, scope, clock
):
    plan = await catalog.plan(scope, clock)
    fee = await catalog.price(scope, clock, plan.id)
    start = at(2025, 1, 31)
    made = await make.subscription(scope, clock, plan_id=plan.id, starts_at=start)
    assert (made.status, await due_at(scope, made)) == (SubscriptionStatus.ACTIVE, start)
    assert made.current_period == Period(start, at(2025, 2, 28))
    lines = (await reads.line_items(scope, [made.id]))[made.id]
    assert [(line.price_id, line.starts_at) for line in lines] == [(fee.id, start)]


async def test_calendar_periods_begin_with_the_local_month(database, scope, clock):
    made = await make.subscription(
        scope, clock, alignment="calendar", timezone="America/New_York", starts_at=at(2026, 1, 1, 5)
    )
    assert made.current_period == Period(at(2026, 1, 1, 5), at(2026, 2, 1, 5))


async def test_what_the_command_leaves_open_comes_from_the_customer_at_that_time(
    database, scope, clock
):
    customer = await make.customer(scope, clock, timezone="Asia/Tokyo")
    made = await make.subscription(scope, clock, customer_id=customer.id)
    patch = {"timezone": "Europe/Rome", "currency": "EUR"}
    await customers.update(scope, customer.id, patch, by=SYSTEM, at=clock.now())
    assert (await reads.get(scope, made.id)).timezone == "Asia/Tokyo"
    own = await make.subscription(
        scope, clock, customer_id=customer.id, timezone="UTC", currency="USD"
    )
    assert (own.timezone, own.currency) == ("UTC", "USD")


@pytest.mark.parametrize(
    ("fields", "field", "code"),
    [
        ({"currency": "EUR"}, "planId", "NO_MATCHING_PRICE"),
        ({"cadence": Cadence("year")}, "planId", "NO_MATCHING_PRICE"),
        ({"currency": "DOGE"}, "currency", "INVALID_CURRENCY"),
        ({"timezone": "Mars/Base"}, "timezone", "INVALID_TIMEZONE"),
        ({"cadence": Cadence("month", 101)}, "cadence.count", "INVALID_CADENCE"),
        ({"metadata": {"a": 1}}, "metadata", "INVALID_METADATA"),
        ({"starts_at": at(1999, 12, 31)}, "startsAt", "INVALID_STARTS_AT"),
        ({"starts_at": at(2100, 1, 1)}, "startsAt", "INVALID_STARTS_AT"),
        ({"ends_at": at(2026, 1, 15, 12)}, "endsAt", "INVALID_ENDS_AT"),
        ({"ends_at": at(2101, 1, 1)}, "endsAt", "INVALID_ENDS_AT"),
        ({"anchor": at(1980, 1, 1)}, "anchor", "INVALID_ANCHOR"),
        ({"anchor": at(2026, 1, 1), "alignment": "calendar"}, "anchor", "INVALID_ANCHOR"),
        (
            {"quantities": (Held("pri_none", Decimal(1)),)},
            "quantities[0].priceId",
            "INVALID_QUANTITIES",
        ),
    ],
)
async def test_wrong_input_is_refused(database, scope, clock, fields, field, code):
    customer, plan = await make.customer(scope, clock), await make.plan(scope, clock)
    async with refused(scope, Invalid, code, field):
        await make.subscription(scope, clock, customer_id=customer.id, plan_id=plan.id, **fields)


async def test_a_quantity_is_for_a_fixed_charge_and_not_negative(database, scope, clock):
    customer, plan = await make.customer(scope, clock), await catalog.plan(scope, clock)
    fee = await catalog.price(scope, clock, plan.id)
    calls = await catalog.usage_price(scope, clock, plan.id)
    who = {"customer_id": customer.id, "plan_id": plan.id}
    one = Held(fee.id, Decimal(1))
    for quantities, field, code in [
        ((one, Held(calls.id, Decimal(1))), "quantities[1].priceId", "INVALID_QUANTITIES"),
        ((one, one), "quantities[1].priceId", "INVALID_QUANTITIES"),
        ((Held(fee.id, Decimal(-1)),), "quantities[0].quantity", "NEGATIVE_AMOUNT"),
    ]:
        async with refused(scope, Invalid, code, field):
            await make.subscription(scope, clock, **who, quantities=quantities)


async def test_the_refusal_of_a_plan_without_such_a_price_says_what_it_has(database, scope, clock):
    plan = await make.plan(scope, clock)
    with pytest.raises(Invalid) as caught:
        await make.subscription(scope, clock, plan_id=plan.id, currency="EUR")
    assert caught.value.message == (
        "planId: the plan has no price in force in EUR every 1 month; it has USD every 1 month"
    )


async def test_a_currency_must_come_from_somewhere(database, scope, clock):
    customer = await make.customer(scope, clock, currency=None)
    plan = await make.plan(scope, clock)
    async with refused(scope, Invalid, "CURRENCY_REQUIRED", "currency"):
        await make.subscription(scope, clock, customer_id=customer.id, plan_id=plan.id)


async def test_customer_and_plan_must_be_in_use(database, scope, clock):
    customer, plan = await make.customer(scope, clock), await make.plan(scope, clock)
    async with refused(scope, NotFound, "NOT_FOUND", "customerId"):
        await make.subscription(scope, clock, customer_id="cus_none", plan_id=plan.id)
    async with refused(scope, NotFound, "NOT_FOUND", "planId"):
        await make.subscription(scope, clock, customer_id=customer.id, plan_id="plan_none")
    gone = await make.customer(scope, clock)
    await customers.archive(scope, gone.id, by=SYSTEM, at=clock.now())
    async with refused(scope, Archived, "CUSTOMER_ARCHIVED", "customerId"):
        await make.subscription(scope, clock, customer_id=gone.id, plan_id=plan.id)
    await plans.archive(scope, plan.id, by=SYSTEM, at=clock.now())
    async with refused(scope, Archived, "PLAN_ARCHIVED", "planId"):
        await make.subscription(scope, clock, customer_id=customer.id, plan_id=plan.id)


async def test_an_end_can_be_set_and_taken_off(database, scope, clock):
    made = await make.subscription(scope, clock)
    clock.at += timedelta(days=1)
    end = at(2026, 2, 1)
    ending = await update(scope, clock, made, ends_at=end, metadata={"a": "b"})
    assert (ending.ends_at, ending.metadata) == (end, {"a": "b"})
    assert ending.current_period == Period(made.starts_at, end)
    assert await reads.get(scope, made.id) == ending
    before, after = await changes(scope, made.id)
    assert (before["ends_at"], after["ends_at"]) == (None, end.isoformat())
    assert [name for name, _ in await told(scope, made.id)][-1] == "subscription.updated"
    open_again = await update(scope, clock, made, ends_at=None)
    assert (open_again.ends_at, open_again.metadata) == (None, {"a": "b"})
    assert open_again.current_period == made.current_period


async def test_an_end_lies_in_the_future(database, scope, clock):
    made = await make.subscription(scope, clock)
    clock.at += timedelta(days=1)
    async with refused(scope, Invalid, "INVALID_ENDS_AT", "endsAt"):
        await update(scope, clock, made, ends_at=clock.now())


async def test_cancelled_now_it_ends_now_and_what_was_used_falls_due(database, scope, clock):
    made = await make.subscription(scope, clock)
    billed = actions.Billed(made, (point_at(made, made.starts_at),))
    await actions.advance(scope, [billed], at=clock.now())
    clock.at += timedelta(days=3)
    canceled = await cancel(scope, clock, made, CancelMode.NOW)
    assert canceled.status is SubscriptionStatus.CANCELED
    assert (canceled.ends_at, canceled.cancellation.requested_at) == (clock.now(), clock.now())
    assert canceled.current_period == Period(made.starts_at, clock.now())
    assert await reads.get(scope, made.id) == canceled
    assert await due_at(scope, made) == clock.now()
    assert (await audited(scope, made.id))[-1] == "subscription.cancel"
    assert (await told(scope, made.id))[-1][0] == "subscription.canceled"


async def test_cancelled_for_the_period_s_end_it_runs_until_then(database, scope, clock):
    made = await make.subscription(scope, clock)
    clock.at += timedelta(days=40)
    canceled = await cancel(scope, clock, made, CancelMode.PERIOD_END)
    assert canceled.status is SubscriptionStatus.ACTIVE
    assert canceled.ends_at == at(2026, 3, 15, 12)
    assert canceled.cancellation.requested_at == clock.now()
    assert (await told(scope, made.id))[-1][0] == "subscription.cancellation_scheduled"
    async with refused(scope, CancellationIsPending, "CANCELLATION_PENDING", "mode"):
        await cancel(scope, clock, made, CancelMode.PERIOD_END)
    async with refused(scope, CancellationIsPending, "CANCELLATION_PENDING", "endsAt"):
        await update(scope, clock, made, ends_at=None)
    now = await cancel(scope, clock, made, CancelMode.NOW)
    assert (now.status, now.ends_at) == (SubscriptionStatus.CANCELED, clock.now())


async def test_an_end_that_comes_sooner_than_the_period_s_stays(database, scope, clock):
    end = at(2026, 1, 20)
    made = await make.subscription(scope, clock, ends_at=end)
    canceled = await cancel(scope, clock, made, CancelMode.PERIOD_END)
    assert canceled.ends_at == end


async def test_what_has_not_started_never_does_when_canceled_now(database, scope, clock):
    start = at(2026, 3, 1)
    made = await make.subscription(scope, clock, starts_at=start)
    canceled = await cancel(scope, clock, made, CancelMode.NOW)
    assert (canceled.status, canceled.ends_at) == (SubscriptionStatus.CANCELED, start)
    assert await due_at(scope, made) is None


async def test_what_has_not_started_may_be_canceled_for_the_end_of_its_first_period(
    database, scope, clock
):
    made = await make.subscription(scope, clock, starts_at=at(2026, 3, 1))
    canceled = await cancel(scope, clock, made, CancelMode.PERIOD_END)
    assert (canceled.status, canceled.ends_at) == (SubscriptionStatus.SCHEDULED, at(2026, 4, 1))


async def test_what_is_over_changes_only_its_metadata(database, scope, clock):
    made = await make.subscription(scope, clock)
    clock.at += timedelta(days=1)
    await cancel(scope, clock, made, CancelMode.NOW)
    for mode in (CancelMode.NOW, CancelMode.PERIOD_END):
        async with refused(scope, SubscriptionIsOver, "SUBSCRIPTION_OVER", "id"):
            await cancel(scope, clock, made, mode)
    async with refused(scope, SubscriptionIsOver, "SUBSCRIPTION_OVER", "id"):
        await update(scope, clock, made, ends_at=FAR)
    noted = await update(scope, clock, made, metadata={"why": "moved"})
    assert (noted.metadata, noted.status) == ({"why": "moved"}, SubscriptionStatus.CANCELED)


async def test_past_its_end_it_is_over_even_if_billing_is_late(database, scope, clock):
    made = await make.subscription(scope, clock, ends_at=at(2026, 1, 20))
    clock.at = at(2026, 1, 20)
    for mode in (CancelMode.NOW, CancelMode.PERIOD_END):
        async with refused(scope, SubscriptionIsOver, "SUBSCRIPTION_OVER", "id"):
            await cancel(scope, clock, made, mode)


async def test_a_subscription_of_another_scope_does_not_exist(database, scope, clock):
    made = await make.subscription(scope, clock)
    stranger = Scope(scope.tenant_id, "env_01J00000000000000000000000")
    assert await reads.by_ids(stranger, [made.id]) == {}
    held = await reads.pages_of_customers(stranger, [made.customer_id], PageRequest())
    assert held[made.customer_id].rows == []
    assert await reads.line_items(stranger, [made.id]) == {made.id: []}
    assert await reads.billable(stranger, [made.id]) == []
    assert (await reads.page(stranger, PageRequest())).rows == []
    with pytest.raises(NotFound):
        await cancel(stranger, clock, made, CancelMode.NOW)
    with pytest.raises(NotFound):
        await update(stranger, clock, made, metadata={})
    with pytest.raises(NotFound):
        await make.subscription(stranger, clock, customer_id=made.customer_id, plan_id=made.plan_id)
    assert await reads.get(scope, made.id) == made


async def test_a_page_filters_by_customer_plan_and_status(database, scope, clock):
    first, second = [await make.subscription(scope, clock) for _ in range(2)]
    later = await make.subscription(scope, clock, starts_at=at(2026, 3, 1))
    for where, expected in [
        (Condition("customer_id", "eq", first.customer_id), [first]),
        (Condition("plan_id", "eq", second.plan_id), [second]),
        (Condition("status", "eq", "scheduled"), [later]),
        (Condition("current_period_end", "lt", at(2026, 3, 1)), [second, first]),
    ]:
        page = await reads.page(scope, PageRequest(where=where))
        assert page.rows == expected


async def test_prices_of_a_line_are_never_lost(database, scope, clock):
    """An archived price is still what its subscribers pay."""
    plan = await catalog.plan(scope, clock)
    fee = await catalog.price(scope, clock, plan.id)
    made = await make.subscription(scope, clock, plan_id=plan.id)
    await prices.archive(scope, fee.id, by=SYSTEM, at=clock.now())
    (billable,) = await reads.due_for_billing(scope, [made.id], clock.now())
    ended = await price_reads.get(scope, fee.id)
    assert [price for _, price in billable.lines] == [ended]
