"""Who sells and who buys, as an invoice names them, and what it looks like. Pure."""

from babel import Locale

from app.customers.customer import Address, Customer
from app.invoicing.invoice import Party, Presentation
from app.tenants.settings import EnvironmentSettings
from app.tenants.tenant import Tenant

_TERRITORIES = Locale("en").territories


def buyer(customer: Customer) -> Party:
    electronic = customer.electronic_address
    return Party(
        name=customer.name,
        lines=tuple(_postal(customer.address)),
        email=customer.email,
        reference=customer.external_id,
        tax_id=customer.tax_id,
        registration_number=customer.registration_number,
        electronic_scheme=electronic.scheme if electronic else None,
        electronic_id=electronic.id if electronic else None,
        **_parts(customer.address),
    )


def seller(tenant: Tenant, settings: EnvironmentSettings) -> Party:
    """The seller as the settings say; without lines of its own, under its address in parts."""
    printed, facts = settings.invoice, settings.seller
    address = Address(
        line1=facts.street or None,
        city=facts.city or None,
        postal_code=facts.postal_code or None,
        country=facts.country or None,
    )
    return Party(
        name=printed.seller_name or tenant.name,
        lines=printed.seller_lines or tuple(_postal(address)),
        email=printed.seller_email or None,
        tax_id=facts.tax_id or None,
        registration_number=facts.registration_number or None,
        electronic_scheme=facts.electronic_scheme or None,
        electronic_id=facts.electronic_id or None,
        iban=facts.iban or None,
        **_parts(address),
    )


def presentation(customer: Customer, settings: EnvironmentSettings) -> Presentation:
    """What the customer's documents look like: its own locale, else the environment's."""
    documents = settings.documents
    return Presentation(
        layout=documents.layout,
        locale=customer.locale or documents.locale,
        payment_terms=documents.payment_terms,
        logo=documents.logo or None,
    )


def _parts(address: Address) -> dict[str, str | None]:
    return {
        "street": address.line1,
        "street2": address.line2,
        "city": address.city,
        "state": address.state,
        "postal_code": address.postal_code,
        "country": address.country,
    }


def _postal(address: Address) -> list[str]:
    town = " ".join(part for part in (address.postal_code, address.city) if part)
    country = _TERRITORIES.get(address.country, address.country) if address.country else None
    return [part for part in (address.line1, address.line2, town, address.state, country) if part]
