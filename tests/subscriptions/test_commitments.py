"""Laws of commitments; their known answers are among the cases."""

from decimal import Decimal
from fractions import Fraction
from itertools import accumulate, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.catalog.prices import RULES as PRICE_RULES
from app.catalog.prices import Graduated, PerUnit, Tier
from app.catalog.prices.explanation import evaluate, holds
from app.kernel.errors import Invalid
from app.subscriptions.commitments import (
    NOTHING,
    RULES,
    Commitment,
    Standing,
    committed,
    trace,
)

D = Decimal
amounts = st.decimals(0, 10**6, places=4)
commitments = st.builds(
    Commitment,
    amount=amounts,
    overage_factor=st.decimals(1, 5, places=3),
    true_up=st.booleans(),
)


@given(commitments, amounts)
def test_a_commitment_never_makes_usage_cheaper_and_splits_it_completely(terms, base):
    found = committed(base, terms, terms.worth(PerUnit(D(1))))
    assert found.amount >= base
    assert found.utilized == min(base, terms.amount)
    assert found.utilized + found.overage / Fraction(terms.overage_factor) == base
    assert not (found.overage and found.true_up)
    if terms.true_up:
        assert found.amount >= terms.amount
    assert committed(base, None, D(0)).amount == base


@given(commitments, st.lists(amounts, min_size=1, max_size=6))
def test_periods_of_one_commitment_come_to_what_all_of_them_together_come_to(terms, bases):
    """Whatever was used before counts towards it, and only the last period is trued up."""
    total, worth = NOTHING, terms.amount
    for index, (prior, after) in enumerate(pairwise(accumulate(bases, initial=D(0)))):
        standing = Standing(prior, settles=index == len(bases) - 1)
        total = total + committed(after - prior, terms, worth, standing)
    assert total == committed(sum(bases, D(0)), terms, worth)


@given(commitments, amounts, amounts, st.booleans())
def test_evaluating_the_trace_gives_the_amount(terms, base, prior, settles):
    standing = Standing(prior, settles=settles)
    tree = trace(PerUnit(D(1)).trace(base), terms, terms.worth(PerUnit(D(1))), standing)
    assert evaluate(tree, PRICE_RULES | RULES) == Fraction(tree.result)
    assert holds(tree, PRICE_RULES | RULES)
    assert Fraction(tree.result) == committed(base, terms, terms.amount, standing).amount


def test_a_quantity_is_worth_what_the_price_asks_for_it():
    price = Graduated((Tier(D(5), D(2)), Tier(None, D(1))))
    assert Commitment(quantity=D(8)).worth(price) == 13
    assert Commitment(amount=D(8)).worth(price) == 8


@pytest.mark.parametrize(
    ("fields", "field", "code"),
    [
        ({}, "commitment", "INVALID_COMMITMENT"),
        ({"amount": D(1), "quantity": D(1)}, "commitment", "INVALID_COMMITMENT"),
        ({"amount": D(-1)}, "amount", "INVALID_AMOUNT"),
        ({"quantity": D("NaN")}, "quantity", "INVALID_QUANTITY"),
        ({"amount": D(1), "overage_factor": D("0.99")}, "overageFactor", "INVALID_OVERAGE_FACTOR"),
    ],
)
def test_a_commitment_that_cannot_be_kept_is_refused(fields, field, code):
    with pytest.raises(Invalid) as refused:
        Commitment(**fields)
    assert (refused.value.field, refused.value.code) == (field, code)
