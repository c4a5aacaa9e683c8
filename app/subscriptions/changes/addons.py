"""What attaching, detaching and holding more or less of an addon makes of the lines. Pure."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from app.catalog.addon import Addon, AddonType
from app.catalog.price import Billing, ChargeKind, Price
from app.catalog.prices import numbers
from app.kernel.copies import replace
from app.kernel.errors import Invalid, NotFound
from app.kernel.ids import new_id
from app.subscriptions.change import AttachAddon, ChangeAddonQuantity
from app.subscriptions.changes.lines import Priced, Swap, line_from
from app.subscriptions.changes.standing import period_end
from app.subscriptions.errors import AddonIsAttached, AddonIsNotHeld, NothingChanges
from app.subscriptions.holding import Holding
from app.subscriptions.subscription import Subscription


def attached(
    subscription: Subscription,
    addon: Addon,
    command: AttachAddon,
    *,
    offered: Sequence[Price],
    holdings: Iterable[Holding],
    at: datetime,
) -> Swap:
    """A line for each price that fits. `offered` are the addon's in force, `holdings` all that
    the subscription ever held. Raises: Invalid, AddonIsAttached, PeriodHasNoEnd."""
    quantity = numbers.positive(command.quantity, "quantity")
    chosen = _fitting(subscription, offered)
    if any(price.charge is ChargeKind.USAGE for price in chosen):
        for each in holdings:
            if each.owner.id == addon.id and (each.ends_at is None or at < each.ends_at):
                raise AddonIsAttached(addon.id, each.key)
    key, ends_at = new_id("hold"), ends_of(subscription, addon, at)
    opened = []
    for price in chosen:
        held = quantity if price.charge is ChargeKind.FIXED else None
        line = line_from(subscription.id, None, price, held, at=at)
        opened.append((replace(line, holding_id=key, ends_at=ends_at), price))
    return Swap((), tuple(opened), key)


def ends_of(subscription: Subscription, addon: Addon, at: datetime) -> datetime | None:
    """One that is bought once ends with the period. Raises: PeriodHasNoEnd."""
    if addon.type is AddonType.ONE_TIME:
        return period_end(subscription, at, field="mode")
    return None


def detached(lines: Sequence[Priced], holding: Holding, *, at: datetime) -> Swap:
    """All of its lines end."""
    of = [(line, p) for line, p in lines if line.holding_id == holding.key and line.covers(at)]
    return Swap(tuple(of), ())


def rescaled(
    lines: Sequence[Priced], holding: Holding, command: ChangeAddonQuantity, *, at: datetime
) -> Swap:
    """Its recurring fixed charges for another quantity; what was charged once is done with.

    Raises: Invalid, NothingChanges.
    """
    quantity = numbers.positive(command.quantity, "quantity")
    if quantity == holding.quantity:
        raise NothingChanges(f"{quantity} is held", "quantity")
    closed, opened = [], []
    for line, price in detached(lines, holding, at=at).closed:
        if price.charge is ChargeKind.FIXED and price.billing is Billing.RECURRING:
            begun = line_from(line.subscription_id, line, price, quantity, at=at)
            closed.append((line, price))
            opened.append((replace(begun, ends_at=line.ends_at), price))
    return Swap(tuple(closed), tuple(opened))


def held(holdings: Sequence[Holding], holding_id: str, at: datetime) -> Holding:
    """What is held at `at` of an addon, by the key of its holdings.

    Raises: NotFound, AddonIsNotHeld.
    """
    mine = [each for each in holdings if each.key == holding_id and each.owner.kind == "addon"]
    if not mine:
        raise NotFound("subscription addon", holding_id, field="subscriptionAddonId")
    for each in mine:
        if each.covers(at):
            return each
    raise AddonIsNotHeld(holding_id, at)


def _fitting(subscription: Subscription, offered: Sequence[Price]) -> list[Price]:
    """In its currency, and charged once or in its cadence. Raises: Invalid."""
    mine = [price for price in offered if price.currency == subscription.currency]
    if offered and not mine:
        found = ", ".join(sorted({price.currency for price in offered}))
        raise _refused(f"in {subscription.currency}; it has {found}", "CURRENCY_MISMATCH")
    base = subscription.cadence
    fits = [p for p in mine if p.billing is Billing.ONE_TIME or p.cadence == base]
    if mine and not fits:
        raise _refused(f"every {base.count} {base.unit}", "CADENCE_MISMATCH")
    return fits


def _refused(why: str, code: str) -> Invalid:
    return Invalid(f"addonId: the addon has no price in force {why}", field="addonId", code=code)
