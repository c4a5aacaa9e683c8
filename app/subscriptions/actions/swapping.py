"""What a change makes of a subscription: its lines, what it holds, and what it promised."""

from collections.abc import Sequence
from datetime import datetime

import asyncpg

from app.catalog.entitlement import Owner, OwnerKind
from app.catalog.price import Billing, ChargeKind, Price
from app.catalog.reads import plan_versions, prices
from app.kernel.copies import replace
from app.kernel.scope import Scope
from app.subscriptions import committing, reads
from app.subscriptions.actions import addons, own_prices
from app.subscriptions.actions.holding import hold, let_go
from app.subscriptions.change import (
    ChangeAddonQuantity,
    ChangePlan,
    ChangePrice,
    ChangeQuantity,
    PhaseTerms,
    What,
)
from app.subscriptions.changes.asking import check_other
from app.subscriptions.changes.lines import (
    Priced,
    Swap,
    in_force,
    of_plan,
    replanned,
    repriced,
    requantified,
    swapped,
)
from app.subscriptions.commitments import HeldCommitment
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
    known: own_prices.Known | None = None,
    reference: datetime | None = None,
) -> Swap:
    """The lines that end at `at`, and those that begin; nothing is stored. `sold`: every price of
    the version to go over to, where they are at hand, and `known` what own prices are made of,
    where nothing will be stored; bought are those in force at `reference` (None: at `at`).
    Raises: what the lines of the change refuse."""
    if isinstance(what, ChangePlan):
        if what.phase is None:
            check_other(subscription, what.plan_version_id, "planVersionId")
        version_id = what.plan_version_id or ""
        if sold is None:
            sold = (await prices.all_of_versions(scope, [version_id]))[version_id]
        offered = [price for price in sold if price.in_force(reference or at)]
        if version_id == subscription.plan_version_id:
            what, offered = await _going_on(
                scope, subscription, what, lines=lines, offered=offered, at=at
            )
        own = await own_prices.of_plan_change(
            connection, scope, subscription, what, lines=lines, offered=offered, at=at, known=known
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


async def _going_on(
    scope: Scope,
    subscription: Subscription,
    what: ChangePlan,
    *,
    lines: Sequence[Priced],
    offered: Sequence[Price],
    at: datetime,
) -> tuple[ChangePlan, list[Price]]:
    """On the version that it is on, a subscription is offered the prices of the catalogue that it
    has, as long as it has them, and buys all of these unless others are named. What was charged
    once is done with."""
    bought = {price.catalogue_id for _, price in of_plan(lines, at)}
    found = await prices.by_ids(scope, bought)
    mine = {key: found[key] for key in sorted(found)}
    had = {price.lineage_id for price in mine.values()}
    goes_on = [
        price.id
        for price in mine.values()
        if price.billing is Billing.RECURRING or at <= subscription.charged_from
    ]
    named = tuple(goes_on) if what.price_ids is None else what.price_ids
    others = [price for price in offered if price.lineage_id not in had]
    return replace(what, price_ids=named), [*mine.values(), *others]


async def held_after(
    scope: Scope,
    before: Subscription,
    after: Subscription,
    *,
    swap: Swap,
    what: What,
    lines: Sequence[Priced],
    effective_at: datetime,
    at: datetime,
) -> Subscription:
    """`after` with what it promised, and the plan that it holds from `effective_at` on. `lines`
    are all that it ever had until then."""
    if isinstance(what, ChangePrice):
        ((_, price),) = swap.opened
        return replace(after, commitments=committing.repriced(after, price, at=effective_at))
    if isinstance(what, ChangeQuantity):
        return after
    if isinstance(what, ChangePlan) and what.phase is not None:
        promised = committed_in(after, what.phase, swap, lines, at=effective_at)
        after = replace(after, commitments=promised)
    elif not isinstance(what, ChangeAddonQuantity):
        left = {price.catalogue_id for _, price in swap.closed}
        over = committing.ended(after.commitments, left, at=effective_at)
        after = replace(after, commitments=over)
    if not isinstance(what, ChangePlan):
        await addons.held_after(scope, before, what, swap=swap, effective_at=effective_at, at=at)
        return after
    if what.plan_version_id == before.plan_version_id:
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


def committed_in(
    subscription: Subscription,
    phase: PhaseTerms,
    swap: Swap,
    lines: Sequence[Priced],
    *,
    at: datetime,
) -> tuple[HeldCommitment, ...]:
    """What it promised, once a phase has begun at `at`, of the lines that it has by then.

    Raises: Invalid, PeriodHasNoEnd.
    """
    wanted = phase.commitments
    if wanted is not None:
        sold = [price for line, price in swapped(lines, swap, at=at) if line.covers(at)]
        wanted = committing.checked(wanted, sold, subscription.cadence)
    left = {price.catalogue_id for _, price in swap.closed}
    usage = [price for _, price in swap.opened if price.charge is ChargeKind.USAGE]
    begun = {price.catalogue_id: price for price in usage}
    return committing.phased(subscription, left, begun, wanted, at=at)
