"""What a change makes of a subscription: its lines, what it holds, and what it promised."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

import asyncpg

from app.catalog.entitlement import Owner, OwnerKind
from app.catalog.price import Price
from app.catalog.reads import plan_versions, prices
from app.kernel.scope import Scope
from app.subscriptions import committing, reads
from app.subscriptions.actions import addons, own_prices
from app.subscriptions.actions.holding import hold, let_go
from app.subscriptions.change import (
    ChangeAddonQuantity,
    ChangePlan,
    ChangePrice,
    ChangeQuantity,
    What,
)
from app.subscriptions.changes.asking import check_other
from app.subscriptions.changes.lines import (
    Priced,
    Swap,
    in_force,
    replanned,
    repriced,
    requantified,
)
from app.subscriptions.subscription import Subscription


async def lines_of(scope: Scope, subscription_id: str) -> list[Priced]:
    """Every line that the subscription ever had, with its price."""
    lines = (await reads.line_items(scope, [subscription_id]))[subscription_id]
    priced = await prices.by_ids(scope, {line.price_id for line in lines})
    return [(line, priced[line.price_id]) for line in lines]


async def swap_of(
    connection: asyncpg.Connection,
    scope: Scope,
    subscription: Subscription,
    what: What,
    *,
    lines: Sequence[Priced],
    at: datetime,
    sold: Sequence[Price] | None = None,
) -> Swap:
    """The lines that end at `at`, and those that begin; nothing is stored. `sold`: every price of
    the version to go over to, where they are at hand. Raises: what the lines of the change
    refuse."""
    if isinstance(what, ChangePlan):
        check_other(subscription, what.plan_version_id, "planVersionId")
        version_id = what.plan_version_id or ""
        if sold is None:
            sold = (await prices.all_of_versions(scope, [version_id]))[version_id]
        offered = [price for price in sold if price.in_force(at)]
        own = await own_prices.of_plan_change(
            connection, scope, subscription, what, lines=lines, offered=offered, at=at
        )
        return replanned(subscription, lines, offered, what, own=own, at=at)
    if isinstance(what, ChangePrice):
        current = in_force(lines, what.line_item_id, at)
        price = await own_prices.of_line(connection, scope, current, what, at=at)
        swap = repriced(current, price, what.quantity, at=at)
        committing.repriced(subscription, price, at=at)
        return swap
    if isinstance(what, ChangeQuantity):
        return requantified(lines, what, at=at)
    return await addons.swap_of(connection, scope, subscription, what, lines=lines, at=at)


async def held_after(
    scope: Scope,
    before: Subscription,
    after: Subscription,
    *,
    swap: Swap,
    what: What,
    effective_at: datetime,
    at: datetime,
) -> Subscription:
    """`after` with what it promised, and the plan that it holds from `effective_at` on."""
    if isinstance(what, ChangePrice):
        ((_, price),) = swap.opened
        return replace(after, commitments=committing.repriced(after, price, at=effective_at))
    if isinstance(what, ChangeQuantity):
        return after
    left = {price.catalogue_id for _, price in swap.closed}
    if not isinstance(what, ChangeAddonQuantity):
        over = committing.ended(after.commitments, left, at=effective_at)
        after = replace(after, commitments=over)
    if not isinstance(what, ChangePlan):
        await addons.held_after(scope, before, what, swap=swap, effective_at=effective_at, at=at)
        return after
    version = await plan_versions.get(scope, what.plan_version_id or "", field="planVersionId")
    holdings = (await reads.holdings(scope, [before.id]))[before.id]
    plans = [h for h in holdings if h.owner.kind is OwnerKind.PLAN and h.ends_at is None]
    await let_go(scope, plans, at=at, ends_at=effective_at)
    await hold(
        scope,
        before,
        Owner(OwnerKind.PLAN, version.plan_id, version.id),
        at=at,
        reference=effective_at,
        starts_at=effective_at,
    )
    return replace(after, plan_id=version.plan_id, plan_version_id=version.id)
