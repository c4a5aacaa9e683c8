"""Discounts, prepaid credits, taxes and legends in the files of invoices."""

import csv
import io
from decimal import Decimal

import orjson

from app.catalog.coupon import CouponDuration
from app.invoicing import actions, explanation
from app.invoicing.actions import FileKind
from app.invoicing.terms.balances import paid_from
from app.invoicing.terms.taxation import TaxTreatment
from app.kernel.scope import SYSTEM
from tests.catalog import make
from tests.invoicing.test_billing import FEB, draft_due, invoices
from tests.invoicing.test_pdf import words_of
from tests.invoicing.test_reckoning import Wallets, ask, attach, spare
from tests.invoicing.world import JAN


async def issued(world, **spared):
    """A month with 10 % off, 20 prepaid, VAT of 19 % on top, and a levy of 2.5 %."""
    scope, clock = world.scope, world.clock
    bought = await world.subscribe("acme")
    sale = {"name": "Spring sale", "duration": CouponDuration.FOREVER}
    await attach(world, await make.coupon(scope, clock, **sale), subscription_id=bought.id)
    await ask(world, await make.tax_rate(scope, clock))
    levy = await make.tax_rate(scope, clock, name="Levy", percent=Decimal("2.5"))
    await ask(world, levy)
    if spared:
        await spare(world, bought.customer_id, tax_rate_ids=(levy.id,), **spared)
    await world.use("acme", [(JAN, "120", "eu"), (JAN, "5", "us")])
    with paid_from(Wallets()):
        await draft_due(world, FEB)
        invoice = (await invoices(world))[-1]
        return await actions.finalize(scope, invoice.id, by=SYSTEM, at=FEB)


async def file_of(world, invoice, kind):
    return (await actions.download(world.scope, invoice.id, kind, world.services.storage)).body


async def test_a_printed_invoice_names_its_discounts_and_taxes_and_who_is_spared(world):
    invoice = await issued(world, kind=TaxTreatment.EXEMPT, reason="School", certificate="C-77")
    text = words_of(await file_of(world, invoice, FileKind.PDF))
    assert (invoice.totals.subtotal, invoice.totals.discount) == (Decimal("75.63"), Decimal("7.56"))
    for part in (
        "Spring sale 10 %", "-$7.56", "Prepaid credits", "-$20.00",
        "VAT 19 % on $68.07", "Levy 2.5 % on $68.07, exempt",
        "Exempt from tax: School (certificate C-77)",
    ):  # fmt: skip
        assert part in text, (part, text)


async def test_json_has_what_was_applied_with_its_shares_and_the_whole_explanation(world):
    invoice = await issued(world, kind=TaxTreatment.REVERSE_CHARGE)
    found = orjson.loads(await file_of(world, invoice, FileKind.JSON))
    (discount,), (prepaid,) = found["discounts"], found["prepaid_applications"]
    assert (discount["description"], discount["coupon"]["percent_off"]) == ("Spring sale", "10")
    assert (prepaid["balance_id"], prepaid["amount"]) == ("wal_1", "20")
    assert [(tax["description"], tax["percent"], tax["treatment"]) for tax in found["taxes"]] == [
        ("VAT", "19", "standard"), ("Levy", "2.5", "reverse_charge"),
    ]  # fmt: skip
    assert found["tax_notes"] == ["Reverse charge: the recipient accounts for the tax."]
    for each in (discount, prepaid, found["taxes"][0]):
        assert sum(map(Decimal, each["shares"].values())) == Decimal(each["amount"])
    assert explanation.evaluate(found["explanation"]) == invoice.totals.amount_due


async def test_a_spreadsheet_names_the_shares_of_each_line(world):
    invoice = await issued(world)
    body = (await file_of(world, invoice, FileKind.CSV)).decode()
    rows = list(csv.DictReader(io.StringIO(body, newline="")))
    first = rows[0]
    assert (first["discount"], first["discounts"]) == ("2", "Spring sale=2")
    assert first["taxes"] == "VAT 19 %=3.42; Levy 2.5 %=0.45"
    assert sum(Decimal(row["tax"]) for row in rows) == invoice.totals.tax
    assert {row["tax_notes"] for row in rows} == {""}
