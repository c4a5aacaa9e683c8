from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal

from app.catalog.actions import overrides
from app.catalog.actions.locks import lock
from app.catalog.entitlement import Owner, OwnerKind
from app.catalog.errors import Archived, PlanNotPublished
from app.catalog.plan import PlanStatus
from app.catalog.plan_version import PlanVersion
from app.catalog.price import Price
from app.catalog.reads import plan_versions, plans, prices
from app.customers import reads as customers
from app.customers.actions import lock_shared
from app.customers.customer import Customer, CustomerStatus
from app.customers.errors import parent_required
from app.infra import outbox
from app.infra.postgres import writing
from app.kernel.copies import fields_of, replace
from app.kernel.errors import NotFound
from app.kernel.events import Event
from app.kernel.ids import new_id
from app.kernel.period import Period
from app.kernel.scope import Actor, Scope
from app.subscriptions import buying, committing
from app.subscriptions.actions import own_prices
from app.subscriptions.actions.holding import hold
from app.subscriptions.actions.rows import schedule_billing, schedule_threshold, told, watched
from app.subscriptions.changes.standing import refreshed
from app.subscriptions.events import (
    SubscriptionCreated,
    SubscriptionDraftCreated,
    SubscriptionTrialStarted,
)
from app.subscriptions.family import wanted
from app.subscriptions.models import LineItemTable, SubscriptionTable
from app.subscriptions.records import columns
from app.subscriptions.subscription import (
    CreateSubscription,
    LineItem,
    PaymentTerms,
    ProrateBy,
    Subscription,
    SubscriptionStatus,
    Trial,
)
from app.subscriptions.terms import Terms, check_backdating, terms_of
from app.tenants import audit
from app.tenants.reads import environments
from app.tenants.settings import effective


async def create(
    scope: Scope, command: CreateSubscription, *, by: Actor, at: datetime
) -> Subscription:
    """Put a customer on a plan: on the prices in force of its current version, of the currency
    and cadence, and with the entitlements in force.

    In force when the subscription starts, or now for a start in the past; a start in the past
    is billed from then on, one invoice per period. A draft bills nothing.
    Raises: Invalid, NotFound (customer, plan), Archived (customer, plan), PlanNotPublished.
    """
    buying.check_trial_days(command.trial_days)
    async with writing(scope) as connection:
        await lock_shared(scope, command.customer_id)
        customer = await customer_in_use(scope, command.customer_id)
        check_payer(command.terms, customer)
        terms = terms_of(command, customer, at=at, payer=await _payer(scope, command, customer))
        await lock(connection, scope, "plans", command.plan_id, shared=True)
        version = await version_for_sale(scope, command.plan_id)
        reference = max(at, terms.starts_at)
        offered = await prices.of_version(scope, version.id, at=reference)
        bought = buying.bought(offered, terms, command.price_ids)
        trial = buying.trial_of(command, bought, starts_at=terms.starts_at, timezone=terms.timezone)
        share = command.prorate_by or await _prorate_by(scope)
        subscription = _subscription(version, command, terms, trial, at=at)
        subscription = replace(subscription, prorate_by=share)
        check_backdating(subscription.schedule, subscription.starts_at, at=at)
        held = buying.quantities(bought, command.quantities, command.overrides)
        own = await own_prices.of_bought(
            connection,
            scope,
            bought,
            command.overrides,
            subscription_id=subscription.id,
            starts_at=subscription.starts_at,
            at=at,
        )
        sold = [own.get(price.id, price) for price in bought]
        promised = committing.checked(command.commitments, sold, terms.cadence)
        subscription = replace(subscription, commitments=committing.held(promised))
        lines = _lines(subscription, sold, held, at=at)
        await overrides.add(scope, list(own.values()), by=by, at=at)
        await _insert(scope, subscription, lines)
        plan = Owner(OwnerKind.PLAN, version.plan_id, version.id)
        holding = await hold(scope, subscription, plan, at=at, reference=reference)
        await schedule_billing(scope, subscription)
        if watched(subscription, at):
            await schedule_threshold(scope, subscription, at=at)
        facts = fields_of(subscription) | {
            "line_items": [fields_of(line) for line in lines],
            "entitlement_ids": list(holding.entitlement_ids),
        }
        await audit.record(scope, by, "subscription.create", subscription.id, at=at, after=facts)
        await outbox.put_many(scope, _events(subscription, at=at))
    return subscription


async def _payer(scope: Scope, command: CreateSubscription, customer: Customer) -> Customer | None:
    pays = command.terms.parent_pays
    pays = customer.parent_pays if pays is None else pays
    if not pays or customer.parent_id is None:
        return None
    return await customers.get(scope, customer.parent_id)


def check_payer(terms: PaymentTerms, customer: Customer) -> None:
    """Raises: Invalid (PARENT_REQUIRED)."""
    if terms.parent_pays and customer.parent_id is None:
        raise parent_required()


async def customer_in_use(scope: Scope, customer_id: str) -> Customer:
    """Raises: NotFound, Archived."""
    customer = (await customers.by_ids(scope, [customer_id])).get(customer_id)
    if customer is None:
        raise NotFound("customer", customer_id, field="customerId")
    if customer.status is CustomerStatus.ARCHIVED:
        raise Archived("customer", customer_id, field="customerId")
    return customer


async def version_for_sale(scope: Scope, plan_id: str) -> PlanVersion:
    """What is for sale of the plan, which is locked against its changing.

    Raises: NotFound, Archived, PlanNotPublished.
    """
    plan = await plans.get(scope, plan_id, field="planId")
    if plan.status is PlanStatus.ARCHIVED:
        raise Archived("plan", plan_id, field="planId")
    version = (await plan_versions.current_of_plans(scope, [plan_id])).get(plan_id)
    if version is None:
        raise PlanNotPublished(plan_id)
    return version


def status_of_new(subscription: Subscription, *, at: datetime) -> SubscriptionStatus:
    """What a subscription that is no draft starts as."""
    if subscription.starts_at > at:
        return SubscriptionStatus.SCHEDULED
    trialing = at < subscription.charged_from
    return SubscriptionStatus.TRIALING if trialing else SubscriptionStatus.ACTIVE


async def _prorate_by(scope: Scope) -> ProrateBy:
    found = await environments.by_ids(scope, [scope.environment_id])
    overrides = (environment.overrides for environment in found.values())
    return ProrateBy(effective(next(overrides, {})).subscriptions.prorate_by)


def _subscription(
    version: PlanVersion,
    command: CreateSubscription,
    terms: Terms,
    trial: Trial | None,
    *,
    at: datetime,
) -> Subscription:
    charged_from = terms.starts_at if trial is None else trial.ends_at
    if trial is not None and trial.ends_at <= at:
        trial = replace(trial, told=True)  # over before anybody could hear of it
    unbilled = Subscription(
        id=new_id("sub"),
        customer_id=command.customer_id,
        plan_id=version.plan_id,
        plan_version_id=version.id,
        status=SubscriptionStatus.DRAFT,
        currency=terms.currency,
        timezone=terms.timezone,
        alignment=terms.alignment,
        anchor=terms.anchor or charged_from,
        anchor_given=terms.anchor is not None,
        cadence=terms.cadence,
        starts_at=terms.starts_at,
        start_given=command.starts_at is not None,
        ends_at=terms.ends_at,
        trial=trial,
        pauses=(),
        cuts=(),
        cancellation=None,
        terms=terms.payment,
        families=wanted(command.family_usage, command.lines_per_customer),
        current_period=Period(terms.starts_at, terms.starts_at),
        billed_until=None,
        threshold_until=None,
        revision=0,
        metadata=terms.metadata,
        created_at=at,
        updated_at=at,
    )
    status = unbilled.status if command.draft else status_of_new(unbilled, at=at)
    return refreshed(replace(unbilled, status=status))


def _events(subscription: Subscription, *, at: datetime) -> list[Event]:
    facts = told(subscription) | {"occurred_at": at}
    if subscription.status is SubscriptionStatus.DRAFT:
        return [SubscriptionDraftCreated(**facts)]
    return [SubscriptionCreated(**facts), *trial_started(subscription, at=at)]


def trial_started(subscription: Subscription, *, at: datetime) -> list[Event]:
    """The news for one that is trialing now; none for any other."""
    if subscription.trial is None or subscription.status is not SubscriptionStatus.TRIALING:
        return []
    ends_at = subscription.trial.ends_at
    return [SubscriptionTrialStarted(**told(subscription), occurred_at=at, trial_ends_at=ends_at)]


def _lines(
    subscription: Subscription,
    bought: Sequence[Price],
    quantities: Mapping[str, Decimal],
    *,
    at: datetime,
) -> list[LineItem]:
    """A line for each price; quantities are by the prices of the catalogue."""
    return [
        LineItem(
            id=(line_id := new_id("sli")),
            line_key=line_id,
            subscription_id=subscription.id,
            price_id=price.id,
            price_hash=price.content_hash,
            quantity=quantities.get(price.catalogue_id),
            starts_at=subscription.starts_at,
            ends_at=None,
            created_at=at,
            updated_at=at,
        )
        for price in bought
    ]


async def _insert(scope: Scope, subscription: Subscription, lines: Sequence[LineItem]) -> None:
    owner = {"tenant_id": scope.tenant_id, "environment_id": scope.environment_id}
    await SubscriptionTable.create(**(owner | columns(subscription)))
    await LineItemTable.bulk_create(LineItemTable(**owner, **fields_of(line)) for line in lines)
