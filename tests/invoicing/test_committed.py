"""Laws of what commitments make of an invoice, whatever is used and promised."""

from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from app.catalog.prices import Adjustments, Figures, Graduated, PerUnit, Tier
from app.invoicing import explanation
from app.invoicing.bills import due
from app.invoicing.drafts import Moment, draft
from app.invoicing.invoice import LineKind
from app.invoicing.rating import Counted
from app.kernel.quantity import round_half_away
from app.subscriptions.commitments import Commitment, CommitmentTerms, HeldCommitment
from tests.invoicing.make import FEB, JAN, billable, price

D = Decimal
SOLD = (
    price(PerUnit(D("0.013")), name="Calls"),
    price(
        Graduated((Tier(D(100), D("0.5")), Tier(None, D("0.2")))),
        adjustments=Adjustments(free_units=D(10)),
        name="Traffic",
    ),
)
quantities = st.decimals(0, 10**5, places=2)
amounts = st.decimals("0.01", 10**4, places=2)
commitments = st.builds(
    Commitment,
    amount=amounts,
    overage_factor=st.decimals(1, 5, places=2),
    true_up=st.booleans(),
)


def billed(used, *terms):
    """The lines of January for these quantities; each leads to its amount."""
    subject = billable(*SOLD, billed_until=JAN, commitments=tuple(map(HeldCommitment, terms)))
    (bill,) = due(subject, FEB, limit=1)
    counted = {
        entry.identity: Counted([Figures(quantity)])
        for entry, quantity in zip(bill.entries, used, strict=True)
    }
    drafted = draft(bill, counted, Moment(FEB, FEB))
    for line in drafted.lines:
        assert explanation.evaluate(line.explanation) == line.amount
    assert drafted.invoice.totals.subtotal == sum(line.amount for line in drafted.lines)
    return drafted.lines


@settings(deadline=None)
@given(st.tuples(quantities, quantities), commitments)
def test_a_commitment_to_all_usage_is_kept_and_never_makes_it_cheaper(used, commitment):
    base = sum(line.amount for line in billed(used))
    *usage, last = lines = billed(used, CommitmentTerms(commitment))
    total, promised = sum(line.amount for line in lines), commitment.amount
    assert total >= base
    if commitment.true_up:
        assert total >= promised
    if last.kind is LineKind.COMMITMENT:
        assert base > promised
        more = (base - promised) * (commitment.overage_factor - 1)
        assert last.amount == round_half_away(more, 2)
    elif last.kind is LineKind.TRUE_UP:
        assert commitment.true_up
        assert last.amount == promised - base
    else:
        assert total == base
    assert {line.kind for line in usage} == {LineKind.USAGE}


@settings(deadline=None)
@given(st.tuples(quantities, quantities), commitments)
def test_a_commitment_to_a_price_leaves_the_others_alone(used, commitment):
    plain = billed(used)
    lines = billed(used, CommitmentTerms(commitment, SOLD[0].id))
    assert lines[1].amount == plain[1].amount
    mine, base, promised = lines[0].amount, plain[0].amount, commitment.amount
    assert mine >= base
    if commitment.true_up:
        assert mine >= promised
    elif base <= promised:
        assert mine == base
    assert [line.kind for line in lines] == [LineKind.USAGE] * 2


@settings(deadline=None)
@given(st.tuples(quantities, quantities), amounts, st.decimals(1, 5, places=2))
def test_a_promised_quantity_is_worth_what_that_much_usage_costs(used, promised, factor):
    """So using just that much costs the same with and without it, free units apart."""
    terms = CommitmentTerms(
        Commitment(quantity=promised, overage_factor=factor, true_up=True), SOLD[1].id
    )
    exactly = (used[0], promised + 10)
    assert billed(exactly, terms)[1].amount == billed(exactly)[1].amount
    assert billed((used[0], D(0)), terms)[1].amount == billed(exactly)[1].amount
