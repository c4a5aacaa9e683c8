"""The tiers that graduated and volume prices share.

A tier reaches up to its bound and includes it; the next begins right behind, so that 100.5
lies in the tier after `up_to` 100. The last tier is open.
"""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Literal, Protocol

from msgspec import Struct

from app.catalog.prices import numbers
from app.catalog.prices.explanation import Rule, Step, number, step
from app.kernel.errors import Invalid
from app.kernel.quantity import Number, minus, plus, times

ZeroUsage = Literal["zero", "first_tier_flat"]
MOST_TIERS = 100

RULES = {
    "tier": Rule(
        "quantity × unit_amount + flat_amount",
        lambda i, _: number(i, "quantity") * number(i, "unit_amount") + number(i, "flat_amount"),
    )
}


class Bounded(Protocol):
    """What every kind of tier has; `up_to` is its last quantity, None is without end."""

    @property
    def up_to(self) -> Decimal | None: ...


class Tier(Struct, frozen=True):
    """`up_to` is the last quantity of the tier; None is without end."""

    up_to: Decimal | None
    unit_amount: Decimal = Decimal(0)
    flat_amount: Decimal = Decimal(0)

    def amount(self, quantity: Number) -> Number:
        """For `quantity` units charged in this tier, its flat amount included. Unrounded."""
        return plus(times(self.unit_amount, quantity), self.flat_amount)


def check(tiers: tuple[Tier, ...], zero_usage: str) -> None:
    """Raises: Invalid, naming the tier by its position, counted from 0."""
    for index, tier in enumerate(tiers):
        numbers.amount(tier.unit_amount, f"tiers[{index}].unitAmount")
        numbers.amount(tier.flat_amount, f"tiers[{index}].flatAmount")
    check_bounds(tiers)
    check_zero_usage(zero_usage)


def check_bounds(tiers: Sequence[Bounded]) -> None:
    """Raises: Invalid."""
    if not 1 <= len(tiers) <= MOST_TIERS:
        raise Invalid(
            f"tiers: {len(tiers)} were given; give 1 to {MOST_TIERS}",
            field="tiers",
            code="INVALID_TIERS",
        )
    below = Decimal(0)
    for index, tier in enumerate(tiers):
        below = _bound(tier, f"tiers[{index}].upTo", below, last=index == len(tiers) - 1)


def check_zero_usage(zero_usage: str) -> None:
    """Raises: Invalid."""
    if zero_usage not in ("zero", "first_tier_flat"):
        raise Invalid(
            f"zeroUsage: {zero_usage!r} is neither zero nor first_tier_flat",
            field="zeroUsage",
            code="INVALID_ZERO_USAGE",
        )


def shares(
    tiers: Sequence[Bounded], quantity: Number, zero_usage: ZeroUsage
) -> Iterator[tuple[int, Number]]:
    """The tiers that a quantity enters, by position, with the units that fall in each.

    The units sum to the quantity. Raises: Invalid (a negative quantity).
    """
    numbers.quantity(quantity)
    if quantity == 0 and zero_usage == "first_tier_flat":
        yield 0, Decimal(0)
    below = Decimal(0)
    for index, tier in enumerate(tiers):
        if quantity <= below:
            return
        top = quantity if tier.up_to is None else min(quantity, tier.up_to)
        yield index, minus(top, below)
        below = below if tier.up_to is None else tier.up_to


def holding(tiers: Sequence[Bounded], quantity: Number) -> int:
    """The position of the tier that holds the quantity. Raises: Invalid (a negative one)."""
    numbers.quantity(quantity)
    bounded = (
        index
        for index, tier in enumerate(tiers)
        if tier.up_to is not None and quantity <= tier.up_to
    )
    return next(bounded, len(tiers) - 1)


def row(tiers: tuple[Tier, ...], index: int, quantity: Number) -> Step:
    """The trace of `quantity` units charged in the tier at `index`, which lies above `above`."""
    tier = tiers[index]
    inputs = {
        **place(tiers, index),
        "quantity": quantity,
        "unit_amount": tier.unit_amount,
        "flat_amount": tier.flat_amount,
    }
    return step("tier", inputs, tier.amount(quantity))


def place(tiers: Sequence[Bounded], index: int) -> dict[str, Number | None]:
    """Which tier it is, counted from 1, and the bounds it lies between."""
    above = tiers[index - 1].up_to if index else Decimal(0)
    return {"tier": Decimal(index + 1), "above": above, "up_to": tiers[index].up_to}


def _bound(tier: Bounded, field: str, below: Decimal, *, last: bool) -> Decimal:
    """The tier's bound, which lies above `below`; only the last tier has none."""
    if last:
        if tier.up_to is not None:
            raise Invalid(
                f"{field}: the last tier must be open (null), so that every quantity has a "
                f"price; it ends at {tier.up_to}",
                field=field,
                code="LAST_TIER_NOT_OPEN",
            )
        return below
    if tier.up_to is None:
        raise Invalid(
            f"{field}: only the last tier may be open (null)", field=field, code="TIER_NOT_BOUNDED"
        )
    numbers.amount(tier.up_to, field)
    if tier.up_to <= below:
        raise Invalid(
            f"{field}: {tier.up_to} must be greater than {below}, where the tier begins",
            field=field,
            code="TIERS_NOT_ASCENDING",
        )
    return tier.up_to
