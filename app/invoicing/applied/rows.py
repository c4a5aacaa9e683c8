"""From what was applied to an invoice to the rows of the tables."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from app.invoicing.applied.parts import Applied, InvoiceDiscount, InvoicePrepaid, InvoiceTax, Shares
from app.invoicing.correction_records import applied_values
from app.invoicing.invoice import Invoice
from app.kernel.quantity import plain
from app.kernel.scope import Scope

# The tables whose rows belong to a draft and are replaced with its lines.
TABLES = ("invoice_discounts", "invoice_prepaid", "invoice_taxes", "correction_applications")


def rows_of(
    scope: Scope, invoice: Invoice, applied: Applied, at: datetime
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every row with the table it goes to."""
    common = {
        "tenant_id": scope.tenant_id,
        "environment_id": scope.environment_id,
        "created_at": at,
        "updated_at": at,
        "invoice_id": invoice.id,
        "currency": invoice.currency,
    }
    customer = {"customer_id": invoice.customer_id}
    for discount in applied.discounts:
        yield "invoice_discounts", {**common, **customer, **_discount(discount)}
    for paid in applied.prepaid:
        yield "invoice_prepaid", {**common, **_prepaid(paid)}
    for tax in applied.taxes:
        yield "invoice_taxes", {**common, **customer, **_tax(tax)}
    for part in applied.corrections:
        yield "correction_applications", applied_values(scope, part, at)


def _discount(discount: InvoiceDiscount) -> dict[str, Any]:
    return {
        "id": discount.id,
        "position": discount.position,
        "coupon_id": discount.coupon_id,
        "attachment_id": discount.attachment_id,
        "subscription_id": discount.subscription_id,
        "description": discount.description,
        "amount": discount.amount,
        "base": discount.base,
        "coupon": discount.coupon,
        "shares": _shares(discount.shares),
    }


def _prepaid(paid: InvoicePrepaid) -> dict[str, Any]:
    return {
        "id": paid.id,
        "position": paid.position,
        "balance_id": paid.balance_id,
        "amount": paid.amount,
        "shares": _shares(paid.shares),
    }


def _tax(tax: InvoiceTax) -> dict[str, Any]:
    return {
        "id": tax.id,
        "position": tax.position,
        "tax_rate_id": tax.tax_rate_id,
        "association_id": tax.association_id,
        "exemption_id": tax.exemption_id,
        "description": tax.description,
        "percent": tax.percent,
        "included": tax.included,
        "treatment": tax.treatment,
        "taxable": tax.taxable,
        "amount": tax.amount,
        "rate": tax.rate,
        "shares": _shares(tax.shares),
    }


def _shares(shares: Shares) -> dict[str, str]:
    return {line_id: plain(amount) for line_id, amount in shares.items()}
