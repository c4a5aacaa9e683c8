"""Tables of credit notes. What is left of a balance is kept by the database."""

from typing import Any, ClassVar

from tortoise import fields
from tortoise.migrations.constraints import CheckConstraint, UniqueConstraint

from app.infra.tables import ScopedTable, amount_field, id_field

# What may still be written on a credit note once it is issued.
_OPEN = (
    "ARRAY['status', 'voided_at', 'void_reason', 'metadata', 'updated_at', 'balance', "
    "'refund_status']"
)

_KEEP_NOTES = f"""
CREATE OR REPLACE FUNCTION tariff_keep_credit_note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'DELETE'
     OR to_jsonb(OLD) - {_OPEN} IS DISTINCT FROM to_jsonb(NEW) - {_OPEN}
     OR NEW.status <> OLD.status AND NEW.status <> 'void'
     -- A balance follows from the account alone, which sets it from a trigger of its own.
     OR NEW.balance <> OLD.balance AND NEW.status <> 'void' AND pg_trigger_depth() < 2 THEN
    RAISE EXCEPTION 'credit note % is issued and cannot be changed', OLD.id
      USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END $$"""

# What is left of a balance is the total less what was adjusted and less the applications.
_APPLY = """
CREATE OR REPLACE FUNCTION tariff_apply_credits() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  closed text;
BEGIN
  SELECT n.id INTO closed FROM touched t JOIN credit_notes n ON n.id = t.credit_note_id
   WHERE n.status = 'void' LIMIT 1;
  IF closed IS NOT NULL THEN
    RAISE EXCEPTION 'credit note % is void, so nothing is paid from it', closed
      USING ERRCODE = 'restrict_violation';
  END IF;
  UPDATE credit_notes n SET balance = n.total - n.adjusted
    - (SELECT sum(a.amount) FROM credit_note_applications a WHERE a.credit_note_id = n.id)
   WHERE n.id IN (SELECT t.credit_note_id FROM touched t);
  RETURN NULL;
END $$"""

_ONLY_ADDED = """
CREATE OR REPLACE FUNCTION tariff_only_added() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'rows of % are only added', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$"""


class CreditNoteTable(ScopedTable):
    number = fields.CharField(max_length=64)
    customer_id = id_field()
    invoice_id = id_field()
    subscription_id = id_field(null=True)
    status = fields.CharField(max_length=16)
    kind = fields.CharField(max_length=16)
    reason = fields.CharField(max_length=32)
    memo = fields.CharField(max_length=2000, null=True)
    currency = fields.CharField(max_length=3)
    timezone = fields.CharField(max_length=64)
    amount = amount_field()
    discount = amount_field()
    tax = amount_field()
    tax_included = amount_field()
    total = amount_field()
    adjusted = amount_field()
    balance = amount_field()
    refund_status = fields.CharField(max_length=16, null=True)
    key = fields.CharField(max_length=255, null=True)
    seller = fields.JSONField[dict[str, Any]]()
    bill_to = fields.JSONField[dict[str, Any]]()
    presentation = fields.JSONField[dict[str, Any]]()
    issued_at = fields.DatetimeField()
    voided_at = fields.DatetimeField(null=True)
    void_reason = fields.CharField(max_length=500, null=True)
    metadata = fields.JSONField[dict[str, str]]()

    guards: ClassVar[tuple[str, ...]] = (
        _KEEP_NOTES,
        "CREATE TRIGGER keep_issued BEFORE UPDATE OR DELETE ON credit_notes "
        "FOR EACH ROW EXECUTE FUNCTION tariff_keep_credit_note()",
    )

    class Meta:
        table = "credit_notes"
        constraints = (
            UniqueConstraint(
                fields=("tenant_id", "environment_id", "number"), name="credit_notes_number"
            ),
            UniqueConstraint(
                fields=("tenant_id", "environment_id", "key"),
                name="credit_notes_key",
                condition="status <> 'void' AND key IS NOT NULL",
            ),
            CheckConstraint(
                check="total = amount - discount + tax - tax_included AND total >= 0 AND "
                "adjusted BETWEEN 0 AND total AND discount >= 0",
                name="credit_notes_add_up",
            ),
            CheckConstraint(
                check="balance BETWEEN 0 AND total - adjusted", name="credit_notes_balance"
            ),
        )
        indexes = (
            ("tenant_id", "environment_id", "created_at", "id"),
            ("tenant_id", "environment_id", "customer_id", "created_at", "id"),
            ("tenant_id", "environment_id", "invoice_id"),
        )


class CreditNoteLineTable(ScopedTable):
    credit_note_id = id_field()
    invoice_line_id = id_field()
    position = fields.IntField()
    description = fields.CharField(max_length=500)
    amount = amount_field()
    discount = amount_field()
    tax = amount_field()
    tax_included = amount_field()
    currency = fields.CharField(max_length=3)

    guards: ClassVar[tuple[str, ...]] = (
        _ONLY_ADDED,
        "CREATE TRIGGER keep_added BEFORE UPDATE OR DELETE ON credit_note_lines "
        "FOR EACH STATEMENT EXECUTE FUNCTION tariff_only_added()",
    )

    class Meta:
        table = "credit_note_lines"
        unique_together = (("tenant_id", "environment_id", "credit_note_id", "position"),)
        indexes = (("tenant_id", "environment_id", "invoice_line_id"),)
        constraints = (
            CheckConstraint(
                check="amount > 0 AND discount >= 0 AND "
                "amount - discount + tax - tax_included >= 0",
                name="credit_note_lines_positive",
            ),
        )


class CreditNoteApplicationTable(ScopedTable):
    """What went out of the balances of credit notes, and what came back."""

    credit_note_id = id_field()
    invoice_id = id_field(null=True)
    kind = fields.CharField(max_length=16)
    amount = amount_field()
    currency = fields.CharField(max_length=3)

    guards: ClassVar[tuple[str, ...]] = (
        _APPLY,
        _ONLY_ADDED,
        "CREATE TRIGGER apply AFTER INSERT ON credit_note_applications "
        "REFERENCING NEW TABLE AS touched "
        "FOR EACH STATEMENT EXECUTE FUNCTION tariff_apply_credits()",
        "CREATE TRIGGER keep_added BEFORE UPDATE OR DELETE ON credit_note_applications "
        "FOR EACH STATEMENT EXECUTE FUNCTION tariff_only_added()",
    )

    class Meta:
        table = "credit_note_applications"
        indexes = (
            ("tenant_id", "environment_id", "credit_note_id"),
            ("tenant_id", "environment_id", "invoice_id"),
        )
