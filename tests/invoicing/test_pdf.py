"""The printed invoice: what stands on it, on how many pages, and that it repeats to the byte."""

import io
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from pypdf import PdfReader

from app.catalog.price import ChargeKind, InvoiceTiming
from app.catalog.prices import Figures, Flat, Graduated, Package, PerUnit, Tier
from app.invoicing.bills import due
from app.invoicing.drafts import Moment, draft
from app.invoicing.invoice import InvoiceStatus, Party, Presentation, Totals
from app.invoicing.pdf import Printing, Taken, document, render
from app.invoicing.pdf.formats import Formats
from app.invoicing.rating import Counted
from app.kernel.copies import replace
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


async def printed(invoice, lines, *, seller=SELLER, bill_to=BUYER, **look):
    printing = Printing(seller, bill_to, Presentation(**look))
    return await render(document(invoice, lines, printing))


def pages_of(body):
    return [page.extract_text() for page in PdfReader(io.BytesIO(body)).pages]


def words_of(body):
    """The text, however it is broken into lines and whatever the blanks."""
    return " ".join(text_of(body).split())


US = Formats("en-US", ZoneInfo("UTC"))


def text_of(body):
    return "\n".join(page.extract_text() for page in PdfReader(io.BytesIO(body)).pages)


async def test_the_page_says_what_the_invoice_does():
    invoice, lines = issued(sold(), flights())
    text = text_of(await printed(invoice, lines))
    for part in (
        "Skyport Services, Inc.", "1 Airport Boulevard", "INV-202502-00007",
        "February 1, 2025", "March 3, 2025", "January 1, 2025 – January 31, 2025",
        "February 1, 2025 – February 28, 2025",
        "Zażółć & Sons #1 *bold* $x$ <b>", "Straße 5", "Україна", "Customer UA",
        "Platform fee", "$1,500.00", "Departures", "origin EWR", "4,893", "$5,019.75",
        "up to 1,000", "above 1,000, up to 4,000", "above 4,000 (with $100.00 flat)",
        "4,123,456.5", "$0.00045", "$1,855.56", "$25.00 per 10", "$975.00",
        "Amount due", US.money(invoice.totals.total, "USD"), "Page 1 of 1",
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
    assert "Voided on January 31, 2025: billed twice" in text


async def test_two_hundred_lines_paginate_under_a_repeated_head():
    invoice, lines = issued(sold(), flights([f"A{n:03d}" for n in range(200)]))
    body = await printed(invoice, lines)
    pages = pages_of(body)
    assert len(pages) > 5
    for n, page in enumerate(pages, start=1):
        assert f"Page {n} of {len(pages)}" in page
        if "Departures" in page:
            assert "DESCRIPTION" in page
            assert "UNIT PRICE" in page
            # Lines that go on from the page before stand under their heading again.
            assert page.index("Usage") < page.index("Departures")
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
    text = words_of(await printed(made.invoice, made.lines))
    assert "January 15, 2025 – January 31, 2025 · 53.23 % of a full period" in text


async def test_a_detailed_invoice_says_what_was_counted_and_carries_subtotals_forward():
    invoice, lines = issued(sold(), flights([f"A{n:03d}" for n in range(400)]))
    pages = pages_of(await printed(invoice, lines, layout="detailed"))
    assert "Carried forward" not in pages[0]
    assert "counted from 4,893 events" in pages[0]
    down_to, printed_so_far = Decimal(0), 0
    for page, following in pairwise(pages):
        # A page says how far the sum of the lines of the pages before it has come.
        printed_so_far += page.count("Departures") + page.count("Platform fee")
        printed_so_far += page.count("Miles flown") + page.count("Distinct aircraft")
        down_to = sum((line.amount for line in lines[:printed_so_far]), Decimal(0))
        if "DESCRIPTION" in following:
            carried = US.money(down_to, "USD")
            assert f"Carried forward {carried}" in following.replace("\n", " ")
    assert down_to <= invoice.totals.subtotal
    assert printed_so_far > 390


async def test_a_compact_invoice_has_one_row_for_each_line():
    invoice, lines = issued(sold(), flights([f"A{n:03d}" for n in range(400)]))
    compact = pages_of(await printed(invoice, lines, layout="compact"))
    standard = pages_of(await printed(invoice, lines))
    assert len(compact) * 3 < len(standard)
    text = "\n".join(compact)
    assert text.count("Departures") == 400
    assert "up to 1,000" not in text
    assert all("DESCRIPTION" in page for page in compact[:-1])


@pytest.mark.parametrize("layout", ["standard", "compact", "detailed"])
async def test_every_layout_repeats_to_the_byte(layout):
    invoice, lines = issued(sold(), flights([f"A{n:03d}" for n in range(30)]))
    first = await printed(invoice, lines, layout=layout)
    assert await printed(invoice, lines, layout=layout) == first


@pytest.mark.parametrize(
    ("locale", "currency", "parts"),
    [
        ("de-DE", "EUR", ["1.500,00 €", "1. Februar 2025", "4.123.456,5", "0,00045 €"]),
        ("el-GR", "KWD", ["1.500,000 KWD", "1 Φεβρουαρίου 2025", "19.405,555 KWD"]),
        ("uk-UA", "JPY", ["1 500 ¥", "1 лютого 2025", "19 406 ¥ JPY"]),
        ("fr-CA", "USD", ["1 500,00 $ US", "1 février 2025", "0,00045 $ US"]),
        ("en-IN", "INR", ["₹1,500.00", "₹19,405.56", "41,23,456.5"]),
    ],
)
async def test_numbers_money_and_days_are_written_as_the_locale_writes_them(
    locale, currency, parts
):
    invoice, lines = issued(sold(currency), flights(), currency)
    text = words_of(await printed(invoice, lines, locale=locale))
    for part in parts:
        assert part in text, part


async def test_words_that_no_column_holds_are_broken_and_stay_on_the_page():
    name = "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft"
    long = replace(BUYER, name=name, email=f"{'x' * 90}@example.com")
    fee = price(Flat(Decimal(5)), charge=ChargeKind.FIXED, name="y" * 200,
                timing=InvoiceTiming.ADVANCE)  # fmt: skip
    usage = price(PerUnit(Decimal("0.5")), name="Requests")
    quantity = Decimal("123456789012345678.123456789012345678")
    invoice, lines = issued([fee, usage], [Counted([Figures(quantity, 1)])])
    for layout in ("standard", "compact", "detailed"):
        body = await printed(invoice, lines, seller=long, bill_to=long, layout=layout)
        for page in PdfReader(io.BytesIO(body)).pages:
            rights = []

            def note(text, _cm, tm, _font, size, rights=rights):
                if text.strip():
                    rights.append(float(tm[4]) + len(text.strip()) * float(size) * 0.3)

            page.extract_text(visitor_text=note)
            assert max(rights) < float(page.mediabox.width)


async def test_lines_stand_under_their_headings_with_a_subtotal_each():
    invoice, lines = issued(sold(), flights())
    own = [replace(line, section="Air traffic") if line.group else line for line in lines]
    found = document(invoice, own, Printing(SELLER, BUYER, Presentation())).sections
    assert [(part.title, len(part.lines), part.subtotal) for part in found] == [
        ("Fees", 1, "$1,500.00"), ("Usage", 2, "$2,830.56"), ("Air traffic", 3, "$15,075.00"),
    ]  # fmt: skip


async def test_what_the_invoice_took_off_and_put_on_is_told_in_rows():
    invoice, lines = issued(sold(), flights())
    totals = Totals.of(
        Decimal(1000), discount=Decimal(100), prepaid=Decimal(50), tax=Decimal("171"),
        credited=Decimal(21),
    )  # fmt: skip
    printing = Printing(
        SELLER, replace(BUYER, tax_id="ATU12345678"), Presentation(payment_terms="Net 30."),
        discounts=[Taken("Spring sale", Decimal(100), Decimal(10))],
        taxes=[
            Taken("VAT", Decimal(171), Decimal(19), on=Decimal(900)),
            Taken("Levy", Decimal(0), Decimal("2.5"), on=Decimal(900), spared="exempt"),
        ],
        legends=["Reverse charge: the customer owes the tax."],
    )  # fmt: skip
    invoice = replace(invoice, totals=totals, memo="Thank you!", purchase_order="PO 7")
    text = words_of(await render(document(invoice, lines, printing)))
    for part in (
        "Discounts", "-$100.00", "Spring sale 10 %", "Prepaid credits", "-$50.00", "$171.00",
        "VAT 19 % on $900.00", "Levy 2.5 % on $900.00, exempt",
        "$1,021.00", "Credits", "-$21.00", "$1,000.00 USD", "PO 7",
        "Thank you!", "Net 30.", "Reverse charge: the customer owes the tax.",
        "Tax number ATU12345678",
    ):  # fmt: skip
        assert part in text, part


@pytest.mark.parametrize(("currency", "digits"), sorted(MINOR_UNITS.items()))
def test_money_is_printed_with_all_decimals_of_its_minor_unit(currency, digits):
    amount = round_half_away(Decimal("1234.5678"), digits)
    shown = US.money(amount, currency)
    assert shown.replace(",", "").endswith(str(amount))
    assert US.money(-amount, currency).startswith("-")
    # Where the number stands between the sign and the currency, it has the same decimals.
    german = Formats("de-DE", ZoneInfo("UTC")).money(amount, currency)
    assert german.replace(".", "").startswith(str(amount).replace(".", ","))


def test_long_numbers_are_printed_to_the_last_digit():
    assert US.money(Decimal("9" * 26 + ".99"), "USD") == "$" + "99" + ",999" * 8 + ".99"
    assert US.unit_money(Decimal("0.000000000000000001"), "USD") == "$0.000000000000000001"
    assert US.number(Decimal("1E+3")) == "1,000"
    assert US.number(Decimal("0E-18")) == "0"
