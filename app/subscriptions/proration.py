"""The share of a fixed charge for a part of its period: by time, exact, not rounded. Pure.

Both are measured in real time, so a day on which the clocks change has 23 or 25 hours. The
parts of a period sum to the whole; rounding is left to the invoice line.
"""

from datetime import timedelta
from decimal import Decimal
from fractions import Fraction

from app.catalog.prices import Rule, Step
from app.catalog.prices.explanation import number, step
from app.subscriptions.periods import Service

_MICROSECOND = timedelta(microseconds=1)

RULES = {
    "proration": Rule(
        "charge × seconds served ÷ seconds of the full period",
        lambda i, parts: parts[0] * number(i, "served_seconds") / number(i, "full_seconds"),
    )
}


def share(service: Service) -> Fraction:
    """Served time over the time of the full period; 1 for a whole period."""
    return Fraction(service.period.length // _MICROSECOND, service.full.length // _MICROSECOND)


def prorated(amount: Decimal, service: Service) -> Fraction:
    """The part of `amount`, a charge for the full period, that `service` costs."""
    return Fraction(amount) * share(service)


def trace(charge: Step, service: Service) -> Step:
    """The charge's trace with the proration on top; the charge's own for a whole period."""
    if service.is_whole:
        return charge
    inputs = {
        "served_seconds": _seconds(service.period.length),
        "full_seconds": _seconds(service.full.length),
    }
    return step("proration", inputs, Fraction(charge.result) * share(service), (charge,))


def _seconds(length: timedelta) -> Decimal:
    return Decimal(length // _MICROSECOND).scaleb(-6)
