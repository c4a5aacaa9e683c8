"""When a subscription is billed, and what each of its lines is billed for then. Pure.

A subscription is billed at points: its start, every boundary between periods, and its end. At
a point the period that ends there is billed in arrears and the one that begins there in
advance.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice

from app.catalog.price import ChargeKind, InvoiceTiming, Price
from app.kernel.period import Period
from app.subscriptions.subscription import LineItem, Subscription


@dataclass(frozen=True, slots=True)
class Service:
    """What is served, and the whole period of the schedule that it is all or a part of."""

    period: Period
    full: Period

    @property
    def is_whole(self) -> bool:
        return self.period == self.full


@dataclass(frozen=True, slots=True)
class BillingPoint:
    """`arrears` ends at `at`, `advance` begins there; None where the subscription does not run."""

    at: datetime
    arrears: Service | None
    advance: Service | None

    @property
    def period(self) -> Period:
        """What the point's invoice covers: the period that ended, or at the start the first."""
        service = self.arrears or self.advance
        if service is None:
            raise ValueError(f"nothing ends or begins at {self.at}")
        return service.period


def points(subscription: Subscription) -> Iterator[BillingPoint]:
    """Every point that is not billed yet, in order; without end if the subscription has none."""
    if subscription.billed_until is None:
        current = beginning_at(subscription, subscription.starts_at)
        if current is not None:
            yield BillingPoint(subscription.starts_at, None, current)
    else:
        current = beginning_at(subscription, subscription.billed_until)
    while current is not None:
        following = beginning_at(subscription, current.period.end)
        yield BillingPoint(current.period.end, current, following)
        current = following


def next_point(subscription: Subscription) -> BillingPoint | None:
    """The next point to bill, or None when all is billed."""
    return next(points(subscription), None)


def due_points(subscription: Subscription, at: datetime, *, limit: int) -> list[BillingPoint]:
    """The first `limit` points that have come by `at`: one per elapsed period after an outage."""
    found = []
    for point in islice(points(subscription), limit):
        if point.at > at:
            break
        found.append(point)
    return found


def beginning_at(subscription: Subscription, start: datetime) -> Service | None:
    """The period that begins at `start`, a point; None at or after the subscription's end."""
    end = subscription.ends_at
    if end is not None and start >= end:
        return None
    full = subscription.schedule.full_period(start)
    return Service(Period(start, full.end if end is None else min(full.end, end)), full)


def at_period(subscription: Subscription, start: datetime) -> Subscription:
    """The subscription with the period that begins at `start` as its current one.

    Where none begins there it is over, and its last period stays.
    """
    service = beginning_at(subscription, start)
    return subscription if service is None else replace(subscription, current_period=service.period)


def containing(subscription: Subscription, at: datetime) -> Service | None:
    """The period that holds `at`; None before the start and from the end on."""
    if at < subscription.starts_at:
        return None
    if subscription.ends_at is not None and at >= subscription.ends_at:
        return None
    start = subscription.schedule.containing(at, subscription.starts_at).start
    return beginning_at(subscription, start)


def service_of(line: LineItem, price: Price, point: BillingPoint) -> Service | None:
    """What the line is billed for at the point; None for nothing.

    Usage, and fixed charges in arrears, are billed for the period that ends at the point;
    fixed charges in advance for the one that begins there.
    """
    in_advance = price.charge is ChargeKind.FIXED and price.timing is InvoiceTiming.ADVANCE
    service = point.advance if in_advance else point.arrears
    if service is None:
        return None
    end = service.period.end if line.ends_at is None else min(service.period.end, line.ends_at)
    start = max(service.period.start, line.starts_at)
    return Service(Period(start, end), service.full) if start < end else None
