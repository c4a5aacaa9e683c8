"""A walk through single events in their order, summed up: what a price per event is made of.

The amounts of events are added to a running total. The first `free_events` of them, or the
part of the total up to `free_amount`, is free: with both set only the first `free_events` may
draw on `free_amount`. What an event adds to the rest is its paid part. An event pays a fee of
its own unless it is one of the first `free_events` (where set) and the running total, the
event included, is still below `free_amount` (where set).

Like an aggregation this has two meanings, which a property test compares: `fold` in Python,
and SQL over numbered rows with a running total (`tally_sql`).
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal

from app.kernel.quantity import EXACT

_TYPE = "Decimal(76, 18)"
_ZERO = "toDecimal256(0, 18)"
# Puts a value among the parameters of a statement and names its place.
Add = Callable[[Decimal | int, str], str]


@dataclass(frozen=True, slots=True)
class Walk:
    """`at_minimum_below`, `at_maximum_above`: paid parts on the far side of them are clamped.

    They have at most 18 decimals, like every quantity. None: no such limit.
    """

    free_events: int | None = None
    free_amount: Decimal | None = None
    at_minimum_below: Decimal | None = None
    at_maximum_above: Decimal | None = None

    @property
    def has_free(self) -> bool:
        return self.free_events is not None or self.free_amount is not None


@dataclass(frozen=True, slots=True)
class Tally:
    """`events` in all. Of them `paying` pay the fee by themselves, `at_minimum` and
    `at_maximum` are clamped. `paid` is the sum of the paid parts of those that are not clamped.
    """

    events: int
    paying: int
    at_minimum: int
    at_maximum: int
    paid: Decimal


NO_EVENTS = Tally(0, 0, 0, 0, Decimal(0))


def fold(walk: Walk, amounts: Iterable[Decimal]) -> Tally:
    """The tally of events with these amounts, in this order."""
    total = paid = Decimal(0)
    events = paying = low = high = 0
    for amount in amounts:
        events += 1
        before, total = total, EXACT.add(total, amount)
        over = EXACT.subtract(_over(walk, total), _over(walk, before))
        part = _paid_part(walk, events, amount, over)
        if not _is_free(walk, events, total):
            if walk.at_minimum_below is not None and part < walk.at_minimum_below:
                low += 1
                continue
            if walk.at_maximum_above is not None and part > walk.at_maximum_above:
                high += 1
                continue
            paying += 1
        paid = EXACT.add(paid, part)
    return Tally(events, paying, low, high, paid)


def tally_sql(walk: Walk, add: Add) -> str:
    """The columns of a `Tally` in their order, over `place`, `quantity` and `running`.

    `place` counts the events from 1, and `running` is the total with the event.
    """
    paid, free = _paid_sql(walk, add), _free_sql(walk, add)
    low = high = "0"
    if walk.at_minimum_below is not None:
        low = f"{paid} < {add(walk.at_minimum_below, _TYPE)}"
    if walk.at_maximum_above is not None:
        high = f"{paid} > {add(walk.at_maximum_above, _TYPE)}"
    return (
        f"count(), countIf(NOT ({free}) AND NOT ({low}) AND NOT ({high})), "
        f"countIf(NOT ({free}) AND ({low})), countIf(NOT ({free}) AND NOT ({low}) AND ({high})), "
        f"sumIf({paid}, ({free}) OR NOT (({low}) OR ({high})))"
    )


def _over(walk: Walk, total: Decimal) -> Decimal:
    """What of a running total lies beyond the free amount."""
    if walk.free_amount is None:
        return total
    return max(EXACT.subtract(total, walk.free_amount), Decimal(0))


def _paid_part(walk: Walk, place: int, amount: Decimal, over: Decimal) -> Decimal:
    if walk.free_events is None:
        return over
    if place > walk.free_events:
        return amount
    return Decimal(0) if walk.free_amount is None else over


def _is_free(walk: Walk, place: int, total: Decimal) -> bool:
    return (
        walk.has_free
        and (walk.free_events is None or place <= walk.free_events)
        and (walk.free_amount is None or total < walk.free_amount)
    )


def _paid_sql(walk: Walk, add: Add) -> str:
    over = "quantity"
    if walk.free_amount is not None:
        free = add(walk.free_amount, _TYPE)
        over = (
            f"(if(running > {free}, running - {free}, {_ZERO}) - "
            f"if(running - quantity > {free}, running - quantity - {free}, {_ZERO}))"
        )
    if walk.free_events is None:
        return over
    within = _ZERO if walk.free_amount is None else over
    return f"if(place <= {add(walk.free_events, 'UInt64')}, {within}, quantity)"


def _free_sql(walk: Walk, add: Add) -> str:
    if not walk.has_free:
        return "0"
    parts = []
    if walk.free_events is not None:
        parts.append(f"place <= {add(walk.free_events, 'UInt64')}")
    if walk.free_amount is not None:
        parts.append(f"running < {add(walk.free_amount, _TYPE)}")
    return " AND ".join(parts)
