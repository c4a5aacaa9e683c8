"""Putting a customer on a plan with coupons: all of it, or nothing."""

from collections.abc import Sequence
from datetime import datetime

from app.infra.postgres import writing
from app.invoicing.actions.attaching import attach
from app.invoicing.terms.attachment import AttachCoupon
from app.kernel import checks
from app.kernel.copies import replace
from app.kernel.errors import DomainError
from app.kernel.scope import Actor, Scope
from app.subscriptions import actions as subscriptions
from app.subscriptions import reads
from app.subscriptions.change import AttachAddon
from app.subscriptions.errors import SubscriptionIsDraft
from app.subscriptions.phases import SetPhases, arranged
from app.subscriptions.subscription import (
    CreateSubscription,
    Subscription,
    SubscriptionStatus,
)

MOST_COUPONS = 20
MOST_ADDONS = 50


async def subscribe(
    scope: Scope,
    command: CreateSubscription,
    *,
    by: Actor,
    at: datetime,
    coupon_ids: Sequence[str] = (),
    coupon_codes: Sequence[str] = (),
    phases: SetPhases | None = None,
    addons: Sequence[AttachAddon] = (),
) -> Subscription:
    """Create a subscription with addons from its start on and with its phases, those after the
    one that it is bought with, and attach coupons to it, by id and then by code, in this order.

    Raises: what `app.subscriptions.actions.create`, `buy_addons` and `set_phases` raise; Invalid
    (more than `MOST_COUPONS` or `MOST_ADDONS`); NotFound, CouponNotRedeemable,
    CouponAlreadyAttached, which name the coupon at fault by its place, such as `couponCodes[1]`.
    """
    if len(coupon_ids) + len(coupon_codes) > MOST_COUPONS:
        raise checks.invalid(
            "couponCodes" if coupon_codes else "couponIds",
            f"at most {MOST_COUPONS} coupons can be given at once",
        )
    if phases is not None:
        arranged(phases)
    if len(addons) > MOST_ADDONS:
        raise checks.invalid("addons", f"at most {MOST_ADDONS} can be bought at once")
    wanted = [(f"couponIds[{i}]", AttachCoupon(coupon_id=id_)) for i, id_ in enumerate(coupon_ids)]
    wanted += [(f"couponCodes[{i}]", AttachCoupon(code=c)) for i, c in enumerate(coupon_codes)]
    async with writing(scope):
        subscription = await subscriptions.create(scope, command, by=by, at=at)
        await subscriptions.buy_addons(scope, subscription, addons, by=by, at=at)
        if phases is not None:
            subscription = await _phased(scope, subscription, phases, by=by, at=at)
        for place, coupon in wanted:
            whole = replace(coupon, subscription_id=subscription.id)
            try:
                await attach(scope, whole, by=by, at=at)
            except DomainError as refusal:
                refusal.field = place
                raise
    return subscription


async def _phased(
    scope: Scope, subscription: Subscription, phases: SetPhases, *, by: Actor, at: datetime
) -> Subscription:
    """Phases in the past count where the subscription starts there."""
    if subscription.status is SubscriptionStatus.DRAFT:
        raise SubscriptionIsDraft(subscription.id, subscription.status.value, field="phases")
    wanted = replace(phases, subscription_id=subscription.id)
    since = subscription.starts_at
    await subscriptions.set_phases(scope, wanted, by=by, at=at, since=since)
    return await reads.get(scope, subscription.id)
