"""Who has coupons, whom taxes are asked of, who is spared them, and what became of it on
invoices: in the graph, one file per noun."""

from app.graphql.terms import applied, coupon_attachments, tax_associations, tax_exemptions

KINDS = (
    *coupon_attachments.KINDS,
    *tax_associations.KINDS,
    *tax_exemptions.KINDS,
    *applied.KINDS,
)
QUERIES = (
    coupon_attachments.CouponAttachmentQuery,
    tax_associations.TaxAssociationQuery,
    tax_exemptions.TaxExemptionQuery,
    applied.AppliedQuery,
)
MUTATIONS = (
    coupon_attachments.CouponAttachmentMutation,
    tax_associations.TaxAssociationMutation,
    tax_exemptions.TaxExemptionMutation,
)
TYPES = (
    coupon_attachments.CouponAttachment,
    tax_associations.TaxAssociation,
    tax_exemptions.TaxExemption,
    applied.InvoiceDiscount,
    applied.InvoiceTax,
)
