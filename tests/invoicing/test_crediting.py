"""What is given back of a line, as laws: in proportion, never more than it was, all at last."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.catalog.prices import PerUnit, to_json
from app.invoicing.credit_note import NO_AMOUNTS, Part
from app.invoicing.crediting import given_back, share
from app.invoicing.errors import BeyondLine, NothingToCredit
from app.invoicing.invoice import InvoiceLine, LineKind
from app.kernel.copies import replace
from app.kernel.errors import Invalid, NotFound
from tests.invoicing.make import JANUARY


def line(cents, discount=0, tax=0, included=0, *, prepaid=0, currency="USD", id_="invl_1"):
    def money(value):
        return Decimal(value).scaleb(-2)

    return InvoiceLine(
        id=id_, invoice_id="inv_1", position=1, kind=LineKind.FIXED,
        subscription_line_item_id=None, price_id=None, meter_id=None, description="Fee", group={},
        quantity=Decimal(1), amount=money(cents), currency=currency, service=JANUARY,
        price={"model": to_json(PerUnit(money(cents)))}, explanation={},
        discount=money(discount), prepaid=money(prepaid), tax=money(tax),
        tax_included=money(included),
    )  # fmt: skip


@st.composite
def lines(draw):
    cents = draw(st.integers(1, 5000))
    discount = draw(st.integers(0, cents))
    tax = draw(st.integers(0, cents))
    return line(cents, discount, tax, draw(st.integers(0, min(tax, cents - discount))))


@given(lines(), st.lists(st.integers(1, 1500), max_size=8))
def test_notes_come_to_the_line_and_the_last_one_takes_what_rounding_left(billed, cents):
    given_, left = NO_AMOUNTS, billed.amount
    for each in cents:
        amount = min(Decimal(each).scaleb(-2), left)
        if not amount:
            break
        part = share(billed, amount, given_)
        given_, left = given_.plus(part), left - amount
        assert part.total >= 0
        assert min(part.discount, part.tax, part.tax_included) >= 0
        # What was given back so far is in proportion, to the minor unit.
        exact = billed.total * given_.amount / billed.amount
        assert abs(given_.total - exact) <= Decimal("0.005") + Decimal("0.02")
    if left:
        given_ = given_.plus(share(billed, left, given_))
    assert given_.amount == billed.amount
    assert given_.total == billed.total
    assert given_.tax == billed.tax


@given(lines(), st.lists(st.tuples(st.integers(1, 1500), st.booleans()), max_size=12))
def test_whatever_is_credited_and_taken_back_no_more_is_given_than_was_billed(billed, steps):
    notes = []
    for cents, takes_back in steps:
        if takes_back and notes:
            notes.pop(cents % len(notes))
            continue
        before = NO_AMOUNTS
        for note in notes:
            before = before.plus(note)
        amount = min(Decimal(cents).scaleb(-2), billed.amount - before.amount)
        if amount:
            notes.append(share(billed, amount, before))
        total = sum((note.total for note in notes), Decimal(0))
        assert 0 <= total <= billed.total
        assert sum((note.amount for note in notes), Decimal(0)) <= billed.amount
        assert all(note.total >= 0 and note.discount >= 0 for note in notes)


def test_a_note_of_many_lines_is_in_proportion_too():
    """300 lines of 1.00 at 19 %, each half credited: 28.50 of tax, not 300 times 0.10."""
    many = [line(100, tax=19, id_=f"invl_{n}") for n in range(300)]
    parts = [Part(each.id, Decimal("0.5")) for each in many]
    first = [amounts for _, amounts in given_back(many, parts, {})]
    assert sum(each.tax for each in first) == Decimal("28.5")
    assert all(each.discount == 0 for each in first)
    earlier = {each.id: amounts for each, amounts in zip(many, first, strict=True)}
    rest = [amounts for _, amounts in given_back(many, (), earlier)]
    assert sum(each.tax for each in [*first, *rest]) == 57


@given(st.lists(lines(), min_size=1, max_size=30), st.data())
def test_a_note_is_in_proportion_and_the_rest_comes_to_the_lines(billed, data):
    billed = [replace(each, id=f"invl_{n}") for n, each in enumerate(billed)]
    parts = [
        Part(each.id, Decimal(data.draw(st.integers(1, int(each.amount * 100)))).scaleb(-2))
        for each in billed
    ]
    first = given_back(billed, parts, {})
    exact = sum(
        Fraction(each.tax) * Fraction(part.amount) / Fraction(each.amount)
        for each, part in zip(billed, parts, strict=True)
    )
    assert abs(Fraction(sum(amounts.tax for _, amounts in first)) - exact) <= Fraction(1, 200)
    assert all(amounts.total >= 0 and amounts.discount >= 0 for _, amounts in first)
    earlier = {each.id: amounts for each, amounts in first}
    if any(each.amount > earlier[each.id].amount for each in billed):
        for each, amounts in given_back(billed, (), earlier):
            earlier[each.id] = earlier[each.id].plus(amounts)
    for each in billed:
        assert (earlier[each.id].total, earlier[each.id].tax) == (each.total, each.tax)


def test_thirds_add_up():
    billed = line(100, discount=10, tax=19)
    first = share(billed, Decimal("0.33"), NO_AMOUNTS)
    assert (first.discount, first.tax, first.total) == (
        Decimal("0.03"), Decimal("0.06"), Decimal("0.36"),
    )  # fmt: skip
    second = share(billed, Decimal("0.33"), first)
    third = share(billed, Decimal("0.34"), first.plus(second))
    assert first.total + second.total + third.total == Decimal("1.09")


def test_what_prepaid_credits_paid_is_given_back_like_what_was_paid():
    assert share(line(1000, prepaid=1000), Decimal(5), NO_AMOUNTS).total == Decimal(5)


def test_without_parts_the_rest_of_every_line_is_given_back():
    first, second = line(1000), line(500, id_="invl_2")
    below = replace(line(300, id_="invl_3"), amount=Decimal(-3))
    earlier = {"invl_1": share(first, Decimal(4), NO_AMOUNTS)}
    found = given_back([first, second, below], (), earlier)
    assert [(each.id, amounts.amount) for each, amounts in found] == [
        ("invl_1", Decimal(6)), ("invl_2", Decimal(5)),
    ]  # fmt: skip
    spent = {"invl_1": share(first, Decimal(10), NO_AMOUNTS)}
    with pytest.raises(NothingToCredit):
        given_back([first], (), spent)


@pytest.mark.parametrize(
    ("parts", "error", "code", "field"),
    [
        ([Part("invl_1", Decimal("10.01"))], BeyondLine, "BEYOND_LINE", "lines[0].amount"),
        ([Part("invl_1", Decimal(0))], Invalid, "NOT_POSITIVE", "lines[0].amount"),
        ([Part("invl_1", Decimal(-1))], Invalid, "NOT_POSITIVE", "lines[0].amount"),
        ([Part("invl_1", Decimal("0.001"))], Invalid, "TOO_MANY_DECIMALS", "lines[0].amount"),
        ([Part("invl_1"), Part("invl_1")], Invalid, "LINE_TWICE", "lines[1].lineId"),
        ([Part("invl_9")], NotFound, "NOT_FOUND", "lines[0].lineId"),
        ([Part("invl_2")], BeyondLine, "BEYOND_LINE", "lines[0].amount"),
    ],
)
def test_what_cannot_be_given_back_is_named(parts, error, code, field):
    below = replace(line(300, id_="invl_2"), amount=Decimal(-3))
    with pytest.raises(error) as refused:
        given_back([line(1000), below], parts, {})
    assert (refused.value.code, refused.value.field) == (code, field)
