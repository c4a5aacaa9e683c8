"""Consolidated invoices, and lines that say whose subscription they are of."""

from orjson import loads
from tortoise import fields, migrations
from tortoise.fields.data import JSON_DUMPS
from tortoise.indexes import Index
from tortoise.migrations import operations as ops
from tortoise.migrations.constraints import CheckConstraint

# As in 0001, but for what may become void.
_KEEP_INVOICE = """
CREATE OR REPLACE FUNCTION tariff_keep_invoice() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF OLD.status = 'draft' THEN
    RETURN CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
  END IF;
  IF TG_OP = 'DELETE' THEN
    RAISE EXCEPTION 'invoice % is % and cannot be deleted', OLD.id, OLD.status
      USING ERRCODE = 'restrict_violation';
  END IF;
  IF to_jsonb(OLD) - {open} IS DISTINCT FROM to_jsonb(NEW) - {open}
     OR NOT (NEW.status = OLD.status
             OR NEW.status = 'void' AND OLD.status IN ({voidable})) THEN
    RAISE EXCEPTION 'invoice % is % and cannot be changed', OLD.id, OLD.status
      USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END $$"""

_OPEN = (
    "ARRAY['status', 'voided_at', 'void_reason', 'pdf_key', 'metadata', 'updated_at', 'due_at', "
    "'replaced_by_id', 'amount_remaining', 'paid_at', 'uncollectible_at', 'uncollectible_reason', "
    "'corrected_as_of']"
)


def _keep_invoice(*voidable: str) -> str:
    return _KEEP_INVOICE.format(open=_OPEN, voidable=", ".join(map(repr, voidable)))


# Rows of every tenant, until the migration's transaction ends.
_EVERY_ROW = "SELECT set_config('tariff.system', 'on', true)"

# What was issued keeps its substance: the guards only stand aside for the new columns.
_FILL = (
    _EVERY_ROW,
    "ALTER TABLE invoices DISABLE TRIGGER keep_issued",
    "ALTER TABLE invoice_lines DISABLE TRIGGER keep_unchanged",
    "UPDATE invoices SET subscription_ids = '[]'",
    "UPDATE invoice_lines l SET subscription_id = i.subscription_id FROM invoices i "
    "WHERE i.id = l.invoice_id AND i.subscription_id IS NOT NULL AND l.kind <> 'manual'",
    "ALTER TABLE invoices ENABLE TRIGGER keep_issued",
    "ALTER TABLE invoice_lines ENABLE TRIGGER keep_unchanged",
)

# Processes of the version before go on writing until they are replaced, without the new columns.
_OF_OLDER_PROCESSES = (
    "ALTER TABLE invoices ALTER COLUMN subscription_ids SET DEFAULT '[]'",
    """
CREATE OR REPLACE FUNCTION tariff_line_of_subscription() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  SELECT subscription_id INTO NEW.subscription_id FROM invoices WHERE id = NEW.invoice_id;
  RETURN NEW;
END $$""",
    "CREATE TRIGGER line_of_subscription BEFORE INSERT ON invoice_lines FOR EACH ROW "
    "WHEN (NEW.subscription_id IS NULL AND NEW.kind <> 'manual') "
    "EXECUTE FUNCTION tariff_line_of_subscription()",
)
_NO_OLDER_PROCESSES = ("DROP FUNCTION IF EXISTS tariff_line_of_subscription CASCADE",)

_REFUSE_TO_FORGET = (
    _EVERY_ROW,
    "DO $$ BEGIN IF EXISTS (SELECT 1 FROM invoices WHERE status = 'consolidated') THEN "
    "RAISE EXCEPTION 'there are consolidated invoices: an older version cannot read them'; "
    "END IF; END $$",
)


class Migration(migrations.Migration):
    dependencies = [("tariff", "0001_initial")]

    initial = False

    operations = [
        ops.AddField("InvoiceLineTable", "subscription_id", fields.CharField(40, null=True)),
        ops.AddField("InvoiceTable", "consolidated_into_id", fields.CharField(40, null=True)),
        ops.AddField(
            "InvoiceTable",
            "subscription_ids",
            fields.JSONField(encoder=JSON_DUMPS, decoder=loads, null=True),
        ),
        ops.RunSQL([*_FILL], reverse_sql=[*_REFUSE_TO_FORGET]),
        ops.AlterField(
            "InvoiceTable", "subscription_ids", fields.JSONField(encoder=JSON_DUMPS, decoder=loads)
        ),
        ops.AddIndex(
            "InvoiceLineTable",
            Index(fields=["tenant_id", "environment_id", "subscription_id", "service_start"]),
        ),
        ops.AddIndex(
            "InvoiceTable", Index(fields=["tenant_id", "environment_id", "consolidated_into_id"])
        ),
        ops.AddConstraint(
            "InvoiceTable",
            CheckConstraint(
                check="status <> 'consolidated' OR consolidated_into_id IS NOT NULL "
                "AND subscription_id IS NOT NULL AND subtotal = 0 AND total = 0",
                name="invoices_consolidated",
            ),
        ),
        ops.RunSQL(
            [_keep_invoice("finalized", "skipped", "consolidated")],
            reverse_sql=[_keep_invoice("finalized", "skipped")],
        ),
        ops.RunSQL([*_OF_OLDER_PROCESSES], reverse_sql=[*_NO_OLDER_PROCESSES]),
    ]
