"""The loaders of who has coupons, whom taxes are asked of, and what was applied to invoices."""

from functools import cached_property

from strawberry.dataloader import DataLoader

from app.graphql.batching import PageKey, many, one, paged
from app.invoicing.applied import reads as applied
from app.invoicing.applied.parts import InvoiceDiscount, InvoicePrepaid, InvoiceTax
from app.invoicing.terms import coupon_reads, tax_reads
from app.invoicing.terms.attachment import CouponAttachment
from app.invoicing.terms.taxation import TaxAssociation, TaxExemption
from app.kernel.listing import Page
from app.kernel.scope import Scope


class TermLoaders:
    """A part of the loaders of a request."""

    scope: Scope

    @cached_property
    def coupon_attachment(self) -> DataLoader[str, CouponAttachment | None]:
        return one(coupon_reads.by_ids, self.scope)

    @cached_property
    def uses_of_attachment(self) -> DataLoader[str, int | None]:
        return one(coupon_reads.times_used, self.scope)

    @cached_property
    def attachments_of_coupon(self) -> DataLoader[PageKey, Page[CouponAttachment]]:
        return paged(coupon_reads.pages_of_coupons, self.scope)

    @cached_property
    def attachments_of_customer(self) -> DataLoader[PageKey, Page[CouponAttachment]]:
        return paged(coupon_reads.pages_of_customers, self.scope)

    @cached_property
    def attachments_of_subscription(self) -> DataLoader[PageKey, Page[CouponAttachment]]:
        return paged(coupon_reads.pages_of_subscriptions, self.scope)

    @cached_property
    def tax_association(self) -> DataLoader[str, TaxAssociation | None]:
        return one(tax_reads.associations_by_ids, self.scope)

    @cached_property
    def tax_associations_of_owner(self) -> DataLoader[str, list[TaxAssociation]]:
        """Those in use, by the id of the customer, subscription or invoice."""
        return many(tax_reads.associations_of_owners, self.scope)

    @cached_property
    def associations_of_tax_rate(self) -> DataLoader[PageKey, Page[TaxAssociation]]:
        return paged(tax_reads.pages_of_rates, self.scope)

    @cached_property
    def tax_exemption(self) -> DataLoader[str, TaxExemption | None]:
        return one(tax_reads.exemptions_by_ids, self.scope)

    @cached_property
    def tax_exemptions_of_customer(self) -> DataLoader[str, list[TaxExemption]]:
        """Those in use."""
        return many(tax_reads.exemptions_of_customers, self.scope)

    @cached_property
    def invoice_discount(self) -> DataLoader[str, InvoiceDiscount | None]:
        return one(applied.discounts_by_ids, self.scope)

    @cached_property
    def discounts_of_invoice(self) -> DataLoader[str, list[InvoiceDiscount]]:
        return many(applied.discounts_of_invoices, self.scope)

    @cached_property
    def invoice_tax(self) -> DataLoader[str, InvoiceTax | None]:
        return one(applied.taxes_by_ids, self.scope)

    @cached_property
    def taxes_of_invoice(self) -> DataLoader[str, list[InvoiceTax]]:
        return many(applied.taxes_of_invoices, self.scope)

    @cached_property
    def prepaid_of_invoice(self) -> DataLoader[str, list[InvoicePrepaid]]:
        return many(applied.prepaid_of_invoices, self.scope)
