"""What is to be billed at a point of a subscription, and the invoice that comes of it. Pure.

The billing run, the preview and the recomputation of a draft all go through here.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import islice

import msgspec
from msgspec import Struct

from app.catalog.price import ChargeKind, Price
from app.catalog.prices import content_hash
from app.invoicing import explanation
from app.invoicing.applied.parts import NOTHING_APPLIED, Applied
from app.invoicing.committed import Toward, committed_to, is_true_up, on_top
from app.invoicing.included import NOTHING_INCLUDED, Included, included_of
from app.invoicing.invoice import (
    BillingReason,
    Invoice,
    InvoiceLine,
    InvoiceStatus,
    LineKind,
    Totals,
)
from app.invoicing.rating import ENGINE_VERSION, NOTHING, Counted, Fact, RatedLine, rate
from app.invoicing.remaining import remaining
from app.kernel.copies import replace
from app.kernel.currencies import minor_units
from app.kernel.ids import new_id
from app.kernel.money import Money, total
from app.kernel.period import Period
from app.kernel.quantity import exact_number
from app.kernel.zones import zone_data_version
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
from app.subscriptions.proration import policy_of
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
_ORDER = {LineKind.FIXED: 0, LineKind.USAGE: 1}


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


class Drafted(Struct, frozen=True):
    """An invoice with its lines and what was applied to them, saved or not."""

    invoice: Invoice
    lines: tuple[InvoiceLine, ...]
    applied: Applied = NOTHING_APPLIED


@dataclass(frozen=True, slots=True)
class Moment:
    """When a draft is made, how fresh its usage is, and when its wait for late events ends.

    `watermark`: what was accepted before it counts, and nothing else; None: whatever is stored.
    `skips_zero`: what comes to nothing is skipped instead of issued.
    """

    at: datetime
    watermark: datetime | None
    wait: timedelta = timedelta(0)
    skips_zero: bool = True


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


def draft(bill: Bill, counted: Mapping[Billed, Counted], moment: Moment) -> Drafted:
    """The invoice of `bill`. One that comes to nothing is skipped once its wait is over."""
    facts = [
        Fact(
            entry.item,
            entry.price,
            entry.service,
            counted.get(entry.identity, NOTHING),
            entry.included,
            entry.committing,
            policy_of(bill.subscription),
        )
        for entry in bill.entries
    ]
    lines_of = (remaining(rate(fact), fact.counted.earlier, fact.service.period) for fact in facts)
    rated = sorted((line for found in lines_of for line in found), key=lambda r: _ORDER[r.kind])
    toward = counted.get(bill.identity, NOTHING).toward
    rated += _committed(bill, rated, toward)
    invoice_id = new_id("inv")
    owner_id = bill.subscription.id
    lines = tuple(_line(invoice_id, owner_id, n, line) for n, line in enumerate(rated, start=1))
    return Drafted(_invoice(invoice_id, bill, lines, moment), lines)


def _committed(bill: Bill, rated: Sequence[RatedLine], toward: Toward) -> Iterator[RatedLine]:
    """The line of what a commitment to all usage adds, where it adds anything."""
    if bill.committing is None:
        return
    amounts = [
        (place, line.amount)
        for place, line in enumerate(rated, start=1)
        if line.kind is LineKind.USAGE and not committed_to(line.explanation)
    ]
    addition = on_top(bill.committing, amounts, bill.period, toward)
    currency = bill.subscription.currency
    tree = explanation.line(addition, decimals=minor_units(currency))
    amount = exact_number(tree.result)
    if not amount or not isinstance(amount, Decimal):
        return
    missing = is_true_up(addition)
    yield RatedLine(
        kind=LineKind.TRUE_UP if missing else LineKind.COMMITMENT,
        item_id=None,
        price_id=None,
        meter_id=None,
        description="True-up to the commitment" if missing else "Overage beyond the commitment",
        group={},
        quantity=Decimal(1),
        amount=amount,
        currency=currency,
        service=bill.period,
        price={"currency": currency, "commitment": addition.parts[0].inputs},
        explanation=tree,
    )


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


def _invoice(invoice_id: str, bill: Bill, lines: Sequence[InvoiceLine], moment: Moment) -> Invoice:
    amounts = (Money(line.amount, line.currency) for line in lines)
    totals = Totals.of(total(amounts, bill.subscription.currency).amount)
    skipped = moment.skips_zero and moment.wait <= timedelta(0) and totals.is_nothing
    sold = {entry.price.content_hash for entry in bill.entries}
    promised = (bill.committing, *(entry.committing for entry in bill.entries))
    sold |= {each.hash for each in promised if each is not None}
    hashes = sorted(sold.union(*(entry.included.hashes for entry in bill.entries)))
    return Invoice(
        id=invoice_id,
        customer_id=bill.payer_id or bill.subscription.customer_id,
        subscription_id=bill.subscription.id,
        status=InvoiceStatus.SKIPPED if skipped else InvoiceStatus.DRAFT,
        reason=bill.reason,
        period=bill.period,
        timezone=bill.subscription.timezone,
        currency=bill.subscription.currency,
        totals=totals,
        number=None,
        issued_at=None,
        due_at=None,
        finalize_at=moment.at + moment.wait,
        finalized_at=None,
        voided_at=None,
        void_reason=None,
        seller=None,
        bill_to=None,
        pdf_key=None,
        engine_version=ENGINE_VERSION,
        catalog_hash=content_hash(hashes),
        zone_data=zone_data_version(),
        usage_watermark=moment.watermark,
        net_days=bill.subscription.terms.net_days,
        collection_method=bill.subscription.terms.collection_method,
        purchase_order=bill.subscription.terms.purchase_order,
        metadata={},
        created_at=moment.at,
        updated_at=moment.at,
    )


def _line(invoice_id: str, owner_id: str, position: int, rated: RatedLine) -> InvoiceLine:
    return InvoiceLine(
        id=new_id("invl"),
        invoice_id=invoice_id,
        position=position,
        kind=rated.kind,
        subscription_id=owner_id,
        subscription_line_item_id=rated.item_id,
        price_id=rated.price_id,
        meter_id=rated.meter_id,
        description=rated.description,
        group=rated.group,
        quantity=rated.quantity,
        amount=rated.amount,
        currency=rated.currency,
        service=rated.service,
        price=rated.price,
        explanation=explanation.to_json(rated.explanation),
    )
