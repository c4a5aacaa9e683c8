"""What is billed when, as laws: every second of every line once, however often billing looks."""

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.catalog.price import ChargeKind, InvoiceTiming
from app.catalog.prices import Flat
from app.invoicing.bills import again, due, upcoming
from app.invoicing.drafts import Moment, draft
from app.invoicing.invoice import BillingReason, InvoiceStatus
from app.kernel.copies import replace
from app.kernel.period import Cadence
from app.subscriptions.billable import BillableSubscription
from tests.invoicing.make import FEB, JAN, JANUARY, billable, item, price

ADVANCE = price(
    Flat(Decimal(20)), charge=ChargeKind.FIXED, timing=InvoiceTiming.ADVANCE, name="In advance"
)
ARREARS = price(Flat(Decimal(7)), charge=ChargeKind.FIXED, name="In arrears")
USAGE = price(name="Usage")
EVER = datetime(2027, 6, 1, tzinfo=UTC)

instants = st.integers(0, 424 * 86_400).map(lambda seconds: JAN + timedelta(seconds=seconds))
lengths = st.none() | st.timedeltas(timedelta(hours=1), timedelta(days=500))
zones = st.sampled_from(["UTC", "America/New_York", "Asia/Kolkata", "Pacific/Auckland"])
cadences = st.sampled_from(
    [Cadence("month"), Cadence("week", 2), Cadence("quarter"), Cadence("day")]
)


@st.composite
def subjects(draw):
    start, length = draw(instants), draw(lengths)
    ends = None if length is None else start + length
    subject = billable(
        starts_at=start,
        anchor=start,
        ends_at=ends,
        timezone=draw(zones),
        alignment=draw(st.sampled_from(["anniversary", "calendar"])),
        cadence=draw(cadences),
    )
    lines = []
    for sold in (ADVANCE, ARREARS, USAGE):
        first = start + (
            draw(st.none() | st.timedeltas(timedelta(0), timedelta(90))) or timedelta()
        )
        last = draw(st.none() | st.timedeltas(timedelta(0), timedelta(300)))
        held = item(sold, starts_at=first, ends_at=None if last is None else first + last)
        lines.append((held, replace(sold, cadence=subject.subscription.cadence)))
    # A line in advance that begins within a period is charged for when it begins.
    begun = lines[0][0].starts_at
    if begun > start and (ends is None or begun < ends):
        changed = replace(subject.subscription, changed_at=(begun,))
        return BillableSubscription(changed, tuple(lines))
    return BillableSubscription(subject.subscription, tuple(lines))


@settings(deadline=None)
@given(subjects(), instants)
def test_looking_once_or_at_every_point_gives_the_same_bills(subject, at):
    at_once = due(subject, at, limit=10_000)
    step_by_step, cursor = [], subject
    while found := due(cursor, at, limit=1):
        step_by_step += found
        billed = replace(cursor.subscription, billed_until=found[0].point.at)
        cursor = replace(cursor, subscription=billed)

    def facts(bills):
        return [(b.reason, b.point, [(e.identity, e.service) for e in b.entries]) for b in bills]

    assert facts(step_by_step) == facts(at_once)
    assert len({(b.reason, b.point.period) for b in at_once}) == len(at_once)


@settings(deadline=None)
@given(subjects())
def test_every_line_is_billed_for_all_of_its_time_once(subject):
    """Fees in advance for the whole period in which the line ends: what is unused is credited."""
    bills = due(subject, EVER, limit=10_000)
    served = defaultdict(list)
    for bill in bills:
        for entry in bill.entries:
            served[entry.item.id].append(entry.service.period)
    end = subject.subscription.ends_at or datetime.max.replace(tzinfo=UTC)
    for line, sold in subject.lines:
        periods = served[line.id]
        assert all(a.end == b.start for a, b in pairwise(periods))
        start = line.starts_at
        last = min(end, line.ends_at or end)
        if start >= last:
            assert periods == []
            continue
        assert periods[0].start == start
        reached = bills[-1].point
        in_advance = sold.timing is InvoiceTiming.ADVANCE
        ahead = in_advance and reached.advance is not None
        until = reached.advance.period.end if ahead else reached.at
        if in_advance and line.ends_at is not None and line.ends_at < until:
            assert periods[-1].start < last <= periods[-1].end
        else:
            assert periods[-1].end == min(last, until)


@settings(deadline=None)
@given(subjects(), instants)
def test_a_bill_can_be_found_again_from_its_invoice(subject, at):
    for bill in due(subject, at, limit=5):
        invoice = draft(bill, {}, Moment(at, at)).invoice
        assert again(subject, invoice.reason, invoice.period) == bill


def test_a_period_that_the_subscription_never_had_is_not_found_again():
    subject = billable(ADVANCE)
    other = replace(JANUARY, end=JANUARY.end + timedelta(days=1))
    assert again(subject, BillingReason.SUBSCRIPTION_CYCLE, other) is None


def test_the_start_of_a_subscription_without_fees_in_advance_needs_no_invoice():
    first, second = due(billable(USAGE), FEB, limit=9)
    assert (first.reason, first.needs_invoice) == (BillingReason.SUBSCRIPTION_CREATE, False)
    assert (second.reason, second.needs_invoice) == (BillingReason.SUBSCRIPTION_CYCLE, True)


def test_nothing_comes_after_the_end():
    subject = billable(ADVANCE, ends_at=FEB, billed_until=FEB)
    assert upcoming(subject) is None


@pytest.mark.parametrize(
    ("wait", "status"), [(0, InvoiceStatus.SKIPPED), (60, InvoiceStatus.DRAFT)]
)
def test_what_comes_to_nothing_is_skipped_unless_events_may_still_come(wait, status):
    bill = due(billable(USAGE), FEB, limit=9)[-1]
    made = draft(bill, {}, Moment(FEB, FEB, timedelta(seconds=wait)))
    assert made.invoice.status is status
    assert made.invoice.finalize_at == FEB + timedelta(seconds=wait)


def test_a_line_of_another_currency_is_never_summed():
    bill = due(
        billable(price(Flat(Decimal(1)), charge=ChargeKind.FIXED, currency="EUR")), FEB, limit=9
    )[-1]
    with pytest.raises(ValueError, match="EUR"):
        draft(bill, {}, Moment(JAN, JAN))


def test_what_comes_next_without_fees_in_advance_is_the_first_period_not_its_start():
    found = upcoming(billable(price(Flat(Decimal(20)), charge=ChargeKind.FIXED)))
    assert found.reason is BillingReason.SUBSCRIPTION_CYCLE
    assert found.point.period == JANUARY
    assert [entry.price.display_name for entry in found.entries] == ["Requests"]
