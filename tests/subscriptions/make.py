"""Subscriptions with defaults: rows for pure tests, and real ones made by the real actions."""

from datetime import UTC, datetime
from decimal import Decimal

from app.catalog.price import Billing, ChargeKind, InvoiceTiming, Price, PriceStatus
from app.catalog.prices import NO_ADJUSTMENTS, Flat
from app.customers import actions as customers
from app.customers.customer import CreateCustomer
from app.kernel.ids import new_id
from app.kernel.period import Cadence, Period
from app.kernel.scope import SYSTEM
from app.subscriptions import actions, reads
from app.subscriptions.actions import Billed
from app.subscriptions.periods import at_period, due_points
from app.subscriptions.subscription import (
    CreateSubscription,
    LineItem,
    PaymentTerms,
    Subscription,
    SubscriptionStatus,
)
from tests.catalog import make as catalog


def at(*parts):
    return datetime(*parts, tzinfo=UTC)


JAN = at(2026, 1, 1)


def row(**fields):
    """A monthly subscription in UTC from 1 January 2026, nothing of it billed."""
    starts_at = fields.get("starts_at", JAN)
    defaults = {
        "id": "sub_01J00000000000000000000000",
        "customer_id": "cus_01J00000000000000000000000",
        "plan_id": "plan_01J00000000000000000000000",
        "plan_version_id": "plv_01J00000000000000000000000",
        "status": SubscriptionStatus.ACTIVE,
        "currency": "USD",
        "timezone": "UTC",
        "alignment": "anniversary",
        "anchor": starts_at,
        "cadence": Cadence("month"),
        "starts_at": starts_at,
        "ends_at": None,
        "current_period": Period(starts_at, starts_at),
        "billed_until": None,
        "anchor_given": False,
        "start_given": True,
        "trial": None,
        "pauses": (),
        "cuts": (),
        "cancellation": None,
        "terms": PaymentTerms(),
        "threshold_until": None,
        "revision": 0,
        "metadata": {},
        "created_at": starts_at,
        "updated_at": starts_at,
    }
    subscription = Subscription(**defaults | fields)
    return at_period(subscription, subscription.billed_until or subscription.starts_at)


def line(**fields):
    defaults = {
        "id": new_id("sli"),
        "subscription_id": "sub_01J00000000000000000000000",
        "price_id": "pri_01J00000000000000000000000",
        "price_hash": "",
        "quantity": Decimal(1),
        "starts_at": JAN,
        "ends_at": None,
        "created_at": JAN,
        "updated_at": JAN,
    }
    return LineItem(**defaults | fields)


def price(charge=ChargeKind.FIXED, timing=InvoiceTiming.ARREARS):
    return Price(
        id="pri_01J00000000000000000000000",
        plan_id="plan_01J00000000000000000000000",
        plan_version_id="plv_01J00000000000000000000000",
        addon_id=None,
        offered=True,
        lineage_id="pri_01J00000000000000000000000",
        feature_id=None,
        meter_id=None,
        lookup_key=None,
        group_id=None,
        display_name="Fee",
        charge=charge,
        billing=Billing.RECURRING,
        model=Flat(Decimal(99)),
        adjustments=NO_ADJUSTMENTS,
        currency="USD",
        conversion=None,
        cadence=Cadence("month"),
        timing=timing,
        group_by=(),
        trial_days=0,
        metadata={},
        content_hash="",
        replaces_id=None,
        effective_from=JAN,
        effective_until=None,
        status=PriceStatus.ACTIVE,
        created_at=JAN,
        updated_at=JAN,
    )


async def customer(scope, clock, **fields):
    defaults = {"external_id": new_id("cus"), "name": "Acme", "currency": "USD"}
    command = CreateCustomer(**defaults | fields)
    return await customers.create(scope, command, by=SYSTEM, at=clock.now())


async def plan(scope, clock):
    """A plan with a monthly fee of 99 USD and one metered price."""
    made = await catalog.plan(scope, clock)
    await catalog.price(scope, clock, made.id)
    await catalog.usage_price(scope, clock, made.id)
    return made


async def subscription(scope, clock, **fields):
    """On a new customer and a new plan, unless told otherwise."""
    if "customer_id" not in fields:
        fields["customer_id"] = (await customer(scope, clock)).id
    if "plan_id" not in fields:
        fields["plan_id"] = (await plan(scope, clock)).id
    command = CreateSubscription(**fields)
    return await actions.create(scope, command, by=SYSTEM, at=clock.now())


async def bill(scope, ids, now):
    """Move the subscriptions past every point that has come, as the billing run does."""
    found = await reads.due_for_billing(scope, list(ids), now)
    billed = [
        Billed(f.subscription, tuple(due_points(f.subscription, now, limit=1000))) for f in found
    ]
    moved = await actions.advance(scope, billed, at=now)
    assert moved == {each.subscription.id for each in billed}
