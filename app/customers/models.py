from tortoise import fields
from tortoise.migrations.constraints import CheckConstraint, UniqueConstraint

from app.infra.tables import ScopedTable, id_field


class CustomerTable(ScopedTable):
    external_id = fields.CharField(max_length=255)
    name = fields.CharField(max_length=255)
    email = fields.CharField(max_length=320, null=True)
    timezone = fields.CharField(max_length=64)
    currency = fields.CharField(max_length=3, null=True)
    address = fields.JSONField[dict[str, str]]()
    tax_id = fields.CharField(max_length=64, null=True)
    registration_number = fields.CharField(max_length=64, null=True)
    electronic_address = fields.JSONField[dict[str, str]](null=True)
    locale = fields.CharField(max_length=16, null=True)
    invoice_prefix = fields.CharField(max_length=20, null=True)
    consolidate_invoices = fields.BooleanField(null=True)
    parent_id = id_field(null=True)
    parent_pays = fields.BooleanField(default=False)
    inherits = fields.BooleanField(default=True)
    metadata = fields.JSONField[dict[str, str]]()
    archived_at = fields.DatetimeField(null=True)

    class Meta:
        table = "customers"
        # Archived customers free their external id.
        constraints = (
            UniqueConstraint(
                fields=("tenant_id", "environment_id", "external_id"),
                name="customers_external_id",
                condition="archived_at IS NULL",
            ),
            CheckConstraint(
                check="parent_id IS NOT NULL AND parent_id <> id OR "
                "parent_id IS NULL AND NOT parent_pays",
                name="customers_parent",
            ),
        )
        indexes = (
            ("tenant_id", "environment_id", "created_at", "id"),
            ("tenant_id", "environment_id", "parent_id", "created_at", "id"),
        )


class CustomerMembershipTable(ScopedTable):
    """When the usage of a customer counts with its parent's; the past of it never changes."""

    parent_id = id_field()
    customer_id = id_field()
    starts_at = fields.DatetimeField()
    ends_at = fields.DatetimeField(null=True)

    class Meta:
        table = "customer_memberships"
        constraints = (
            UniqueConstraint(
                fields=("tenant_id", "environment_id", "customer_id"),
                name="customer_memberships_one_open",
                condition="ends_at IS NULL",
            ),
            CheckConstraint(
                check="ends_at IS NULL OR starts_at <= ends_at",
                name="customer_memberships_period",
            ),
        )
        indexes = (("tenant_id", "environment_id", "parent_id"),)
