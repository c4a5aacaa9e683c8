"""What a change makes of a subscription's lines: those that end, and those that begin. Pure.

A line is never edited: what changes ends, and another takes over from it, which shares its key.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from fractions import Fraction

from app.catalog.price import Billing, ChargeKind, Price
from app.catalog.prices import Figures, converted, numbers
from app.catalog.prices.charging import charge
from app.catalog.prices.explanation import step
from app.kernel.copies import replace
from app.kernel.errors import Invalid, NotFound
from app.kernel.ids import new_id
from app.kernel.period import Cadence
from app.subscriptions import buying
from app.subscriptions.change import (
    AttachAddon,
    ChangeAddonQuantity,
    ChangePlan,
    ChangeQuantity,
    DetachAddon,
    Direction,
    What,
)
from app.subscriptions.errors import LineHasEnded, LineHasNoQuantity, NothingChanges
from app.subscriptions.subscription import LineItem, Subscription
from app.subscriptions.timeline import multiple_of

# A line with the price that it bought.
Priced = tuple[LineItem, Price]


@dataclass(frozen=True, slots=True)
class Swap:
    """`closed` end, and `opened` begin, at the instant of the change."""

    closed: tuple[Priced, ...]
    opened: tuple[Priced, ...]
    holding_id: str | None = None
    """Of an addon that is attached: the holding that begins."""

    def direction(self, cadence: Cadence) -> Direction:
        """By what recurs of fixed fees in a period of `cadence`."""
        before, after = fixed_amount(self.closed, cadence), fixed_amount(self.opened, cadence)
        if before == after:
            return Direction.LATERAL
        return Direction.UPGRADE if after > before else Direction.DOWNGRADE


def requantified(lines: Sequence[Priced], command: ChangeQuantity, *, at: datetime) -> Swap:
    """The line named, or what has taken over from it, with another quantity.

    Raises: Invalid, NotFound (the line), LineHasEnded, LineHasNoQuantity, NothingChanges.
    """
    line, price = in_force(lines, command.line_item_id, at)
    if price.charge is ChargeKind.USAGE:
        raise LineHasNoQuantity(line.id, "charges for usage")
    if price.billing is Billing.ONE_TIME:
        raise LineHasNoQuantity(line.id, "is charged once")
    quantity = numbers.amount(command.quantity, "quantity")
    if quantity == line.quantity:
        raise NothingChanges(f"{quantity} is held", "quantity")
    begun = line_from(line.subscription_id, line, price, quantity, at=at)
    return Swap(((line, price),), ((begun, price),))


def repriced(current: Priced, price: Price, quantity: Decimal | None, *, at: datetime) -> Swap:
    """A line that is charged by another price from now on, and of a fixed charge holds another
    quantity where one is given.

    Raises: Invalid, LineHasNoQuantity, NothingChanges.
    """
    line, before = current
    if quantity is not None and before.charge is ChargeKind.USAGE:
        raise LineHasNoQuantity(line.id, "charges for usage")
    held = line.quantity if quantity is None else numbers.amount(quantity, "quantity")
    same = price.content_hash == before.content_hash
    if same and held == line.quantity:
        raise NothingChanges(f"line {line.id} is charged so", "lineItemId")
    chosen = before if same else price
    return Swap(
        ((line, before),), ((line_from(line.subscription_id, line, chosen, held, at=at), chosen),)
    )


def replanned(
    subscription: Subscription,
    lines: Sequence[Priced],
    offered: Sequence[Price],
    command: ChangePlan,
    *,
    own: Mapping[str, Price],
    at: datetime,
) -> Swap:
    """The lines of the plan, for those of `offered`, the prices in force of the new version.

    `own` are the subscription's instead of some of these, by their ids. A line whose price stays
    the same in substance, with its quantity, goes on. Addons stay. Raises: Invalid.
    """
    old = of_plan(lines, at)
    chosen = _chosen(subscription, offered, command, at)
    buying.check_overrides(chosen, command.overrides)
    heirs = {price.lineage_id: line for line, price in old}
    held = _quantities(chosen, heirs, command)
    left, opened = list(old), []
    for bought in chosen:
        price, quantity = own.get(bought.id, bought), held.get(bought.id)
        same = _same(left, price, quantity)
        if same is not None:
            left.remove(same)
            continue
        before = heirs.get(price.lineage_id)
        opened.append((line_from(subscription.id, before, price, quantity, at=at), price))
    return Swap(tuple(left), tuple(opened))


def fixed_amount(lines: Iterable[Priced], cadence: Cadence) -> Fraction:
    """What recurring fixed charges come to in a period of `cadence`, in the lines' currency."""
    total = Fraction(0)
    for line, price in lines:
        if price.charge is ChargeKind.FIXED and price.billing is Billing.RECURRING:
            quantity = line.quantity if line.quantity is not None else Decimal(1)
            held = step("held", {"line_item_id": line.id, "quantity": quantity}, quantity)
            charged = charge(price.model, price.adjustments, Figures(quantity), held)
            amount = Fraction(converted(charged.amount, price.conversion).result)
            total += amount / (multiple_of(price.cadence, cadence) or 1)
    return total


def of_plan(lines: Sequence[Priced], at: datetime) -> list[Priced]:
    """The lines in force that the plan gave, and no addon."""
    return [(line, price) for line, price in lines if line.covers(at) and line.holding_id is None]


def swapped(lines: Sequence[Priced], swap: Swap, *, at: datetime) -> list[Priced]:
    """Every line, once those of the swap have ended and begun at `at`."""
    gone = {line.id for line, _ in swap.closed}
    return [
        *((replace(line, ends_at=at) if line.id in gone else line, price) for line, price in lines),
        *swap.opened,
    ]


def concerned(what: What, lines: Sequence[Priced]) -> set[str]:
    """What a change is about: the keys of lines, the plan, an addon that is held."""
    if isinstance(what, ChangePlan):  # a phase too
        return {"plan"} | {line.line_key for line, _ in lines if line.holding_id is None}
    if isinstance(what, AttachAddon):
        return set()
    if isinstance(what, DetachAddon | ChangeAddonQuantity):
        mine = {line.line_key for line, _ in lines if line.holding_id == what.holding_id}
        return {what.holding_id} | mine
    return {line.line_key for line, _ in lines if line.id == what.line_item_id}


def in_force(lines: Sequence[Priced], line_item_id: str, at: datetime) -> Priced:
    """The line named, or what has taken over from it by `at`. Raises: NotFound, LineHasEnded."""
    named = {line.id: line for line, _ in lines}.get(line_item_id)
    if named is None:
        raise NotFound("subscription line item", line_item_id, field="lineItemId")
    for line, price in lines:
        if line.line_key == named.line_key and line.covers(at):
            return line, price
    raise LineHasEnded(named.id, at)


def _chosen(
    subscription: Subscription, offered: Sequence[Price], command: ChangePlan, at: datetime
) -> list[Price]:
    if not any(price.currency == subscription.currency for price in offered):
        found = ", ".join(sorted({price.currency for price in offered})) or "none at all"
        raise Invalid(
            f"planId: the plan has no price in force in {subscription.currency}, the "
            f"subscription's currency; it has {found}",
            field="planId",
            code="CURRENCY_MISMATCH",
        )
    # What is charged once belongs to the start of charging.
    uncharged = at <= subscription.charged_from
    wanted = command.price_ids
    fitting = [
        price
        for price in offered
        if wanted is not None or uncharged or price.billing is Billing.RECURRING
    ]
    return buying.bought(fitting, subscription, wanted)


def _quantities(
    chosen: Sequence[Price], heirs: Mapping[str, LineItem], command: ChangePlan
) -> dict[str, Decimal]:
    """What is held of each fixed charge: as named, else as before, else 1. Raises: Invalid."""
    named = {each.price_id for each in command.quantities}
    named |= {each.price_id for each in command.overrides if each.quantity is not None}
    held = buying.quantities(chosen, command.quantities, command.overrides)
    for price in chosen:
        before = heirs.get(price.lineage_id)
        carries = price.id in held and price.id not in named
        if carries and before is not None and before.quantity is not None:
            held[price.id] = before.quantity
    return held


def _same(left: Sequence[Priced], price: Price, quantity: Decimal | None) -> Priced | None:
    for line, before in left:
        if before.content_hash == price.content_hash and line.quantity == quantity:
            return line, before
    return None


def line_from(
    subscription_id: str,
    before: LineItem | None,
    price: Price,
    quantity: Decimal | None,
    *,
    at: datetime,
) -> LineItem:
    """A line for the price from `at` on, which takes over from another if there is one."""
    line_id = new_id("sli")
    return LineItem(
        id=line_id,
        subscription_id=subscription_id,
        price_id=price.id,
        price_hash=price.content_hash,
        quantity=quantity,
        starts_at=at,
        ends_at=None,
        created_at=at,
        updated_at=at,
        line_key=line_id if before is None else before.line_key,
        replaces_id=None if before is None else before.id,
        holding_id=None if before is None else before.holding_id,
    )
