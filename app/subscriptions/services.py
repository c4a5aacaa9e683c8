"""What each line of a subscription is billed for at a point. Pure.

- Usage, and fixed charges in arrears: for the period of the line's own cadence that ends there.
- Fixed charges in advance: for the one that begins there, or its rest where an earlier bill was
  cut short or a pause was in the way.
- Charges made once: at the point in whose time the line starts.
- A line that a change began within a period, and whose first fee is put off: for the rest of the
  period with the bill of the subscription's period, besides what else falls due there.

Periods of a longer cadence consist of whole periods of the subscription, so all of it falls on
its points. Nothing is charged for what is paused, and but for usage that is asked to be billed,
nothing for the trial.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime

from app.catalog.price import Billing, ChargeKind, InvoiceTiming, Price
from app.kernel.period import Period
from app.subscriptions.periods import (
    INSTANT,
    BillingPoint,
    Service,
    cycle_at,
    horizon,
    instant_at,
    known_before,
    paused_within,
)
from app.subscriptions.subscription import Cut, FirstFee, LineItem, Subscription


def services_of(
    subscription: Subscription, line: LineItem, price: Price, point: BillingPoint
) -> Iterator[Service]:
    """What the line is billed for at the point, in order of time."""
    if is_in_advance(price) and (rest := _rest(subscription, line, price, point)) is not None:
        yield rest
    if (service := service_of(subscription, line, price, point)) is not None:
        yield service


def service_of(
    subscription: Subscription, line: LineItem, price: Price, point: BillingPoint
) -> Service | None:
    """What the line is billed for at the point, but for a first fee that was put off; None for
    nothing."""
    if price.billing is Billing.ONE_TIME:
        return _once(subscription, line, point)
    if is_in_advance(price):
        return _in_advance(subscription, line, price, point)
    return _in_arrears(subscription, line, price, point)


def is_in_advance(price: Price) -> bool:
    recurring = price.billing is Billing.RECURRING
    fixed = price.charge is ChargeKind.FIXED
    return recurring and fixed and price.timing is InvoiceTiming.ADVANCE


def accrued(
    subscription: Subscription, line: LineItem, price: Price, at: datetime
) -> Service | None:
    """What of a usage line's period has gone by at `at`; None for nothing, and other lines."""
    if price.charge is not ChargeKind.USAGE or price.billing is Billing.ONE_TIME:
        return None
    cycle = cycle_at(subscription, at, price.cadence)
    start = max(cycle.start, subscription.charged_from, line.starts_at)
    end = at if line.ends_at is None else min(at, line.ends_at)
    if start >= end:
        return None
    period = Period(start, end)
    service = Service(period, cycle.full, paused_within(subscription, period))
    return service if service.served else None


def is_waived(subscription: Subscription, at: datetime) -> bool:
    """Whether `at` is the end of a subscription that was canceled without a final invoice."""
    ended = subscription.ends_at is not None and at >= subscription.ends_at
    cancellation = subscription.cancellation
    return ended and cancellation is not None and not cancellation.final_invoice


def cut_of(
    subscription: Subscription, point: BillingPoint, billed: Iterable[tuple[Price, Service]]
) -> Cut | None:
    """The cut to remember of what is billed at the point, which nothing billed before."""
    if subscription.ends_at is None and not subscription.pauses:
        return None
    for price, service in billed:
        start, end = service.period.start, service.period.end
        known = horizon(subscription, start)
        if is_in_advance(price) and end == known:
            _, natural = _natural(subscription, price, start)
            if end < natural:
                return Cut(point.at, end)
    return None


def _in_arrears(
    subscription: Subscription, line: LineItem, price: Price, point: BillingPoint
) -> Service | None:
    if point.arrears is None or is_waived(subscription, point.at):
        return None
    start, full = point.arrears.period.start, point.arrears.full
    if start < subscription.charged_from:
        trial = subscription.trial
        if trial is None or not trial.bills_usage or price.charge is not ChargeKind.USAGE:
            return None
    elif price.cadence != subscription.cadence:
        cycle = cycle_at(subscription, point.at - INSTANT, price.cadence)
        if point.at not in (cycle.end, subscription.ends_at):
            return None
        start, full = max(cycle.start, subscription.charged_from), cycle.full
    start = max(start, line.starts_at)
    end = point.at if line.ends_at is None else min(point.at, line.ends_at)
    if start >= end:
        return None
    period = Period(start, end)
    service = point.arrears  # nearly always, and then it need not be made anew
    if (service.period, service.full) != (period, full):
        service = Service(period, full, paused_within(subscription, period))
    return service if service.served else None


def _in_advance(
    subscription: Subscription, line: LineItem, price: Price, point: BillingPoint
) -> Service | None:
    if point.advance is None or point.at < subscription.charged_from:
        return None
    simple = not (subscription.pauses or subscription.cuts or subscription.changed_at)
    if simple and price.cadence == subscription.cadence:
        # What begins later is charged for by whatever lets it begin.
        start = point.advance.period.start
        known = line.starts_at <= point.at
        full, end = point.advance.full, point.advance.period.end
    else:
        unpaid = _unpaid(subscription, line, price, point.at)
        if unpaid is None or instant_at(subscription, unpaid) != point.at:
            return None
        start, known = unpaid, not _is_put_off(subscription, line, price, unpaid)
        (full, end), cut = _natural(subscription, price, start), horizon(subscription, start)
        end = end if cut is None else min(end, cut)
    # A line that ends later was billed for all of its period all the same: what is unused is
    # given back by what ended it.
    gone = line.ends_at is not None and line.ends_at <= start
    return Service(Period(start, end), full) if known and not gone and start < end else None


def _rest(
    subscription: Subscription, line: LineItem, price: Price, point: BillingPoint
) -> Service | None:
    """The first fee of a line, put off until the bill of the period that it begins in."""
    if line.first_fee is not FirstFee.NEXT_INVOICE or point.arrears is None:
        return None
    begun = point.arrears.period.start <= line.starts_at < point.at
    if not begun or not _is_put_off(subscription, line, price, line.starts_at):
        return None
    start = _served_from(subscription, line.starts_at)
    if start is None or is_waived(subscription, point.at):
        return None
    full, end = _natural(subscription, price, start)
    ends = (line.ends_at, subscription.ends_at)
    end = min([end, *(at for at in ends if at is not None and at <= point.at)])
    return Service(Period(start, end), full) if start < end else None


def _is_put_off(subscription: Subscription, line: LineItem, price: Price, at: datetime) -> bool:
    """Whether the line began within the period that holds `at`, and its fee then is not charged
    when it begins."""
    if line.first_fee is FirstFee.PRORATED:
        return False
    begins = cycle_at(subscription, at, price.cadence).start
    return line.starts_at > max(begins, subscription.charged_from)


def _once(subscription: Subscription, line: LineItem, point: BillingPoint) -> Service | None:
    at = _served_from(subscription, max(line.starts_at, subscription.charged_from))
    if at is None or any(
        end is not None and at >= end for end in (subscription.ends_at, line.ends_at)
    ):
        return None
    if instant_at(subscription, at) != point.at:
        return None
    moment = Period(at, at)
    return Service(moment, moment)


def _unpaid(
    subscription: Subscription, line: LineItem, price: Price, at: datetime
) -> datetime | None:
    """From when the period that holds `at` is not billed in advance by the points before `at`.

    None where they bill all of it.
    """
    cycle = cycle_at(subscription, at, price.cadence)
    paid = max(cycle.start, subscription.charged_from, line.starts_at)
    while True:
        start = _served_from(subscription, paid)
        if start is None or (cycle.end is not None and start >= cycle.end):
            return None
        if start >= at:
            return start
        cut = horizon(subscription, start)
        if cut is None:
            return None
        paid = cut


def _natural(subscription: Subscription, price: Price, start: datetime) -> tuple[Period, datetime]:
    """The whole period in advance that holds `start`, and its end as far as pauses before tell."""
    cycle = cycle_at(subscription, start, price.cadence, known_before(subscription, start))
    return cycle.full, cycle.full.end if cycle.end is None else cycle.end


def _served_from(subscription: Subscription, at: datetime) -> datetime | None:
    """The first instant from `at` on that is not paused; None while no end of a pause is known."""
    found: datetime | None = at
    while found is not None and (pause := subscription.paused_at(found)) is not None:
        found = pause.ends_at
    return found
