"""What a change gives back of fees that were billed in advance. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from fractions import Fraction

from app.invoicing.credit_note import NO_AMOUNTS, Amounts, Part
from app.invoicing.invoice import InvoiceLine
from app.kernel.currencies import minor_units
from app.kernel.period import Period
from app.kernel.quantity import fraction_rounded
from app.subscriptions.periods import Service
from app.subscriptions.proration import BY_SECOND, ProrationPolicy, credit_cap, share, unused


def given_back(
    lines: Iterable[InvoiceLine],
    earlier: Mapping[str, Amounts],
    at: datetime,
    policy: ProrationPolicy = BY_SECOND,
) -> Iterator[Part]:
    """Of each line the part of its amount for the time from `at` on, rounded once.

    At most what was billed and not given back `earlier`; nothing for what comes to nothing.
    """
    for line in lines:
        part = unused_part(line.service, at, policy)
        potential = fraction_rounded(Fraction(line.amount) * part, minor_units(line.currency))
        credited = earlier.get(line.id, NO_AMOUNTS).amount
        amount = credit_cap(potential, paid=line.amount, credited=credited)
        if amount > 0:
            yield Part(line.id, amount)


def unused_part(service: Period, at: datetime, policy: ProrationPolicy = BY_SECOND) -> Fraction:
    """Which part of the service lies from `at` on; all of it where it begins then."""
    if at <= service.start:
        return Fraction(1)
    left = unused(service, at, policy)
    if not left.period.length:
        return Fraction(0)
    return share(Service(left.period, service), policy)
