"""What is to be billed at a point of a subscription. Pure.

The billing run, the preview and the recomputation of a draft all go through here.
"""

from collections.abc import Collection, Iterable, Iterator
from datetime import datetime
from itertools import islice

import msgspec
from msgspec import Struct

from app.catalog.price import ChargeKind, Price
from app.invoicing.included import NOTHING_INCLUDED, Included, included_of
from app.invoicing.invoice import BillingReason
from app.kernel.copies import replace
from app.kernel.period import Period
from app.subscriptions.billable import BillableSubscription
from app.subscriptions.committing import Committing, committing_of
from app.subscriptions.periods import (
    BillingPoint,
    Service,
    containing,
    due_points,
    instant_after,
    instant_at,
    paused_within,
    point_at,
    points,
)
from app.subscriptions.services import accrued, cut_of, is_waived, services_of
from app.subscriptions.subscription import (
    OVER,
    Cut,
    LineItem,
    Subscription,
    SubscriptionStatus,
)

# Identity of a billed line: the line item and its service period, never its price.
Billed = tuple[str, Period]
# Points looked through for the next invoice: years, where a subscription is paused.
_AHEAD = 1_000
# What is not served, or not charged for, accrues nothing.
_IDLE = OVER | {SubscriptionStatus.DRAFT, SubscriptionStatus.SCHEDULED}


class Entry(Struct, frozen=True):
    """A line item that is billed at the point, for `service`; `included`: what is given of it."""

    item: LineItem
    price: Price
    service: Service
    included: Included = NOTHING_INCLUDED
    committing: Committing | None = None

    @property
    def identity(self) -> Billed:
        return self.item.id, self.service.period


class Bill(Struct, frozen=True):
    """One invoice to be: a point of a subscription and what falls due there."""

    subscription: Subscription
    point: BillingPoint
    entries: tuple[Entry, ...]
    ahead: bool = False  # of its point, because the usage so far came to a threshold
    committing: Committing | None = None  # to all of its usage
    payer_id: str | None = None  # None: its customer

    @property
    def reason(self) -> BillingReason:
        if self.ahead:
            return BillingReason.THRESHOLD
        at, subscription = self.point.at, self.subscription
        if subscription.trial is not None and at == subscription.trial.ends_at:
            return BillingReason.TRIAL_END
        if at == subscription.starts_at:
            return BillingReason.SUBSCRIPTION_CREATE
        if self.point.arrears is None:
            return BillingReason.SUBSCRIPTION_UPDATE
        return BillingReason.SUBSCRIPTION_CYCLE

    @property
    def period(self) -> Period:
        """What the invoice covers: the period that ended, or the one that begins."""
        before = self.subscription.threshold_until
        if self.ahead and before is not None:
            return Period(max(before, self.point.period.start), self.point.at)
        if self.reason is BillingReason.SUBSCRIPTION_CYCLE or self.point.advance is None:
            return self.point.period
        return self.point.advance.period

    @property
    def needs_invoice(self) -> bool:
        """A period that ended has one even where no line fell due, unless nothing of it was
        served or charged for; any other point needs one only for its lines."""
        ended = self.point.arrears
        if self.entries or ended is None:
            return bool(self.entries)
        cycle = self.reason is BillingReason.SUBSCRIPTION_CYCLE
        charged = ended.period.start >= self.subscription.charged_from and bool(ended.served)
        return cycle and charged and not is_waived(self.subscription, self.point.at)

    @property
    def cut(self) -> Cut | None:
        """What to remember of lines that are billed in advance for less than their period."""
        billed = ((entry.price, entry.service) for entry in self.entries)
        return cut_of(self.subscription, self.point, billed)

    @property
    def identity(self) -> Billed:
        """Where what is known for the commitment to all usage is found."""
        return self.subscription.id, self.period

    @property
    def usage(self) -> Iterator[Entry]:
        """What has to be counted."""
        return (entry for entry in self.entries if entry.price.charge is ChargeKind.USAGE)


def due(subject: BillableSubscription, at: datetime, *, limit: int) -> list[Bill]:
    """The first `limit` bills that have fallen due by `at`, in order."""
    return [_bill(subject, point) for point in due_points(subject.subscription, at, limit=limit)]


def upcoming(subject: BillableSubscription, *, prices: Collection[str] = ()) -> Bill | None:
    """The next bill that becomes an invoice, due or not, and asks for the usage of all of these
    prices; None where none will follow, as far ahead as a pause without an end lets us see."""
    ahead = islice(points(subject.subscription), _AHEAD)
    bills = (_bill(subject, point) for point in ahead)
    wanted = set(prices)
    return next(
        (
            bill
            for bill in bills
            if bill.needs_invoice and wanted <= {entry.price.id for entry in bill.usage}
        ),
        None,
    )


def accruing(subject: BillableSubscription, at: datetime) -> Bill | None:
    """The usage so far of the periods under way at `at`; None where nothing accrues, or the next
    bill, or a change, has fallen due. What a period costs at least counts when it ends."""
    subscription = subject.subscription
    until = subscription.billed_until
    if subscription.status in _IDLE or until is None or at <= max(until, subscription.charged_from):
        return None
    following = (instant_after(subscription, until), subscription.next_change_at)
    if any(instant is not None and instant <= at for instant in following):
        return None
    found = [(i, _unlimited(p), accrued(subscription, i, p, at)) for i, p in subject.lines]
    entries = _entries(subject, found, final=False)
    service = containing(subscription, at)
    if not entries or service is None:
        return None
    period = Period(service.period.start, at)
    paused = paused_within(subscription, period)
    point = BillingPoint(at, Service(period, service.full, paused), None)
    whole = committing_of(subscription, None, period, final=False)
    return Bill(
        subscription, point, entries, ahead=True, committing=whole, payer_id=subject.payer_id
    )


def _unlimited(price: Price) -> Price:
    adjustments = msgspec.structs.replace(price.adjustments, minimum=None)
    return replace(price, adjustments=adjustments)


def at_instant(subject: BillableSubscription, at: datetime) -> Bill:
    """The bill of the point at `at`, billed or not."""
    return _bill(subject, point_at(subject.subscription, at))


def again(subject: BillableSubscription, reason: BillingReason, period: Period) -> Bill | None:
    """The bill that led to an invoice; None if the subscription no longer has that period."""
    subscription = subject.subscription
    at = period.start
    if reason is BillingReason.SUBSCRIPTION_CYCLE:
        at = period.end
    elif reason is BillingReason.TRIAL_END:
        at = subscription.charged_from
    if at < subscription.starts_at or instant_at(subscription, at) != at:
        return None
    bill = _bill(subject, point_at(subscription, at))
    return bill if (bill.reason, bill.point.at, bill.period) == (reason, at, period) else None


def _bill(subject: BillableSubscription, point: BillingPoint) -> Bill:
    subscription = subject.subscription
    found = (
        (item, price, service)
        for item, price in subject.lines
        for service in services_of(subscription, item, price, point)
    )
    bill = Bill(
        subscription, point, _entries(subject, found, final=True), payer_id=subject.payer_id
    )
    ended = point.arrears
    if ended is None or not ended.served or is_waived(subscription, point.at):
        return bill
    whole = committing_of(subscription, None, ended.period, final=True)
    return bill if whole is None else replace(bill, committing=whole)


def _entries(
    subject: BillableSubscription,
    found: Iterable[tuple[LineItem, Price, Service | None]],
    *,
    final: bool,
) -> tuple[Entry, ...]:
    """`final`: the periods of the services are over."""
    return tuple(
        Entry(
            item,
            price,
            service,
            included_of(price, subject.entitled, service.period),
            committing_of(subject.subscription, price.catalogue_id, service.period, final=final),
        )
        for item, price, service in found
        if service
    )
