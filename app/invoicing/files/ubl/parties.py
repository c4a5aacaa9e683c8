"""Seller and buyer as EN 16931 wants to know them, and what of them must be known. Pure."""

from typing import Any
from xml.etree.ElementTree import Element

from app.invoicing.errors import EInvoiceUnsupported
from app.invoicing.files.ubl.codes import (
    ADDRESS_SCHEMES,
    COUNTRIES,
    EMAIL_SCHEME,
    VAT_PREFIXES,
)
from app.invoicing.files.ubl.document import Tax
from app.invoicing.files.ubl.xml import aggregate, basic, clean
from app.invoicing.invoice import Party
from app.kernel.copies import replace

_TEXTS = (
    "name", "email", "tax_id", "registration_number", "street", "street2", "city", "state",
    "postal_code", "country", "electronic_scheme", "electronic_id",
)  # fmt: skip
_OF_SELLER = "set it in the settings (seller), then void and reissue"
_OF_BUYER = "set it with the customer, then void and reissue"


def seller(party: Party, tax: Tax) -> Element:
    """Named by VAT number, register number or both (BR-CO-26); not subject to VAT by the latter
    alone (BR-O-02). Raises: EInvoiceUnsupported.
    """
    party = _known(party)
    _check(party, "seller", _OF_SELLER)
    vat = _is_vat(party.tax_id)
    if tax.code != "O" and not party.tax_id:
        raise _missing("seller", "tax id", "tax_id", _OF_SELLER)
    if tax.code == "AE" and not vat:
        raise _no_vat("seller", party.tax_id, _OF_SELLER)
    if not party.registration_number and not (vat and tax.code != "O"):
        raise _missing("seller", "registration number", "registration_number", _OF_SELLER)
    scheme = None
    if party.tax_id and not (vat and tax.code == "O"):
        # What is no VAT number is the seller's number with its tax office (BT-32).
        scheme = _tax_scheme(party.tax_id, "VAT" if vat else "TAX")
    return aggregate("AccountingSupplierParty", _party(party, None, scheme))


def buyer(party: Party, tax: Tax) -> Element:
    """Raises: EInvoiceUnsupported."""
    party = _known(party)
    _check(party, "bill_to", _OF_BUYER)
    vat = _is_vat(party.tax_id)
    if tax.code == "AE" and not vat:
        raise _no_vat("bill_to", party.tax_id, _OF_BUYER)
    scheme = _tax_scheme(party.tax_id, "VAT") if vat and tax.code != "O" else None
    # A tax number that is no VAT number has no place of its own: it identifies the buyer (BT-46).
    return aggregate(
        "AccountingCustomerParty", _party(party, None if vat else party.tax_id, scheme)
    )


def _known(party: Party) -> Party:
    """The same, where a text that XML has nothing of is none."""
    known: dict[str, Any] = {name: clean(getattr(party, name) or "") or None for name in _TEXTS}
    return replace(party, **known)


def _party(party: Party, identifier: str | None, tax_scheme: Element | None) -> Element:
    return aggregate(
        "Party",
        _endpoint(party),
        identifier and aggregate("PartyIdentification", basic("ID", identifier)),
        aggregate(
            "PostalAddress",
            basic("StreetName", party.street),
            basic("AdditionalStreetName", party.street2),
            basic("CityName", party.city),
            basic("PostalZone", party.postal_code),
            basic("CountrySubentity", party.state),
            aggregate("Country", basic("IdentificationCode", party.country)),
        ),
        tax_scheme,
        aggregate(
            "PartyLegalEntity",
            basic("RegistrationName", party.name),
            basic("CompanyID", party.registration_number),
        ),
        party.email and aggregate("Contact", basic("ElectronicMail", party.email)),
    )


def _endpoint(party: Party) -> Element | None:
    """Where it is delivered; by e-mail where nothing else is known."""
    if party.electronic_id:
        return basic("EndpointID", party.electronic_id, schemeID=party.electronic_scheme or "")
    return basic("EndpointID", party.email, schemeID=EMAIL_SCHEME)


def _tax_scheme(number: str | None, scheme: str) -> Element:
    return aggregate(
        "PartyTaxScheme", basic("CompanyID", number), aggregate("TaxScheme", basic("ID", scheme))
    )


def _check(party: Party, role: str, remedy: str) -> None:
    if not party.name:
        raise _missing(role, "name", "name", remedy)
    if not party.country:
        raise _missing(role, "country", "country", remedy)
    if party.country not in COUNTRIES:
        raise EInvoiceUnsupported(
            f"{party.country} is no ISO 3166-1 code of a country such as DE; {remedy}",
            field=f"{role}.country",
        )
    if party.electronic_id and party.electronic_scheme not in ADDRESS_SCHEMES:
        raise EInvoiceUnsupported(
            f"{party.electronic_scheme} is no scheme of electronic addresses (EAS) such as 0088 "
            f"or 9930; {remedy}",
            field=f"{role}.electronic_scheme",
        )


def _is_vat(number: str | None) -> bool:
    """BR-CO-09: a VAT number begins with its country."""
    return number is not None and number[:2] in VAT_PREFIXES


def _missing(role: str, what: str, name: str, remedy: str) -> EInvoiceUnsupported:
    whose = "the seller's" if role == "seller" else "the customer's"
    return EInvoiceUnsupported(
        f"{whose} {what} was not known when it was issued; {remedy}", field=f"{role}.{name}"
    )


def _no_vat(role: str, number: str | None, remedy: str) -> EInvoiceUnsupported:
    whose = "the seller's" if role == "seller" else "the customer's"
    return EInvoiceUnsupported(
        f"reverse charge takes {whose} VAT number, its country first, such as DE123456789, not "
        f"{number or 'none'}; {remedy}",
        field=f"{role}.tax_id",
    )
