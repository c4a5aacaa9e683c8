"""Addons of running subscriptions: what of them is sold, and what is held."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import asyncpg

from app.catalog.actions.locks import lock, lock_all
from app.catalog.addon import Addon, AddonStatus
from app.catalog.entitlement import Owner, OwnerKind
from app.catalog.errors import Archived
from app.catalog.price import Price
from app.catalog.reads import addons as catalogue
from app.catalog.reads import entitlements, prices
from app.infra.postgres import writing
from app.infra.rows import the
from app.kernel.checks import placed
from app.kernel.copies import fields_of
from app.kernel.scope import Actor, Scope
from app.subscriptions import reads
from app.subscriptions.actions.change_rows import swap_lines
from app.subscriptions.actions.holding import add, begun, hold, let_go
from app.subscriptions.change import AttachAddon, ChangeAddonQuantity, OfAddon
from app.subscriptions.changes import addons
from app.subscriptions.changes.lines import Priced, Swap
from app.subscriptions.errors import SubscriptionIsDraft
from app.subscriptions.holding import Holding
from app.subscriptions.subscription import Subscription, SubscriptionStatus
from app.tenants import audit


@dataclass(frozen=True, slots=True)
class ForSale:
    """An addon with its prices and the ids of its entitlements, those in force."""

    addon: Addon
    prices: Sequence[Price]
    given: Sequence[str]


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
        addon = _in_use(await catalogue.by_ids(scope, [what.addon_id]), what)
        sold = (await prices.all_of_addons(scope, [addon.id]))[addon.id]
        offered = [price for price in sold if price.in_force(at)]
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
    """Attach addons to a subscription that has only just been created, from its start on. The
    statements are the same for any number of them.

    In force when it starts, or now for a start in the past, as with its plan.
    Raises: SubscriptionIsDraft, and as `swap_of`, naming the addon at fault by its place.
    """
    if not wanted:
        return
    if subscription.status is SubscriptionStatus.DRAFT:
        raise SubscriptionIsDraft(subscription.id, subscription.status.value, field="addons")
    start = subscription.starts_at
    async with writing(scope) as connection:
        ids = {what.addon_id for what in wanted}
        await lock_all(connection, scope, "addons", ids)
        sold = await _for_sale(scope, ids, reference=max(at, start))
        bought = _bought(subscription, wanted, sold, at=at)
        opened = [line for swap, _ in bought for line, _ in swap.opened]
        await swap_lines(scope, (), opened, ends_at=start, at=at)
        await add(scope, [holding for _, holding in bought])
        entries = [
            audit.Entry(
                "subscription.buy_addon",
                subscription.id,
                after={
                    "addon_id": holding.owner.id,
                    "line_items": [fields_of(line) for line, _ in swap.opened],
                },
            )
            for swap, holding in bought
        ]
        await audit.record_many(scope, by, entries, at=at)


async def _for_sale(
    scope: Scope, ids: Collection[str], *, reference: datetime
) -> dict[str, ForSale]:
    """Those that there are, by their ids, with what of theirs is in force at `reference`."""
    sold = await prices.all_of_addons(scope, ids)
    given = await entitlements.all_of(OwnerKind.ADDON)(scope, ids)
    return {
        key: ForSale(
            addon,
            [price for price in sold[key] if price.in_force(reference)],
            [each.id for each in given[key] if each.in_force(reference)],
        )
        for key, addon in (await catalogue.by_ids(scope, ids)).items()
    }


def _bought(
    subscription: Subscription,
    wanted: Sequence[AttachAddon],
    sold: Mapping[str, ForSale],
    *,
    at: datetime,
) -> list[tuple[Swap, Holding]]:
    """The lines that begin with each, and what is held of it, from the subscription's start on."""
    start, known = subscription.starts_at, {key: each.addon for key, each in sold.items()}
    found: list[tuple[Swap, Holding]] = []
    for index, what in enumerate(wanted):
        with placed(f"addons[{index}]"):
            addon = _in_use(known, what)
            swap = addons.attached(
                subscription,
                addon,
                what,
                offered=sold[addon.id].prices,
                holdings=[holding for _, holding in found],
                at=start,
            )
        holding = begun(
            subscription,
            Owner(OwnerKind.ADDON, addon.id),
            sold[addon.id].given,
            at=at,
            quantity=what.quantity,
            starts_at=start,
            ends_at=addons.ends_of(subscription, addon, start),
            holding_id=swap.holding_id,
        )
        found.append((swap, holding))
    return found


def _in_use(known: Mapping[str, Addon], what: AttachAddon) -> Addon:
    """Raises: NotFound, Archived."""
    addon = the(known, "addon", what.addon_id, field="addonId")
    if addon.status is AddonStatus.ARCHIVED:
        raise Archived("addon", addon.id, field="addonId")
    return addon


async def held_after(
    scope: Scope,
    subscription: Subscription,
    what: OfAddon,
    *,
    swap: Swap,
    effective_at: datetime,
    at: datetime,
) -> None:
    """Begin and end what is held of the addon, with its entitlements in force at `effective_at`.
    Call inside `writing(scope)`."""
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
