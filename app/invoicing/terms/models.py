"""Tables of who has a coupon, whom a tax is asked of, and who is spared it."""

from tortoise import fields
from tortoise.migrations.constraints import CheckConstraint, UniqueConstraint

from app.infra.tables import ScopedTable, id_field


class CouponAttachmentTable(ScopedTable):
    """Who has a coupon. `owner_id` is the narrowest of the three ids."""

    coupon_id = id_field()
    customer_id = id_field()
    subscription_id = id_field(null=True)
    line_item_id = id_field(null=True)
    owner_id = id_field()
    starts_at = fields.DatetimeField()
    ends_at = fields.DatetimeField(null=True)

    class Meta:
        table = "coupon_attachments"
        constraints = (
            # Actions keep the times of an owner and a coupon apart; this much the database does.
            UniqueConstraint(
                fields=("tenant_id", "environment_id", "coupon_id", "owner_id"),
                name="coupon_attachments_once",
                condition="ends_at IS NULL",
            ),
            CheckConstraint(check="starts_at <= ends_at", name="coupon_attachments_times"),
            CheckConstraint(
                check="line_item_id IS NULL OR subscription_id IS NOT NULL",
                name="coupon_attachments_owner",
            ),
        )
        indexes = (
            ("tenant_id", "environment_id", "created_at", "id"),
            ("tenant_id", "environment_id", "customer_id"),
            ("tenant_id", "environment_id", "subscription_id"),
        )


class TaxAssociationTable(ScopedTable):
    """Whom a tax is asked of. `owner_id` is the one of the three ids, else the environment's."""

    tax_rate_id = id_field()
    customer_id = id_field(null=True)
    subscription_id = id_field(null=True)
    invoice_id = id_field(null=True)
    owner_id = id_field()
    priority = fields.IntField()
    auto_apply = fields.BooleanField()
    starts_at = fields.DatetimeField(null=True)
    ends_at = fields.DatetimeField(null=True)
    archived_at = fields.DatetimeField(null=True)

    class Meta:
        table = "tax_associations"
        constraints = (
            UniqueConstraint(
                fields=("tenant_id", "environment_id", "tax_rate_id", "owner_id"),
                name="tax_associations_once",
                condition="archived_at IS NULL",
            ),
            CheckConstraint(
                check="num_nonnulls(customer_id, subscription_id, invoice_id) <= 1",
                name="tax_associations_one_owner",
            ),
            CheckConstraint(check="starts_at < ends_at", name="tax_associations_times"),
        )
        indexes = (
            ("tenant_id", "environment_id", "created_at", "id"),
            ("tenant_id", "environment_id", "owner_id"),
        )


class TaxExemptionTable(ScopedTable):
    """Why a customer is not asked for tax."""

    customer_id = id_field()
    kind = fields.CharField(max_length=20)
    tax_rate_ids = fields.JSONField[list[str]]()
    reason = fields.CharField(max_length=500)
    certificate = fields.CharField(max_length=255, null=True)
    legend = fields.CharField(max_length=500, null=True)
    starts_at = fields.DatetimeField(null=True)
    ends_at = fields.DatetimeField(null=True)
    archived_at = fields.DatetimeField(null=True)

    class Meta:
        table = "tax_exemptions"
        constraints = (CheckConstraint(check="starts_at < ends_at", name="tax_exemptions_times"),)
        indexes = (
            ("tenant_id", "environment_id", "created_at", "id"),
            ("tenant_id", "environment_id", "customer_id"),
        )
