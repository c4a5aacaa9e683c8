"""Laws of the fold: whatever is put together, every line is asked for once, by one invoice."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from app.invoicing.applied.parts import Applied
from app.invoicing.consolidating import folded, held, together
from app.invoicing.correction import CorrectionApplied
from app.invoicing.drafts import Drafted
from app.invoicing.invoice import BillingReason, InvoiceLine, InvoiceStatus, LineKind, Totals
from app.invoicing.manual import CreateInvoice, blank
from app.kernel.copies import replace
from app.kernel.period import Period

D = Decimal
FEB = datetime(2025, 2, 1, tzinfo=UTC)
MONTH = timedelta(days=31)
ZONES = {"cus_1": "America/New_York", "cus_2": "Asia/Kolkata", "cus_3": "UTC"}
CYCLE, ENDED_TRIAL, OPENING, REST = (
    BillingReason.SUBSCRIPTION_CYCLE, BillingReason.TRIAL_END,
    BillingReason.SUBSCRIPTION_CREATE, BillingReason.SUBSCRIPTION_UPDATE,
)  # fmt: skip
REASONS = [CYCLE, ENDED_TRIAL, OPENING, REST]
# Large, tiny and negative ones: the sum is exact, or it is wrong.
amounts = st.decimals("-99999999999.99", "99999999999999.99", places=2)


def line_of(invoice, number, amount):
    key = f"{invoice.id}.{number}"
    return InvoiceLine(
        id=f"il_{key}", invoice_id=invoice.id, position=number, kind=LineKind.FIXED,
        subscription_line_item_id=f"sli_{key}", price_id="pri_1", meter_id=None, description="Fee",
        group={}, quantity=D(1), amount=amount, currency=invoice.currency, service=invoice.period,
        price={}, explanation={}, subscription_id=invoice.subscription_id, discount=D(1),
        tax=D("0.5"), shares=({},),
    )  # fmt: skip


@st.composite
def members(draw, number=0, most=4, reasons=REASONS, **terms):
    """A draft of a subscription with its lines, and the corrections that some of them bill."""
    reason = draw(st.sampled_from(reasons))
    at = FEB + timedelta(minutes=draw(st.integers(-1440, 1440)))
    period = Period(at, at + MONTH) if reason in (OPENING, REST) else Period(at - MONTH, at)
    command = CreateInvoice(customer_id=terms.pop("customer_id", "cus_1"), lines=())
    invoice = replace(
        blank(command, currency="USD", timezone="UTC", at=FEB), subscription_id=f"sub_{number}",
        reason=reason, period=period, catalog_hash=draw(st.sampled_from("ab")),
        finalize_at=draw(st.none() | st.just(FEB + timedelta(hours=draw(st.integers(0, 9))))),
        **terms,
    )  # fmt: skip
    found = draw(st.lists(amounts, max_size=most))
    lines = tuple(line_of(invoice, n, amount) for n, amount in enumerate(found, start=1))
    corrections = tuple(
        CorrectionApplied(f"ca_{line.id}", f"cor_{line.id}", invoice.id, None, line.amount, "USD")
        for line in lines
        if draw(st.booleans())
    )
    totals = Totals.of(sum((line.amount for line in lines), start=D(0)))
    return Drafted(replace(invoice, totals=totals), lines, Applied(corrections=corrections))


@st.composite
def families(draw):
    """Of any reasons, or of one or two."""
    reasons = draw(st.just(REASONS) | st.lists(st.sampled_from(REASONS), min_size=1, max_size=2))
    return [draw(members(n, reasons=reasons)) for n in range(draw(st.integers(2, 5)))]


def substance(line):
    return line.id, line.subscription_id, line.amount, line.service, line.subscription_line_item_id


@settings(deadline=None, max_examples=40)
@given(families())
def test_the_fold_asks_for_what_its_members_asked_for_and_they_for_nothing(family):
    whole = folded(family, at=FEB)
    invoice = whole.invoice
    assert [substance(x) for x in whole.lines] == [substance(x) for m in family for x in m.lines]
    assert [line.position for line in whole.lines] == list(range(1, len(whole.lines) + 1))
    assert {line.invoice_id for line in whole.lines} <= {invoice.id}
    # Nothing is applied to it yet: discounts and taxes are reckoned on the whole.
    assert all(not (x.discount or x.tax or x.shares) for x in whole.lines)
    asked = sum((m.invoice.totals.subtotal for m in family), start=D(0))
    assert invoice.totals == Totals.of(asked)
    assert invoice.owners == tuple(m.invoice.subscription_id for m in family)
    assert invoice.subscription_id is None
    before = [part for m in family for part in m.applied.corrections]
    after = whole.applied.corrections
    assert [replace(part, invoice_id=None) for part in after] == [
        replace(part, invoice_id=None) for part in before
    ]
    assert {part.invoice_id for part in after} <= {invoice.id}
    for member in family:
        left = held(member.invoice, invoice.id, at=FEB)
        assert (left.status, left.consolidated_into_id) == (
            InvoiceStatus.CONSOLIDATED, invoice.id,
        )  # fmt: skip
        assert left.totals.is_nothing
        # It keeps the place of its period.
        place = ("id", "subscription_id", "reason", "period")
        assert [getattr(left, x) for x in place] == [getattr(member.invoice, x) for x in place]


@settings(deadline=None, max_examples=40)
@given(families())
def test_its_tax_point_is_the_latest_of_those_of_its_reason(family):
    invoice = folded(family, at=FEB).invoice
    reasons = [member.invoice.reason for member in family]
    expected = next(reason for reason in REASONS if reason in reasons)
    of_it = [m.invoice for m in family if m.invoice.reason is expected]
    assert invoice.reason is expected
    assert all(each.period.end <= invoice.period.end for each in of_it)
    assert invoice.tax_point == max(each.tax_point for each in of_it)
    waits = [m.invoice.finalize_at for m in family if m.invoice.finalize_at is not None]
    assert invoice.finalize_at == max(waits, default=None)


@st.composite
def payers(draw):
    """Drafts of several payers on several terms, some of them touched."""
    found = []
    for number in range(draw(st.integers(1, 12))):
        terms = {
            "customer_id": draw(st.sampled_from([*ZONES, "cus_4"])),
            "net_days": draw(st.sampled_from([None, 7])),
            "currency": draw(st.sampled_from(["USD", "EUR"])),
        }
        touched = draw(
            st.sampled_from([{}, {}, {}, {"edited": True}, {"memo": "Hi"}, {"metadata": {"a": 1}}])
        )
        found.append(replace(draw(members(number, 0, **terms)).invoice, **touched))
    return found


@settings(deadline=None, max_examples=50)
@given(payers(), st.randoms(use_true_random=False), st.integers(0, 8))
def test_what_goes_together_asks_alike_whatever_the_order(drafts, random, alone):
    apart = {f"sub_{alone}"}
    groups = together(drafts, ZONES, apart=apart)
    shuffled = random.sample(drafts, len(drafts))
    assert sorted(together(shuffled, ZONES, apart=apart), key=str) == sorted(groups, key=str)

    def terms(draft):
        day = draft.tax_point.astimezone(ZoneInfo(ZONES[draft.customer_id])).date()
        return draft.customer_id, draft.currency, draft.net_days, day

    for group in groups:
        assert len(group) > 1
        assert len({terms(draft) for draft in group}) == 1
    chosen = Counter(draft.id for group in groups for draft in group)
    assert max(chosen.values(), default=1) == 1
    # And nothing that could go with another one is left behind.
    fits = [
        draft
        for draft in drafts
        if draft.customer_id in ZONES
        and not (draft.edited or draft.memo or draft.metadata or draft.owners[0] in apart)
    ]
    alike = Counter(terms(draft) for draft in fits)
    assert chosen.keys() == {draft.id for draft in fits if alike[terms(draft)] > 1}
