from tortoise import fields

from app.infra.tables import ScopedTable


class MeterTable(ScopedTable):
    name = fields.CharField(max_length=255)
    description = fields.CharField(max_length=1000, null=True)
    event_name = fields.CharField(max_length=255)
    aggregation = fields.JSONField[dict[str, str]]()
    filters = fields.JSONField[dict[str, object]]()
    dimensions = fields.JSONField[list[str]]()
    metadata = fields.JSONField[dict[str, str]]()
    version = fields.IntField()
    backfilled_at = fields.DatetimeField(null=True)
    archived_at = fields.DatetimeField(null=True)

    class Meta:
        table = "meters"
        indexes = (
            ("tenant_id", "environment_id", "created_at", "id"),
            ("tenant_id", "environment_id", "event_name"),
        )
