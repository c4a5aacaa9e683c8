"""Invoices explained as a whole: whatever is in force, the stored trees lead to every amount."""

import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.catalog.coupon import Coupon, CouponDuration, CouponKind, CouponLevel, CouponStatus, Limits
from app.catalog.tax_rate import TaxRate, TaxRateKind, TaxRateStatus
from app.invoicing import explaining, explanation, manual
from app.invoicing.amounts import Balance
from app.invoicing.drafts import Drafted
from app.invoicing.explanation import Unexplained
from app.invoicing.reckoning import InForce, reckon_all
from app.invoicing.terms.attachment import CouponAttachment
from app.invoicing.terms.balances import Payer
from app.invoicing.terms.taxation import (
    TaxAssociation,
    TaxAssociationStatus,
    TaxExemption,
    TaxTreatment,
)
from app.tenants.settings import AmountSettings

AT = datetime(2025, 1, 1, tzinfo=UTC)
CUSTOMER = "cus_1"
TIMES = {"starts_at": AT, "ends_at": None, "created_at": AT, "updated_at": AT}

cents = st.integers(0, 100_000).map(lambda units: Decimal(units).scaleb(-2))
percents = st.integers(1, 100_000).map(lambda units: Decimal(units).scaleb(-3))
written = st.builds(
    manual.ManualLine,
    description=st.just("Work"),
    unit_amount=st.integers(0, 100_000).map(lambda units: Decimal(units).scaleb(-3)),
    quantity=st.integers(1, 9_999).map(lambda units: Decimal(units).scaleb(-2)),
)


@st.composite
def coupons(draw, place):
    percent = draw(st.none() | percents)
    coupon = Coupon(
        id=f"cpn_{place}", name="Off", code=f"off{place}",
        kind=CouponKind.FIXED if percent is None else CouponKind.PERCENTAGE,
        percent_off=percent, amount_off=draw(cents) if percent is None else None,
        currency="USD", duration=CouponDuration.FOREVER, periods=None,
        level=draw(st.sampled_from(CouponLevel)), limits=Limits(), redeem_from=None,
        redeem_until=None, max_redemptions=None, redemptions=1, metadata={},
        status=CouponStatus.ACTIVE, created_at=AT, updated_at=AT, archived_at=None,
    )  # fmt: skip
    return CouponAttachment(f"cpa_{place}", coupon.id, CUSTOMER, None, None, **TIMES), coupon


def tax(place, priority, *, inclusive, compound, percent=None, amount=None):
    rate = TaxRate(
        id=f"txr_{place}", name="VAT", code=f"vat{place}",
        kind=TaxRateKind.FIXED if percent is None else TaxRateKind.PERCENTAGE,
        percent=percent, amount=amount, currency="USD", inclusive=inclusive, compound=compound,
        description=None, metadata={}, status=TaxRateStatus.ACTIVE, created_at=AT, updated_at=AT,
        archived_at=None,
    )  # fmt: skip
    association = TaxAssociation(
        id=f"txa_{place}", tax_rate_id=rate.id, customer_id=CUSTOMER, subscription_id=None,
        invoice_id=None, priority=priority, auto_apply=True, archived_at=None,
        status=TaxAssociationStatus.ACTIVE, **TIMES,
    )  # fmt: skip
    return association, rate


@st.composite
def taxes(draw, place):
    percent = draw(st.none() | percents)
    return tax(
        place, draw(st.integers(0, 2)), percent=percent,
        amount=draw(cents) if percent is None else None,
        inclusive=draw(st.booleans()), compound=draw(st.booleans()),
    )  # fmt: skip


@st.composite
def exemptions(draw):
    kinds = st.sampled_from([TaxTreatment.EXEMPT, TaxTreatment.REVERSE_CHARGE])
    rates = draw(st.lists(st.sampled_from(["txr_0", "txr_1"]), max_size=1, unique=True))
    return TaxExemption(
        id="txe_1", customer_id=CUSTOMER, kind=draw(kinds), tax_rate_ids=tuple(rates),
        reason="School", certificate=None, legend=None, archived_at=None,
        status=TaxAssociationStatus.ACTIVE, **TIMES,
    )  # fmt: skip


def some(part, most):
    return st.integers(0, most).flatmap(lambda count: st.tuples(*map(part, range(count))))


def held(prefix):
    kinds = st.none() | st.just(frozenset({"manual"})) | st.just(frozenset({"usage"}))
    one = st.builds(Balance, id=st.just(prefix), amount=st.decimals(0, 500, places=4), kinds=kinds)
    return st.lists(one, max_size=2).map(lambda found: {Payer(CUSTOMER, "USD"): found})


anything = st.builds(
    InForce,
    settings=st.builds(
        AmountSettings,
        coupon_order=st.sampled_from(["line_first", "percentage_first", "fixed_first"]),
        discount_spread=st.sampled_from(["minor_unit", "exact"]),
        prepaid_order=st.sampled_from(["before_tax", "after_tax"]),
        tax_rounding=st.sampled_from(["per_rate", "per_invoice"]),
    ),
    coupons=some(coupons, 3),
    taxes=some(taxes, 3),
    exemptions=st.lists(exemptions(), max_size=1),
    prepaid=held("wal_1"),
    credits=held("crn_1"),
)


def drafted(*lines):
    command = manual.CreateInvoice(customer_id=CUSTOMER, lines=lines)
    invoice = manual.blank(command, currency="USD", timezone="UTC", at=AT)
    return Drafted(
        invoice,
        tuple(
            manual.written(line, invoice, position=position, field="lines")
            for position, line in enumerate(lines, 1)
        ),
    )


def worked_out(tree):
    """What a tree comes to after it was stored and read: without the database."""
    return explanation.evaluate(json.loads(json.dumps(explanation.to_json(tree))))


@given(st.lists(written, max_size=5), anything)
def test_the_trees_of_an_invoice_evaluate_to_its_amounts(lines, in_force):
    (made,) = reckon_all([drafted(*lines)], in_force)
    invoice, totals = made.invoice, made.invoice.totals
    whole = explaining.of_invoice(invoice, made.lines)
    assert worked_out(whole) == totals.amount_due
    total, credited = whole.parts
    assert worked_out(credited) == totals.credited
    assert [worked_out(part) for part in total.parts] == [
        totals.subtotal,
        totals.discount,
        totals.prepaid,
        totals.tax - totals.tax_included,
        totals.tax_included,
    ]
    for line in made.lines:
        own = explaining.of_line(line)
        assert worked_out(own) == line.total
        if line.shares is not None:
            amount, *parts = map(worked_out, own.parts)
            assert (amount, parts) == (
                line.amount, [line.discount, line.prepaid, line.tax - line.tax_included],
            )  # fmt: skip


def test_a_tax_that_its_line_has_no_room_for_is_explained():
    fixed = tax(0, 0, amount=Decimal(10), inclusive=True, compound=False)
    percent = tax(1, 1, percent=Decimal(20), inclusive=True, compound=True)
    (made,) = reckon_all(
        [drafted(manual.ManualLine(description="Work", unit_amount=Decimal(10)))],
        InForce(AmountSettings(), taxes=(fixed, percent)),
    )
    assert made.invoice.totals.tax_included == 10
    whole = explaining.of_invoice(made.invoice, made.lines)
    assert worked_out(whole) == 10
    included = whole.parts[0].parts[-1]
    assert [(part.parts[0].rule, part.result) for part in included.parts] == [
        ("tax_fixed", "10"),
        ("tax_room", "0"),
    ]


def test_a_tree_that_was_changed_is_no_explanation():
    (made,) = reckon_all(
        [drafted(manual.ManualLine(description="Work", unit_amount=Decimal(10)))],
        InForce(AmountSettings()),
    )
    tree = explanation.to_json(explaining.of_invoice(made.invoice, made.lines))
    tree["result"] = "11"
    with pytest.raises(Unexplained):
        explanation.evaluate(tree)


def test_an_invoice_of_nothing_is_explained_too():
    assert worked_out(explaining.of_invoice(drafted().invoice, ())) == 0
