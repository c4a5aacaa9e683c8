"""Invoices that are written as issued, lines first: they add up as those that are issued later,
and what guards lines looks into invoices by their key, however many there are."""

from tortoise import migrations
from tortoise.migrations import operations as ops

_ADDS_UP = (
    """
CREATE OR REPLACE FUNCTION tariff_issued_adds_up() RETURNS trigger LANGUAGE plpgsql
SET enable_seqscan = off AS $$
DECLARE
  wrong text;
BEGIN
  SELECT i.id INTO wrong FROM issued i, LATERAL (
    SELECT coalesce(sum(amount), 0) AS subtotal, coalesce(sum(discount), 0) AS discount,
           coalesce(sum(prepaid), 0) AS prepaid, coalesce(sum(tax), 0) AS tax,
           coalesce(sum(tax_included), 0) AS tax_included
      FROM invoice_lines WHERE invoice_id = i.id) AS s
   WHERE i.status = 'finalized'
     AND (i.subtotal, i.discount, i.prepaid, i.tax, i.tax_included) IS DISTINCT FROM
         (s.subtotal, s.discount, s.prepaid, s.tax, s.tax_included) LIMIT 1;
  IF wrong IS NOT NULL THEN
    RAISE EXCEPTION 'the lines of invoice % do not add up to it', wrong
      USING ERRCODE = 'check_violation';
  END IF;
  RETURN NULL;
END $$""",
    "CREATE TRIGGER added_adds_up AFTER INSERT ON invoices REFERENCING NEW TABLE AS issued "
    "FOR EACH STATEMENT EXECUTE FUNCTION tariff_issued_adds_up()",
)
_NEED_NOT = ("DROP FUNCTION IF EXISTS tariff_issued_adds_up CASCADE",)

# A run writes every subscription anew: beside the old row, so that no index has to be told.
_ROOM = ("ALTER TABLE subscriptions SET (fillfactor = 50)",)
_NO_ROOM = ("ALTER TABLE subscriptions RESET (fillfactor)",)

# As in 0001, but for how they find what is kept: joined to all of `invoices` it took a second for
# a thousand invoices' lines, more the more invoices there were.
_KEEP = """
CREATE OR REPLACE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql{settings} AS $$
DECLARE
  kept text;
BEGIN
  SELECT i.id INTO kept FROM {kept} i.status <> 'draft' LIMIT 1;
  IF kept IS NOT NULL THEN
    RAISE EXCEPTION '{refusal}', kept
      USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NULL;
END $$"""
_REFUSALS = {
    "tariff_keep_invoice_lines": "the lines of invoice % can no longer be changed",
    "tariff_keep_applied": "what was applied to invoice % can no longer be changed",
}
_BY_KEY = "invoices i\n   WHERE i.id = ANY(ARRAY(SELECT DISTINCT invoice_id FROM touched)) AND"
_JOINED = "touched t JOIN invoices i ON i.id = t.invoice_id\n   WHERE"


def _keep(kept: str, settings: str = "") -> list[str]:
    return [
        _KEEP.format(function=function, settings=settings, kept=kept, refusal=refusal)
        for function, refusal in _REFUSALS.items()
    ]


class Migration(migrations.Migration):
    dependencies = [("tariff", "0002_consolidated_invoices")]

    initial = False

    operations = [
        ops.RunSQL([*_ADDS_UP], reverse_sql=[*_NEED_NOT]),
        ops.RunSQL([*_ROOM], reverse_sql=[*_NO_ROOM]),
        ops.RunSQL(
            _keep(_BY_KEY, "\nSET enable_seqscan = off"),
            reverse_sql=_keep(_JOINED),
        ),
    ]
