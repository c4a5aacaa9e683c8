"""A document of EN 16931 in the elements of UBL, in the order of its schema. Pure."""

from collections.abc import Iterator
from decimal import Decimal
from xml.etree.ElementTree import Element

from app.invoicing.files.ubl import parties
from app.invoicing.files.ubl.codes import (
    CREDIT_NOTE,
    CREDIT_TRANSFER,
    DISCOUNT,
    INVOICE,
    INVOICED_OBJECT,
    ONE,
)
from app.invoicing.files.ubl.document import Days, Document, Entry, Tax
from app.invoicing.files.ubl.xml import aggregate, basic, clean, document, money, number

_NORM = "urn:cen.eu:en16931:2017"
_UNNAMED = "Item"
_UNTITLED = "Discount"


def written(told: Document) -> bytes:
    """An invoice, or a credit note where it is about one. Raises: EInvoiceUnsupported."""
    credit = told.preceding is not None
    name = "CreditNote" if credit else "Invoice"
    return document(
        name,
        basic("CustomizationID", _NORM),
        basic("ID", told.number),
        basic("IssueDate", told.issued),
        None if credit else basic("DueDate", told.due),
        basic(f"{name}TypeCode", CREDIT_NOTE if credit else INVOICE),
        basic("Note", "\n".join(told.notes)),
        basic("DocumentCurrencyCode", told.currency),
        basic("BuyerReference", told.buyer_reference),
        _period(told.period),
        told.order and aggregate("OrderReference", basic("ID", told.order)),
        _preceding(told),
        parties.seller(told.seller, told.tax),
        parties.buyer(told.buyer, told.tax),
        _means(told),
        told.payment_terms and aggregate("PaymentTerms", basic("Note", told.payment_terms)),
        _taxes(told),
        _totals(told),
        *(_line(line, told, name) for line in told.lines),
    )


def _preceding(told: Document) -> Element | None:
    if told.preceding is None:
        return None
    invoice, issued = told.preceding
    reference = aggregate(
        "InvoiceDocumentReference", basic("ID", invoice), basic("IssueDate", issued)
    )
    return aggregate("BillingReference", reference)


def _means(told: Document) -> Element | None:
    if told.iban is None:
        return None
    return aggregate(
        "PaymentMeans",
        basic("PaymentMeansCode", CREDIT_TRANSFER),
        basic("PaymentID", told.number),
        aggregate("PayeeFinancialAccount", basic("ID", told.iban)),
    )


def _taxes(told: Document) -> Element:
    return aggregate(
        "TaxTotal",
        money("TaxAmount", told.tax_amount, told.currency),
        aggregate(
            "TaxSubtotal",
            money("TaxableAmount", told.net, told.currency),
            money("TaxAmount", told.tax_amount, told.currency),
            _category("TaxCategory", told.tax, explained=True),
        ),
    )


def _totals(told: Document) -> Element:
    def total(name: str, amount: Decimal) -> Element | None:
        return money(name, amount, told.currency)

    return aggregate(
        "LegalMonetaryTotal",
        total("LineExtensionAmount", told.net),
        total("TaxExclusiveAmount", told.net),
        total("TaxInclusiveAmount", told.gross),
        total("PrepaidAmount", told.prepaid) if told.prepaid else None,
        total("PayableAmount", told.payable),
    )


def _line(line: Entry, told: Document, document_name: str) -> Element:
    quantity = "CreditedQuantity" if document_name == "CreditNote" else "InvoicedQuantity"
    return aggregate(
        f"{document_name}Line",
        basic("ID", line.id),
        basic("Note", line.note),
        number(quantity, line.quantity, unitCode=ONE),
        money("LineExtensionAmount", line.net, told.currency),
        _period(line.service),
        _object(line),
        _allowance(line, told.currency),
        aggregate(
            "Item",
            basic("Name", clean(line.name) or _UNNAMED),
            _category("ClassifiedTaxCategory", told.tax, explained=False),
            *_properties(line),
        ),
        aggregate(
            "Price",
            money("PriceAmount", line.price, told.currency),
            number("BaseQuantity", abs(line.quantity), unitCode=ONE),
        ),
    )


def _object(line: Entry) -> Element | None:
    """What the line is about (BT-128)."""
    if line.object_id is None:
        return None
    told = basic("ID", line.object_id), basic("DocumentTypeCode", INVOICED_OBJECT)
    return aggregate("DocumentReference", *told)


def _allowance(line: Entry, currency: str) -> Element | None:
    if not line.allowance:
        return None
    return aggregate(
        "AllowanceCharge",
        basic("ChargeIndicator", "false"),
        basic("AllowanceChargeReasonCode", DISCOUNT),
        basic("AllowanceChargeReason", clean(line.reason) or _UNTITLED),
        money("Amount", line.allowance, currency),
    )


def _properties(line: Entry) -> Iterator[Element]:
    """What a line of usage stands for, such as a region."""
    for name, value in line.properties.items():
        if clean(name) and clean(value):
            told = basic("Name", name), basic("Value", value)
            yield aggregate("AdditionalItemProperty", *told)


def _category(name: str, tax: Tax, *, explained: bool) -> Element:
    return aggregate(
        name,
        basic("ID", tax.code),
        None if tax.percent is None else number("Percent", tax.percent),
        basic("TaxExemptionReasonCode", tax.reason_code) if explained else None,
        basic("TaxExemptionReason", tax.reason) if explained else None,
        aggregate("TaxScheme", basic("ID", "VAT")),
    )


def _period(days: Days) -> Element:
    return aggregate("InvoicePeriod", basic("StartDate", days.first), basic("EndDate", days.last))
