"""Addons of running subscriptions: what of them is sold, and what is held."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime

import asyncpg

from app.catalog.actions.locks import lock
from app.catalog.addon import AddonStatus
from app.catalog.entitlement import Owner, OwnerKind
from app.catalog.errors import Archived
from app.catalog.reads import addons as catalogue
from app.catalog.reads import prices
from app.infra.postgres import writing
from app.kernel.checks import placed
from app.kernel.scope import Actor, Scope
from app.subscriptions import reads
from app.subscriptions.actions.change_rows import swap_lines
from app.subscriptions.actions.holding import hold, let_go
from app.subscriptions.change import AttachAddon, ChangeAddonQuantity, OfAddon
from app.subscriptions.changes import addons
from app.subscriptions.changes.lines import Priced, Swap
from app.subscriptions.errors import SubscriptionIsDraft
from app.subscriptions.subscription import Subscription, SubscriptionStatus
from app.tenants import audit


async def swap_of(
    connection: asyncpg.Connection,
    scope: Scope,
    subscription: Subscription,
    what: OfAddon,
    *,
    lines: Sequence[Priced],
    at: datetime,
    reference: datetime | None = None,
) -> Swap:
    """The lines that end and begin with the addon; nothing is stored. Bought are the prices in
    force at `reference` (None: at `at`).

    Raises: Invalid, NotFound, Archived, AddonIsAttached, AddonIsNotHeld, NothingChanges,
    PeriodHasNoEnd.
    """
    holdings = (await reads.holdings(scope, [subscription.id]))[subscription.id]
    if isinstance(what, AttachAddon):
        await lock(connection, scope, "addons", what.addon_id, shared=True)
        addon = await catalogue.get(scope, what.addon_id, field="addonId")
        if addon.status is AddonStatus.ARCHIVED:
            raise Archived("addon", addon.id, field="addonId")
        sold = (await prices.all_of_addons(scope, [addon.id]))[addon.id]
        offered = [price for price in sold if price.in_force(reference or at)]
        return addons.attached(subscription, addon, what, offered=offered, holdings=holdings, at=at)
    holding = addons.held(holdings, what.holding_id, at)
    if isinstance(what, ChangeAddonQuantity):
        return addons.rescaled(lines, holding, what, at=at)
    return addons.detached(lines, holding, at=at)


async def buy(
    scope: Scope,
    subscription: Subscription,
    wanted: Sequence[AttachAddon],
    *,
    by: Actor,
    at: datetime,
) -> None:
    """Attach addons to a subscription that has only just been created, from its start on.

    In force when it starts, or now for a start in the past, as with its plan.
    Raises: SubscriptionIsDraft, and as `swap_of`, naming the addon at fault by its place.
    """
    if wanted and subscription.status is SubscriptionStatus.DRAFT:
        raise SubscriptionIsDraft(subscription.id, subscription.status.value, field="addons")
    start = subscription.starts_at
    reference = max(at, start)
    async with writing(scope) as connection:
        for index, what in enumerate(wanted):
            with placed(f"addons[{index}]"):
                swap = await swap_of(
                    connection, scope, subscription, what, lines=(), at=start, reference=reference
                )
            opened = [line for line, _ in swap.opened]
            await swap_lines(scope, (), opened, ends_at=start, at=at)
            await held_after(
                scope, subscription, what, swap=swap, effective_at=start, at=at, reference=reference
            )
            facts = {"addon_id": what.addon_id, "line_items": [asdict(line) for line in opened]}
            action = "subscription.buy_addon"
            await audit.record(scope, by, action, subscription.id, at=at, after=facts)


async def held_after(
    scope: Scope,
    subscription: Subscription,
    what: OfAddon,
    *,
    swap: Swap,
    effective_at: datetime,
    at: datetime,
    reference: datetime | None = None,
) -> None:
    """Begin and end what is held of the addon, with its entitlements in force at `reference`
    (None: at `effective_at`). Call inside `writing(scope)`."""
    if isinstance(what, AttachAddon):
        addon = await catalogue.get(scope, what.addon_id, field="addonId")
        await hold(
            scope,
            subscription,
            Owner(OwnerKind.ADDON, addon.id),
            at=at,
            reference=reference or effective_at,
            quantity=what.quantity,
            starts_at=effective_at,
            ends_at=addons.ends_of(subscription, addon, effective_at),
            holding_id=swap.holding_id,
        )
        return
    holdings = (await reads.holdings(scope, [subscription.id]))[subscription.id]
    before = addons.held(holdings, what.holding_id, effective_at)
    await let_go(scope, [before], at=at, ends_at=effective_at)
    if isinstance(what, ChangeAddonQuantity):
        await hold(
            scope,
            subscription,
            before.owner,
            at=at,
            reference=effective_at,
            quantity=what.quantity,
            starts_at=effective_at,
            ends_at=before.ends_at,
            before=before,
        )
