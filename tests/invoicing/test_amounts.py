"""The laws of an invoice's amounts, for any lines, discounts, balances and taxes."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.catalog.prices.explanation import evaluate, holds, step
from app.invoicing.amounts import (
    CREDITS_AFTER_TAX,
    CREDITS_BEFORE_TAX,
    Balance,
    Discount,
    Line,
    Rate,
    Rules,
    Spread,
    TaxRounding,
    Terms,
    reckon,
    steps,
)
from app.invoicing.amounts.minimum import true_up
from app.invoicing.amounts.progressive import Thresholds, billed
from app.invoicing.amounts.unused import unused_credit
from app.kernel import shares

IDS = ("a", "b", "c", "d", "e")
KINDS = ("fixed", "usage")
ZERO = Decimal(0)

cents = st.integers(0, 100_000).map(lambda units: Decimal(units).scaleb(-2))
percents = st.integers(0, 100_000).map(lambda units: Decimal(units).scaleb(-3))
some_lines = st.none() | st.frozensets(st.sampled_from(IDS))


@st.composite
def lines(draw):
    count = draw(st.integers(0, len(IDS)))
    return [Line(IDS[i], draw(cents), draw(st.sampled_from(KINDS))) for i in range(count)]


@st.composite
def discounts(draw):
    found = []
    for index in range(draw(st.integers(0, 4))):
        percent = draw(st.none() | percents.map(lambda value: min(value, Decimal(100))))
        found.append(
            Discount(
                id=str(index),
                percent=percent,
                amount=draw(cents) if percent is None else None,
                lines=draw(some_lines),
                each=draw(st.booleans()),
            )
        )
    return found


@st.composite
def rates(draw, included=None):
    found = []
    for index in range(draw(st.integers(0, 3))):
        percent = draw(st.none() | percents)
        found.append(
            Rate(
                id=str(index),
                percent=percent,
                amount=draw(cents) if percent is None else None,
                included=draw(st.booleans()) if included is None else included,
                compound=draw(st.booleans()),
                priority=draw(st.integers(0, 2)),
                lines=draw(some_lines),
                charged=draw(st.integers(0, 5)) > 0,
            )
        )
    return found


@st.composite
def balances(draw, amounts=cents):
    kinds = st.none() | st.frozensets(st.sampled_from(KINDS))
    return [
        Balance(id=str(index), amount=draw(amounts), kinds=draw(kinds))
        for index in range(draw(st.integers(0, 3)))
    ]


all_terms = st.builds(
    Terms,
    discounts=discounts(),
    prepaid=balances(st.decimals(0, 500, places=4)),
    rates=rates(),
    credits=balances(),
)
all_rules = st.builds(
    Rules,
    stages=st.sampled_from([CREDITS_BEFORE_TAX, CREDITS_AFTER_TAX]),
    spread=st.sampled_from(Spread),
    tax_rounding=st.sampled_from(TaxRounding),
)


def amounts_of(lines, terms=None, rules=None):
    return reckon(lines, terms or Terms(), currency="USD", decimals=2, rules=rules or Rules())


def whole(amount):
    return amount == amount.quantize(Decimal("0.01"))


def total_of(reckoned, field):
    return sum((getattr(line, field) for line in reckoned.lines), ZERO)


@given(lines(), all_terms, all_rules)
def test_the_parts_sum_to_the_whole_and_nothing_is_below_zero(lines, terms, rules):
    reckoned = amounts_of(lines, terms, rules)
    totals = reckoned.totals
    for field in ("discount", "prepaid", "tax", "tax_included"):
        assert total_of(reckoned, field) == getattr(totals, field)
        assert all(getattr(line, field) >= 0 for line in reckoned.lines)
        assert all(whole(getattr(line, field)) for line in reckoned.lines)
    assert total_of(reckoned, "amount") == totals.subtotal
    for records, field in (
        (reckoned.discounts, "discount"),
        (reckoned.prepaid, "prepaid"),
        (reckoned.taxes, "tax"),
    ):
        assert all(sum(each.shares) == each.amount for each in records)
        assert sum(each.amount for each in records) == reckoned.sheet.minor(getattr(totals, field))
    on_top = totals.tax - totals.tax_included
    assert totals.total == totals.subtotal - totals.discount - totals.prepaid + on_top
    assert totals.amount_due == totals.total - totals.credited
    assert min(totals.total, totals.credited, totals.amount_due) >= 0


@given(lines(), all_terms, all_rules)
def test_no_line_pays_more_than_it_costs(lines, terms, rules):
    for line in amounts_of(lines, terms, rules).lines:
        assert line.discount <= line.amount
        assert line.discount + line.prepaid <= line.amount + line.tax - line.tax_included
        assert line.tax_included <= line.amount - line.discount


@given(lines(), discounts(), st.sampled_from(Spread))
def test_a_discount_takes_at_most_what_is_left(lines, discounts, spread):
    reckoned = amounts_of(lines, Terms(discounts=discounts), Rules(spread=spread))
    left = {line.id: Fraction(line.amount) * 100 for line in lines}
    for taken in reckoned.discounts:
        for line, exact in zip(lines, taken.exact, strict=True):
            covered = taken.discount.lines is None or line.id in taken.discount.lines
            assert 0 <= exact <= (left[line.id] if covered else 0)
            left[line.id] -= exact


@given(lines(), all_terms, all_rules)
def test_the_explanation_evaluates_to_what_is_due(lines, terms, rules):
    reckoned = amounts_of(lines, terms, rules)
    tree = steps.due(reckoned)
    assert holds(tree, steps.RULES)
    assert evaluate(tree, steps.RULES) == Fraction(reckoned.totals.amount_due)
    for index, line in enumerate(reckoned.lines):
        own = step("line_amount", {"line": line.id, "amount": line.amount}, line.amount)
        tree = steps.line(own, steps.shares(reckoned, index))
        assert holds(tree, steps.RULES)
        taken = line.discount + line.prepaid
        asked = line.amount - taken + line.tax - line.tax_included
        assert evaluate(tree, steps.RULES) == Fraction(asked)


@given(lines(), all_terms, st.randoms(use_true_random=False))
def test_spread_exactly_the_order_of_the_lines_changes_no_total(lines, terms, random):
    shuffled = random.sample(lines, len(lines))
    rules = Rules(spread=Spread.EXACT)
    assert amounts_of(shuffled, terms, rules).totals == amounts_of(lines, terms, rules).totals


@given(lines(), discounts(), st.randoms(use_true_random=False))
def test_amounts_off_the_whole_invoice_come_to_the_same_in_any_order(lines, discounts, random):
    fixed = [
        Discount(id=each.id, amount=each.amount) for each in discounts if each.amount is not None
    ]
    shuffled = random.sample(fixed, len(fixed))
    assert (
        amounts_of(lines, Terms(discounts=shuffled)).totals
        == amounts_of(lines, Terms(discounts=fixed)).totals
    )


@given(lines(), balances(), st.randoms(use_true_random=False))
def test_balances_that_may_pay_for_anything_come_to_the_same_in_any_order(lines, held, random):
    free = [Balance(id=each.id, amount=each.amount) for each in held]
    shuffled = random.sample(free, len(free))
    assert (
        amounts_of(lines, Terms(prepaid=shuffled)).totals
        == amounts_of(lines, Terms(prepaid=free)).totals
    )


@given(lines(), rates(included=True))
def test_taxes_that_are_included_leave_what_is_paid_as_it_is(lines, rates):
    reckoned = amounts_of(lines, Terms(rates=rates))
    assert reckoned.totals.total == reckoned.totals.subtotal
    assert reckoned.totals.tax == reckoned.totals.tax_included


@given(lines(), all_terms)
def test_prepaid_credits_before_tax_leave_the_tax_as_it_is(lines, terms):
    without = Terms(discounts=terms.discounts, rates=terms.rates)
    assert amounts_of(lines, terms).totals.tax == amounts_of(lines, without).totals.tax


@given(lines(), rates())
def test_rounded_once_the_tax_is_half_a_cent_from_exact(lines, rates):
    rules = Rules(tax_rounding=TaxRounding.PER_INVOICE)
    reckoned = amounts_of(lines, Terms(rates=rates), rules)
    for included in (True, False):
        chosen = [each for each in reckoned.taxes if each.rate.included is included]
        exact = sum((sum(each.exact) for each in chosen), Fraction(0))
        assert abs(sum(each.amount for each in chosen) - exact) <= Fraction(1, 2)


@given(lines(), rates())
def test_no_tax_is_below_zero_and_what_is_included_is_within_the_line(lines, rates):
    reckoned = amounts_of(lines, Terms(rates=rates))
    for index, line in enumerate(lines):
        asked = [each.exact[index] for each in reckoned.taxes]
        inside = [each.exact[index] for each in reckoned.taxes if each.rate.included]
        if line.amount < 0:
            continue
        assert all(each >= 0 for each in asked)
        assert sum(inside, Fraction(0)) <= Fraction(line.amount) * 100


def test_taxes_that_a_line_cannot_hold_leave_nothing_net():
    """A compound rate on a fixed amount of all there is; others on top: of what is net, and of
    that with the taxes before."""
    fixed = Rate(id="fixed", amount=Decimal(100), included=True)
    compound = Rate(id="compound", percent=Decimal(50), included=True, compound=True, priority=1)
    on_top = Rate(id="on_top", percent=Decimal(10), priority=2)
    above = Rate(id="above", percent=Decimal(10), compound=True, priority=3)
    rates = [fixed, compound, on_top, above]
    reckoned = amounts_of([Line("a", Decimal(100))], Terms(rates=rates))
    assert [(each.rate.id, each.taxable, each.amount) for each in reckoned.taxes] == [
        ("fixed", 0, 10_000), ("compound", 10_000, 0), ("on_top", 0, 0), ("above", 10_000, 1_000),
    ]  # fmt: skip
    assert reckoned.totals.total == 110


def test_a_line_level_discount_is_taken_off_each_line_and_rounded_there():
    lines = [Line("a", Decimal("0.05")), Line("b", Decimal("0.05"))]
    half = Discount(id="half", percent=Decimal(50), each=True)
    assert [
        line.discount for line in amounts_of(lines, Terms(discounts=[half])).lines
    ] == [Decimal("0.03"), Decimal("0.03")]  # fmt: skip
    together = Discount(id="half", percent=Decimal(50))
    assert [
        line.discount for line in amounts_of(lines, Terms(discounts=[together])).lines
    ] == [Decimal("0.03"), Decimal("0.02")]  # fmt: skip


def test_a_discount_or_a_fixed_tax_in_another_currency_is_passed_over():
    terms = Terms(
        discounts=[Discount(id="a", amount=Decimal(1), currency="EUR")],
        rates=[Rate(id="b", amount=Decimal(1), currency="EUR")],
    )
    reckoned = amounts_of([Line("a", Decimal(10))], terms)
    assert (reckoned.totals.total, reckoned.discounts, reckoned.taxes) == (Decimal(10), (), ())


def test_a_compound_rate_is_taken_on_the_taxes_before_it():
    gst = Rate(id="gst", percent=Decimal(5), priority=1)
    pst = Rate(id="pst", percent=Decimal(10), priority=2, compound=True)
    beside = Rate(id="levy", percent=Decimal(1), priority=2, compound=True)
    reckoned = amounts_of([Line("a", Decimal(100))], Terms(rates=[pst, beside, gst]))
    assert [(each.rate.id, each.taxable, each.amount) for each in reckoned.taxes] == [
        ("gst", 10000, 500), ("pst", 10500, 1050), ("levy", 10500, 105),
    ]  # fmt: skip


def test_included_taxes_are_taken_out_of_the_price_and_others_put_on_its_net():
    terms = Terms(
        rates=[
            Rate(id="vat", percent=Decimal(19), included=True),
            Rate(id="levy", percent=Decimal(1)),
        ]
    )
    reckoned = amounts_of([Line("a", Decimal(119))], terms)
    assert [(each.rate.id, each.taxable, each.amount) for each in reckoned.taxes] == [
        ("vat", 10000, 1900), ("levy", 10000, 100),
    ]  # fmt: skip
    assert reckoned.totals.total == Decimal(120)


def test_a_fixed_tax_is_asked_for_once_and_not_where_nothing_is_taxed():
    stamp = Rate(id="stamp", amount=Decimal(2))
    taxed = amounts_of([Line("a", Decimal(10)), Line("b", Decimal(30))], Terms(rates=[stamp]))
    assert [line.tax for line in taxed.lines] == [Decimal("0.50"), Decimal("1.50")]
    assert amounts_of([Line("a", ZERO)], Terms(rates=[stamp])).totals.tax == 0


def test_a_rate_that_is_not_charged_shows_its_base():
    vat = Rate(id="vat", percent=Decimal(19), charged=False)
    reckoned = amounts_of([Line("a", Decimal(10))], Terms(rates=[vat]))
    assert [(each.taxable, each.amount) for each in reckoned.taxes] == [(1000, 0)]


def test_prepaid_credits_pay_for_their_kinds_of_lines_and_what_is_under_a_cent_stays():
    lines = [Line("fee", Decimal(10), "fixed"), Line("use", Decimal(5), "usage")]
    usage = frozenset({"usage"})
    terms = Terms(
        prepaid=[
            Balance(id="small", amount=Decimal("1.239"), kinds=usage),
            Balance(id="large", amount=Decimal(100), kinds=usage),
        ]
    )
    reckoned = amounts_of(lines, terms)
    assert [(drawn.balance.id, drawn.amount) for drawn in reckoned.prepaid] == [
        ("small", 123), ("large", 377),
    ]  # fmt: skip
    assert reckoned.totals.amount_due == Decimal(10)


def test_credits_come_before_prepaid_ones_where_those_pay_the_tax_too():
    terms = Terms(
        prepaid=[Balance(id="wallet", amount=Decimal(100))],
        rates=[Rate(id="vat", percent=Decimal(20))],
        credits=[Balance(id="note", amount=Decimal(5))],
    )
    after = amounts_of([Line("a", Decimal(10))], terms, Rules(stages=CREDITS_AFTER_TAX)).totals
    assert (after.prepaid, after.credited, after.amount_due) == (Decimal(7), Decimal(5), 0)
    before = amounts_of([Line("a", Decimal(10))], terms).totals
    assert (before.prepaid, before.credited, before.amount_due) == (Decimal(10), Decimal(2), 0)


def test_a_line_below_zero_takes_no_discount_and_lowers_the_tax():
    lines = [Line("a", Decimal(10)), Line("back", Decimal(-4))]
    terms = Terms(
        discounts=[Discount(id="all", amount=Decimal(8))],
        rates=[Rate(id="vat", percent=Decimal(10))],
    )
    reckoned = amounts_of(lines, terms)
    assert [line.discount for line in reckoned.lines] == [Decimal(6), ZERO]
    assert [line.tax for line in reckoned.lines] == [Decimal("0.40"), Decimal("-0.40")]
    assert reckoned.totals.total == 0
    assert holds(steps.due(reckoned), steps.RULES)


def test_whole_shares_of_what_is_not_whole_are_refused():
    with pytest.raises(ValueError, match="rounded lines"):
        Rules(round_lines=False)
    with pytest.raises(ValueError, match="whole ones"):
        amounts_of(
            [Line("a", Decimal(1))], Terms(discounts=[Discount(id="x", amount=Decimal("0.001"))])
        )


@given(st.integers(0, 10**6), st.lists(st.fractions(0, 100), min_size=1, max_size=8))
def test_shares_sum_and_lie_next_to_exact_ones(units, weights):
    parts = shares.proportional(units, weights)
    assert sum(parts) == units
    if any(weights):
        exact = [units * weight / sum(weights) for weight in weights]
        assert all(abs(part - each) < 1 for part, each in zip(parts, exact, strict=True))


def test_what_fits_nowhere_is_refused():
    assert shares.rounded([Fraction(3), Fraction(1)], 4, [2, 2]) == [2, 2]
    with pytest.raises(ValueError, match="no room"):
        shares.rounded([Fraction(3), Fraction(1)], 4, [2, 1])


@given(cents, st.fractions(0, 1), st.lists(cents, max_size=4))
def test_a_minimum_is_reached_and_never_passed(minimum, share, charged):
    found = true_up(minimum, share, charged, 2)
    assert sum(charged, found.amount) == max(found.minimum, sum(charged, ZERO))


@given(
    st.lists(st.integers(1, 50), min_size=1, max_size=4, unique=True),
    st.none() | st.integers(1, 20),
    st.lists(st.integers(0, 60), max_size=8),
)
def test_what_is_billed_early_is_what_was_spent_by_then(fixed, recurring, spending):
    thresholds = Thresholds(
        tuple(Decimal(each) for each in sorted(fixed)),
        None if recurring is None else Decimal(recurring),
    )
    spent = [Decimal(amount) for amount in spending]
    total = ZERO
    for index, amount in enumerate(billed(thresholds, spent)):
        if amount is not None:
            total += amount
            assert total == sum(spent[: index + 1])


@given(cents, st.fractions(0, 1), percents)
def test_the_credit_for_unused_time_is_never_above_what_was_charged(amount, unused, percent):
    found = unused_credit(amount, unused, tax_percent=percent, decimals=2)
    assert 0 <= found.net <= amount
    assert found.total == found.net + found.tax
