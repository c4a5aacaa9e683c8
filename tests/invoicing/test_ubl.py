"""Electronic invoices: valid by the XSDs and rules of those who make them, and true."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from app.catalog.coupon import CouponDuration
from app.customers import actions as customers
from app.customers.customer import Address, CreateCustomer, ElectronicAddress
from app.invoicing import actions
from app.invoicing.actions import FileKind, NoteFileKind
from app.invoicing.actions.materials import gather
from app.invoicing.amounts import Totals
from app.invoicing.credit_note import CreditNoteKind, Part
from app.invoicing.errors import EInvoiceUnsupported
from app.invoicing.files.ubl import ubl_of
from app.invoicing.manual import CreateInvoice, ManualLine
from app.invoicing.terms.balances import paid_from
from app.invoicing.terms.taxation import TaxTreatment
from app.kernel.copies import replace
from app.kernel.ids import new_id
from app.kernel.quantity import fraction_rounded
from app.kernel.scope import SYSTEM
from app.tenants.actions import environments
from tests.catalog import make
from tests.invoicing.test_billing import FEB, MAR, draft_due, everything, invoices, lines
from tests.invoicing.test_credit_notes import credit
from tests.invoicing.test_reckoning import Wallets, ask, attach, spare
from tests.invoicing.ubl import complaints, values
from tests.invoicing.world import JAN, link_to

SELLER = {
    "street": "Turmstraße 1", "city": "Berlin", "postal_code": "10559", "country": "DE",
    "tax_id": "DE123456789", "registration_number": "HRB 1234", "electronic_scheme": "9930",
    "electronic_id": "DE123456789", "iban": "DE02500105170137075030",
}  # fmt: skip
VAT_OF_ACME = "FR12345678901"


@pytest.fixture
async def seller(world):
    """The world, whose seller and customer are known well enough."""
    await told(world)
    acme = await world.customer("acme")
    patch = {
        "tax_id": VAT_OF_ACME,
        "email": "bills@acme.example",
        "electronic_address": ElectronicAddress("0088", "4012345000009"),
    }
    await customers.update(world.scope, acme.id, patch, by=SYSTEM, at=JAN)
    return world


async def told(world, **facts):
    await environments.update_settings(
        world.scope, {"seller": {**SELLER, **facts}}, by=SYSTEM, at=JAN
    )


def fee(amount="100", quantity=1, **fields):
    wanted = {"description": "Fee", "unit_amount": Decimal(amount), "quantity": Decimal(quantity)}
    return ManualLine(**{**wanted, **fields})


async def written(world, *rows, at=JAN, **fields):
    acme = await world.customer("acme")
    command = CreateInvoice(**{"customer_id": acme.id, "lines": rows or (fee(),), **fields})
    return await actions.create(world.scope, command, finalized=True, by=SYSTEM, at=at)


async def ubl(world, row):
    """The document, which is valid."""
    storage, kind = world.services.storage, FileKind.UBL
    if row.id.startswith("crn_"):
        file = await actions.download_note(world.scope, row.id, NoteFileKind.UBL, storage)
    else:
        file = await actions.download(world.scope, row.id, kind, storage)
    assert (file.name, file.media_type) == (f"{row.number}.xml", "application/xml")
    assert complaints(file.body) == []
    return file.body


async def refused(world, row):
    """Why there is no document; nothing is stored, linked or changed."""
    before = await everything(world)
    with pytest.raises(EInvoiceUnsupported) as found:
        await actions.download(world.scope, row.id, FileKind.UBL, world.services.storage)
    assert found.value.code == "E_INVOICE_UNSUPPORTED"
    assert await everything(world) == before
    return found.value


def told_of(body, *names):
    """The only text of each element, by its name."""
    found = []
    for name in names:
        (value,) = values(body, f"//cbc:{name}")
        found.append(value)
    return tuple(found)


def totals(body):
    return [*values(body, "//cac:LegalMonetaryTotal/*"), *values(body, "/*/cac:TaxTotal/cbc:*")]


async def test_a_month_with_discount_prepaid_credits_and_tax_is_told_to_the_cent(seller):
    bought = await seller.subscribe("acme")
    sale = {"name": "Spring sale", "duration": CouponDuration.FOREVER}
    coupon = await make.coupon(seller.scope, seller.clock, **sale)
    await attach(seller, coupon, subscription_id=bought.id)
    await ask(seller, await make.tax_rate(seller.scope, seller.clock))
    await seller.use("acme", [(JAN, "120", "eu"), (JAN, "5", "us")])
    with paid_from(Wallets()):
        await draft_due(seller, FEB)
        draft = (await invoices(seller))[-1]
        invoice = await actions.finalize(seller.scope, draft.id, by=SYSTEM, at=FEB)
    body = await ubl(seller, invoice)
    assert body == await ubl(seller, invoice)
    assert told_of(body, "CustomizationID", "InvoiceTypeCode", "DueDate", "BuyerReference") == (
        "urn:cen.eu:en16931:2017", "380", "2025-03-03", "acme",
    )  # fmt: skip
    # 75.63 less 7.56, with 19 %, of which 20 is paid.
    assert totals(body) == ["68.07", "68.07", "81.00", "20.00", "61.00", "12.93"]
    assert values(body, "/*/cac:InvoicePeriod/*") == ["2025-01-01", "2025-02-28"]
    assert values(body, "//cac:InvoiceLine/cac:InvoicePeriod/*")[:4] == [
        "2025-02-01", "2025-02-28", "2025-01-01", "2025-01-31",
    ]  # fmt: skip
    assert values(body, "//cbc:AllowanceChargeReason") == ["Spring sale"] * 3
    assert values(body, "//cbc:InvoicedQuantity") == ["1", "125", "120", "5"]
    assert values(body, "//cac:AdditionalItemProperty/*") == ["region", "eu", "region", "us"]
    assert values(body, "//cbc:EndpointID/@schemeID") == ["9930", "0088"]
    assert values(body, "//cac:PartyTaxScheme/cbc:CompanyID") == ["DE123456789", VAT_OF_ACME]
    assert values(body, "//cac:PayeeFinancialAccount/cbc:ID") == [SELLER["iban"]]


@pytest.mark.parametrize(
    ("rate", "spared", "category", "found"),
    [
        ({}, None, ["S", "19"], ["200.00", "238.00", "38.00"]),
        ({"inclusive": True}, None, ["S", "19"], ["168.07", "200.00", "31.93"]),
        ({"percent": Decimal("7.7")}, None, ["S", "7.7"], ["200.00", "215.40", "15.40"]),
        ({"percent": Decimal(0)}, None, ["Z", "0"], ["200.00", "200.00", "0.00"]),
        (
            {"inclusive": True}, {"reason": "School"}, ["E", "0", "Exempt from tax: School"],
            ["200.00", "200.00", "0.00"],
        ),
        (
            {"amount": Decimal(5), "currency": "USD"}, {"reason": "School"},
            ["E", "0", "Exempt from tax: School"], ["200.00", "200.00", "0.00"],
        ),
        (
            {}, {"kind": TaxTreatment.REVERSE_CHARGE, "legend": "Autoliquidation"},
            ["AE", "0", "VATEX-EU-AE", "Autoliquidation"], ["200.00", "200.00", "0.00"],
        ),
        (None, None, ["O", "VATEX-EU-O", "Not subject to VAT"], ["200.00", "200.00", "0.00"]),
    ],
)  # fmt: skip
async def test_each_kind_of_tax_has_its_category(seller, rate, spared, category, found):
    acme = await seller.customer("acme")
    if rate is not None:
        await ask(seller, await make.tax_rate(seller.scope, seller.clock, **rate))
    if spared is not None:
        await spare(seller, acme.id, **spared)
    invoice = await written(seller, fee(quantity=2))
    body = await ubl(seller, invoice)
    assert values(body, "//cac:TaxSubtotal/cac:TaxCategory/cbc:*") == category
    net, gross, tax = found
    assert totals(body) == [net, net, gross, gross, tax]
    vat = values(body, "//cac:PartyTaxScheme/cbc:CompanyID")
    assert vat == ([] if category[0] == "O" else ["DE123456789", VAT_OF_ACME])


async def test_a_discount_on_what_holds_its_tax_is_told_without_tax(seller):
    acme = await seller.customer("acme")
    quarter = await make.coupon(seller.scope, seller.clock, name="A & <B>", percent_off=Decimal(25))
    await attach(seller, quarter, customer_id=acme.id)
    rate = {"inclusive": True, "percent": Decimal(25)}
    await ask(seller, await make.tax_rate(seller.scope, seller.clock, **rate))
    body = await ubl(seller, await written(seller, fee(quantity=4)))
    # 400 with a quarter off is 300, of which 60 is tax: 320 less 80, without it.
    assert told_of(body, "PriceAmount", "BaseQuantity", "AllowanceChargeReason") == (
        "320.00", "4", "A & <B>",
    )  # fmt: skip
    assert values(body, "//cac:InvoiceLine/cac:AllowanceCharge/cbc:Amount") == ["80.00"]
    assert totals(body) == ["240.00", "240.00", "300.00", "300.00", "60.00"]


async def turned(world, invoice, *positions):
    """The document of an invoice, where lines give back what they ask for."""
    (found,) = await gather(world.scope, [invoice], world.services.storage)
    rows = [
        replace(row, amount=-row.amount, tax=-row.tax, tax_included=-row.tax_included)
        if row.position in positions
        else row
        for row in found.lines
    ]
    sums = {
        name: sum((getattr(row, name) for row in rows), Decimal(0))
        for name in ("tax", "tax_included")
    }
    due = Totals.of(sum((row.amount for row in rows), Decimal(0)), **sums)
    return ubl_of(replace(invoice, totals=due), rows, found.printing, applied=found.applied)


@pytest.mark.parametrize("inclusive", [False, True])
async def test_what_gives_back_is_a_quantity_below_zero_at_a_price_that_is_not(seller, inclusive):
    rate = {"inclusive": inclusive, "percent": Decimal(25)}
    await ask(seller, await make.tax_rate(seller.scope, seller.clock, **rate))
    invoice = await written(seller, fee("50", quantity="2.5"), fee("10", quantity=3))
    body = await turned(seller, invoice, 2)
    assert complaints(body) == []
    assert values(body, "//cbc:InvoicedQuantity") == ["2.5", "-3"]
    assert values(body, "//cbc:BaseQuantity") == ["2.5", "3"]
    net = ["100.00", "-24.00"] if inclusive else ["125.00", "-30.00"]
    assert values(body, "//cac:InvoiceLine/cbc:LineExtensionAmount") == net
    assert values(body, "//cbc:PriceAmount") == [each.lstrip("-") for each in net]
    with pytest.raises(EInvoiceUnsupported) as found:
        await turned(seller, invoice, 1)
    assert found.value.field == "total"


async def test_what_costs_nothing_is_a_line_and_a_memo_and_an_order_are_told(seller):
    await ask(seller, await make.tax_rate(seller.scope, seller.clock))
    rows = (fee(quantity="2.5"), fee("0", quantity=7))
    body = await ubl(seller, await written(seller, *rows, memo="Thanks", purchase_order="PO-7"))
    assert values(body, "//cbc:InvoicedQuantity") == ["2.5", "7"]
    assert values(body, "//cbc:PriceAmount") == ["250.00", "0.00"]
    assert values(body, "//cac:OrderReference/cbc:ID") == ["PO-7"]
    assert values(body, "/*/cbc:Note") == ["Thanks"]


async def test_hundreds_of_lines_and_odd_names_are_told_whole(seller):
    await ask(seller, await make.tax_rate(seller.scope, seller.clock, percent=Decimal("19.25")))
    rows = [fee(f"0.{n % 97:02}", description=f"№ {n} <&> \ufffe 😀 \u0085x") for n in range(400)]
    invoice = await written(seller, *rows)
    body = await ubl(seller, invoice)
    names = values(body, "//cac:Item/cbc:Name")
    assert (len(names), names[7]) == (400, "№ 7 <&>  😀 \u0085x")
    assert totals(body)[2] == f"{invoice.totals.total:.2f}"


async def test_yen_have_no_decimals(seller):
    await ask(seller, await make.tax_rate(seller.scope, seller.clock))
    body = await ubl(seller, await written(seller, fee("333"), currency="JPY"))
    assert totals(body) == ["333", "333", "396", "396", "63"]


@pytest.mark.parametrize(
    ("kind", "terms"),
    [
        (CreditNoteKind.CREDIT, "It pays for invoices after invoice INV-202501-00001."),
        (
            CreditNoteKind.ADJUSTMENT,
            "It comes off what remains to be paid of invoice INV-202501-00001.",
        ),
    ],
)
async def test_a_credit_note_names_its_invoice_and_pays_for_the_next(seller, kind, terms):
    acme = await seller.customer("acme")
    await attach(seller, await make.coupon(seller.scope, seller.clock), customer_id=acme.id)
    await ask(seller, await make.tax_rate(seller.scope, seller.clock, inclusive=True))
    invoice = await written(seller, fee(quantity=3), fee("50", description="Setup"))
    first, _ = await lines(seller, invoice)
    note = await credit(seller, invoice, Part(first.id, Decimal("59.50")), kind=kind, memo="Sorry")
    body = await ubl(seller, note)
    assert told_of(body, "CreditNoteTypeCode", "CreditedQuantity") == ("381", "1")
    assert values(body, "//cac:BillingReference//cbc:*") == [invoice.number, "2025-01-01"]
    assert values(body, "//cac:PaymentTerms/cbc:Note") == [terms]
    # 59.50 with a tenth off is 53.55, of which 8.55 is tax.
    assert totals(body) == ["45.00", "45.00", "53.55", "53.55", "8.55"]
    assert values(body, "//cbc:AllowanceChargeReason") == ["Welcome"]
    following = await written(seller, fee(), at=FEB)
    body = await ubl(seller, following)
    paid = values(body, "//cbc:PrepaidAmount")
    assert paid == (["53.55"] if kind is CreditNoteKind.CREDIT else [])
    assert values(body, "//cbc:PayableAmount") == [f"{following.totals.amount_due:.2f}"]


async def test_a_note_of_many_parts_of_lines_gives_back_the_tax_of_its_rate(seller):
    await ask(seller, await make.tax_rate(seller.scope, seller.clock))
    invoice = await written(seller, *[fee("1")] * 300)
    parts = [Part(line.id, Decimal("0.50")) for line in await lines(seller, invoice)]
    # 300 × 0.095, of which no line can have its own.
    assert totals(await ubl(seller, await credit(seller, invoice, *parts))) == [
        "150.00", "150.00", "178.50", "178.50", "28.50",
    ]  # fmt: skip
    rest = await credit(seller, invoice, *parts[:150])
    assert totals(await ubl(seller, rest))[0] == "75.00"


async def test_a_tax_that_is_a_unit_off_its_rate_is_refused(seller):
    await ask(seller, await make.tax_rate(seller.scope, seller.clock))
    invoice = await written(seller, fee())
    (found,) = await gather(seller.scope, [invoice], seller.services.storage)
    for off, passes in (("0.99", True), ("1", False)):
        tax = Decimal(19) + Decimal(off)
        rows = [replace(row, tax=tax) for row in found.lines]
        other = replace(invoice, totals=Totals.of(Decimal(100), tax=tax))
        if passes:
            assert complaints(ubl_of(other, rows, found.printing, applied=found.applied)) == []
            continue
        with pytest.raises(EInvoiceUnsupported, match=r"20 on 100 does not pass for 19 %"):
            ubl_of(other, rows, found.printing, applied=found.applied)


async def test_an_address_by_e_mail_and_a_number_that_is_no_vat_number_are_told(seller):
    await told(seller, electronic_scheme="", electronic_id="")
    acme = await seller.customer("acme")
    patch = {"tax_id": "12-3456789", "electronic_address": None}
    await customers.update(seller.scope, acme.id, patch, by=SYSTEM, at=JAN)
    await ask(seller, await make.tax_rate(seller.scope, seller.clock))
    body = await ubl(seller, await written(seller))
    assert values(body, "//cbc:EndpointID/@schemeID") == ["EM"]
    assert values(body, "//cac:PartyIdentification/cbc:ID") == ["12-3456789"]
    await told(seller, tax_id="27/123/45678")
    body = await ubl(seller, await written(seller))
    assert values(body, "//cac:PartyTaxScheme/*/cbc:ID") == ["TAX"]


@pytest.mark.parametrize(
    ("facts", "taxed", "field"),
    [
        ({"country": ""}, True, "seller.country"),
        ({"country": "UK"}, True, "seller.country"),
        ({"tax_id": ""}, True, "seller.tax_id"),
        ({"registration_number": ""}, False, "seller.registration_number"),
        ({"tax_id": "27/123/45678", "registration_number": ""}, True,
         "seller.registration_number"),
        ({"electronic_scheme": "1234"}, True, "seller.electronic_scheme"),
    ],
)  # fmt: skip
async def test_a_seller_whose_facts_are_missing_is_told_which(seller, facts, taxed, field):
    await told(seller, **facts)
    if taxed:
        await ask(seller, await make.tax_rate(seller.scope, seller.clock))
    why = await refused(seller, await written(seller))
    assert why.field == field
    assert "in the settings (seller), then void and reissue" in str(why)


async def test_a_buyer_needs_a_country_and_for_reverse_charge_a_vat_number(seller):
    unknown = CreateCustomer(external_id="nobody", name="Nobody", currency="USD")
    unknown = await customers.create(seller.scope, unknown, by=SYSTEM, at=JAN)
    why = await refused(seller, await written(seller, customer_id=unknown.id))
    assert why.field == "bill_to.country"
    acme = await seller.customer("acme")
    await customers.update(seller.scope, acme.id, {"tax_id": "123"}, by=SYSTEM, at=JAN)
    await ask(seller, await make.tax_rate(seller.scope, seller.clock))
    await spare(seller, acme.id, kind=TaxTreatment.REVERSE_CHARGE)
    why = await refused(seller, await written(seller))
    assert (why.field, "DE123456789, not 123" in str(why)) == ("bill_to.tax_id", True)


@pytest.mark.parametrize(
    ("rates", "why"),
    [
        (({}, {"percent": Decimal("2.5"), "name": "Levy"}), "2 taxes (VAT 19 %, Levy 2.5 %)"),
        (({"amount": Decimal(1), "currency": "USD"},), "VAT is a fixed amount"),
        (({"percent": Decimal("0.4")},), "a rate of at least half a percent"),
    ],
)
async def test_taxes_that_the_norm_cannot_tell_are_refused(seller, rates, why):
    for rate in rates:
        await ask(seller, await make.tax_rate(seller.scope, seller.clock, **rate))
    found = await refused(seller, await written(seller))
    assert (found.field, why in str(found)) == ("taxes", True)


async def test_a_legend_about_no_tax_is_refused_and_several_spared_taxes_are_not(seller):
    acme = await seller.customer("acme")
    await spare(seller, acme.id, reason="School")
    found = await refused(seller, await written(seller))
    assert "names no tax" in str(found)
    for name in ("VAT", "Levy"):
        await ask(seller, await make.tax_rate(seller.scope, seller.clock, name=name))
    body = await ubl(seller, await written(seller))
    assert values(body, "//cbc:TaxExemptionReason") == ["Exempt from tax: School"]


async def test_what_is_not_in_force_or_has_no_place_in_the_norm_is_refused(seller):
    dinars = await written(seller, currency="KWD")
    assert (await refused(seller, dinars)).field == "currency"
    await seller.subscribe("acme")
    await draft_due(seller, JAN)
    (draft,) = [each for each in await invoices(seller) if each.number is None]
    assert (await refused(seller, draft)).field == "id"
    assert await link_to(seller, draft, FileKind.UBL) is None
    invoice = await written(seller)
    note = await credit(seller, invoice, kind=CreditNoteKind.CREDIT)
    await actions.void_credit_note(seller.scope, note.id, reason="x", by=SYSTEM, at=MAR)
    with pytest.raises(EInvoiceUnsupported, match="void"):
        await actions.download_note(
            seller.scope, note.id, NoteFileKind.UBL, seller.services.storage
        )
    gone = await actions.void(seller.scope, invoice.id, reason="x", by=SYSTEM, at=MAR)
    assert (await refused(seller, gone)).field == "id"


async def test_a_link_leads_to_the_same_bytes_and_a_refused_one_stores_nothing(seller):
    invoice = await written(seller)
    assert f"{invoice.number}.xml" in await link_to(seller, invoice, FileKind.UBL)
    dinars = await written(seller, currency="KWD")
    with pytest.raises(EInvoiceUnsupported):
        await link_to(seller, dinars, FileKind.UBL)


ROWS = st.lists(
    st.tuples(
        st.decimals(1, 2000, places=2), st.decimals("0.01", 50, places=3), st.text(max_size=12)
    ),
    min_size=1,
    max_size=12,
)


@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    rows=ROWS,
    part=st.fractions(Fraction(1, 10), 1),
    percent=st.sampled_from(["0", "5.5", "19", "25"]),
    inclusive=st.booleans(),
    off=st.none() | st.decimals(1, 100, places=2),
)
async def test_any_invoice_and_any_note_of_it_are_valid(
    seller, rows, part, percent, inclusive, off
):
    scope, clock = seller.scope, seller.clock
    address = Address(country="IT")
    command = CreateCustomer(external_id=new_id("cus"), name="É", currency="EUR", address=address)
    customer = await customers.create(scope, command, by=SYSTEM, at=JAN)
    rate = await make.tax_rate(scope, clock, percent=Decimal(percent), inclusive=inclusive)
    await ask(seller, rate, customer_id=customer.id)
    if off is not None:
        coupon = await make.coupon(scope, clock, percent_off=off)
        await attach(seller, coupon, customer_id=customer.id)
    wanted = [
        fee(amount, quantity, description=f"a{''.join(filter(str.isprintable, text))}")
        for amount, quantity, text in rows
    ]
    invoice = await written(seller, *wanted, customer_id=customer.id)
    body = await ubl(seller, invoice)
    assert values(body, "//cbc:PayableAmount") == [f"{invoice.totals.amount_due:.2f}"]
    assert values(body, "/*/cac:TaxTotal/cbc:TaxAmount") == [f"{invoice.totals.tax:.2f}"]
    told_lines = await lines(seller, invoice)
    amounts = [fraction_rounded(Fraction(line.amount) * part, 2) for line in told_lines]
    parts = [Part(each.id, a) for each, a in zip(told_lines, amounts, strict=True) if a]
    assume(parts)
    note = await credit(seller, invoice, *parts)
    assert values(await ubl(seller, note), "//cbc:PayableAmount") == [f"{note.total:.2f}"]
