"""Tiers for units that come and go within a period, such as seats. Pure.

The tier of a unit follows from how many there are in full; what it costs there, from the
prorated units of the change that brought it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from app.catalog.prices.explanation import Rule, Step, number, step
from app.catalog.prices.graduated import Graduated
from app.catalog.prices.tiers import Tier

RULES = {
    "prorated_tier": Rule(
        "prorated_units × unit_amount + flat_amount",
        lambda i, _: (
            number(i, "prorated_units") * number(i, "unit_amount") + number(i, "flat_amount")
        ),
    ),
    "prorated_graduated": Rule(
        "sum of the tiers ever reached, not below 0",
        lambda _, parts: max(sum(parts, start=Fraction(0)), Fraction(0)),
    ),
}


@dataclass(frozen=True, slots=True)
class Change:
    """`units` more, or less where negative; `prorated_units` is their part of the period."""

    units: Decimal
    prorated_units: Decimal


def trace(model: Graduated, changes: Iterable[Change]) -> Step:
    """The charge of the changes, in their order, from no unit at the start.

    Each walks through the tiers by its full units, back where they are negative, and its
    prorated units are spread over those tiers in proportion. The first tier's flat amount and
    that of every tier ever reached is charged in full.
    """
    prorated, reached = _walked(model.tiers, changes)
    rows = tuple(
        _row(model.tiers[index], index, prorated.get(index, Fraction(0)))
        for index in range(reached + 1)
    )
    total = sum((Fraction(row.result) for row in rows), start=Fraction(0))
    return step("prorated_graduated", {}, max(total, Fraction(0)), rows)


def _walked(tiers: tuple[Tier, ...], changes: Iterable[Change]) -> tuple[dict[int, Fraction], int]:
    """The prorated units of each tier by its position, and the last tier ever reached."""
    prorated: dict[int, Fraction] = {}
    level, reached = Fraction(0), 0
    for change in changes:
        low, high = sorted((level, level + Fraction(change.units)))
        level += Fraction(change.units)
        for index, units in _between(tiers, low, high):
            share = Fraction(change.prorated_units) * units / (high - low)
            prorated[index] = prorated.get(index, Fraction(0)) + share
            reached = max(reached, index)
    return prorated, reached


def _between(
    tiers: tuple[Tier, ...], low: Fraction, high: Fraction
) -> Iterator[tuple[int, Fraction]]:
    """How many of the units from `low` to `high` lie in each tier; below 0 is the first."""
    below: Fraction | None = None
    for index, tier in enumerate(tiers):
        start = low if below is None else max(low, below)
        end = high if tier.up_to is None else min(high, Fraction(tier.up_to))
        if start < end:
            yield index, end - start
        below = None if tier.up_to is None else Fraction(tier.up_to)


def _row(tier: Tier, index: int, units: Fraction) -> Step:
    inputs = {
        "tier": Decimal(index + 1),
        "up_to": tier.up_to,
        "prorated_units": units,
        "unit_amount": tier.unit_amount,
        "flat_amount": tier.flat_amount,
    }
    result = units * Fraction(tier.unit_amount) + Fraction(tier.flat_amount)
    return step("prorated_tier", inputs, result)
