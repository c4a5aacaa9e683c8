from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from decimal import Decimal

from app.catalog.actions.locks import lock
from app.catalog.entitlement import Owner, OwnerKind
from app.catalog.errors import Archived, PlanNotPublished
from app.catalog.plan import PlanStatus
from app.catalog.plan_version import PlanVersion
from app.catalog.price import ChargeKind, Price
from app.catalog.prices import numbers
from app.catalog.reads import plan_versions, plans, prices
from app.customers import reads as customers
from app.customers.customer import Customer, CustomerStatus
from app.infra import outbox
from app.infra.postgres import writing
from app.kernel.commands import fields_of
from app.kernel.errors import Invalid, NotFound
from app.kernel.ids import new_id
from app.kernel.period import Period
from app.kernel.scope import Actor, Scope
from app.subscriptions.actions.holding import hold
from app.subscriptions.actions.rows import columns, schedule_billing, told
from app.subscriptions.events import SubscriptionCreated
from app.subscriptions.models import LineItemTable, SubscriptionTable
from app.subscriptions.periods import at_period
from app.subscriptions.subscription import (
    CreateSubscription,
    Held,
    LineItem,
    Subscription,
    SubscriptionStatus,
)
from app.subscriptions.terms import Terms, terms_of
from app.tenants import audit


async def create(
    scope: Scope, command: CreateSubscription, *, by: Actor, at: datetime
) -> Subscription:
    """Put a customer on a plan: on the prices in force of its current version, of the currency
    and cadence, and with the entitlements in force.

    In force when the subscription starts, or now for a start in the past; a start in the past
    is billed from then on, one invoice per period.
    Raises: Invalid, NotFound (customer, plan), Archived (customer, plan), PlanNotPublished.
    """
    async with writing(scope) as connection:
        customer = await _customer(scope, command.customer_id)
        terms = terms_of(command, customer, at=at)
        await lock(connection, scope, "plans", command.plan_id, shared=True)
        version = await _version(scope, command.plan_id)
        reference = max(at, terms.starts_at)
        offered = await prices.of_version(scope, version.id, at=reference)
        bought = _matching(offered, terms)
        subscription = _subscription(version, command, terms, at=at)
        lines = _lines(subscription, bought, _quantities(bought, command.quantities), at=at)
        await _insert(scope, subscription, lines)
        plan = Owner(OwnerKind.PLAN, command.plan_id)
        holding = await hold(scope, subscription, plan, at=at, reference=reference)
        await schedule_billing(scope, subscription)
        facts = asdict(subscription) | {
            "line_items": [asdict(line) for line in lines],
            "entitlement_ids": list(holding.entitlement_ids),
        }
        await audit.record(scope, by, "subscription.create", subscription.id, at=at, after=facts)
        await outbox.put(scope, SubscriptionCreated(**told(subscription), occurred_at=at))
    return subscription


async def _customer(scope: Scope, customer_id: str) -> Customer:
    customer = (await customers.by_ids(scope, [customer_id])).get(customer_id)
    if customer is None:
        raise NotFound("customer", customer_id, field="customerId")
    if customer.status is CustomerStatus.ARCHIVED:
        raise Archived("customer", customer_id, field="customerId")
    return customer


async def _version(scope: Scope, plan_id: str) -> PlanVersion:
    """What is for sale of the plan, which is locked against its changing."""
    plan = await plans.get(scope, plan_id, field="planId")
    if plan.status is PlanStatus.ARCHIVED:
        raise Archived("plan", plan_id, field="planId")
    version = (await plan_versions.current_of_plans(scope, [plan_id])).get(plan_id)
    if version is None:
        raise PlanNotPublished(plan_id)
    return version


def _matching(offered: Sequence[Price], terms: Terms) -> list[Price]:
    """The prices that fit the terms. Raises: Invalid (none does)."""
    found = [p for p in offered if p.currency == terms.currency and p.cadence == terms.cadence]
    if found:
        return found
    others = sorted({f"{p.currency} every {p.cadence.count} {p.cadence.unit}" for p in offered})
    raise Invalid(
        f"planId: the plan has no price in force in {terms.currency} every "
        f"{terms.cadence.count} {terms.cadence.unit}; it has {'; '.join(others) or 'none at all'}",
        field="planId",
        code="NO_MATCHING_PRICE",
    )


def _subscription(
    version: PlanVersion, command: CreateSubscription, terms: Terms, *, at: datetime
) -> Subscription:
    scheduled = terms.starts_at > at
    unbilled = Subscription(
        id=new_id("sub"),
        customer_id=command.customer_id,
        plan_id=version.plan_id,
        plan_version_id=version.id,
        status=SubscriptionStatus.SCHEDULED if scheduled else SubscriptionStatus.ACTIVE,
        currency=terms.currency,
        timezone=terms.timezone,
        alignment=terms.alignment,
        anchor=terms.anchor,
        cadence=terms.cadence,
        starts_at=terms.starts_at,
        ends_at=terms.ends_at,
        current_period=Period(terms.starts_at, terms.starts_at),
        billed_until=None,
        cancel_requested_at=None,
        metadata=terms.metadata,
        created_at=at,
        updated_at=at,
    )
    return at_period(unbilled, terms.starts_at)


def _lines(
    subscription: Subscription,
    bought: Sequence[Price],
    quantities: Mapping[str, Decimal],
    *,
    at: datetime,
) -> list[LineItem]:
    """A line for each price."""
    return [
        LineItem(
            id=new_id("sli"),
            subscription_id=subscription.id,
            price_id=price.id,
            price_hash=price.content_hash,
            quantity=quantities.get(price.id),
            starts_at=subscription.starts_at,
            ends_at=None,
            created_at=at,
            updated_at=at,
        )
        for price in bought
    ]


def _quantities(bought: Sequence[Price], wanted: Sequence[Held]) -> dict[str, Decimal]:
    """What is held of each fixed charge. Raises: Invalid."""
    held = {price.id: Decimal(1) for price in bought if price.charge is ChargeKind.FIXED}
    for index, each in enumerate(wanted):
        field = f"quantities[{index}]"
        again = each.price_id in {earlier.price_id for earlier in wanted[:index]}
        if each.price_id not in held or again:
            raise Invalid(
                f"{field}.priceId: {each.price_id} must be a fixed price that the subscription "
                f"gets, named once; those are: {', '.join(sorted(held)) or 'none'}",
                field=f"{field}.priceId",
                code="INVALID_QUANTITIES",
            )
        held[each.price_id] = numbers.amount(each.quantity, f"{field}.quantity")
    return held


async def _insert(scope: Scope, subscription: Subscription, lines: Sequence[LineItem]) -> None:
    owner = {"tenant_id": scope.tenant_id, "environment_id": scope.environment_id}
    await SubscriptionTable.create(**(owner | columns(subscription)))
    await LineItemTable.bulk_create(LineItemTable(**owner, **fields_of(line)) for line in lines)
