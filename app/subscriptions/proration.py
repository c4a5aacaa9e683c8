"""The share of a fixed charge for a part of its period, and what a change in it costs. Pure.

By the second: both are measured in real time, so a day on which the clocks change has 23 or 25
hours, and the parts of a period sum to the whole. By the day: local calendar days count, and a
day that is only begun counts in full for either side of a change. Shares are exact; rounding is
left to the invoice line, or done once per part of a change.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Literal
from zoneinfo import ZoneInfo

from msgspec import Struct

from app.catalog.prices import Rule, Step
from app.catalog.prices.explanation import number, step
from app.catalog.prices.rounding import rounded
from app.kernel.period import Period, add_units, day_count, floor_local, to_instant
from app.kernel.quantity import EXACT, Number, fraction_rounded
from app.subscriptions.periods import Service
from app.subscriptions.subscription import Subscription

Strategy = Literal["seconds", "days"]
_MICROSECOND = timedelta(microseconds=1)
_UTC = ZoneInfo("UTC")

RULES = {
    "proration": Rule(
        "charge × seconds served ÷ seconds of the full period",
        lambda i, parts: parts[0] * number(i, "served_seconds") / number(i, "full_seconds"),
    ),
    "proration_days": Rule(
        "charge × days served ÷ days of the full period",
        lambda i, parts: parts[0] * number(i, "served_days") / number(i, "full_days"),
    ),
}


class ProrationPolicy(Struct, frozen=True):
    """How parts of periods are charged and credited; `zone` says when local days begin.

    With `cancel_day_billed` the day of a cancellation counts as used. `unit_decimals` rounds
    the prorated units up to so many decimals before they are priced; None: not at all.
    """

    strategy: Strategy = "seconds"
    zone: ZoneInfo = _UTC
    cancel_day_billed: bool = False
    unit_decimals: int | None = None


BY_SECOND = ProrationPolicy()


def policy_of(subscription: Subscription) -> ProrationPolicy:
    """How parts of a subscription's periods are charged and credited."""
    return ProrationPolicy(subscription.prorate_by.value, ZoneInfo(subscription.timezone))


@dataclass(frozen=True, slots=True)
class Change:
    """What a change within a period comes to: each part rounded before they are netted."""

    credit: Decimal
    charge: Decimal

    @property
    def net(self) -> Decimal:
        return EXACT.subtract(self.charge, self.credit)


def share(service: Service, policy: ProrationPolicy = BY_SECOND) -> Fraction:
    """What is served over the full period; 1 for a whole period, however short."""
    if service.is_whole:
        return Fraction(1)
    if policy.strategy == "days":
        return Fraction(_days_served(service, policy.zone), day_count(service.full, policy.zone))
    return Fraction(service.served // _MICROSECOND, service.full.length // _MICROSECOND)


def prorated(amount: Number, service: Service, policy: ProrationPolicy = BY_SECOND) -> Fraction:
    """The part of `amount`, a charge for the full period, that `service` costs."""
    return Fraction(amount) * share(service, policy)


def prorated_units(units: Decimal, part: Fraction, policy: ProrationPolicy = BY_SECOND) -> Fraction:
    """The part of `units` that is priced."""
    exact = Fraction(units) * part
    return exact if policy.unit_decimals is None else rounded(exact, "up", policy.unit_decimals)


def unused(period: Period, at: datetime, policy: ProrationPolicy = BY_SECOND) -> Service:
    """What is left of a period from a cancellation on; a service of no length for nothing."""
    start = at
    if policy.cancel_day_billed:
        day = floor_local(at.astimezone(policy.zone).replace(tzinfo=None), "day")
        start = to_instant(add_units(day, "day", 1), policy.zone)
    return Service(Period(min(max(start, period.start), period.end), period.end), period)


def changed(
    old: tuple[Decimal, Service],
    new: tuple[Decimal, Service],
    *,
    decimals: int,
    policy: ProrationPolicy = BY_SECOND,
) -> Change:
    """The credit for the rest of what was, and the charge for what comes, each a charge for a
    full period with the part of it that is left."""
    credit, charge = (
        fraction_rounded(prorated(amount, rest, policy), decimals) for amount, rest in (old, new)
    )
    return Change(credit, charge)


def credit_cap(potential: Decimal, *, paid: Decimal, credited: Decimal) -> Decimal:
    """The credit that may be given: no more than was paid less what was credited before."""
    return max(Decimal(0), min(potential, EXACT.subtract(paid, credited)))


def trace(charge: Step, service: Service, policy: ProrationPolicy = BY_SECOND) -> Step:
    """The charge's trace with the proration on top; the charge's own for a whole period."""
    if service.is_whole:
        return charge
    result = Fraction(charge.result) * share(service, policy)
    if policy.strategy == "days":
        days = {
            "served_days": str(_days_served(service, policy.zone)),
            "full_days": str(day_count(service.full, policy.zone)),
            "timezone": policy.zone.key,
        }
        return step("proration_days", days, result, (charge,))
    inputs = {
        "served_seconds": _seconds(service.served),
        "full_seconds": _seconds(service.full.length),
    }
    return step("proration", inputs, result, (charge,))


def _days_served(service: Service, zone: ZoneInfo) -> int:
    """The local days on which it was served at all; a pause within a day leaves it one day."""
    parts = service.period.without(service.paused)
    shared = sum(
        (before.end - _MICROSECOND).astimezone(zone).date() == after.start.astimezone(zone).date()
        for before, after in pairwise(parts)
    )
    return sum(day_count(part, zone) for part in parts) - shared


def _seconds(length: timedelta) -> Decimal:
    return Decimal(length // _MICROSECOND).scaleb(-6)
