"""Whom a coupon is attached to, as the command names them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from app.catalog.errors import Archived
from app.customers import reads as customers
from app.customers.customer import CustomerStatus
from app.infra.rows import the
from app.invoicing.terms.attachment import AttachCoupon
from app.kernel.errors import Invalid
from app.kernel.scope import Scope
from app.subscriptions import reads as subscriptions
from app.subscriptions.errors import SubscriptionIsOver
from app.subscriptions.periods import next_point
from app.subscriptions.subscription import OVER, LineItem, Subscription


@dataclass(frozen=True, slots=True)
class Owner:
    """Whom a coupon is attached to, and what it could be taken off.

    `currency` None: any. `lines` are the line items in question; None for a customer, whose
    subscriptions may come later. `since`: the first invoice that it could be taken off.
    """

    customer_id: str
    currency: str | None
    since: datetime
    subscription_id: str | None = None
    line_item_id: str | None = None
    lines: Sequence[LineItem] | None = None

    @property
    def id(self) -> str:
        return self.line_item_id or self.subscription_id or self.customer_id


async def owner_of(scope: Scope, command: AttachCoupon, *, at: datetime) -> Owner:
    """Raises: Invalid, NotFound, Archived (the customer), SubscriptionIsOver."""
    named = {
        "customerId": command.customer_id,
        "subscriptionId": command.subscription_id,
        "subscriptionLineItemId": command.line_item_id,
    }
    given = [name for name, value in named.items() if value is not None]
    if len(given) != 1:
        raise Invalid(
            "customerId: name a customer, a subscription or one of its line items, and only one",
            field="customerId" if not given else given[1],
            code="OWNER_REQUIRED" if not given else "OWNER_AMBIGUOUS",
        )
    if command.customer_id is not None:
        return await _customer(scope, command.customer_id, at=at)
    subscription_id, line = command.subscription_id, None
    if command.line_item_id is not None:
        found = await subscriptions.line_items_by_ids(scope, [command.line_item_id])
        line = the(
            found, "subscription line item", command.line_item_id, field="subscriptionLineItemId"
        )
        subscription_id = line.subscription_id
    return await _subscribed(scope, subscription_id or "", line, at=at)


async def _customer(scope: Scope, customer_id: str, *, at: datetime) -> Owner:
    found = await customers.by_ids(scope, [customer_id])
    customer = the(found, "customer", customer_id, field="customerId")
    if customer.status is CustomerStatus.ARCHIVED:
        raise Archived("customer", customer_id, field="customerId")
    return Owner(customer_id, customer.currency, since=at)


async def _subscribed(
    scope: Scope, subscription_id: str, line: LineItem | None, *, at: datetime
) -> Owner:
    found = await subscriptions.by_ids(scope, [subscription_id])
    subscription = the(found, "subscription", subscription_id, field="subscriptionId")
    if subscription.status in OVER:
        raise SubscriptionIsOver(subscription.id, subscription.status.value)
    if line is None:
        every = (await subscriptions.line_items(scope, [subscription_id]))[subscription_id]
        lines = [each for each in every if each.ends_at is None or each.ends_at > at]
    else:
        lines = [line]
    return Owner(
        customer_id=subscription.customer_id,
        currency=subscription.currency,
        since=_since(subscription, at),
        subscription_id=subscription.id,
        line_item_id=None if line is None else line.id,
        lines=lines,
    )


def _since(subscription: Subscription, at: datetime) -> datetime:
    """The first point of the subscription that is not billed, where that has come already."""
    point = next_point(subscription)
    return at if point is None else min(at, point.at)
