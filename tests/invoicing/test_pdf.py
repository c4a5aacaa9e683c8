"""The printed invoice: what stands on it, on how many pages, and that it repeats to the byte."""

import io
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from pypdf import PdfReader

from app.catalog.price import ChargeKind, InvoiceTiming
from app.catalog.prices import Figures, Flat, Graduated, Package, PerUnit, Tier
from app.invoicing.bills import Moment, draft, due
from app.invoicing.invoice import InvoiceStatus, Party
from app.invoicing.pdf import document, render
from app.invoicing.pdf.document import money, number, unit_money
from app.invoicing.rating import Counted
from app.kernel.currencies import MINOR_UNITS
from app.kernel.quantity import round_half_away
from tests.invoicing.make import FEB, billable, price

SELLER = Party(
    "Skyport Services, Inc.", ("1 Airport Boulevard", "Newark, NJ 07114"), "b@sky.example"
)
BUYER = Party("Zażółć & Sons #1 *bold* $x$ <b>", ("Straße 5", "Україна"), "ap@zs.example", "UA")
TIERS = (
    Tier(Decimal(1000), Decimal("1.25")),
    Tier(Decimal(4000), Decimal(1)),
    Tier(None, Decimal("0.75"), Decimal(100)),
)


def sold(currency="USD"):
    return (
        price(
            Flat(Decimal(1500)), charge=ChargeKind.FIXED, timing=InvoiceTiming.ADVANCE,
            name="Platform fee", currency=currency,
        ),
        price(Graduated(TIERS), group_by=("origin",), name="Departures", currency=currency),
        price(PerUnit(Decimal("0.00045")), name="Miles flown", currency=currency),
        price(Package(Decimal(25), Decimal(10)), name="Distinct aircraft", currency=currency),
    )  # fmt: skip


def issued(prices, counts, currency="USD"):
    """The January invoice, issued on 1 February."""
    start = datetime(2025, 1, 1, 5, tzinfo=UTC)
    subject = billable(
        *prices, currency=currency, timezone="America/New_York", alignment="calendar",
        starts_at=start, anchor=start, billed_until=start,
    )  # fmt: skip
    (bill,) = due(subject, datetime(2025, 2, 2, tzinfo=UTC), limit=9)
    usage = [entry.identity for entry in bill.usage]
    made = draft(bill, dict(zip(usage, counts, strict=True)), Moment(FEB, FEB))
    invoice = replace(
        made.invoice,
        status=InvoiceStatus.FINALIZED,
        number="INV-202502-00007",
        issued_at=FEB + timedelta(hours=12),
        finalized_at=FEB + timedelta(hours=12),
        due_at=FEB + timedelta(days=30, hours=12),
        seller=SELLER,
        bill_to=BUYER,
    )
    return invoice, made.lines


def flights(origins=("EWR", "JFK", "LGA")):
    departures = [Figures(Decimal(4893 + 7 * n), 4893, (name,)) for n, name in enumerate(origins)]
    return [
        Counted(departures),
        Counted([Figures(Decimal("4123456.5"))]),
        Counted([Figures(Decimal(387))]),
    ]


async def printed(invoice, lines):
    return await render(document(invoice, lines, seller=SELLER, bill_to=BUYER))


def text_of(body):
    return "\n".join(page.extract_text() for page in PdfReader(io.BytesIO(body)).pages)


async def test_the_page_says_what_the_invoice_does():
    invoice, lines = issued(sold(), flights())
    text = text_of(await printed(invoice, lines))
    for part in (
        "Skyport Services, Inc.", "1 Airport Boulevard", "INV-202502-00007",
        "1 February 2025", "3 March 2025", "1 – 31 January 2025", "1 – 28 February 2025",
        "Zażółć & Sons #1 *bold* $x$ <b>", "Straße 5", "Україна", "Customer UA",
        "Platform fee", "$1,500.00", "Departures", "origin EWR", "4,893", "$5,019.75",
        "up to 1,000", "above 1,000, up to 4,000", "above 4,000 (with $100.00 flat)",
        "4,123,456.5", "$0.00045", "$1,855.56", "$25.00 per 10", "$975.00",
        "Amount due", money(invoice.totals.total, "USD"), "Page 1 of 1",
        "Days are those of America/New_York.",
    ):  # fmt: skip
        assert part in text, part
    assert "Draft" not in text


async def test_the_same_invoice_gives_the_same_bytes():
    invoice, lines = issued(sold(), flights())
    first, second = await printed(invoice, lines), await printed(invoice, lines)
    assert first == second
    other = await printed(replace(invoice, number="INV-202502-00008"), lines)
    assert other != first


@pytest.mark.parametrize(
    ("status", "stamp"), [(InvoiceStatus.DRAFT, "DRAFT"), (InvoiceStatus.VOID, "VOID")]
)
async def test_what_is_not_in_force_is_stamped(status, stamp):
    invoice, lines = issued(sold(), flights())
    changed = replace(invoice, status=status, voided_at=FEB, void_reason="billed twice")
    text = text_of(await printed(changed, lines))
    assert stamp in text
    assert "Voided on 31 January 2025: billed twice" in text


async def test_two_hundred_lines_paginate_under_a_repeated_head():
    invoice, lines = issued(sold(), flights([f"A{n:03d}" for n in range(200)]))
    body = await printed(invoice, lines)
    pages = [page.extract_text() for page in PdfReader(io.BytesIO(body)).pages]
    assert len(pages) > 5
    for n, page in enumerate(pages, start=1):
        assert f"Page {n} of {len(pages)}" in page
        if "Departures" in page:
            assert "DESCRIPTION" in page
            assert "UNIT PRICE" in page
            # A line and its tiers stay together.
            assert page.count("Departures") == page.count("above 4,000 (with")
    assert sum(page.count("origin A") for page in pages) == 200
    assert "Amount due" in pages[-1]


async def test_an_invoice_without_lines_says_so():
    invoice, _ = issued(sold(), flights())
    assert "Nothing was used" in text_of(await printed(invoice, []))


async def test_a_part_of_a_period_is_named_with_its_share():
    fee = sold()[0]
    mid = datetime(2025, 1, 15, 17, tzinfo=UTC)
    subject = billable(
        fee, starts_at=mid, anchor=mid, timezone="America/New_York", alignment="calendar"
    )
    (bill,) = due(subject, mid, limit=9)
    made = draft(bill, {}, Moment(mid, mid))
    text = text_of(await printed(made.invoice, made.lines))
    assert "15 – 31 January 2025 · 53.23 % of a full period" in text


@pytest.mark.parametrize(("currency", "digits"), sorted(MINOR_UNITS.items()))
def test_money_is_printed_with_all_decimals_of_its_minor_unit(currency, digits):
    amount = round_half_away(Decimal("1234.5678"), digits)
    shown = money(amount, currency)
    assert shown.replace(",", "").endswith(str(amount))
    assert money(-amount, currency).startswith("-")


def test_long_numbers_are_printed_to_the_last_digit():
    assert money(Decimal("9" * 26 + ".99"), "USD") == "$" + "99" + ",999" * 8 + ".99"
    assert unit_money(Decimal("0.000000000000000001"), "USD") == "$0.000000000000000001"
    assert number(Decimal("1E+3")) == "1,000"
    assert number(Decimal("0E-18")) == "0"
