"""Who sells and who buys, as an invoice names them. Pure."""

from babel import Locale

from app.customers.customer import Address, Customer
from app.invoicing.invoice import Party
from app.tenants.settings import InvoiceSettings
from app.tenants.tenant import Tenant

_TERRITORIES = Locale("en").territories


def buyer(customer: Customer) -> Party:
    return Party(
        name=customer.name,
        lines=tuple(_postal(customer.address)),
        email=customer.email,
        reference=customer.external_id,
    )


def seller(tenant: Tenant, settings: InvoiceSettings) -> Party:
    return Party(
        name=settings.seller_name or tenant.name,
        lines=settings.seller_lines,
        email=settings.seller_email or None,
    )


def _postal(address: Address) -> list[str]:
    town = " ".join(part for part in (address.postal_code, address.city) if part)
    country = _TERRITORIES.get(address.country, address.country) if address.country else None
    return [part for part in (address.line1, address.line2, town, address.state, country) if part]
