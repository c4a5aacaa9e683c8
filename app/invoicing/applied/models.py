"""Tables of what lies between an invoice's lines and the amount due."""

from typing import Any, ClassVar

from tortoise import fields
from tortoise.migrations.constraints import CheckConstraint

from app.infra.tables import ScopedTable, amount_field, id_field

# A draft's rows are replaced with its lines; those of what was issued stay.
_KEEP = """
CREATE OR REPLACE FUNCTION tariff_keep_applied() RETURNS trigger LANGUAGE plpgsql
SET enable_seqscan = off AS $$
DECLARE
  kept text;
BEGIN
  SELECT i.id INTO kept FROM invoices i
   WHERE i.id = ANY(ARRAY(SELECT DISTINCT invoice_id FROM touched)) AND i.status <> 'draft' LIMIT 1;
  IF kept IS NOT NULL THEN
    RAISE EXCEPTION 'what was applied to invoice % can no longer be changed', kept
      USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NULL;
END $$"""
_NO_UPDATE = """
CREATE OR REPLACE FUNCTION tariff_refuse_update() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'rows of % are only added', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$"""


def kept(table: str) -> tuple[str, ...]:
    """Rows of the table are added and deleted with a draft, and otherwise stay."""
    return (
        _KEEP,
        _NO_UPDATE,
        f"CREATE TRIGGER keep_added AFTER INSERT ON {table} REFERENCING NEW TABLE AS touched "
        "FOR EACH STATEMENT EXECUTE FUNCTION tariff_keep_applied()",
        f"CREATE TRIGGER keep_deleted AFTER DELETE ON {table} REFERENCING OLD TABLE AS touched "
        "FOR EACH STATEMENT EXECUTE FUNCTION tariff_keep_applied()",
        f"CREATE TRIGGER keep_unchanged BEFORE UPDATE ON {table} "
        "FOR EACH STATEMENT EXECUTE FUNCTION tariff_refuse_update()",
    )


class InvoiceDiscountTable(ScopedTable):
    """A coupon as it was taken off an invoice."""

    invoice_id = id_field()
    customer_id = id_field()
    subscription_id = id_field(null=True)
    position = fields.IntField()
    coupon_id = id_field()
    attachment_id = id_field()
    description = fields.CharField(max_length=255)
    amount = amount_field()
    base = amount_field()
    currency = fields.CharField(max_length=3)
    coupon = fields.JSONField[dict[str, Any]]()
    shares = fields.JSONField[dict[str, str]]()

    guards: ClassVar[tuple[str, ...]] = kept("invoice_discounts")

    class Meta:
        table = "invoice_discounts"
        unique_together = (("invoice_id", "position"),)
        constraints = (
            CheckConstraint(check="amount >= 0", name="invoice_discounts_take_nothing_back"),
        )
        indexes = (
            ("tenant_id", "environment_id", "created_at", "id"),
            ("tenant_id", "environment_id", "attachment_id"),
            ("tenant_id", "environment_id", "coupon_id", "created_at", "id"),
        )


class InvoiceTaxTable(ScopedTable):
    """A tax as it was asked on an invoice, or why it was not."""

    invoice_id = id_field()
    customer_id = id_field()
    position = fields.IntField()
    tax_rate_id = id_field()
    association_id = id_field()
    exemption_id = id_field(null=True)
    description = fields.CharField(max_length=255)
    percent = amount_field(null=True)
    included = fields.BooleanField()
    treatment = fields.CharField(max_length=20)
    taxable = amount_field()
    amount = amount_field()
    currency = fields.CharField(max_length=3)
    rate = fields.JSONField[dict[str, Any]]()
    shares = fields.JSONField[dict[str, str]]()

    guards: ClassVar[tuple[str, ...]] = kept("invoice_taxes")

    class Meta:
        table = "invoice_taxes"
        unique_together = (("invoice_id", "position"),)
        constraints = (
            CheckConstraint(
                check="treatment = 'standard' OR amount = 0", name="invoice_taxes_spared"
            ),
        )
        indexes = (
            ("tenant_id", "environment_id", "created_at", "id"),
            ("tenant_id", "environment_id", "tax_rate_id", "created_at", "id"),
        )


class InvoicePrepaidTable(ScopedTable):
    """What a prepaid balance pays of an invoice."""

    invoice_id = id_field()
    position = fields.IntField()
    balance_id = id_field()
    amount = amount_field()
    currency = fields.CharField(max_length=3)
    shares = fields.JSONField[dict[str, str]]()

    guards: ClassVar[tuple[str, ...]] = kept("invoice_prepaid")

    class Meta:
        table = "invoice_prepaid"
        unique_together = (("invoice_id", "position"),)
        constraints = (CheckConstraint(check="amount > 0", name="invoice_prepaid_pays"),)
        indexes = (("tenant_id", "environment_id", "balance_id"),)
