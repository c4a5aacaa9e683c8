"""Whatever is done to a subscription and however late it is billed: no instant of any line is
billed twice, and none is lost."""

from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from app.catalog.price import Billing, ChargeKind, InvoiceTiming
from app.invoicing.bills import again, due
from app.kernel.copies import replace
from app.kernel.errors import DomainError
from app.kernel.period import Cadence, Period
from app.subscriptions.billable import BillableSubscription
from app.subscriptions.changes import canceling, pausing, trials
from app.subscriptions.changes.canceling import CancelSubscription
from app.subscriptions.changes.pausing import PauseMode, PauseSubscription, ResumeSubscription
from app.subscriptions.changes.standing import refreshed
from app.subscriptions.pause import PauseBehaviour
from app.subscriptions.periods import INSTANT, cycle_at, next_point
from app.subscriptions.proration import share
from app.subscriptions.subscription import CancelMode, Trial
from app.subscriptions.timeline import multiple_of
from tests.subscriptions import make

START = datetime(2026, 1, 31, 9, 30, tzinfo=UTC)
KEEP, EXTEND = PauseBehaviour.KEEP, PauseBehaviour.EXTEND
FIXED, USAGE = ChargeKind.FIXED, ChargeKind.USAGE
ADVANCE, ARREARS = InvoiceTiming.ADVANCE, InvoiceTiming.ARREARS
LONGER = {
    Cadence("week"): Cadence("week", 3),
    Cadence("month"): Cadence("quarter"),
    Cadence("month", 2): Cadence("half_year"),
    Cadence("quarter"): Cadence("year"),
}


class Life:
    """A subscription that is changed and billed, and every entry that a bill ever had."""

    def __init__(self, subject, now):
        self.subject, self.now = subject, now
        self.bills, self.story = [], []

    def __repr__(self):
        s = self.subscription
        first = (s.alignment, s.cadence, s.timezone, s.anchor, s.trial)
        return "\n".join(map(str, [first, *self.story]))

    @property
    def subscription(self):
        return self.subject.subscription

    def change(self, change, *args):
        """Do it if it is allowed; a refusal changes nothing."""
        try:
            after = change(self.subscription, *args, at=self.now)
        except DomainError:
            return
        self.story.append((self.now, change.__name__, *args))
        after = after[0] if isinstance(after, tuple) else after
        self.subject = replace(self.subject, subscription=refreshed(after))

    def bill(self):
        found = due(self.subject, self.now, limit=10_000)
        if not found:
            return
        self.bills += found
        self.story.append((self.now, "bill", found[-1].point.at))
        cuts = tuple(bill.cut for bill in found if bill.cut is not None)
        moved = replace(
            self.subscription,
            billed_until=found[-1].point.at,
            cuts=(*self.subscription.cuts, *cuts),
        )
        self.subject = replace(self.subject, subscription=refreshed(moved))

    def served(self, line):
        """Every entry of the line, in order."""
        return [e for bill in self.bills for e in bill.entries if e.item.id == line.id]


def line(subscription, kind, cadence, **fields):
    charge, timing, billing = kind
    price = replace(make.price(charge, timing), billing=billing, cadence=cadence)
    item = make.line(subscription_id=subscription.id, starts_at=subscription.starts_at, **fields)
    return item, price


@st.composite
def lives(draw, behaviours=(KEEP, EXTEND)):
    base = draw(st.sampled_from(list(LONGER)))
    alignment = draw(st.sampled_from(["anniversary", "calendar"]))
    days = draw(st.none() | st.integers(1, 60))
    trial = None if days is None else Trial(START + timedelta(days=days))
    if trial is not None:
        trial = replace(trial, bills_usage=draw(st.booleans()))
    charged_from = START if trial is None else trial.ends_at
    given = draw(st.booleans()) and alignment == "anniversary"
    subscription = make.row(
        starts_at=START,
        timezone=draw(st.sampled_from(["UTC", "America/New_York", "Asia/Kathmandu"])),
        alignment=alignment,
        cadence=base,
        trial=trial,
        anchor=datetime(2025, 10, 31, tzinfo=UTC) if given else charged_from,
        anchor_given=given,
    )
    recurring, once = Billing.RECURRING, Billing.ONE_TIME
    lines = [
        line(subscription, kind, cadence)
        for cadence in (base, LONGER[base])
        for kind in (
            (FIXED, ADVANCE, recurring), (FIXED, ARREARS, recurring), (USAGE, ARREARS, recurring),
        )
    ]  # fmt: skip
    lines.append(line(subscription, (FIXED, ADVANCE, once), base))
    life = Life(BillableSubscription(subscription, tuple(lines)), START)
    for _ in range(draw(st.integers(1, 12))):
        life.now += draw(st.timedeltas(timedelta(0), timedelta(days=45)))
        if draw(st.booleans()):
            life.bill()
        draw(st.sampled_from([pause, resume, cancel, uncancel, end_trial]))(life, draw, behaviours)
    life.now += timedelta(days=200)
    life.bill()
    return life


def ahead(draw, life):
    return life.now + draw(st.timedeltas(timedelta(0), timedelta(days=40)))


def pause(life, draw, behaviours):
    mode = draw(st.sampled_from(PauseMode))
    command = PauseSubscription(
        mode=mode,
        at=ahead(draw, life) if mode is PauseMode.AT else None,
        resumes_at=draw(st.none() | st.just(ahead(draw, life) + timedelta(days=40))),
        behaviour=draw(st.sampled_from(behaviours)),
    )
    life.change(pausing.paused, command)


def resume(life, draw, behaviours):
    at = draw(st.none() | st.just(ahead(draw, life)))
    behaviour = draw(st.none() | st.sampled_from(behaviours))
    life.change(pausing.resumed, ResumeSubscription(at=at, behaviour=behaviour))


def cancel(life, draw, behaviours):
    # Not now: a life that is over is soon told.
    mode = draw(st.sampled_from([CancelMode.PERIOD_END, CancelMode.AT]))
    at = ahead(draw, life) if mode is CancelMode.AT else None
    life.change(canceling.canceled, CancelSubscription(mode=mode, at=at))


def uncancel(life, draw, behaviours):
    life.change(canceling.uncanceled)


def end_trial(life, draw, behaviours):
    life.change(trials.trial_ending, draw(st.none() | st.just(ahead(draw, life))))


def gaps(subscription):
    end = datetime.max.replace(tzinfo=UTC)
    return [Period(p.starts_at, p.ends_at or end) for p in subscription.pauses]


def parts(entries):
    return [part for e in entries for part in e.service.period.without(e.service.paused)]


def joined(periods):
    """Periods that touch as one; overlapping ones are an error."""
    found = []
    for period in sorted(periods):
        if found and found[-1].end == period.start:
            found[-1] = Period(found[-1].start, period.end)
        else:
            assert not found or found[-1].end < period.start
            found.append(period)
    return found


def reached(life, price):
    """Until when a line of this price is billed in arrears: its last boundary, or the end."""
    subscription = life.subscription
    until = subscription.billed_until
    if subscription.ends_at is not None and until >= subscription.ends_at:
        return until
    if until < subscription.charged_from:
        return subscription.starts_at
    return max(cycle_at(subscription, until, price.cadence).start, subscription.charged_from)


@settings(deadline=None)
@given(lives())
def test_all_that_is_served_is_billed_once_and_found_again(life):
    arrears_are_all_that_was_served(life)
    a_period_in_advance_costs_its_price_at_most_and_what_was_served_at_least(life)
    points_come_in_order(life)
    what_is_charged_once_is(life)
    every_bill_is_found_again_as_it_was(life)


def arrears_are_all_that_was_served(life):
    subscription = life.subscription
    for item, price in life.subject.lines:
        if price.timing is ADVANCE:
            continue
        start = subscription.charged_from
        trial = subscription.trial
        if price.charge is USAGE and trial is not None and trial.bills_usage:
            start = subscription.starts_at
        # A trial that is cut short by the end is billed where usage in it is.
        until = max(reached(life, price), start)
        expected = Period(start, until).without(gaps(subscription))
        assert joined(parts(life.served(item))) == joined(expected)


def a_period_in_advance_costs_its_price_at_most_and_what_was_served_at_least(life):
    subscription = life.subscription
    for item, price in life.subject.lines:
        if price.timing is not ADVANCE or price.billing is Billing.ONE_TIME:
            continue
        charged = defaultdict(Fraction)
        for entry in life.served(item):
            charged[cycle_at(subscription, entry.service.period.start, price.cadence)] += share(
                entry.service
            )
        # A period that was extended lies elsewhere in the calendar, where a quarter is some hours
        # longer or shorter than the one that its first part was a part of.
        room = Fraction(0 if price.cadence == subscription.cadence else 1, 20)
        assert all(total <= 1 + room for total in charged.values())
        for cycle, total in charged.items():
            start, end = max(cycle.start, subscription.charged_from), cycle.end
            limits = [subscription.billed_until, subscription.ends_at, end]
            until = min(at for at in limits if at is not None)
            served = Period(start, max(start, until)).without(gaps(subscription))
            length = sum((part.length for part in served), timedelta())
            least = Fraction(length // INSTANT, cycle.full.length // INSTANT)
            assert total >= least - room


def points_come_in_order(life):
    instants = [bill.point.at for bill in life.bills]
    assert all(before < after for before, after in pairwise(instants))
    invoices = [(b.reason, b.period) for b in life.bills if b.needs_invoice]
    assert max(Counter(invoices).values(), default=1) == 1
    following = next_point(life.subscription)
    assert following is None or following.at > life.now


def what_is_charged_once_is(life):
    item, price = life.subject.lines[-1]
    assert price.billing is Billing.ONE_TIME
    served = life.served(item)
    assert len(served) <= 1
    if life.served(life.subject.lines[0][0]):
        assert len(served) == 1


def every_bill_is_found_again_as_it_was(life):
    for bill in life.bills:
        if bill.needs_invoice:
            found = again(life.subject, bill.reason, bill.period)
            assert found is not None
            assert found.entries == bill.entries


@settings(deadline=None)
@given(lives(behaviours=(KEEP,)))
def test_what_is_charged_in_advance_covers_all_that_is_served_once(life):
    subscription = life.subscription
    for item, price in life.subject.lines:
        if price.timing is not ADVANCE or price.billing is Billing.ONE_TIME:
            continue
        entries = life.served(item)
        assert all(not e.service.paused for e in entries)
        covered = joined(e.service.period for e in entries)
        if subscription.billed_until < subscription.charged_from:
            assert covered == []
            continue
        # All that is served until the last point is paid, and what begins there.
        known = [subscription.billed_until]
        known += [subscription.ends_at] if subscription.ends_at is not None else []
        served = Period(subscription.charged_from, min(known)).without(gaps(subscription))
        assert all(any(c.start <= s.start and s.end <= c.end for c in covered) for s in served)
        for entry in entries:
            assert subscription.charged_from <= entry.service.period.start
            assert all(not gap.contains(entry.service.period.start) for gap in gaps(subscription))
            multiple = multiple_of(price.cadence, subscription.cadence)
            assert entry.service.full.length >= timedelta(days=6) * multiple
