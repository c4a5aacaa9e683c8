"""Tables. The database itself keeps what was issued from being changed.

`guards` are statements that the migration which creates a table also runs; where one changes, a
migration runs it again.
"""

from typing import Any, ClassVar

from tortoise import fields
from tortoise.migrations.constraints import CheckConstraint, UniqueConstraint
from tortoise.models import Model

from app.infra.tables import ScopedTable, amount_field, id_field, quantity_field

# What may still be written on an invoice that is no longer a draft.
_OPEN = (
    "ARRAY['status', 'voided_at', 'void_reason', 'pdf_key', 'metadata', 'updated_at', 'due_at', "
    "'replaced_by_id', 'amount_remaining', 'paid_at', 'uncollectible_at', 'uncollectible_reason', "
    "'corrected_as_of']"
)

_KEEP_INVOICES = f"""
CREATE OR REPLACE FUNCTION tariff_keep_invoice() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF OLD.status = 'draft' THEN
    RETURN CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
  END IF;
  IF TG_OP = 'DELETE' THEN
    RAISE EXCEPTION 'invoice % is % and cannot be deleted', OLD.id, OLD.status
      USING ERRCODE = 'restrict_violation';
  END IF;
  IF to_jsonb(OLD) - {_OPEN} IS DISTINCT FROM to_jsonb(NEW) - {_OPEN}
     OR NOT (NEW.status = OLD.status
             OR NEW.status = 'void' AND OLD.status IN ('finalized', 'skipped', 'consolidated')) THEN
    RAISE EXCEPTION 'invoice % is % and cannot be changed', OLD.id, OLD.status
      USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END $$"""

# By the key, however many invoices there are and whatever is known of their number.
_KEEP_LINES = """
CREATE OR REPLACE FUNCTION tariff_keep_invoice_lines() RETURNS trigger LANGUAGE plpgsql
SET enable_seqscan = off AS $$
DECLARE
  kept text;
BEGIN
  SELECT i.id INTO kept FROM invoices i
   WHERE i.id = ANY(ARRAY(SELECT DISTINCT invoice_id FROM touched)) AND i.status <> 'draft' LIMIT 1;
  IF kept IS NOT NULL THEN
    RAISE EXCEPTION 'the lines of invoice % can no longer be changed', kept
      USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NULL;
END $$"""

# What remains to be paid is what is due less the sum of the settlements, whoever adds one.
_SETTLE = """
CREATE OR REPLACE FUNCTION tariff_settle_invoices() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  closed text;
BEGIN
  SELECT i.id INTO closed FROM touched t JOIN invoices i ON i.id = t.invoice_id
   WHERE i.status <> 'finalized' LIMIT 1;
  IF closed IS NOT NULL THEN
    RAISE EXCEPTION 'invoice % is not in force, so nothing settles it', closed
      USING ERRCODE = 'restrict_violation';
  END IF;
  UPDATE invoices i SET amount_remaining = i.amount_due
    - (SELECT sum(s.amount) FROM invoice_settlements s WHERE s.invoice_id = i.id)
   WHERE i.id IN (SELECT t.invoice_id FROM touched t);
  RETURN NULL;
END $$"""

_NO_UPDATE = """
CREATE OR REPLACE FUNCTION tariff_refuse_update() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'rows of % are only added', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$"""


def _adds_up(function: str, settings: str, issued: str) -> str:
    """That lines add up to the invoices that are `issued` by the statement."""
    found, _, so_far = issued.partition(" WHERE ")
    return f"""
CREATE OR REPLACE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql{settings} AS $$
DECLARE
  wrong text;
BEGIN
  SELECT i.id INTO wrong FROM {found}, LATERAL (
    SELECT coalesce(sum(amount), 0) AS subtotal, coalesce(sum(discount), 0) AS discount,
           coalesce(sum(prepaid), 0) AS prepaid, coalesce(sum(tax), 0) AS tax,
           coalesce(sum(tax_included), 0) AS tax_included
      FROM invoice_lines WHERE invoice_id = i.id) AS s
   WHERE {so_far} i.status = 'finalized'
     AND (i.subtotal, i.discount, i.prepaid, i.tax, i.tax_included) IS DISTINCT FROM
         (s.subtotal, s.discount, s.prepaid, s.tax, s.tax_included) LIMIT 1;
  IF wrong IS NOT NULL THEN
    RAISE EXCEPTION 'the lines of invoice % do not add up to it', wrong
      USING ERRCODE = 'check_violation';
  END IF;
  RETURN NULL;
END $$"""  # noqa: S608 - names of ours


_CHANGED = "issued i JOIN was ON was.id = i.id WHERE was.status = 'draft' AND"
# By the key, as above.
_BY_KEY = "\nSET enable_seqscan = off"


class InvoiceTable(ScopedTable):
    customer_id = id_field()
    subscription_id = id_field(null=True)
    status = fields.CharField(max_length=20)
    reason = fields.CharField(max_length=40)
    period_start = fields.DatetimeField()
    period_end = fields.DatetimeField()
    timezone = fields.CharField(max_length=64)
    currency = fields.CharField(max_length=3)
    subtotal = amount_field()
    discount = amount_field()
    prepaid = amount_field()
    tax = amount_field()
    tax_included = amount_field()
    total = amount_field()
    credited = amount_field()
    amount_due = amount_field()
    number = fields.CharField(max_length=64, null=True)
    issued_at = fields.DatetimeField(null=True)
    due_at = fields.DatetimeField(null=True)
    finalize_at = fields.DatetimeField(null=True)
    finalized_at = fields.DatetimeField(null=True)
    voided_at = fields.DatetimeField(null=True)
    void_reason = fields.CharField(max_length=500, null=True)
    seller = fields.JSONField[dict[str, Any]](null=True)
    bill_to = fields.JSONField[dict[str, Any]](null=True)
    presentation = fields.JSONField[dict[str, Any]](null=True)
    pdf_key = fields.CharField(max_length=200, null=True)
    engine_version = fields.CharField(max_length=20)
    catalog_hash = fields.CharField(max_length=64)
    zone_data = fields.CharField(max_length=20)
    usage_watermark = fields.DatetimeField(null=True)
    tax_notes = fields.JSONField[list[str]]()
    reckoning = fields.JSONField[dict[str, Any]]()
    # The caller's key of an invoice that is no period's; unique per reason.
    source_id = fields.CharField(max_length=255, null=True)
    net_days = fields.IntField(null=True)
    collection_method = fields.CharField(max_length=32, null=True)
    purchase_order = fields.CharField(max_length=64, null=True)
    memo = fields.CharField(max_length=2000, null=True)
    edited = fields.BooleanField(default=False)
    replaces_id = id_field(null=True)
    replaced_by_id = id_field(null=True)
    # Of one that stands for several subscriptions, whose; else empty.
    subscription_ids = fields.JSONField[list[str]]()
    # The invoice that asks for what this one would have asked for.
    consolidated_into_id = id_field(null=True)
    # As of which watermark its usage was looked at again; null: not yet.
    corrected_as_of = fields.DatetimeField(null=True)
    # What is still asked for: of an invoice in force; kept by `tariff_settle_invoices`.
    amount_remaining = amount_field(default=0)
    paid_at = fields.DatetimeField(null=True)
    uncollectible_at = fields.DatetimeField(null=True)
    uncollectible_reason = fields.CharField(max_length=500, null=True)
    metadata = fields.JSONField[dict[str, str]]()

    guards: ClassVar[tuple[str, ...]] = (
        _KEEP_INVOICES,
        "CREATE TRIGGER keep_issued BEFORE UPDATE OR DELETE ON invoices "
        "FOR EACH ROW EXECUTE FUNCTION tariff_keep_invoice()",
        _adds_up("tariff_invoice_adds_up", "", _CHANGED),
        "CREATE TRIGGER issued_adds_up AFTER UPDATE ON invoices "
        "REFERENCING OLD TABLE AS was NEW TABLE AS issued "
        "FOR EACH STATEMENT EXECUTE FUNCTION tariff_invoice_adds_up()",
        _adds_up("tariff_issued_adds_up", _BY_KEY, "issued i WHERE "),
        # Of those that are written as issued, whose lines are there before them.
        "CREATE TRIGGER added_adds_up AFTER INSERT ON invoices "
        "REFERENCING NEW TABLE AS issued "
        "FOR EACH STATEMENT EXECUTE FUNCTION tariff_issued_adds_up()",
    )

    class Meta:
        table = "invoices"
        constraints = (
            UniqueConstraint(
                fields=(
                    "tenant_id",
                    "environment_id",
                    "subscription_id",
                    "period_start",
                    "period_end",
                    "reason",
                ),
                name="invoices_once_per_period",
                condition="status <> 'void' AND reason IN "
                "('subscription_create', 'subscription_cycle', 'trial_end', 'threshold')",
            ),
            UniqueConstraint(
                fields=("tenant_id", "environment_id", "reason", "source_id"),
                name="invoices_once_per_source",
                condition="status <> 'void' AND source_id IS NOT NULL",
            ),
            UniqueConstraint(
                fields=("tenant_id", "environment_id", "replaces_id"), name="invoices_replaced_once"
            ),
            UniqueConstraint(
                fields=("tenant_id", "environment_id", "number"), name="invoices_number"
            ),
            CheckConstraint(
                check="(number IS NULL) = (finalized_at IS NULL) AND "
                "(status <> 'finalized' OR number IS NOT NULL)",
                name="invoices_numbered_when_finalized",
            ),
            CheckConstraint(check="period_start <= period_end", name="invoices_period"),
            CheckConstraint(
                check="status <> 'consolidated' OR consolidated_into_id IS NOT NULL "
                "AND subscription_id IS NOT NULL AND subtotal = 0 AND total = 0",
                name="invoices_consolidated",
            ),
            CheckConstraint(
                check="total = subtotal - discount - prepaid + tax - tax_included AND "
                "amount_due = greatest(total - credited, 0)",
                name="invoices_add_up",
            ),
            CheckConstraint(
                check="discount >= 0 AND prepaid >= 0 AND credited >= 0 AND "
                "credited <= greatest(total, 0)",
                name="invoices_nothing_below_zero",
            ),
            CheckConstraint(
                check="amount_remaining BETWEEN 0 AND amount_due AND "
                "(status = 'finalized' OR amount_remaining = 0)",
                name="invoices_remaining",
            ),
        )
        indexes = (
            ("tenant_id", "environment_id", "created_at", "id"),
            ("tenant_id", "environment_id", "customer_id", "created_at", "id"),
            ("tenant_id", "environment_id", "subscription_id", "created_at", "id"),
            ("tenant_id", "environment_id", "status", "period_end"),
            ("tenant_id", "environment_id", "consolidated_into_id"),
        )


class InvoiceLineTable(ScopedTable):
    """Append-only; a draft that is computed again gets other rows."""

    invoice_id = id_field()
    position = fields.IntField()
    kind = fields.CharField(max_length=20)
    # Whose line it is: what was billed of a subscription is found by it, not by the invoice.
    subscription_id = id_field(null=True)
    subscription_line_item_id = id_field(null=True)
    price_id = id_field(null=True)
    meter_id = id_field(null=True)
    description = fields.CharField(max_length=500)
    group = fields.JSONField[dict[str, str]](source_field="group_values")
    quantity = quantity_field()
    amount = amount_field()
    currency = fields.CharField(max_length=3)
    service_start = fields.DatetimeField()
    service_end = fields.DatetimeField()
    section = fields.CharField(max_length=255, null=True)
    correction_id = id_field(null=True)
    price = fields.JSONField[dict[str, Any]]()
    explanation = fields.JSONField[dict[str, Any]]()
    discount = amount_field()
    prepaid = amount_field()
    tax = amount_field()
    tax_included = amount_field()
    shares = fields.JSONField[list[dict[str, Any]]](null=True)

    guards: ClassVar[tuple[str, ...]] = (
        _KEEP_LINES,
        _NO_UPDATE,
        "CREATE TRIGGER keep_added AFTER INSERT ON invoice_lines "
        "REFERENCING NEW TABLE AS touched "
        "FOR EACH STATEMENT EXECUTE FUNCTION tariff_keep_invoice_lines()",
        "CREATE TRIGGER keep_deleted AFTER DELETE ON invoice_lines "
        "REFERENCING OLD TABLE AS touched "
        "FOR EACH STATEMENT EXECUTE FUNCTION tariff_keep_invoice_lines()",
        "CREATE TRIGGER keep_unchanged BEFORE UPDATE ON invoice_lines "
        "FOR EACH STATEMENT EXECUTE FUNCTION tariff_refuse_update()",
    )

    class Meta:
        table = "invoice_lines"
        unique_together = (("invoice_id", "position"),)
        indexes = (("tenant_id", "environment_id", "subscription_id", "service_start"),)
        constraints = (
            CheckConstraint(
                check="discount >= 0 AND prepaid >= 0 AND discount <= greatest(amount, 0) AND "
                "discount + prepaid <= greatest(amount, 0) + greatest(tax - tax_included, 0)",
                name="invoice_lines_nothing_below_zero",
            ),
        )


class InvoiceSettlementTable(ScopedTable):
    """What came off the amount due of an invoice in force, and what was put back; append-only."""

    invoice_id = id_field()
    kind = fields.CharField(max_length=20)
    amount = amount_field()
    currency = fields.CharField(max_length=3)
    source_id = fields.CharField(max_length=255, null=True)
    reason = fields.CharField(max_length=500, null=True)

    guards: ClassVar[tuple[str, ...]] = (
        _SETTLE,
        "CREATE TRIGGER settle AFTER INSERT ON invoice_settlements "
        "REFERENCING NEW TABLE AS touched "
        "FOR EACH STATEMENT EXECUTE FUNCTION tariff_settle_invoices()",
        "CREATE TRIGGER keep_unchanged BEFORE UPDATE OR DELETE ON invoice_settlements "
        "FOR EACH STATEMENT EXECUTE FUNCTION tariff_refuse_update()",
    )

    class Meta:
        table = "invoice_settlements"
        constraints = (
            # Told twice, a payment counts once.
            UniqueConstraint(
                fields=("tenant_id", "environment_id", "kind", "source_id"),
                name="invoice_settlements_once",
                condition="source_id IS NOT NULL",
            ),
        )
        indexes = (("tenant_id", "environment_id", "invoice_id"),)


class InvoiceNumberCounterTable(Model):
    """The last number given out, per formatted date."""

    id = fields.BigIntField(primary_key=True, generated=True)
    tenant_id = id_field()
    environment_id = id_field()
    key = fields.CharField(max_length=64)
    issued = fields.BigIntField()

    class Meta:
        table = "invoice_number_counters"
        unique_together = (("tenant_id", "environment_id", "key"),)
