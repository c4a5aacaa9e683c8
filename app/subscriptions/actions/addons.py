"""Addons of running subscriptions: what of them is sold, and what is held."""

from collections.abc import Sequence
from datetime import datetime

import asyncpg

from app.catalog.actions.locks import lock
from app.catalog.addon import AddonStatus
from app.catalog.entitlement import Owner, OwnerKind
from app.catalog.errors import Archived
from app.catalog.reads import addons as catalogue
from app.catalog.reads import prices
from app.kernel.scope import Scope
from app.subscriptions import reads
from app.subscriptions.actions.holding import hold, let_go
from app.subscriptions.change import AttachAddon, ChangeAddonQuantity, OfAddon
from app.subscriptions.changes import addons
from app.subscriptions.changes.lines import Priced, Swap
from app.subscriptions.subscription import Subscription


async def swap_of(
    connection: asyncpg.Connection,
    scope: Scope,
    subscription: Subscription,
    what: OfAddon,
    *,
    lines: Sequence[Priced],
    at: datetime,
) -> Swap:
    """The lines that end and begin with the addon; nothing is stored.

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
        offered = [price for price in sold if price.in_force(at)]
        return addons.attached(subscription, addon, what, offered=offered, holdings=holdings, at=at)
    holding = addons.held(holdings, what.holding_id, at)
    if isinstance(what, ChangeAddonQuantity):
        return addons.rescaled(lines, holding, what, at=at)
    return addons.detached(lines, holding, at=at)


async def held_after(
    scope: Scope,
    subscription: Subscription,
    what: OfAddon,
    *,
    swap: Swap,
    effective_at: datetime,
    at: datetime,
) -> None:
    """Begin and end what is held of the addon. Call inside `writing(scope)`."""
    if isinstance(what, AttachAddon):
        addon = await catalogue.get(scope, what.addon_id, field="addonId")
        await hold(
            scope,
            subscription,
            Owner(OwnerKind.ADDON, addon.id),
            at=at,
            reference=effective_at,
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
