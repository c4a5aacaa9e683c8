from tortoise import fields
from tortoise.migrations.constraints import UniqueConstraint

from app.infra.tables import ScopedTable


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
        )
        indexes = (("tenant_id", "environment_id", "created_at", "id"),)
