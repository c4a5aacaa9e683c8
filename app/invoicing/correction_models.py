"""Tables of corrections, and of where they were billed."""

from typing import Any, ClassVar

from tortoise import fields
from tortoise.migrations.constraints import CheckConstraint, UniqueConstraint
from tortoise.models import Model

from app.infra.tables import ScopedTable, amount_field, id_field, quantity_field
from app.invoicing.applied.models import kept


class InvoiceCorrectionTable(ScopedTable):
    """A line of a charge that came to another amount as of a watermark; once for each."""

    customer_id = id_field()
    subscription_id = id_field()
    invoice_id = id_field()
    invoice_line_id = id_field(null=True)
    line_item_id = id_field()
    line_key = fields.CharField(max_length=64)
    price_id = id_field()
    meter_id = id_field(null=True)
    description = fields.CharField(max_length=500)
    group = fields.JSONField[dict[str, str]](source_field="group_values")
    currency = fields.CharField(max_length=3)
    service_start = fields.DatetimeField()
    service_end = fields.DatetimeField()
    as_of = fields.DatetimeField()
    quantity = quantity_field()
    amount = amount_field()
    policy = fields.CharField(max_length=32)
    status = fields.CharField(max_length=20)
    price = fields.JSONField[dict[str, Any]]()
    explanation = fields.JSONField[dict[str, Any]]()
    reason = fields.CharField(max_length=500, null=True)
    decided_at = fields.DatetimeField(null=True)

    class Meta:
        table = "invoice_corrections"
        constraints = (
            UniqueConstraint(
                fields=(
                    "tenant_id",
                    "environment_id",
                    "invoice_id",
                    "line_item_id",
                    "line_key",
                    "as_of",
                ),
                name="invoice_corrections_once",
            ),
            CheckConstraint(check="amount <> 0", name="invoice_corrections_change_something"),
        )
        indexes = (
            ("tenant_id", "environment_id", "created_at", "id"),
            ("tenant_id", "environment_id", "subscription_id", "status"),
            ("tenant_id", "environment_id", "status", "created_at", "id"),
        )


class CorrectionApplicationTable(ScopedTable):
    """How much of a correction is on an invoice, or was given back by a credit note."""

    correction_id = id_field()
    invoice_id = id_field(null=True)
    credit_note_id = id_field(null=True)
    amount = amount_field()
    currency = fields.CharField(max_length=3)

    guards: ClassVar[tuple[str, ...]] = kept("correction_applications")

    class Meta:
        table = "correction_applications"
        constraints = (
            CheckConstraint(
                check="(invoice_id IS NULL) <> (credit_note_id IS NULL)",
                name="correction_applications_one_place",
            ),
        )
        indexes = (
            ("tenant_id", "environment_id", "correction_id"),
            ("tenant_id", "environment_id", "invoice_id"),
        )


class CorrectionMarkTable(Model):
    """As of which watermark an environment's billed usage was looked at last."""

    id = fields.BigIntField(primary_key=True, generated=True)
    tenant_id = id_field()
    environment_id = id_field()
    watermark = fields.DatetimeField()

    class Meta:
        table = "correction_marks"
        unique_together = (("tenant_id", "environment_id"),)
